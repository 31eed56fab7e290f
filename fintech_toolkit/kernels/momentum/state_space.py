"""What is behind noisy values: a level that wanders, and a trend that bends."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fintech_toolkit.authoring import Number, plain_kernel, tick_kernel
from fintech_toolkit.errors import DataError, ParameterError
from fintech_toolkit.kernels.momentum.averages import valid_rows
from fintech_toolkit.scan.arithmetic import blend
from fintech_toolkit.scan.compilation import compile_cached


@tick_kernel(
    reads="x",
    gives=["filtered", "variance"],
    parameters=[
        Number("q", "variance of the level's step from row to row, in the square of the unit of `x`", at_least=0),
        Number("r", "variance of the noise of a value, in the same unit", above=0),
    ],
    state=[("level", "f8"), ("variance", "f8"), ("seen", "?")],
    warmup="one valid row",
    source="Durbin and Koopman (2012), Time Series Analysis by State Space Methods, 2.2: local level model",
    cases=[{"q": 0.05, "r": 1}, {"q": 2, "r": 0.5}],
)
def kalman_1d(s: Any, x: float, q: float, r: float) -> tuple[float, float]:
    """Kalman filter of a level that wanders, seen through noise: its mean and variance, given all values so far.

    ``x_t = level_t + noise``, ``level_t = level_{t-1} + step``; nothing is known of the level before the first value,
    which is the first mean, with variance r. After that ``P' = P + q``, ``K = P' / (P' + r)``,
    ``filtered_t = filtered_{t-1} + K (x_t - filtered_{t-1})`` and ``P = (1 - K) P'``. A row without a value (NaN or
    infinite) leaves the mean, and adds q to the variance. A value too far away for float64 is a new first one.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> level = ft.kalman_1d(np.array([10.0, 13.0, np.nan]), q=1, r=1)
    >>> level.filtered.round(4), level.variance.round(4)
    (array([10., 12., 12.]), array([1.    , 0.6667, 1.6667]))
    """
    if s.seen:
        s.variance += q
    if np.isfinite(x):
        if s.seen and np.isfinite(x - s.level):
            total = s.variance + r
            s.level = blend(s.level, r / total, x, s.variance / total)
            s.variance *= r / total
        else:
            s.level, s.variance, s.seen = x, r, True
    return (s.level, s.variance) if s.seen else (np.nan, np.nan)


@kalman_1d.oracle
def _(x: Any, q: float, r: float) -> Any:
    """All levels at once: their joint precision is a band, and the last is what is asked for."""
    from scipy.linalg import solveh_banded

    level, variance = np.full(len(x), np.nan), np.full(len(x), np.nan)
    known = np.isfinite(x)
    first = int(np.argmax(known)) if known.any() else len(x)
    for t in range(first, len(x)):
        seen = known[first : t + 1]
        steps = np.full(len(seen), 2 / q)
        steps[0] -= 1 / q
        steps[-1] -= 1 / q
        bands = np.array([np.full(len(seen), -1 / q), steps + seen / r])
        last = np.zeros(len(seen))
        last[-1] = 1
        sides = np.column_stack([np.where(seen, x[first : t + 1], 0) / r, last])
        found = solveh_banded(bands if len(seen) > 1 else bands[1:], sides)
        level[t], variance[t] = found[-1]
    return level, variance


LAMB = Number(
    "lamb", "how smooth the trend is: 1600 for quarters, 129600 for months, 6.25 for years", 1600.0, at_least=0
)


@tick_kernel(
    reads="x",
    gives=["trend", "cycle"],
    parameters=[LAMB],
    state=[("trend", "f8"), ("before", "f8"), ("p00", "f8"), ("p01", "f8"), ("p11", "f8"), ("x", "f8"), ("seen", "i8")],
    warmup="one valid row; the first two are their own trend",
    source="Stock and Watson (1999), Journal of Monetary Economics 44; Hodrick and Prescott (1997)",
    cases=[{}, {"lamb": 6.25}, {"lamb": 0}],
)
def hp_filter(s: Any, x: float, lamb: float) -> tuple[float, float]:
    """One-sided Hodrick-Prescott filter: the trend that the values so far tell of, and what is left, ``x - trend``.

    The trend is the last one of the trend τ that minimises ``Σ (x - τ)² + lamb Σ (Δ²τ)²`` over all values up to the
    row, kept by a Kalman filter: it knows nothing of the future, in contrast to `hp_filter_two_sided`. A row without a
    value (NaN or infinite) gives what the last one gave and does not count. A value too far away for float64 is a new
    first one.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.hp_filter(np.array([1.0, 2.0, 6.0]), lamb=1).trend.round(4)
    array([1.    , 2.    , 5.5714])
    """
    if np.isfinite(x):
        # What is expected of a straight line, and how uncertain that is; both in the unit of the bends.
        expected = 2.0 * s.trend - s.before if s.seen > 1 else x
        missed = x - expected
        s.seen = s.seen + 1 if np.isfinite(missed) and np.isfinite(x - s.trend) else 1
        s.x = x
        if s.seen <= 2:
            s.before, s.trend = s.trend, x
            s.p00, s.p01, s.p11 = lamb, 0.0, lamb
        else:
            ahead = 4.0 * s.p00 - 4.0 * s.p01 + s.p11 + 1.0
            shared = 2.0 * s.p00 - s.p01
            total = ahead + lamb
            s.before = s.trend + shared / total * missed
            s.trend = blend(expected, lamb / total, x, ahead / total)
            s.p11 = s.p00 - shared * (shared / total)
            s.p00 = lamb * (ahead / total)
            s.p01 = lamb * (shared / total)
    return (s.trend, s.x - s.trend) if s.seen > 0 else (np.nan, np.nan)


@hp_filter.oracle
def _(x: Any, lamb: float = 1600.0) -> Any:
    """The two-sided filter of all that was known at each row, solved anew with SciPy's solver for bands."""
    from scipy.linalg import solveh_banded

    def trends(values: Any) -> Any:
        last = values[:2].tolist()
        for n in range(3, len(values) + 1):
            ones, bends = np.ones(n), np.zeros((3, n))
            ones[[0, -1]] = 0
            bends[0, 2:] = 1
            bends[1, 1:] = -2 * (ones[1:] + ones[:-1])
            bends[2] = 4 * ones
            bends[2, 2:] += 1
            bends[2, :-2] += 1
            bends *= lamb
            bends[2] += 1
            last.append(solveh_banded(bends, values[:n])[-1])
        return np.array(last)

    trend = valid_rows(trends, x)
    return trend, valid_rows(lambda values: values, x) - trend


