"""Volume-weighted average price."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.kernels.declare import window_kernel
from fintech_toolkit.kernels.parameters import Window
from fintech_toolkit.kernels.slots import helper


@helper
def _enter(s, price, size):  # type: ignore[no-untyped-def]
    s.trades += 1
    if size != 0.0:
        s.sized += 1
        s.notional += price * size
        s.volume += size


@helper
def _leave(s, price, size):  # type: ignore[no-untyped-def]
    s.trades -= 1
    if size != 0.0:
        s.sized -= 1
        s.notional -= price * size
        s.volume -= size
    if s.sized == 0:
        # What is left of the sums is rounding error.
        s.notional = 0.0
        s.volume = 0.0


@window_kernel(
    reads=["price", "size"],
    gives="vwap",
    enter=_enter,
    leave=_leave,
    drifts=True,
    state=[("notional", "f8"), ("volume", "f8"), ("trades", "i8"), ("sized", "i8")],
    parameters=[Window(default=None)],
    warmup="min_periods trades in the window, one of them with a size",
    source="Berkowitz, Logue and Noser (1988), Journal of Finance 43",
    cases=[{}, {"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}, {"min_periods": 5}],
)
def vwap(s: Any, price: float, size: float, min_periods: int) -> float:
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
    return s.notional / s.volume if s.trades >= min_periods and s.volume != 0.0 else np.nan


@vwap.oracle
def _(price: Any, size: Any, ts: Any, window: Any = None, min_periods: int | None = None) -> Any:
    import pandas as pd

    traded = np.isfinite(price) & np.isfinite(size)
    columns = {"volume": np.where(traded, size, np.nan), "notional": np.where(traded, price * size, np.nan)}
    frame = pd.DataFrame(columns, index=pd.to_datetime(ts))
    rolling = frame.expanding(min_periods or 1) if window is None else frame.rolling(window, min_periods=min_periods)
    sums = rolling.apply(np.nansum, raw=True)
    return (sums["notional"] / sums["volume"].where(sums["volume"] != 0)).to_numpy()
