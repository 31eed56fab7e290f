"""Joins at horizons: against looking at all rows, against Polars, and the same bits in every way to run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import search, waiting_join
from tests.frames import same
from tests.joins.feeds import best, feed, feeds
from tests.joins.layouts import as_pandas, by_symbol, by_time, unknown
from tests.joins.ways import in_pieces, on_streams, same_without_rules
from tests.stress import crossed

OFFSETS = ["-4ns", "-1ns", "0ns", "3ns", "12ns"]
HOW = {"tolerance": "5ns", "allow_exact_matches": False}

some_offsets = st.lists(st.sampled_from(OFFSETS), min_size=1, unique=True)
options = st.fixed_dictionaries(
    {"tolerance": st.sampled_from([None, "1ns", "5ns"]), "allow_exact_matches": st.booleans()}
)


def nanoseconds(offset: str) -> int:
    return int(pd.Timedelta(offset).value)


def expected(left: pd.DataFrame, right: pd.DataFrame, offsets: list[str], how: dict[str, Any]) -> pd.DataFrame:
    """For each row and offset, look at all rows of the right."""
    result = left.copy()
    for offset in offsets:
        at = left.assign(ts=left["ts"] + pd.Timedelta(offset))
        rows = best(at, right, {"direction": "backward", **how})
        for name, dtype in {"id": "Int64", "price": "float64", "flag": "boolean", "note": "str"}.items():
            values = [None if row is None else right[name].iloc[row] for row in rows]
            result[f"{name}_{offset}"] = pd.Series(values, index=left.index, dtype=object).astype(dtype)
    latest = max([pd.Timedelta(0), *map(pd.Timedelta, offsets)])
    return result.assign(known_at=left["ts"] + latest)


@given(feeds(), some_offsets, options)
@settings(deadline=None, max_examples=60)
def test_is_the_oracle(both: tuple[pd.DataFrame, pd.DataFrame], offsets: list[str], how: dict[str, Any]) -> None:
    left, right = both
    before = left.copy(), right.copy()
    result = ft.horizon_join(left, right, offsets, **how)
    same(result, expected(left, right, offsets, how))
    same(left, before[0])
    same(right, before[1])


@given(feeds(), options)
@settings(deadline=None, max_examples=20)
def test_many_offsets_are_those_of_few(both: tuple[pd.DataFrame, pd.DataFrame], how: dict[str, Any]) -> None:
    """From so many on the rows of each symbol are put together first."""
    offsets = [f"{n}ns" for n in range(-search.SEARCHES // 2, search.SEARCHES // 2 + 1)]
    many = ft.horizon_join(*both, offsets, **how)
    for offset in offsets:
        one = ft.horizon_join(*both, [offset], **how)
        names = [name for name in one if name.endswith(f"_{offset}")]
        same(many[names], one[names])


@pytest.mark.parametrize("rows", [1, 40, 3_000])
@pytest.mark.parametrize("together", [False, True])
def test_sought_in_long_stretches(rows: int, together: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that grow, and times that are compared at once, up to the last ones that there are."""
    monkeypatch.setattr(search, "MORSEL", 700)
    random = np.random.default_rng(rows)
    ends = np.iinfo(np.int64)
    ts = np.sort(np.append(random.integers(0, 4_000, 10_000), [ends.min + 1, ends.min + 2, ends.max - 1, ends.max]))
    right = pd.DataFrame({"symbol": random.choice(["A", "B"], len(ts)), "ts": ts, "id": np.arange(len(ts))})
    at = np.sort(np.append(random.integers(0, 4_000, rows - 1), ends.max))
    left = pd.DataFrame({"symbol": random.choice(["B", "A", "never"], rows), "ts": at})
    offsets = [f"{n}ns" for n in range(-search.SEARCHES, 1)]
    feeds = [frame.sort_values("symbol", kind="stable") if together else frame for frame in (left, right)]
    result = ft.horizon_join(*feeds, offsets).loc[left.index]
    for offset in offsets:
        shifted = left.assign(ts=left["ts"] + nanoseconds(offset))
        merged = pd.merge_asof(shifted, right, on="ts", by="symbol")["id"].to_numpy("float64")
        assert_array_equal(result[f"id_{offset}"].to_numpy("float64", na_value=np.nan), merged)


