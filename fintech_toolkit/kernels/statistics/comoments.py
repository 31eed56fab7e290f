"""How two columns move together over a sliding window."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, helper, window_kernel
from fintech_toolkit.scan.arithmetic import correlation, watch_moment

# Means are those of what the values differ from `shift_x` and `shift_y` by.
STATE = [
    ("n", "i8"),
    ("inverse", "f8"),
    ("shift_x", "f8"),
    ("shift_y", "f8"),
    ("mean_x", "f8"),
    ("mean_y", "f8"),
    ("xx", "f8"),
    ("yy", "f8"),
    ("xy", "f8"),
    ("least_x", "f8"),
    ("least_y", "f8"),
    ("last_x", "f8"),
    ("last_y", "f8"),
    ("same_x", "i8"),
    ("same_y", "i8"),
]


@helper
def _repeat(s, x, y):  # type: ignore[no-untyped-def]
    """Count how often the newest values came in a row: what does not vary is known to the last bit."""
    s.same_x = s.same_x + 1 if x == s.last_x else 1
    s.same_y = s.same_y + 1 if y == s.last_y else 1
    s.last_x = x
    s.last_y = y


@helper
def _enter(s, x, y):  # type: ignore[no-untyped-def]
    """Welford's update for two columns."""
    _repeat(s, x, y)
    if s.n == 0:
        s.shift_x = x
        s.shift_y = y
    s.n += 1
    s.inverse = 1.0 / s.n
    x -= s.shift_x
    y -= s.shift_y
    dx = x - s.mean_x
    dy = y - s.mean_y
    s.mean_x += dx * s.inverse
    s.mean_y += dy * s.inverse
    s.xx += dx * (x - s.mean_x)
    s.yy += dy * (y - s.mean_y)
    s.xy += dx * (y - s.mean_y)


@helper
def _leave(s, x, y):  # type: ignore[no-untyped-def]
    s.n -= 1
    if s.n == 0:
        s.mean_x = s.mean_y = s.xx = s.yy = s.xy = s.least_x = s.least_y = 0.0
        return
    s.inverse = 1.0 / s.n
    x -= s.shift_x
    y -= s.shift_y
    dx = x - s.mean_x
    dy = y - s.mean_y
    s.mean_x -= dx * s.inverse
    s.mean_y -= dy * s.inverse
    xx, yy = s.xx, s.yy
    s.xx -= dx * (x - s.mean_x)
    s.yy -= dy * (y - s.mean_y)
    s.xy -= dx * (y - s.mean_y)
    s.least_x = watch_moment(s, s.least_x, xx, s.xx)
    s.least_y = watch_moment(s, s.least_y, yy, s.yy)


@helper
def _slide(s, old_x, old_y, x, y):  # type: ignore[no-untyped-def]
    """One pair for another: the count stays, and so does its inverse."""
    if s.n == 1:
        # It does not vary, so that nothing would say how far it is from the shift.
        _leave(s, old_x, old_y)
        _enter(s, x, y)
        return
    _repeat(s, x, y)
    old_x -= s.shift_x
    old_y -= s.shift_y
    x -= s.shift_x
    y -= s.shift_y
    dx = x - old_x
    dy = y - old_y
    before_x = old_x - s.mean_x
    before_y = old_y - s.mean_y
    s.mean_x += dx * s.inverse
    s.mean_y += dy * s.inverse
    xx, yy = s.xx, s.yy
    s.xx += dx * ((x - s.mean_x) + before_x)
    s.yy += dy * ((y - s.mean_y) + before_y)
    s.xy += dx * (y - s.mean_y) + dy * before_x
    s.least_x = watch_moment(s, s.least_x, xx, s.xx)
    s.least_y = watch_moment(s, s.least_y, yy, s.yy)


COMOMENTS: dict[str, Any] = {
    "reads": ["x", "y"],
    "enter": _enter,
    "leave": _leave,
    "slide": _slide,
    "drifts": True,
    "state": STATE,
    "parameters": [Window()],
    "warmup": "min_periods rows in the window with both values, and two at least",
    "cases": [{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
}


@helper
def slope(s):  # type: ignore[no-untyped-def]
    """Return the slope of the regression of x on y, NaN where y does not vary."""
    if s.n < 2 or s.same_y >= s.n or not s.yy > 0.0:
        return np.nan
    return 0.0 if s.same_x >= s.n else s.xy / s.yy


@window_kernel(gives="rolling_corr", source="pandas, Series.rolling(...).corr(other)", **COMOMENTS)
def rolling_corr(s: Any, x: float, y: float, min_periods: int) -> Any:
    """Pearson's correlation of the pairs in the window.

    Rows in which either value is missing (NaN or infinite) take a place in the window but no part in the result. NaN
    where either column does not vary.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_corr(np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.0, 3.0, 2.0, 2.0]), window=3).round(6)
    array([      nan,       nan,  0.327327, -0.866025])
    """
    if s.same_x >= s.n or s.same_y >= s.n or s.n < min_periods:
        return np.nan
    return correlation(s.xx, s.yy, s.xy)


def over_windows(statistic: Any, x: Any, y: Any, ts: Any, window: Any, min_periods: int | None) -> Any:
    """Return, for oracles, a statistic of the pairs in each window, two at least, one by one."""
    import pandas as pd

    rows = not isinstance(window, str)
    least = max(2, min_periods if min_periods is not None else window if rows else 1)
    result = np.full(len(x), np.nan)
    for i in range(len(x)):
        start = max(0, i + 1 - window) if rows else np.searchsorted(ts, ts[i] - pd.Timedelta(window).value, "right")
        a, b = x[start : i + 1], y[start : i + 1]
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() >= least:
            result[i] = statistic(a[both], b[both])
    return result


@rolling_corr.oracle
def _(x: Any, y: Any, ts: Any, window: Any, min_periods: int | None = None) -> Any:
    def correlated(a: Any, b: Any) -> float:
        return np.corrcoef(a, b)[0, 1] if np.ptp(a) > 0 and np.ptp(b) > 0 else np.nan

    return over_windows(correlated, x, y, ts, window, min_periods)


@window_kernel(gives="rolling_cov", source="pandas, Series.rolling(...).cov(other)", **COMOMENTS)
def rolling_cov(s: Any, x: float, y: float, min_periods: int) -> Any:
    """Covariance of the pairs in the window, ``Σ (x - mean x) (y - mean y) / (n - 1)``; exactly 0 where either column
    does not vary.

    Rows in which either value is missing (NaN or infinite) take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_cov(np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.0, 3.0, 2.0, 2.0]), window=3)
    array([ nan,  nan,  0.5, -0.5])
    """
    if s.n < max(min_periods, 2):
        return np.nan
    return 0.0 if s.same_x >= s.n or s.same_y >= s.n else s.xy / (s.n - 1)


@rolling_cov.oracle
def _(x: Any, y: Any, ts: Any, window: Any, min_periods: int | None = None) -> Any:
    def covariance(a: Any, b: Any) -> float:
        return np.cov(a, b)[0, 1] if np.ptp(a) > 0 and np.ptp(b) > 0 else 0.0

    return over_windows(covariance, x, y, ts, window, min_periods)
