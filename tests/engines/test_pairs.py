"""Ticks of two symbols as ticks of pairs: which rows, in which order, with what beside them."""

from __future__ import annotations

from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fintech_toolkit as ft
from tests.frames import same

TICKS = pd.DataFrame(
    {
        "price": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "symbol": pd.array(["B", "A", "E", "C", "D", "A"], dtype="str"),
        "note": list("uvwxyz"),
    },
    index=[9, 8, 7, 6, 5, 4],
)
PAIRS = [("A", "B"), ("C", "A"), ("B", "A")]
EXPECTED = pd.DataFrame(
    {
        "price": [1.0, 1.0, 2.0, 2.0, 2.0, 4.0, 6.0, 6.0, 6.0],
        "symbol": pd.array(["A/B", "B/A", "A/B", "C/A", "B/A", "C/A", "A/B", "C/A", "B/A"], dtype="str"),
        "note": list("uuvvvxzzz"),
        "leg": [1, 0, 0, 1, 1, 0, 0, 1, 1],
    },
    index=[9, 9, 8, 8, 8, 6, 4, 4, 4],
)


@pytest.mark.parametrize("kind", ["str", "string", "object", "category"])
def test_each_tick_is_repeated_for_its_pairs_in_their_order(kind: str) -> None:
    frame = TICKS.assign(symbol=TICKS["symbol"].astype(kind))
    before = frame.copy(deep=True)
    same(ft.to_pairs(frame, PAIRS), EXPECTED)
    same(frame, before)


@pytest.mark.parametrize("kind", ["table", "batch", "chunks", "dictionary"])
def test_arrow_gives_the_same_rows(kind: str) -> None:
    table: Any = pa.Table.from_pandas(TICKS, preserve_index=False)
    if kind == "batch":
        table = table.to_batches()[0]
    elif kind == "chunks":
        table = pa.concat_tables([table.slice(0, 2), table.slice(2)])
    elif kind == "dictionary":
        table = table.set_column(1, "symbol", table["symbol"].dictionary_encode())
    paired = ft.to_pairs(table, PAIRS)
    assert type(paired) is type(table)
    assert paired.schema.names == ["price", "symbol", "note", "leg"]
    assert paired.schema.field("symbol").type == pa.string()
    same(
        paired.to_pandas().astype({"symbol": "str", "note": object}),
        EXPECTED.reset_index(drop=True).astype({"note": object}),
    )


@pytest.mark.parametrize("npartitions", [1, 3])
def test_dask_gives_the_same_rows(npartitions: int) -> None:
    ticks, expected = TICKS.drop(columns="note"), EXPECTED.drop(columns="note")
    lazy = ft.to_pairs(dd.from_pandas(ticks, npartitions=npartitions, sort=False), PAIRS)
    assert list(lazy.columns) == list(expected.columns)
    got = lazy.compute(scheduler="sync")
    assert lazy.dtypes.astype("str").tolist() == got.dtypes.astype("str").tolist()
    same(got.astype({"symbol": "str"}), expected)


def test_the_column_of_symbols_may_have_another_name() -> None:
    other = TICKS.rename(columns={"symbol": "ticker"}).assign(symbol="kept")
    paired = ft.to_pairs(other, [("A", "B")], symbol="ticker")
    assert paired["ticker"].tolist() == ["A/B", "A/B", "A/B"]
    assert paired["symbol"].tolist() == ["kept"] * 3
    with pytest.raises(ft.ColumnError, match=r"no column 'tickr'\. Did you mean 'ticker'"):
        ft.to_pairs(other, [("A", "B")], symbol="tickr")


@pytest.mark.parametrize("pairs", [[], [("X", "Y")]])
def test_pairs_that_nobody_belongs_to_give_an_empty_frame(pairs: Any) -> None:
    paired = ft.to_pairs(TICKS, pairs)
    assert len(paired) == 0
    assert paired.dtypes.astype("str").tolist() == EXPECTED.dtypes.astype("str").tolist()
    assert ft.to_pairs(pa.Table.from_pandas(TICKS), pairs).num_rows == 0


def test_pairs_may_come_one_by_one_and_as_lists() -> None:
    same(ft.to_pairs(TICKS, (list(pair) for pair in PAIRS)), EXPECTED)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("A", "A")], r"pairs: \('A', 'A'\) is not a pair of two different symbols"),
        ([("A",)], "is not a pair"),
        ([("A", "B", "C")], "is not a pair"),
        ([("A", 1)], "is not a pair"),
        ([(1, "A")], "is not a pair"),
        ([("A", "B"), ("C", "D"), ["A", "B"]], "is given twice"),
    ],
)
def test_what_is_no_pair_is_refused(pairs: Any, message: str) -> None:
    with pytest.raises(ft.ParameterError, match=message):
        ft.to_pairs(TICKS, pairs)


def test_legs_are_whole_numbers() -> None:
    paired = ft.to_pairs(TICKS, PAIRS)
    assert paired["leg"].dtype == np.int64
