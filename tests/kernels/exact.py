"""Exact arithmetic for the tests of digits: each statistic as its definition says, in whole numbers and fractions."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

Values = list[Any]


def root(value: Fraction) -> Fraction:
    """Return a square root to fifty digits."""
    with localcontext(prec=50, Emin=-9_999_999, Emax=9_999_999):
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).sqrt())


def whole(column: Any) -> tuple[list[int], int]:
    """Return a column as whole multiples of a power of two, and that power: exact, and faster than fractions."""
    exact = [Fraction(float(value)) if np.isfinite(value) else Fraction(0) for value in column]
    unit = max(value.denominator for value in exact)
    return [int(value * unit) for value in exact], unit


def mean(x: Values) -> Any:
    return Fraction(sum(x), len(x))


def moment(x: Values, y: Values) -> Fraction:
    """``Σ (x - mean) (y - mean)``."""
    return Fraction(len(x) * sum(a * b for a, b in zip(x, y, strict=True)) - sum(x) * sum(y), len(x))


def var(x: Values) -> Any:
    return moment(x, x) / (len(x) - 1) if len(x) > 1 else np.nan


def std(x: Values) -> Any:
    return root(var(x)) if len(x) > 1 else np.nan


def skew(x: Values) -> Any:
    n = len(x)
    if n < 3 or len(set(x)) < 2:
        return np.nan
    third = sum((n * v - sum(x)) ** 3 for v in x)
    return Fraction(third, n**2 * (n - 1) * (n - 2)) / (var(x) * std(x))


def kurt(x: Values) -> Any:
    n = len(x)
    if n < 4 or len(set(x)) < 2:
        return np.nan
    fourth = Fraction(sum((n * v - sum(x)) ** 4 for v in x), n**4)
    peak = (n + 1) * n * (n - 1) * fourth / moment(x, x) ** 2 - 3 * (n - 1) ** 2
    return peak / ((n - 2) * (n - 3))


def zscore(x: Values) -> Any:
    return (x[-1] - mean(x)) / std(x) if len(set(x)) > 1 else np.nan


def corr(x: Values, y: Values) -> Any:
    varies = len(set(x)) > 1 and len(set(y)) > 1
    return moment(x, y) / (root(moment(x, x)) * root(moment(y, y))) if varies else np.nan


def cov(x: Values, y: Values) -> Any:
    return moment(x, y) / (len(x) - 1) if len(x) > 1 else np.nan


def slope(x: Values, y: Values) -> Any:
    return moment(x, y) / moment(y, y) if len(set(y)) > 1 else np.nan


def squares(r: Values) -> Any:
    return Fraction(sum(value * value for value in r))


def vwap(price: Values, size: Values) -> Any:
    return Fraction(sum(p * q for p, q in zip(price, size, strict=True)), sum(size)) if sum(size) else np.nan


def over_windows(
    statistic: Callable[..., Any],
    degree: int | tuple[int, ...],
    columns: list[Any],
    ts: Any,
    window: int,
    *,
    by_time: bool,
) -> tuple[Any, Any]:
    """Return a statistic of every window, NaN where it is not full, and which windows are of one scale.

    `degree` says with what power of the first column's unit, or of each column's, the statistic goes.
    """
    valid = np.isfinite(columns).all(axis=0)
    exact = [whole(column) for column in columns]
    powers = (degree,) if isinstance(degree, int) else degree
    unit = prod((Fraction(scale) ** power for (_, scale), power in zip(exact, powers, strict=False)), start=Fraction(1))
    starts = np.searchsorted(ts, ts - window, "right") if by_time else np.maximum(np.arange(len(ts)) + 1 - window, 0)
    result, alike = np.full(len(ts), np.nan), np.zeros(len(ts), dtype=bool)
    for i, start in enumerate(starts):
        inside = [j for j in range(start, i + 1) if valid[j]]
        if len(inside) >= (1 if by_time else window // 2):
            result[i] = as_float(statistic(*([values[j] for j in inside] for values, _ in exact)) / unit)
            alike[i] = all(one_scale(column[inside]) for column in columns)
    return result, alike


def as_float(value: Any) -> float:
    """Round to float64, beyond it to infinity."""
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def one_scale(values: Any) -> bool:
    """Whether values differ by a factor of 1,000 at most, zeros aside, and have squares."""
    sizes = np.abs(values[values != 0])
    return len(sizes) == 0 or bool(sizes.max() / 1e3 <= sizes.min() < 1e150)


def weights(columns: list[Any], alpha: float, *, adjust: bool, ignore_na: bool) -> list[tuple[Values, ...]]:
    """Return for every row the weights of the values so far, which are alpha's, and these values."""
    keep = 1 - Fraction(alpha)
    rows: list[tuple[Values, ...]] = []
    heavy: list[Fraction] = []
    values: list[list[Fraction]] = [[] for _ in columns]
    for row in zip(*columns, strict=True):
        here = bool(np.isfinite(row).all())
        if here or not ignore_na:
            heavy = [weight * keep for weight in heavy]
        if here:
            heavy.append(Fraction(1) if adjust or not heavy else Fraction(alpha))
            if not adjust:
                # The recursion sees the values so far as one, of weight 1.
                heavy = [weight / sum(heavy) for weight in heavy]
            for seen, value in zip(values, row, strict=True):
                seen.append(Fraction(float(value)))
        rows.append((list(heavy), *map(list, values)))
    return rows


def weighted(weights: Values, x: Values, y: Values, *, bias: bool) -> Any:
    """The weighted covariance, as the docstring of `ewcov` defines it."""
    total = sum(weights)
    mean_x, mean_y = (sum(w * v for w, v in zip(weights, values, strict=True)) / total for values in (x, y))
    moment = sum(w * (a - mean_x) * (b - mean_y) for w, a, b in zip(weights, x, y, strict=True)) / total
    return moment if bias else moment / (1 - sum(w * w for w in weights) / total**2)
