"""Which of two symbols moves first, and by how much time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fintech_toolkit.authoring import plain_kernel
from fintech_toolkit.errors import DataError, ParameterError
from fintech_toolkit.scan.values import as_instants
from fintech_toolkit.schema import nanoseconds


class LeadLag(NamedTuple):
    """Correlation of two symbols at several lags.

    Attributes
    ----------
    lag : int
        The lag with the greatest contrast, in nanoseconds: positive if a leads b. The shortest of several.
    corr : float
        The Hayashi-Yoshida correlation at it.
    lags : ndarray of int64
        All lags, in nanoseconds, ascending.
    contrast : ndarray of float64
        The correlation at each of them.
    """

    lag: int
    corr: float
    lags: np.ndarray[Any, Any]
    contrast: np.ndarray[Any, Any]


@plain_kernel(
    kind="matrix",
    reads=["ts_a", "price_a", "ts_b", "price_b"],
    gives=["lag", "corr", "lags", "contrast"],
    source="Hoffmann, Rosenbaum and Yoshida (2013), Bernoulli 19",
)
def xcorr_leadlag(ts_a: Any, price_a: Any, ts_b: Any, price_b: Any, *, lags: Any) -> LeadLag:
    """Lead and lag of two symbols on their own clocks: the lag at which the Hayashi-Yoshida correlation is greatest.

    For each lag θ the times of b are moved back by θ, and ``Σ_i Σ_j r_i q_j 1{the returns overlap}`` is taken over the
    square root of both realised variances; the lag is where its size is greatest. ``O((n + m) log(n + m))`` a lag. Of
    several ticks of a symbol at one instant the last counts. A price that is missing (NaN or infinite) or not positive
    is no tick. Whole samples are needed, so that there is no live mode: call it on what has been collected.

    Parameters
    ----------
    ts_a, ts_b : array_like of int64 (ns) or datetime64, with a zone or without, shapes (n,) and (m,)
        Times of the ticks, not descending.
    price_a, price_b : array_like of float, shapes (n,) and (m,)
        Prices of the two symbols.
    lags : list of duration or int (ns)
        Lags to try, such as ``range(-10**9, 10**9 + 1, 10**7)`` or ``["-20ms", "0ms", "20ms"]``; positive where a
        leads.

    Returns
    -------
    LeadLag
        The lag and the correlation at it, and the correlations at all lags; the lag is 0 and the correlations NaN where
        a symbol has not moved.

    Raises
    ------
    DataError
        If times and prices of a symbol differ in length, or times go backwards.
    ParameterError
        If there is no lag, or one is not a duration.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ts = np.arange(1000) * 1_000_000
    >>> price = np.exp(np.cumsum(np.random.default_rng(0).normal(scale=1e-4, size=1000)))
    >>> ft.xcorr_leadlag(ts, price, ts + 5_000_000, price, lags=range(-10_000_000, 10_000_001, 1_000_000)).lag
    5000000
    """
    shifts = np.unique(np.array([_lag(lag) for lag in lags], np.int64))
    if not len(shifts):
        raise ParameterError("lags holds no lag; give such as ['-20ms', '0ms', '20ms'].")
    (t, x), (u, y) = _ticks(ts_a, price_a, "a"), _ticks(ts_b, price_b, "b")
    scale = np.sqrt(np.sum(np.diff(x) ** 2)) * np.sqrt(np.sum(np.diff(y) ** 2))
    if not scale > 0:
        return LeadLag(0, np.nan, shifts, np.full(len(shifts), np.nan))
    contrast = np.array([_covariation(t, x, u - shift, y) for shift in shifts]) / scale
    # Of equal contrasts, which a lattice of times brings, the shortest lag.
    best = min(range(len(shifts)), key=lambda j: (-abs(contrast[j]), abs(shifts[j])))
    return LeadLag(int(shifts[best]), float(contrast[best]), shifts, contrast)


@xcorr_leadlag.oracle
def _(ts_a: Any, price_a: Any, ts_b: Any, price_b: Any, lags: Any) -> Any:
    """The double sum, for distinct times and good prices."""
    r, q = np.diff(np.log(price_a)), np.diff(np.log(price_b))
    contrast = []
    for lag in lags:
        total = 0.0
        for i in range(len(r)):
            for j in range(len(q)):
                start, end = max(ts_a[i], ts_b[j] - lag), min(ts_a[i + 1], ts_b[j + 1] - lag)
                total += r[i] * q[j] if start < end else 0.0
        contrast.append(total / np.sqrt(np.sum(r**2) * np.sum(q**2)))
    return np.array(contrast)


def _lag(lag: Any) -> int:
    if isinstance(lag, int | np.integer):
        return int(lag)
    negative = isinstance(lag, str) and lag.startswith("-")
    size = nanoseconds(lag[1:] if negative else lag, "lags", zero=True)
    return -size if negative else size


def _ticks(ts: Any, price: Any, name: str) -> tuple[Any, Any]:
    """Return the distinct times of a symbol's ticks, and its log prices then."""
    times, prices = as_instants(ts, f"ts_{name}", "ns"), np.asarray(price, float)
    if times.ndim != 1 or times.shape != prices.shape:
        raise DataError(f"ts_{name} and price_{name} must be arrays of one dimension and one length.")
    if (times[1:] < times[:-1]).any():
        row = int(np.argmax(times[1:] < times[:-1])) + 1
        raise DataError(f"ts_{name} goes backwards at row {row}; sort the rows by time.")
    good = np.isfinite(prices) & (prices > 0)
    times, logs = times[good], np.log(prices[good])
    last = np.append(times[1:] != times[:-1], True)[: len(times)]
    return times[last], logs[last]


def _covariation(t: Any, x: Any, u: Any, y: Any) -> float:
    """Return the sum over a's returns of what b did in the returns of its own that overlap them."""
    first = np.clip(np.searchsorted(u, t[:-1], side="right") - 1, 0, len(u) - 1)
    last = np.clip(np.searchsorted(u, t[1:], side="left"), 0, len(u) - 1)
    return float(np.diff(x) @ (y[last] - y[first]))
