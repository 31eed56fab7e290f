"""Return for risk."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, Window, helper, window_kernel
from fintech_toolkit.kernels.statistics.block_sums import MOMENTS, offset_of, variance_of
from fintech_toolkit.scan.arithmetic import add, value_of, watch_sum

PERIODS = Number(
    "periods", "rows in a year, by whose root the ratio is scaled, such as 252; 1 scales nothing", 1, above=0
)


@window_kernel(
    gives="rolling_sharpe",
    parameters=[Window(), PERIODS],
    **MOMENTS
    | {
        "reads": "r",
        "warmup": "min_periods returns in the window, and two at least",
        "source": "Sharpe (1994), Journal of Portfolio Management 21",
        "cases": [{"window": 20}, {"window": "3s", "periods": 252}],
    },
)
def rolling_sharpe(s: Any, r: float, min_periods: int, periods: float, slots: Any) -> Any:
    """Sharpe ratio of the window, ``mean / std · √periods`` of its returns (``ddof`` 1), over what they are in excess
    of.

    A return that is missing (NaN or infinite) takes a place in the window but no part in the result. NaN where the
    returns do not vary.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_sharpe(np.array([0.01, 0.03, -0.01]), window=3, periods=252).round(4)
    array([   nan,    nan, 7.9373])
    """
    variance = variance_of(s, slots, 1)
    if s.n < min_periods or not variance > 0.0:
        return np.nan
    return (s.shift + offset_of(s, slots)) / np.sqrt(variance) * np.sqrt(periods)


@rolling_sharpe.oracle
def _(r: Any, ts: Any, window: Any, periods: float = 1) -> Any:
    import pandas as pd

    def sharpe(values: Any) -> float:
        known = values[~np.isnan(values)]
        varies = len(known) > 1 and np.ptp(known) > 0
        return float(np.mean(known) / np.std(known, ddof=1) * periods**0.5) if varies else np.nan

    returns = pd.Series(np.where(np.isfinite(r), r, np.nan), index=pd.to_datetime(ts))
    return returns.rolling(window).apply(sharpe, raw=True).to_numpy()


@helper
def _enter(s, r):  # type: ignore[no-untyped-def]
    s.n += 1
    s.scale += abs(r)
    s.sum, s.lost = add(s.sum, s.lost, r)
    if r < 0.0:
        s.losses += 1
        s.squares, s.squares_lost = add(s.squares, s.squares_lost, r * r)


@helper
def _leave(s, r):  # type: ignore[no-untyped-def]
    s.n -= 1
    scale, squares = s.scale, s.squares
    s.scale -= abs(r)
    s.sum, s.lost = add(s.sum, s.lost, -r)
    s.least = watch_sum(s, s.least, scale, s.scale)
    if r < 0.0:
        s.losses -= 1
        s.squares, s.squares_lost = add(s.squares, s.squares_lost, -(r * r))
        s.least_squares = watch_sum(s, s.least_squares, squares, s.squares)


@window_kernel(
    reads="r",
    gives="rolling_sortino",
    enter=_enter,
    leave=_leave,
    drifts=True,
    state=[
        ("n", "i8"),
        ("losses", "i8"),
        ("sum", "f8"),
        ("lost", "f8"),
        ("scale", "f8"),
        ("least", "f8"),
        ("squares", "f8"),
        ("squares_lost", "f8"),
        ("least_squares", "f8"),
    ],
    parameters=[Window(), PERIODS],
    warmup="min_periods returns in the window, one of them a loss",
    source="Sortino and Price (1994), Journal of Investing 3",
    cases=[{"window": 20}, {"window": "3s", "periods": 252}],
)
def rolling_sortino(s: Any, r: float, min_periods: int, periods: float) -> Any:
    """Sortino ratio of the window, ``mean / √(Σ min(r, 0)² / n) · √periods``: only losses are risk.

    A return that is missing (NaN or infinite) takes a place in the window but no part in the result. NaN where the
    window has no loss.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_sortino(np.array([0.02, 0.03, -0.02]), window=3).round(4)
    array([  nan,   nan, 0.866])
    """
    squares = value_of(s.squares, s.squares_lost)
    if s.n < min_periods or s.losses == 0 or not squares > 0.0:
        return np.nan
    return value_of(s.sum, s.lost) / s.n / np.sqrt(squares / s.n) * np.sqrt(periods)


@rolling_sortino.oracle
def _(r: Any, ts: Any, window: Any, periods: float = 1) -> Any:
    import pandas as pd

    def sortino(values: Any) -> float:
        known = values[~np.isnan(values)]
        risk = np.sqrt(np.mean(np.minimum(known, 0) ** 2))
        return float(np.mean(known) / risk * periods**0.5) if risk > 0 else np.nan

    returns = pd.Series(np.where(np.isfinite(r), r, np.nan), index=pd.to_datetime(ts))
    return returns.rolling(window).apply(sortino, raw=True).to_numpy()
