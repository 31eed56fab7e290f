"""What is used a second time gives what it gave the first: pipelines, runs, states, lazy frames, kernels on arrays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.partitions import partition_by_symbol
from tests.frames import features, same, ticks
from tests.stress import crossed


def bars() -> ft.Pipeline:
    return ft.Pipeline(ft.time_bars(frequency="2s"))


def first() -> pd.DataFrame:
    return ticks(400, symbols=5).reset_index(drop=True).drop(columns=["venue", "note"])


SECOND: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "the same": lambda frame: frame,
    "other symbols": lambda frame: frame.assign(symbol="X" + frame["symbol"]),
    "fewer symbols": lambda frame: frame[frame["symbol"] == "S03"].reset_index(drop=True),
    "more symbols": lambda frame: ticks(900, symbols=70, seed=3).reset_index(drop=True).drop(columns=["venue", "note"]),
    "integers as symbols": lambda frame: frame.assign(symbol=frame["symbol"].str[1:].astype("int64")),
    "naive times": lambda frame: frame.assign(ts=frame["ts"].dt.tz_localize(None)),
    "an earlier day": lambda frame: frame.assign(ts=frame["ts"] - pd.Timedelta("1D")),
    "no rows": lambda frame: frame.iloc[:0],
}


def on_pandas(pipeline: ft.Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    return pipeline(frame)


def on_arrow(pipeline: ft.Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    return pipeline(pa.Table.from_pandas(frame, preserve_index=False)).to_pandas()


def in_pieces(pipeline: ft.Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    run = pipeline.start()
    parts = [run(frame.iloc[a:b]) for a, b in pairwise([0, 60, 300, max(300, len(frame))])]
    return pd.concat([*parts, run.flush()] if pipeline.emits else parts)


def on_a_stream(pipeline: ft.Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    source = Stream()
    enriched = pipeline.live(source)
    parts = enriched.sink_to_list()
    source.emit(frame.iloc[:100])
    source.emit(frame.iloc[100:])
    return pd.concat([*parts, enriched.run.flush()] if pipeline.emits else parts)


def on_dask(plan: str) -> Callable[[ft.Pipeline, pd.DataFrame], pd.DataFrame]:
    def run(pipeline: ft.Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
        lazy = dd.from_pandas(frame, npartitions=3)
        if plan == "by_symbol":
            lazy = partition_by_symbol(lazy, 2)
        return pipeline(lazy, plan=plan).compute()

    return run


ENGINES = {
    "pandas": on_pandas,
    "Arrow": on_arrow,
    "pieces": in_pieces,
    "stream": on_a_stream,
    **{plan: on_dask(plan) for plan in ("chain", "by_symbol", "shuffle")},
}


@pytest.fixture(autouse=True)
def one_process() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


@crossed(second=list(SECOND), engine=list(ENGINES), make=[features, bars])
def test_a_pipeline_remembers_nothing_of_a_frame(second: str, engine: str, make: Any) -> None:
    one, run = first(), ENGINES[engine]
    other = SECOND[second](one)
    used = make()
    before, between, after = run(used, one), run(used, other), run(used, one)
    same(after, before)
    same(between, run(make(), other))


def test_two_runs_of_one_pipeline_take_turns() -> None:
    pipeline = features()
    frames = first(), ticks(400, symbols=9, seed=5)
    runs = [pipeline.start(), pipeline.start()]
    parts: list[list[pd.DataFrame]] = [[], []]
    for a, b in pairwise([0, 1, 130, 400]):
        for run, frame, mine in zip(runs, frames, parts, strict=True):
            mine.append(run(frame.iloc[a:b]))
    for frame, mine in zip(frames, parts, strict=True):
        same(pd.concat(mine), features()(frame))


def test_threads_may_share_a_pipeline() -> None:
    pipeline = features()
    frames = [ticks(2_000, symbols=3 + j, seed=j) for j in range(6)]
    together = threading.Barrier(len(frames))

    def work(frame: pd.DataFrame) -> pd.DataFrame:
        together.wait()
        return pipeline(frame)

    with ThreadPoolExecutor(len(frames)) as pool:
        for frame, result in zip(frames, pool.map(work, frames), strict=True):
            same(result, features()(frame))


@pytest.mark.parametrize("make", [features, bars])
def test_a_state_is_started_from_as_often_as_one_likes(make: Any) -> None:
    frame = first()
    run = make().start()
    run(frame.iloc[:200])
    state = run.state
    results = [make().start(state)(frame.iloc[200:]) for _ in range(3)]
    for result in [*results, run(frame.iloc[200:])]:
        same(result, results[0])


@pytest.mark.parametrize("make", [features, bars])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 1, 0, 2, 2]], ids=str)
def test_lazy_frames_of_a_run_are_computed_in_any_order_and_again(make: Any, order: list[int]) -> None:
    frame = first()
    edges = list(pairwise([0, 150, 151, 400]))
    run, reference = make().start_dask(), make().start()
    lazy = [run(dd.from_pandas(frame.iloc[a:b], npartitions=2)) for a, b in edges]
    expected = [reference(frame.iloc[a:b]) for a, b in edges]

    def check(day: int) -> None:
        # Dask has its own dtype of strings.
        got = lazy[day].compute().reset_index(drop=True).astype({"symbol": "str"})
        same(got, expected[day].reset_index(drop=True))

    for day in order:
        check(day)
    state = run.state.compute()
    same(state.frame(), reference.state.frame())
    check(order[0])
    later = frame.iloc[-20:].assign(ts=frame["ts"].iloc[-20:] + pd.Timedelta("1h"))
    same(make().start(state)(later), reference(later))


def test_kernels_on_arrays_take_one_shape_and_dtype_after_the_other() -> None:
    x = np.random.default_rng(0).integers(0, 50, (3, 40))
    calls = [x[0], x[0].astype(float), x, x.astype("float32"), x[0, ::2], x[0, :0], x[0].tolist(), pd.Series(x[1])]
    before = [np.asarray(ft.rolling_mean(values, window=4, axis=-1)) for values in calls]
    after = [np.asarray(ft.rolling_mean(values, window=4, axis=-1)) for values in reversed(calls)]
    for one, other in zip(before, reversed(after), strict=True):
        assert_array_equal(one, other, strict=True)
    assert_array_equal(before[0], before[1])
    assert_array_equal(before[2], before[3])
    assert_array_equal(before[2][0], before[0])
    assert_array_equal(before[0], before[6])
    swept = ft.rolling_mean(x[0], window=[4, 9], axis=-1)
    assert_array_equal(swept[0], before[0])
    assert_array_equal(ft.rolling_mean(x[0], window=4, axis=-1), before[0])
