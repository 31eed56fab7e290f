"""Volume-weighted average price."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, helper, window_kernel
from fintech_toolkit.scan.arithmetic import add, replace, value_of, watch_sum

# `turnover` is the scale of `notional`, whose prices may be of either sign; sizes are not negative, so that the volume
# is its own. Once all that has a size has left, too little is left of either: summed afresh, they are exactly 0.
STATE = [
    ("notional", "f8"),
    ("notional_lost", "f8"),
    ("turnover", "f8"),
    ("least_turnover", "f8"),
    ("volume", "f8"),
    ("volume_lost", "f8"),
    ("least_volume", "f8"),
    ("trades", "i8"),
]


@helper
def _enter(s, price, size):  # type: ignore[no-untyped-def]
    s.trades += 1
    notional = price * size
    s.turnover += abs(notional)
    s.notional, s.notional_lost = add(s.notional, s.notional_lost, notional)
    s.volume, s.volume_lost = add(s.volume, s.volume_lost, size)


@helper
def _leave(s, price, size):  # type: ignore[no-untyped-def]
    s.trades -= 1
    notional = price * size
    turnover, volume = s.turnover, s.volume
    s.turnover -= abs(notional)
    s.notional, s.notional_lost = add(s.notional, s.notional_lost, -notional)
    s.volume, s.volume_lost = add(s.volume, s.volume_lost, -size)
    s.least_turnover = watch_sum(s, s.least_turnover, turnover, s.turnover)
    s.least_volume = watch_sum(s, s.least_volume, abs(volume), abs(s.volume))


@helper
def _slide(s, old_price, old_size, price, size):  # type: ignore[no-untyped-def]
    old, new = old_price * old_size, price * size
    turnover, volume = s.turnover, s.volume
    s.turnover += abs(new) - abs(old)
    s.notional, s.notional_lost = replace(s.notional, s.notional_lost, old, new)
    s.volume, s.volume_lost = replace(s.volume, s.volume_lost, old_size, size)
    s.least_turnover = watch_sum(s, s.least_turnover, turnover, s.turnover)
    s.least_volume = watch_sum(s, s.least_volume, abs(volume), abs(s.volume))


@window_kernel(
    reads=["price", "size"],
    gives="vwap",
    enter=_enter,
    leave=_leave,
    slide=_slide,
    drifts=True,
    state=STATE,
    parameters=[Window(default=None)],
    warmup="min_periods trades in the window, one of them with a size",
    source="Berkowitz, Logue and Noser (1988), Journal of Finance 43",
    cases=[{}, {"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}, {"min_periods": 5}],
)
def vwap(s: Any, price: float, size: float, min_periods: int) -> Any:
    """Volume-weighted average price, ``Σ price size / Σ size``, since the start (of the session) or over a window.

    A tick without a price or a size (NaN or infinite) takes a place in the window but no part in the
    result. NaN where the volume is zero.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price, size = np.array([10.0, 11.0, 12.0]), np.array([1.0, 3.0, 1.0])
    >>> ft.vwap(price, size)
    array([10.  , 10.75, 11.  ])
    >>> ft.vwap(price, size, window=2)
    array([  nan, 10.75, 11.25])
    """
    volume = value_of(s.volume, s.volume_lost)
    if s.trades < min_periods or volume == 0.0:
        return np.nan
    return value_of(s.notional, s.notional_lost) / volume


@vwap.oracle
def _(price: Any, size: Any, ts: Any, window: Any = None, min_periods: int | None = None) -> Any:
    import pandas as pd

    traded = np.isfinite(price) & np.isfinite(size)
    columns = {"volume": np.where(traded, size, np.nan), "notional": np.where(traded, price * size, np.nan)}
    frame = pd.DataFrame(columns, index=pd.to_datetime(ts))
    rolling = frame.expanding(min_periods or 1) if window is None else frame.rolling(window, min_periods=min_periods)
    sums = rolling.apply(np.nansum, raw=True)
    return (sums["notional"] / sums["volume"].where(sums["volume"] != 0)).to_numpy()
