"""Value at risk, and what is lost beyond it."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, Window, helper, tick_kernel, window_kernel
from fintech_toolkit.kernels.statistics.quantiles import (
    HEAPS,
    enter_heaps,
    leave_heaps,
    no_sums,
    quantile_of,
    slide_alone,
    slide_heaps,
    sums_below,
)

ALPHA = Number("alpha", "probability of the tail, such as 0.05", 0.05, above=0, below=1)


@helper
def _enter(s, pnl, slots, slot, alpha):  # type: ignore[no-untyped-def]
    enter_heaps(s, pnl, slots, slot, alpha, no_sums)


@helper
def _leave(s, pnl, slots, slot, alpha):  # type: ignore[no-untyped-def]
    leave_heaps(s, slots, slot, alpha, no_sums)


@helper
def _enter_sums(s, pnl, slots, slot, alpha):  # type: ignore[no-untyped-def]
    enter_heaps(s, pnl, slots, slot, alpha, sums_below)


@helper
def _leave_sums(s, pnl, slots, slot, alpha):  # type: ignore[no-untyped-def]
    leave_heaps(s, slots, slot, alpha, sums_below)


@helper
def _slide_sums(s, old, new, slots, slot):  # type: ignore[no-untyped-def]
    slide_heaps(s, slots, slot, sums_below)


TAIL: dict[str, Any] = HEAPS | {
    "reads": "pnl",
    "enter": _enter,
    "leave": _leave,
    "slide": slide_alone,
    "parameters": [Window(), ALPHA],
    "cases": [{"window": 20}, {"window": "3s", "alpha": 0.3}],
}
TAIL_SUMS: dict[str, Any] = TAIL | {
    "enter": _enter_sums,
    "leave": _leave_sums,
    "slide": _slide_sums,
    "slots": [*HEAPS["slots"], ("sum", "f8")],
}


@window_kernel(gives="var", source="Jorion (2006), Value at Risk, ch. 10; numpy.quantile", **TAIL)
def historical_var(s: Any, pnl: float, min_periods: int, alpha: float, slots: Any) -> Any:
    """Historical value at risk: the loss that is exceeded with probability `alpha`, by the profits in the window.

    Minus their `alpha` quantile, on the line between the two values beside it: a loss is positive. A missing profit
    (NaN or infinite) takes a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.historical_var(np.array([3.0, -1.0, -2.0, 4.0]), window=3, alpha=0.25)
    array([nan, nan, 1.5, 1.5])
    """
    n = s.low + s.high
    return 0.0 - quantile_of(s, slots, alpha) if n > 0 and n >= min_periods else np.nan


@historical_var.oracle
def _(pnl: Any, ts: Any, window: Any, alpha: float = 0.05) -> Any:
    import pandas as pd

    values = pd.Series(np.where(np.isfinite(pnl), pnl, np.nan), index=pd.to_datetime(ts))
    return values.rolling(window).apply(lambda v: -np.quantile(v[~np.isnan(v)], alpha), raw=True).to_numpy()


@window_kernel(gives="cvar", source="Acerbi and Tasche (2002), Journal of Banking & Finance 26", **TAIL_SUMS)
def historical_cvar(s: Any, pnl: float, min_periods: int, alpha: float, slots: Any) -> Any:
    """Historical expected shortfall: the mean loss in the worst cases of the window.

    Of n profits these are the ``⌊(n - 1) alpha⌋ + 1`` least, which are not above their `alpha` quantile; a loss is
    positive. A missing profit (NaN or infinite) takes a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.historical_cvar(np.array([3.0, -1.0, -2.0, 4.0]), window=3, alpha=0.5)
    array([nan, nan, 1.5, 1.5])
    """
    n = s.low + s.high
    return 0.0 - slots[0].sum / s.low if n > 0 and n >= min_periods else np.nan


@historical_cvar.oracle
def _(pnl: Any, ts: Any, window: Any, alpha: float = 0.05) -> Any:
    import pandas as pd

    def shortfall(values: Any) -> float:
        least = np.sort(values[~np.isnan(values)])
        return -float(np.mean(least[: int((len(least) - 1) * alpha) + 1]))

    values = pd.Series(np.where(np.isfinite(pnl), pnl, np.nan), index=pd.to_datetime(ts))
    return values.rolling(window).apply(shortfall, raw=True).to_numpy()


class NormalQuantile(Number):
    """A probability; the loop receives the quantile of the normal distribution at it."""

    def check(self, value: Any) -> Any:
        probability = super().check(value)
        quantiles = [NormalDist().inv_cdf(p) for p in np.ravel(probability).tolist()]
        return np.reshape(quantiles, np.shape(probability)) if np.ndim(probability) else quantiles[0]


@tick_kernel(
    reads=["mean", "sd", "skew", "kurt"],
    gives="var",
    parameters=[NormalQuantile("alpha", "probability of the tail, such as 0.05", 0.05, above=0, below=1)],
    source="Cornish and Fisher (1938), Revue de l'Institut International de Statistique 5; Favre and Galeano (2002)",
    cases=[{}, {"alpha": 0.01}],
)
def cornish_fisher_var(mean: float, sd: float, skew: float, kurt: float, alpha: float) -> float:
    """Value at risk of a distribution with known moments: ``-(mean + z' sd)``, a loss being positive.

    ``z' = z + (z² - 1) skew / 6 + (z³ - 3z) kurt / 24 - (2z³ - 5z) skew² / 36`` is the quantile of the normal
    distribution at `alpha`, z, corrected for skewness and excess kurtosis (0 for the normal distribution). NaN where a
    moment is missing (NaN or infinite) or the deviation is negative.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.cornish_fisher_var(np.zeros(2), np.ones(2), np.array([0.0, -0.5]), np.array([0.0, 1.0])).round(4)
    array([1.6449, 1.7621])
    """
    if not (np.isfinite(mean) and np.isfinite(sd) and np.isfinite(skew) and np.isfinite(kurt) and sd >= 0.0):
        return np.nan
    z = alpha
    corrected = (
        z
        + (z * z - 1.0) * skew / 6.0
        + (z * z * z - 3.0 * z) * kurt / 24.0
        - (2.0 * z * z * z - 5.0 * z) * skew * skew / 36.0
    )
    return -(mean + corrected * sd)


@cornish_fisher_var.oracle
def _(mean: Any, sd: Any, skew: Any, kurt: Any, alpha: float = 0.05) -> Any:
    from numpy.polynomial import hermite_e
    from scipy.stats import norm

    z = norm.ppf(alpha)
    second, third = (hermite_e.hermeval(z, [0] * n + [1]) for n in (2, 3))
    quantile = z + second * skew / 6 + third * kurt / 24 - (2 * third + z) * skew**2 / 36
    known = np.isfinite([mean, sd, skew, kurt]).all(axis=0) & (sd >= 0)
    return np.where(known, -mean - sd * quantile, np.nan)
