"""Spreads that are told from prices alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, tick_kernel, window_kernel
from fintech_toolkit.kernels.statistics.block_sums import SUM, mean_of
from fintech_toolkit.kernels.statistics.comoments import COMOMENTS


def _changes(s: Any, price: float) -> Any:
    """Return the price's change since the row before, and the change before that."""
    before = s.change
    s.change = price - s.price if s.known else np.nan
    s.price = price
    s.known = True
    return s.change, before


@window_kernel(
    gives="spread",
    prepare=_changes,
    enters=["change", "before"],
    memory=["price", "change", "known"],
    source="Roll (1984), Journal of Finance 39",
    **COMOMENTS
    | {
        "reads": "price",
        "state": [("price", "f8"), ("change", "f8"), ("known", "?"), *COMOMENTS["state"]],
        "warmup": "min_periods pairs of successive changes in the window, and two at least",
        "cases": [{"window": 20}, {"window": "3s"}],
    },
)
def roll_spread(s: Any, price: float, min_periods: int) -> Any:
    """Roll's spread, ``2 √max(-cov(Δp_t, Δp_{t-1}), 0)`` over the window, in the unit of the prices.

    Trades that bounce between bid and ask make successive changes go against each other; where they do not, the spread
    is 0. The covariance is that of the pairs of changes in the window, ``ddof`` 1. A price that is missing (NaN or
    infinite) leaves out the changes to it and from it.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.roll_spread(np.array([10.0, 10.1, 10.0, 10.1, 10.0, 10.1]), window=3).round(4)
    array([   nan,    nan,    nan,    nan, 0.2309, 0.2309])
    """
    if s.n < max(min_periods, 2):
        return np.nan
    if s.same_x >= s.n or s.same_y >= s.n:
        return 0.0
    return 2.0 * np.sqrt(max(-s.xy / (s.n - 1), 0.0))


@roll_spread.oracle
def _(price: Any, ts: Any, window: Any) -> Any:
    import pandas as pd

    change = np.diff(np.where(np.isfinite(price), price, np.nan), prepend=np.nan)
    pairs = np.column_stack([change, np.concatenate([[np.nan], change[:-1]])])
    known = ~np.isnan(pairs).any(axis=1)
    result = np.full(len(price), np.nan)
    for i in range(len(price)):
        rows = not isinstance(window, str)
        start = max(0, i + 1 - window) if rows else np.searchsorted(ts, ts[i] - pd.Timedelta(window).value, "right")
        inside = pairs[start : i + 1][known[start : i + 1]]
        if len(inside) >= (window if rows else 2):
            result[i] = 2 * np.sqrt(max(-np.cov(inside.T)[0, 1], 0))
    return result


ROOM = 3.0 - 2.0 * np.sqrt(2.0)


@tick_kernel(
    reads=["high", "low"],
    gives="spread",
    state=[("high", "f8"), ("low", "f8"), ("known", "?")],
    warmup="two bars",
    source="Corwin and Schultz (2012), Journal of Finance 67, eq. 14 and 18",
)
def corwin_schultz_spread(s: Any, high: float, low: float) -> float:
    """Spread that the ranges of two successive bars (days) tell, as a share of the price.

    ``2 (e^α - 1) / (1 + e^α)`` with ``α = (√(2β) - √β) / (3 - 2√2) - √(γ / (3 - 2√2))``, β the sum of the squared log
    ranges of both bars and γ the squared log range of both together: volatility grows with time, the spread does not.
    Negative estimates are set to 0, as the paper does before it averages them over a month (`rolling_mean`); gaps over
    night are not adjusted for. A bar that is missing (NaN or infinite), is not positive, or whose high is below its
    low, has no spread, and neither has the one that follows it.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.corwin_schultz_spread(np.array([102.0, 102.5, 102.0]), np.array([100.0, 100.4, 100.1])).round(4)
    array([   nan, 0.0095, 0.0103])
    """
    valid = np.isfinite(high) and np.isfinite(low) and 0.0 < low <= high
    spread = np.nan
    if valid and s.known:
        beta = np.log(s.high / s.low) ** 2 + np.log(high / low) ** 2
        gamma = np.log(max(s.high, high) / min(s.low, low)) ** 2
        alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / ROOM - np.sqrt(gamma / ROOM)
        spread = max(2.0 * np.tanh(alpha / 2.0), 0.0)
    s.high = high
    s.low = low
    s.known = valid
    return spread


