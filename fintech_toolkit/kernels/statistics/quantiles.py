"""Quantiles of a sliding window."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, Window, helper, window_kernel

# Two heaps of slot numbers meet at the quantile: the lower values with their largest on top, the upper ones with their
# smallest. They share the field `node`, the low one from its front, the high one from its back; `place` says
# where in `node` a slot is, so that a value which leaves is found at once.
LOW, HIGH, TOP = np.int64(0), np.int64(1), np.int64(0)  # of a plain 0, each helper would be compiled once more
HALF = 0.5
HEAPS: dict[str, Any] = {
    "state": [("low", "i8"), ("high", "i8")],
    "slots": [("node", "i4"), ("place", "i4")],
    "warmup": "min_periods valid rows in the window",
}


@helper
def _index(s, side, p):  # type: ignore[no-untyped-def]
    return p if side == LOW else s.capacity - 1 - p


@helper
def _above(side, x, y):  # type: ignore[no-untyped-def]
    return x > y if side == LOW else x < y


@helper
def _node(s, slots, side, p):  # type: ignore[no-untyped-def]
    return np.int64(slots[_index(s, side, p)].node)  # else helpers would be compiled for int32 too


@helper
def _top(s, slots, side):  # type: ignore[no-untyped-def]
    return slots[_node(s, slots, side, TOP)].v0


@helper
def _put(s, slots, side, p, slot):  # type: ignore[no-untyped-def]
    index = _index(s, side, p)
    slots[index].node = slot
    slots[slot].place = index


@helper
def _rise(s, slots, side, p, x):  # type: ignore[no-untyped-def]
    """Move the gap at position `p` up to where `x` is not above what is over it."""
    while p > 0:
        parent = _node(s, slots, side, (p - 1) >> 1)
        if not _above(side, x, slots[parent].v0):
            break
        _put(s, slots, side, p, parent)
        p = (p - 1) >> 1
    return p


@helper
def _sink(s, slots, side, p, x):  # type: ignore[no-untyped-def]
    """Move the gap at position `p` down to where nothing that is above `x` lies under it."""
    size = s.low if side == LOW else s.high
    while 2 * p + 1 < size:
        child = 2 * p + 1
        node = _node(s, slots, side, child)
        if child + 1 < size:
            other = _node(s, slots, side, child + 1)
            if _above(side, slots[other].v0, slots[node].v0):
                child += 1
                node = other
        if not _above(side, slots[node].v0, x):
            break
        _put(s, slots, side, p, node)
        p = child
    return p


@helper
def no_sums(s, slots, side, p):  # type: ignore[no-untyped-def]
    """What a heap is told where nobody asks for sums: that positions have changed on the way from one to the top."""


@helper
def sums_below(s, slots, side, p):  # type: ignore[no-untyped-def]
    """Keep of each position of the low heap the sum of the values from there down, which are only ever added."""
    if side == LOW:
        while p >= 0:
            total = slots[slots[p].node].v0
            for child in range(2 * p + 1, min(2 * p + 3, s.low)):
                total += slots[child].sum
            slots[p].sum = total
            p = ((p + 1) >> 1) - 1


@helper
def _sift(s, slots, side, p, slot, sums):  # type: ignore[no-untyped-def]
    """Put a slot into a heap that has a gap at position `p`."""
    x = slots[slot].v0
    to = _sink(s, slots, side, _rise(s, slots, side, p, x), x)
    _put(s, slots, side, to, slot)
    sums(s, slots, side, max(p, to))


@helper
def _insert(s, slots, side, slot, sums):  # type: ignore[no-untyped-def]
    if side == LOW:
        s.low += 1
    else:
        s.high += 1
    _sift(s, slots, side, (s.low if side == LOW else s.high) - 1, slot, sums)


@helper
def _remove(s, slots, side, p, sums):  # type: ignore[no-untyped-def]
    """Fill the gap at position `p` with the last of the heap."""
    if side == LOW:
        s.low -= 1
        size = s.low
    else:
        s.high -= 1
        size = s.high
    if p < size:
        _sift(s, slots, side, p, _node(s, slots, side, size), sums)
    sums(s, slots, side, ((size + 1) >> 1) - 1)


@helper
def _balance(s, slots, share, sums):  # type: ignore[no-untyped-def]
    """Let the low heap have what is not above the quantile: a value more or less moves one at most."""
    n = s.low + s.high
    low = ((n + 1) >> 1 if share == HALF else np.int64((n - 1) * share) + 1) if n > 0 else 0
    if s.low != low:
        side = LOW if s.low > low else HIGH
        slot = _node(s, slots, side, TOP)
        _remove(s, slots, side, TOP, sums)
        _insert(s, slots, 1 - side, slot, sums)


@helper
def enter_heaps(s, x, slots, slot, share, sums):  # type: ignore[no-untyped-def]
    side = HIGH if s.low > 0 and x > _top(s, slots, LOW) else LOW
    _insert(s, slots, side, slot, sums)
    _balance(s, slots, share, sums)


@helper
def leave_heaps(s, slots, slot, share, sums):  # type: ignore[no-untyped-def]
    place = np.int64(slots[slot].place)
    side = LOW if place < s.low else HIGH
    _remove(s, slots, side, _index(s, side, place), sums)
    _balance(s, slots, share, sums)


@helper
def quantile_of(s, slots, share):  # type: ignore[no-untyped-def]
    """Return the quantile of heaps that are not empty, as NumPy does: on the line between the two values beside it."""
    beyond = (s.low + s.high - 1) * share
    beyond -= int(beyond)
    low = _top(s, slots, LOW)
    return (low if beyond == 0.0 else low + beyond * (_top(s, slots, HIGH) - low)) + 0.0


@helper
def slide_heaps(s, slots, slot, sums):  # type: ignore[no-untyped-def]
    """The slot has a new value: move it within its heap, and if it is on the wrong side, exchange the tops."""
    place = np.int64(slots[slot].place)
    if place < s.low:
        _sift(s, slots, LOW, place, slot, sums)
    else:
        _sift(s, slots, HIGH, _index(s, HIGH, place), slot, sums)
    if s.high > 0 and _top(s, slots, LOW) > _top(s, slots, HIGH):
        low, high = _node(s, slots, LOW, TOP), _node(s, slots, HIGH, TOP)
        _sift(s, slots, LOW, TOP, high, sums)
        _sift(s, slots, HIGH, TOP, low, sums)


@helper
def _enter(s, x, slots, slot):  # type: ignore[no-untyped-def]
    enter_heaps(s, x, slots, slot, HALF, no_sums)


@helper
def _leave(s, x, slots, slot):  # type: ignore[no-untyped-def]
    leave_heaps(s, slots, slot, HALF, no_sums)


@helper
def slide_alone(s, old, new, slots, slot):  # type: ignore[no-untyped-def]
    slide_heaps(s, slots, slot, no_sums)


SMALL = 128
"""A window in which each value is compared with all others sooner than a heap is mended."""


@helper
def _whole(x, result, window, min_periods):  # type: ignore[no-untyped-def]
    """Give the medians of a whole series: each value of a small window has its rank, which a value that leaves or
    enters moves by one. That takes more comparisons than heaps do, but many at a time, and none decides what is next.
    """
    if window > SMALL:
        return False
    # Whatever is no value ranks above all, and so does what fills the arrays up for the processor's sake.
    values = np.full(16 * ((window + 15) // 16), np.inf)
    ranks = np.arange(values.shape[0])
    n = slot = 0
    for i in range(x.shape[0]):
        valid = np.isfinite(x[i])
        new, old, gone = x[i] if valid else np.inf, values[slot], ranks[slot]
        n += int(valid) - int(old < np.inf)
        first, second = (n - 1) >> 1, n >> 1
        above = at_first = at_second = 0
        for j in range(values.shape[0]):
            is_above = int(values[j] > new)
            rank = ranks[j] + is_above - int(ranks[j] > gone)
            ranks[j] = rank
            above += is_above
            at_first += j if rank == first else 0
            at_second += j if rank == second else 0
        # What has left was counted with the others.
        passed = int(old > new)
        rank = values.shape[0] - 1 - (above - passed if valid else 0)
        at_first += (slot if rank == first else 0) - (slot if gone + passed == first else 0)
        at_second += (slot if rank == second else 0) - (slot if gone + passed == second else 0)
        values[slot], ranks[slot] = new, rank
        slot = slot + 1 if slot + 1 < window else 0
        result[i] = _median(n, values[at_first], values[at_second]) if n > 0 and n >= min_periods else np.nan
    return True


@helper
def _median(n, low, high):  # type: ignore[no-untyped-def]
    """Return the mean of the two in the middle; a zero without its sign, since equal values have no order."""
    return (low if n & 1 else (low + high) / 2.0) + 0.0


@window_kernel(
    reads="x",
    gives="rolling_median",
    enter=_enter,
    leave=_leave,
    slide=slide_alone,
    series=_whole,
    parameters=[Window()],
    source="pandas, Series.rolling(...).median()",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
    **HEAPS,
)
def rolling_median(s: Any, x: float, min_periods: int, slots: Any) -> Any:
    """Median of the values in the window, kept in two heaps: exact, for as long as it runs.

    With an even number of values the mean of the two in the middle. NaN and infinite values take a place in the window
    but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_median(np.array([3.0, 1.0, 2.0, 4.0]), window=3)
    array([nan, nan,  2.,  2.])
    """
    n = s.low + s.high
    if n == 0 or n < min_periods:
        return np.nan
    low = _top(s, slots, LOW)
    return _median(n, low, low if n & 1 else _top(s, slots, HIGH))


@rolling_median.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    import pandas as pd

    values = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts))
    return values.rolling(**rolling).median().to_numpy()


@helper
def _enter_quantile(s, x, slots, slot, q):  # type: ignore[no-untyped-def]
    enter_heaps(s, x, slots, slot, q, no_sums)


@helper
def _leave_quantile(s, x, slots, slot, q):  # type: ignore[no-untyped-def]
    leave_heaps(s, slots, slot, q, no_sums)


@window_kernel(
    reads="x",
    gives="rolling_quantile",
    enter=_enter_quantile,
    leave=_leave_quantile,
    slide=slide_alone,
    parameters=[Window(), Number("q", "share of the values that lie below the quantile", at_least=0, at_most=1)],
    source="pandas, Series.rolling(...).quantile(q)",
    cases=[{"window": 20, "q": 0.9}, {"window": 7, "min_periods": 2, "q": 0}, {"window": "3s", "q": 0.3}],
    **HEAPS,
)
def rolling_quantile(s: Any, x: float, min_periods: int, q: float, slots: Any) -> Any:
    """Quantile of the values in the window, on the line between the two values beside it.

    NaN and infinite values take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_quantile(np.array([3.0, 1.0, 2.0, 4.0]), window=3, q=0.25)
    array([nan, nan, 1.5, 1.5])
    """
    n = s.low + s.high
    return quantile_of(s, slots, q) if n > 0 and n >= min_periods else np.nan


@rolling_quantile.oracle
def _(x: Any, ts: Any, q: float, **rolling: Any) -> Any:
    import pandas as pd

    values = pd.Series(np.where(np.isfinite(x), x, np.nan), index=pd.to_datetime(ts))
    return values.rolling(**rolling).quantile(q).to_numpy()
