"""Sums of terms that are not negative, over a sliding window: what most measures of variation come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fintech_toolkit.authoring import helper
from fintech_toolkit.scan.arithmetic import add, replace, value_of, watch_sum


@helper
def _enter(s, term):  # type: ignore[no-untyped-def]
    s.n += 1
    s.sum, s.lost = add(s.sum, s.lost, term)


@helper
def _leave(s, term):  # type: ignore[no-untyped-def]
    s.n -= 1
    before = s.sum
    s.sum, s.lost = add(s.sum, s.lost, -term)
    s.least = watch_sum(s, s.least, before, s.sum)


@helper
def _slide(s, old, new):  # type: ignore[no-untyped-def]
    before = s.sum
    s.sum, s.lost = replace(s.sum, s.lost, old, new)
    s.least = watch_sum(s, s.least, before, s.sum)


@helper
def sum_of(s, min_periods):  # type: ignore[no-untyped-def]
    """Return the sum of the terms in the window, NaN where there are too few."""
    if s.n == 0 or s.n < min_periods:
        return np.nan
    return max(value_of(s.sum, s.lost), 0.0)


TERM_SUM: dict[str, Any] = {
    "enters": ["term"],
    "enter": _enter,
    "leave": _leave,
    "slide": _slide,
    "drifts": True,
    "state": [("sum", "f8"), ("lost", "f8"), ("least", "f8"), ("n", "i8")],
    "cases": [{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
}


def on_windows(
    statistic: Callable[[Any], Any], valid: Any, ts: Any, window: Any, min_periods: int | None = None
) -> Any:
    """For oracles: what a statistic gives of the valid rows of each window, whose numbers it is called with."""
    import pandas as pd

    rows = pd.Series(np.where(valid, np.arange(len(valid)), np.nan), index=pd.to_datetime(ts))
    windows = rows.rolling(window, min_periods=min_periods)
    return windows.apply(lambda rows: statistic(rows[~np.isnan(rows)].astype(int)), raw=True).to_numpy()
