"""The best bid and offer over dealers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import MISSING, tick_kernel
from fintech_toolkit.kernels.market_quality.dealer_quotes import (
    MAX_AGE,
    SLOTS,
    STATE,
    oldest_standing,
    replace_quote,
    standing,
)

BEST = ["best_bid", "best_ask", "best_bid_size", "best_ask_size", "best_bid_dealers:i8", "best_ask_dealers:i8"]


@tick_kernel(
    reads=["bid", "ask", "bid_size", "ask_size", "dealer"],
    gives=[*BEST, "is_best_bid:?", "is_best_ask:?", "locked:?", "crossed:?"],
    parameters=[MAX_AGE],
    state=STATE,
    slots=SLOTS,
    source="definition; Harris (2003), Trading and Exchanges, ch. 4",
    cases=[{}, {"max_age": "200ms"}],
)
def best_bid_offer(
    s: Any,
    bid: float,
    ask: float,
    bid_size: float,
    ask_size: float,
    dealer: int,
    ts: int,
    max_age: int,
    slots: Any,
) -> Any:
    """Highest bid and lowest ask over the dealers' standing quotes, after each quote, in the unit of the prices.

    A dealer's last quote stands until the same dealer quotes again, or until it is older than `max_age`. A side stands
    if its price is finite and its size is finite and positive: NaN, infinite or zero withdraws it. A quote without a
    dealer (missing) is nobody's: it changes nothing. Sizes are summed over the dealers at the best price, in order of
    their first quote, and these are counted. ``is_best_bid`` says whether this row's dealer is one of them; ``locked``
    whether the best bid equals the best ask, ``crossed`` whether it is above. Without any bid the price is NaN, and its
    size and dealers are 0. The time of a row grows with the number of a symbol's dealers, not with that of symbols.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> best = ft.best_bid_offer(
    ...     bid=np.array([99.0, 99.5, np.nan]), ask=np.array([101.0, 100.5, 100.5]), bid_size=np.array([5.0, 2.0, 2.0]),
    ...     ask_size=np.array([5.0, 2.0, 2.0]), dealer=np.array(["A", "B", "B"]), ts=np.array([0, 1, 2]), unit="s")
    >>> best.best_bid, best.best_ask, best.best_bid_dealers
    (array([99. , 99.5, 99. ]), array([101. , 100.5, 100.5]), array([1, 1, 1]))
    """
    own = -1
    if dealer != MISSING:
        own = replace_quote(s, slots, dealer, bid, ask, bid_size, ask_size, ts)
    best_bid, bid_total, bids = np.nan, 0.0, 0
    best_ask, ask_total, asks = np.nan, 0.0, 0
    oldest = oldest_standing(ts, max_age)
    for j in range(s.count):
        quote = slots[j]
        if quote.ts < oldest:
            continue
        if quote.bid_size > 0.0:
            if bids == 0 or quote.bid > best_bid:
                best_bid, bid_total, bids = quote.bid, quote.bid_size, 1
            elif quote.bid == best_bid:
                bid_total += quote.bid_size
                bids += 1
        if quote.ask_size > 0.0:
            if asks == 0 or quote.ask < best_ask:
                best_ask, ask_total, asks = quote.ask, quote.ask_size, 1
            elif quote.ask == best_ask:
                ask_total += quote.ask_size
                asks += 1
    own_bid = own >= 0 and slots[own].bid_size > 0.0 and slots[own].bid == best_bid
    own_ask = own >= 0 and slots[own].ask_size > 0.0 and slots[own].ask == best_ask
    locked, crossed = best_bid == best_ask, best_bid > best_ask
    return best_bid, best_ask, bid_total, ask_total, bids, asks, own_bid, own_ask, locked, crossed


@best_bid_offer.oracle
def _(bid: Any, ask: Any, bid_size: Any, ask_size: Any, dealer: Any, ts: Any, max_age: Any = None) -> Any:
    rows = []
    quotes = (bid, ask, bid_size, ask_size)
    for name, found in zip(dealer, standing(dealer, quotes, ts, max_age), strict=True):
        best = [
            min((q[1] for q in found.values() if q[1] == q[1]), default=np.nan),
            max((q[0] for q in found.values() if q[0] == q[0]), default=np.nan),
        ]
        at_bid = {d: q[2] for d, q in found.items() if q[0] == best[1]}
        at_ask = {d: q[3] for d, q in found.items() if q[1] == best[0]}
        flags = name in at_bid, name in at_ask, best[1] == best[0], best[1] > best[0]
        counts = len(at_bid), len(at_ask)
        rows.append((best[1], best[0], sum(at_bid.values()), sum(at_ask.values()), *counts, *flags))
    columns = zip(*rows, strict=True) if rows else [()] * 10
    return tuple(np.array(c, t) for c, t in zip(columns, ["f8"] * 4 + ["i8"] * 2 + ["?"] * 4, strict=True))
