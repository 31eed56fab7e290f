"""How a sliding window's values are distributed about their mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, helper, window_kernel
from fintech_toolkit.kernels.statistics.block_sums import CASES
from fintech_toolkit.scan.arithmetic import watch_moment


@helper
def _enter(s, x):  # type: ignore[no-untyped-def]
    """Terriberry's update (2007) of the sums of powers about the mean, which is kept about the first value."""
    s.same = s.same + 1 if x == s.last else 1
    s.last = x
    if s.n == 0:
        s.shift = x
    s.n += 1
    n = float(s.n)
    delta = (x - s.shift) - s.mean
    part = delta / n
    square = part * part
    term = delta * part * (n - 1.0)
    s.mean += part
    s.m4 += term * square * (n * n - 3.0 * n + 3.0) + 6.0 * square * s.m2 - 4.0 * part * s.m3
    s.m3 += term * part * (n - 2.0) - 3.0 * part * s.m2
    s.m2 += term


@helper
def _leave(s, x):  # type: ignore[no-untyped-def]
    """The same, backwards."""
    n = float(s.n)
    s.n -= 1
    if s.n == 0:
        s.mean = s.m2 = s.m3 = s.m4 = s.least = 0.0
        return
    before = s.m4
    s.mean -= ((x - s.shift) - s.mean) / (n - 1.0)
    delta = (x - s.shift) - s.mean
    part = delta / n
    square = part * part
    term = delta * part * (n - 1.0)
    s.m2 -= term
    s.m3 -= term * part * (n - 2.0) - 3.0 * part * s.m2
    s.m4 -= term * square * (n * n - 3.0 * n + 3.0) + 6.0 * square * s.m2 - 4.0 * part * s.m3
    s.least = watch_moment(s, s.least, before, s.m4)


SHAPE: dict[str, Any] = {
    "reads": "x",
    "enter": _enter,
    "leave": _leave,
    "drifts": True,
    # `mean` is that of what the values differ from `shift` by; `m2`, `m3` and `m4` are sums of powers about it.
    "state": [
        ("shift", "f8"),
        ("mean", "f8"),
        ("m2", "f8"),
        ("m3", "f8"),
        ("m4", "f8"),
        ("least", "f8"),
        ("n", "i8"),
        ("same", "i8"),
        ("last", "f8"),
    ],
    "parameters": [Window()],
    "cases": CASES,
}


@window_kernel(
    gives="rolling_skew",
    warmup="min_periods valid rows in the window, and three at least",
    source="pandas, Series.rolling(...).skew(); Fisher (1930)",
    **SHAPE,
)
def rolling_skew(s: Any, x: float, min_periods: int) -> Any:
    """Skewness of the values in the window, corrected for bias: ``√(n (n - 1)) / (n - 2) · m3 / m2^1.5``.

    ``m_k`` is the mean of ``(x - mean)^k``. NaN and infinite values take a place in the window but no part in the
    result. NaN where all values are equal, which pandas calls 0.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_skew(np.array([1.0, 2.0, 4.0, 4.0]), window=3).round(6)
    array([     nan,      nan,  0.93522 , -1.732051])
    """
    if s.n < max(min_periods, 3) or s.same >= s.n or not s.m2 > 0.0:
        return np.nan
    n = float(s.n)
    return n * np.sqrt(n - 1.0) / (n - 2.0) * s.m3 / (s.m2 * np.sqrt(s.m2))


@window_kernel(
    gives="rolling_kurt",
    warmup="min_periods valid rows in the window, and four at least",
    source="pandas, Series.rolling(...).kurt(); Fisher (1930)",
    **SHAPE,
)
def rolling_kurt(s: Any, x: float, min_periods: int) -> Any:
    """Excess kurtosis of the values in the window (0 for the normal distribution), corrected for bias.

    ``(n - 1) / ((n - 2) (n - 3)) · ((n + 1) m4 / m2² - 3 (n - 1))`` with ``m_k`` the mean of ``(x - mean)^k``. NaN and
    infinite values take a place in the window but no part in the result. NaN where all values are equal, which pandas
    calls -3. Deviations must have fourth powers that float64 can hold (1e-76 to 1e76).

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_kurt(np.array([1.0, 2.0, 4.0, 4.0, 9.0]), window=4).round(6)
    array([      nan,       nan,       nan, -3.901235,  2.602498])
    """
    if s.n < max(min_periods, 4) or s.same >= s.n or not s.m2 > 0.0:
        return np.nan
    n = float(s.n)
    peak = (n + 1.0) * n * (s.m4 / s.m2 / s.m2) - 3.0 * (n - 1.0)
    return (n - 1.0) / ((n - 2.0) * (n - 3.0)) * peak


def _by_scipy(statistic: str, least: int, x: Any, ts: Any, rolling: Any) -> Any:
    import pandas as pd
    from scipy import stats

    def of(values: Any) -> float:
        known = values[~np.isnan(values)]
        if len(known) < least or np.ptp(known) == 0:
            return np.nan
        return float(getattr(stats, statistic)(known - known[0], bias=False))

    windows = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts)).rolling(**rolling)
    return windows.apply(of, raw=True).to_numpy()


@rolling_skew.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    return _by_scipy("skew", 3, x, ts, rolling)


@rolling_kurt.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    return _by_scipy("kurtosis", 4, x, ts, rolling)
