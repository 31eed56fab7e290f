"""How strongly a return moves with an index's: beta."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Flag, Number, tick_kernel, window_kernel
from fintech_toolkit.kernels.statistics.comoments import COMOMENTS, over_windows, slope
from fintech_toolkit.kernels.statistics.exponential import ADJUST, CASES, DECAY, IGNORE_NA, MIN_PERIODS, age_weights
from fintech_toolkit.kernels.statistics.exponential_pairs import STATE, enter_pair


@tick_kernel(
    reads=["x", "y"],
    gives="ratio_beta",
    parameters=[
        Number("limit", "greatest size of the result", 10.0, above=0),
        Number("least_move", "size of y below which it is no move, in the unit of y", 1e-6, at_least=0),
        Flag("or_one", "give 1, the index's own beta, where a row has none", False),
    ],
    source="definition: the one-row estimate of Sharpe (1963), Management Science 9",
    cases=[{}, {"limit": 0.5, "least_move": 1.0}, {"limit": 3.0, "least_move": 0.0, "or_one": True}],
)
def ratio_beta(x: float, y: float, limit: float, least_move: float, or_one: bool) -> float:
    """Beta of a single row: the return over the index's return, ``x / y``, clipped to ``[-limit, limit]``.

    A row has none, NaN or 1 with `or_one`, where either return is missing (NaN or infinite), or the index did not
    move: ``|y|`` is below `least_move`. Where that is 0 so that a y of 0 counts, it is the limit on the side of x, and
    none where x is 0, too.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.ratio_beta(np.array([0.02, 0.01, 0.01]), np.array([0.01, 0.0, -0.0001]))
    array([  2.,  nan, -10.])
    """
    if not (np.isfinite(x) and np.isfinite(y)) or abs(y) < least_move or (y == 0.0 and x == 0.0):
        return 1.0 if or_one else np.nan
    return np.copysign(limit, x) if y == 0.0 else min(max(x / y, -limit), limit)


@ratio_beta.oracle
def _(x: Any, y: Any, limit: float = 10.0, least_move: float = 1e-6, or_one: bool = False) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(
            np.isfinite(x) & np.isfinite(y) & (np.abs(y) >= least_move), x / np.where(y == 0, 0.0, y), np.nan
        )
    clipped = np.clip(ratio, -limit, limit)
    return np.where(np.isnan(clipped), 1.0, clipped) if or_one else clipped


@window_kernel(gives="rolling_beta", source="Sharpe (1963), Management Science 9; statsmodels, RollingOLS", **COMOMENTS)
def rolling_beta(s: Any, x: float, y: float, min_periods: int) -> float:
    """Slope of the regression of x on y in the window, ``cov(x, y) / var(y)``: beta, where y are an index's returns.

    Rows in which either value is missing (NaN or infinite) take a place in the window but no part in the result. NaN
    where y does not vary; exactly 0 where x does not.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_beta(np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.0, 3.0, 2.0, 2.0]), window=3)
    array([ nan,  nan,  0.5, -1.5])
    """
    return slope(s) if s.n >= min_periods else np.nan


@rolling_beta.oracle
def _(x: Any, y: Any, ts: Any, window: Any, min_periods: int | None = None) -> Any:
    def regressed(a: Any, b: Any) -> Any:
        if np.ptp(b) == 0:
            return np.nan
        return np.linalg.lstsq(np.column_stack([b - b.mean(), np.ones(len(b))]), a, rcond=None)[0][0]

    return over_windows(regressed, x, y, ts, window, min_periods)


@tick_kernel(
    reads=["x", "y"],
    gives="ew_beta",
    parameters=[DECAY, ADJUST, IGNORE_NA, MIN_PERIODS],
    state=[("yy", "f8"), *STATE],
    warmup="two valid rows, or min_periods if that is more",
    source="pandas, ewm(...).cov(other) / ewm(...).var()",
    cases=CASES,
)
def ew_beta(s: Any, x: float, y: float, alpha: float, adjust: bool, ignore_na: bool, min_periods: int) -> float:
    """Exponentially weighted beta: the covariance of x and y over the variance of y, with weights as in `ewma`.

    A row in which either value is missing (NaN or infinite) gives the beta so far; it ages the old weights unless
    ``ignore_na``. NaN where y has not varied.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.ew_beta(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 4.0]), alpha=0.5).round(6)
    array([     nan, 0.5     , 1.076923])
    """
    if np.isfinite(x) and np.isfinite(y):
        dx, dy, share, freedom, inverse = enter_pair(s, x, y, alpha, adjust)
        kept, added = freedom * inverse, share * inverse
        s.yy = kept * s.yy + added * (dy * dy)
        s.xy = kept * s.xy + added * (dx * dy)
    else:
        age_weights(s, alpha, ignore_na)
    return s.xy / s.yy if s.yy > 0.0 and s.seen >= min_periods and alpha < 1.0 else np.nan


@ew_beta.oracle
def _(x: Any, y: Any, **ewm: Any) -> Any:
    import pandas as pd

    both = np.isfinite(x) & np.isfinite(y)
    x, y = (pd.Series(np.where(both, column, np.nan)) for column in (x, y))
    variance = y.ewm(**ewm).var()
    return (x.ewm(**ewm).cov(y) / variance.where(variance > 0)).to_numpy()
