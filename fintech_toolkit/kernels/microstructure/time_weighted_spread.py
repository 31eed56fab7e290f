"""The spread that stood, on average over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import elapsed, tick_kernel


@tick_kernel(
    reads=["bid", "ask"],
    gives="tw_spread",
    state=[("spread", "f8"), ("since", "i8"), ("area", "f8"), ("elapsed", "f8"), ("quoted", "?")],
    warmup="the first tick later than the first complete quote",
    source="Huang and Stoll (1996), Journal of Financial Economics 41",
)
def time_weighted_spread(s: Any, bid: float, ask: float, ts: int) -> float:
    """Quoted spread weighted by how long it stood, since the start (of the session), in the unit of the prices.

    ``Σ (ask_i - bid_i) (t_{i+1} - t_i) / Σ (t_{i+1} - t_i)`` up to the tick's own time; the tick's own
    quote counts from then on. Of several quotes at one instant the last one stands. A tick without a
    complete quote (NaN or infinite) leaves the last one standing. NaN until time has passed.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.time_weighted_spread(np.array([99.0, 98.0, 98.0]), np.array([100.0, 100.0, 100.0]),
    ...                         ts=np.array([0, 3, 4]), unit="s")
    array([ nan, 1.  , 1.25])
    """
    if s.quoted:
        stood = elapsed(s.since, ts)
        s.area += s.spread * stood
        s.elapsed += stood
        s.since = ts
    if np.isfinite(bid) and np.isfinite(ask):
        s.spread = ask - bid
        s.since = ts
        s.quoted = True
    return s.area / s.elapsed if s.elapsed > 0 else np.nan


@time_weighted_spread.oracle
def _(bid: Any, ask: Any, ts: Any) -> Any:
    import pandas as pd

    spread = pd.Series(np.where(np.isfinite(bid) & np.isfinite(ask), np.subtract(ask, bid), np.nan)).ffill()
    result = np.full(len(ts), np.nan)
    for i in range(1, len(ts)):
        stood, lasted = spread[:i].to_numpy(), np.diff(ts[: i + 1])
        known = ~np.isnan(stood)
        if lasted[known].sum() > 0:
            result[i] = np.average(stood[known], weights=lasted[known])
    return result
