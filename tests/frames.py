"""What tests of frames share: one maker of ticks, one pipeline, and equality to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

import fintech_toolkit as ft

START = 1_723_161_240_123_456_789
"""An instant in nanoseconds that float64 cannot hold."""


def ticks(
    rows: int = 500,
    symbols: int = 7,
    seed: int | np.random.Generator = 0,
    *,
    instants: int | None = None,
    step: str = "10ms",
    skew: float = 0.0,
    missing: float = 0.0,
) -> pd.DataFrame:
    """Return trades with quotes beside them: interleaved symbols, in time order, with ties.

    Ids count rows from 2**62 on, and the index counts down, so that it differs from the position. Times are so many
    instants (ten times the rows unless said), a step apart. The k-th symbol has ``1 / k**skew`` as many rows as the
    first; `missing` is the share of rows without a quote.
    """
    rng = np.random.default_rng(seed)
    activity = 1 / np.arange(1, symbols + 1) ** skew
    codes = rng.choice(symbols, rows, p=activity / activity.sum())
    since = np.sort(rng.integers(0, 10 * rows if instants is None else instants, rows))
    mid = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, rows)))
    half = rng.integers(1, 5, rows) / 100
    quoted = np.where(rng.random(rows) < missing, np.nan, mid)
    return pd.DataFrame(
        {
            "symbol": pd.array([f"S{j:02d}" for j in codes], dtype="str"),
            "ts": pd.to_datetime(START + since * pd.Timedelta(step).value, unit="ns", utc=True),
            "id": 2**62 + np.arange(rows),
            "bid": quoted - half,
            "ask": quoted + half,
            "bid_size": rng.integers(1, 50, rows).astype(float),
            "ask_size": rng.integers(1, 50, rows).astype(float),
            "price": mid + half * rng.choice([-1, 0, 1], rows),
            "size": rng.integers(1, 9, rows),
            "venue": pd.array(rng.choice(["X", "Y"], rows), dtype="str"),
            "note": pd.array(rng.choice(["a", "b", None], rows), dtype="str"),
        },
        index=np.arange(rows)[::-1],
    )


def features(bid: str = "bid", ask: str = "ask", **options: Any) -> ft.Pipeline:
    """Return steps that remember nothing, a row, all rows, so many rows, and those of so many seconds."""
    return ft.Pipeline(
        ft.midprice(bid, ask),
        ft.log_returns("mid"),
        ft.ewma("log_return", halflife=20),
        ft.ewstd("log_return", halflife=20),
        ft.rolling_zscore("mid", window=10),
        ft.rolling_max("mid", window=20),
        ft.rolling_median("mid", window="3s").named("slow"),
        ft.lag("mid", k=3),
        **options,
    )


def same(got: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Hold frames to the same index, columns, dtypes and bits: -0.0 is not 0.0."""
    assert_frame_equal(got, expected, check_exact=True)
    for place, name in enumerate(expected.columns):
        left, right = got.iloc[:, place].to_numpy(), expected.iloc[:, place].to_numpy()
        if right.dtype.kind == "f":
            whole = f"i{right.itemsize}"
            assert_array_equal(left.view(whole), right.view(whole), err_msg=str(name))
