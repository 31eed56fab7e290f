"""Channels around the price, by its deviation and by its range, and where in its range a price closes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Number, Window, helper, nth, pop, push, tick_kernel, window_kernel
from fintech_toolkit.kernels.momentum.averages import valid_rows
from fintech_toolkit.kernels.momentum.whole_ranges import whole_channel, whole_oscillator
from fintech_toolkit.kernels.statistics.block_sums import MOMENTS, offset_of, variance_of
from fintech_toolkit.kernels.statistics.moments import DDOF
from fintech_toolkit.scan.arithmetic import add, value_of


@window_kernel(
    gives=["mid", "upper", "lower", "pct_b"],
    parameters=[
        Window(default=20),
        Number("k", "how many standard deviations the bands are away", 2.0, above=0),
        Count(DDOF.name, f"{DDOF.doc}; 0 as Bollinger and TA-Lib have it, 1 as pandas", 0, at_least=0),
    ],
    aliases=["bbands"],
    **MOMENTS
    | {
        "reads": "price",
        "source": "Bollinger (2001), Bollinger on Bollinger Bands; TA-Lib, BBANDS",
        "cases": [{}, {"window": 7, "min_periods": 2, "k": 1.5, "ddof": 1}, {"window": "3s"}],
    },
)
def bollinger_bands(
    s: Any, price: float, min_periods: int, k: float, ddof: int, slots: Any
) -> tuple[float, float, float, float]:
    """Bollinger bands: the mean of the window, `k` standard deviations above and below it, and where between the bands
    the price is.

    ``mid = mean``, ``upper = mid + k std``, ``lower = mid - k std``, ``pct_b = (price - lower) / (upper - lower)``.
    NaN and infinite prices take a place in the window but no part in the result, and have no ``pct_b`` themselves;
    neither has a price whose window does not vary.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> bands = ft.bollinger_bands(np.array([1.0, 3.0, 3.0]), window=2)
    >>> bands.upper, bands.lower, bands.pct_b
    (array([nan,  4.,  3.]), array([nan,  0.,  3.]), array([ nan, 0.75,  nan]))
    """
    variance = variance_of(s, slots, ddof)
    if s.n == 0 or s.n < min_periods:
        return np.nan, np.nan, np.nan, np.nan
    offset = offset_of(s, slots)
    mid = s.shift + offset
    width = k * np.sqrt(variance)
    share = np.nan
    if np.isfinite(price) and width > 0.0:
        share = 0.5 + 0.5 * ((price - s.shift) - offset) / width
    return mid, mid + width, mid - width, share


@bollinger_bands.oracle
def _(price: Any, ts: Any, window: Any = 20, min_periods: Any = None, k: float = 2.0, ddof: int = 0) -> Any:
    import pandas as pd

    prices = np.where(np.isfinite(price), price, np.nan)
    windows = pd.Series(prices, index=pd.to_datetime(ts)).rolling(window, min_periods=min_periods)

    def deviation(values: Any) -> float:
        valid = values[~np.isnan(values)]
        if len(valid) <= ddof:
            return np.nan
        return float(np.std(valid, ddof=ddof)) if np.ptp(valid) > 0 else 0.0

    mid, std = (windows.apply(f, raw=True).to_numpy() for f in (np.nanmean, deviation))
    upper, lower = mid + k * std, mid - k * std
    return mid, upper, lower, (prices - lower) / np.where(std > 0, upper - lower, np.nan)


# As in `rolling_max`: `best_*` of a slot is the extreme of it and of all younger ones up to where the window was last
# turned, `*_back` that of the `recent` bars since.
RANGE = [("high_back", "f8"), ("low_back", "f8"), ("recent", "i8"), ("turned", "?")]
BEST = [("best_high", "f8"), ("best_low", "f8")]


@helper
def _enter(s, high, low):  # type: ignore[no-untyped-def]
    first = s.recent == 0
    s.high_back = high if first else max(s.high_back, high)
    s.low_back = low if first else min(s.low_back, low)
    s.recent += 1
    s.n += 1


@helper
def _leave(s, high, low):  # type: ignore[no-untyped-def]
    s.n -= 1


@helper
def _turn(s, slots):  # type: ignore[no-untyped-def]
    """Let all bars of the window be older ones."""
    high, low = -np.inf, np.inf
    for j in range(s.count - 1, -1, -1):
        k = nth(s, j)
        if np.isfinite(slots[k].v0) and np.isfinite(slots[k].v1):
            # Of equal prices, such as 0.0 and -0.0, the oldest counts.
            high, low = max(slots[k].v0, high), min(slots[k].v1, low)
        slots[k].best_high, slots[k].best_low = high, low
    s.turned, s.recent, s.behind = True, 0, 0


@window_kernel(
    reads=["high", "low"],
    gives=["upper", "lower", "mid"],
    enter=_enter,
    leave=_leave,
    series=whole_channel,
    state=[*RANGE, ("behind", "i8"), ("n", "i8")],
    slots=BEST,
    parameters=[Window(default=20)],
    warmup="min_periods bars in the window",
    source="Donchian (1960); TA-Lib, MAX and MIN",
    cases=[{}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def donchian_channel(s: Any, high: float, low: float, min_periods: int, slots: Any) -> tuple[float, float, float]:
    """Donchian channel: the highest high and the lowest low of the window, and the middle between them.

    Of one price: name it twice, ``donchian_channel("price", "price")``. A row whose high or low is missing (NaN or
    infinite) takes a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> channel = ft.donchian_channel(np.array([3.0, 5.0, 4.0, 4.0]), np.array([2.0, 3.0, 1.0, 3.0]), window=2)
    >>> channel.upper, channel.lower, channel.mid
    (array([nan,  5.,  5.,  4.]), array([nan,  2.,  1.,  1.]), array([nan, 3.5, 3. , 2.5]))
    """
    s.behind += 1
    if not s.turned or s.behind >= s.count:
        _turn(s, slots)
    if s.n == 0 or s.n < min_periods:
        return np.nan, np.nan, np.nan
    high, low = slots[s.head].best_high, slots[s.head].best_low
    if s.recent > 0:
        older = s.n > s.recent
        high = max(high, s.high_back) if older else s.high_back
        low = min(low, s.low_back) if older else s.low_back
    return high, low, 0.5 * high + 0.5 * low


@donchian_channel.oracle
def _(high: Any, low: Any, ts: Any, window: Any = 20, min_periods: Any = None) -> Any:
    import pandas as pd

    valid = np.isfinite(high) & np.isfinite(low)
    bars = pd.DataFrame({"high": np.where(valid, high, np.nan), "low": np.where(valid, low, np.nan)})
    rolling = bars.set_index(pd.to_datetime(ts)).rolling(window, min_periods=min_periods)
    upper, lower = rolling["high"].max().to_numpy(), rolling["low"].min().to_numpy()
    return upper, lower, (upper + lower) / 2


@helper
def _highest_and_lowest(s, slots, k):  # type: ignore[no-untyped-def]
    """Return the extremes of the last `k` bars, the newest of which has just come."""
    first = s.count - min(k, s.count)
    newest = slots[nth(s, s.count - 1)]
    begins = s.recent == 0
    s.high_back = newest.high if begins else max(s.high_back, newest.high)
    s.low_back = newest.low if begins else min(s.low_back, newest.low)
    s.recent += 1
    if not s.turned or s.recent >= s.count - first:
        high, low = -np.inf, np.inf
        for j in range(s.count - 1, first - 1, -1):
            at = nth(s, j)
            high, low = max(slots[at].high, high), min(slots[at].low, low)
            slots[at].best_high, slots[at].best_low = high, low
        s.turned, s.recent = True, 0
        return high, low
    older = slots[nth(s, first)]
    return max(older.best_high, s.high_back), min(older.best_low, s.low_back)


@tick_kernel(
    reads=["high", "low", "close"],
    gives=["pct_k", "pct_d"],
    series=whole_oscillator,
    parameters=[
        Count("k", "bars of the range", 14),
        Count("d", "bars of the mean of %K that is %D", 3),
        Count("slowing", "bars of the mean that %K itself is: 1 is the fast (TA-Lib, STOCHF), 3 the slow (STOCH)", 1),
    ],
    state=[
        *RANGE,
        ("seen", "i8"),
        ("fast", "f8"),
        ("fast_lost", "f8"),
        ("slow", "f8"),
        ("slow_lost", "f8"),
    ],
    slots=[("high", "f8"), ("low", "f8"), ("fast", "f8"), ("slow", "f8"), *BEST],
    warmup="k + slowing - 1 bars for %K, d - 1 more for %D",
    source="Lane (1984); TA-Lib, STOCHF and STOCH",
    aliases=["stochf"],
    cases=[{}, {"k": 5, "d": 2, "slowing": 3}, {"k": 2, "d": 9}, {"k": 1, "d": 1, "slowing": 4}],
)
def stochastic_osc(
    s: Any, high: float, low: float, close: float, k: int, d: int, slowing: int, slots: Any
) -> tuple[float, float]:
    """Stochastic oscillator: where in the range of the last `k` bars the price closes, from 0 to 100, and its mean.

    ``%K = 100 (close - lowest) / (highest - lowest)``, the mean of its last `slowing` values if that is more than 1,
    and ``%D`` the mean of the last `d` of %K; 0 where the range is none, as in TA-Lib. A row without a bar (a price
    missing, NaN or infinite) gives what the last one gave and does not count.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> high, low, close = np.array([4.0, 5.0, 6.0]), np.array([2.0, 3.0, 4.0]), np.array([3.0, 5.0, 4.0])
    >>> osc = ft.stochastic_osc(high, low, close, k=2, d=2)
    >>> osc.pct_k.round(2), osc.pct_d.round(2)
    (array([   nan, 100.  ,  33.33]), array([  nan,   nan, 66.67]))
    """
    if np.isfinite(high) and np.isfinite(low) and np.isfinite(close):
        s.seen += 1
        new = slots[push(s)]
        new.high, new.low = high, low
        top, bottom = _highest_and_lowest(s, slots, k)
        # Halves, since the range of the largest floats is none.
        share = 100.0 * ((0.5 * close - 0.5 * bottom) / (0.5 * top - 0.5 * bottom))
        new.fast = share if np.isfinite(share) else 0.0
        new.slow = 0.0
        if s.seen >= k:
            s.fast, s.fast_lost = add(s.fast, s.fast_lost, new.fast)
            if s.seen >= k + slowing:
                s.fast, s.fast_lost = add(s.fast, s.fast_lost, -slots[nth(s, s.count - 1 - slowing)].fast)
        if s.seen >= k + slowing - 1:
            new.slow = value_of(s.fast, s.fast_lost) / slowing if slowing > 1 else new.fast
            s.slow, s.slow_lost = add(s.slow, s.slow_lost, new.slow)
            if s.seen >= k + slowing - 1 + d:
                s.slow, s.slow_lost = add(s.slow, s.slow_lost, -slots[nth(s, s.count - 1 - d)].slow)
        if s.count > max(k, slowing, d):
            pop(s)
    if s.seen < k + slowing - 1:
        return np.nan, np.nan
    mean = value_of(s.slow, s.slow_lost) / d if s.seen >= k + slowing + d - 2 else np.nan
    return slots[nth(s, s.count - 1)].slow, mean


@stochastic_osc.oracle
def _(high: Any, low: Any, close: Any, k: int = 14, d: int = 3, slowing: int = 1) -> Any:
    import talib

    def line(j: int, mean: int) -> Any:  # TA-Lib gives neither before it has both
        return valid_rows(lambda h, lo, c: talib.STOCH(h, lo, c, k, slowing, slowd_period=mean)[j], high, low, close)

    return line(0, 1), line(1, d)
