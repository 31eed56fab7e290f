"""Two prices that belong together: their spread, the ratio that hedges one with the other, and how fast it closes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, tick_kernel, window_kernel
from fintech_toolkit.kernels.statistics.comoments import COMOMENTS, slope


@tick_kernel(
    reads=["price_a", "price_b"],
    gives="spread",
    kind="pair",
    parameters=[Number("beta", "units of b against one unit of a", 1.0)],
    source="Gatev, Goetzmann and Rouwenhorst (2006), Review of Financial Studies 19",
    cases=[{}, {"beta": -0.7}],
)
def pairs_spread(price_a: float, price_b: float, beta: float) -> float:
    """Spread of a pair at a given hedge ratio: ``price_a - beta price_b``; of log prices, if these are given.

    NaN where a price is missing (NaN or infinite). For a ratio that changes see `kalman_hedge_ratio`.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.pairs_spread(np.array([10.0, 11.0]), np.array([4.0, 5.0]), beta=2)
    array([2., 1.])
    """
    return price_a - beta * price_b if np.isfinite(price_a) and np.isfinite(price_b) else np.nan


@pairs_spread.oracle
def _(price_a: Any, price_b: Any, beta: float = 1.0) -> Any:
    both = np.where(np.isfinite(price_a) & np.isfinite(price_b), [price_a, price_b], np.nan)
    return np.array([1.0, -beta]) @ both


@tick_kernel(
    reads=["price_a", "price_b"],
    gives=["alpha", "beta", "spread"],
    kind="pair",
    parameters=[
        Number("q", "variance by which each coefficient wanders a row", 1e-5, at_least=0),
        Number("r", "variance of the spread, in squared units of price_a", 1e-3, above=0),
    ],
    state=[("a", "f8"), ("b", "f8"), ("aa", "f8"), ("ab", "f8"), ("bb", "f8"), ("begun", "?")],
    warmup="none; the first rows still show the start",
    source="Kalman (1960), Journal of Basic Engineering 82; Chan (2013), Algorithmic Trading, ch. 3",
    cases=[{}, {"q": 0.01, "r": 1.0}],
)
def kalman_hedge_ratio(s: Any, price_a: float, price_b: float, q: float, r: float) -> tuple[float, float, float]:
    """Hedge ratio that changes with time: the regression ``price_a = alpha + beta price_b + ε`` whose coefficients are
    random walks, by the Kalman filter.

    `alpha` and `beta` are the estimates that include the row, `spread` is by how much price_a was above what the
    estimates before it foretold. At first both coefficients are 0, each with a variance of 1. A row in which a price is
    missing (NaN or infinite) teaches nothing, but the coefficients wander: it gives the estimates so far, and no
    spread. So does one whose numbers are beyond what can be squared.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> b = np.array([1.0, 2.0, 3.0, 4.0])
    >>> ft.kalman_hedge_ratio(0.5 + 2 * b, b).beta.round(3)
    array([1.249, 1.997, 1.999, 2.   ])
    """
    if not s.begun:
        s.aa = s.bb = 1.0
        s.begun = True
    s.aa += q
    s.bb += q
    if not (np.isfinite(price_a) and np.isfinite(price_b)):
        return s.a, s.b, np.nan
    spread = price_a - (s.a + s.b * price_b)
    to_a, to_b = s.aa + s.ab * price_b, s.ab + s.bb * price_b
    variance = to_a + price_b * to_b + r
    if not (np.isfinite(variance) and np.isfinite(spread)):
        return s.a, s.b, np.nan
    gain_a, gain_b = to_a / variance, to_b / variance
    s.a += gain_a * spread
    s.b += gain_b * spread
    # Joseph's form, which stays a covariance however small r is: (1 - K h) P (1 - K h)' + K r K'.
    kept_a, kept_b = 1.0 - gain_a, 1.0 - gain_b * price_b
    left_aa, left_ab = kept_a * s.aa - gain_a * price_b * s.ab, kept_a * s.ab - gain_a * price_b * s.bb
    left_ba, left_bb = kept_b * s.ab - gain_b * s.aa, kept_b * s.bb - gain_b * s.ab
    s.aa = left_aa * kept_a - left_ab * gain_a * price_b + gain_a * r * gain_a
    s.ab = left_ab * kept_b - left_aa * gain_b + gain_a * r * gain_b
    s.bb = left_bb * kept_b - left_ba * gain_b + gain_b * r * gain_b
    return s.a, s.b, spread


@kalman_hedge_ratio.oracle
def _(price_a: Any, price_b: Any, q: float = 1e-5, r: float = 1e-3) -> Any:
    """The filter as it stands in the books, in matrices."""
    state, covariance = np.zeros(2), np.eye(2)
    rows = []
    for a, b in zip(price_a, price_b, strict=True):
        covariance = covariance + q * np.eye(2)
        spread = np.nan
        if np.isfinite(a) and np.isfinite(b):
            h = np.array([1.0, b])
            spread = a - h @ state
            gain = covariance @ h / (h @ covariance @ h + r)
            state = state + gain * spread
            rest = np.eye(2) - np.outer(gain, h)
            covariance = rest @ covariance @ rest.T + r * np.outer(gain, gain)
        rows.append((*state, spread))
    return tuple(np.reshape(rows, (-1, 3)).T)


EDGE = 1e-9
"""How close to 0 and 1 a coefficient may be by rounding alone."""


def _with_the_last(s: Any, spread: float) -> tuple[float, float]:
    before = s.before if s.known else np.nan
    s.known = np.isfinite(spread)
    s.before = spread if s.known else 0.0
    return spread, before


@window_kernel(
    gives="half_life",
    source="Chan (2013), Algorithmic Trading, ch. 2; the half-life of an AR(1)",
    **COMOMENTS
    | {
        "reads": "spread",
        "enters": ["x", "y"],
        "prepare": _with_the_last,
        "state": [*COMOMENTS["state"], ("before", "f8"), ("known", "?")],
        "memory": ["before", "known"],
        "warmup": "min_periods pairs of successive values in the window, and three at least",
        "cases": [{"window": 20}, {"window": 7, "min_periods": 3}, {"window": "3s"}],
    },
)
def half_life(s: Any, spread: float, min_periods: int) -> float:
    """Half-life of what a spread is from its mean, in rows: ``-ln 2 / ln φ``, with φ of ``x_t = c + φ x_{t-1} + ε``
    fitted by least squares to the rows of the window.

    Each row counts with the one before it. A row in which either is missing (NaN or infinite) takes a place in the
    window but no part in the result. NaN where φ is not between 0 and 1: the spread does not return, or overshoots.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.half_life(np.array([8.0, 4.0, 2.0, 1.0, 0.5]), window=4).round(6)
    array([nan, nan, nan, nan,  1.])
    """
    if s.n < max(min_periods, 3):
        return np.nan
    kept = slope(s)
    return -np.log(2.0) / np.log(kept) if EDGE < kept < 1.0 - EDGE else np.nan


@half_life.oracle
def _(spread: Any, ts: Any, window: Any, min_periods: int | None = None) -> Any:
    import pandas as pd
    from scipy.stats import linregress

    before = np.concatenate([[np.nan], spread[:-1]])
    both = np.isfinite(spread) & np.isfinite(before)
    least = max(3, min_periods if min_periods is not None else window if isinstance(window, int) else 1)
    result = np.full(len(spread), np.nan)
    for i in range(len(spread)):
        start = max(0, i + 1 - window) if isinstance(window, int) else None
        if start is None:
            start = np.searchsorted(ts, ts[i] - pd.Timedelta(window).value, side="right")
        inside = np.flatnonzero(both[start : i + 1]) + start
        if len(inside) >= least and np.ptp(before[inside]) > 0:
            kept = linregress(before[inside], spread[inside]).slope
            result[i] = np.log(0.5) / np.log(kept) if 1e-9 < kept < 1 - 1e-9 else np.nan
    return result
