"""Mean, variance and what follows from them, over all rows so far or over a sliding window."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Window, tick_kernel, window_kernel
from fintech_toolkit.kernels.statistics.block_sums import MOMENTS, SUM, mean_of, offset_of, variance_of
from fintech_toolkit.kernels.statistics.whole_series import whole_deviation, whole_mean, whole_score, whole_variance
from fintech_toolkit.scan.arithmetic import is_far, two_sum

WINDOW = Window()
DDOF = Count("ddof", "delta degrees of freedom: the divisor is the count less this", 1, at_least=0)


def _on_windows(statistic: Any, x: Any, ts: Any, rolling: Any) -> Any:
    """Let pandas say which values are in a window (its own sums keep rounding errors), and NumPy what they give."""
    import pandas as pd

    windows = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts)).rolling(**rolling)
    return windows.apply(lambda values: statistic(values[~np.isnan(values)]), raw=True).to_numpy()


def _numpy_var(values: Any, ddof: int) -> float:
    if len(values) <= ddof:
        return np.nan
    return float(np.var(values, ddof=ddof)) if np.ptp(values) > 0 else 0.0


@window_kernel(gives="rolling_mean", series=whole_mean, parameters=[WINDOW], aliases=["sma"], **SUM)
def rolling_mean(s: Any, x: float, min_periods: int, slots: Any) -> Any:
    """Mean of the values in the window (simple moving average).

    NaN and infinite values take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_mean(np.array([1.0, 2.0, 4.0]), window=2)
    array([nan, 1.5, 3. ])
    >>> ft.sma(np.array([1.0, np.nan, 4.0]), window=2, min_periods=1)
    array([1., 1., 4.])
    """
    return mean_of(s, slots, min_periods)


@rolling_mean.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    return _on_windows(np.mean, x, ts, rolling)


@window_kernel(gives="rolling_var", series=whole_variance, parameters=[WINDOW, DDOF], **MOMENTS)
def rolling_var(s: Any, x: float, min_periods: int, ddof: int, slots: Any) -> float:
    """Variance of the values in the window, ``Σ (x - mean)² / (n - ddof)``; exactly 0 where all are equal.

    NaN and infinite values take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_var(np.array([1.0, 2.0, 4.0]), window=2)
    array([nan, 0.5, 2. ])
    """
    variance = variance_of(s, slots, ddof)
    return variance if s.n >= min_periods else np.nan


@rolling_var.oracle
def _(x: Any, ts: Any, ddof: int = 1, **rolling: Any) -> Any:
    return _on_windows(lambda values: _numpy_var(values, ddof), x, ts, rolling)


@window_kernel(gives="rolling_std", series=whole_deviation, parameters=[WINDOW, DDOF], **MOMENTS)
def rolling_std(s: Any, x: float, min_periods: int, ddof: int, slots: Any) -> float:
    """Standard deviation of the values in the window, the square root of `rolling_var`.

    NaN and infinite values take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_std(np.array([1.0, 2.0, 4.0]), window=2)
    array([       nan, 0.70710678, 1.41421356])
    """
    variance = variance_of(s, slots, ddof)
    return np.sqrt(variance) if s.n >= min_periods else np.nan


@rolling_std.oracle
def _(x: Any, ts: Any, ddof: int = 1, **rolling: Any) -> Any:
    return np.sqrt(_on_windows(lambda values: _numpy_var(values, ddof), x, ts, rolling))


@window_kernel(gives="zscore", series=whole_score, parameters=[WINDOW, DDOF], **MOMENTS)
def rolling_zscore(s: Any, x: float, min_periods: int, ddof: int, slots: Any) -> float:
    """How many standard deviations a value is from the mean of its window, which includes it: ``(x - mean) / std``.

    NaN and infinite values take a place in the window but no part in the result, and have no score themselves; neither
    has a value whose window does not vary.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_zscore(np.array([1.0, 2.0, 4.0, 4.0]), window=2)
    array([       nan, 0.70710678, 0.70710678,        nan])
    """
    variance = variance_of(s, slots, ddof)
    if s.n < min_periods or not np.isfinite(x):
        return np.nan
    return ((x - s.shift) - offset_of(s, slots)) / np.sqrt(variance) if variance > 0.0 else np.nan


@rolling_zscore.oracle
def _(x: Any, ts: Any, ddof: int = 1, **rolling: Any) -> Any:
    mean = _on_windows(np.mean, x, ts, rolling)
    std = np.sqrt(_on_windows(lambda values: _numpy_var(values, ddof), x, ts, rolling))
    return (np.where(np.isfinite(x), x, np.nan) - mean) / np.where(std > 0, std, np.nan)


@tick_kernel(
    reads="x",
    gives=["mean", "var"],
    parameters=[DDOF],
    state=[("shift", "f8"), ("mean", "f8"), ("m2", "f8"), ("n", "i8")],
    warmup="one valid row for the mean, ddof + 1 for the variance",
    source="Welford (1962), Technometrics 4",
    cases=[{}, {"ddof": 0}],
)
def welford(s: Any, x: float, ddof: int) -> tuple[float, float]:
    """Mean and variance, ``Σ (x - mean)² / (n - ddof)``, of all values so far.

    A row without a value (NaN or infinite) gives what the valid ones before it give.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.welford(np.array([1.0, 2.0, 4.0]))
    welford(mean=array([1.        , 1.5       , 2.33333333]), var=array([       nan, 0.5       , 2.33333333]))
    """
    if np.isfinite(x):
        if s.n == 0:
            s.shift = x
        s.n += 1
        x -= s.shift
        delta = x - s.mean
        s.mean += delta / s.n
        s.m2 += delta * (x - s.mean)
        if is_far(s.mean, delta):
            s.shift, s.mean = two_sum(s.shift, s.mean)
    return (s.shift + s.mean if s.n > 0 else np.nan), (s.m2 / (s.n - ddof) if s.n > ddof else np.nan)


@welford.oracle
def _(x: Any, ddof: int = 1) -> Any:
    seen = [x[: i + 1][np.isfinite(x[: i + 1])] for i in range(len(x))]
    mean = [np.mean(v) if len(v) else np.nan for v in seen]
    var = [np.var(v, ddof=ddof) if len(v) > ddof else np.nan for v in seen]
    return np.array(mean, dtype=float), np.array(var, dtype=float)
