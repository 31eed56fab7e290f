"""Exponentially weighted moments, as pandas defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Decay, Flag, helper, tick_kernel
from fintech_toolkit.scan.arithmetic import blend, is_far, two_sum

DECAY = Decay()
ADJUST = Flag(
    "adjust",
    "divide by the sum of the weights so far (True), or use the recursion "
    "y = (1 - alpha) y + alpha x from the first value on (False)",
    True,
)
IGNORE_NA = Flag("ignore_na", "weigh by position among the valid values (True) or among all rows (False)", False)
MIN_PERIODS = Count("min_periods", "valid rows needed for a result", 0, at_least=0)
BIAS = Flag("bias", "leave the estimate biased (True) or correct it for the weights (False)", False)

# `weight` is that of all values so far, in units of the newest; `freedom` is 1 - Σ w² / (Σ w)², kept as such because
# the difference would lose its digits after a gap.
# `mean` is that of what the values differ from `shift` by: the mean of prices costs their variance no digits. `var` is
# the unbiased variance, the biased one being `freedom` times that: after a gap both of those are next to nothing.
VARIANCE = [("shift", "f8"), ("mean", "f8"), ("weight", "f8"), ("seen", "i8"), ("freedom", "f8"), ("var", "f8")]
LIGHTEST = 1e-290
"""What a weight may come to in a long gap: next to nothing, but a part of what is divided by it."""
CASES: list[dict[str, Any]] = [
    {"alpha": 0.06},
    {"span": 5, "adjust": False},
    {"com": 2, "ignore_na": True, "min_periods": 3},
]
CASES_OF_BIAS: list[dict[str, Any]] = [*CASES, {"halflife": 3, "adjust": False, "ignore_na": True, "bias": True}]


@helper
def share_of_new(s, alpha, adjust):  # type: ignore[no-untyped-def]
    """Weigh a new value in: return its share of all weights, which is 1 for the first, and that of the others."""
    s.seen += 1
    old = s.weight * (1.0 - alpha)
    new = 1.0 if adjust else alpha
    total = old + new
    # Without `adjust` the values so far weigh 1, whatever they did; said so that the next row need not wait for it.
    s.weight = total if adjust else 1.0
    inverse = 1.0 / total
    return new * inverse, old * inverse


@helper
def age_weights(s, alpha, ignore_na):  # type: ignore[no-untyped-def]
    """Let a row without a value pass."""
    if not ignore_na:
        s.weight *= 1.0 - alpha
        if s.seen > 0 and alpha < 1.0:
            s.weight = max(s.weight, LIGHTEST)


@helper
def next_freedom(s, share, rest):  # type: ignore[no-untyped-def]
    """Let the degrees of freedom follow: return what they were, and by what an unbiased second moment is divided."""
    freedom = s.freedom
    spread = 2.0 * share + rest * freedom
    s.freedom = rest * spread
    return freedom, 1.0 / spread


@helper
def _enter_variance(s, x, alpha, adjust, ignore_na):  # type: ignore[no-untyped-def]
    if np.isfinite(x):
        if s.seen == 0:
            s.shift = x
        share, rest = share_of_new(s, alpha, adjust)
        freedom, inverse = next_freedom(s, share, rest)
        x -= s.shift
        delta = x - s.mean
        s.var = (freedom * s.var + share * (delta * delta)) * inverse
        s.mean = blend(s.mean, rest, x, share)
        if is_far(s.mean, delta):
            s.shift, s.mean = two_sum(s.shift, s.mean)
    else:
        age_weights(s, alpha, ignore_na)


@helper
def moment_of(s, moment, alpha, min_periods, bias):  # type: ignore[no-untyped-def]
    """Return an unbiased second moment as asked for, once two values are there."""
    if s.seen < max(min_periods, 1 if bias else 2):
        return np.nan
    if bias:
        return s.freedom * moment
    # An average that is its newest value has no degree of freedom.
    return moment if alpha < 1.0 else np.nan


@tick_kernel(
    reads="x",
    gives="ewma",
    parameters=[DECAY, ADJUST, IGNORE_NA, MIN_PERIODS],
    # How far the average is behind its newest value is a sum and a product away from how far it was; of the average
    # itself it would be one difference more, for which the next row waits. Equal values leave it exactly where it is.
    state=[("behind", "f8"), ("last", "f8"), ("weight", "f8"), ("seen", "i8")],
    warmup="min_periods valid rows",
    source="pandas, Series.ewm(...).mean()",
    cases=CASES,
)
def ewma(s: Any, x: float, alpha: float, adjust: bool, ignore_na: bool, min_periods: int) -> float:
    """Exponentially weighted moving average.

    With ``adjust=True`` the weighted mean of all values so far, the weight of a value falling by ``1 - alpha`` a row;
    with ``adjust=False`` the recursion ``y = (1 - alpha) y + alpha x``. A row without a value (NaN or infinite) gives
    the average so far; it ages the old weights unless ``ignore_na``.

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
        _, rest = share_of_new(s, alpha, adjust)
        s.behind = rest * (s.behind + (x - s.last))
        s.last = x
    else:
        age_weights(s, alpha, ignore_na)
    return s.last - s.behind if s.seen > 0 and s.seen >= min_periods else np.nan


