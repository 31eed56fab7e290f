"""Oscillators of the typical price, and what the volume says with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, helper, nth, tick_kernel, window_kernel
from fintech_toolkit.kernels.momentum.averages import valid_rows
from fintech_toolkit.kernels.statistics.block_sums import SUM, mean_of
from fintech_toolkit.scan.arithmetic import add, value_of


def _typical(s: Any, high: float, low: float, close: float) -> float:
    return (high + low + close) / 3.0


@window_kernel(
    gives="cci",
    prepare=_typical,
    enters=["typical"],
    parameters=[Window(default=20)],
    **SUM
    | {
        "reads": ["high", "low", "close"],
        "warmup": "min_periods bars in the window",
        "source": "Lambert (1980), Commodities; TA-Lib, CCI",
        "cases": [{}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
    },
)
def cci(s: Any, high: float, low: float, close: float, min_periods: int, slots: Any) -> float:
    """Commodity channel index: how far the typical price is from its mean, by the mean deviation.

    ``(p - mean(p)) / (0.015 mean |p - mean(p)|)`` over the window, with ``p = (high + low + close) / 3``; 0 where that
    does not vary, as in TA-Lib. A row without a bar (a price missing, NaN or infinite) takes a place in the window but
    no part in the result, and has none itself. The time of a row grows with the window, since all its deviations change
    with the mean.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price = np.array([1.0, 2.0, 4.0, 4.0])
    >>> ft.cci(price, price, price, window=3).round(2)
    array([ nan,  nan, 100.,  50.])
    """
    price = slots[nth(s, s.count - 1)].v0
    if s.n < min_periods or not np.isfinite(price):
        return np.nan
    mean = mean_of(s, slots, min_periods)
    total = 0.0
    for j in range(s.count):
        value = slots[nth(s, j)].v0
        if np.isfinite(value):
            total += abs(value - mean)
    return (price - mean) / (0.015 * (total / s.n)) if total > 0.0 else 0.0


@cci.oracle
def _(high: Any, low: Any, close: Any, ts: Any, window: Any = 20, min_periods: Any = None) -> Any:
    import pandas as pd

    def index(values: Any) -> float:
        valid = values[~np.isnan(values)]
        distance = valid - np.mean(valid)
        if np.isnan(values[-1]) or np.ptp(valid) == 0:
            return np.nan if np.isnan(values[-1]) else 0.0
        return float(distance[-1] / np.mean(np.abs(distance)) / 0.015)

    typical = np.sum([high, low, close], axis=0) / 3
    prices = pd.Series(np.where(np.isfinite(typical), typical, np.nan), index=pd.to_datetime(ts))
    return prices.rolling(window, min_periods=min_periods).apply(index, raw=True).to_numpy()


@tick_kernel(
    reads=["close", "volume"],
    gives="obv",
    state=[("close", "f8"), ("total", "f8"), ("lost", "f8"), ("seen", "?")],
    warmup="one bar",
    source="Granville (1963), New Key to Stock Market Profits; TA-Lib, OBV",
)
def obv(s: Any, close: float, volume: float) -> Any:
    """On-balance volume: the volume of bars that closed higher less that of bars that closed lower, in its unit.

    It begins with the volume of the first bar, as in TA-Lib; what counts is how it changes. A row without a close or a
    volume (NaN or infinite) gives what the last one gave and does not count.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.obv(np.array([10.0, 11.0, 11.0, 9.0]), np.array([5.0, 8.0, 2.0, 4.0]))
    array([ 5., 13., 13.,  9.])
    """
    if np.isfinite(close) and np.isfinite(volume):
        up = close > s.close or not s.seen
        signed = volume if up else -volume if close < s.close else 0.0
        total, lost = add(s.total, s.lost, signed)
        if np.isfinite(total):
            s.total, s.lost = total, lost
        s.close, s.seen = close, True
    return value_of(s.total, s.lost) if s.seen else np.nan


@obv.oracle
def _(close: Any, volume: Any) -> Any:
    import talib

    return valid_rows(talib.OBV, close, volume)


def _flow(s: Any, high: float, low: float, close: float, volume: float) -> float:
    """Return the money that flowed in the bar, signed by where the typical price went; NaN for the first."""
    typical = (high + low + close) / 3.0
    if not (np.isfinite(typical) and typical > 0.0 and np.isfinite(volume) and volume >= 0.0):
        return np.nan
    flow = np.nan
    if s.known:
        # No branch: it would be guessed wrong as often as the market turns.
        flow = (int(typical > s.typical) - int(typical < s.typical)) * (typical * volume)
    s.typical, s.known = typical, True
    return flow


@helper
def _enter(s, flow):  # type: ignore[no-untyped-def]
    s.n += 1
    s.gain += max(flow, 0.0)
    s.loss += max(-flow, 0.0)


@helper
def _leave(s, flow, slots, slot):  # type: ignore[no-untyped-def]
    s.n -= 1
    if s.older > 0:
        s.older -= 1
        s.gain_left, s.loss_left = slots[slot].gain_after, slots[slot].loss_after


@helper
def _turn(s, slots):  # type: ignore[no-untyped-def]
    """Let all flows of the window be older ones, as `kernels.statistics.block_sums` does with values."""
    gain = loss = 0.0
    for j in range(s.count - 1, -1, -1):
        slot = slots[nth(s, j)]
        slot.gain_after, slot.loss_after = gain, loss
        if np.isfinite(slot.v0):
            gain += max(slot.v0, 0.0)
            loss += max(-slot.v0, 0.0)
    s.older, s.gain_left, s.loss_left, s.gain, s.loss = s.n, gain, loss, 0.0, 0.0


@window_kernel(
    reads=["high", "low", "close", "volume"],
    gives="mfi",
    prepare=_flow,
    enters=["flow"],
    enter=_enter,
    leave=_leave,
    state=[
        ("typical", "f8"),
        ("known", "?"),
        ("gain", "f8"),
        ("loss", "f8"),
        ("gain_left", "f8"),
        ("loss_left", "f8"),
        ("older", "i8"),
        ("n", "i8"),
    ],
    slots=[("gain_after", "f8"), ("loss_after", "f8")],
    # Nothing follows from a ring's values alone, so nothing is made anew where it moves.
    memory=["typical", "known", "gain", "loss", "gain_left", "loss_left", "older", "n"],
    parameters=[Window(default=14)],
    warmup="min_periods bars in the window, besides the first of all, from which nothing flows",
    source="Quong and Soudack (1989), Technical Analysis of Stocks & Commodities 7; TA-Lib, MFI",
    cases=[{}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def mfi(s: Any, high: float, low: float, close: float, volume: float, min_periods: int, slots: Any) -> float:
    """Money flow index, ``100 G / (G + L)``: the money that flowed at rising typical prices as a share of all that did.

    A bar's flow is ``p volume`` with ``p = (high + low + close) / 3``. It belongs to G where p is above that of the bar
    before, to L where it is below, to neither where it is equal. 0 where nothing flowed in the window; TA-Lib says so
    wherever it was less than 1. A row without a bar (a price or the volume missing, NaN or infinite, a typical price
    that is not positive, or a volume below zero) takes a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price, volume = np.array([1.0, 2.0, 1.0, 4.0]), np.array([1.0, 1.0, 2.0, 1.0])
    >>> ft.mfi(price, price, price, volume, window=2).round(2)
    array([  nan,   nan, 50.  , 66.67])
    """
    if s.older == 0 and s.n > 0:
        _turn(s, slots)
    if s.n == 0 or s.n < min_periods:
        return np.nan
    gain, loss = s.gain_left + s.gain, s.loss_left + s.loss
    return 100.0 * (gain / (gain + loss)) if gain + loss > 0.0 else 0.0


@mfi.oracle
def _(high: Any, low: Any, close: Any, volume: Any, ts: Any, window: Any = 14, min_periods: Any = None) -> Any:
    import pandas as pd

    valid = np.isfinite([high, low, close, volume]).all(axis=0) & (volume >= 0) & (high + low + close > 0)
    typical = pd.Series((high + low + close)[valid] / 3)
    flow = typical * volume[valid]
    move = np.sign(typical.diff())
    sides = pd.DataFrame(np.nan, index=pd.to_datetime(ts), columns=["gain", "loss"])
    sides.loc[valid, "gain"] = (flow * move.clip(lower=0)).to_numpy()
    sides.loc[valid, "loss"] = (flow * -move.clip(upper=0)).to_numpy()
    sums = sides.rolling(window, min_periods=min_periods).apply(np.nansum, raw=True)
    total = sums["gain"] + sums["loss"]
    return (100 * sums["gain"] / total.where(total != 0, np.inf)).to_numpy()
