"""Levels of price over the standing quotes of dealers."""

from __future__ import annotations

from typing import Any

from fintech_toolkit.authoring import MISSING, helper, slot_of, tick_kernel
from fintech_toolkit.kernels.market_quality.dealer_quotes import (
    MAX_AGE,
    SLOTS,
    STATE,
    oldest_standing,
    replace_quote,
    standing,
)
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

# The quotes of a side that stand are kept in order, best first: `bid_order` of slot k says which is the k-th. A quote
# that replaces another moves from where that was, which is seldom far.


@helper
def _order(slots, k, side):  # type: ignore[no-untyped-def]
    """Return which slot has the k-th best quote of a side."""
    return slots[k].bid_order if side == BID else slots[k].ask_order


@helper
def _set_order(slots, k, side, j):  # type: ignore[no-untyped-def]
    if side == BID:
        slots[k].bid_order = j
    else:
        slots[k].ask_order = j


@helper
def _reorder(slots, n, own, side, stood):  # type: ignore[no-untyped-def]
    """Put a dealer's new quote where it belongs among the n of a side; return how many there are then."""
    stands = size_at(slots, own, side) > 0.0
    k = n
    if stood:
        k = 0
        while _order(slots, k, side) != own:
            k += 1
    elif stands:
        n += 1
    else:
        return n
    price = price_at(slots, own, side)
    while k > 0 and stands and better(side, price, price_at(slots, _order(slots, k - 1, side), side)):
        _set_order(slots, k, side, _order(slots, k - 1, side))
        k -= 1
    while k + 1 < n and not (stands and not better(side, price_at(slots, _order(slots, k + 1, side), side), price)):
        _set_order(slots, k, side, _order(slots, k + 1, side))
        k += 1
    _set_order(slots, k, side, own)
    return n if stands else n - 1


@helper
def _gather(slots, n, side, oldest, prices, sizes, dealers):  # type: ignore[no-untyped-def]
    """Fill in the best levels of a side and return how many there are."""
    used = 0
    for k in range(n):
        j = _order(slots, k, side)
        if slots[j].ts < oldest:
            continue
        price, size = price_at(slots, j, side), size_at(slots, j, side)
        if used > 0 and prices[used - 1] == price:
            sizes[used - 1] += size
            dealers[used - 1] += 1
        elif used == prices.shape[0]:
            break
        else:
            prices[used], sizes[used], dealers[used] = price, size, 1
            used += 1
    return used


@tick_kernel(
    reads=["bid", "ask", "bid_size", "ask_size", "dealer"],
    gives=[*PRICES, "*bid_dealers:i8", "*ask_dealers:i8", *MEANS],
    parameters=[LEVELS, MAX_AGE],
    state=[*STATE, ("bids", "i4"), ("asks", "i4")],
    slots=[*SLOTS, ("bid_order", "i4"), ("ask_order", "i4")],
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
    Those of a side at one price are a level, best first: its size is their sum.
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
        known = s.count
        own = slot_of(s, slots, dealer)
        stood_bid = s.count == known and slots[own].bid_size > 0.0
        stood_ask = s.count == known and slots[own].ask_size > 0.0
        replace_quote(s, slots, dealer, bid, ask, bid_size, ask_size, ts)
        s.bids = _reorder(slots, s.bids, own, BID, stood_bid)
        s.asks = _reorder(slots, s.asks, own, ASK, stood_ask)
    oldest = oldest_standing(ts, max_age)
    bids = _gather(slots, s.bids, BID, oldest, row.bid, row.bid_size, row.bid_dealers)
    asks = _gather(slots, s.asks, ASK, oldest, row.ask, row.ask_size, row.ask_dealers)
    for j in range(bids, row.bid.shape[0]):
        row.bid_dealers[j] = 0
    for j in range(asks, row.ask.shape[0]):
        row.ask_dealers[j] = 0
    finish_row(row, bids, asks)


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
    return columns_of_levels(rows, levels, dealers=True)