@ewma.oracle
def _(x: Any, **ewm: Any) -> Any:
    import pandas as pd

    return pd.Series(x).ewm(**ewm).mean().to_numpy()


@tick_kernel(
    reads="x",
    gives="ewvar",
    parameters=[DECAY, ADJUST, IGNORE_NA, MIN_PERIODS, BIAS],
    state=VARIANCE,
    warmup="two valid rows, or min_periods if that is more",
    source="pandas, Series.ewm(...).var()",
    cases=CASES_OF_BIAS,
)
def ewvar(s: Any, x: float, alpha: float, adjust: bool, ignore_na: bool, min_periods: int, bias: bool) -> Any:
    """Exponentially weighted variance, ``Σ w (x - mean)² / Σ w``, the weights being those of `ewma`.

    Unless `bias`, divided by ``1 - Σ w² / (Σ w)²``, which makes it unbiased. A row without a value (NaN or infinite)
    gives the variance so far; it ages the old weights unless ``ignore_na``. Equal values have a variance of exactly 0.
    Right to 1e-9 also where pandas is not: for values that dwarf their moves (by 3 % at 1e8 with moves of 1e-6), and
    after gaps of hundreds of rows, where it may give NaN.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.ewvar(np.array([1.0, 2.0, 4.0]), alpha=0.5)
    array([nan, 0.5, 2.5])
    """
    _enter_variance(s, x, alpha, adjust, ignore_na)
    return moment_of(s, s.var, alpha, min_periods, bias)


def _from_two(result: Any, valid: Any, bias: bool) -> Any:
    """One value has no variance; pandas calls it 0 where rounding in its weights has it so."""
    return np.where(np.cumsum(valid) >= (1 if bias else 2), result, np.nan)


@ewvar.oracle
def _(x: Any, bias: bool = False, **ewm: Any) -> Any:
    import pandas as pd

    return _from_two(pd.Series(x).ewm(**ewm).var(bias=bias).to_numpy(), np.isfinite(x), bias)


@tick_kernel(
    reads="x",
    gives="ewstd",
    parameters=[DECAY, ADJUST, IGNORE_NA, MIN_PERIODS, BIAS],
    state=VARIANCE,
    warmup="two valid rows, or min_periods if that is more",
    source="pandas, Series.ewm(...).std()",
    cases=CASES_OF_BIAS,
)
def ewstd(s: Any, x: float, alpha: float, adjust: bool, ignore_na: bool, min_periods: int, bias: bool) -> Any:
    """Exponentially weighted standard deviation, the square root of `ewvar`.

    A row without a value (NaN or infinite) gives the deviation so far; it ages the old weights unless ``ignore_na``.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.ewstd(np.array([1.0, 2.0, 4.0]), alpha=0.5)
    array([       nan, 0.70710678, 1.58113883])
    """
    _enter_variance(s, x, alpha, adjust, ignore_na)
    return np.sqrt(moment_of(s, s.var, alpha, min_periods, bias))


@ewstd.oracle
def _(x: Any, bias: bool = False, **ewm: Any) -> Any:
    import pandas as pd

    return _from_two(pd.Series(x).ewm(**ewm).std(bias=bias).to_numpy(), np.isfinite(x), bias)
