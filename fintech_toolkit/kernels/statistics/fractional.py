"""Differences of a fractional order."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Number, pop, push, tick_kernel


@tick_kernel(
    reads="x",
    gives="frac_diff",
    parameters=[
        Number("d", "order of the difference; 1 is the ordinary one, 0.4 or so keeps memory", at_least=0),
        Count("window", "how many values are weighed, the newest included"),
    ],
    state=[("weighed", "i8")],
    slots=[("x", "f8"), ("weight", "f8")],
    warmup="window",
    source="López de Prado (2018), Advances in Financial Machine Learning, ch. 5.5",
    cases=[{"d": 0.4, "window": 20}, {"d": 1, "window": 2}, {"d": 1.7, "window": 7}],
)
def frac_diff(s: Any, x: float, d: float, window: int, slots: Any) -> Any:
    """Fractional difference of fixed width, ``Σ w_k x_{t-k}`` over k below `window`.

    ``w_0 = 1, w_k = -w_{k-1} (d - k + 1) / k``. With ``d`` between 0 and 1 it makes a series stationary and keeps some
    of its memory. How many weights matter is up to the user: the book drops those below a threshold.

    NaN where one of the values weighed is missing (NaN or infinite). Each row weighs all of its window anew.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.frac_diff(np.array([1.0, 2.0, 4.0, 8.0]), d=0.5, window=3)
    array([  nan,   nan, 2.875, 5.75 ])
    """
    # The weights stay where they are put, whichever slot is the oldest; a ring that has grown has none.
    if s.weighed != s.capacity:
        s.weighed = s.capacity
        weight = 1.0
        for k in range(min(window, s.capacity)):
            slots[k].weight = weight
            weight = -weight * (d - k) / (k + 1.0)
    if s.count == window:
        pop(s)
    newest = push(s)
    slots[newest].x = x
    if s.count < window:
        return np.nan
    result = 0.0
    for k in range(min(newest + 1, window)):
        result += slots[k].weight * slots[newest - k].x
    for k in range(newest + 1, window):
        result += slots[k].weight * slots[newest - k + s.capacity].x
    return result if np.isfinite(result) else np.nan


@frac_diff.oracle
def _(x: Any, d: float, window: int) -> Any:
    from scipy.special import binom

    weights = [(-1) ** k * binom(d, k) for k in range(window)]
    rows = range(window - 1, len(x))
    sums = [np.dot(weights, x[i + 1 - window : i + 1][::-1]) for i in rows]
    result = np.concatenate([np.full(min(window - 1, len(x)), np.nan), sums])
    return np.where(np.isfinite(result), result, np.nan)
