"""An order book that is told level by level."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Name, helper, tick_kernel
from fintech_toolkit.kernels.market_quality.levels import (
    ASK,
    BID,
    LEVELS,
    MEANS,
    PRICES,
    better,
    columns_of_levels,
    finish_row,
    price_at,
    size_at,
)

# A book's slots hold two lists, one a side, from the worst level to the best: changes are mostly near the best, so that
# little moves.


@helper
def _place(slots, used, side, price):  # type: ignore[no-untyped-def]
    """Return how many of a side's levels are worse than a price."""
    low, high = 0, used
    while low < high:
        middle = (low + high) >> 1
        if better(side, price, price_at(slots, middle, side)):
            low = middle + 1
        else:
            high = middle
    return low


@helper
def _set_level(slots, j, side, price, size):  # type: ignore[no-untyped-def]
    if side == BID:
        slots[j].bid, slots[j].bid_size = price, size
    else:
        slots[j].ask, slots[j].ask_size = price, size


@helper
def _update(slots, used, side, price, size):  # type: ignore[no-untyped-def]
    """Set the size of a level, 0 to remove it; return how many there are then."""
    k = _place(slots, used, side, price)
    known = k < used and price_at(slots, k, side) == price
    if size > 0.0:
        if not known:
            for j in range(used, k, -1):
                _set_level(slots, j, side, price_at(slots, j - 1, side), size_at(slots, j - 1, side))
            used += 1
        _set_level(slots, k, side, price, size)
    elif known:
        used -= 1
        for j in range(k, used):
            _set_level(slots, j, side, price_at(slots, j + 1, side), size_at(slots, j + 1, side))
    return used


@tick_kernel(
    reads=["side:O", "price", "size"],
    gives=[*PRICES, *MEANS],
    parameters=[
        LEVELS,
        Name("bid", "what `side` says of a level of bids", default="BID"),
        Name("ask", "what `side` says of a level of asks", default="ASK"),
    ],
    state=[("bids", "i4"), ("asks", "i4")],
    slots=[("bid", "f8"), ("ask", "f8"), ("bid_size", "f8"), ("ask_size", "f8")],
    source="definition; the depth stream of Binance's interface",
    cases=[{}, {"levels": 2, "bid": "ASK", "ask": "BID"}],
)
def order_book(s: Any, row: Any, side: int, price: float, size: float, bid: int, ask: int, slots: Any) -> None:
    """Best levels of an order book, after each update of a level: ``size`` is all that there is now at ``price``.

    A size of 0 removes the level. A row without a finite price, with a size that is negative or not finite (NaN), or
    of another side changes nothing. Levels are given best first; one that there is not has the price NaN and size 0.
    ``bid_mean_3`` is the mean price of the best three levels, ``bid_mean_5`` of the best five, or of as many as there
    are among `levels`. What has not been told is not known: without a snapshot a book is whole only after a while, and
    one of which removals were lost may be crossed. A new level moves those that are better, so that the time of a row
    grows with how far from the best it is.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> book = ft.order_book(
    ...     side=np.array(["BID", "ASK", "BID", "BID"]), price=np.array([99.0, 101.0, 99.5, 99.5]),
    ...     size=np.array([5.0, 2.0, 1.0, 0.0]), levels=1)
    >>> book.bid_1, book.bid_size_1, book.ask_1
    (array([99. , 99. , 99.5, 99. ]), array([5., 5., 1., 5.]), array([ nan, 101., 101., 101.]))
    """
    if np.isfinite(price) and np.isfinite(size) and size >= 0.0:
        if side == bid:
            s.bids = _update(slots, s.bids, BID, price, size)
        elif side == ask:
            s.asks = _update(slots, s.asks, ASK, price, size)
        s.count = max(s.bids, s.asks)
    bids, asks = min(s.bids, row.bid.shape[0]), min(s.asks, row.ask.shape[0])
    for j in range(bids):
        row.bid[j], row.bid_size[j] = slots[s.bids - 1 - j].bid, slots[s.bids - 1 - j].bid_size
    for j in range(asks):
        row.ask[j], row.ask_size[j] = slots[s.asks - 1 - j].ask, slots[s.asks - 1 - j].ask_size
    finish_row(row, bids, asks)


@order_book.oracle
def _(side: Any, price: Any, size: Any, levels: int = 5, bid: Any = "BID", ask: Any = "ASK") -> Any:
    book: dict[Any, dict[float, float]] = {bid: {}, ask: {}}
    rows = []
    for which, at, quantity in zip(side, price, size, strict=True):
        if which in book and np.isfinite(at) and np.isfinite(quantity) and quantity >= 0:
            book[which].pop(at, None)
            if quantity > 0:
                book[which][at] = quantity
        rows.append([sorted(book[bid].items(), reverse=True), sorted(book[ask].items())])
    return columns_of_levels(rows, levels, dealers=False)
