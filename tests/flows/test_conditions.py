"""Conditions: the rows that they say, on frames and in the scan of files; and what is none."""

from __future__ import annotations

import datetime
import decimal
import json
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fintech_toolkit as ft
from fintech_toolkit.engines.memory.files import Files
from fintech_toolkit.errors import DataError, ParameterError
from fintech_toolkit.flow.conditions import Conditions

BIG = 2**53 + 1
FRAME = pd.DataFrame(
    {
        "whole": np.array([0, 1, -3, BIG, BIG - 1, 7], np.int64),
        "small": np.array([0, 1, 2, 3, 4, 255], np.uint8),
        "nullable": pd.array([1, None, BIG, 4, 0, None], "Int64"),
        "half": np.array([0.1, 1, 2.5, np.nan, 3, -0.0], np.float32),
        "real": [1.0, np.nan, np.inf, -0.0, 2.5, -np.inf],
        "text": pd.array(["a", None, "", "b", "ä", "a"], "str"),
        "kind": pd.Categorical(["x", "y", None, "x", "z", "y"]),
        "flag": [True, False, True, True, False, False],
        "ts": pd.to_datetime([0, 1, 2, 3, 4, 5], unit="s", utc=True),
        "naive": pd.to_datetime([0, 1, None, 3, 4, 5], unit="s"),
        "day": [datetime.date(2026, 1, day) for day in range(1, 7)],
        "money": [decimal.Decimal(f"{k}.50") for k in range(6)],
    }
)
COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
VALUES: dict[str, list[Any]] = {
    "whole": [0, 1, -3, BIG, float(BIG), 0.5, -2.5, 2**70, -(2**70), np.int32(7), float("inf")],
    "small": [0, 255, 256, -1, 1.5],
    "nullable": [1, BIG, 0.5, 4.0],
    "real": [1, 1.0, 2.5, 0, float("inf"), 10**400],
    "half": [0.1, 1, 2.5, 0.0, 1e300, float(np.float32(0.1))],
    "text": ["a", "", "zz"],
    "kind": ["x", "w"],
    "flag": [True, False],
    "ts": [pd.Timestamp(2, unit="s", tz="UTC"), pd.Timestamp(2, unit="s", tz="UTC").tz_convert("Asia/Tokyo")],
    "naive": [pd.Timestamp(3, unit="s"), np.datetime64(3, "s"), datetime.datetime(1970, 1, 1, 0, 0, 3)],
    "day": [datetime.date(2026, 1, 3)],
    "money": [decimal.Decimal("2.50"), 3],
}


def holds(row: pd.Series[Any], condition: tuple[str, str, Any]) -> bool:
    """One condition, on Python's own values: exact, whatever their types."""
    name, how, value = condition
    cell = row[name]
    if pd.isna(cell):
        return False
    cell = cell.item() if isinstance(cell, np.generic) else cell
    if how in ("in", "not in"):
        return any(cell == v for v in value) == (how == "in")
    value = pd.Timestamp(value) if isinstance(value, np.datetime64 | datetime.datetime) else value
    return bool(COMPARE[how](cell, value))


@st.composite
def conditions(draw: Any) -> tuple[str, str, Any]:
    name = draw(st.sampled_from(list(VALUES)))
    values = st.sampled_from(VALUES[name])
    how = draw(st.sampled_from([*COMPARE, "in", "not in"]))
    return (name, how, draw(st.lists(values, min_size=1)) if how in ("in", "not in") else draw(values))


GROUPS = st.lists(st.lists(conditions(), min_size=1, max_size=3), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    path = tmp_path_factory.mktemp("files") / "frame.parquet"
    FRAME.reset_index(names="row").to_parquet(path, row_group_size=2, index=False)
    return Files(path)


@given(groups=GROUPS)
@settings(deadline=None, max_examples=300)
def test_are_those_of_pythons_own_values(groups: list[list[tuple[str, str, Any]]], files: Files) -> None:
    expected = [row for row in FRAME.index if any(all(holds(FRAME.loc[row], c) for c in group) for group in groups)]
    flow = ft.source("frame").filter(groups)
    assert flow(frame=FRAME).index.tolist() == expected
    table = pa.Table.from_pandas(FRAME.reset_index(names="row"), preserve_index=False)
    assert flow(frame=table)["row"].to_pylist() == expected
    assert files.read(["row"], Conditions.checked(groups))["row"].to_pylist() == expected


@given(groups=GROUPS)
@settings(deadline=None, max_examples=100)
def test_come_back_from_json(groups: list[list[tuple[str, str, Any]]]) -> None:
    where = Conditions.checked(groups)
    assert Conditions.from_data(json.loads(json.dumps(where.to_data()))) == where


def test_forms() -> None:
    one = ("real", ">", 1)
    assert Conditions.checked(one) == Conditions.checked([one]) == Conditions.checked([[one]])
    assert Conditions.checked(("real", "=", 1)) == Conditions.checked(("real", "==", 1))
    assert str(Conditions.checked([[one, ("text", "in", ["a"])], [("flag", "==", True)]])) == (
        "(real > 1 and text in ['a']) or (flag == True)"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "is no filter: give tuples such as"),
        ("real > 1", "is no filter: give tuples such as"),
        ([[]], "is no group of conditions"),
        ([("real", ">", 1), [("real", "<", 1)]], "is no group of conditions"),
        (("real", ">"), "is no condition: give a column, how it compares, and a value"),
        (("real", "=>", 1), "cannot compare by '=>'. Did you mean"),
        (("real", "in", 1), "'in' takes a list of values"),
        (("text", "in", "abc"), "'in' takes a list of values"),
        (("text", "in", []), "the list of values is empty"),
        (("real", "==", None), "a missing value compares with nothing"),
        (("real", "==", float("nan")), "a missing value compares with nothing"),
        (("real", "==", pd.NaT), "a missing value compares with nothing"),
        (("real", "==", {1}), "not with set"),
    ],
)
def test_what_is_none(given: Any, message: str) -> None:
    with pytest.raises(ParameterError) as error:
        ft.source("frame").filter(given)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("whole", ">", "1"), "Column 'whole' holds int64, so the condition whole > '1' must compare with numbers."),
        (("whole", "==", True), "must compare with numbers"),
        (("text", "==", 1), "must compare with texts"),
        (("flag", "==", 1), "must compare with True or False"),
        (("ts", ">", pd.Timestamp(0)), "aware times, such as pd.Timestamp('2024-01-02 09:30', tz='UTC')"),
        (("naive", ">", pd.Timestamp(0, tz="UTC")), "naive times, such as pd.Timestamp('2024-01-02 09:30')"),
        (("day", ">", pd.Timestamp(0)), "dates, such as datetime.date(2024, 1, 2)"),
        (("kind", "in", ["x", 1]), "must compare with texts"),
    ],
)
def test_of_another_type(given: Any, message: str) -> None:
    tables = (pa.Table.from_pandas(FRAME), pa.Table.from_pandas(FRAME).slice(0, 0))
    for frame in (FRAME, *tables):
        with pytest.raises(DataError) as error:
            ft.source("frame").filter(given)(frame=frame)
        assert message in str(error.value)
        assert "source 'frame', where" in str(error.value)  # the node's place


def test_a_missing_column_is_named_with_its_node(tmp_path: Path) -> None:
    flow = ft.source("frame").select("whole", "real").filter(("reel", ">", 1))
    with pytest.raises(
        ft.ColumnError, match=r"In node 3, filter reel > 1: there is no column 'reel'\. Did you mean 'real'"
    ):
        flow(frame=FRAME)
