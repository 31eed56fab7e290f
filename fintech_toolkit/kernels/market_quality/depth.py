"""Levels of price: over dealers' standing quotes, and of an order book that is told level by level."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import MISSING, Levels, Name, helper, tick_kernel
from fintech_toolkit.kernels.market_quality.dealer_quotes import (
    MAX_AGE,
    SLOTS,
    STATE,
    oldest_standing,
    replace_quote,
    standing,
)

BID, ASK = 1.0, -1.0
LEVELS = Levels("levels", "how many levels a side are given", default=5)
PRICES = ["*bid", "*ask", "*bid_size", "*ask_size"]
MEANS = ["bid_mean_3", "ask_mean_3", "bid_mean_5", "ask_mean_5"]


@helper
def _add(prices, sizes, dealers, used, side, price, size):  # type: ignore[no-untyped-def]
    """Add a quote to the levels of a side, best first, of which so many are used; return how many there are then."""
    k = used
    while k > 0 and side * price > side * prices[k - 1]:
        k -= 1
    if k > 0 and prices[k - 1] == price:
        sizes[k - 1] += size
        dealers[k - 1] += 1
        return used
    levels = prices.shape[0]
    if k == levels:
        return used
    for j in range(min(used, levels - 1), k, -1):
        prices[j], sizes[j], dealers[j] = prices[j - 1], sizes[j - 1], dealers[j - 1]
    prices[k], sizes[k], dealers[k] = price, size, 1
    return min(used + 1, levels)


@helper
def _mean(prices, used, most):  # type: ignore[no-untyped-def]
    """Mean of the best prices, `most` of them or as many as there are."""
    n = min(used, most)
    total = 0.0
    for j in range(n):
        total += prices[j]
    return total / n if n > 0 else np.nan


@helper
def _finish(row, bids, asks):  # type: ignore[no-untyped-def]
    """Say of the levels that there are not that they are missing, and fill in the means."""
    for j in range(bids, row.bid.shape[0]):
        row.bid[j], row.bid_size[j] = np.nan, 0.0
    for j in range(asks, row.ask.shape[0]):
        row.ask[j], row.ask_size[j] = np.nan, 0.0
    row.bid_mean_3, row.bid_mean_5 = _mean(row.bid, bids, 3), _mean(row.bid, bids, 5)
    row.ask_mean_3, row.ask_mean_5 = _mean(row.ask, asks, 3), _mean(row.ask, asks, 5)


def _columns(rows: Any, levels: int, dealers: bool) -> Any:
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


@tick_kernel(
    reads=["bid", "ask", "bid_size", "ask_size", "dealer"],
    gives=[*PRICES, "*bid_dealers:i8", "*ask_dealers:i8", *MEANS],
    parameters=[LEVELS, MAX_AGE],
    state=STATE,
    slots=SLOTS,
    source="definition; Harris (2003), Trading and Exchanges, ch. 4",
    cases=[{}, {"levels": 2, "max_age": "200ms"}],
)
def book_depth(
    s: Any,
    row: Any,
    bid: float,
    ask: float,
    bid_size: float,
    ask_size: float,
    dealer: int,
    ts: int,
    max_age: int,
    slots: Any,
) -> None:
    """Best levels of price over the dealers' standing quotes, after each quote: prices, sizes and numbers of dealers.

    Which quotes stand is as for `best_bid_offer`: NaN, infinite or zero withdraws a side, a missing dealer is nobody.
    Those of a side at one price are a level, best first: its size is their sum, in order of the dealers' first quotes.
    A level that there is not has the price NaN, size 0 and no dealers. ``bid_mean_3`` is the mean price of the best
    three levels, ``bid_mean_5`` of the best five, or of as many as there are among `levels`. The time of a row grows
    with the number of a symbol's dealers, not with that of symbols.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> depth = ft.book_depth(
    ...     bid=np.array([99.0, 98.0, 99.0]), ask=np.array([101.0, 102.0, 103.0]), bid_size=np.array([5.0, 2.0, 3.0]),
    ...     ask_size=np.array([5.0, 2.0, 3.0]), dealer=np.array(["A", "B", "C"]), ts=np.array([0, 1, 2]), unit="s",
    ...     levels=2)
    >>> depth.bid_1, depth.bid_size_1, depth.bid_dealers_1, depth.bid_2
    (array([99., 99., 99.]), array([5., 5., 8.]), array([1, 1, 2]), array([nan, 98., 98.]))
    """
    if dealer != MISSING:
        replace_quote(s, slots, dealer, bid, ask, bid_size, ask_size, ts)
    bids = asks = 0
    row.bid_dealers[:] = 0
    row.ask_dealers[:] = 0
    oldest = oldest_standing(ts, max_age)
    for j in range(s.count):
        quote = slots[j]
        if quote.ts < oldest:
            continue
        if quote.bid_size > 0.0:
            bids = _add(row.bid, row.bid_size, row.bid_dealers, bids, BID, quote.bid, quote.bid_size)
        if quote.ask_size > 0.0:
            asks = _add(row.ask, row.ask_size, row.ask_dealers, asks, ASK, quote.ask, quote.ask_size)
    _finish(row, bids, asks)


@book_depth.oracle
def _(
    bid: Any, ask: Any, bid_size: Any, ask_size: Any, dealer: Any, ts: Any, levels: int = 5, max_age: Any = None
) -> Any:
    rows = []
    for found in standing(dealer, (bid, ask, bid_size, ask_size), ts, max_age):
        sides = []
        for side, sign in ((0, -1), (1, 1)):
            prices = sorted({q[side] for q in found.values() if q[side] == q[side]}, key=lambda p: sign * p)
            at = [[q[2 + side] for q in found.values() if q[side] == price] for price in prices]
            sides.append([(price, sum(sizes), len(sizes)) for price, sizes in zip(prices, at, strict=True)])
        rows.append(sides)
    return _columns(rows, levels, dealers=True)


# A book's slots hold two lists, one a side, from the worst level to the best: changes are mostly near the best, so that
# little moves.


@helper
def _place(slots, used, side, price):  # type: ignore[no-untyped-def]
    """Return how many of a side's levels are worse than a price."""
    low, high = 0, used
    while low < high:
        middle = (low + high) >> 1
        worse = slots[middle].bid < price if side == BID else slots[middle].ask > price
        if worse:
            low = middle + 1
        else:
            high = middle
    return low


