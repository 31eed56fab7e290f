"""How much of what trades is one's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, helper, window_kernel
from fintech_toolkit.scan.arithmetic import add, value_of, watch_sum


def _volumes(s: Any, size: float, own_size: float) -> tuple[float, float]:
    traded = np.isfinite(size) and size >= 0.0
    own = own_size if np.isfinite(own_size) and own_size >= 0.0 else 0.0
    return (size if traded else np.nan), own


@helper
def _enter(s, size, own):  # type: ignore[no-untyped-def]
    s.n += 1
    s.volume, s.volume_lost = add(s.volume, s.volume_lost, size)
    s.own, s.own_lost = add(s.own, s.own_lost, own)


@helper
def _leave(s, size, own):  # type: ignore[no-untyped-def]
    s.n -= 1
    volume, mine = s.volume, s.own
    s.volume, s.volume_lost = add(s.volume, s.volume_lost, -size)
    s.own, s.own_lost = add(s.own, s.own_lost, -own)
    s.least_volume = watch_sum(s, s.least_volume, volume, s.volume)
    s.least_own = watch_sum(s, s.least_own, mine, s.own)


@window_kernel(
    reads=["size", "own_size"],
    gives="participation",
    prepare=_volumes,
    enters=["size", "own"],
    enter=_enter,
    leave=_leave,
    drifts=True,
    state=[
        ("volume", "f8"),
        ("volume_lost", "f8"),
        ("least_volume", "f8"),
        ("own", "f8"),
        ("own_lost", "f8"),
        ("least_own", "f8"),
        ("n", "i8"),
    ],
    parameters=[Window(default=None)],
    warmup="min_periods trades in the window, one of them with a size",
    source="Kissell (2013), The Science of Algorithmic Trading and Portfolio Management, ch. 1: percentage of volume",
    cases=[{}, {"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def pov(s: Any, size: float, own_size: float, min_periods: int) -> Any:
    """Share of the market's volume that is one's own, ``Σ own_size / Σ size``, since the start (of the session) or over
    a window.

    The market's volume holds one's own, as the tape does. A row without an own size (NaN, infinite or negative) is
    somebody else's trade. One without a size takes a place in the window but no part in the result. NaN where the
    volume is zero.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.pov(np.array([100.0, 300.0, 100.0]), np.array([np.nan, 50.0, 20.0]))
    array([0.   , 0.125, 0.14 ])
    """
    volume = value_of(s.volume, s.volume_lost)
    if s.n < min_periods or not volume > 0.0:
        return np.nan
    return max(value_of(s.own, s.own_lost), 0.0) / volume


@pov.oracle
def _(size: Any, own_size: Any, ts: Any, window: Any = None, min_periods: int | None = None) -> Any:
    import pandas as pd

    traded = np.isfinite(size) & (size >= 0)
    mine = np.where(np.isfinite(own_size) & (own_size >= 0), own_size, 0)
    columns = {"volume": np.where(traded, size, np.nan), "own": np.where(traded, mine, np.nan)}
    frame = pd.DataFrame(columns, index=pd.to_datetime(ts))
    rolling = frame.expanding(min_periods or 1) if window is None else frame.rolling(window, min_periods=min_periods)
    sums = rolling.apply(np.nansum, raw=True)
    return (sums["own"] / sums["volume"].where(sums["volume"] > 0)).to_numpy()
