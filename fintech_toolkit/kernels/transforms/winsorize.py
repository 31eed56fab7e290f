"""Extremes cut back to the rest of their window."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, Window, window_kernel
from fintech_toolkit.kernels.statistics.sorted_values import (
    SORTED,
    enter_sorted,
    leave_sorted,
    slide_sorted,
    value_at,
)


@window_kernel(
    reads="x",
    gives="clipped",
    enter=enter_sorted,
    leave=leave_sorted,
    slide=slide_sorted,
    parameters=[
        Window(),
        Number(
            "limits", "share of the window's values at each end that counts as extreme", 0.05, at_least=0, below=0.5
        ),
    ],
    warmup="min_periods valid rows in the window",
    source="scipy.stats.mstats.winsorize(values, (limits, limits)) of each window; its last value",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2, "limits": 0.3}, {"window": "3s", "limits": 0.1}],
    **SORTED,
)
def winsorize(s: Any, x: float, min_periods: int, limits: float, slots: Any) -> Any:
    """Cut a value back to its window: the ``⌊limits n⌋`` least and greatest of n values become the next ones inwards.

    The row's own value is one of its window. NaN and infinite values take a place in the window but no part in the
    result, and stay missing themselves (NaN).

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.winsorize(np.array([1.0, 2.0, 3.0, 90.0, 2.0]), window=4, limits=0.25)
    array([nan, nan, nan,  3.,  2.])
    """
    if s.n < min_periods or not np.isfinite(x):
        return np.nan
    extremes = int(limits * s.n)
    least, greatest = value_at(s, slots, extremes), value_at(s, slots, s.n - 1 - extremes)
    return least if x < least else greatest if x > greatest else x


@winsorize.oracle
def _(x: Any, ts: Any, limits: float = 0.05, **rolling: Any) -> Any:
    import pandas as pd
    from scipy.stats.mstats import winsorize

    def last(values: Any) -> Any:
        known = values[~np.isnan(values)]
        return np.nan if np.isnan(values[-1]) else winsorize(known, (limits, limits))[-1]

    windows = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts)).rolling(**rolling)
    return windows.apply(last, raw=True).to_numpy()