@given(feeds(), some_offsets)
@settings(deadline=None, max_examples=60)
def test_is_what_polars_finds_for_shifted_times(both: tuple[pd.DataFrame, pd.DataFrame], offsets: list[str]) -> None:
    pl = pytest.importorskip("polars")
    left, right = both
    result = ft.horizon_join(left, right, offsets, select=["id"])
    there = pl.from_pandas(right[["symbol", "ts", "id"]].astype({"symbol": object})).sort("ts", maintain_order=True)
    for offset in offsets:
        at = (left["ts"] + pd.Timedelta(offset)).to_numpy("datetime64[ns]")
        here = pl.DataFrame({"symbol": left["symbol"].to_list(), "at": at}, schema_overrides={"symbol": pl.String})
        there_now = there.with_columns(pl.col("ts").dt.replace_time_zone(None))
        found = here.join_asof(there_now, left_on="at", right_on="ts", by="symbol", check_sortedness=False)
        assert result[f"id_{offset}"].astype(object).where(lambda s: s.notna(), None).tolist() == found["id"].to_list()


@given(feeds(), some_offsets, options)
@settings(deadline=None, max_examples=30)
def test_arrow_is_pandas_and_symbols_may_be_together(
    both: tuple[pd.DataFrame, pd.DataFrame], offsets: list[str], how: dict[str, Any]
) -> None:
    left, right = both
    result = ft.horizon_join(left, right, offsets, **how)
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in both]
    joined = ft.horizon_join(*tables, offsets, **how)
    assert joined.equals(pa.Table.from_pandas(result, schema=joined.schema, preserve_index=False))
    left_sorted, right_sorted = (frame.sort_values("symbol", kind="stable") for frame in both)
    same(ft.horizon_join(left_sorted, right_sorted, offsets, **how), result.loc[left_sorted.index])


