"""Exponentially weighted moments of two columns, as pandas defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import helper, tick_kernel
from fintech_toolkit.kernels.statistics.exponential import (
    ADJUST,
    BIAS,
    CASES,
    CASES_OF_BIAS,
    DECAY,
    IGNORE_NA,
    MIN_PERIODS,
    age_weights,
    moment_of,
    next_freedom,
    share_of_new,
)
from fintech_toolkit.scan.arithmetic import blend, correlation, is_far, two_sum

# Means are those of what the values differ from `shift_x` and `shift_y` by; the moments `xx`, `yy`, `xy` are unbiased.
STATE = [
    ("shift_x", "f8"),
    ("shift_y", "f8"),
    ("mean_x", "f8"),
    ("mean_y", "f8"),
    ("weight", "f8"),
    ("seen", "i8"),
    ("freedom", "f8"),
    ("xy", "f8"),
]


@helper
def enter_pair(s, x, y, alpha, adjust):  # type: ignore[no-untyped-def]
    """Weigh a pair in: return how far it was from the means, its share, and what `next_freedom` gives."""
    if s.seen == 0:
        s.shift_x = x
        s.shift_y = y
    share, rest = share_of_new(s, alpha, adjust)
    freedom, inverse = next_freedom(s, share, rest)
    x -= s.shift_x
    y -= s.shift_y
    dx = x - s.mean_x
    dy = y - s.mean_y
    s.mean_x = blend(s.mean_x, rest, x, share)
    s.mean_y = blend(s.mean_y, rest, y, share)
    if is_far(s.mean_x, dx):
        s.shift_x, s.mean_x = two_sum(s.shift_x, s.mean_x)
    if is_far(s.mean_y, dy):
        s.shift_y, s.mean_y = two_sum(s.shift_y, s.mean_y)
    return dx, dy, share, freedom, inverse


@tick_kernel(
    reads=["x", "y"],
    gives="ewcov",
    parameters=[DECAY, ADJUST, IGNORE_NA, MIN_PERIODS, BIAS],
    state=STATE,
    warmup="two valid rows, or min_periods if that is more",
    source="pandas, Series.ewm(...).cov(other)",
    cases=CASES_OF_BIAS,
)
def ewcov(s: Any, x: float, y: float, alpha: float, adjust: bool, ignore_na: bool, min_periods: int, bias: bool) -> Any:
    """Exponentially weighted covariance, ``Σ w (x - mean_x) (y - mean_y) / Σ w``, the weights being those of `ewma`.

    Unless `bias`, divided by ``1 - Σ w² / (Σ w)²``, which makes it unbiased. A row in which either value is missing
    (NaN or infinite) gives the covariance so far; it ages the old weights unless ``ignore_na``.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.ewcov(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 4.0]), alpha=0.5).round(6)
    array([nan,  1.,  2.])
    """
    if np.isfinite(x) and np.isfinite(y):
        dx, dy, share, freedom, inverse = enter_pair(s, x, y, alpha, adjust)
        s.xy = (freedom * s.xy + share * (dx * dy)) * inverse
    else:
        age_weights(s, alpha, ignore_na)
    return moment_of(s, s.xy, alpha, min_periods, bias)


@ewcov.oracle
def _(x: Any, y: Any, bias: bool = False, **ewm: Any) -> Any:
    import pandas as pd

    both = np.isfinite(x) & np.isfinite(y)
    result = pd.Series(x).ewm(**ewm).cov(pd.Series(y), bias=bias).to_numpy()
    return np.where(np.cumsum(both) >= (1 if bias else 2), result, np.nan)


@tick_kernel(
    reads=["x", "y"],
    gives="ewcorr",
    parameters=[DECAY, ADJUST, IGNORE_NA, MIN_PERIODS],
    state=[*STATE, ("xx", "f8"), ("yy", "f8")],
    warmup="two valid rows, or min_periods if that is more",
    source="pandas, Series.ewm(...).corr(other)",
    cases=CASES,
)
def ewcorr(s: Any, x: float, y: float, alpha: float, adjust: bool, ignore_na: bool, min_periods: int) -> float:
    """Exponentially weighted correlation, the covariance over the root of the two variances, weights as in `ewma`.

    A row in which either value is missing (NaN or infinite) gives the correlation so far; it ages the old weights
    unless ``ignore_na``. NaN where either column has not varied.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.ewcorr(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 4.0]), alpha=0.5).round(6)
    array([     nan, 1.      , 0.928191])
    """
    if np.isfinite(x) and np.isfinite(y):
        dx, dy, share, freedom, inverse = enter_pair(s, x, y, alpha, adjust)
        kept, added = freedom * inverse, share * inverse
        s.xx = kept * s.xx + added * (dx * dx)
        s.yy = kept * s.yy + added * (dy * dy)
        s.xy = kept * s.xy + added * (dx * dy)
    else:
        age_weights(s, alpha, ignore_na)
    return correlation(s.xx, s.yy, s.xy) if s.seen >= min_periods and alpha < 1.0 else np.nan


@ewcorr.oracle
def _(x: Any, y: Any, **ewm: Any) -> Any:
    import pandas as pd

    return pd.Series(x).ewm(**ewm).corr(pd.Series(y)).to_numpy()
