"""The ticks and bars that both sides get, without gaps: what libraries make of a missing value is not compared."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

Column = np.ndarray[Any, Any]


@cache
def market(symbols: int, rows: int) -> dict[str, Column]:
    """Return columns of shape (symbols · rows,), sorted by symbol and time, each symbol's rows together."""
    rng = np.random.default_rng(0)
    shape = (symbols, rows)
    r = rng.normal(0, 1e-3, shape)
    close = 100 * np.exp(np.cumsum(r, axis=1))
    opened = close * np.exp(rng.normal(0, 5e-4, shape))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 5e-4, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 5e-4, shape)))
    mid = np.round(close, 2)
    side = rng.choice([-1.0, 1.0], shape)
    size = np.round(rng.lognormal(3, 1, shape)) + 1
    other = 0.6 * r + rng.normal(0, 8e-4, shape)
    spread = np.empty(shape)
    spread[:, 0] = 0.0
    noise = rng.normal(0, 0.1, shape)
    for i in range(1, rows):
        spread[:, i] = 0.9 * spread[:, i - 1] + noise[:, i]
    half = 0.01 * rng.integers(1, 4, shape)
    table = {
        "x": rng.normal(size=shape),
        "y": rng.normal(size=shape),
        "open": opened,
        "high": high,
        "low": low,
        "close": close,
        "price": close,
        "volume": size,
        "size": size,
        "r": r,
        "other": other,
        "benchmark": 50 * np.exp(np.cumsum(other, axis=1)),
        "spread": spread,
        "mid": mid,
        "bid": mid - half,
        "ask": mid + half,
        "bid_size": rng.integers(1, 500, shape).astype(float),
        "ask_size": rng.integers(1, 500, shape).astype(float),
        "side": side,
        "traded": mid + side * half,
        "signed": side * size,
        "notional": close * size,
        "rate": rng.normal(1e-4, 5e-5, shape),
        "interest": np.cumsum(rng.normal(0, 10, shape), axis=1) + 1e5,
        "trade_id": rng.integers(0, rows // 2, shape),
    }
    columns = {name: np.ascontiguousarray(values).reshape(-1) for name, values in table.items()}
    columns["ts"] = np.tile(np.cumsum(rng.integers(1, 2_000_000_000, rows)), symbols) + 1_700_000_000_000_000_000
    return columns


def names(symbols: int, rows: int) -> pd.Categorical:
    """Return the symbol of every row."""
    return pd.Categorical.from_codes(np.repeat(np.arange(symbols), rows), [f"SYM{j:06d}" for j in range(symbols)])
