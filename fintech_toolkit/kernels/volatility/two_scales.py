"""Realised variance without the noise of the prices that it is measured by."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Flag, Window, helper, window_kernel
from fintech_toolkit.kernels.statistics.lagged import RowsBack, rows_back
from fintech_toolkit.kernels.volatility.term_sums import on_windows
from fintech_toolkit.scan.arithmetic import add, value_of, watch_sum


def _prepare(s: Any, price: float, K: int, slots: Any) -> Any:
    """Return the log price, and the squares of its changes over one row and over `K` of them."""
    log = np.log(price) if np.isfinite(price) and price > 0.0 else np.nan
    fast = log - slots[rows_back(s, 1)].v0 if s.count >= 1 else np.nan
    slow = log - slots[rows_back(s, K)].v0 if s.count >= K else np.nan
    return log, fast * fast, slow * slow


@helper
def _enter(s, log, fast, slow):  # type: ignore[no-untyped-def]
    if np.isfinite(fast):
        s.fasts += 1
        s.fast, s.fast_lost = add(s.fast, s.fast_lost, fast)
    if np.isfinite(slow):
        s.slows += 1
        s.slow, s.slow_lost = add(s.slow, s.slow_lost, slow)


@helper
def _leave(s, log, fast, slow):  # type: ignore[no-untyped-def]
    before_fast, before_slow = s.fast, s.slow
    if np.isfinite(fast):
        s.fasts -= 1
        s.fast, s.fast_lost = add(s.fast, s.fast_lost, -fast)
        s.least_fast = watch_sum(s, s.least_fast, before_fast, s.fast)
    if np.isfinite(slow):
        s.slows -= 1
        s.slow, s.slow_lost = add(s.slow, s.slow_lost, -slow)
        s.least_slow = watch_sum(s, s.least_slow, before_slow, s.slow)


@window_kernel(
    reads="price",
    gives="tsrv",
    prepare=_prepare,
    enters=["log", "fast", "slow"],
    enter=_enter,
    leave=_leave,
    drifts=True,
    skips_missing=False,
    state=[
        ("fasts", "i8"),
        ("fast", "f8"),
        ("fast_lost", "f8"),
        ("least_fast", "f8"),
        ("slows", "i8"),
        ("slow", "f8"),
        ("slow_lost", "f8"),
        ("least_slow", "f8"),
    ],
    parameters=[
        Window(),
        RowsBack("K", "rows of the slow scale, at least 2 and at most `window` if that is in rows", at_least=2),
        Flag("adjust", "correct for the share of variance that the fast scale takes away with its noise", True),
    ],
    warmup="min_periods changes over K rows in the window",
    source="Zhang, Mykland and Aït-Sahalia (2005), Journal of the American Statistical Association 100, eq. 55 and 64",
    cases=[
        {"window": 20, "K": 5},
        {"window": 7, "K": 7, "min_periods": 2, "adjust": False},
        {"window": "3s", "K": 3},
    ],
)
def two_scales_rv(s: Any, price: float, min_periods: int, K: int, adjust: bool) -> Any:
    """Two-scales realised variance, ``(Σ_slow - n_slow / n_fast Σ_fast) / K``: bounce and other noise cancel.

    ``Σ_slow`` is the sum of the n_slow squared changes of the log price over K rows, whose later row is in the window,
    ``Σ_fast`` that of the n_fast over one row. `adjust` divides by ``1 - n_slow / (K n_fast)``, which makes up for what
    is lost of the variance in small windows; R's `highfrequency` always does, the paper's plain estimator does not. It
    can be negative where little but noise is seen. In the unit of squared log returns, not annualised.

    A price that is missing (NaN or infinite) or not positive leaves out the changes to it and from it. In a window of
    time a change counts whose rows are less than the window apart.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> bounce = np.array([100.0, 101.0, 100.0, 101.0, 100.0, 101.0, 100.0])
    >>> ft.two_scales_rv(bounce, window=4, K=3, adjust=False).round(6)
    array([nan, nan, nan, nan, nan, nan,  0.])
    """
    if s.slows < max(min_periods, 1) or s.fasts == 0:
        return np.nan
    share = s.slows / s.fasts
    result = (value_of(s.slow, s.slow_lost) - share * value_of(s.fast, s.fast_lost)) / K
    return result / (1.0 - share / K) if adjust and share < K else (np.nan if adjust else result)


@two_scales_rv.oracle
def _(price: Any, ts: Any, window: Any, K: int, adjust: bool = True, min_periods: int | None = None) -> Any:
    import pandas as pd

    logs = np.log(np.where(np.isfinite(price) & (price > 0), price, np.nan))
    by_time = isinstance(window, str)
    longest = pd.Timedelta(window).value if by_time else np.inf
    least = max(1, (1 if by_time else window) if min_periods is None else min_periods)

    def estimate(rows: Any) -> float:
        def squares(lag: int) -> Any:
            later = rows[rows >= lag]
            later = later[ts[later] - ts[later - lag] < longest]
            found = (logs[later] - logs[later - lag]) ** 2
            return found[~np.isnan(found)]

        slow, fast = squares(K), squares(1)
        if len(slow) < least or len(fast) == 0:
            return np.nan
        mean_length = len(slow) / K
        value = np.sum(slow) / K - mean_length / len(fast) * np.sum(fast)
        if not adjust:
            return float(value)
        return float(value / (1 - mean_length / len(fast))) if mean_length < len(fast) else np.nan

    return on_windows(estimate, np.ones(len(price), bool), ts, window, 1)
