"""The linearly weighted moving average: of sums to which values are only ever added.

As in the window sums of `kernels.statistics.block_sums`, the window is two stretches. Each slot of the older one keeps
what is left of it when its value leaves: the sum of the values after it, and the sum that weighs the first of these 1,
the next 2, and so on. The newer one has the same two sums of its own. A weight in the window is that in the newer
stretch and the number of older values, so that no weight has to be lowered when the oldest value leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, helper, nth, window_kernel
from fintech_toolkit.kernels.statistics.whole_series import ONE, first_value, keep_equal


@helper
def _add(s, x):  # type: ignore[no-untyped-def]
    # How often the newest value came in a row: the average of equal values is known to the last bit.
    s.same = s.same + 1 if x == s.last else 1
    s.last = x
    s.newer += 1
    s.sum += x
    s.weighted += s.newer * x


@helper
def _drop(s, slots, slot):  # type: ignore[no-untyped-def]
    if s.older > 0:
        s.older -= 1
        s.front = slots[slot].after


@helper
def _enter(s, x):  # type: ignore[no-untyped-def]
    _add(s, x)


@helper
def _leave(s, x, slots, slot):  # type: ignore[no-untyped-def]
    _drop(s, slots, slot)


@helper
def _slide(s, old, new, slots, slot):  # type: ignore[no-untyped-def]
    _drop(s, slots, slot)
    _add(s, new)


@helper
def _turn(s, slots):  # type: ignore[no-untyped-def]
    """Let all values of the window be older ones."""
    total = weighted = 0.0
    s.older = 0  # of values that came since the last turn, some may have left as well
    for j in range(s.count - 1, -1, -1):
        slot = slots[nth(s, j)]
        slot.after = weighted
        if np.isfinite(slot.v0):
            s.older += 1
            total += slot.v0
            weighted += total
    s.front, s.newer, s.sum, s.weighted = weighted, 0, 0.0, 0.0


@helper
def _average(front, older, total, weighted, n):  # type: ignore[no-untyped-def]
    return ((front + older * total) + weighted) / (0.5 * n * (n + 1.0))


@helper
def _whole(x, result, window, min_periods):  # type: ignore[no-untyped-def]
    """Give the averages of a series, unless it lacks values after its first: a block between two turns at a time."""
    first, rows = first_value(x, result), np.uint64(x.shape[0])
    if first == rows:
        return True
    size, full = min(np.uint64(window), rows), float(window)
    sums, forth, back = np.empty(size), np.empty(size), np.zeros(2 * size + 2)
    # What is left of the last block and of this one. The first value is older than all others of the first block.
    older, newer = np.uint64(0), size + ONE
    back[:size] = result[first] = x[first]
    for start in range(first + ONE, rows, size):
        length = min(size, rows - start)
        total = weighted = rest = front = 0.0
        for j in range(length):
            k = length - ONE - j
            total += x[start + j]
            weighted += float(j + ONE) * x[start + j]
            rest += x[start + k]
            front += rest
            sums[j], forth[j], back[newer + k] = total, weighted, front
        if not np.isfinite(weighted + front):
            return False
        if start == first + ONE:
            for j in range(length):
                n = float(j + ONE + ONE)
                result[start + j] = _average(back[older + j + ONE], 1.0, sums[j], forth[j], n)
        else:
            for j in range(length):
                left = full - float(j + ONE)
                result[start + j] = _average(back[older + j + ONE], left, sums[j], forth[j], full)
        if length == size:
            result[start + length - ONE] = _average(front, full, 0.0, 0.0, full)
        keep_equal(x, result, first, start, length, size)
        older, newer = newer, older
    result[first : min(rows, first + np.uint64(max(min_periods - 1, 0)))] = np.nan
    return True


@window_kernel(
    reads="x",
    gives="wma",
    series=_whole,
    enter=_enter,
    leave=_leave,
    slide=_slide,
    state=[
        ("front", "f8"),
        ("sum", "f8"),
        ("weighted", "f8"),
        ("last", "f8"),
        ("same", "i8"),
        ("older", "i8"),
        ("newer", "i8"),
    ],
    slots=[("after", "f8")],
    # Nothing follows from a ring's values alone, so nothing is made anew where it moves.
    memory=["front", "sum", "weighted", "last", "same", "older", "newer"],
    parameters=[Window()],
    warmup="min_periods valid rows in the window",
    source="TA-Lib, WMA",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def wma(s: Any, x: float, min_periods: int, slots: Any) -> Any:
    """Linearly weighted moving average, ``Σ j x_j / Σ j``: the oldest of n values in the window weighs 1, the last n.

    NaN and infinite values take a place in the window but no part in the result, and no weight is theirs.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.wma(np.array([1.0, 2.0, 4.0, 4.0]), window=3).round(4)
    array([   nan,    nan, 2.8333, 3.6667])
    """
    if s.older == 0 and s.newer > 0:
        _turn(s, slots)
    n = s.older + s.newer
    if n == 0 or n < min_periods:
        return np.nan
    if s.same >= n:
        return s.last
    return _average(s.front, s.older, s.sum, s.weighted, n)


@wma.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    import pandas as pd

    def average(values: Any) -> Any:
        valid = values[~np.isnan(values)]
        return np.average(valid, weights=np.arange(1, len(valid) + 1))

    windows = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts)).rolling(**rolling)
    return windows.apply(average, raw=True).to_numpy()
