"""By which times frames are joined, which rows take part, and how it is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import fintech_toolkit as ft
from tests.frames import same
from tests.joins.feeds import Options
from tests.joins.layouts import LAYOUTS, by_symbol, by_time

Sides = tuple[Any, Any]


def at(*seconds: float | None) -> Any:
    return pd.to_datetime(list(seconds), unit="s", utc=True)


# Bars of ten seconds. A's third is not finished; the second of B is known before its number is taken.
BARS = pd.DataFrame(
    {
        "symbol": ["A", "B", "A", "B", "A"],
        "ts": at(0, 0, 10, 10, 20),
        "close": [1.0, 2.0, 3.0, 4.0, 5.0],
        "complete": [True, True, True, False, False],
        "known_at": at(11, 12, 21, 25, None),
    }
)
TRADES = pd.DataFrame(
    {"symbol": list("AABABA"), "ts": at(5, 11, 11, 21, 30, 40), "price": [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]}
)
BY_KNOWN_AT = [None, 1.0, None, 3.0, 2.0, 3.0]
BY_START = [1.0, 3.0, 2.0, 3.0, 2.0, 3.0]
EVERY_BAR = [1.0, 3.0, 4.0, 5.0, 4.0, 5.0]


@pytest.fixture(autouse=True)
def plain() -> Any:
    with dask.config.set({"scheduler": "sync", "dataframe.convert-string": False}):
        yield


def live(left: pd.DataFrame, right: pd.DataFrame, how: Options) -> pd.DataFrame:
    join = ft.AsofJoin(**how)
    answers = [join.left(left), join.right(right), join.flush()]
    return pd.concat([rows for rows in answers if rows is not None]).sort_index()


def on_dask(layout: str, partitions: int) -> Callable[..., pd.DataFrame]:
    def join(left: pd.DataFrame, right: pd.DataFrame, how: Options) -> pd.DataFrame:
        make: Callable[..., Any] = LAYOUTS[layout]
        time = how.get("right_on") or ("known_at" if "known_at" in right else "ts")
        if make is by_symbol:  # which puts rows into the order of a time that all of them have
            right = right[right[time].notna()]
        more = {"time": time, "unit": how.get("unit")} if make is by_symbol else {}
        there = make(right, partitions, **more)
        result: pd.DataFrame = ft.asof_join(by_time(left, 2), there, **how).compute()
        return result

    return join


def arrow(left: pd.DataFrame, right: pd.DataFrame, how: Options) -> pd.DataFrame:
    joined = ft.asof_join(*(pa.Table.from_pandas(side, preserve_index=False) for side in (left, right)), **how)
    return joined.to_pandas()


ENGINES: dict[str, Callable[..., pd.DataFrame]] = {
    "pandas": lambda left, right, how: ft.asof_join(left, right, **how),
    "arrow": arrow,
    "live": live,
    **{f"dask, {layout}, {n}": on_dask(layout, n) for layout in LAYOUTS for n in (1, 2)},
}


def closes(result: pd.DataFrame) -> list[float | None]:
    return [None if close != close else close for close in result["close"]]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, BY_KNOWN_AT),
        ({"on": "ts"}, BY_KNOWN_AT),
        ({"right_on": "known_at"}, BY_KNOWN_AT),
        ({"left_on": "ts"}, BY_KNOWN_AT),
        ({"right_on": "ts"}, BY_START),
        ({"right_on": "ts", "unfinished": True}, EVERY_BAR),
        ({"tolerance": "1s"}, [None, 1.0, None, 3.0, None, None]),
        ({"allow_exact_matches": False}, [None, None, None, 1.0, 2.0, 3.0]),
    ],
    ids=str,
)
def test_each_engine_goes_by_when_rows_were_known(engine: str, how: Options, expected: list[float | None]) -> None:
    bars = BARS.sort_values(how.get("right_on", "known_at"), kind="stable", ignore_index=True)
    result = ENGINES[engine](TRADES, bars, how)
    assert closes(result) == expected
    other_start = [] if how.get("right_on") == "ts" else ["ts_right"]
    assert list(result.columns) == [*TRADES.columns, *other_start, "close", "complete", "known_at_right"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("how", "expected"),
    [({}, [11.0, 11.0, 11.0, 11.0, None]), ({"left_on": "ts"}, [None, None, 5.0, None, 11.0])],
    ids=str,
)
def test_rows_of_the_left_that_are_not_finished_match_nothing(
    engine: str, how: Options, expected: list[float | None]
) -> None:
    """Unless they are joined by another time; their place they keep."""
    bars = BARS.sort_values(how.get("left_on", "known_at"), kind="stable", ignore_index=True)
    right = TRADES.assign(second=[5.0, 11.0, 11.0, 21.0, 30.0, 40.0]).iloc[[0, 1, 2]]
    result = ENGINES[engine](bars, right, how)
    same(result[list(bars.columns)], bars)
    assert [None if x != x else x for x in result["second"]] == expected
    assert list(result.columns) == [*bars.columns, *([] if how else ["ts_right"]), "price", "second"]


@pytest.mark.parametrize("engine", [name for name in ENGINES if "by time" not in name and "live" not in name])
def test_rows_that_are_not_finished_may_stand_among_the_others(engine: str) -> None:
    """As they do where symbols are one after the other."""
    bars = BARS.sort_values(["symbol", "known_at"], kind="stable", ignore_index=True)
    bars = pd.concat([bars.iloc[[4]], bars], ignore_index=True)
    assert not bars["complete"].iloc[[0, 3]].any()
    assert closes(ENGINES[engine](TRADES, bars, {})) == BY_KNOWN_AT
    right = TRADES.assign(second=[5.0, 11.0, 11.0, 21.0, 30.0, 40.0]).iloc[:3]
    if engine not in ("dask, by symbol, 1", "dask, by symbol, 2"):
        result = ENGINES[engine](bars.iloc[1:].drop(columns="complete"), right, {})
        expected = ft.asof_join(BARS.iloc[:4].drop(columns="complete"), right).set_index(["symbol", "ts"])["second"]
        for symbol, ts, second in zip(result["symbol"], result["ts"], result["second"], strict=True):
            known = expected.get((symbol, ts), np.nan)
            assert second == known or (second != second and known != known)


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("how", [{}, {"right_on": "ts"}], ids=str)
def test_an_unfinished_row_at_an_edge_does_not_hide_a_finished_one(direction: str, how: Options) -> None:
    """The last row that a partition has of a symbol, or the first, is what other partitions see of it."""
    seconds = [0, 1, 2, 8, 9, 10]
    right = pd.DataFrame({"symbol": list("AABBAA"), "ts": at(*seconds), "known_at": at(*seconds), "n": range(6)})
    right = right.assign(complete=[True, False, True, True, False, True])
    left = pd.DataFrame({"symbol": ["A"] * 4, "ts": at(3, 4, 6, 7)})
    lazy = ft.asof_join(by_time(left, 2), by_time(right, 3), direction=direction, **how)
    expected = {"backward": [0] * 4, "forward": [5] * 4, "nearest": [0, 0, 5, 5]}[direction]
    assert lazy["n"].compute().tolist() == expected
    assert ft.asof_join(left, right, direction=direction, **how)["n"].tolist() == expected


@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_in_errors_are_those_of_the_frame(side: str) -> None:
    """Whatever was left out before them."""
    bad = pd.DataFrame({"symbol": ["A"] * 4, "ts": at(0, 0, 10, 5), "known_at": at(None, 12, 22, 15), "n": range(4)})
    sides = {"left": TRADES, "right": TRADES, side: bad}
    message = f"In the {side} frame: column 'known_at' goes backwards for symbol 'A' at row 3"
    with pytest.raises(ft.DataError, match=message):
        ft.asof_join(sides["left"], sides["right"])
    late = bad.iloc[:3].assign(known_at=at(None, 3, 4))
    join = ft.AsofJoin()
    join.advance(**{side: at(4)[0]})
    with pytest.raises(ft.DataError, match=f"In the {side} frame: column 'known_at' of symbol 'A' at row 1 is"):
        getattr(join, side)(late)


def test_both_sides_with_known_at_have_one_column_of_it() -> None:
    result = ft.asof_join(BARS, BARS[["symbol", "ts", "close", "known_at"]])
    assert list(result.columns) == [*BARS.columns, "ts_right", "close_right"]
    assert result["close_right"].tolist()[:4] == [1.0, 2.0, 3.0, 4.0]
    suffixed = ft.asof_join(BARS, BARS[["symbol", "ts", "known_at"]], suffixes=("_l", "_r"))
    assert list(suffixed.columns) == ["symbol", "ts_l", "close", "complete", "known_at", "ts_r"]


def test_what_a_join_gives_is_not_taken_for_what_was_known_with_the_right() -> None:
    """A trade beside a bar is known when the trade is; the next join goes by that."""
    once = ft.asof_join(TRADES, BARS)
    quotes = pd.DataFrame({"symbol": ["A", "A"], "ts": at(25, 35), "bid": [1, 2]})
    assert ft.asof_join(once, quotes)["bid"].tolist() == [pd.NA] * 5 + [2]
    with pytest.raises(ft.ColumnError, match="Right's column 'known_at' needs a suffix, because it is not that"):
        ft.asof_join(TRADES, BARS[["symbol", "close", "known_at"]], suffixes=("_left", ""))
    kept = ft.asof_join(TRADES.assign(known_at=TRADES["ts"]), BARS, left_on="ts", suffixes=("_l", "_r"))
    assert {"known_at", "known_at_r"} < set(kept.columns)


@pytest.mark.parametrize("engine", ENGINES)
def test_unfinished_rows_have_no_time_of_their_own(engine: str) -> None:
    for how in ({"unfinished": True}, {"unfinished": True, "right_on": "known_at"}):
        with pytest.raises(ft.ParameterError, match=r"unfinished=True needs right_on=…, such as 'ts'"):
            ENGINES[engine](TRADES, BARS.iloc[:3], how)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("complete", ["boolean", "object-less", "numbers", "null"])
def test_complete_is_a_flag_or_a_column_of_the_users(engine: str, complete: str) -> None:
    bars = BARS.sort_values("known_at", kind="stable", ignore_index=True)
    columns: dict[str, Any] = {
        "boolean": pd.array([True, True, True, False, False], dtype="boolean"),
        "null": pd.array([True, True, None, False, None], dtype="boolean"),
        "numbers": [0.0, 0.5, 1.0, 0.0, 0.0],
    }
    bars = bars.drop(columns="complete") if complete == "object-less" else bars.assign(complete=columns[complete])
    expected = BY_KNOWN_AT if complete in ("boolean", "null") else [None, 1.0, None, 3.0, 4.0, 3.0]
    assert closes(ENGINES[engine](TRADES, bars, {})) == expected


def test_without_known_at_complete_means_nothing() -> None:
    right = BARS.drop(columns="known_at")
    assert closes(ft.asof_join(TRADES, right)) == EVERY_BAR
    assert ft.asof_summary(TRADES, right).unfinished == 0


@pytest.mark.parametrize("engine", ["pandas", "arrow", "live", "dask, by time, 2", "dask, pandas, 1"])
def test_sides_may_call_their_times_differently(engine: str) -> None:
    left = TRADES.rename(columns={"ts": "traded"})
    right = pd.DataFrame({"symbol": ["A", "B"], "quoted": at(3, 4), "bid": [1.0, 2.0], "traded": ["x", "y"]})
    result = ENGINES[engine](left, right, {"left_on": "traded", "right_on": "quoted"})
    merged = pd.merge_asof(
        left, right, left_on="traded", right_on="quoted", by="symbol", suffixes=("", "_right")
    )  # fmt: skip
    assert_frame_equal(result, merged, check_dtype=False)
    half = ENGINES[engine](TRADES, right.drop(columns="traded"), {"right_on": "quoted"})
    assert half["bid"].tolist() == merged["bid"].tolist()
    with pytest.raises(ft.ColumnError, match=r"no column 'traded_at' in the left frame\. Did you mean 'traded'"):
        ENGINES[engine](left, right, {"left_on": "traded_at", "right_on": "quoted"})


@pytest.mark.parametrize("how", [{"left_on": 1}, {"right_on": ["ts"]}, {"left_on": "symbol"}, {"right_on": "symbol"}])
def test_columns_of_times_are_names(how: Options) -> None:
    name = next(iter(how))
    for join in (ft.asof_join, ft.asof_summary):
        with pytest.raises(ft.ParameterError, match=f"{name}=.*must name a column of times"):
            join(TRADES, BARS, **how)
    with pytest.raises(ft.ParameterError, match="unfinished=1 must be True or False"):
        ft.asof_join(TRADES, BARS, unfinished=1)


def test_the_summary_says_so() -> None:
    summary = ft.asof_summary(TRADES, BARS)
    assert (summary.left_on, summary.right_on, summary.unfinished, summary.matched) == ("ts", "known_at", 2, 4)
    assert "by 'ts' and right's 'known_at', backward: 4 of 6" in repr(summary)
    assert "Of right 2 rows were left out that are not finished." in summary._repr_html_()
    assert "Of right" not in repr(ft.asof_summary(TRADES, BARS, right_on="ts", unfinished=True))
    turned = ft.asof_summary(BARS, TRADES)
    assert (turned.left_on, turned.right_on, turned.counts["left row not finished"]) == ("known_at", "ts", 1)
    assert turned.rows == len(BARS)
    assert "by 'known_at' and right's 'ts'" in repr(turned)
    assert "by 'ts', backward" in repr(ft.asof_summary(TRADES, TRADES))


@pytest.mark.parametrize("how", [{}, {"right_on": "ts"}, {"right_on": "ts", "unfinished": True}, {"tolerance": 0}])
@pytest.mark.parametrize("layout", ["by time", "unknown", "pandas"])
def test_the_summary_of_dask_frames_is_that_of_the_whole(how: Options, layout: str) -> None:
    bars = BARS.sort_values(how.get("right_on", "known_at"), kind="stable", ignore_index=True)
    for left, right in ((TRADES, bars), (bars, TRADES)):
        if "unfinished" in how and right is TRADES:
            continue
        lazy = ft.asof_summary(by_time(left, 2), LAYOUTS[layout](right, 2), **how)
        assert lazy.compute() == ft.asof_summary(left, right, **how)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_integer_times_have_a_unit(engine: str, unit: str) -> None:
    offset = pd.Timestamp("2024-01-02", tz="UTC") - pd.Timestamp(0, tz="UTC")
    a_unit = pd.Timedelta(1, unit)

    def whole(times: Any) -> Any:
        return ((times + offset - pd.Timestamp(0, tz="UTC")) // a_unit).astype("Int64")

    bars = BARS.sort_values("known_at", kind="stable", ignore_index=True)
    bars = bars.assign(ts=whole(bars["ts"]), known_at=whole(bars["known_at"]))
    trades = TRADES.assign(ts=whole(TRADES["ts"]))
    assert closes(ENGINES[engine](trades, bars, {"unit": unit, "tolerance": "20s"})) == BY_KNOWN_AT
    if unit != "ns":
        with pytest.raises(ft.DataError, match=rf"looks like .*seconds.*unit='{unit}'"):
            ENGINES[engine](trades, bars, {})
    assert ft.asof_summary(trades, bars, unit=unit).ages["max"] == pd.Timedelta("19s")
    with pytest.raises(ft.ParameterError, match="unit='m' must be one of"):
        ENGINES[engine](trades, bars, {"unit": "m"})


def test_no_more_is_read_than_is_asked_for(tmp_path: Any) -> None:
    from dask.dataframe.dask_expr.io.parquet import ReadParquet

    bars = BARS.assign(note="x").sort_values("known_at", kind="stable", ignore_index=True)
    for name, frame in (("trades", TRADES), ("bars", bars)):
        by_time(frame, 2).to_parquet(tmp_path / name, write_index=False)
    sides = [dd.read_parquet(tmp_path / name) for name in ("trades", "bars")]
    joined = ft.asof_join(*sides)[["close"]]
    leaves = list(joined.simplify().expr.find_operations(ReadParquet))
    assert sorted(sorted(leaf.columns) for leaf in leaves) == [
        ["close", "complete", "known_at", "symbol"],
        ["symbol", "ts"],
    ]
    assert closes(joined.compute()) == BY_KNOWN_AT
    starts = ft.asof_join(*sides)["ts_right"].compute()
    assert starts.tolist() == ft.asof_join(TRADES, bars)["ts_right"].tolist()
