"""Quantiles of a sliding window."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.kernels.declare import window_kernel
from fintech_toolkit.kernels.parameters import Window
from fintech_toolkit.kernels.slots import helper


@helper
def _position(slots, n, x):  # type: ignore[no-untyped-def]
    """Return how many of the `n` sorted values are below `x`."""
    low, high = 0, n
    while low < high:
        middle = (low + high) >> 1
        if slots[middle].sorted < x:
            low = middle + 1
        else:
            high = middle
    return low


@helper
def _enter(s, x, slots):  # type: ignore[no-untyped-def]
    j = s.n
    while j > 0 and slots[j - 1].sorted > x:
        slots[j].sorted = slots[j - 1].sorted
        j -= 1
    slots[j].sorted = x
    s.n += 1


@helper
def _leave(s, x, slots):  # type: ignore[no-untyped-def]
    s.n -= 1
    for j in range(_position(slots, s.n + 1, x), s.n):
        slots[j].sorted = slots[j + 1].sorted


@helper
def _slide(s, old, new, slots):  # type: ignore[no-untyped-def]
    """Move only what lies between the value that leaves and the one that enters."""
    j = _position(slots, s.n, old)
    if new >= old:
        while j + 1 < s.n and slots[j + 1].sorted < new:
            slots[j].sorted = slots[j + 1].sorted
            j += 1
    else:
        while j > 0 and slots[j - 1].sorted > new:
            slots[j].sorted = slots[j - 1].sorted
            j -= 1
    slots[j].sorted = new


@window_kernel(
    reads="x",
    gives="rolling_median",
    enter=_enter,
    leave=_leave,
    slide=_slide,
    parameters=[Window()],
    state=[("n", "i8")],
    slots=[("sorted", "f8")],
    warmup="min_periods valid rows in the window",
    source="pandas, Series.rolling(...).median()",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def rolling_median(s: Any, x: float, min_periods: int, slots: Any) -> Any:
    """Median of the values in the window, which are kept sorted: exact, for as long as it runs.

    With an even number of values the mean of the two in the middle. NaN and infinite values take a place in the window
    but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_median(np.array([3.0, 1.0, 2.0, 4.0]), window=3)
    array([nan, nan,  2.,  2.])
    """
    if s.n == 0 or s.n < min_periods:
        return np.nan
    upper = slots[s.n >> 1].sorted
    return upper if s.n & 1 else (slots[(s.n >> 1) - 1].sorted + upper) / 2.0


@rolling_median.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    import pandas as pd

    values = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts))
    return values.rolling(**rolling).median().to_numpy()
