"""What rows ask of their whole window: ranks, histograms, and how ranges and variances grow with time."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Choice, Count, Flag, Window, helper, window_kernel
from fintech_toolkit.kernels.statistics.lagged import RowsBack


def _only_finite(s: Any, x: float) -> float:
    return x if np.isfinite(x) else np.nan


@helper
def _enter(s, x):  # type: ignore[no-untyped-def]
    s.n += 1


@helper
def _leave(s, x):  # type: ignore[no-untyped-def]
    s.n -= 1


@helper
def held(s, slots):  # type: ignore[no-untyped-def]
    """Return the values in the window that are not missing, oldest first."""
    values = np.empty(s.n)
    n = 0
    for j in range(s.count):
        k = s.head + j
        x = slots[k - s.capacity if k >= s.capacity else k].v0
        if not np.isnan(x):
            values[n] = x
            n += 1
    return values


WHOLE: dict[str, Any] = {
    "prepare": _only_finite,
    "enters": ["x"],
    "enter": _enter,
    "leave": _leave,
    "state": [("n", "i8")],
    "warmup": "min_periods valid rows in the window",
}
METHOD = Choice(
    "method",
    "the rank of equal values: the highest of theirs ('max'), which makes it the share of values not above x, the mean "
    "('average'), pandas' default, or the lowest ('min')",
    "max",
    options=("max", "average", "min"),
)
MAX, AVERAGE = METHOD["max"], METHOD["average"]


@helper
def ranked(s, x, slots):  # type: ignore[no-untyped-def]
    """Return how many values in the window are less than one, and how many are equal to it."""
    less = equal = 0
    end = s.head + s.count
    for k in range(s.head, min(end, s.capacity)):
        less += int(slots[k].v0 < x)
        equal += int(slots[k].v0 == x)
    for k in range(end - s.capacity):
        less += int(slots[k].v0 < x)
        equal += int(slots[k].v0 == x)
    return less, equal


@window_kernel(
    reads="x",
    gives="rank",
    parameters=[Window(), METHOD],
    source="pandas, Series.rolling(...).rank(method, pct=True)",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2, "method": "average"}, {"window": "3s", "method": "min"}],
    **WHOLE,
)
def rolling_rank(s: Any, x: float, min_periods: int, method: int, slots: Any) -> Any:
    """Rank of a value in its window, as a share of the values there: 1 for the greatest.

    Each row is compared with its whole window. NaN and infinite values take a place in the window but no part in the
    result, and have no rank themselves.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_rank(np.array([3.0, 1.0, 3.0, 2.0]), window=3).round(4)
    array([   nan,    nan, 1.    , 0.6667])
    """
    if s.n < min_periods or not np.isfinite(x):
        return np.nan
    less, equal = ranked(s, x, slots)
    if method == MAX:
        return (less + equal) / s.n
    return (less + ((equal + 1) / 2.0 if method == AVERAGE else 1.0)) / s.n


@rolling_rank.oracle
def _(x: Any, ts: Any, method: str = "max", **rolling: Any) -> Any:
    import pandas as pd

    values = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts))
    return values.rolling(**rolling).rank(method, pct=True).to_numpy()


# While neither the least value nor the greatest changes, nor do the bins: one count goes down and one up. `counted` of
# the first slots are those of the bins, if there are as many slots. `share` of a slot is k ln k of its number, from 1.


@helper
def _bin_of(s, x, bins):  # type: ignore[no-untyped-def]
    width = s.greatest - s.least
    share = (x - s.least) / width if 0.0 < width < np.inf else 0.0
    return min(np.int64(share * bins), bins - 1)


@helper
def _enter_bin(s, x, bins, slots):  # type: ignore[no-untyped-def]
    s.n += 1
    if s.n > s.shares:
        s.shares = s.n
        slots[s.n - 1].share = s.n * np.log(float(s.n))
    if s.known:
        s.known = s.least <= x <= s.greatest
        if s.known:
            slots[_bin_of(s, x, bins)].counted += 1


@helper
def _leave_bin(s, x, bins, slots):  # type: ignore[no-untyped-def]
    s.n -= 1
    if s.known:
        s.known = s.least < x < s.greatest
        if s.known:
            slots[_bin_of(s, x, bins)].counted -= 1


@helper
def _counted_anew(s, bins, slots):  # type: ignore[no-untyped-def]
    """Return how many values are in each bin."""
    values = held(s, slots)
    s.least, s.greatest = np.inf, -np.inf
    for value in values:
        s.least, s.greatest = min(s.least, value), max(s.greatest, value)
    counts = np.zeros(bins, np.int64)
    for value in values:
        counts[_bin_of(s, value, bins)] += 1
    s.known = bins <= s.capacity
    if s.known:
        for b in range(bins):
            slots[b].counted = counts[b]
    return counts


@window_kernel(
    reads="x",
    gives="entropy",
    parameters=[Window(), Count("bins", "bins of equal width, from the least value of the window to the greatest", 10)],
    source="Shannon (1948), Bell System Technical Journal 27",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2, "bins": 3}, {"window": "3s", "bins": 40}],
    **WHOLE
    | {
        "enter": _enter_bin,
        "leave": _leave_bin,
        "state": [("least", "f8"), ("greatest", "f8"), ("n", "i8"), ("shares", "i8"), ("known", "?")],
        "slots": [("share", "f8"), ("counted", "i4")],
    },
)
def entropy_hist(s: Any, x: float, min_periods: int, bins: int, slots: Any) -> Any:
    """Entropy of the window's histogram, ``-Σ p ln p`` in nats: 0 where all values are equal, ``ln bins`` at most.

    A value x is in the bin ``⌊(x - least) / (greatest - least) · bins⌋``, the greatest in the last. The whole window is
    counted anew where its least value or its greatest changes. NaN and infinite values take a place in the window but
    no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.entropy_hist(np.array([1.0, 2.0, 4.0, 4.0]), window=3, bins=2).round(4)
    array([   nan,    nan, 0.6365, 0.6365])
    """
    if s.n == 0 or s.n < min_periods:
        return np.nan
    spread = 0.0
    if s.known:
        for b in range(bins):
            k = slots[b].counted
            spread += slots[k - 1].share if k > 0 else 0.0
    else:
        for k in _counted_anew(s, bins, slots):
            spread += slots[k - 1].share if k > 0 else 0.0
    return (slots[s.n - 1].share - spread) / s.n


@entropy_hist.oracle
def _(x: Any, ts: Any, bins: int = 10, **rolling: Any) -> Any:
    import pandas as pd
    from scipy.stats import entropy

    def of(values: Any) -> Any:
        known = values[~np.isnan(values)]
        shares = (known - known.min()) / max(np.ptp(known), 1e-300)
        return entropy(np.bincount(np.minimum(np.floor(shares * bins).astype(int), bins - 1)))

    windows = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts)).rolling(**rolling)
    return windows.apply(of, raw=True).to_numpy()


SHORTEST = 8
"""The fewest values of which a rescaled range is taken."""


@helper
def _rescaled_range(values, begin, end):  # type: ignore[no-untyped-def]
    """Return the range of the summed deviations from the mean over their standard deviation, NaN without one."""
    mean = 0.0
    for i in range(begin, end):
        mean += values[i]
    mean /= end - begin
    walk = highest = lowest = squares = 0.0
    for i in range(begin, end):
        walk += values[i] - mean
        squares += (values[i] - mean) ** 2
        highest = max(highest, walk)
        lowest = min(lowest, walk)
    deviation = np.sqrt(squares / (end - begin))
    return (highest - lowest) / deviation if deviation > 0.0 else np.nan


@window_kernel(
    reads="x",
    gives="hurst",
    parameters=[Window()],
    source="Hurst (1951), Transactions of the ASCE 116; Mandelbrot and Wallis (1969), Water Resources Research 5",
    cases=[{"window": 40}, {"window": 100, "min_periods": 20}, {"window": "3s"}],
    **WHOLE | {"warmup": "min_periods valid rows in the window, and 16 at least"},
)
def hurst(s: Any, x: float, min_periods: int, slots: Any) -> Any:
    """Hurst's exponent of the changes in the window, by rescaled ranges: 0.5 without memory, more where they trend.

    `x` are changes, such as `log_returns`. The n values are cut into blocks of n, ⌊n/2⌋, ⌊n/4⌋, … values, as long as
    these are 8 at least, the newest block ending with the newest value. A block's rescaled range is the range of the
    running sums of its deviations from its mean (0 among them) over their standard deviation (``ddof`` 0). The exponent
    is the slope of ln(mean of a length's rescaled ranges) on ln(length). In short windows it is too large (about 0.6
    instead of 0.5 in 100 rows); that is not corrected for.

    Each row does its whole window anew. NaN and infinite values take a place in the window but no part in the result;
    blocks that do not vary count for nothing. NaN with less than two lengths.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.hurst(np.tile([1.0, 1.0, -1.0, -1.0], 8), window=32)[-1:]
    array([0.])
    """
    if s.n < max(min_periods, 2 * SHORTEST):
        return np.nan
    values = held(s, slots)
    lengths = sum_x = sum_y = sum_xx = sum_xy = 0.0
    length = s.n
    first = np.log(float(s.n))
    while length >= SHORTEST:
        total = blocks = 0.0
        for end in range(s.n, length - 1, -length):
            ratio = _rescaled_range(values, end - length, end)
            if np.isfinite(ratio):
                total += ratio
                blocks += 1.0
        if blocks > 0.0:
            # About the first length, which costs the slope no digits.
            a, b = np.log(float(length)) - first, np.log(total / blocks)
            lengths += 1.0
            sum_x += a
            sum_y += b
            sum_xx += a * a
            sum_xy += a * b
        length //= 2
    if lengths < 2.0:
        return np.nan
    return (lengths * sum_xy - sum_x * sum_y) / (lengths * sum_xx - sum_x * sum_x)


@hurst.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    import pandas as pd

    def rescaled(block: Any) -> float:
        walk = np.concatenate([[0], np.cumsum(block - block.mean())])
        return float(np.ptp(walk) / block.std()) if np.ptp(block) > 0 else np.nan

    def of(values: Any) -> float:
        known = values[~np.isnan(values)]
        sizes, logs, means = len(known), [], []
        while sizes >= 8 and len(known) >= 16:
            count = len(known) // sizes
            ranges = [rescaled(block) for block in known[len(known) - count * sizes :].reshape(count, sizes)]
            if np.isfinite(ranges).any():
                logs.append(np.log(sizes))
                means.append(np.log(np.nanmean(ranges)))
            sizes //= 2
        return float(np.polyfit(logs, means, 1)[0]) if len(logs) > 1 else np.nan

    windows = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts)).rolling(**rolling)
    return windows.apply(of, raw=True).to_numpy()


def _log_price(s: Any, price: float) -> float:
    return np.log(price) if np.isfinite(price) and price > 0.0 else np.nan


@helper
def _robust_noise(returns, mean, squares, q):  # type: ignore[no-untyped-def]
    """Return the variance of √n (VR - 1) where the variance of returns changes: Lo and MacKinlay, eq. 19."""
    noise = 0.0
    for j in range(1, q):
        products = 0.0
        for t in range(j, returns.shape[0]):
            products += (returns[t] - mean) ** 2 * (returns[t - j] - mean) ** 2
        noise += (2.0 * (q - j) / q) ** 2 * (returns.shape[0] * products / squares / squares)
    return noise


@window_kernel(
    reads="price",
    gives=["vr", "z"],
    parameters=[
        Window(),
        RowsBack("q", "rows of the longer returns, at least 2 and at most `window` if that is in rows", 2, at_least=2),
        Flag("robust", "let the variance of returns change over time (True), or take it as constant (False)", True),
    ],
    source="Lo and MacKinlay (1988), Review of Financial Studies 1",
    cases=[{"window": 20}, {"window": 12, "min_periods": 6, "q": 4}, {"window": "3s", "q": 3, "robust": False}],
    **WHOLE | {"prepare": _log_price, "warmup": "min_periods valid prices in the window, and q + 2 at least"},
)
def variance_ratio(s: Any, price: float, min_periods: int, q: int, robust: bool, slots: Any) -> Any:
    """Variance ratio: that of log returns over q rows to q times that over one, 1 for a random walk; and its z score.

    Of the n + 1 prices in the window, with the mean return μ: ``σ_1² = Σ (r - μ)² / (n - 1)``, ``σ_q² = Σ (p_t -
    p_{t-q} - q μ)² / (q (n - q + 1) (1 - q/n))`` over returns that overlap, ``vr = σ_q² / σ_1²`` and ``z = √n (vr - 1)
    / √θ``. θ is ``Σ (2 (q - j) / q)² δ_j`` (eq. 19, `robust`) or ``2 (2q - 1) (q - 1) / (3q)``. That is what
    `arch.unitroot.VarianceRatio` gives by default (overlap, debiased, robust).

    Each row does its whole window anew. A price that is missing (NaN or infinite) or not positive takes a place in the
    window but no part in the result: the return goes from the price before to the one after. NaN where the returns do
    not vary.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> bounce = np.array([100.0, 101.0, 100.0, 101.0, 100.0, 102.0, 100.0])
    >>> ft.variance_ratio(bounce, window=7).vr[-2:].round(4)
    array([   nan, 0.0617])
    """
    n = s.n - 1
    if s.n < min_periods or n <= q:
        return np.nan, np.nan
    logs = held(s, slots)
    returns = logs[1:] - logs[:-1]
    mean = (logs[n] - logs[0]) / n
    squares = 0.0
    for r in returns:
        squares += (r - mean) ** 2
    longer = 0.0
    for t in range(q, n + 1):
        longer += (logs[t] - logs[t - q] - q * mean) ** 2
    # What rounding leaves of returns that are all alike is no variance.
    if not squares > n * (1e-15 * max(abs(logs[0]), abs(logs[n]), 1.0)) ** 2:
        return np.nan, np.nan
    vr = longer / (q * (n - q + 1.0) * (1.0 - q / n)) / (squares / (n - 1.0))
    noise = _robust_noise(returns, mean, squares, q) if robust else 2.0 * (2.0 * q - 1.0) * (q - 1.0) / (3.0 * q)
    return vr, (np.sqrt(n) * (vr - 1.0) / np.sqrt(noise) if noise > 0.0 else np.nan)


@variance_ratio.oracle
def _(price: Any, ts: Any, q: int = 2, robust: bool = True, **rolling: Any) -> Any:
    import pandas as pd

    def both(values: Any) -> tuple[float, float]:
        known = values[~np.isnan(values)]
        r, n = np.diff(known), len(known) - 1
        if n <= q or np.ptp(r) < 1e-13:
            return np.nan, np.nan
        centred = r - r.mean()
        over = np.convolve(centred, np.ones(q), "valid")
        vr = np.sum(over**2) / (q * (n - q + 1) * (1 - q / n)) / np.var(r, ddof=1)
        square = centred**2
        theta = 2 * (2 * q - 1) * (q - 1) / (3 * q)
        if robust:
            deltas = [n * np.sum(square[j:] * square[:-j]) / np.sum(square) ** 2 for j in range(1, q)]
            theta = np.sum([(2 * (q - j) / q) ** 2 * delta for j, delta in enumerate(deltas, 1)])
        return vr, float(np.sqrt(n / theta) * (vr - 1)) if theta > 0 else np.nan

    logs = np.log(np.where(np.isfinite(price) & (price > 0), price, np.nan))
    windows = pd.Series(logs, index=pd.to_datetime(ts)).rolling(**rolling)
    return tuple(windows.apply(lambda v, k=k: both(v)[k], raw=True).to_numpy() for k in (0, 1))