@corwin_schultz_spread.oracle
def _(high: Any, low: Any) -> Any:
    import pandas as pd

    valid = np.isfinite(high) & np.isfinite(low) & (low > 0) & (high >= low)
    top, bottom = (pd.Series(np.log(np.where(valid, column, np.nan))) for column in (high, low))
    beta = ((top - bottom) ** 2).rolling(2).apply(np.sum, raw=True)
    gamma = (top.rolling(2).max() - bottom.rolling(2).min()) ** 2
    k = 3 - 2 * 2**0.5
    alpha = (2**0.5 - 1) * beta**0.5 / k - (gamma / k) ** 0.5
    return (2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha))).clip(lower=0).to_numpy()


def _product(s: Any, close: float, high: float, low: float) -> Any:
    """Return ``(c - η) (c - η')`` of the bar before, which this bar's middle η' completes."""
    valid = np.isfinite(close) and np.isfinite(high) and np.isfinite(low) and 0.0 < low <= high and close > 0.0
    product = np.nan
    middle = (np.log(low) + np.log(high)) / 2.0 if valid else 0.0
    if valid and s.known:
        product = (s.log_close - s.middle) * (s.log_close - middle)
    s.log_close = np.log(close) if valid else 0.0
    s.middle = middle
    s.known = valid
    return product


@window_kernel(
    gives="spread",
    prepare=_product,
    enters=["product"],
    parameters=[Window()],
    **SUM
    | {
        "reads": ["close", "high", "low"],
        "state": [("log_close", "f8"), ("middle", "f8"), ("known", "?"), *SUM["state"]],
        "memory": ["log_close", "middle", "known", *SUM["memory"]],
        "warmup": "min_periods pairs of successive bars in the window",
        "source": "Abdi and Ranaldo (2017), Review of Financial Studies 30, eq. 9",
        "cases": [{"window": 20}, {"window": "3s"}],
    },
)
def abdi_ranaldo_spread(s: Any, close: float, high: float, low: float, min_periods: int, slots: Any) -> Any:
    """Spread that closes and middles of the range of bars (days) tell, as a share of the price.

    ``√max(4 mean((c_t - η_t) (c_t - η_{t+1})), 0)`` with c the log close and η the middle of the log range, over the
    pairs of successive bars in the window; a pair is known with its second bar. A bar that is missing (NaN or
    infinite), is not positive, or whose high is below its low, leaves out the pairs that it is in.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> close, high, low = np.array([101.0, 99.0, 101.0]), np.full(3, 102.0), np.full(3, 98.0)
    >>> ft.abdi_ranaldo_spread(close, high, low, window=2).round(4)
    array([ nan,  nan, 0.02])
    """
    mean = mean_of(s, slots, min_periods)
    return np.nan if np.isnan(mean) else np.sqrt(4.0 * max(mean, 0.0))


@abdi_ranaldo_spread.oracle
def _(close: Any, high: Any, low: Any, ts: Any, window: Any) -> Any:
    import pandas as pd

    valid = np.isfinite([close, high, low]).all(axis=0) & (low > 0) & (high >= low) & (close > 0)
    c, h, b = (
        pd.Series(np.log(np.where(valid, column, np.nan)), index=pd.to_datetime(ts)) for column in (close, high, low)
    )
    middle = (h + b) / 2
    products = (c.shift() - middle.shift()) * (c.shift() - middle)
    return np.sqrt((4 * products.rolling(window).apply(np.nanmean, raw=True)).clip(lower=0)).to_numpy()
