"""Volumes with the sign of who started the trade, told or estimated."""

from __future__ import annotations

from math import erf, sqrt
from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, tick_kernel, window_kernel
from fintech_toolkit.kernels.statistics.block_sums import MOMENTS, variance_of


@tick_kernel(reads=["side", "size"], gives="signed", source="Hasbrouck (1991), Journal of Finance 46")
def signed_volume(side: float, size: float) -> Any:
    """Volume with the sign of the trade, ``side · size``, in the unit of `size`: bought positive, sold negative.

    A trade of unknown side 0 gives 0. NaN where the side or the size is missing (NaN or infinite).

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.signed_volume(np.array([1.0, -1.0, 0.0]), np.array([5.0, 3.0, 2.0]))
    array([ 5., -3.,  0.])
    """
    return side * size if np.isfinite(side) and np.isfinite(size) else np.nan


@signed_volume.oracle
def _(side: Any, size: Any) -> Any:
    return np.where(np.isfinite(side) & np.isfinite(size), np.multiply(side, size), np.nan)


ROUNDING = 1e-14
"""The share of a price by which changes of prices on a grid differ at most where they are equal."""


def _prepare(s: Any, price: float, size: float) -> Any:
    """Return the change of the price since the last row that has one."""
    if not np.isfinite(price):
        s.change = np.nan
        return np.nan
    s.change = price - s.price if s.known else np.nan
    s.price = price
    s.known = True
    return s.change


@window_kernel(
    gives=["buy", "sell"],
    prepare=_prepare,
    enters=["change"],
    parameters=[Window()],
    **MOMENTS
    | {
        "reads": ["price", "size"],
        "state": [("price", "f8"), ("known", "?"), ("change", "f8"), *MOMENTS["state"]],
        "memory": ["price", "known", "change", *MOMENTS["memory"]],
        "warmup": "min_periods changes of the price in the window, and two at least",
        "source": "Easley, López de Prado and O'Hara (2012), Review of Financial Studies 25",
        "cases": [{"window": 20}, {"window": "3s"}],
    },
)
def bulk_volume_classification(s: Any, price: float, size: float, min_periods: int, slots: Any) -> tuple[float, float]:
    """Volume that was bought and sold, by how far the price moved: ``size Φ(Δp / σ)``, and the rest.

    Φ is the normal distribution's function, Δp the change of the price since the last row that has one, σ the standard
    deviation (``ddof`` 1) of such changes in the window; rows are trades or, as in the paper, bars. Both are in the
    unit of `size`. NaN where the price or the size is missing (NaN or infinite), the size is negative, or the changes
    do not vary.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.bulk_volume_classification(np.array([10.0, 11.0, 9.0]), np.full(3, 100.0), window=2).buy.round(2)
    array([  nan,   nan, 17.29])
    """
    variance = variance_of(s, slots, 1)
    if s.n < min_periods or not (np.isfinite(size) and size >= 0.0) or np.isnan(s.change):
        return np.nan, np.nan
    deviation = np.sqrt(variance)
    if not deviation > ROUNDING * abs(price):
        return np.nan, np.nan
    buy = size * (0.5 * (1.0 + erf(s.change / deviation / sqrt(2.0))))
    return buy, size - buy


@bulk_volume_classification.oracle
def _(price: Any, size: Any, ts: Any, window: Any, min_periods: int | None = None) -> Any:
    import pandas as pd
    from scipy.stats import norm

    priced = pd.Series(np.where(np.isfinite(price), price, np.nan))
    change = priced.dropna().diff().reindex(priced.index).set_axis(pd.to_datetime(ts))
    deviation = change.rolling(window, min_periods=min_periods).apply(lambda v: np.nanstd(v, ddof=1), raw=True)
    moved = deviation.where(deviation > ROUNDING * np.abs(priced.to_numpy()))
    buy = np.where(np.isfinite(size) & (size >= 0), size, np.nan) * norm.cdf(change / moved)
    return buy, size - buy
