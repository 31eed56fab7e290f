"""Trades against the best quotes that stood when they were made."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import tick_kernel


@tick_kernel(
    reads=["price", "side", "best_bid", "best_ask"],
    gives=["improvement", "improvement_bps"],
    source="SEC Rule 605 (17 CFR 242.605): price improvement against the best displayed quote",
)
def price_improvement(price: float, side: float, best_bid: float, best_ask: float) -> tuple[float, float]:
    """Price improvement: by how much a trade was better for who started it than the best quote of the other side.

    ``best_ask - price`` for a purchase (side 1), ``price - best_bid`` for a sale (side -1), in the unit of the prices,
    and in basis points of the mid, ``improvement / mid · 10⁴``. 0 at the quote, positive if better, negative if worse.
    The quotes are those that stood at the trade (`asof_join`). NaN where the side is unknown (NaN or 0), a price is
    missing (NaN or infinite), or the quotes are crossed (bid above ask); in basis points also where the mid is not
    positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price, side = np.array([100.9, 99.0]), np.array([1.0, -1.0])
    >>> ft.price_improvement(price, side, np.array([99.0, 99.0]), np.array([101.0, 101.0])).improvement.round(6)
    array([0.1, 0. ])
    """
    if not (np.isfinite(price) and np.isfinite(best_bid) and np.isfinite(best_ask) and best_bid <= best_ask):
        return np.nan, np.nan
    if side == 1.0:
        improvement = best_ask - price
    elif side == -1.0:
        improvement = price - best_bid
    else:
        return np.nan, np.nan
    mid = (best_bid + best_ask) / 2.0
    return improvement, improvement / mid * 1e4 if mid > 0.0 else np.nan


@price_improvement.oracle
def _(price: Any, side: Any, best_bid: Any, best_ask: Any) -> Any:
    known = np.isfinite([price, best_bid, best_ask]).all(axis=0) & np.isin(side, [-1, 1]) & (best_bid <= best_ask)
    improvement = np.where(known, side * (np.where(side > 0, best_ask, best_bid) - price), np.nan)
    total = best_bid + best_ask
    return improvement, np.where(total > 0, 20_000 * improvement / total, np.nan)


UNKNOWN, INSIDE, AT, OUTSIDE = 0, 1, 2, 3


@tick_kernel(
    reads=["price", "best_bid", "best_ask"],
    gives="place:i8",
    source="SEC Rule 605 (17 CFR 242.605): executions inside, at and outside the best displayed quote",
)
def inside_spread(price: float, best_bid: float, best_ask: float) -> int:
    """Where a trade was made: 1 inside the spread, 2 at the best bid or ask, 3 outside, 0 unknown.

    Inside is strictly between the best quotes, outside strictly beyond them, whoever started the trade. Unknown where a
    price is missing (NaN or infinite) or the quotes are crossed (bid above ask).

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.inside_spread(np.array([100.0, 101.0, 98.0, np.nan]), np.full(4, 99.0), np.full(4, 101.0))
    array([1, 2, 3, 0])
    """
    if not (np.isfinite(price) and np.isfinite(best_bid) and np.isfinite(best_ask) and best_bid <= best_ask):
        return UNKNOWN
    if price < best_bid or price > best_ask:
        return OUTSIDE
    return INSIDE if best_bid < price < best_ask else AT


@inside_spread.oracle
def _(price: Any, best_bid: Any, best_ask: Any) -> Any:
    known = np.isfinite([price, best_bid, best_ask]).all(axis=0) & (best_bid <= best_ask)
    beyond = np.maximum(best_bid - price, price - best_ask)
    return np.where(known, 2 + np.sign(np.where(known, beyond, 0)), 0).astype(int)
