"""Mean, variance and what follows from them, over all rows so far or over a sliding window."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.kernels.declare import window_kernel
from fintech_toolkit.kernels.loops import helper
from fintech_toolkit.kernels.parameters import Count, Window

WINDOW = Window()
DDOF = Count("ddof", "delta degrees of freedom: the divisor is the count less this", 1, at_least=0)
CASES = [{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}]
STATE = [("mean", "f8"), ("m2", "f8"), ("n", "i8"), ("same", "i8"), ("last", "f8")]


@helper
def _repeat(s, x):  # type: ignore[no-untyped-def]
    """Count how often the newest value came in a row: a window of equal values has no variance, to the last bit."""
    s.same = s.same + 1 if x == s.last else 1
    s.last = x


@helper
def enter_moments(s, x):  # type: ignore[no-untyped-def]
    """Welford's update (1962)."""
    _repeat(s, x)
    s.n += 1
    delta = x - s.mean
    s.mean += delta / s.n
    s.m2 += delta * (x - s.mean)


@helper
def leave_moments(s, x):  # type: ignore[no-untyped-def]
    """Welford's update, backwards."""
    s.n -= 1
    if s.n == 0:
        s.mean = 0.0
        s.m2 = 0.0
    else:
        delta = x - s.mean
        s.mean -= delta / s.n
        s.m2 -= delta * (x - s.mean)


@helper
def slide_moments(s, old, new):  # type: ignore[no-untyped-def]
    """One value for another: the count stays."""
    _repeat(s, new)
    before = s.mean
    s.mean += (new - old) / s.n
    s.m2 += (new - old) * (new - s.mean + old - before)


@helper
def variance(s, ddof):  # type: ignore[no-untyped-def]
    """Return the variance of what is in the window."""
    if s.n <= ddof:
        return np.nan
    if s.same >= s.n:
        return 0.0
    return max(s.m2, 0.0) / (s.n - ddof)


def _rolling(function: Any, ddof: bool = True) -> Any:
    return window_kernel(
        reads="x",
        gives=function.__name__ if function.__name__ != "rolling_zscore" else "zscore",
        enter=enter_moments,
        leave=leave_moments,
        slide=slide_moments,
        drifts=True,
        state=STATE,
        parameters=[WINDOW, DDOF] if ddof else [WINDOW],
        warmup="min_periods valid rows in the window",
        source="pandas, Series.rolling(...)",
        cases=CASES,
    )(function)


def rolling_std(s: Any, x: float, min_periods: int, ddof: int) -> float:
    """Standard deviation of the values in the window.

    NaN and infinite values take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_std(np.array([1.0, 2.0, 4.0]), window=2)
    array([       nan, 0.70710678, 1.41421356])
    """
    return np.sqrt(variance(s, ddof)) if s.n >= min_periods else np.nan


rolling_std = _rolling(rolling_std)


@rolling_std.oracle
def _(x: Any, ts: Any, ddof: int = 1, **rolling: Any) -> Any:
    import pandas as pd

    return (
        pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts))
        .rolling(**rolling)
        .std(ddof=ddof)
        .to_numpy()
    )
