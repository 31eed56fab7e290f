"""Single kernels on frames of coded symbols against the usual libraries."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import Any

import bottleneck
import numbagg
import numpy as np
import polars as pl
import talib

import fintech_toolkit as ft
from benchmarks.measure import compare, medians, quotes

FIRST_CALL = """
import sys, time
import numpy as np, pandas as pd
import fintech_toolkit as ft
frame = pd.DataFrame({"symbol": "A", "ts": pd.to_datetime([0, 1], utc=True), "mid": [1.0, 2.0]})
start = time.perf_counter()
pipeline = ft.Pipeline(ft.ewma("mid", span=9))
pipeline(frame)
print(time.perf_counter() - start)
"""


def run(short: bool = False) -> list[dict[str, Any]]:
    """Measure; `short` is a small form that shows that all of it works."""
    rows, symbols, repeats = (20_000, 50, 1) if short else (10_000_000, 1000, 5)
    frame = quotes(rows, symbols)
    by_symbol = frame.sort_values("symbol", kind="stable", ignore_index=True)
    codes, values = by_symbol["symbol"].cat.codes.to_numpy(), by_symbol["bid"].to_numpy()
    edges = np.searchsorted(codes, np.arange(symbols + 1))
    series = [values[a:b] for a, b in pairwise(edges)]
    interleaved = pl.from_pandas(frame)

    ewma = ft.Pipeline(ft.ewma("bid", span=20, adjust=False))
    spread = ft.rolling_mean("bid", window=100) | ft.rolling_std("bid", window=100)
    average = pl.col("bid").ewm_mean(span=20, adjust=False).over("symbol")
    mean, std = (pl.col("bid").rolling_mean(100), pl.col("bid").rolling_std(100))
    took = medians(
        {
            "ewma": lambda: ewma(frame),
            "ewma sorted": lambda: ewma(by_symbol),
            "ewma Polars": lambda: interleaved.with_columns(average.alias("ewma")),
            "ewma TA-Lib": lambda: [talib.EMA(part, 20) for part in series],
            "ewma numbagg": lambda: [numbagg.move_exp_nanmean(part, alpha=2 / 21) for part in series],
            "rolling": lambda: spread(frame),
            "rolling sorted": lambda: spread(by_symbol),
            "rolling Polars": lambda: interleaved.with_columns(
                mean.over("symbol").alias("mean"), std.over("symbol").alias("std")
            ),
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
