"""What became of a trade's price."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import tick_kernel


@tick_kernel(
    reads=["price", "later", "side"],
    gives=["markout", "markout_bps"],
    source="Huang and Stoll (1996), Journal of Financial Economics 41: half the realised spread, with the other sign",
)
def markout(price: float, later: float, side: float) -> tuple[float, float]:
    """By how much a trade was right for who started it, once the market had moved: ``side (later - price)``.

    In the unit of the prices, and in basis points of the trade's price. `later` is a mid some time after the trade, as
    `horizon_join` finds it; the mid at the trade itself gives what it cost to trade, with a minus. NaN where the side
    is unknown (NaN or 0) or a price is missing (NaN or infinite), in basis points also where the price is not positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.markout(np.array([100.0, 100.0]), np.array([100.5, 100.5]), np.array([1.0, -1.0])).markout_bps
    array([ 50., -50.])
    """
    if not (np.isfinite(price) and np.isfinite(later)) or side not in (1.0, -1.0):
        return np.nan, np.nan
    gained = side * (later - price)
    return gained, gained / price * 1e4 if price > 0.0 else np.nan


@markout.oracle
def _(price: Any, later: Any, side: Any) -> Any:
    known = np.isfinite(price) & np.isfinite(later) & np.isin(side, [-1, 1])
    gained = np.where(known, np.where(side > 0, np.subtract(later, price), np.subtract(price, later)), np.nan)
    return gained, np.where(np.greater(price, 0), 10_000 * gained / price, np.nan)
