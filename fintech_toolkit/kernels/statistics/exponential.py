"""Exponentially weighted moments, as pandas defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.kernels.declare import tick_kernel
from fintech_toolkit.kernels.parameters import Count, Decay, Flag

DECAY = Decay()
ADJUST = Flag(
    "adjust",
    "divide by the sum of the weights so far (True), or use the recursion "
    "y = (1 - alpha) y + alpha x from the first value on (False)",
    True,
)
IGNORE_NA = Flag(
    "ignore_na", "weigh by position among the valid values (True) or among all rows (False)", False
)
MIN_PERIODS = Count("min_periods", "valid rows needed for a result", 0, at_least=0)


@tick_kernel(
    reads="x",
    gives="ewma",
    parameters=[DECAY, ADJUST, IGNORE_NA, MIN_PERIODS],
    state=[("mean", "f8"), ("weight", "f8"), ("seen", "i8")],
    warmup="min_periods valid rows",
    source="pandas, Series.ewm(...).mean()",
    cases=[{"alpha": 0.06}, {"span": 5, "adjust": False}, {"com": 2, "ignore_na": True, "min_periods": 3}],
)
def ewma(s: Any, x: float, alpha: float, adjust: bool, ignore_na: bool, min_periods: int) -> float:
    """Exponentially weighted moving average.

    With ``adjust=True`` the weighted mean of all values so far, the weight of a value falling by ``1 - alpha`` a row;
    with ``adjust=False`` the recursion ``y = (1 - alpha) y + alpha x``. A row without a value (NaN or infinite) gives the
    average so far; it ages the old weights unless ``ignore_na``.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.ewma(np.array([1.0, 2.0, 3.0]), alpha=0.5, adjust=False)
    array([1.  , 1.5 , 2.25])
    >>> ft.ewma(np.array([1.0, 2.0, 3.0]), alpha=[0.5, 1.0], adjust=False)
    array([[1.  , 1.5 , 2.25],
           [1.  , 2.  , 3.  ]])
    """
    if np.isfinite(x):
        if s.seen == 0:
            s.mean = x
            s.weight = 1.0
        else:
            s.weight *= 1.0 - alpha
            new = 1.0 if adjust else alpha
            s.mean = (s.weight * s.mean + new * x) / (s.weight + new)
            s.weight = s.weight + new if adjust else 1.0
        s.seen += 1
    elif s.seen > 0 and not ignore_na:
        s.weight *= 1.0 - alpha
    return s.mean if s.seen > 0 and s.seen >= min_periods else np.nan


@ewma.oracle
def _(x: Any, **ewm: Any) -> Any:
    import pandas as pd

    return pd.Series(x).ewm(**ewm).mean().to_numpy()
