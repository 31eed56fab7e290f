"""The true range of bars, and what Wilder and others made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Flag, Number, helper, tick_kernel
from fintech_toolkit.kernels.momentum.averages import exponential, valid_rows
from fintech_toolkit.scan.arithmetic import blend

FLAT = 1e-14
"""A range, or a sum of both directions, that is less is none, in TA-Lib and so here."""


@helper
def _true_range(high, low, close):  # type: ignore[no-untyped-def]
    """Return the range of a bar together with the close before it."""
    return max(high, close) - min(low, close)


@helper
def _is_bar(high, low, close):  # type: ignore[no-untyped-def]
    """Whether a row holds a bar; the sum of its prices is finite where these, and what lies between them, are."""
    return low <= high and np.isfinite(abs(high) + abs(low) + abs(close))


@helper
def _wilder(average, x, nth, period):  # type: ignore[no-untyped-def]
    """Take the `nth` value into an average that starts from the mean of the first `period`, a sum until then."""
    if nth > period:
        return blend(average, 1.0 - 1.0 / period, x, 1.0 / period)
    total = average + x
    return total / period if nth == period else total


@helper
def _take(s, high, low, close, period, first):  # type: ignore[no-untyped-def]
    """Take a bar into the average of the true ranges."""
    if s.seen > 0 or first:
        s.ranges += 1
        span = _true_range(high, low, s.close) if s.seen > 0 else high - low
        s.atr = _wilder(s.atr, span, s.ranges, period)
    s.seen += 1
    s.close = close


PERIOD = Count("period", "bars that it averages over", 14)
FIRST = Flag(
    "first",
    "count the range of the first bar, which has no close before it, as Wilder's worksheets do (True), or begin with "
    "the second bar, as TA-Lib does (False)",
    False,
)
ATR: dict[str, Any] = {
    "reads": ["high", "low", "close"],
    "parameters": [PERIOD, FIRST],
    "state": [("atr", "f8"), ("close", "f8"), ("ranges", "i8"), ("seen", "i8")],
    "warmup": "period + 1 bars; period if the first counts",
    "cases": [{}, {"period": 5, "first": True}, {"period": 1}],
}


@tick_kernel(
    gives="atr", source="Wilder (1978), New Concepts in Technical Trading Systems; TA-Lib, ATR and TRANGE", **ATR
)
def atr(s: Any, high: float, low: float, close: float, period: int, first: bool) -> Any:
    """Average true range, in the unit of the prices: ``atr_t = atr_{t-1} + (tr_t - atr_{t-1}) / period``.

    The true range is ``max(high, close_{t-1}) - min(low, close_{t-1})``; the average starts from the mean of the first
    `period` of them. With a period of 1 it is the true range itself. A row without a bar (a price missing, NaN or
    infinite, or a high below its low) gives what the last one gave and does not count.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> high, low = np.array([4.0, 5.0, 9.0, 8.0]), np.array([2.0, 3.0, 8.0, 6.0])
    >>> close = np.array([3.0, 5.0, 8.0, 7.0])
    >>> ft.atr(high, low, close, period=2)
    array([nan, nan, 3. , 2.5])
    """
    if _is_bar(high, low, close):
        _take(s, high, low, close, period, first)
    return s.atr if s.ranges >= period else np.nan


def _bars(high: Any, low: Any, close: Any) -> Any:
    return np.isfinite(high) & np.isfinite(low) & np.isfinite(close) & (low <= high)


def _slow_atr(high: Any, low: Any, close: Any, period: int, first: bool) -> Any:
    import talib

    if not first:
        return talib.ATR(high, low, close, period)
    # A bar before the first that adds nothing to its range: TA-Lib leaves out that one instead.
    high, low, close = (np.concatenate([low[:1], column]) for column in (high, low, close))
    return talib.ATR(high, low, close, period)[1:]


@atr.oracle
def _(high: Any, low: Any, close: Any, period: int = 14, first: bool = False) -> Any:
    bars = _bars(high, low, close)
    return valid_rows(lambda h, lo, c: _slow_atr(h, lo, c, period, first), high, low, close, valid=bars)


@tick_kernel(gives="natr", source="TA-Lib, NATR", **ATR)
def natr(s: Any, high: float, low: float, close: float, period: int, first: bool) -> Any:
    """Average true range in percent of the close, ``100 atr / close``; see `atr`.

    A row without a bar (a price missing, NaN or infinite, or a high below its low) gives what the last one gave and
    does not count. NaN where the close is zero.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> high, low = np.array([4.0, 5.0, 9.0, 8.0]), np.array([2.0, 3.0, 8.0, 6.0])
    >>> close = np.array([3.0, 5.0, 8.0, 8.0])
    >>> ft.natr(high, low, close, period=2)
    array([  nan,   nan, 37.5 , 31.25])
    """
    if _is_bar(high, low, close):
        _take(s, high, low, close, period, first)
    return 100.0 * (s.atr / s.close) if s.ranges >= period and s.close != 0.0 else np.nan


@natr.oracle
def _(high: Any, low: Any, close: Any, period: int = 14, first: bool = False) -> Any:
    def share(h: Any, lo: Any, c: Any) -> Any:
        return 100 * _slow_atr(h, lo, c, period, first) / c

    return valid_rows(share, high, low, close, valid=_bars(high, low, close))


@tick_kernel(
    reads=["high", "low", "close"],
    gives=["mid", "upper", "lower"],
    parameters=[
        Count("span", "span of the exponential average of the closes, in bars", 20),
        Count("atr", "period of the average true range, in bars", 10),
        Number("k", "how many average true ranges the channel is wide, to each side", 2.0, above=0),
    ],
    state=[("ema", "f8"), *ATR["state"]],
    warmup="span bars for the middle, atr + 1 for the channel",
    source="Keltner (1960), as modified by Raschke: exponential average and average true range",
    cases=[{}, {"span": 5, "atr": 3, "k": 1.5}],
)
def keltner_channel(
    s: Any, high: float, low: float, close: float, span: int, atr: int, k: float
) -> tuple[float, float, float]:
    """Keltner channel: the exponential average of the closes, and `k` average true ranges above and below it.

    ``mid = ema(close, span)``, ``upper = mid + k atr``, ``lower = mid - k atr``, with `ema` and `atr` as TA-Lib has
    them. A row without a bar (a price missing, NaN or infinite, or a high below its low) gives what the last one gave
    and does not count.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> high, low = np.array([4.0, 5.0, 9.0]), np.array([2.0, 3.0, 8.0])
    >>> close = np.array([3.0, 5.0, 8.0])
    >>> channel = ft.keltner_channel(high, low, close, span=3, atr=2)
    >>> channel.mid[-1].round(4), channel.upper[-1].round(4)
    (np.float64(5.3333), np.float64(11.3333))
    """
    if _is_bar(high, low, close):
        _take(s, high, low, close, atr, False)
        s.ema = exponential(s.ema, close, s.seen, span, span)
    if s.seen < span:
        return np.nan, np.nan, np.nan
    width = k * s.atr if s.ranges >= atr else np.nan
    return s.ema, s.ema + width, s.ema - width


@keltner_channel.oracle
def _(high: Any, low: Any, close: Any, span: int = 20, atr: int = 10, k: float = 2.0) -> Any:
    import talib

    bars = _bars(high, low, close)
    mid = valid_rows(lambda h, lo, c: talib.EMA(c, span), high, low, close, valid=bars)
    width = k * valid_rows(lambda h, lo, c: talib.ATR(h, lo, c, atr), high, low, close, valid=bars)
    return mid, mid + width, mid - width


@helper
def _sum_down(total, x, nth, period):  # type: ignore[no-untyped-def]
    """Take the `nth` value into Wilder's sum of the last `period`, which is complete without one at first."""
    return total + x if nth < period else total - total / period + x


