"""The relative strength index."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import STALE, Choice, Count, helper, tick_kernel
from fintech_toolkit.scan.arithmetic import add, blend, value_of, watch_sum

SMOOTHING = Choice(
    "smoothing",
    "how gains and losses are averaged. 'wilder': recursively, by 1 / period; 'ema': by 2 / (period + 1); both start "
    "from the mean of the first `period` changes. 'sma': the mean of the last `period` changes (Cutler)",
    "wilder",
    options=("wilder", "sma", "ema"),
)
WILDER, SMA = SMOOTHING["wilder"], SMOOTHING["sma"]
FLAT = 1e-14
"""Gains and losses that add up to less are none, in TA-Lib and so here."""


@helper
def _recurse(s, change, share):  # type: ignore[no-untyped-def]
    s.gain = blend(s.gain, 1.0 - share, max(change, 0.0), share)
    s.loss = blend(s.loss, 1.0 - share, max(-change, 0.0), share)


@helper
def _add(s, change, share):  # type: ignore[no-untyped-def]
    s.gain += share * max(change, 0.0)
    s.loss += share * max(-change, 0.0)


@helper
def _replace(s, change, period, slots):  # type: ignore[no-untyped-def]
    """Keep the last `period` changes and their sums, taken afresh once a round and where digits were lost."""
    position = (s.seen - 2) % period
    if s.count == period:
        gain, loss = s.gain, s.loss
        _sum(s, slots[position].change, -1.0)
        s.least_gain = watch_sum(s, s.least_gain, gain, s.gain)
        s.least_loss = watch_sum(s, s.least_loss, loss, s.loss)
    else:
        s.count += 1
    slots[position].change = change
    _sum(s, change, 1.0)
    if position == period - 1 or s.age == STALE:
        s.age = 0
        s.gain = s.loss = s.gain_lost = s.loss_lost = s.least_gain = s.least_loss = 0.0
        for j in range(s.count):
            _sum(s, slots[j].change, 1.0)


@helper
def _sum(s, change, sign):  # type: ignore[no-untyped-def]
    if change > 0.0:
        s.gain, s.gain_lost = add(s.gain, s.gain_lost, sign * change)
    else:
        s.loss, s.loss_lost = add(s.loss, s.loss_lost, -sign * change)


@tick_kernel(
    reads="price",
    gives="rsi",
    parameters=[Count("period", "number of changes, in rows", 14), SMOOTHING],
    state=[
        ("last", "f8"),
        ("seen", "i8"),
        ("gain", "f8"),
        ("gain_lost", "f8"),
        ("least_gain", "f8"),
        ("loss", "f8"),
        ("loss_lost", "f8"),
        ("least_loss", "f8"),
    ],
    slots=[("change", "f8")],
    warmup="period + 1 valid rows",
    source="Wilder (1978), New Concepts in Technical Trading Systems; TA-Lib, RSI",
    cases=[
        {},
        {"period": 5, "smoothing": "sma"},
        {"period": 40, "smoothing": "sma"},
        {"period": 5, "smoothing": "ema"},
    ],
)
def rsi(s: Any, price: float, period: int, smoothing: int, slots: Any) -> float:
    """Relative strength index, ``100 G / (G + L)`` of the average gain G and the average loss L, from 0 to 100.

    Without losses it is 100. Where the price has not moved at all it is 0, as in TA-Lib. A row without a price (NaN or
    infinite) gives what the last one gave and does not count.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rsi(np.array([10.0, 11.0, 10.0, 12.0, 12.0, 11.0]), period=2).round(2)
    array([  nan,   nan, 50.  , 83.33, 83.33, 35.71])
    """
    if np.isfinite(price):
        change = price - s.last
        s.last = price
        s.seen += 1
        if s.seen > 1:
            if smoothing == SMA:
                _replace(s, change, period, slots)
            elif s.seen <= period + 1:
                _add(s, change, 1.0 / period)
            else:
                _recurse(s, change, 1.0 / period if smoothing == WILDER else 2.0 / (period + 1.0))
    if s.seen <= period:
        return np.nan
    gain, loss = s.gain, s.loss
    if smoothing == SMA:
        gain = value_of(gain, s.gain_lost) / period
        loss = value_of(loss, s.loss_lost) / period
    total = gain + loss
    return 100.0 * (gain / total) if total >= FLAT else 0.0


@rsi.oracle
def _(price: Any, period: int = 14, smoothing: str = "wilder") -> Any:
    import pandas as pd
    import talib

    valid = np.isfinite(price)
    prices = price[valid]
    if smoothing == "wilder":
        values = talib.RSI(prices, period) if len(prices) else prices
    else:
        change = pd.Series(prices).diff()
        gain, loss = change.clip(lower=0), (-change).clip(lower=0)
        if smoothing == "sma":
            gain, loss = (c.rolling(period).apply(np.mean, raw=True) for c in (gain, loss))
        else:
            gain, loss = (pd.Series(_seeded_average(c.to_numpy(), period)) for c in (gain, loss))
        total = gain + loss
        values = (100 * gain / total.where(total >= FLAT, np.inf)).where(total.notna()).to_numpy()
    result = pd.Series(np.nan, index=range(len(price)))
    result[valid] = values
    return result.ffill().to_numpy()


def _seeded_average(changes: Any, period: int) -> Any:
    """The textbook's exponential average: the mean of the first `period` changes, then the recursion."""
    result = np.full(len(changes), np.nan)
    for i in range(period, len(changes)):
        if i == period:
            result[i] = np.mean(changes[1 : period + 1])
        else:
            result[i] = result[i - 1] + 2 / (period + 1) * (changes[i] - result[i - 1])
    return result
