"""Ranges of a whole series at once, and what is made of them: the bits of one bar after the other.

The window is cut into blocks as `channels` turns it: the first row is one, then come blocks that are as long as the
window. What is the highest up to a row is that of the end of the last block and of the beginning of its own.
"""

from __future__ import annotations

import numpy as np

from fintech_toolkit.authoring import helper
from fintech_toolkit.scan.arithmetic import add, value_of
from fintech_toolkit.scan.intrinsics import fetch_soon

ONE = np.uint64(1)


@helper
def _is_bar(high, low):  # type: ignore[no-untyped-def]
    return np.isfinite(high) and np.isfinite(low)


@helper
def _whole_range(high, low, top, bottom, window):  # type: ignore[no-untyped-def]
    """Give the highest and the lowest of each window, infinite where it has no bar. Return whether any is missing."""
    rows = np.uint64(high.shape[0])
    size = np.uint64(max(1, min(window, high.shape[0])))
    highs, lows = np.empty(size), np.empty(size)
    # Of a block those from each of its bars to its end; behind them what beats nothing.
    high_back, low_back = np.full(2 * (size + ONE), -np.inf), np.full(2 * (size + ONE), np.inf)
    older, newer = np.uint64(0), size + ONE
    start, missing = np.uint64(0), np.uint64(0)
    while start < rows:
        length = min(size, rows - start) if start > 0 else ONE
        for j in range(length):
            valid = _is_bar(high[start + j], low[start + j])
            highs[j] = high[start + j] if valid else -np.inf
            lows[j] = low[start + j] if valid else np.inf
            missing += np.uint64(0) if valid else ONE
        highest = highest_back = -np.inf
        lowest = lowest_back = np.inf
        for j in range(length):
            k = length - ONE - j
            fetch_soon(high, start + size + j)
            fetch_soon(low, start + size + j)
            highest, lowest = max(highest, highs[j]), min(lowest, lows[j])
            # Of equal prices, such as 0.0 and -0.0, the oldest counts.
            highest_back, lowest_back = max(highs[k], highest_back), min(lows[k], lowest_back)
            high_back[newer + k], low_back[newer + k] = highest_back, lowest_back
            top[start + j] = max(high_back[older + j + ONE], highest)
            bottom[start + j] = min(low_back[older + j + ONE], lowest)
        if start == 0:
            # It is older than all others until a block is complete.
            for j in range(size):
                high_back[newer + j], low_back[newer + j] = highest, lowest
        if length == size:
            top[start + length - ONE], bottom[start + length - ONE] = highest_back, lowest_back
        older, newer = newer, older
        start += length
    return missing > 0


@helper
def whole_channel(high, low, upper, lower, mid, window, min_periods):  # type: ignore[no-untyped-def]
    """Give the Donchian channel of a series."""
    rows = high.shape[0]
    missing = _whole_range(high, low, upper, lower, window)
    for i in range(np.uint64(0), np.uint64(rows)):
        mid[i] = 0.5 * upper[i] + 0.5 * lower[i]
    bars = 0
    for i in range(rows if missing else min(rows, min_periods)):
        bars += _is_bar(high[i], low[i])
        if i >= window:
            bars -= _is_bar(high[i - window], low[i - window])
        if bars == 0 or bars < min_periods:
            upper[i] = lower[i] = mid[i] = np.nan
    return True


@helper
def _means(values, result, first, size):  # type: ignore[no-untyped-def]
    """Give the means of the last so many values from `first` on, once there are as many."""
    total = lost = 0.0
    for i in range(first, np.uint64(values.shape[0])):
        total, lost = add(total, lost, values[i])
        if i >= first + size:
            total, lost = add(total, lost, -values[i - size])
        result[i] = value_of(total, lost) / size


@helper
def whole_oscillator(high, low, close, pct_k, pct_d, k, d, slowing):  # type: ignore[no-untyped-def]
    """Give the stochastic oscillator of a series, unless it lacks bars."""
    rows = np.uint64(high.shape[0])
    missing = np.uint64(0)
    for i in range(rows):
        missing += np.uint64(0) if np.isfinite(high[i]) and np.isfinite(low[i]) and np.isfinite(close[i]) else ONE
    if missing > 0:
        return False
    _whole_range(high, low, pct_k, pct_d, k)
    for i in range(rows):
        top, bottom = pct_k[i], pct_d[i]
        share = 100.0 * ((0.5 * close[i] - 0.5 * bottom) / (0.5 * top - 0.5 * bottom))
        pct_k[i] = share if np.isfinite(share) else 0.0
    first = np.uint64(k - 1)
    if slowing > 1:
        _means(pct_k, pct_d, first, np.uint64(slowing))
        first += np.uint64(slowing - 1)
        for i in range(first, rows):
            pct_k[i] = pct_d[i]
    _means(pct_k, pct_d, first, np.uint64(d))
    pct_k[: min(rows, first)] = np.nan
    pct_d[: min(rows, first + np.uint64(d - 1))] = np.nan
    return True