@tick_kernel(
    reads=["high", "low", "close"],
    gives=["adx", "plus_di", "minus_di"],
    parameters=[Count("period", "bars that it averages over", 14, at_least=2)],
    state=[
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("range", "f8"),
        ("plus", "f8"),
        ("minus", "f8"),
        ("adx", "f8"),
        ("moves", "i8"),
        ("seen", "?"),
    ],
    warmup="period + 1 bars for the indicators of direction, 2 period for their average",
    source="Wilder (1978), New Concepts in Technical Trading Systems; TA-Lib, ADX, PLUS_DI and MINUS_DI",
    cases=[{}, {"period": 2}, {"period": 5}],
)
def adx(s: Any, high: float, low: float, close: float, period: int) -> tuple[float, float, float]:
    """Average directional index, from 0 to 100, and the indicators of direction +DI and -DI that it is made of.

    A bar moves up by ``high - high_{t-1}`` or down by ``low_{t-1} - low``, whichever is more and above zero.
    ``+DI = 100 S(up) / S(true range)`` and ``-DI = 100 S(down) / S(true range)`` with Wilder's sums
    ``S_t = S_{t-1} - S_{t-1} / period + x_t``, which start from the first ``period - 1`` values, as TA-Lib has them.
    ``DX = 100 |+DI - -DI| / (+DI + -DI)``; its average starts from the mean of the first `period`, and goes on by
    ``1 / period``. Where nothing moves, DX is left out and the indicators are 0, as in TA-Lib. A row without a bar (a
    price missing, NaN or infinite, or a high below its low) gives what the last one gave and does not count.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> high, low = np.array([4.0, 5.0, 6.0, 5.5]), np.array([2.0, 3.0, 4.0, 3.0])
    >>> close = np.array([3.0, 5.0, 5.0, 4.0])
    >>> found = ft.adx(high, low, close, period=2)
    >>> found.adx.round(2), found.plus_di.round(2), found.minus_di.round(2)
    (array([  nan,   nan,   nan, 57.14]), array([  nan,   nan, 50.  , 18.75]), array([nan, nan,  0., 25.]))
    """
    if _is_bar(high, low, close):
        if s.seen:
            s.moves += 1
            up, down = high - s.high, s.low - low
            span = _true_range(high, low, s.close)
            s.plus = _sum_down(s.plus, up if up > 0.0 and up > down else 0.0, s.moves, period)
            s.minus = _sum_down(s.minus, down if down > 0.0 and down > up else 0.0, s.moves, period)
            s.range = _sum_down(s.range, span, s.moves, period)
            nth = s.moves - period + 1
            if nth > 0:
                both = s.plus + s.minus
                # Both are shares of one range, so that it cancels out.
                moved = s.range >= FLAT and 100.0 * (both / s.range) >= FLAT
                dx = 100.0 * (abs(s.plus - s.minus) / both) if moved else 0.0
                if moved or nth <= period:
                    s.adx = _wilder(s.adx, dx, nth, period)
        s.high, s.low, s.close, s.seen = high, low, close, True
    if s.moves < period:
        return np.nan, np.nan, np.nan
    plus = 100.0 * (s.plus / s.range) if s.range >= FLAT else 0.0
    minus = 100.0 * (s.minus / s.range) if s.range >= FLAT else 0.0
    return (s.adx if s.moves >= 2 * period - 1 else np.nan), plus, minus


@adx.oracle
def _(high: Any, low: Any, close: Any, period: int = 14) -> Any:
    import talib

    functions = (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)
    prices, bars = (high, low, close), _bars(high, low, close)
    return tuple(valid_rows(lambda *p, f=f: f(*p, period), *prices, valid=bars) for f in functions)
