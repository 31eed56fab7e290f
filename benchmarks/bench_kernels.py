"""Single kernels on coded symbols against Polars, pandas, TA-Lib, bottleneck and numbagg, and every kernel's speed."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import bottleneck
import numbagg
import numpy as np
import polars as pl
import talib

import fintech_toolkit as ft
from benchmarks.measure import compare, medians, quotes
from fintech_toolkit.kernels import registry
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.scan import NO_SESSION, Scan

TITLE = "Kernels, one thread of ours, 1,000 symbols interleaved (per-symbol peers on sorted data)"

FIRST_CALL = """
import sys, time
import numpy as np, pandas as pd
import fintech_toolkit as ft
frame = pd.DataFrame({"symbol": "A", "ts": pd.to_datetime([0, 1], utc=True), "mid": [1.0, 2.0]})
pipeline = ft.Pipeline(ft.ewma("mid", span=9))
start = time.perf_counter()
pipeline(frame)
print(time.perf_counter() - start)
"""


def run(short: bool = False) -> list[dict[str, Any]]:
    """Measure; `short` is a small form that shows that all of it works."""
    rows, symbols, repeats = (20_000, 50, 1) if short else (10_000_000, 1000, 5)
    frame = quotes(rows, symbols)
    codes = frame["symbol"].cat.codes.to_numpy().astype(np.uint32)
    x = frame["bid"].to_numpy()
    order = np.argsort(codes, kind="stable")
    sorted_codes, sorted_x = codes[order], x[order]
    edges = np.searchsorted(sorted_codes, np.arange(symbols + 1))
    series = [sorted_x[a:b] for a, b in pairwise(edges)]
    interleaved = pl.DataFrame({"symbol": codes, "x": x})

    def scan(*steps: Any, by: np.ndarray = codes, values: np.ndarray = x) -> None:
        for step in steps:
            ready = Scan(step)
            ready.run(ready.fresh(symbols), symbols, by, NO_SESSION, NO_SESSION, [values])

    ewma = ft.ewma("x", span=20, adjust=False)
    spread = [ft.rolling_mean("x", window=100), ft.rolling_std("x", window=100)]
    mean, std = pl.col("x").rolling_mean(100), pl.col("x").rolling_std(100)
    took = medians(
        {
            "ewma": lambda: scan(ewma),
            "ewma sorted": lambda: scan(ewma, by=sorted_codes, values=sorted_x),
            "ewma Polars": lambda: interleaved.with_columns(pl.col("x").ewm_mean(span=20, adjust=False).over("symbol")),
            "ewma TA-Lib": lambda: [talib.EMA(part, 20) for part in series],
            "ewma numbagg": lambda: [numbagg.move_exp_nanmean(part, alpha=2 / 21) for part in series],
            "rolling": lambda: scan(*spread),
            "rolling sorted": lambda: scan(*spread, by=sorted_codes, values=sorted_x),
            "rolling Polars": lambda: interleaved.with_columns(mean.over("symbol"), std.over("symbol").alias("std")),
            "rolling bottleneck": lambda: [
                (bottleneck.move_mean(part, 100, 1), bottleneck.move_std(part, 100, 2, ddof=1)) for part in series
            ],
        },
        repeats,
    )
    pandas_time = medians(
        {"pandas": lambda: frame.groupby("symbol", observed=True)["bid"].ewm(span=20, adjust=False).mean()}, 1
    )
    return [
        *compare(
            "EWMA, interleaved",
            took["ewma"],
            {"Polars over": took["ewma Polars"], "pandas groupby": pandas_time["pandas"]},
            {"Polars over": 10, "pandas groupby": 50},
        ),
        *compare(
            "EWMA, sorted by symbol",
            took["ewma sorted"],
            {"TA-Lib EMA per symbol": took["ewma TA-Lib"], "numbagg per symbol": took["ewma numbagg"]},
            {"TA-Lib EMA per symbol": 1},
        ),
        *compare(
            "rolling mean + std (100), interleaved",
            took["rolling"],
            {"Polars over": took["rolling Polars"]},
            {"Polars over": 4},
        ),
        *compare(
            "rolling mean + std (100), sorted by symbol",
            took["rolling sorted"],
            {"bottleneck per symbol": took["rolling bottleneck"]},
            {"bottleneck per symbol": 0.5},
        ),
        first_call(repeats),
    ]


def first_call(repeats: int) -> dict[str, Any]:
    """Return what the first use of a kernel costs a new process, its compiled loop being on disk."""
    seconds = []
    for _ in range(repeats + 1):
        done = subprocess.run([sys.executable, "-c", FIRST_CALL], check=True, capture_output=True, text=True)
        seconds.append(float(done.stdout))
    ours = float(np.median(seconds[1:]))
    return {
        "what": "first call of a kernel in a new process, cached",
        "against": "0.15 s",
        "ratio": f"{0.15 / ours:.1f}×",
        "to reach": "1×",
        "ours, s": f"{ours:.3f}",
        "peer, s": "",
    }


def every_kernel(short: bool = False) -> list[dict[str, Any]]:
    """Return the speed of every kernel of the registry, under its first case, on interleaved symbols."""
    rows, symbols = (2_000, 10) if short else (1_000_000, 1000)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, symbols, rows).astype(np.uint32)
    ts = np.arange(rows, dtype=np.int64) * 1_000_000
    return [_speed(kernel, codes, ts, symbols, rng) for name, kernel in registry().items() if name == kernel.name]


def _speed(kernel: Kernel, codes: np.ndarray, ts: np.ndarray, symbols: int, rng: np.random.Generator) -> dict[str, Any]:
    width = 3 if kernel.variadic else 0
    names = kernel.input_names(width)
    ready = Scan(kernel.step(*names, **kernel.cases[0]))
    columns = []
    for name, dtype in zip(names, ready.input_dtypes, strict=True):
        if name == "ts":
            columns.append(ts)
        elif dtype.kind in "bi":
            columns.append(rng.integers(0, 2, len(codes)).astype(dtype))
        else:
            columns.append(
                np.sign(rng.normal(size=len(codes))) if name == "side" else 100 + rng.normal(size=len(codes))
            )
    best = np.inf
    for _ in range(3):
        state = ready.fresh(symbols)
        start = time.perf_counter()
        ready.run(state, symbols, codes, NO_SESSION, ts, columns)
        best = min(best, time.perf_counter() - start)
    return {"kernel": kernel.name, "family": kernel.family, "million rows/s": f"{len(codes) / best / 1e6:.0f}"}
