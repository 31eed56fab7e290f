"""How much is traded per second."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, elapsed, helper, window_kernel
from fintech_toolkit.scan.arithmetic import add, value_of, watch_sum


def _prepare(s: Any, size: float, ts: int, by_time: bool) -> tuple[float, float, int]:
    """Return the volume, NaN where the row does not count; whether there is one; and the time since the row before."""
    counts = s.begun or by_time
    gap = elapsed(s.last, ts) if s.begun else 0
    s.last = ts
    s.begun = True
    traded = np.isfinite(size) and size >= 0.0
    if not counts:
        return np.nan, 0.0, gap
    return (size if traded else 0.0), (1.0 if traded else 0.0), gap


@helper
def _enter(s, volume, traded, gap):  # type: ignore[no-untyped-def]
    s.n += int(traded)
    s.took += gap
    s.volume, s.lost = add(s.volume, s.lost, volume)


@helper
def _leave(s, volume, traded, gap):  # type: ignore[no-untyped-def]
    s.n -= int(traded)
    s.took -= gap
    before = s.volume
    s.volume, s.lost = add(s.volume, s.lost, -volume)
    s.least = watch_sum(s, s.least, before, s.volume)


@window_kernel(
    reads="size",
    gives="turnover",
    prepare=_prepare,
    enters=["volume", "traded", "gap:i8"],
    enter=_enter,
    leave=_leave,
    drifts=True,
    state=[
        ("last", "i8"),
        ("begun", "?"),
        ("n", "i8"),
        ("took", "i8"),
        ("volume", "f8"),
        ("lost", "f8"),
        ("least", "f8"),
    ],
    memory=["last", "begun"],
    parameters=[Window()],
    warmup="min_periods trades in the window; with one of rows the first row has no time before it",
    source="definition",
    cases=[{"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def turnover(s: Any, size: float, window: int, min_periods: int, by_time: bool) -> Any:
    """Volume traded per second.

    In a window of time the volume over its length; in one of rows the volume over the time from the row before the
    window to its last, NaN where that is no time at all. A row without a size (NaN, infinite or negative) trades
    nothing; it takes a place in the window, but does not count for `min_periods`.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.turnover(np.array([8.0, 2.0, 4.0]), ts=np.array([0, 1, 3]), unit="s", window="2s")
    array([4., 5., 2.])
    >>> ft.turnover(np.array([8.0, 2.0, 4.0]), ts=np.array([0, 1, 3]), unit="s", window=2)
    array([nan, nan,  2.])
    """
    seconds = (window if by_time else s.took) / 1e9
    if s.n < max(min_periods, 1) or not seconds > 0.0:
        return np.nan
    return max(value_of(s.volume, s.lost), 0.0) / seconds


@turnover.oracle
def _(size: Any, ts: Any, window: Any, min_periods: int | None = None) -> Any:
    import pandas as pd

    traded = np.isfinite(size) & (size >= 0)
    volume = np.where(traded, size, 0.0)
    result = np.full(len(size), np.nan)
    for i in range(len(size)):
        if isinstance(window, str):
            length = pd.Timedelta(window).value
            inside = slice(int(np.searchsorted(ts, ts[i] - length, side="right")), i + 1)
            least = 1
        else:
            inside = slice(max(1, i + 1 - window), i + 1)
            length = ts[i] - ts[inside.start - 1]
            least = window if min_periods is None else min_periods
        if traded[inside].sum() >= least and length > 0:
            result[i] = volume[inside].sum() / length * 1e9
    return result
