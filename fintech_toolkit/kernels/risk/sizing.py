"""How much to hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Choice, Number, tick_kernel


@tick_kernel(
    reads="vol",
    gives="leverage",
    parameters=[
        Number("target", "volatility to be reached, in the unit of `vol`", above=0),
        Number("cap", "greatest leverage", 1.0, above=0),
    ],
    source="Moreira and Muir (2017), Journal of Finance 72",
    cases=[{"target": 1}, {"target": 0.5, "cap": 3}],
)
def vol_target(vol: float, target: float, cap: float) -> float:
    """Leverage at which a position has the volatility that is aimed at: ``min(target / vol, cap)``.

    The cap where nothing moves. NaN where the volatility is missing (NaN or infinite) or negative.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.vol_target(np.array([0.2, 0.05, 0.0]), target=0.1, cap=1.5)
    array([0.5, 1.5, 1.5])
    """
    if not (np.isfinite(vol) and vol >= 0.0):
        return np.nan
    return min(target / vol, cap) if vol > 0.0 else cap


@vol_target.oracle
def _(vol: Any, target: float, cap: float = 1.0) -> Any:
    return np.where(np.isfinite(vol) & (vol >= 0), np.minimum(target / np.abs(vol), cap), np.nan)


OF = Choice(
    "of",
    "what the columns hold. 'moments': the mean and the variance of the returns; 'odds': the chance to win, and what a "
    "unit at stake wins",
    "moments",
    options=("moments", "odds"),
)
MOMENTS = OF["moments"]


@tick_kernel(
    reads=["mean", "variance"],
    gives="fraction",
    parameters=[Number("cap", "greatest size of the fraction", 1.0, above=0), OF],
    source="Kelly (1956), Bell System Technical Journal 35; Thorp (2006), on the continuous case",
    cases=[{}, {"cap": 0.5, "of": "odds"}],
)
def kelly_fraction(mean: float, variance: float, cap: float, of: int) -> float:
    """Kelly's fraction of the wealth, clipped to ``[-cap, cap]``: ``mean / variance``.

    Of a bet with ``of="odds"``, whose first column is the chance p to win and whose second what a unit wins, b:
    ``p - (1 - p) / b``; that is never negative, for a bet without an edge is not made. NaN where either value is
    missing (NaN or infinite), the variance or b is not positive, or p is no chance.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.kelly_fraction(np.array([0.02, -0.5]), np.array([0.04, 0.04]))
    array([ 0.5, -1. ])
    >>> ft.kelly_fraction(np.array([0.6, 0.4]), np.array([1.0, 1.0]), of="odds").round(6)
    array([0.2, 0. ])
    """
    if not (np.isfinite(mean) and np.isfinite(variance) and variance > 0.0):
        return np.nan
    if of == MOMENTS:
        return max(min(mean / variance, cap), -cap)
    if not 0.0 <= mean <= 1.0:
        return np.nan
    return min(max(mean - (1.0 - mean) / variance, 0.0), cap)


@kelly_fraction.oracle
def _(mean: Any, variance: Any, cap: float = 1.0, of: str = "moments") -> Any:
    known = np.isfinite(mean) & np.isfinite(variance) & (variance > 0)
    if of == "moments":
        return np.where(known, np.clip(mean / variance, -cap, cap), np.nan)
    known &= (mean >= 0) & (mean <= 1)
    return np.where(known, np.clip((mean * (variance + 1) - 1) / variance, 0, cap), np.nan)
