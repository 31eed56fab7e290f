"""A five-step pipeline, everything counted, against Polars and pandas; one thread against two; cost against size."""

from __future__ import annotations

import time
from typing import Any

import numba
import pandas as pd
import polars as pl
import pyarrow as pa

import fintech_toolkit as ft
from benchmarks.measure import compare, medians, peak_memory, quotes

TITLE = "Five steps (mid, log return, EWMA and EW std, rolling z-score), from frame to frame"


def features() -> ft.Pipeline:
    """Return the pipeline that all of these benchmarks run."""
    return ft.Pipeline(
        ft.midprice(),
        ft.log_returns("mid"),
        ft.ewma("log_return", halflife=50),
        ft.ewstd("log_return", halflife=50),
        ft.rolling_zscore("log_return", window=100),
    )


def polars_features(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the same columns by Polars."""
    returns = pl.col("log_return")
    mean, std = returns.rolling_mean(100), returns.rolling_std(100)
    return (
        frame.with_columns(mid=(pl.col("bid") + pl.col("ask")) / 2)
        .with_columns(log_return=(pl.col("mid").log().diff()).over("symbol"))
        .with_columns(
            ewma=returns.ewm_mean(half_life=50).over("symbol"),
            ewstd=returns.ewm_std(half_life=50).over("symbol"),
            zscore=((returns - mean) / std).over("symbol"),
        )
    )


def pandas_features(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the same columns by pandas."""
    import numpy as np

    mid = (frame["bid"] + frame["ask"]) / 2
    out = frame.assign(mid=mid, log_return=np.log(mid).groupby(frame["symbol"], observed=True).diff())
    groups = out.groupby("symbol", observed=True)["log_return"]
    out["ewma"] = groups.ewm(halflife=50).mean().droplevel(0)
    out["ewstd"] = groups.ewm(halflife=50).std().droplevel(0)
    rolling = groups.rolling(100)
    out["zscore"] = (out["log_return"] - rolling.mean().droplevel(0)) / rolling.std().droplevel(0)
    return out


def run(short: bool = False) -> list[dict[str, Any]]:
    """Measure; `short` is a small form that shows that all of it works."""
    rows, symbols, repeats = (20_000, 50, 1) if short else (10_000_000, 1000, 5)
    coded = quotes(rows, symbols)
    strings = coded.assign(symbol=coded["symbol"].astype("str"))
    pipeline = features()
    result = []
    for name, frame, targets in (
        ("coded symbols", coded, {"Polars": 6}),
        ("string symbols", strings, {"Polars": 4, "pandas": 30}),
    ):
        peer = pl.from_pandas(frame)
        took = medians({"ours": lambda f=frame: pipeline(f), "Polars": lambda p=peer: polars_features(p)}, repeats)
        took |= medians({"pandas": lambda f=frame: pandas_features(f)}, 1) if "pandas" in targets else {}
        ours = took.pop("ours")
        result += compare(f"{rows / 1e6:g} M rows, {name}", ours, took, targets)
    both = medians({"two": lambda: pipeline(coded), "one": lambda: _one_thread(pipeline, coded)}, repeats)
    result += compare("two threads", both["two"], {"one thread": both["one"]}, {"one thread": 1.6})
    result[-1]["what"] += f" (peak memory {peak_memory()})"
    return result


def _one_thread(pipeline: ft.Pipeline, frame: pd.DataFrame) -> None:
    threads = numba.config.NUMBA_NUM_THREADS
    numba.config.NUMBA_NUM_THREADS = 1
    try:
        pipeline(frame)
    finally:
        numba.config.NUMBA_NUM_THREADS = threads


def small(short: bool = False) -> list[dict[str, Any]]:
    """Return microseconds of a run for a frame of few rows, and for a single tick, when it has seen many symbols."""
    pipeline = ft.Pipeline(
        ft.midprice(),
        ft.log_returns("mid"),
        ft.ewma("log_return", halflife=50),
        ft.ofi(),
        ft.rolling_zscore("ofi", window=200),
    )
    rows, repeats, calls = 100, *((3, 2) if short else (21, 200))
    table: dict[str, dict[str, Any]] = {}
    for symbols in (100, 1_000) if short else (1_000, 1_000_000):
        every = quotes(symbols, symbols).assign(bid_size=1.0, ask_size=2.0)
        every["symbol"] = every["symbol"].cat.categories.astype("str")
        every["ts"] = every["ts"].iloc[0]
        frame = every.sample(rows, random_state=0)
        run = pipeline.start()
        run(every)
        tick = frame.iloc[0].to_dict()
        arrow = pa.Table.from_pandas(frame, preserve_index=False)
        arrays = {name: frame[name].to_numpy() for name in frame} | {"ts": frame["ts"].dt.tz_localize(None).to_numpy()}
        naive = pipeline.start()
        naive(every.assign(ts=every["ts"].dt.tz_localize(None)))
        contenders = {
            f"a pandas frame of {rows} rows": lambda run=run, frame=frame: run(frame),
            f"an Arrow table of {rows} rows": lambda run=run, arrow=arrow: run(arrow),
            f"a dict of arrays of {rows} rows": lambda run=naive, arrays=arrays: run(arrays),
            "a tick: run.tick": lambda run=run, tick=tick: run.tick(**tick),
            "for comparison, Python's own dict(…) of the tick": lambda tick=tick: dict(**tick),
        }
        to_reach = dict(zip(contenders, (150, 60, 60, 3, ""), strict=True))
        for what, seconds in medians(contenders, repeats, calls).items():
            row = table.setdefault(what, {"what": what, "at most, µs": to_reach[what]})
            row[f"{symbols:,} symbols seen, µs"] = f"{seconds * 1e6:.1f}"
    return list(table.values())


def cost_against_size(short: bool = False) -> list[dict[str, Any]]:
    """Return nanoseconds a row for 1, 10 and 50 million rows and 10, 1,000 and 100,000 symbols."""
    pipeline = features()
    table = []
    for rows in (1_000, 10_000) if short else (1_000_000, 10_000_000, 50_000_000):
        row: dict[str, Any] = {"rows": f"{rows / 1e6:g} M"}
        for symbols in (10, 100) if short else (10, 1_000, 100_000):
            frame = quotes(rows, symbols)
            best = float("inf")
            for _ in range(2 if rows > 10_000_000 else 3):
                start = time.perf_counter()
                pipeline(frame)
                best = min(best, time.perf_counter() - start)
            row[f"{symbols:,} symbols, ns a row"] = f"{best / rows * 1e9:.0f}"
        table.append(row)
    return table