@helper
def _set_bid(slots, used, price, size):  # type: ignore[no-untyped-def]
    """Set the size of a bid level, 0 to remove it; return how many there are then."""
    k = _place(slots, used, BID, price)
    known = k < used and slots[k].bid == price
    if size > 0.0:
        if not known:
            for j in range(used, k, -1):
                slots[j].bid, slots[j].bid_size = slots[j - 1].bid, slots[j - 1].bid_size
            slots[k].bid = price
            used += 1
        slots[k].bid_size = size
    elif known:
        used -= 1
        for j in range(k, used):
            slots[j].bid, slots[j].bid_size = slots[j + 1].bid, slots[j + 1].bid_size
    return used


@helper
def _set_ask(slots, used, price, size):  # type: ignore[no-untyped-def]
    """Set the size of an ask level, 0 to remove it; return how many there are then."""
    k = _place(slots, used, ASK, price)
    known = k < used and slots[k].ask == price
    if size > 0.0:
        if not known:
            for j in range(used, k, -1):
                slots[j].ask, slots[j].ask_size = slots[j - 1].ask, slots[j - 1].ask_size
            slots[k].ask = price
            used += 1
        slots[k].ask_size = size
    elif known:
        used -= 1
        for j in range(k, used):
            slots[j].ask, slots[j].ask_size = slots[j + 1].ask, slots[j + 1].ask_size
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
            s.bids = _set_bid(slots, s.bids, price, size)
        elif side == ask:
            s.asks = _set_ask(slots, s.asks, price, size)
        s.count = max(s.bids, s.asks)
    bids, asks = min(s.bids, row.bid.shape[0]), min(s.asks, row.ask.shape[0])
    for j in range(bids):
        row.bid[j], row.bid_size[j] = slots[s.bids - 1 - j].bid, slots[s.bids - 1 - j].bid_size
    for j in range(asks):
        row.ask[j], row.ask_size[j] = slots[s.asks - 1 - j].ask, slots[s.asks - 1 - j].ask_size
    _finish(row, bids, asks)


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
    return _columns(rows, levels, dealers=False)
