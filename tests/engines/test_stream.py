"""A large frame from empty state, which is scanned in one go: the same as read beforehand, and without its memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import stream, wavefront
from tests.frames import same
from tests.stress import crossed

ROWS = 1_000
STEPS = {
    "windows": [
        ft.midprice(),
        ft.rolling_std("mid", window=7),
        ft.ewma("rolling_std", span=3),
        ft.rolling_max("mid", window=9),
    ],
    "whole numbers": [ft.lag("id", dtype="int64"), ft.log_returns("bid")],
    "times": [ft.rolling_mean("bid", window="40ms"), ft.vwap("bid", "ask")],
    "bars": [ft.time_bars("bid", "ask", frequency="100ms")],
}
ORDERS = ["by time", "by symbol", "by symbol and none goes back", "one symbol"]


def ticks(order: str) -> pd.DataFrame:
    random = np.random.default_rng(3)
    bid = 100 + np.cumsum(random.normal(size=ROWS))
    frame = pd.DataFrame(
        {
            "symbol": pd.Categorical(random.choice(["C", "A", "D"], ROWS), categories=["A", "B", "C", "D"]),
            "ts": pd.to_datetime(np.cumsum(random.integers(0, 3, ROWS)) * 10**6 + 7 * 3600 * 10**9, utc=True),
            "bid": np.where(random.random(ROWS) < 0.1, np.nan, bid),
            "ask": bid + 1,
            "id": random.integers(2**60, 2**61, ROWS),
        }
    )
    if order == "one symbol":
        return frame.assign(symbol=pd.Categorical(["C"] * ROWS, categories=["A", "C"]))
    if order == "by time":
        return frame
    frame = frame.sort_values("symbol", kind="stable", ignore_index=True)
    return frame.assign(ts=np.sort(frame["ts"])) if "none" in order else frame


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wavefront, "MORSEL", 97)
    monkeypatch.setattr(stream, "LONG", 20)
    monkeypatch.setattr(stream, "CHUNK", 150)


def step_by_step(pipeline: ft.Pipeline, frame: Any) -> Any:
    """Return what a run gives, which reads a frame before it touches its state."""
    run = pipeline.start()
    result = run(frame)
    if not pipeline.emits:
        return result
    rest = run.flush()
    if isinstance(frame, pa.Table):
        return pa.concat_tables([result, pa.Table.from_pandas(rest, schema=result.schema, preserve_index=False)])
    return pd.concat([result, rest], ignore_index=True)


OPTIONS: list[dict[str, Any]] = [{}, {"time": None}, {"session": "UTC 07:00"}, {"symbol": None}]


@pytest.mark.parametrize(
    ("order", "steps", "options"),
    [
        (order, steps, options)
        for order in ORDERS
        for steps in STEPS
        for options in OPTIONS
        # Some steps need times, and without symbols rows that are sorted by them are in no order.
        if not ("time" in options and steps in ("times", "bars")) and not ("symbol" in options and order == "by symbol")
    ],
    ids=str,
)
def test_it_is_what_a_run_gives(order: str, steps: str, options: dict[str, Any]) -> None:
    frame = ticks(order)
    pipeline = ft.Pipeline(*STEPS[steps], **options)
    expected = step_by_step(pipeline, frame)
    same(pipeline(frame), expected)
    table = pa.Table.from_pandas(frame)
    same(pipeline(table).to_pandas(), step_by_step(pipeline, table).to_pandas())


@crossed(at=[0, 1, 96, 97, 98, 149, 150, 500, ROWS - 1], order=list(ORDERS), wrong=["earlier", "no time", "no symbol"])
def test_what_is_wrong_is_said_as_by_a_run(at: int, order: str, wrong: str) -> None:
    frame = ticks(order)
    if wrong == "earlier":
        frame.loc[at, "ts"] -= pd.Timedelta("1h")
    elif wrong == "no time":
        frame.loc[at, "ts"] = pd.NaT
    else:
        frame.loc[at, "symbol"] = None
    pipeline = ft.Pipeline(ft.midprice(), ft.ewma("mid", span=3))
    messages: list[str | None] = []
    for call in (pipeline, pipeline.start()):
        try:
            call(frame)
            messages.append(None)
        except ft.FintechToolkitError as error:
            messages.append(str(error))
    assert messages[0] == messages[1]
    assert messages[0] is not None or wrong == "earlier"


CODED: dict[str, Callable[[pa.Table], Any]] = {
    "pandas": lambda table: table.to_pandas(),
    "pandas by symbol": lambda table: table.to_pandas().sort_values("symbol", kind="stable", ignore_index=True),
    "Arrow": lambda table: table,
    "a batch": lambda table: table.to_batches()[0],
}


POOLS: list[pa.MemoryPool] = []
"""Kept, as what was allocated from them does not keep them."""


@pytest.mark.parametrize("form", CODED)
def test_codes_and_checks_take_no_memory_that_grows_with_the_rows(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wavefront, "MORSEL", 1 << 14)
    monkeypatch.setattr(stream, "CHUNK", 1 << 16)
    rows = 1_000_000
    numbers = np.arange(rows)
    frame = CODED[form](
        pa.table(
            {
                "symbol": pa.DictionaryArray.from_arrays(numbers.astype(np.int32) % 300, [f"S{j}" for j in range(300)]),
                "ts": pa.array(numbers).cast(pa.timestamp("ns", "UTC")),
                "bid": np.linspace(1, 2, rows),
                "ask": np.linspace(2, 3, rows),
            }
        )
    )
    pipeline = ft.midprice() | ft.ewma("mid", span=9)
    pipeline(frame)
    pool = pa.default_memory_pool()
    POOLS.append(counted := pa.proxy_memory_pool(pool))
    pa.set_memory_pool(counted)
    tracemalloc.start()
    try:
        result = pipeline(frame)
        peak = tracemalloc.get_traced_memory()[1] + counted.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(pool)
    assert len(result) == rows
    outputs = 2 * 8 * rows
    size = int(frame.memory_usage(index=False).sum()) if isinstance(frame, pd.DataFrame) else frame.nbytes
    assert peak - outputs < 0.15 * size
