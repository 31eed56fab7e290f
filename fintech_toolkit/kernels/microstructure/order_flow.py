"""Order flow: what arrives and leaves at the best quotes, and who started a trade."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Choice, helper, tick_kernel


@helper
def flow(now, before):  # type: ignore[no-untyped-def]
    """Return the order flow that made one quote of another: bid, ask, bid size and ask size of each."""
    total = 0.0
    if now[0] >= before[0]:
        total += now[2]
    if now[0] <= before[0]:
        total -= before[2]
    if now[1] <= before[1]:
        total -= now[3]
    if now[1] >= before[1]:
        total += before[3]
    return total


@tick_kernel(
    reads=["bid", "ask", "bid_size", "ask_size"],
    gives="ofi",
    state=[("bid", "f8"), ("ask", "f8"), ("bid_size", "f8"), ("ask_size", "f8"), ("seen", "?")],
    warmup="the second complete quote",
    source="Cont, Kukanov and Stoikov (2014), Journal of Financial Econometrics 12, eq. 4",
)
def ofi(s: Any, bid: float, ask: float, bid_size: float, ask_size: float) -> float:
    """Order-flow imbalance of one change of the best quotes, in units of size; its sum over an interval is that
    interval's.

    ``1{b ≥ b'} B - 1{b ≤ b'} B' - 1{a ≤ a'} A + 1{a ≥ a'} A'`` with bid b and its size B, ask a and its
    size A, and a prime for the quote before: demand that came, less demand that left, less supply that
    came, plus supply that left. A tick without a complete quote (any of the four NaN or infinite) gives NaN
    and leaves the last quote standing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.ofi(np.array([99.0, 99.0, 100.0]), np.array([101.0, 101.0, 101.0]),
    ...        np.array([5.0, 8.0, 2.0]), np.array([4.0, 4.0, 3.0]))
    array([nan,  3.,  3.])
    """
    if not (np.isfinite(bid) and np.isfinite(ask) and np.isfinite(bid_size) and np.isfinite(ask_size)):
        return np.nan
    result = np.nan
    if s.seen:
        result = flow((bid, ask, bid_size, ask_size), (s.bid, s.ask, s.bid_size, s.ask_size))
    s.bid = bid
    s.ask = ask
    s.bid_size = bid_size
    s.ask_size = ask_size
    s.seen = True
    return result


@ofi.oracle
def _(bid: Any, ask: Any, bid_size: Any, ask_size: Any) -> Any:
    complete = np.isfinite([bid, ask, bid_size, ask_size]).all(axis=0)
    b, a, demand, supply = (column[complete] for column in (bid, ask, bid_size, ask_size))
    up, down = np.diff(b) > 0, np.diff(b) < 0
    of_bid = np.where(up, demand[1:], np.where(down, -demand[:-1], np.diff(demand)))
    up, down = np.diff(a) > 0, np.diff(a) < 0
    of_ask = np.where(up, -supply[:-1], np.where(down, supply[1:], np.diff(supply)))
    result = np.full(len(bid), np.nan)
    result[np.flatnonzero(complete)[1:]] = of_bid - of_ask
    return result


RULE = Choice(
    "rule",
    "'quote': a trade above the mid is a purchase, below it a sale; 'tick': one above the last different price is a "
    "purchase, below it a sale; 'lee_ready': the quote rule, and at the mid, or where no quote is known, the tick rule",
    "lee_ready",
    options=("quote", "tick", "lee_ready"),
)
QUOTE_RULE, TICK_RULE = RULE["quote"], RULE["tick"]


@tick_kernel(
    reads=["price", "bid", "ask"],
    gives="side",
    parameters=[RULE],
    state=[
        ("mid", "f8"),
        ("quoted", "?"),
        ("price", "f8"),
        ("traded", "?"),
        ("last_move", "f8"),
    ],
    warmup="the first complete quote (quote), change of the trade price (tick), or either (lee_ready)",
    source="Lee and Ready (1991), Journal of Finance 46",
    cases=[{}, {"rule": "quote"}, {"rule": "tick"}],
)
def trade_sign(s: Any, price: float, bid: float, ask: float, rule: int) -> float:
    """Who started a trade: +1 the buyer, -1 the seller, NaN unknown.

    A trade is compared with the quote on its own row, or else with the last complete one before it. A tick
    without a finite price is no trade: it gives NaN and its quote is kept; a tick with one side of the
    quote missing (NaN or infinite) leaves the last quote standing. On frames that have a column ``side`` already,
    rename: ``ft.trade_sign().named("sign")``.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price = np.array([10.1, 10.0, 10.0])
    >>> bid, ask = np.array([10.0, 9.9, 9.9]), np.array([10.1, 10.1, 10.1])
    >>> ft.trade_sign(price, bid, ask)
    array([ 1., -1., -1.])
    >>> ft.trade_sign(price, bid, ask, rule="quote")
    array([ 1., nan, nan])
    """
    if np.isfinite(bid) and np.isfinite(ask):
        s.mid = (bid + ask) / 2.0
        s.quoted = True
    if not np.isfinite(price):
        return np.nan
    if s.traded and price != s.price:
        s.last_move = 1.0 if price > s.price else -1.0
    s.price = price
    s.traded = True
    if rule != TICK_RULE:
        if s.quoted and price != s.mid:
            return 1.0 if price > s.mid else -1.0
        if rule == QUOTE_RULE:
            return np.nan
    return s.last_move if s.last_move != 0.0 else np.nan


@trade_sign.oracle
def _(price: Any, bid: Any, ask: Any, rule: str = "lee_ready") -> Any:
    import pandas as pd

    price = pd.Series(np.where(np.isfinite(price), price, np.nan))
    mid = pd.Series(np.where(np.isfinite(bid) & np.isfinite(ask), (bid + ask) / 2, np.nan)).ffill()
    by_quote = np.sign(price - mid).replace(0.0, np.nan)
    moves = np.sign(price.dropna().diff()).replace(0.0, np.nan).ffill()
    by_tick = moves.reindex(price.index)
    return {"quote": by_quote, "tick": by_tick, "lee_ready": by_quote.fillna(by_tick)}[rule].to_numpy()
