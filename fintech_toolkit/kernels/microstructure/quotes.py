"""What a quote says about the price, its cost, and the balance of supply and demand."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import tick_kernel


@tick_kernel(
    reads=["bid", "ask"],
    gives="mid",
    source="Harris (2003), Trading and Exchanges, ch. 14",
)
def midprice(bid: float, ask: float) -> float:
    """Midpoint of the best bid and offer, ``(bid + ask) / 2``, in the unit of the prices.

    NaN where either side is missing (NaN or infinite).

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.midprice(np.array([99.0, np.nan]), np.array([101.0, 101.0]))
    array([100.,  nan])
    """
    if not (np.isfinite(bid) and np.isfinite(ask)):
        return np.nan
    return (bid + ask) / 2.0


@midprice.oracle
def _(bid: Any, ask: Any) -> Any:
    return np.where(np.isfinite(bid) & np.isfinite(ask), np.mean([bid, ask], axis=0), np.nan)


@tick_kernel(
    reads=["bid", "ask", "bid_size", "ask_size"],
    gives="microprice",
    source="Gatheral and Oomen (2010), Finance and Stochastics 14",
)
def microprice(bid: float, ask: float, bid_size: float, ask_size: float) -> float:
    """Best bid and offer weighted by the size of the opposite side, in the unit of the prices.

    ``(bid ask_size + ask bid_size) / (bid_size + ask_size)``: it leans towards the side that is about to
    give way. NaN where a price or a size is missing (NaN or infinite), a size is negative, or both are zero.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.microprice(np.array([99.0]), np.array([101.0]), np.array([3.0]), np.array([1.0]))
    array([100.5])
    """
    if not (np.isfinite(bid) and np.isfinite(ask) and np.isfinite(bid_size) and np.isfinite(ask_size)):
        return np.nan
    if bid_size < 0.0 or ask_size < 0.0 or bid_size + ask_size == 0.0:
        return np.nan
    return (bid * ask_size + ask * bid_size) / (bid_size + ask_size)


@microprice.oracle
def _(bid: Any, ask: Any, bid_size: Any, ask_size: Any) -> Any:
    quote = np.array([bid, ask, bid_size, ask_size])
    known = np.isfinite(quote).all(axis=0) & (quote[2:] >= 0).all(axis=0) & (bid_size + ask_size > 0)
    share_of_bid = bid_size / (bid_size + ask_size)
    return np.where(known, bid + share_of_bid * (ask - bid), np.nan)


@tick_kernel(
    reads=["bid", "ask"],
    gives=["spread", "spread_bps"],
    source="Harris (2003), Trading and Exchanges, ch. 14",
)
def quoted_spread(bid: float, ask: float) -> tuple[float, float]:
    """Quoted spread, ``ask - bid``, in the unit of the prices, and in basis points of the mid, ``spread / mid ·
    10⁴``.

    Negative where the quote is crossed. NaN where either side is missing (NaN or infinite); the spread in
    basis points also where the mid is not positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.quoted_spread(np.array([99.0]), np.array([101.0]))
    quoted_spread(spread=array([2.]), spread_bps=array([200.]))
    """
    if not (np.isfinite(bid) and np.isfinite(ask)):
        return np.nan, np.nan
    spread = ask - bid
    mid = (bid + ask) / 2.0
    return spread, spread / mid * 1e4 if mid > 0.0 else np.nan


@quoted_spread.oracle
def _(bid: Any, ask: Any) -> Any:
    known = np.isfinite(bid) & np.isfinite(ask)
    spread = np.where(known, np.subtract(ask, bid), np.nan)
    return spread, np.where(bid + ask > 0, 20_000 * spread / (bid + ask), np.nan)


@tick_kernel(
    reads=["bid_size", "ask_size"],
    gives="imbalance",
    source="Gould and Bonart (2016), Market Microstructure and Liquidity 2",
)
def l1_imbalance(bid_size: float, ask_size: float) -> float:
    """Imbalance of the sizes at the best bid and offer, ``(bid_size - ask_size) / (bid_size + ask_size)``.

    Between -1 (only offers) and 1 (only bids). NaN where a size is missing (NaN or infinite) or negative, or both are
    zero.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.l1_imbalance(np.array([3.0, 0.0]), np.array([1.0, 0.0]))
    array([0.5, nan])
    """
    if not (np.isfinite(bid_size) and np.isfinite(ask_size)):
        return np.nan
    if bid_size < 0.0 or ask_size < 0.0 or bid_size + ask_size == 0.0:
        return np.nan
    return (bid_size - ask_size) / (bid_size + ask_size)


@l1_imbalance.oracle
def _(bid_size: Any, ask_size: Any) -> Any:
    known = np.isfinite(bid_size) & np.isfinite(ask_size) & (np.minimum(bid_size, ask_size) >= 0)
    return np.where(known & (bid_size + ask_size > 0), 2 * bid_size / (bid_size + ask_size) - 1, np.nan)
