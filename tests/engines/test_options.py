"""Every option of a pipeline on every engine: the bits of what the option stands for, written out by hand.

What an option means is said by a reference that does not use it: a session is a frame of its own, `columns` is a
renamed frame, no `symbol` is one symbol. Each engine is handed the pipeline with the option.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.partitions import partition_by_symbol
from tests.frames import ticks

ROWS = 900
WINDOW = 20
CUTS = [0, 1, 1, 250, 251, 640, ROWS]
"""Where frames are cut into pieces and partitions; one piece is empty, two are of one row."""

EVENING = "America/New_York 17:00"
START = pd.Timestamp("2024-03-08 12:00", tz="UTC")
"""Two days before the clocks of New York change."""


def market() -> pd.DataFrame:
    """Return ticks of four days, many at one time, few enough a day for windows to reach back into the day before."""
    frame = ticks(ROWS, symbols=4).reset_index(drop=True)
    share = np.arange(ROWS) // 3 * 3 / ROWS
    return frame.assign(ts=START + pd.to_timedelta((share * 4 * 86_400).round(), unit="s"), number=np.arange(ROWS))


def steps(mid: str = "price") -> tuple[Any, ...]:
    """Return a step of every sort: no state, a tick's state, windows of rows and of time, one that outlives windows."""
    return (
        ft.midprice(),
        ft.ewma(mid, span=9),
        ft.rolling_std(mid, window=WINDOW, min_periods=WINDOW),
        ft.rolling_max("mid", window=WINDOW).named("top"),
        ft.rolling_mean("mid", window="9h").named("slow"),
        ft.lag(mid, k=3),
    )


def bars() -> Any:
    return ft.time_bars(frequency="5h")


def each_session(frame: pd.DataFrame, pipeline: ft.Pipeline) -> pd.DataFrame:
    """Return what a pipeline without sessions gives for each day alone: one ends at 17:00 in New York."""
    day = (frame["ts"].dt.tz_convert("America/New_York").dt.tz_localize(None) + pd.Timedelta("7h")).dt.floor("D")
    return pd.concat([pipeline(own) for _, own in frame.groupby(day, sort=False)])


@dataclass(frozen=True)
class Option:
    """A pipeline with an option, the frame that it takes, and what it must give, got without the option."""

    pipeline: ft.Pipeline
    change: Callable[[pd.DataFrame], pd.DataFrame]
    expected: Callable[[pd.DataFrame], pd.DataFrame]


def as_it_is(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def renamed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns={"bid": "best bid", "ask": "a", "price": "ts_2"})


