"""Joins of all pairs within an interval: against all pairs there are, against Polars, the same bits in every way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import waiting_join
from tests.frames import same
from tests.joins.feeds import feed
from tests.joins.layouts import as_pandas, by_symbol, by_time, unknown
from tests.joins.ways import in_pieces, on_streams, same_without_rules


def world(rng: np.random.Generator, rows: int, symbols: int = 3) -> pd.DataFrame:
    """A feed with missing values."""
    notes = pd.array(rng.choice(["a", "b", None], rows), "str")
    return feed(rng, rows, symbols).assign(note=notes, size=rng.integers(1, 9, rows))


def oracle(left: pd.DataFrame, right: pd.DataFrame, within: int) -> pd.DataFrame:
    """Look at all pairs there are."""
    near = [
        (i, j)
        for i, (symbol, ts) in enumerate(zip(left["symbol"], left["ts"], strict=True))
        for j, (other, then) in enumerate(zip(right["symbol"], right["ts"], strict=True))
        if symbol == other and abs((ts - then).value) <= within
    ]
    here, there = left.iloc[[i for i, _ in near]], right.iloc[[j for _, j in near]].set_axis([0] * len(near))
    added = {name if name not in left else f"{name}_right": there[name].array for name in right if name != "symbol"}
    result = here.assign(**added)
    return result.assign(known_at=result[["ts", "ts_right"]].max(axis=1).astype(left["ts"].dtype))


@pytest.mark.parametrize("seed", range(25))
def test_every_way_is_the_oracle(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    left, right = feed(rng, 2 * seed, 3), world(rng, 60 - 2 * seed)
    within = int(rng.choice([0, 1, 4, 30]))
    monkeypatch.setattr(waiting_join, "FEW", int(rng.choice([1, 4, 1000])))
    kept = left.copy(), right.copy()
    result = ft.interval_join(left, right, within)
    same(result, oracle(left, right, within))
    same(left, kept[0])
    same(right, kept[1])
    flow = ft.source("left").interval_join(ft.source("right"), within)
    same(flow(left=left, right=right), result)
    if len(left):
        same(in_pieces(flow, left, right, rng), result)
        same(in_pieces(flow, left, right, rng, tmp_path), result)
        same(on_streams(flow, left, right, rng), result)
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (left, right)]
    joined = ft.interval_join(*tables, within)
    assert joined.equals(pa.Table.from_pandas(result, schema=joined.schema, preserve_index=False))
    left_sorted, right_sorted = (frame.sort_values("symbol", kind="stable") for frame in (left, right))
    same(ft.interval_join(left_sorted, right_sorted, within), oracle(left_sorted, right_sorted, within))


def test_is_what_polars_finds() -> None:
    pl = pytest.importorskip("polars")
    rng = np.random.default_rng(5)
    left, right = feed(rng, 60, 3), world(rng, 90)
    here, there = (
        pl.DataFrame({"s": f["symbol"].tolist(), "t": f["ts"].astype("int64").to_numpy(), "id": f["id"].to_numpy()})
        for f in (left, right)
    )
    near = here.join_where(
        there,
        pl.col("s") == pl.col("s_right"),
        pl.col("t") - pl.col("t_right") <= 3,
        pl.col("t_right") - pl.col("t") <= 3,
    ).sort("id", "id_right")
    result = ft.interval_join(left, right, "3ns")
    assert result[["id", "id_right"]].to_numpy().tolist() == near.select("id", "id_right").to_numpy().tolist()


@pytest.mark.parametrize("layout", [by_time, by_symbol, unknown, as_pandas])
def test_partitions_do_not_matter(layout: Any) -> None:
    rng = np.random.default_rng(0)
    left, right = feed(rng, 70, 5), world(rng, 90, 4)
    left["symbol"] = left["symbol"].replace("S00", "only left")
    with dask.config.set({"scheduler": "threads", "dataframe.convert-string": False}):
        for lefts, rights in ((1, 1), (2, 5), (5, 2)):
            there = layout(right, rights)
            known = there if layout is as_pandas else there.compute()
            result = ft.interval_join(left, known.sort_values("ts", kind="stable"), 3)
            lazy = ft.interval_join(by_time(left, lefts), there, 3)
            assert lazy.dtypes.equals(result.dtypes)
            same(lazy.compute(), result)
            same(lazy[["size", "id"]].compute(), result[["size", "id"]])
            flow = ft.source("left").interval_join(ft.source("right"), 3)
            same(flow(left=by_time(left, lefts), right=there).compute(), result)


def test_processes_give_the_same_and_what_is_known_of_left_goes_on() -> None:
    rng = np.random.default_rng(1)
    left, right = feed(rng, 60, 4), world(rng, 90, 4)
    with dask.config.set({"scheduler": "processes", "dataframe.convert-string": False}):
        lazy = ft.interval_join(by_time(left, 3), by_time(right, 4), 3)
        same(lazy.compute(), ft.interval_join(left, right, 3))
    pairs = ft.interval_join(by_symbol(left, 3), by_time(right, 4), 3)
    assert ft.asof_explain(by_time(right, 2), pairs).name == "by symbol"


def test_rules_change_nothing_and_a_filter_goes_to_the_side_that_it_is_about() -> None:
    rng = np.random.default_rng(2)
    left, right = feed(rng, 80, 4), world(rng, 120, 4)
    flow = ft.source("left").interval_join(ft.source("right"), "3ns")
    whole = ft.interval_join(left, right, 3)
    same(same_without_rules(flow, left=left, right=right), whole)
    less = flow.filter([("price", ">", 100), ("size", ">", 4), ("symbol", "!=", "S01")]).select("symbol", "id_right")
    result = same_without_rules(less, left=left, right=right)
    kept = whole[(whole["price"] > 100) & (whole["size"] > 4) & (whole["symbol"] != "S01")]
    same(result, kept[["symbol", "id_right"]])
    plan = repr(less.explain(left=left, right=right))
    assert "source 'right', reads symbol, ts, id, where size > 4 and symbol != 'S01'" in plan
    assert "source 'left', reads symbol, ts, id, where price > 100 and symbol != 'S01'" in plan
    same_without_rules(flow.filter([("known_at", ">", left["ts"].iloc[40])]), left=left, right=right)


def test_both_times_are_kept_and_the_later_one_is_when_a_pair_is_known() -> None:
    left = pd.DataFrame({"symbol": "A", "ts": [10, 20], "known_at": pd.array([12, None], "Int64")})
    right = pd.DataFrame({"symbol": "A", "ts": [8, 9], "known_at": [11, 14]})
    result = ft.interval_join(left, right, 2)
    assert list(result.columns) == ["symbol", "ts", "known_at", "ts_right", "known_at_right"]
    assert result.to_numpy().tolist() == [["A", 10, 12, 8, 11], ["A", 10, 14, 9, 14]]
    begun = ft.interval_join(left, right, 2, left_on="ts", right_on="ts")
    assert begun["known_at"].tolist() == [12, 12]


def test_a_row_waits_until_right_has_passed_its_interval() -> None:
    run = ft.source("left").interval_join(ft.source("right"), 2).start()
    left = pd.DataFrame({"symbol": "A", "ts": [10, 11]})
    assert run(left=left, right=pd.DataFrame({"symbol": "A", "ts": [8, 12]})) is None
    assert run(right=pd.DataFrame({"symbol": "A", "ts": [12, 13]}))["ts_right"].tolist() == [8, 12, 12]
    assert run.flush()["ts_right"].tolist() == [12, 12, 13]


def test_sides_without_rows_and_bad_input() -> None:
    frame = pd.DataFrame({"symbol": ["A"], "ts": pd.to_datetime([1], utc=True), "x": [1]})
    for sides in ((frame[:0], frame), (frame, frame[:0])):
        nothing = ft.interval_join(*sides, "1s")
        assert len(nothing) == 0
        assert nothing.dtypes.equals(ft.interval_join(frame, frame, "1s").dtypes)
    with pytest.raises(ft.ParameterError, match="within='-1s' must not be negative"):
        ft.interval_join(frame, frame, "-1s")
    with pytest.raises(ft.ColumnError, match="two columns called"):
        ft.interval_join(frame, frame, "1s", suffixes=("", ""))
    with pytest.raises(ft.DataError, match="aware times in the left frame and naive ones"):
        ft.interval_join(frame, frame.assign(ts=frame["ts"].dt.tz_localize(None)), "1s")
    twice = pd.concat([frame, frame.assign(ts=frame["ts"] - pd.Timedelta("1s"))])
    with pytest.raises(ft.DataError, match=r"In the right frame: column 'ts' .*row 1"):
        ft.interval_join(frame, twice, "1s")
