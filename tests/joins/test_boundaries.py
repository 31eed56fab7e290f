"""Where joins begin to differ: at the edges of partitions and chunks, in long feeds, in empty and tiny ones."""

from __future__ import annotations

from itertools import count, pairwise
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import keys
from tests.frames import same
from tests.joins.feeds import Options, best, feed
from tests.joins.layouts import LAYOUTS, by_time, unknown
from tests.stress import crossed

HOW: list[Options] = [
    {"direction": direction, "allow_exact_matches": exact, "tolerance": tolerance}
    for direction in ("backward", "forward", "nearest") for exact in (True, False) for tolerance in (None, 1)
]  # fmt: skip


@pytest.fixture(autouse=True)
def plain() -> Any:
    with dask.config.set({"scheduler": "sync", "dataframe.convert-string": False}):
        yield


def rows(*ts: int, symbols: str = "") -> pd.DataFrame:
    names = pd.array(list(symbols) or ["A"] * len(ts), dtype="str")
    return pd.DataFrame({"symbol": names, "ts": pd.to_datetime(list(ts), utc=True), "n": np.arange(len(ts))})


def parts(*frames: pd.DataFrame) -> tuple[pd.DataFrame, Any]:
    """Return a whole frame, its rows numbered, and the same in these partitions, known to be in time order."""
    whole = pd.concat(frames, ignore_index=True).assign(n=np.arange(sum(map(len, frames))))
    edges = np.cumsum([0, *map(len, frames)])
    pieces = [whole.iloc[start:stop] for start, stop in pairwise(edges)]
    return whole, dd.concat([dd.from_pandas(piece, npartitions=1, sort=False) for piece in pieces])


# Right partitions that touch, tie across an edge, hold one instant only, or hold other symbols than those about them.
TOUCHING = {
    "touching": [(1, 3), (3, 5), (5, 7)],
    "ties across edges": [(1, 3, 3), (3, 3), (3, 4)],
    "one instant": [(3, 3), (3, 3), (3, 3)],
    "apart": [(0, 1), (4, 4), (7, 9)],
    "single rows": [(1,), (3,), (3,), (6,)],
    "an empty one": [(1, 3), (), (3, 5)],
    "the first empty": [(), (3,), (5,)],
    "only empty ones": [(), ()],
}
SYMBOLS = {"one symbol": "A", "two": "AAB"}


@pytest.mark.parametrize("symbols", SYMBOLS.values(), ids=SYMBOLS)
@pytest.mark.parametrize("edges", TOUCHING.values(), ids=TOUCHING)
def test_partitions_that_touch(edges: list[tuple[int, ...]], symbols: str) -> None:
    numbers = count()
    frames = [rows(*ts, symbols="".join(symbols[next(numbers) % len(symbols)] for _ in ts)) for ts in edges]
    right, there = parts(*frames)
    left = rows(*range(-1, 11), *range(-1, 11), symbols="A" * 12 + "B" * 12).sort_values("ts", kind="stable")
    lazy = [ft.asof_join(by_time(left, 2), there, **how)["n_right"] for how in HOW]
    for how, joined in zip(HOW, dask.compute(*lazy), strict=True):
        tolerance = None if how["tolerance"] is None else "1ns"
        expected = [pd.NA if row is None else row for row in best(left, right, {**how, "tolerance": tolerance})]
        assert joined.tolist() == expected
        assert ft.asof_join(left, right, **how)["n_right"].tolist() == expected


FULL, ONE = rows(1, 2, 2, 5, symbols="ABAB"), rows(2)
SIDES = {"none": FULL.iloc[:0], "one": ONE, "several": FULL}


@crossed(
    how=HOW,
    layout=list(LAYOUTS),
    # Four with rows on both sides come first: one for each layout, whatever is asked.
    sides=[
        *("one, one", "one, several", "several, one", "several, several"),
        *("none, several", "several, none", "none, none"),
    ],
)
def test_sides_that_are_empty_or_one_row(how: Options, layout: str, sides: str) -> None:
    left, right = (SIDES[side] for side in sides.split(", "))
    expected = best(left, right, {**how, "tolerance": how["tolerance"] and f"{how['tolerance']}ns"})
    answer = [pd.NA if row is None else right["n"].iloc[row] for row in expected]
    result = ft.asof_join(left, right, **how)
    assert result["n_right"].tolist() == answer
    summary = ft.asof_summary(left, right, **how)
    assert summary.rows == len(left)
    assert summary.matched == sum(row is not None for row in expected)
    arrow = ft.asof_join(*(pa.Table.from_pandas(side, preserve_index=False) for side in (left, right)), **how)
    assert [pd.NA if n is None else n for n in arrow.column("n_right").to_pylist()] == answer
    if len(left) and len(right):
        lazy = ft.asof_join(by_time(left, 2), LAYOUTS[layout](right, 2), **how)
        assert lazy["n_right"].compute().tolist() == answer
        assert ft.asof_summary(by_time(left, 2), LAYOUTS[layout](right, 2), **how).compute() == summary


def test_shares_of_no_rows() -> None:
    summary = ft.asof_summary(rows().assign(symbol=pd.array([], "str")), rows(1))
    assert np.isnan(summary.share)
    assert "0 of 0 rows matched." in repr(summary)
    assert ft.asof_summary(rows(1, 2, 3, 4), rows(2)).share == 0.75
    assert "3 of 4 rows matched (75.00 %)." in repr(ft.asof_summary(rows(1, 2, 3, 4), rows(2)))


