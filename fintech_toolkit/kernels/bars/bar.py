"""What all bars are made of: trades, one after the other."""

from __future__ import annotations

import numpy as np

from fintech_toolkit.authoring import helper

BAR = [
    ("start_ts", "i8"),
    ("open", "f8"),
    ("high", "f8"),
    ("low", "f8"),
    ("close", "f8"),
    ("volume", "f8"),
    ("notional", "f8"),
    ("trades", "i8"),
]
COLUMNS = ["ts:i8", "open", "high", "low", "close", "volume", "vwap", "count:i8"]


@helper
def take_trade(s, price, size, ts):  # type: ignore[no-untyped-def]
    """Add a trade to the bar, or begin one with it."""
    if s.trades == 0:
        s.start_ts = ts
        s.open = s.high = s.low = price
        s.volume = 0.0
        s.notional = 0.0
    s.high = max(s.high, price)
    s.low = min(s.low, price)
    s.close = price
    if np.isfinite(size):
        s.volume += size
        s.notional += price * size
    s.trades += 1


@helper
def close_bar(s, row):  # type: ignore[no-untyped-def]
    """Say what the bar was; the next trade begins another."""
    row.ts = s.start_ts
    row.open = s.open
    row.high = s.high
    row.low = s.low
    row.close = s.close
    row.volume = s.volume
    row.vwap = s.notional / s.volume if s.volume > 0 else np.nan
    row.count = s.trades
    s.trades = 0
