"""Quotes that add liquidity, and take none."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, tick_kernel

ROUNDING = 1e-6
"""The part of a price step by which a price may be off the grid and still be on it."""


@tick_kernel(
    reads=["bid", "ask", "imbalance"],
    gives=["bid_quote", "ask_quote"],
    parameters=[
        Number("tick", "step of the prices, in their unit", above=0),
        Number("shade", "how far the quotes move with an imbalance of 1, in steps", 1.0, at_least=0),
    ],
    source="definition; Cartea, Donnelly and Jaimungal (2018), Applied Mathematical Finance 25, on the imbalance",
    cases=[{"tick": 0.01}, {"tick": 0.02, "shade": 2.5}],
)
def post_only_shading(bid: float, ask: float, imbalance: float, tick: float, shade: float) -> tuple[float, float]:
    """Bid and ask to be quoted, moved with the pressure of the book, that never cross the market.

    Both sides of the market are moved by ``shade imbalance`` steps, up where buyers press (an imbalance above zero; it
    is taken for within -1 and 1) and down where sellers do, and rounded away from each other to the grid of `tick`. A
    bid that would not be below the best ask then is the last step below it, and an ask that would not be above the best
    bid the first one above. NaN where the market or the imbalance is missing (NaN or infinite), or the market is locked
    or crossed.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> bid, ask = np.array([99.97, 99.99]), np.array([100.0, 100.0])
    >>> quotes = ft.post_only_shading(bid, ask, np.array([-1.0, 1.0]), tick=0.01, shade=2)
    >>> quotes.bid_quote.round(2), quotes.ask_quote.round(2)
    (array([99.95, 99.99]), array([ 99.98, 100.02]))
    """
    # The number of steps is as exact as the prices are; beyond 2**52 there are no halves between them.
    if not (bid < ask and np.isfinite(imbalance) and max(abs(bid), abs(ask)) / tick < 1e15):
        return np.nan, np.nan
    move = shade * max(min(imbalance, 1.0), -1.0)
    low = min(np.floor(bid / tick + move + ROUNDING), np.ceil(ask / tick - ROUNDING) - 1.0) * tick
    high = max(np.ceil(ask / tick + move - ROUNDING), np.floor(bid / tick + ROUNDING) + 1.0) * tick
    # What is on the grid but for rounding can still be beyond it by that.
    return (low if low < ask else low - tick), (high if high > bid else high + tick)


@post_only_shading.oracle
def _(bid: Any, ask: Any, imbalance: Any, tick: float, shade: float = 1.0) -> Any:
    """In whole steps, counted one by one from the market."""
    from fractions import Fraction

    result = np.full((2, len(bid)), np.nan)
    step = Fraction(repr(float(tick)))
    for i in np.flatnonzero(np.isfinite([bid, ask, imbalance]).all(axis=0) & (bid < ask)):
        best_bid, best_ask = (Fraction(round(float(side[i]), 6)).limit_denominator(10**6) for side in (bid, ask))
        move = Fraction(repr(float(shade))) * Fraction(repr(float(np.clip(imbalance[i], -1, 1)))) * step
        low = (best_bid + move) // step
        high = -(-(best_ask + move) // step)
        while low * step >= best_ask:
            low -= 1
        while high * step <= best_bid:
            high += 1
        result[:, i] = float(low * step), float(high * step)
    return result[0], result[1]
