"""Time-weighted average price."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, earlier, elapsed, helper, oldest, window_kernel
from fintech_toolkit.scan.arithmetic import add, value_of, watch_sum


def _stood(s: Any, price: float, ts: int) -> tuple[float, int, int]:
    """Return the price that stood until now, NaN if there was none, since when, and for how long."""
    stood, since = (s.price, s.last) if s.known else (np.nan, ts)
    s.last = ts
    if np.isfinite(price):
        s.price, s.known = price, True
    return stood, since, elapsed(since, ts)


@helper
def _enter(s, stood, since, gap):  # type: ignore[no-untyped-def]
    s.n += 1
    s.took += gap
    s.scale += abs(stood) * gap
    s.area, s.lost = add(s.area, s.lost, stood * gap)


@helper
def _leave(s, stood, since, gap):  # type: ignore[no-untyped-def]
    s.n -= 1
    s.took -= gap
    before = s.scale
    s.scale -= abs(stood) * gap
    s.area, s.lost = add(s.area, s.lost, -(stood * gap))
    s.least = watch_sum(s, s.least, before, s.scale)


@window_kernel(
    reads="price",
    gives="twap",
    prepare=_stood,
    enters=["stood", "since:i8", "gap:i8"],
    enter=_enter,
    leave=_leave,
    drifts=True,
    state=[
        ("price", "f8"),
        ("last", "i8"),
        ("known", "?"),
        ("area", "f8"),
        ("lost", "f8"),
        ("scale", "f8"),
        ("least", "f8"),
        ("took", "i8"),
        ("n", "i8"),
    ],
    memory=["price", "last", "known"],
    parameters=[Window(default=None)],
    warmup="min_periods rows in the window after the first price, and time that has passed between them",
    source="Berkowitz, Logue and Noser (1988), Journal of Finance 43, on averages as benchmarks; definition",
    cases=[{}, {"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def twap(s: Any, price: float, ts: int, window: int, min_periods: int, by_time: bool, slots: Any) -> Any:
    """Time-weighted average price: prices weighted by how long they stood, since the start (of the session) or over a
    window.

    ``Σ price_i (t_{i+1} - t_i) / Σ (t_{i+1} - t_i)`` up to the row's own time; the row's own price counts from then on.
    A window of rows holds the stretches of time that its rows end; one of time holds that time exactly, cut where it
    begins. A row without a price (NaN or infinite) leaves the last one standing. Of several prices at one instant the
    last stands. NaN until time has passed.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price, ts = np.array([10.0, 20.0, 30.0]), np.array([0, 3, 4])
    >>> ft.twap(price, ts=ts, unit="s")
    array([ nan, 10. , 12.5])
    >>> ft.twap(price, ts=ts, unit="s", window="2s")
    array([nan, 10., 15.])
    """
    if s.n == 0 or s.n < min_periods:
        return np.nan
    area, took = value_of(s.area, s.lost), s.took
    if by_time:
        first = slots[oldest(s)]
        edge = earlier(ts, window)
        if np.isfinite(first.v0) and first.v1 < edge:
            before = elapsed(first.v1, edge)
            area -= first.v0 * before
            took -= before
    return area / took if took > 0 else np.nan


@twap.oracle
def _(price: Any, ts: Any, window: Any = None, min_periods: int | None = None) -> Any:
    """The average over the stretches between rows, each cut to what of it is in the window."""
    import pandas as pd

    stands = pd.Series(np.where(np.isfinite(price), price, np.nan)).ffill().to_numpy()
    result = np.full(len(ts), np.nan)
    least = window if isinstance(window, int) and min_periods is None else min_periods or 1
    for i in range(len(ts)):
        first = max(1, i + 1 - window) if isinstance(window, int) else 1
        edge = ts[i] - pd.Timedelta(window).value if isinstance(window, str) else ts[0]
        ends = np.arange(first, i + 1)
        ends = ends[(ts[ends] > edge) | (not isinstance(window, str))]
        ends = ends[~np.isnan(stands[ends - 1])]
        lasted = ts[ends] - np.maximum(ts[ends - 1], edge)
        if len(ends) >= least and lasted.sum() > 0:
            result[i] = np.average(stands[ends - 1], weights=lasted)
    return result
