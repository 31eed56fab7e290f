"""Signals have the same bits on pandas, Arrow, Dask in both plans, frame by frame, and as streams."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pytest
from distributed import Client
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.signals import COLUMNS, outcomes_flow, signals, signals_flow
from tests.frames import same
from tests.signals.worlds import World, world

FLOW = signals_flow()
SOURCES = ("prices", "vix", "spx")


@pytest.fixture(scope="module")
def gappy() -> World:
    return world(400, 4, seed=7)


@pytest.fixture(scope="module")
def expected(gappy: World) -> pd.DataFrame:
    return in_order(signals(**gappy)[list(COLUMNS[:-2])])


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["timestamp", "contract"], ignore_index=True)


def test_arrow(gappy: World, expected: pd.DataFrame) -> None:
    got = FLOW(**{name: pa.Table.from_pandas(frame) for name, frame in gappy.items()}).to_pandas()
    same(in_order(got.astype(expected.dtypes.to_dict())), expected)


@pytest.mark.parametrize("plan", ["in time order", "by contract"])
def test_dask(gappy: World, expected: pd.DataFrame, plan: str, client: Client) -> None:
    """Partitions in time order hand the state on; those of whole contracts need nobody."""
    prices = dd.from_pandas(gappy["prices"], npartitions=3, sort=False)
    if plan == "by contract":
        prices = ft.partition_by_symbol(prices, symbol="contract", time="timestamp", npartitions=2)
    with dask.config.set({"dataframe.convert-string": False}):
        got = FLOW(**gappy | {"prices": prices}).compute()
    same(in_order(got.astype(expected.dtypes.to_dict())), expected)


def slices(world: World, parts: int) -> list[World]:
    """Cut all three feeds at the same instants."""
    first, last = world["prices"]["timestamp"].min(), world["prices"]["timestamp"].max()
    edges = [first + (last - first) * part / parts for part in range(parts)] + [last + pd.Timedelta("1D")]
    return [
        {name: frame[(frame["timestamp"] >= a) & (frame["timestamp"] < b)] for name, frame in world.items()}
        for a, b in pairwise(edges)
    ]


def test_frame_by_frame(gappy: World, expected: pd.DataFrame) -> None:
    run = FLOW.start()
    made = [run(**part) for part in slices(gappy, 17)] + [run.flush()]
    same(in_order(pd.concat(frame for frame in made if frame is not None)), expected)


def test_streams_with_what_came_of_them(gappy: World, expected: pd.DataFrame) -> None:
    """Signals as they are known, outcomes a row later, and the running win rate of the batch."""
    streams = {name: Stream() for name in SOURCES}
    live = FLOW.live(**streams)
    rows = live.sink_to_list()
    outcomes: Any = outcomes_flow(ft.source("signals")).live(signals=live)
    answers = outcomes.sink_to_list()
    for part in slices(gappy, 17):
        for name in SOURCES:
            if len(part[name]):
                streams[name].emit(part[name])
    known = sum(map(len, rows))
    assert len(expected) - 40 < known < len(expected)  # the last wait for what the indices may still say
    live.flush()
    outcomes.flush()
    same(in_order(pd.concat(rows)), expected)
    whole = outcomes_flow()(**gappy)
    by = ["ts", "contract"]
    same(*(frame.sort_values(by, ignore_index=True) for frame in (pd.concat(answers), whole)))
