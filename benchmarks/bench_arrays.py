"""Kernels called on arrays of one series, against TA-Lib, NumPy and bottleneck called on the same arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bottleneck
import numpy as np
import talib

import fintech_toolkit as ft
from benchmarks.measure import compare, medians

Call = Callable[..., Any]
CALLS: list[tuple[str, str, Call, Call, float]] = [
    ("ema(20)", "TA-Lib EMA", lambda x, _: ft.ema(x, span=20), lambda x, _: talib.EMA(x, 20), 0.83),
    (
        "ewma(span=20)",
        "TA-Lib EMA",
        lambda x, _: ft.ewma(x, span=20, adjust=False),
        lambda x, _: talib.EMA(x, 20),
        0.83,
    ),
    (
        "rolling_mean(100)",
        "TA-Lib SMA",
        lambda x, _: ft.rolling_mean(x, window=100),
        lambda x, _: talib.SMA(x, 100),
        0.83,
    ),
    (
        "rolling_mean(100)",
        "bottleneck",
        lambda x, _: ft.rolling_mean(x, window=100),
        lambda x, _: bottleneck.move_mean(x, 100),
        0.83,
    ),
    (
        "rolling_std(100)",
        "TA-Lib STDDEV",
        lambda x, _: ft.rolling_std(x, window=100),
        lambda x, _: talib.STDDEV(x, 100),
        0.83,
    ),
    (
        "rolling_max(100)",
        "TA-Lib MAX",
        lambda x, _: ft.rolling_max(x, window=100),
        lambda x, _: talib.MAX(x, 100),
        0.83,
    ),
    (
        "rolling_min(100)",
        "TA-Lib MIN",
        lambda x, _: ft.rolling_min(x, window=100),
        lambda x, _: talib.MIN(x, 100),
        0.83,
    ),
    ("rsi(14)", "TA-Lib RSI", lambda x, _: ft.rsi(x), lambda x, _: talib.RSI(x, 14), 0.83),
    ("macd(12, 26, 9)", "TA-Lib MACD", lambda x, _: ft.macd(x), lambda x, _: talib.MACD(x), 0.83),
    ("midprice", "NumPy (bid + ask) / 2", ft.midprice, lambda x, y: (x + y) / 2, 0.67),
    ("log_returns", "NumPy diff(log)", lambda x, _: ft.log_returns(x), lambda x, _: np.diff(np.log(x)), 0.67),
]


def run(short: bool = False) -> list[dict[str, Any]]:
    """Measure; `short` is a small form that shows that all of it works."""
    rows, repeats = (20_000, 2) if short else (1_000_000, 25)
    rng = np.random.default_rng(0)
    bid = 100 * np.exp(np.cumsum(rng.normal(0, 1e-5, rows)))
    ask = bid + 0.02
    few_bid, few_ask = bid[:1_000].copy(), ask[:1_000].copy()
    result = []
    for what, peer, ours, theirs, aim in CALLS:
        many = medians({"ours": lambda f=ours: f(bid, ask), "peer": lambda f=theirs: f(bid, ask)}, repeats)
        few = medians(
            {"ours": lambda f=ours: f(few_bid, few_ask), "peer": lambda f=theirs: f(few_bid, few_ask)},
            repeats,
            calls=200,
        )
        result.append(
            {
                "what": what,
                "against": peer,
                "ratio": f"{many['peer'] / many['ours']:.2f}×",
                "to reach": f"{aim}×",
                "ours, ns a row": f"{many['ours'] / rows * 1e9:.1f}",
                "peer, ns a row": f"{many['peer'] / rows * 1e9:.1f}",
                "ours, 1,000 rows, µs": f"{few['ours'] * 1e6:.1f}",
                "peer, 1,000 rows, µs": f"{few['peer'] * 1e6:.1f}",
            }
        )
    return result


def several(short: bool = False) -> list[dict[str, Any]]:
    """Measure sweeps and frames of series; `short` is a small form that shows that all of it works."""
    rows, repeats = (2_000, 2) if short else (1_000_000, 5)
    alphas = np.linspace(0.01, 0.4, 20)
    x = np.random.default_rng(0).normal(size=rows).cumsum()
    sweep = medians(
        {
            "sweep": lambda: ft.ewma(x, alpha=alphas),
            "calls": lambda: [ft.ewma(x, alpha=float(alpha)) for alpha in alphas],
            "TA-Lib": lambda: [talib.EMA(x, round(2 / alpha - 1) + 1) for alpha in alphas],
        },
        repeats,
    )
    columns = x.reshape(-1, 100)
    frame = medians(
        {
            "frame": lambda: ft.rolling_mean(columns, window=20),
            "bottleneck": lambda: bottleneck.move_mean(columns, 20, axis=0),
        },
        repeats,
    )
    return [
        *compare(
            "EWMA, 20 values of alpha at once",
            sweep["sweep"],
            {"a call each": sweep["calls"], "TA-Lib EMA, a call each": sweep["TA-Lib"]},
            {"a call each": 3},
        ),
        *compare("rolling mean (20) of 100 series", frame["frame"], {"bottleneck": frame["bottleneck"]}, {}),
    ]