def test_quantiles_of_ages_are_ages_that_occur() -> None:
    right = rows(0)
    for n in (1, 2, 19, 20, 21, 100):
        ages = ft.asof_summary(rows(*range(1, n + 1)), right).ages
        expected = {"min": 1, "median": -(-n // 2), "p95": -(-95 * n // 100), "max": n}
        assert {name: age.value for name, age in ages.items()} == expected


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("together", [False, True], ids=["interleaved", "by symbol"])
def test_long_feeds_with_symbols_that_come_late(direction: str, together: bool) -> None:
    """More rows than a morsel holds; symbols that are not in the first 100,000 rows; some on one side only."""
    rng = np.random.default_rng(5)
    left, right = feed(rng, 140_000, 30, 200_000), feed(rng, 160_000, 30, 200_000)
    for frame, late in ((left, "L"), (right, "R")):
        frame.loc[frame.index[-30_000:], "symbol"] += "late"
        frame.loc[frame.index[-10:], "symbol"] = late
    right = right.assign(row=np.arange(len(right)))
    merged = pd.merge_asof(left, right, on="ts", by="symbol", direction=direction)["row"].to_numpy()
    if together:
        left = left.assign(merged=merged).sort_values("symbol", kind="stable")
        merged = left["merged"].to_numpy()
        right = right.sort_values("symbol", kind="stable")
    found = ft.asof_join(left, right, direction=direction)["row"].to_numpy("f8", na_value=np.nan)
    assert np.isnan(merged).any()
    assert_array_equal(found, merged)


@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_symbols_are_read_chunk_by_chunk(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    left, right = feed(rng, 40, 9), feed(rng, 50, 9)
    right.iloc[20:, right.columns.get_loc("symbol")] += "late"
    left.iloc[25:, left.columns.get_loc("symbol")] += "late"
    sorts = {
        "strings": lambda frame: frame,
        "categories": lambda frame: frame.astype({"symbol": "category"}),
        "integers": lambda frame: frame.assign(symbol=frame["symbol"].str.extract(r"(\d)")[0].astype("int64")),
    }
    for sort in sorts.values():
        expected = ft.asof_join(sort(left), sort(right))
        with monkeypatch.context() as patch:
            patch.setattr(keys, "CHUNK", chunk)
            same(ft.asof_join(sort(left), sort(right)), expected)
            tables = [pa.Table.from_pandas(sort(frame), preserve_index=False) for frame in (left, right)]
            joined = ft.asof_join(*tables)
            assert joined.column("id_right").to_pylist() == [None if x is pd.NA else x for x in expected["id_right"]]


MISSING: dict[str, Any] = {
    "NaT": lambda ts: ts.where(np.arange(len(ts)) != 3),
    "naive NaT": lambda ts: ts.dt.tz_localize(None).where(np.arange(len(ts)) != 3),
    "Int64": lambda ts: ts.astype("int64").astype("Int64").where(np.arange(len(ts)) != 3),
    "arrow": lambda ts: ts.where(np.arange(len(ts)) != 3).astype("timestamp[ns, UTC][pyarrow]"),
}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("arrow", [False, True])
@pytest.mark.parametrize("sort", MISSING)
def test_a_missing_time_is_named(side: str, arrow: bool, sort: str) -> None:
    whole = rows(1, 2, 3, 4, 5, symbols="ABABA")
    good = whole.assign(ts=MISSING[sort](whole["ts"]).ffill())
    frames = {"left": good, "right": good, side: whole.assign(ts=MISSING[sort](whole["ts"]))}
    message = f"In the {side} frame: column 'ts' has no time for symbol 'B' at row 3; drop such rows or fill them"
    sides = [pa.Table.from_pandas(frame) if arrow else frame for frame in (frames["left"], frames["right"])]
    for join in (ft.asof_join, ft.asof_summary):
        with pytest.raises(ft.DataError, match=message):
            join(*sides)
    with pytest.raises(ft.DataError, match=message):
        getattr(ft.AsofJoin(), side)(sides[0] if side == "left" else sides[1])
    if not arrow and sort != "arrow":
        shuffled = {
            "by symbol": r"has no time at row \d of partition \d;",
            "unknown": r"row \d of partition \d of right;",
        }
        for layout, make in LAYOUTS.items():
            told = rf"In the {side} frame: column 'ts' has no time for symbol 'B' at row|{shuffled.get(layout)}"
            with pytest.raises(ft.DataError, match=told):
                ft.asof_join(by_time(sides[0], 1), make(sides[1], 2)).compute()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
def test_disorder_within_a_partition_is_an_error_on_dask_too(
    side: str, layout: str, partitions: int, direction: str
) -> None:
    if side == "left" and layout != "by time":
        return
    symbols = "AB" * 20
    good = rows(*range(40), symbols=symbols)
    bad = good.iloc[[*range(30), 37, 30, 31, 35, *range(32, 35), 36, 38, 39]]
    frames = {"left": by_time(good, 2), "right": LAYOUTS[layout](good, partitions)}
    make = by_time if side == "left" else LAYOUTS["unknown" if layout == "by symbol" else layout]
    frames[side] = make(bad, partitions)
    goes = r"olumn 'ts' goes backwards for symbol 'B' at row \d+"
    with pytest.raises(
        ft.DataError, match=rf"(In the {side} frame: c{goes}|^C{goes} of partition \d of {side}) \(1970"
    ):
        ft.asof_join(frames["left"], frames["right"], direction=direction).compute()


def test_a_shuffle_asks_for_order_within_partitions_only() -> None:
    good = rows(*range(40), symbols="AB" * 20)
    left = rows(*range(40), symbols="BA" * 20)
    joined = ft.asof_join(by_time(left, 3), unknown(good, 4)).compute()
    same(joined, ft.asof_join(left, good))
