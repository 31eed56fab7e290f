"""Exponentially weighted moments of two columns, as pandas defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.kernels.declare import tick_kernel
from fintech_toolkit.kernels.slots import helper
from fintech_toolkit.kernels.statistics.exponential import (
    ADJUST,
    BIAS,
    CASES,
    DECAY,
    IGNORE_NA,
    MIN_PERIODS,
    age_weights,
    share_of_new,
    unbiased,
)

MEANS = [("mean_x", "f8"), ("mean_y", "f8"), ("weight", "f8"), ("seen", "i8")]


@tick_kernel(
    reads=["x", "y"],
    gives="ewcov",
    parameters=[DECAY, ADJUST, IGNORE_NA, MIN_PERIODS, BIAS],
    state=[*MEANS, ("freedom", "f8"), ("cov", "f8")],
    warmup="two valid rows, or min_periods if that is more",
    source="pandas, Series.ewm(...).cov(other)",
    cases=[*CASES, {"halflife": 3, "adjust": False, "ignore_na": True, "bias": True}],
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
        share, rest = share_of_new(s, alpha, adjust)
        dx = x - s.mean_x
        dy = y - s.mean_y
        s.mean_x += share * dx
        s.mean_y += share * dy
        s.cov = rest * (s.cov + share * dx * dy)
        s.freedom = rest * (2.0 * share + rest * s.freedom)
    else:
        age_weights(s, alpha, ignore_na)
    return unbiased(s, s.cov, min_periods, bias)


@ewcov.oracle
def _(x: Any, y: Any, bias: bool = False, **ewm: Any) -> Any:
    import pandas as pd

    both = np.isfinite(x) & np.isfinite(y)
    result = pd.Series(x).ewm(**ewm).cov(pd.Series(y), bias=bias).to_numpy()
    return np.where(np.cumsum(both) >= (1 if bias else 2), result, np.nan)


@helper
def _correlation(xx, yy, xy):  # type: ignore[no-untyped-def]
    if xx <= 0.0 or yy <= 0.0:
        return np.nan
    return min(max(xy / np.sqrt(xx * yy), -1.0), 1.0)


@tick_kernel(
    reads=["x", "y"],
    gives="ewcorr",
    parameters=[DECAY, ADJUST, IGNORE_NA, MIN_PERIODS],
    state=[*MEANS, ("xx", "f8"), ("yy", "f8"), ("xy", "f8")],
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
        share, rest = share_of_new(s, alpha, adjust)
        dx = x - s.mean_x
        dy = y - s.mean_y
        s.mean_x += share * dx
        s.mean_y += share * dy
        s.xx = rest * (s.xx + share * dx * dx)
        s.yy = rest * (s.yy + share * dy * dy)
        s.xy = rest * (s.xy + share * dx * dy)
    else:
        age_weights(s, alpha, ignore_na)
    return _correlation(s.xx, s.yy, s.xy) if s.seen >= min_periods else np.nan


@ewcorr.oracle
def _(x: Any, y: Any, **ewm: Any) -> Any:
    import pandas as pd

    return pd.Series(x).ewm(**ewm).corr(pd.Series(y)).to_numpy()