class Trend(NamedTuple):
    """A series in two parts, which add up to it.

    Attributes
    ----------
    trend, cycle : ndarray
        The smooth part, and what is left.
    """

    trend: np.ndarray[Any, Any]
    cycle: np.ndarray[Any, Any]


@plain_kernel(
    kind="matrix",
    reads="x",
    gives=["trend", "cycle"],
    source="Hodrick and Prescott (1997), Journal of Money, Credit and Banking 29",
)
def hp_filter_two_sided(x: Any, *, lamb: float = 1600.0) -> Trend:
    """Hodrick-Prescott filter of a whole series: the trend τ that minimises ``Σ (x - τ)² + lamb Σ (Δ²τ)²``, and
    ``x - τ``.

    It looks ahead by design, so that it is no step of a pipeline; `hp_filter` is what can be known at each row. A value
    that is missing (NaN or infinite) has neither trend nor cycle; the others are taken as if it were not there.

    Parameters
    ----------
    x : array_like of float, shape (n,)
        Values at equal distances in time.
    lamb : float, default 1600
        How smooth the trend is: 1600 for quarters, 129600 for months, 6.25 for years.

    Returns
    -------
    Trend
        Arrays of float64, shape (n,).

    Raises
    ------
    ParameterError
        If `lamb` is not a number, or below zero, or if `x` is the name of a column.
    DataError
        If `x` is not of one dimension.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.hp_filter_two_sided(np.array([1.0, 2.0, 6.0, 7.0]), lamb=1).trend.round(4)
    array([0.7273, 2.8182, 5.1818, 7.2727])
    """
    if isinstance(x, str):
        raise ParameterError(
            "hp_filter_two_sided looks ahead, so it is no step of a pipeline, nor live: call it with an array, or take "
            "hp_filter, which is one-sided."
        )
    lamb = LAMB.check(lamb)
    values = np.asarray(x, float)
    if values.ndim != 1:
        raise DataError(f"x must be of one dimension, not {values.shape}.")
    known = np.isfinite(values)
    trend = np.full(len(values), np.nan)
    trend[known] = _solver()(values[known], lamb)
    return Trend(trend, values - trend)


@hp_filter_two_sided.oracle
def _(x: Any, *, lamb: float = 1600.0) -> Any:
    """As its definition says: the solution of least squares."""
    bends = np.diff(np.eye(len(x)), n=2, axis=0)
    wanted = np.concatenate([x, np.zeros(len(bends))])
    trend = np.linalg.lstsq(np.vstack([np.eye(len(x)), np.sqrt(lamb) * bends]), wanted, rcond=None)[0]
    return trend, x - trend


@lru_cache(maxsize=1)
def _solver() -> Any:
    return compile_cached(_solve)


def _solve(x: Any, lamb: float) -> Any:
    """Solve ``(I + lamb D'D) τ = x``, whose matrix has five diagonals, by its LDL' factors."""
    n = len(x)
    scale, first, second, result = np.empty(n), np.zeros(n), np.zeros(n), x.copy()
    for i in range(n):
        # How often a value takes part in a bend, by its place in it.
        begins, middle, ends = i + 2 < n, 0 < i < n - 1, i > 1
        diagonal = 1.0 + lamb * (begins + 4 * middle + ends)
        beside = -2.0 * lamb * ((i + 2 < n) + (0 < i < n - 1))
        if i > 0:
            diagonal -= scale[i - 1] * first[i - 1] ** 2
            beside -= scale[i - 1] * first[i - 1] * second[i - 1]
            result[i] -= first[i - 1] * result[i - 1]
        if i > 1:
            diagonal -= scale[i - 2] * second[i - 2] ** 2
            result[i] -= second[i - 2] * result[i - 2]
        scale[i] = diagonal
        first[i] = beside / diagonal
        second[i] = lamb / diagonal if begins else 0.0
    for i in range(n - 1, -1, -1):
        result[i] /= scale[i]
        if i + 1 < n:
            result[i] -= first[i] * result[i + 1]
        if i + 2 < n:
            result[i] -= second[i] * result[i + 2]
    return result
