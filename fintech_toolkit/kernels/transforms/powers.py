"""Transforms that bring skewed values nearer to the normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, helper, tick_kernel

LAMB = Number("lamb", "the transform's lambda, fitted beforehand")


@helper
def _power(log, lamb):  # type: ignore[no-untyped-def]
    """Return ``(y^lamb - 1) / lamb`` of a y whose logarithm is given, and that itself in the limit."""
    return np.expm1(lamb * log) / lamb if lamb != 0.0 else log


@tick_kernel(
    reads="x",
    gives="boxcox",
    parameters=[LAMB],
    warmup="none",
    source="Box and Cox (1964), Journal of the Royal Statistical Society B 26; scipy.special.boxcox",
    cases=[{"lamb": 0.5}, {"lamb": 0}, {"lamb": -1}],
)
def boxcox(x: float, lamb: float) -> Any:
    """Box-Cox transform of positive values, ``(x^λ - 1) / λ``, and ``ln x`` for λ = 0.

    λ is fitted on past values, for example ``scipy.stats.boxcox_normmax(values, method="mle")``; fitted on all of them
    it looks ahead. A value that is missing (NaN or infinite) or not positive gives NaN.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.boxcox(np.array([1.0, 4.0, -1.0]), lamb=0.5)
    array([ 0.,  2., nan])
    """
    return _power(np.log(x), lamb) if np.isfinite(x) and x > 0.0 else np.nan


@boxcox.oracle
def _(x: Any, lamb: float) -> Any:
    from scipy.special import boxcox

    return boxcox(np.where(np.isfinite(x) & (x > 0), x, np.nan), lamb)


@tick_kernel(
    reads="x",
    gives="yeo_johnson",
    parameters=[LAMB],
    warmup="none",
    source="Yeo and Johnson (2000), Biometrika 87; scipy.stats.yeojohnson",
    cases=[{"lamb": 0.5}, {"lamb": 0}, {"lamb": 2}, {"lamb": 3}],
)
def yeo_johnson(x: float, lamb: float) -> Any:
    """Yeo-Johnson transform: Box-Cox of ``1 + x`` where x >= 0, and minus that of ``1 - x`` with 2 - λ elsewhere.

    λ is fitted on past values, for example ``scipy.stats.yeojohnson_normmax(values)``; fitted on all of them it looks
    ahead. A missing value (NaN or infinite) gives NaN.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.yeo_johnson(np.array([0.0, 3.0, -1.0]), lamb=0.5).round(4)
    array([ 0.   ,  2.   , -1.219])
    """
    if not np.isfinite(x):
        return np.nan
    return _power(np.log1p(x), lamb) if x >= 0.0 else -_power(np.log1p(-x), 2.0 - lamb)


@yeo_johnson.oracle
def _(x: Any, lamb: float) -> Any:
    from scipy.stats import yeojohnson

    finite = np.isfinite(x)
    result = np.full(len(x), np.nan)
    if finite.any():
        result[finite] = yeojohnson(x[finite], lamb)
    return result
