"""Bars of equal activity: so many trades, so much volume, so much money."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Flag, Number, event_kernel, helper
from fintech_toolkit.kernels.bars.bar import BAR, COLUMNS, close_bar, take_trade

ROUNDING = 1e-9
MOST = 1 << 53
"""The greatest number of bars that is counted: float64 knows no further whole numbers one by one."""


def _flush(s: Any, row: Any) -> bool:
    if s.trades == 0:
        return False
    close_bar(s, row)
    row.complete = False
    return True


@event_kernel(
    reads=["price", "size"],
    gives=[*COLUMNS, "complete:?"],
    flush=_flush,
    parameters=[Count("bar_size", "trades in a bar")],
    state=BAR,
    warmup="a bar is emitted with its last trade",
    source="López de Prado (2018), Advances in Financial Machine Learning, ch. 2.3.1",
    cases=[{"bar_size": 7}, {"bar_size": 1}],
)
def tick_bars(s: Any, row: Any, price: float, size: float, ts: int, bar_size: int, again: bool) -> bool:
    """Open, high, low, close, volume, volume-weighted price and number of trades in bars of equally many trades.

    ``ts`` is the time of a bar's first trade. Trades without a finite price are left out; a missing size counts as
    zero. The unfinished bar is emitted by `flush` with ``complete=False``.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> bars = ft.tick_bars(np.array([10.0, 11.0, 12.0]), np.array([1.0, 1.0, 2.0]), ts=np.arange(3), bar_size=2)
    >>> bars.ts, bars.close, bars.complete
    (array([0, 2]), array([11., 12.]), array([ True, False]))
    """
    if again or not np.isfinite(price):
        return False
    take_trade(s, price, size, ts)
    if s.trades < bar_size:
        return False
    close_bar(s, row)
    row.complete = True
    return True


@tick_bars.oracle
def _(price: Any, size: Any, ts: Any, bar_size: int) -> Any:
    import pandas as pd

    trades = pd.DataFrame({"price": price, "size": np.where(np.isfinite(size), size, 0.0), "ts": ts})
    trades = trades[np.isfinite(price)].reset_index(drop=True)
    bars = []
    for _, bar in trades.groupby(trades.index // bar_size):
        volume = bar["size"].sum()
        bars.append(
            {
                "ts": bar["ts"].iloc[0],
                "open": bar["price"].iloc[0],
                "high": bar["price"].max(),
                "low": bar["price"].min(),
                "close": bar["price"].iloc[-1],
                "volume": volume,
                "vwap": (bar["price"] * bar["size"]).sum() / volume if volume > 0 else np.nan,
                "count": len(bar),
                "complete": len(bar) == bar_size,
            }
        )
    return bars


def _flush_activity(s: Any, row: Any) -> bool:
    if s.trades == 0:
        return False
    close_bar(s, row)
    s.filled = 0.0
    row.bars = 0
    row.complete = False
    return True


@helper
def _fill(s, row, price, unit, ts, bar_size, split):  # type: ignore[no-untyped-def]
    """Fill bars with what is left of a trade, `s.rest`, in what bars are measured in: `unit` of it to a size of 1."""
    room = bar_size - s.filled
    bars, part = 1.0, s.rest
    full = s.rest >= room - ROUNDING * bar_size
    if split and full:
        part = min(room, s.rest)
        if s.trades == 0:
            # All bars that a trade fills by itself are one like the other.
            bars = max(np.floor(s.rest / bar_size + ROUNDING), 1.0)
            part = min(bars * bar_size, s.rest)
    s.rest = s.rest - part if s.rest - part > ROUNDING * bar_size else 0.0
    s.filled += part
    take_trade(s, price, part / unit, ts)
    if not full:
        return False
    close_bar(s, row)
    s.filled = 0.0
    row.bars = int(min(bars, float(MOST)))
    row.complete = True
    return True


ACTIVITY: dict[str, Any] = {
    "reads": ["price", "size"],
    "gives": [*COLUMNS, "bars:i8", "complete:?"],
    "flush": _flush_activity,
    "state": [("filled", "f8"), ("rest", "f8"), *BAR],
    "warmup": "a bar is emitted with the trade that fills it",
}
SPLIT = Flag(
    "split", "split trades where they cross a bar's end (True), or leave them whole in the bar that they fill", False
)


@event_kernel(
    parameters=[Number("bar_size", "volume of a bar, in the unit of `size`", above=0), SPLIT],
    source="López de Prado (2018), Advances in Financial Machine Learning, ch. 2.3.1",
    cases=[{"bar_size": 40}, {"bar_size": 7.3, "split": True}, {"bar_size": 0.4}],
    **ACTIVITY,
)
def volume_bars(s: Any, row: Any, price: float, size: float, ts: int, bar_size: float, split: bool, again: bool) -> Any:
    """Open, high, low, close, volume, volume-weighted price and number of trades in bars of equal volume.

    A bar ends with the trade that brings its volume to `bar_size`. With ``split=False`` that trade is in it as a whole,
    so that bars are a little larger than that; with ``split=True`` what is left of it begins the next bar, and all
    further bars that one trade fills are alike: one row, with their number in `bars` (2⁵³ at most; 1 in other rows, 0
    in the unfinished one) and their volume together. ``ts`` is the time of a bar's first trade. A bar that lacks less
    than 10⁻⁹ of its volume is full.

    Trades without a finite price or a positive finite size are left out, as missing. The unfinished bar is emitted by
    `flush` with ``complete=False``.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price, size = np.array([10.0, 11.0, 12.0]), np.array([1.0, 4.0, 2.0])
    >>> ft.volume_bars(price, size, ts=np.arange(3), bar_size=3).volume
    array([5., 2.])
    >>> ft.volume_bars(price, size, ts=np.arange(3), bar_size=3, split=True).volume
    array([3., 3., 1.])
    """
    if not again:
        s.rest = size if np.isfinite(price) and np.isfinite(size) and size > 0.0 else 0.0
    return s.rest > 0.0 and _fill(s, row, price, 1.0, ts, bar_size, split)


@event_kernel(
    parameters=[Number("bar_size", "value of a bar, price times size", above=0), SPLIT],
    source="López de Prado (2018), Advances in Financial Machine Learning, ch. 2.3.1",
    cases=[{"bar_size": 4000}, {"bar_size": 730.5, "split": True}, {"bar_size": 40}],
    **ACTIVITY,
)
def dollar_bars(s: Any, row: Any, price: float, size: float, ts: int, bar_size: float, split: bool, again: bool) -> Any:
    """Open, high, low, close, volume, volume-weighted price and number of trades in bars of equal value traded.

    As `volume_bars`, but what fills a bar is ``price · size``, in the currency of the prices. Trades without a positive
    finite price and size are left out, as missing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price, size = np.array([10.0, 20.0, 10.0]), np.array([1.0, 4.0, 2.0])
    >>> ft.dollar_bars(price, size, ts=np.arange(3), bar_size=50, split=True).volume
    array([3., 3., 1.])
    """
    if not again:
        value = price * size
        s.rest = value if np.isfinite(value) and price > 0.0 and size > 0.0 else 0.0
    return s.rest > 0.0 and _fill(s, row, price, price, ts, bar_size, split)


def _exactly(price: Any, size: Any, ts: Any, units: Any, bar_size: float, split: bool) -> Any:
    """In exact decimal arithmetic: trades are stretches of volume or value, which bars cut or not."""
    from fractions import Fraction

    def closed(parts: Any, bars: int, complete: bool) -> dict[str, Any]:
        volume = sum(part for _, _, part in parts)
        prices = [float(p) for _, p, _ in parts]
        return {
            "ts": parts[0][0],
            "open": prices[0],
            "high": max(prices),
            "low": min(prices),
            "close": prices[-1],
            "volume": float(volume),
            "vwap": float(sum(p * part for _, p, part in parts) / volume),
            "count": len(parts),
            "bars": bars,
            "complete": complete,
        }

    end, filled = Fraction(repr(float(bar_size))), Fraction(0)
    rows: list[dict[str, Any]] = []
    parts: list[tuple[int, Fraction, Fraction]] = []
    for i in np.flatnonzero(np.isfinite(price) & np.isfinite(size) & (size > 0)):
        p = Fraction(repr(float(price[i])))
        unit = p if units == "value" else Fraction(1)
        rest = Fraction(repr(float(size[i]))) * unit
        while rest > 0:
            alike = rest // end if split and not parts and rest >= end else 1
            part = min(rest, alike * end - filled) if split else rest
            parts.append((ts[i], p, part / unit))
            filled, rest = filled + part, rest - part
            if filled >= end:
                rows.append(closed(parts, int(alike), True))
                parts, filled = [], Fraction(0)
    return rows + ([closed(parts, 0, False)] if parts else [])


@volume_bars.oracle
def _(price: Any, size: Any, ts: Any, bar_size: float, split: bool = False) -> Any:
    return _exactly(price, size, ts, "volume", bar_size, split)


@dollar_bars.oracle
def _(price: Any, size: Any, ts: Any, bar_size: float, split: bool = False) -> Any:
    return _exactly(price, np.where(price > 0, size, np.nan), ts, "value", bar_size, split)
