"""Operations after one another on Dask frames: what one knew the next knows, and the numbers are those of pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask._task_spec import convert_legacy_graph, cull

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.partitions import partition_by_symbol
from tests.engines.ticks import ticks
from tests.frames import same

ROWS = 1_200
FIRST = ft.Pipeline(ft.ewma("bid", halflife=5))
SECOND = ft.Pipeline(ft.diff("ewma"), ft.rolling_mean("diff", window=5))
BARS = ft.Pipeline(ft.time_bars(frequency="2min"))
AFTER_BARS = ft.Pipeline(ft.ewma("close", halflife=5))


def rows() -> pd.DataFrame:
    """Ticks of which no two are at one time: files that overlap are put in one order only."""
    frame = ticks(ROWS, symbols=12)
    return frame.assign(ts=frame["ts"] + pd.to_timedelta(frame["number"], "ms"))


def filtered(frame: Any) -> Any:
    first = FIRST(frame)
    return first[first["bid"] > 99]


def assigned(frame: Any) -> Any:
    first = FIRST(frame)
    return first.assign(twice=first["ewma"] * 2)


def answers(rows: int = 300) -> pd.DataFrame:
    frame = ticks(rows, symbols=12, seed=3)[["symbol", "ts", "price"]]
    return frame.rename(columns={"price": "mark"})


def joined(frame: Any) -> Any:
    right = answers()
    return ft.asof_join(frame, dd.from_pandas(right, npartitions=3) if hasattr(frame, "dask") else right)


def nearest(frame: Any) -> Any:
    right = answers()
    right = dd.from_pandas(right, npartitions=3) if hasattr(frame, "dask") else right
    return ft.asof_join(frame, right, direction="nearest")


# What is done before the second pipeline.
BEFORE: dict[str, Callable[[Any], Any]] = {
    "a pipeline": FIRST,
    "a pipeline and a filter": filtered,
    "a pipeline and assign": assigned,
    "two pipelines": lambda f: ft.Pipeline(ft.lag("ewma"))(FIRST(f)),
    "an as-of join": lambda f: FIRST(joined(f)),
    "a pipeline and an as-of join": lambda f: joined(FIRST(f)),
    "the nearest of a join": lambda f: nearest(FIRST(f)),
    "two joins": lambda f: joined(joined(FIRST(f)).rename(columns={"mark": "old"})),
}


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, str]]:
    """Frames of the same rows, and the plan that their first pipeline takes."""
    frame = rows()
    folder = tmp_path_factory.mktemp("ticks")
    for name, part in zip("dcba", np.split(np.arange(ROWS), 4), strict=True):
        frame.iloc[part].to_parquet(folder / f"{name}.parquet")
    return {
        "in order": (dd.from_pandas(frame, npartitions=4), "chain"),
        "files out of order": (dd.read_parquet(folder), "chain"),
        "by symbol": (partition_by_symbol(dd.from_pandas(frame, npartitions=4), 4), "by_symbol"),
        "shuffled": (dd.concat([dd.from_pandas(frame.iloc[k::4], npartitions=1) for k in range(4)]), "by_symbol"),
    }


KINDS = ["in order", "files out of order", "by symbol", "shuffled"]


def by_number(frame: Any) -> pd.DataFrame:
    whole = frame.compute(scheduler="sync") if hasattr(frame, "dask") else frame
    return whole.sort_values("number").reset_index(drop=True).astype({"symbol": "str", "venue": "str"})


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_after_something_needs_no_shuffle_of_its_own(kind: str, before: str, frames: Any) -> None:
    frame, plan = frames[kind]
    first = BEFORE[before](frame)
    assert SECOND.explain(first).name == plan
    expected = SECOND(BEFORE[before](rows()))
    same(by_number(SECOND(first)), by_number(expected))


def narrowed(frame: Any) -> Any:
    return FIRST(frame)[["number", "symbol", "ts", "ewma", "venue"]]


def other_symbols(frame: Any) -> Any:
    first = FIRST(frame)
    return first.assign(symbol=first["symbol"] + "'")


@pytest.mark.parametrize(
    ("before", "once"),
    [(FIRST, True), (narrowed, True), (filtered, False), (other_symbols, False), (BARS, False)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_right_after_one_does_not_encode_its_symbols_again(
    kind: str, before: Any, once: bool, frames: Any
) -> None:
    second = AFTER_BARS if before is BARS else SECOND
    result = second(before(frames[kind][0]))
    result = result.optimize()
    graph = cull(convert_legacy_graph(result.__dask_graph__()), result.__dask_keys__())
    names = {key[0] for key in graph if isinstance(key, tuple)}
    assert any(name.startswith("encoded-") for name in names) is once
    if before is narrowed:
        expected = second(before(rows()))
        same(by_number(result), by_number(expected))


@pytest.mark.parametrize("kind", ["in order", "by symbol"])
def test_symbols_that_were_encoded_have_other_codes_in_a_state_that_knows_some(kind: str, frames: Any) -> None:
    before = rows().iloc[:300]
    first, second = FIRST.start(), SECOND.start()
    second(first(before.iloc[::-1].sort_values("ts", kind="stable").query("symbol > 'S004'")))
    runs = FIRST.start_dask(), SECOND.start_dask(second.state)
    later = frames[kind][0].assign(ts=frames[kind][0]["ts"] + pd.Timedelta("1D"))
    plan = "chain" if kind == "in order" else "by_symbol"
    result = runs[1](runs[0](later, plan=plan), plan=plan)
    expected = second(FIRST(rows().assign(ts=rows()["ts"] + pd.Timedelta("1D"))))
    same(by_number(result), by_number(expected))


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_after_bars(kind: str, frames: Any) -> None:
    frame, plan = frames[kind]
    bars = BARS(frame)
    assert AFTER_BARS.explain(bars).name == plan
    got = AFTER_BARS(bars).compute(scheduler="sync").astype({"symbol": "str"})
    expected = AFTER_BARS(BARS(rows()))
    order = ["symbol", "ts"]
    same(got.sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True))


def test_bars_whose_partitions_were_taken_in_another_order_are_not_known_to_be_in_order(frames: Any) -> None:
    bars = BARS(frames["in order"][0])
    assert AFTER_BARS.explain(bars.partitions[:3]).name == "chain"
    assert AFTER_BARS.explain(bars.partitions[::-1]).name == "shuffle"
    other = ft.Pipeline(ft.ewma("close", halflife=5), time="known_at", symbol="symbol")
    assert other.explain(bars).name == "chain"
    assert ft.Pipeline(ft.ewma("close", halflife=5), columns={"close": "high"}).explain(bars).name == "chain"


def shuffles(frame: Any) -> int:
    return sum("shuffle" in str(key).lower() for key in frame.optimize().dask)


@pytest.mark.parametrize("after", [lambda f: f, FIRST, joined, lambda f: f.rename(columns={"symbol": "symbol"})])
def test_dask_groups_by_symbol_without_a_shuffle_of_its_own(after: Any, frames: Any) -> None:
    frame = after(frames["by symbol"][0])
    spread = frame.groupby("symbol").apply(lambda g: g["bid"].max() - g["bid"].min(), meta=("spread", "f8"))
    ordinary = after(frames["in order"][0]).groupby("symbol").apply(lambda g: g["bid"].max(), meta=("spread", "f8"))
    assert shuffles(spread) - shuffles(frame) <= 0 < shuffles(ordinary)
    whole = rows().groupby("symbol")["bid"]
    got = spread.compute(scheduler="sync").sort_index()
    np.testing.assert_array_equal(got, (whole.max() - whole.min()).sort_index())


def test_frames_that_are_by_symbol_each_in_its_own_way_are_still_merged_right(frames: Any) -> None:
    left = frames["by symbol"][0]
    facts = pd.DataFrame({"symbol": [f"S{k:02d}" for k in range(12)] * 40, "fact": np.arange(480.0)})
    facts = facts.assign(ts=pd.Timestamp("2026-01-02", tz="UTC")).sample(frac=1, random_state=2)
    right = partition_by_symbol(dd.from_pandas(facts, npartitions=4, sort=False), 4)
    merged = left[["symbol", "number"]].merge(right[["symbol", "fact"]], on="symbol").compute(scheduler="sync")
    plain = rows()[["symbol", "number"]].merge(facts[["symbol", "fact"]], on="symbol")
    order = ["number", "fact"]
    np.testing.assert_array_equal(
        merged.sort_values(order)[order].to_numpy(), plain.sort_values(order)[order].to_numpy()
    )
