"""Quotes and bars that contradict themselves, or that nobody has renewed."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Duration, earlier, tick_kernel


@tick_kernel(
    reads=["ts", "now:i8"],
    gives="stale:?",
    parameters=[Duration("max_age", "greatest age at which a quote still counts, such as '5s'")],
    source="definition",
    cases=[{"max_age": "1s"}],
)
def stale_quote(ts: int, now: int, max_age: int) -> bool:
    """Whether a quote is older than `max_age` at the time at which it is looked at: ``now - ts > max_age``.

    A quote of the future is not stale. A missing time is an error.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> quoted, now = np.array([0, 4, 5], "M8[s]"), np.array([10, 10, 10], "M8[s]")
    >>> ft.stale_quote(quoted, now, max_age="5s")
    array([ True,  True, False])
    """
    return bool(ts < earlier(now, max_age))


@stale_quote.oracle
def _(ts: Any, now: Any, max_age: str) -> Any:
    import pandas as pd

    return (pd.to_datetime(now) - pd.to_datetime(ts) > pd.Timedelta(max_age)).astype(bool)


@tick_kernel(
    reads=["bid", "ask"],
    gives=["locked:?", "crossed:?"],
    source="SEC Regulation NMS, Rule 610(e) (17 CFR 242.610): locked and crossed quotations",
)
def crossed_quote(bid: float, ask: float) -> tuple[bool, bool]:
    """Whether a quote is locked (bid equal to ask) or crossed (bid above ask).

    A quote of which a side is missing (NaN or infinite) is neither.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.crossed_quote(np.array([9.0, 10.0, 11.0]), np.array([10.0, 10.0, 10.0]))
    crossed_quote(locked=array([False,  True, False]), crossed=array([False, False,  True]))
    """
    known = np.isfinite(bid) and np.isfinite(ask)
    return known and bid == ask, known and bid > ask


@crossed_quote.oracle
def _(bid: Any, ask: Any) -> Any:
    spread = np.where(np.isfinite(bid) & np.isfinite(ask), ask - bid, np.nan)
    return spread == 0, spread < 0


HIGH_BELOW_LOW, OPEN_OUTSIDE, CLOSE_OUTSIDE, UNKNOWN = 1, 2, 4, 8


@tick_kernel(
    reads=["open", "high", "low", "close"],
    gives="flags:i8",
    source="definition: low <= open, close <= high",
)
def bar_consistency(open: float, high: float, low: float, close: float) -> int:
    """What is wrong with a bar: 0 if nothing, else the sum of 1 (high below low), 2 (open outside low and high), 4
    (close outside them) and 8 (a price is missing: NaN or infinite).

    With a missing price nothing else is said.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.bar_consistency(
    ...     np.array([2.0, 2.0, 5.0, np.nan]), np.array([3.0, 3.0, 1.0, 3.0]), np.array([1.0, 1.0, 3.0, 1.0]),
    ...     np.array([1.0, 4.0, 2.0, 2.0]))
    array([0, 4, 7, 8])
    """
    if not (np.isfinite(open) and np.isfinite(high) and np.isfinite(low) and np.isfinite(close)):
        return UNKNOWN
    flags = HIGH_BELOW_LOW if high < low else 0
    if not low <= open <= high:
        flags += OPEN_OUTSIDE
    if not low <= close <= high:
        flags += CLOSE_OUTSIDE
    return flags


@bar_consistency.oracle
def _(open: Any, high: Any, low: Any, close: Any) -> Any:
    known = np.isfinite([open, high, low, close]).all(axis=0)
    outside = [np.clip(price, low, high) != price for price in (open, close)]
    return np.where(known, 1 * (low > high) + 2 * outside[0] + 4 * outside[1], 8)
