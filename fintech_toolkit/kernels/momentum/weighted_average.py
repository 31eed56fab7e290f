"""The linearly weighted moving average."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, helper, window_kernel
from fintech_toolkit.scan.arithmetic import add, replace, value_of, watch_sum


@helper
def _repeat(s, x):  # type: ignore[no-untyped-def]
    """Count how often the newest value came in a row: a window of equal values is known to the last bit."""
    s.same = s.same + 1 if x == s.last else 1
    s.last = x


@helper
def _take(s, x):  # type: ignore[no-untyped-def]
    """Have all values weigh one less: what they add up to is what the weighted sum loses."""
    s.weighted, s.weighted_lost = add(s.weighted, s.weighted_lost, -s.sum)
    s.weighted_lost -= s.lost
    s.weighted, s.weighted_lost = add(s.weighted, s.weighted_lost, s.n * x)


@helper
def _enter(s, x):  # type: ignore[no-untyped-def]
    _repeat(s, x)
    s.n += 1
    s.scale += abs(x)
    s.sum, s.lost = add(s.sum, s.lost, x)
    s.weighted, s.weighted_lost = add(s.weighted, s.weighted_lost, s.n * x)


@helper
def _leave(s, x):  # type: ignore[no-untyped-def]
    _take(s, 0.0)
    before = s.n * s.scale
    s.n -= 1
    s.scale -= abs(x)
    s.sum, s.lost = add(s.sum, s.lost, -x)
    s.least = watch_sum(s, s.least, before, s.n * s.scale)


@helper
def _slide(s, old, new):  # type: ignore[no-untyped-def]
    _repeat(s, new)
    _take(s, new)
    before = s.n * s.scale
    s.scale += abs(new) - abs(old)
    s.sum, s.lost = replace(s.sum, s.lost, old, new)
    s.least = watch_sum(s, s.least, before, s.n * s.scale)


@window_kernel(
    reads="x",
    gives="wma",
    enter=_enter,
    leave=_leave,
    slide=_slide,
    drifts=True,
    state=[
        ("sum", "f8"),
        ("lost", "f8"),
        ("weighted", "f8"),
        ("weighted_lost", "f8"),
        ("scale", "f8"),
        ("least", "f8"),
        ("n", "i8"),
        ("same", "i8"),
        ("last", "f8"),
    ],
    parameters=[Window()],
    warmup="min_periods valid rows in the window",
    source="TA-Lib, WMA",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def wma(s: Any, x: float, min_periods: int) -> Any:
    """Linearly weighted moving average, ``Σ j x_j / Σ j``: the oldest of n values in the window weighs 1, the last n.

    NaN and infinite values take a place in the window but no part in the result, and no weight is theirs.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.wma(np.array([1.0, 2.0, 4.0, 4.0]), window=3).round(4)
    array([   nan,    nan, 2.8333, 3.6667])
    """
    if s.n == 0 or s.n < min_periods:
        return np.nan
    if s.same >= s.n:
        return s.last
    return value_of(s.weighted, s.weighted_lost) / (0.5 * s.n * (s.n + 1.0))


@wma.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    import pandas as pd

    def average(values: Any) -> Any:
        valid = values[~np.isnan(values)]
        return np.average(valid, weights=np.arange(1, len(valid) + 1))

    windows = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts)).rolling(**rolling)
    return windows.apply(average, raw=True).to_numpy()
