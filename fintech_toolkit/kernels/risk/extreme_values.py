"""Losses beyond those that a window has seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, Window, window_kernel
from fintech_toolkit.kernels.statistics.sorted_values import SORTED, enter_sorted, leave_sorted, slide_sorted, value_at

FEWEST = 5
SMALL = 1e-6
"""A shape below which the distribution is taken to be exponential, since the formulas divide by it."""


@window_kernel(
    reads="pnl",
    gives=["var", "es"],
    enter=enter_sorted,
    leave=leave_sorted,
    slide=slide_sorted,
    parameters=[
        Window(),
        Number("threshold", "share of the window below the tail, such as 0.9", 0.9, above=0, below=1),
        Number("alpha", "probability of the loss, such as 0.01", 0.01, above=0, below=1),
    ],
    warmup="min_periods valid rows in the window, and five in its tail",
    source="Hosking and Wallis (1987), Technometrics 29; McNeil and Frey (2000), Journal of Empirical Finance 7",
    cases=[{"window": 40, "threshold": 0.7}, {"window": "3s", "threshold": 0.5, "alpha": 0.05}],
    **SORTED,
)
def evt_pot_var(
    s: Any, pnl: float, min_periods: int, threshold: float, alpha: float, slots: Any
) -> tuple[float, float]:
    """Value at risk and expected shortfall by peaks over a threshold: a generalised Pareto tail is fitted to the worst
    losses of the window; a loss is positive.

    The ``m = ⌊n (1 - threshold)⌋`` greatest losses exceed the next one, u, by y. With the probability-weighted moments
    ``a_0 = mean(y)`` and ``a_1 = mean((1 - p) y)``, ``p = (rank - 0.35) / m``, the shape is ``ξ = 2 - a_0 / (a_0 - 2
    a_1)`` and the scale ``σ = 2 a_0 a_1 / (a_0 - 2 a_1)``. Then ``var = u + σ ((m / (n alpha))^ξ - 1) / ξ`` and ``es =
    var + (σ + ξ (var - u)) / (1 - ξ)``. A row takes time in proportion to m. NaN where alpha is not within the tail
    (``alpha n > m``), and where losses there are all the same. A missing profit (NaN or infinite) takes a place in the
    window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> pnl = -np.random.default_rng(0).standard_t(4, size=2000)
    >>> ft.evt_pot_var(pnl, window=2000).var[-1:].round(2)
    array([3.83])
    """
    tail = int(s.n * (1.0 - threshold) + SMALL)
    if s.n < min_periods or tail < FEWEST or alpha * s.n > tail:
        return np.nan, np.nan
    edge = value_at(s, slots, tail)
    first, second = 0.0, 0.0
    for j in range(tail):
        # The profits are in ascending order, so that their excesses are in descending order: 1 - p = (j + 0.35) / m.
        excess = edge - value_at(s, slots, j)
        first += excess
        second += (j + 0.35) * excess
    first /= tail
    second /= float(tail) * tail
    between = first - 2.0 * second
    if not (between > 0.0 and np.isfinite(between) and first > 0.0):
        return np.nan, np.nan
    shape, scale = 2.0 - first / between, 2.0 * first * second / between
    rarity = np.log(tail / (s.n * alpha))
    beyond = scale * (np.expm1(shape * rarity) / shape if abs(shape) > SMALL else rarity)
    return beyond - edge, beyond - edge + (scale + shape * beyond) / (1.0 - shape)


@evt_pot_var.oracle
def _(
    pnl: Any, ts: Any, window: Any, min_periods: int | None = None, threshold: float = 0.9, alpha: float = 0.01
) -> Any:
    import pandas as pd
    from scipy.stats import genpareto

    least = min_periods if min_periods is not None else window if isinstance(window, int) else 1
    var, es = np.full((2, len(pnl)), np.nan)
    for i in range(len(pnl)):
        start = max(0, i + 1 - window) if isinstance(window, int) else None
        if start is None:
            start = np.searchsorted(ts, ts[i] - pd.Timedelta(window).value, side="right")
        losses = np.sort(-pnl[start : i + 1][np.isfinite(pnl[start : i + 1])])
        n = len(losses)
        m = int(n * (1 - threshold) + 1e-6)
        if n < least or m < 5 or alpha * n > m:
            continue
        u, y = losses[n - m - 1], losses[n - m :] - losses[n - m - 1]
        a0, a1 = np.mean(y), np.mean((1 - (np.arange(1, m + 1) - 0.35) / m) * y)
        if a0 - 2 * a1 > 0:
            tail = genpareto(2 - a0 / (a0 - 2 * a1), loc=u, scale=2 * a0 * a1 / (a0 - 2 * a1))
            var[i] = tail.isf(alpha * n / m)
            xi, sigma = tail.args[0], tail.kwds["scale"]
            es[i] = (var[i] + sigma - xi * u) / (1 - xi)
    return var, es