def together(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what one symbol gives to whom all rows belong."""
    alone = ft.Pipeline(*steps())(frame.assign(symbol="ONE"))
    return alone.assign(symbol=frame["symbol"])


def without_time(*made: Any) -> tuple[Any, ...]:
    return tuple(step for step in made if not step.kernel.by_time(step.parameters))


OPTIONS = {
    "none": Option(ft.Pipeline(*steps()), as_it_is, ft.Pipeline(*steps())),
    "session": Option(
        ft.Pipeline(*steps(), session=EVENING),
        as_it_is,
        lambda frame: each_session(frame, ft.Pipeline(*steps())),
    ),
    "columns": Option(
        ft.Pipeline(*steps(), columns={"bid": "best bid", "ask": "a", "price": "ts_2"}),
        renamed,
        lambda frame: renamed(ft.Pipeline(*steps())(frame)),
    ),
    "columns and session": Option(
        ft.Pipeline(*steps(), columns={"bid": "best bid", "ask": "a", "price": "ts_2"}, session=EVENING),
        renamed,
        lambda frame: renamed(each_session(frame, ft.Pipeline(*steps()))),
    ),
    "other names of symbol and time": Option(
        ft.Pipeline(*steps(), symbol="ticker", time="when"),
        lambda frame: frame.rename(columns={"symbol": "ticker", "ts": "when"}),
        lambda frame: ft.Pipeline(*steps())(frame).rename(columns={"symbol": "ticker", "ts": "when"}),
    ),
    "min_periods of the window": Option(
        ft.Pipeline(ft.rolling_mean("price", window=WINDOW, min_periods=WINDOW)),
        as_it_is,
        ft.Pipeline(ft.rolling_mean("price", window=WINDOW)),
    ),
    "time=None": Option(
        ft.Pipeline(*without_time(*steps()), time=None), as_it_is, ft.Pipeline(*without_time(*steps()))
    ),
    "symbol=None": Option(ft.Pipeline(*steps(), symbol=None), as_it_is, together),
    "neither symbol nor time": Option(
        ft.Pipeline(*without_time(*steps()), symbol=None, time=None),
        as_it_is,
        lambda frame: together(frame).drop(columns="slow"),
    ),
}

EVENTS = {
    "none": Option(ft.Pipeline(bars()), as_it_is, ft.Pipeline(bars())),
    "columns": Option(
        ft.Pipeline(bars(), columns={"price": "ts_2"}),
        renamed,
        ft.Pipeline(bars()),
    ),
    "other names of symbol and time": Option(
        ft.Pipeline(bars(), symbol="ticker", time="when"),
        lambda frame: frame.rename(columns={"symbol": "ticker", "ts": "when"}),
        lambda frame: ft.Pipeline(bars())(frame).rename(columns={"symbol": "ticker"}),
    ),
}


def partitions(frame: pd.DataFrame) -> Any:
    pieces = [frame.iloc[a:b] for a, b in pairwise(CUTS)]
    return dd.from_map(lambda piece: piece, pieces, meta=frame.iloc[:0])


def in_pieces(pipeline: ft.Pipeline, frame: pd.DataFrame) -> list[Any]:
    """Run piece by piece, each piece peeked at before."""
    run, parts = pipeline.start(), []
    for a, b in pairwise(CUTS):
        run.peek(frame.iloc[a:b])
        parts.append(run(frame.iloc[a:b]))
    return [*parts, run.flush()] if pipeline.emits else parts


def as_pandas(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    return pipeline(frame)


def as_table(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    return pipeline(pa.Table.from_pandas(frame, preserve_index=False)).to_pandas()


def as_batch(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    return pipeline(pa.RecordBatch.from_pandas(frame, preserve_index=False)).to_pandas()


def as_dict(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    result = pd.DataFrame(pipeline({name: frame[name] for name in frame}))
    times = result.select_dtypes("datetime").columns  # NumPy knows no zones
    return result.assign(**{name: result[name].dt.tz_localize("UTC") for name in times})


def as_categories(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    name = pipeline.symbol or "symbol"
    result = pipeline(frame.assign(**{name: frame[name].astype("category")}))
    return result.assign(**{name: result[name].astype("str")}) if name in result else result


def chained(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    return pipeline(partitions(frame), plan="chain").compute()


def by_symbol(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    apart = partition_by_symbol(
        partitions(frame), 3, symbol=pipeline.symbol or "symbol", **({"time": pipeline.time} if pipeline.time else {})
    )
    return pipeline(apart, plan="by_symbol").compute()


def shuffled(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    return pipeline(partitions(frame), plan="shuffle").compute()


def piecewise(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    return pd.concat(in_pieces(pipeline, frame))


def saved_and_loaded(pipeline: ft.Pipeline, frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    parts, state = [], None
    for a, b in pairwise(CUTS):
        run = pickle.loads(pickle.dumps(pipeline)).start(state)
        parts.append(run(frame.iloc[a:b]))
        run.state.save(folder / "state.parquet")
        state = ft.State.load(folder / "state.parquet")
    return pd.concat([*parts, pipeline.start(state).flush()] if pipeline.emits else parts)


def streamed(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    source = Stream()
    enriched = pipeline.live(source)
    parts = enriched.sink_to_list()
    for a, b in pairwise(CUTS):
        source.emit(frame.iloc[a:b])
    return pd.concat([*parts, enriched.run.flush()] if pipeline.emits else parts)


def over_days(pipeline: ft.Pipeline, frame: pd.DataFrame, _: Path) -> pd.DataFrame:
    """Run on Dask one half after the other, the second on from the state that the first will have left."""
    run = pipeline.start_dask()
    halves = [run(dd.from_pandas(half, npartitions=2)) for half in (frame.iloc[:400], frame.iloc[400:])]
    *parts, state = dask.compute(*halves, run.state)
    return pd.concat([*parts, pipeline.start(state).flush()] if pipeline.emits else parts)


ENGINES = {
    engine.__name__: engine
    for engine in (
        as_pandas,
        as_table,
        as_batch,
        as_dict,
        as_categories,
        chained,
        by_symbol,
        shuffled,
        piecewise,
        saved_and_loaded,
        streamed,
        over_days,
    )
}
BY_SYMBOL = (by_symbol, shuffled)


@pytest.fixture(autouse=True)
def one_process() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


def assert_same_bits(actual: pd.DataFrame, expected: pd.DataFrame, given: list[str]) -> None:
    assert len(actual) == len(expected)
    for name in given:
        mine, theirs = actual[name].to_numpy(), expected[name].to_numpy()
        assert mine.dtype == theirs.dtype, name
        if theirs.dtype == np.float64:
            mine, theirs = mine.view(np.int64), theirs.view(np.int64)
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_an_option_means_the_same_on_every_engine(option: Option, engine: Any, tmp_path: Path) -> None:
    frame = market()
    changed, pipeline = option.change(frame), option.pipeline
    if pipeline.symbol is None and engine in BY_SYMBOL:
        with pytest.raises(ft.PipelineError, match="needs symbols; this pipeline has symbol=None"):
            engine(pipeline, changed, tmp_path)
        return
    result, expected = engine(pipeline, changed, tmp_path), option.expected(frame).sort_values("number")
    assert list(result.columns) == [*changed.columns, *pipeline.gives]
    if engine not in BY_SYMBOL:
        np.testing.assert_array_equal(result["number"], frame["number"])
    assert_same_bits(result.sort_values("number"), expected, ["number", *pipeline.gives])


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("option", EVENTS.values(), ids=EVENTS)
def test_an_option_means_the_same_for_rows_that_are_emitted(option: Option, engine: Any, tmp_path: Path) -> None:
    frame = market()
    pipeline = option.pipeline
    result, expected = engine(pipeline, option.change(frame), tmp_path), option.expected(frame)
    keys = [pipeline.symbol or "symbol", "ts"]
    result, expected = (rows.sort_values(keys, ignore_index=True) for rows in (result, expected))
    assert list(result.columns) == pipeline.gives
    assert not result["complete"].all(), "the last bar of a symbol is unfinished"
    numbers = [name for name in pipeline.gives if name not in ("known_at", "ts", *keys)]
    assert_same_bits(result, expected, numbers)
    for name in (*keys, "known_at"):
        pd.testing.assert_series_equal(result[name].astype("str"), expected[name].astype("str"), check_names=False)
    per_symbol = frame.groupby("symbol").size()
    np.testing.assert_array_equal(expected.groupby(keys[0])["count"].sum(), per_symbol)
