"""Levels of price of the two sides of a market, best first: what kernels that give depth share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Levels, helper

BID, ASK = 0, 1
LEVELS = Levels("levels", "how many levels a side are given", default=5)
PRICES = ["*bid", "*ask", "*bid_size", "*ask_size"]
MEANS = ["bid_mean_3", "ask_mean_3", "bid_mean_5", "ask_mean_5"]

# A slot has a price and a size of either side, each a field of its own.


@helper
def price_at(slots, j, side):  # type: ignore[no-untyped-def]
    """Return the price of a side in a slot."""
    return slots[j].bid if side == BID else slots[j].ask


@helper
def size_at(slots, j, side):  # type: ignore[no-untyped-def]
    """Return the size of a side in a slot."""
    return slots[j].bid_size if side == BID else slots[j].ask_size


@helper
def better(side, price, other):  # type: ignore[no-untyped-def]
    """Whether a price of a side is better than another."""
    return price > other if side == BID else price < other


@helper
def _mean(prices, used, most):  # type: ignore[no-untyped-def]
    """Mean of the best prices, `most` of them or as many as there are."""
    n = min(used, most)
    total = 0.0
    for j in range(n):
        total += prices[j]
    return total / n if n > 0 else np.nan


@helper
def finish_row(row, bids, asks):  # type: ignore[no-untyped-def]
    """Say of the levels that there are not that they are missing, and fill in the means."""
    for j in range(bids, row.bid.shape[0]):
        row.bid[j], row.bid_size[j] = np.nan, 0.0
    for j in range(asks, row.ask.shape[0]):
        row.ask[j], row.ask_size[j] = np.nan, 0.0
    row.bid_mean_3, row.bid_mean_5 = _mean(row.bid, bids, 3), _mean(row.bid, bids, 5)
    row.ask_mean_3, row.ask_mean_5 = _mean(row.ask, asks, 3), _mean(row.ask, asks, 5)


def columns_of_levels(rows: Any, levels: int, dealers: bool) -> Any:
    """Return an oracle's rows of levels of bids and of asks, each (price, size, dealers), best first, as columns."""
    found: list[list[float]] = []
    for sides in rows:
        padded = [[*side[:levels], *[(np.nan, 0.0, 0)] * (levels - len(side))] for side in sides]
        row = [level[part] for part in range(2 + dealers) for side in padded for level in side]
        for most in (3, 5):
            row += [np.mean([price for price, *_ in side[: min(most, levels)]]) if side else np.nan for side in sides]
        found.append(row)
    width = (4 + 2 * dealers) * levels
    columns = np.array(found, np.float64).reshape(-1, width + 4).T
    return tuple(c.astype(np.int64) if dealers and 4 * levels <= j < width else c for j, c in enumerate(columns))