@pytest.mark.parametrize("seed", range(40))
def test_pieces_and_streams_are_the_whole(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    left, right = feed(rng, 1 + seed, 3), feed(rng, 60 - seed, 3)
    offsets = rng.choice(OFFSETS, rng.integers(1, 4), replace=False).tolist()
    how = {"tolerance": rng.choice([None, "5ns"]), "allow_exact_matches": bool(rng.integers(2))}
    monkeypatch.setattr(waiting_join, "FEW", int(rng.choice([1, 4, 1000])))
    flow = ft.source("left").horizon_join(ft.source("right"), offsets, **how)
    whole = ft.horizon_join(left, right, offsets, **how)
    same(flow(left=left, right=right), whole)
    same(in_pieces(flow, left, right, rng), whole)
    same(in_pieces(flow, left, right, rng, tmp_path), whole)
    same(on_streams(flow, left, right, rng), whole)


def test_a_row_waits_until_right_has_passed_its_last_horizon() -> None:
    flow = ft.source("left").horizon_join(ft.source("right"), ["-5ns", "10ns"])
    run = flow.start()
    left = pd.DataFrame({"symbol": "A", "ts": [100, 103]})
    assert run(left=left, right=pd.DataFrame({"symbol": "A", "ts": [94, 96, 110], "x": [1.0, 2.0, 3.0]})) is None
    assert run.counts["waiting"].sum() == 2
    answered = run(right=pd.DataFrame({"symbol": "B", "ts": [111], "x": [9.0]}))
    assert answered[["ts", "x_-5ns", "x_10ns", "known_at"]].to_numpy().tolist() == [[100, 1.0, 3.0, 110]]
    assert run.flush()[["ts", "x_-5ns", "x_10ns", "known_at"]].to_numpy().tolist() == [[103, 2.0, 3.0, 113]]


def test_what_is_kept_of_right_is_what_may_be_asked_for() -> None:
    run = ft.source("left").horizon_join(ft.source("right"), ["-50ns", "50ns"]).start()
    for start in range(0, 40_000, 500):
        ts = np.arange(start, start + 500)
        run(left=pd.DataFrame({"symbol": "A", "ts": ts}), right=pd.DataFrame({"symbol": "A", "ts": ts, "x": ts}))
    ((_, join),) = run.state.parts.values()
    assert sum(map(len, join._right.frames)) < 3_000


@crossed(layout=[by_time, by_symbol, unknown, as_pandas], partitions=[(1, 1), (2, 7), (7, 2)], how=[{}, HOW])
def test_partitions_do_not_matter(layout: Any, partitions: tuple[int, int], how: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    left, right = feed(rng, 90, 5), feed(rng, 130, 4)
    left["symbol"] = left["symbol"].replace("S00", "only left")
    with dask.config.set({"scheduler": "threads", "dataframe.convert-string": False}):
        here, there = by_time(left, partitions[0]), layout(right, partitions[1])
        known = there if layout is as_pandas else there.compute()
        result = ft.horizon_join(left, known.sort_values("ts", kind="stable"), OFFSETS, **how)
        lazy = ft.horizon_join(here, there, OFFSETS, **how)
        assert lazy.npartitions == here.npartitions
        assert lazy.dtypes.equals(result.dtypes)
        same(lazy.compute(), result)
        same(lazy[["id_3ns", "known_at", "price"]].compute(), result[["id_3ns", "known_at", "price"]])
        flow = ft.source("left").horizon_join(ft.source("right"), OFFSETS, **how)
        same(flow(left=here, right=there).compute(), result)


def test_processes_give_the_same_and_what_is_known_of_left_goes_on() -> None:
    rng = np.random.default_rng(1)
    left, right = feed(rng, 60, 4), feed(rng, 90, 4)
    with dask.config.set({"scheduler": "processes", "dataframe.convert-string": False}):
        lazy = ft.horizon_join(by_time(left, 3), by_time(right, 4), ["-3ns", "5ns"], select="id")
        same(lazy.compute(), ft.horizon_join(left, right, ["-3ns", "5ns"], select="id"))
    again = ft.horizon_join(by_symbol(left, 3), by_time(right, 4), ["5ns"], select="id")
    assert ft.asof_explain(by_time(right, 2), again).name == "by symbol"
    assert ft.asof_explain(
        by_time(right, 2), ft.horizon_join(by_time(left, 3), right, ["5ns"]), right_on="ts"
    ).name == ("by time")


def test_rules_change_nothing_and_read_less() -> None:
    rng = np.random.default_rng(2)
    left, right = feed(rng, 80, 4), feed(rng, 120, 4)
    flow = ft.source("left").horizon_join(ft.source("right"), ["-3ns", "5ns"], select=["price", "id"])
    same(same_without_rules(flow, left=left, right=right), flow(left=left, right=right))
    less = flow.filter([("price", ">", 100), ("symbol", "!=", "S01")]).select("symbol", "id_5ns")
    result = same_without_rules(less, left=left, right=right)
    whole = ft.horizon_join(left, right, ["-3ns", "5ns"], select=["price", "id"])
    kept = whole[(whole["price"] > 100) & (whole["symbol"] != "S01")]
    same(result, kept[["symbol", "id_5ns"]])
    plan = repr(less.explain(left=left, right=right))
    assert "source 'right', reads symbol, ts, id, where symbol != 'S01'" in plan
    assert "source 'left', reads symbol, ts, where price > 100 and symbol != 'S01'" in plan
    after = flow.filter([("id_5ns", ">", 2**62 + 5)])
    assert "where" not in repr(after.explain(left=left, right=right)).partition("Runs:")[2]
    same_without_rules(after, left=left, right=right)


# When a row is known


def test_known_at_of_left_is_what_it_is_joined_by_and_known_later() -> None:
    left = pd.DataFrame({"symbol": "A", "ts": [10, 20, 30], "known_at": pd.array([15, None, 35], "Int64")})
    right = pd.DataFrame({"symbol": "A", "ts": [12, 17, 36], "x": [1, 2, 3]})
    result = ft.horizon_join(left, right, ["0ns", "3ns"])
    assert list(result.columns) == ["symbol", "ts", "known_at", "x_0ns", "x_3ns"]
    assert result["x_0ns"].tolist() == [1, pd.NA, 2]
    assert result["x_3ns"].tolist() == [2, pd.NA, 3]
    assert result["known_at"].tolist() == [18, pd.NA, 38]
    begun = ft.horizon_join(left, right, ["-1ns", "2ns"], left_on="ts")
    assert begun["known_at"].tolist() == [15, pd.NA, 35]
    assert begun["x_2ns"].tolist() == [1, 2, 2]


def test_a_bar_is_seen_at_a_horizon_only_when_it_was_known() -> None:
    right = pd.DataFrame({"symbol": "A", "ts": [0, 10], "known_at": [10, 20], "close": [1.0, 2.0]})
    left = pd.DataFrame({"symbol": "A", "ts": [5, 15]})
    result = ft.horizon_join(left, right, ["0ns", "5ns"], select="close")
    assert_array_equal(result["close_0ns"], [np.nan, 1.0])
    assert_array_equal(result["close_5ns"], [1.0, 2.0])


def test_integer_times_are_known_no_earlier_than_they_are() -> None:
    left = pd.DataFrame({"symbol": "A", "ts": [1_700_000_000, 1_700_000_010]})
    right = pd.DataFrame({"symbol": "A", "ts": [1_700_000_000, 1_700_000_001], "x": [1, 2]})
    result = ft.horizon_join(left, right, ["500ms", "1500ms"], unit="s")
    assert result["known_at"].tolist() == [1_700_000_002, 1_700_000_012]
    assert result["x_500ms"].tolist() == [1, 2]
    assert result["x_1500ms"].tolist() == [2, 2]
    strict = ft.horizon_join(left, right, ["500ms"], unit="s", allow_exact_matches=False)
    assert strict["x_500ms"].tolist() == [1, 2]
    with dask.config.set({"scheduler": "threads"}):
        lazy = ft.horizon_join(by_time(left, 2), by_time(right, 2), ["500ms"], unit="s", allow_exact_matches=False)
        assert lazy.compute()["x_500ms"].tolist() == [1, 2]


def test_a_horizon_beyond_all_times_is_the_last_one() -> None:
    most = np.iinfo(np.int64).max
    left = pd.DataFrame({"symbol": "A", "ts": np.array([-most + 5, most - 5])})
    right = pd.DataFrame({"symbol": "A", "ts": np.array([-most, most]), "x": [1, 2]})
    result = ft.horizon_join(left, right, ["-10ns", "10ns"], unit="ns")
    assert result["x_-10ns"].tolist() == [1, 1]
    assert result["x_10ns"].tolist() == [1, 2]
    assert result["known_at"].tolist() == [-most + 15, most]


def test_columns_are_called_as_they_are_said_to_be() -> None:
    left = pd.DataFrame({"ticker": ["A"], "time": [5]})
    right = pd.DataFrame({"ticker": ["A"], "time": [4], "x": [1.0], "y": [2.0]})
    names = {"symbol": "ticker", "ts": "time"}
    result = ft.horizon_join(left, right, ["1ns"], select=["y", "time"], columns=names)
    assert list(result.columns) == ["ticker", "time", "y_1ns", "time_1ns", "known_at"]
    same(ft.horizon_join(left, right, ["1ns"], select=["y", "time"], by="ticker", on="time"), result)
    with dask.config.set({"scheduler": "threads", "dataframe.convert-string": False}):
        there = unknown(pd.concat([right, right]), 2)
        lazy = ft.horizon_join(by_time(left, 1), there, ["1ns"], ["y", "time"], columns=names)
        same(lazy.compute(), result)


# Bad input


@pytest.mark.parametrize(
    ("offsets", "how", "message"),
    [
        ([], {}, r"offsets=\[\] must be a list"),
        ("1s", {}, "offsets='1s' must be a list"),
        (["1s", "1000ms"], {}, "'1s' and '1000ms', which are the same"),
        (["1s", 5], {}, "holds 5: write durations as text"),
        (["1 parsec"], {}, "an offset='1 parsec' is not a duration"),
        (["--1s"], {}, "must not be negative"),
        (["10"], {}, "number without a unit"),
        (["1s"], {"select": []}, "must name columns of right"),
        (["1s"], {"select": ["x", "x"]}, "each once"),
        (["1s"], {"tolerance": "-1s"}, "must not be negative"),
        (["1s"], {"unit": "h"}, "unit='h' must be one of"),
    ],
)
def test_options_that_are_wrong_are_told(offsets: Any, how: dict[str, Any], message: str) -> None:
    frame = pd.DataFrame({"symbol": ["A"], "ts": [1], "x": [1.0]})
    with pytest.raises(ft.ParameterError, match=message):
        ft.horizon_join(frame, frame, offsets, **how)
    with pytest.raises(ft.ParameterError, match=message):
        ft.source("left").horizon_join(ft.source("right"), offsets, **how)


def test_frames_that_do_not_go_together_are_told() -> None:
    left = pd.DataFrame({"symbol": ["A", "A"], "ts": pd.to_datetime([1, 2], utc=True)})
    right = left.assign(x=1.0)
    with pytest.raises(ft.ColumnError, match="there is no column 'y' on the right"):
        ft.horizon_join(left, right, ["1s"], select=["y"])
    with pytest.raises(ft.ColumnError, match="two columns called 'x_1s'"):
        ft.horizon_join(left.assign(x_1s=0), right, ["1s"])
    with pytest.raises(ft.DataError, match="holds aware times in the left frame and naive ones"):
        ft.horizon_join(left, right.assign(ts=right["ts"].dt.tz_localize(None)), ["1s"])
    for side, frames in (("left", (left[::-1], right)), ("right", (left, right[::-1]))):
        with pytest.raises(ft.DataError, match=rf"In the {side} frame: column 'ts' .*row 1"):
            ft.horizon_join(*frames, ["1s"])
    with pytest.raises(ft.DataError, match="symbol"):
        ft.horizon_join(left.assign(symbol=["A", None]), right, ["1s"])
    with pytest.raises(ft.PipelineError, match="A join of feeds takes two"):
        ft.horizon_join(left, pa.Table.from_pandas(right), ["1s"])


def test_sides_without_rows() -> None:
    left = pd.DataFrame({"symbol": ["A"], "ts": pd.to_datetime([1], utc=True)})
    right = left.assign(x=1, y="a")
    nothing = ft.horizon_join(left, right[:0], ["-1s", "1s"])
    assert nothing["x_1s"].isna().all()
    assert nothing.dtypes.equals(ft.horizon_join(left, right, ["-1s", "1s"]).dtypes)
    assert len(ft.horizon_join(left[:0], right, ["1s"])) == 0


def test_a_saved_join_is_no_other_join(tmp_path: Path) -> None:
    flow = ft.source("left").horizon_join(ft.source("right"), ["1s"])
    run = flow.start()
    run(left=pd.DataFrame({"symbol": ["A"], "ts": [1]}))
    ((_, join),) = run.state.parts.values()
    join.save(tmp_path / "join")
    assert type(join).load(tmp_path / "join").options == join.options
    with pytest.raises(ft.StateError, match="not a whole saved join"):
        ft.AsofJoin.load(tmp_path / "join")
    with pytest.raises(ft.StateError, match="another flow"):
        ft.source("left").horizon_join(ft.source("right"), ["2s"]).start(run.state)
