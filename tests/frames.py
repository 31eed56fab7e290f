"""Small frames of ticks for tests: interleaved symbols, in time order, with ties."""

from __future__ import annotations

import numpy as np
import pandas as pd


def ticks(rows: int = 500, symbols: int = 7, seed: int = 0) -> pd.DataFrame:
    """Return trades with quotes beside them; the index counts down, so that it differs from the position."""
    rng = np.random.default_rng(seed)
    mid = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, rows)))
    half = rng.integers(1, 5, rows) / 100
    return pd.DataFrame(
        {
            "symbol": pd.array([f"S{j:02d}" for j in rng.integers(0, symbols, rows)], dtype="str"),
            "ts": pd.to_datetime(np.sort(rng.integers(0, rows * 10**8, rows)), unit="ns", utc=True),
            "bid": mid - half,
            "ask": mid + half,
            "bid_size": rng.integers(1, 50, rows).astype(float),
            "ask_size": rng.integers(1, 50, rows).astype(float),
            "price": mid + half * rng.choice([-1, 0, 1], rows),
            "size": rng.integers(1, 9, rows),
            "note": pd.array(rng.choice(["a", "b", None], rows), dtype="str"),
        },
        index=np.arange(rows)[::-1],
    )
