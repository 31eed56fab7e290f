"""Sums over a sliding window to which values are only ever added, so that nothing of what has left stays in them.

The window is two stretches: `older` values, of which each slot keeps the sum of those after it, and the values since,
with their running sum. What leaves is the oldest, and leaves behind what its slot has kept: the window's sum is that
and the running one. When the last of the older values has left, all that are there become the older ones, in one pass
from the newest to the oldest (van Herk, 1992, did so for extremes). So each value is added twice, however long the
window is, no bad print outlives its window, and rounding errors are those of one window.

Squares are those of what values differ from `shift` by, one of the window's own: the newest when it was last turned. So
a mean far from zero costs no digits, and where all values are equal, the variance is exactly 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import helper, nth

LARGEST = np.finfo(np.float64).max


@helper
def _before(s, k):  # type: ignore[no-untyped-def]
    """Return the slot before one in a ring; of unsigned ones none counts from the end."""
    return (k if k > 0 else np.uint64(s.capacity)) - np.uint64(1)


@helper
def _add_to_sum(s, x):  # type: ignore[no-untyped-def]
    # How often the newest value came in a row: the mean of equal values is known to the last bit.
    s.same = s.same + 1 if x == s.last else 1
    s.last = x
    s.sum += x


@helper
def _drop_from_sum(s, slots, slot):  # type: ignore[no-untyped-def]
    if s.older > 0:
        s.older -= 1
        s.front = slots[slot].after


@helper
def _enter_sum(s, x):  # type: ignore[no-untyped-def]
    s.n += 1
    _add_to_sum(s, x)


@helper
def _leave_sum(s, x, slots, slot):  # type: ignore[no-untyped-def]
    s.n -= 1
    _drop_from_sum(s, slots, slot)


@helper
def _slide_sum(s, old, new, slots, slot):  # type: ignore[no-untyped-def]
    _drop_from_sum(s, slots, slot)
    _add_to_sum(s, new)


@helper
def _turn_sum(s, slots):  # type: ignore[no-untyped-def]
    """Let all values of the window be older ones."""
    total = 0.0
    k = np.uint64(nth(s, s.count - 1))
    for _ in range(s.count):
        x = slots[k].v0
        slots[k].after = total
        total += x if np.isfinite(x) else 0.0
        k = _before(s, k)
    s.front, s.sum, s.older = total, 0.0, s.n


@helper
def mean_of(s, slots, min_periods):  # type: ignore[no-untyped-def]
    """Return the mean of the window, NaN if it has too few values."""
    if s.older == 0 and s.n > 0:
        _turn_sum(s, slots)
    if s.n == 0 or s.n < min_periods:
        return np.nan
    return s.last if s.same >= s.n else (s.front + s.sum) / s.n


@helper
def _add(s, x):  # type: ignore[no-untyped-def]
    x -= s.shift
    s.sum += x
    s.square += x * x


@helper
def _drop(s, x, slots, slot):  # type: ignore[no-untyped-def]
    """Let the oldest value leave: an older one has made room for the sum of those after it."""
    if s.older > 0:
        s.older -= 1
        s.front_sum = x
        s.front_square = slots[slot].square


@helper
def _enter_moments(s, x):  # type: ignore[no-untyped-def]
    s.n += 1
    _add(s, x)


@helper
def _leave_moments(s, x, slots, slot):  # type: ignore[no-untyped-def]
    s.n -= 1
    _drop(s, x, slots, slot)


@helper
def _slide_moments(s, old, new, slots, slot):  # type: ignore[no-untyped-def]
    _drop(s, old, slots, slot)
    _add(s, new)


@helper
def _turn_moments(s, slots):  # type: ignore[no-untyped-def]
    """Let all values of the window be older ones."""
    newest = k = np.uint64(nth(s, s.count - 1))
    while not np.isfinite(slots[newest].v0):
        newest = _before(s, newest)
    shift = slots[newest].v0
    total = square = 0.0
    for _ in range(s.count):
        x = slots[k].v0 - shift
        if np.isfinite(slots[k].v0):
            # What is not finite would be a missing value.
            slots[k].v0 = total if np.isfinite(total) else LARGEST
            slots[k].square = square
            total += x
            square += x * x
        k = _before(s, k)
    s.shift, s.older = shift, s.n
    s.front_sum, s.front_square, s.sum, s.square = total, square, 0.0, 0.0


@helper
def offset_of(s, slots):  # type: ignore[no-untyped-def]
    """Return the mean of what the values of a window, which has some, differ from `shift` by."""
    if s.older == 0:
        _turn_moments(s, slots)
    if s.n != s.inverted:
        s.inverse, s.inverted = 1.0 / s.n, s.n
    return (s.front_sum + s.sum) * s.inverse


@helper
def variance_of(s, slots, ddof):  # type: ignore[no-untyped-def]
    """Return the variance of a window, NaN if it has too few values: to be called in every row, as `mean_of` is."""
    if s.n == 0:
        return np.nan
    offset = offset_of(s, slots)
    if s.n <= ddof:
        return np.nan
    return max((s.front_square + s.square) - (s.front_sum + s.sum) * offset, 0.0) / (s.n - ddof)


CASES = [{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}]
ROLLING: dict[str, Any] = {
    "reads": "x",
    "warmup": "min_periods valid rows in the window",
    "source": "pandas, Series.rolling(...)",
    "cases": CASES,
}
SUM: dict[str, Any] = ROLLING | {
    "enter": _enter_sum,
    "leave": _leave_sum,
    "slide": _slide_sum,
    "state": [("sum", "f8"), ("front", "f8"), ("last", "f8"), ("same", "i8"), ("n", "i4"), ("older", "i4")],
    "slots": [("after", "f8")],
    # Nothing follows from a ring's values alone, so nothing is made anew where it moves.
    "memory": ["sum", "front", "last", "same", "n", "older"],
}
MOMENTS: dict[str, Any] = ROLLING | {
    "enter": _enter_moments,
    "leave": _leave_moments,
    "slide": _slide_moments,
    "state": [
        ("shift", "f8"),
        ("sum", "f8"),
        ("square", "f8"),
        ("front_sum", "f8"),
        ("front_square", "f8"),
        ("inverse", "f8"),
        ("n", "i4"),
        ("older", "i4"),
        ("inverted", "i4"),
    ],
    "slots": [("square", "f8")],
    "memory": ["shift", "sum", "square", "front_sum", "front_square", "inverse", "n", "older", "inverted"],
}
