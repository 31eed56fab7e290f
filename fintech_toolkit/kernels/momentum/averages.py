"""Exponential averages as chartists define them, and their convergence and divergence."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Choice, Count, helper, tick_kernel
from fintech_toolkit.scan.arithmetic import blend


@helper
def exponential(average, x, nth, span, warmup):  # type: ignore[no-untyped-def]
    """Take the `nth` value into an average that starts from the mean of the first `warmup`, a sum until then."""
    if nth > warmup:
        share = 2.0 / (span + 1.0)
        return blend(average, 1.0 - share, x, share)
    total = average + x
    return total / warmup if nth == warmup else total


@helper
def _behind(behind, x, move, nth, span, warmup):  # type: ignore[no-untyped-def]
    """Return how far such an average is behind its `nth` value, which is a `move` from the one before; until it starts,
    the sum of the values. That is a sum and a product away from what it was; of the average itself it would be one
    difference more, for which the next row waits.
    """
    if nth > warmup:
        return (1.0 - 2.0 / (span + 1.0)) * (behind + move)
    total = behind + x
    return x - total / warmup if nth == warmup else total


EMA_SEED = Choice(
    "seed",
    "start from the mean of the first `span` values (as TA-Lib), or from the first (as pandas, adjust=False)",
    "sma",
    options=("sma", "first"),
)
SMA = EMA_SEED["sma"]


@tick_kernel(
    reads="x",
    gives="ema",
    parameters=[Count("span", "length in rows; the smoothing factor is 2 / (span + 1)"), EMA_SEED],
    state=[("behind", "f8"), ("last", "f8"), ("seen", "i8")],
    warmup="span valid rows; none if seeded with the first value",
    source="TA-Lib, EMA",
    cases=[{"span": 10}, {"span": 10, "seed": "first"}, {"span": 1}],
)
def ema(s: Any, x: float, span: int, seed: int) -> float:
    """Exponential moving average, ``ema_t = ema_{t-1} + 2 / (span + 1) (x_t - ema_{t-1})``.

    A row without a value (NaN or infinite) gives the average so far and does not count. `ewma` is the average with
    pandas' weights and options.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.ema(np.array([1.0, 2.0, 6.0, 5.0]), span=3)
    array([nan, nan,  3.,  4.])
    >>> ft.ema(np.array([1.0, 2.0, 6.0, 5.0]), span=3, seed="first")
    array([1.   , 1.5  , 3.75 , 4.375])
    """
    warmup = span if seed == SMA else 1
    if np.isfinite(x):
        s.seen += 1
        s.behind = _behind(s.behind, x, x - s.last, s.seen, span, warmup)
        s.last = x
    return s.last - s.behind if s.seen >= warmup else np.nan


def valid_rows(compute: Any, *columns: Any, valid: Any = True) -> Any:
    """Apply to the valid rows alone, and let each result stand until the next."""
    import pandas as pd

    valid = valid & np.isfinite(columns).all(axis=0)
    result = pd.Series(np.nan, index=range(len(valid)))
    if valid.any():
        result[valid] = compute(*(column[valid] for column in columns))
    return result.ffill().to_numpy()


@ema.oracle
def _(x: Any, span: int, seed: str = "sma") -> Any:
    import pandas as pd
    import talib

    if seed == "first" or span == 1:  # TA-Lib has no span of 1
        return valid_rows(lambda v: pd.Series(v).ewm(span=span, adjust=False).mean().to_numpy(), x)
    return valid_rows(lambda v: talib.EMA(v, span), x)


MACD_SEED = Choice(
    "seed",
    "'talib': both averages start at row `slow`, each from the mean of the last rows up to there, and nothing is given "
    "before the signal is; 'sma': each average starts from the mean of its own first rows; 'first': each starts from "
    "its first value (as pandas, adjust=False)",
    "talib",
    options=("talib", "sma", "first"),
)
TALIB_SEED, SMA_SEED, FIRST_SEED = MACD_SEED["talib"], MACD_SEED["sma"], MACD_SEED["first"]


@tick_kernel(
    reads="price",
    gives=["macd", "signal", "hist"],
    parameters=[
        Count("fast", "span of the fast average, in rows", 12),
        Count("slow", "span of the slow average, in rows", 26),
        Count("signal", "span of the average of the difference, in rows", 9),
        MACD_SEED,
    ],
    state=[("fast", "f8"), ("slow", "f8"), ("signal", "f8"), ("last", "f8"), ("line", "f8"), ("seen", "i8")],
    warmup="slow + signal - 1 valid rows; none if seeded with the first value",
    source="Appel (1979); TA-Lib, MACD",
    cases=[
        {},
        {"fast": 3, "slow": 10, "signal": 4},
        {"fast": 5, "slow": 8, "signal": 3, "seed": "sma"},
        {"fast": 5, "slow": 8, "signal": 3, "seed": "first"},
    ],
)
def macd(s: Any, price: float, fast: int, slow: int, signal: int, seed: int) -> tuple[float, float, float]:
    """Moving average convergence and divergence: the fast less the slow exponential average, and the average of that.

    ``macd = ema(fast) - ema(slow)``, ``signal = ema(macd)``, ``hist = macd - signal``. The averages smooth by
    ``2 / (span + 1)``; how they start is the `seed`, in which vendors differ: TA-Lib starts the fast average late, from
    the `fast` rows up to row `slow`, so that both begin together. If `fast` is the longer of the two spans, they are
    swapped, as in TA-Lib. A row without a price (NaN or infinite) gives what the last one gave and does not count.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> result = ft.macd(np.array([1.0, 2.0, 4.0, 7.0, 11.0]), fast=2, slow=3, signal=2)
    >>> result.macd.round(4), result.signal.round(4)
    (array([   nan,    nan,    nan, 1.    , 1.3889]), array([   nan,    nan,    nan, 0.8333, 1.2037]))
    """
    fast, slow = min(fast, slow), max(fast, slow)
    first = seed == FIRST_SEED
    # How many values each average starts from, and which of them is the first.
    fast_warmup, slow_warmup, signal_warmup = (1, 1, 1) if first else (fast, slow, signal)
    late = slow - fast if seed == TALIB_SEED else 0
    if np.isfinite(price):
        s.seen += 1
        move = price - s.last
        s.last = price
        s.slow = _behind(s.slow, price, move, s.seen, slow, slow_warmup)
        if s.seen > late:
            s.fast = _behind(s.fast, price, move, s.seen - late, fast, fast_warmup)
        if s.seen >= slow_warmup:
            # Both are behind the same price.
            line = s.slow - s.fast
            nth = s.seen - slow_warmup + 1
            s.signal = _behind(s.signal, line, line - s.line, nth, signal, signal_warmup)
            s.line = line
    if s.seen >= slow_warmup + signal_warmup - 1:
        return s.line, s.line - s.signal, s.signal
    return (s.line if seed == SMA_SEED and s.seen >= slow else np.nan), np.nan, np.nan


@macd.oracle
def _(price: Any, fast: int = 12, slow: int = 26, signal: int = 9, seed: str = "talib") -> Any:
    import pandas as pd
    import talib

    def average(values: Any, span: int) -> Any:
        if seed == "first":
            return pd.Series(values).ewm(span=span, adjust=False).mean().to_numpy()
        return talib.EMA(values, span) if np.isfinite(values).any() else values

    def lines(values: Any) -> Any:
        if seed == "talib":
            return talib.MACD(values, fast, slow, signal)
        line = average(values, fast) - average(values, slow)
        return line, average(line, signal), line - average(line, signal)

    return tuple(valid_rows(lambda v, j=j: lines(v)[j], price) for j in range(3))
