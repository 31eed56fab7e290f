"""Columns may have any name: what joins need for themselves overwrites and loses none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fintech_toolkit as ft
from tests.frames import same
from tests.joins.feeds import feed
from tests.joins.layouts import LAYOUTS, by_symbol, by_time
from tests.stress import crossed

NAMES = [
    "__row",
    "__matched_at",
    "__candidate",
    "__same_instant",
    "__any",
    "matched_at",
    "candidate",
    "instant",
    "any",
    "right",
    "row",
    "index",
    "level_0",
    "by",
    "on",
    "left_on",
    "complete",
    "_right",
    *("_" * length + what for length in (1, 7, 8, 12, 13, 14, 20) for what in ("matched_at", "candidate", "right")),
]


@pytest.fixture(autouse=True)
def plain() -> Any:
    with dask.config.set({"scheduler": "sync", "dataframe.convert-string": False}):
        yield


def named(frame: pd.DataFrame, names: list[str], start: int) -> pd.DataFrame:
    """Add a column of each name, no two alike."""
    rows = len(frame)
    return frame.assign(**{name: 2**60 + start + j * rows + np.arange(rows) for j, name in enumerate(names)})


def both(where: str, names: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two sides without ties on the right, so that the order of its partitions tells nothing."""
    rng = np.random.default_rng(1)
    left, right = feed(rng, 40, 4)[["symbol", "ts"]], feed(rng, 50, 3).drop_duplicates(["symbol", "ts"])
    right = right[["symbol", "ts", "price"]]
    if where in ("left", "both"):
        left = named(left, names, 0)
    if where in ("right", "both"):
        right = named(right, names, 10**6)
    return left, right


def expected(left: pd.DataFrame, right: pd.DataFrame, direction: str) -> pd.DataFrame:
    """Take the columns by hand from the rows that pandas finds."""
    keys = right[["symbol", "ts"]].assign(place=np.arange(len(right)))
    merged = pd.merge_asof(left[["symbol", "ts"]], keys, on="ts", by="symbol", direction=direction)
    found = merged["place"].to_numpy("i8", na_value=-1)
    result = left.copy()
    for name in right.columns.drop(["symbol", "ts"]):
        taken = right[name].to_numpy()[np.maximum(found, 0)]
        whole = name != "price"
        column = pd.arrays.IntegerArray(taken, found < 0) if whole else np.where(found < 0, np.nan, taken)
        result[name + "_right" if name in left else name] = column
    return result


@pytest.mark.parametrize("where", ["left", "right", "both"])
@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
def test_in_memory_and_live(where: str, direction: str) -> None:
    left, right = both(where, NAMES)
    result = expected(left, right, direction)
    same(ft.asof_join(left, right, direction=direction), result)
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (left, right)]
    joined = ft.asof_join(*tables, direction=direction)
    assert joined.equals(pa.Table.from_pandas(result, schema=joined.schema, preserve_index=False))
    if direction == "backward":
        join = ft.AsofJoin()
        join.right(right)
        same(pd.concat([join.left(left), join.flush()]), result)


@crossed(where=["left", "right", "both"], direction=["backward", "forward", "nearest"], layout=list(LAYOUTS))
def test_on_dask(where: str, direction: str, layout: str) -> None:
    left, right = both(where, NAMES)
    joined = ft.asof_join(by_time(left, 3), LAYOUTS[layout](right, 4), direction=direction)
    same(joined.compute(), expected(left, right, direction))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("symbol", "time"), [("__row", "__matched_at"), ("__any", "__candidate"), ("right", "known_at_right")]
)
@pytest.mark.parametrize("direction", ["backward", "nearest"])
def test_keys_may_have_them_too(symbol: str, time: str, layout: str, direction: str) -> None:
    rng = np.random.default_rng(2)
    plain = [feed(rng, 30, 4), feed(rng, 40, 3)]
    left, right = (frame.rename(columns={"symbol": symbol, "ts": time}) for frame in plain)
    make: Callable[..., Any] = LAYOUTS[layout]
    there = make(right, 3, symbol, time) if make is by_symbol else make(right, 3)
    how = {"by": symbol, "on": time, "direction": direction}
    alike = right if layout in ("by time", "pandas") else there.compute().sort_values(time, kind="stable")
    same(ft.asof_join(by_time(left, 2), there, **how).compute(), ft.asof_join(left, alike, **how))
    lazy = ft.asof_summary(by_time(left, 2), there, tolerance="2ns", **how).compute()
    known = ft.asof_summary(*plain, tolerance="2ns", direction=direction)
    assert (lazy.counts, lazy.ages) == (known.counts, known.ages)
    tables = [pa.Table.from_pandas(frame) for frame in (left, right)]
    assert ft.asof_summary(*tables, tolerance="2ns", **how) == ft.asof_summary(left, right, tolerance="2ns", **how)


def test_summary_looks_at_no_other_column() -> None:
    left, right = both("both", NAMES)
    assert ft.asof_summary(left, right) == ft.asof_summary(left[["symbol", "ts"]], right[["symbol", "ts"]])
    lazy = ft.asof_summary(by_time(left, 2), by_time(right, 3)).compute()
    assert lazy == ft.asof_summary(left, right)
