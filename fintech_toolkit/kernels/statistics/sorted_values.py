"""The values of a window in order of size: what kernels share that ask for more than one of their ranks.

A value that enters or leaves moves those between its place and the end, one that replaces another those between the two
places; that is a run of memory, which takes less than finding the way in a tree for windows up to some thousands. Where
a value stands is then found by halving.
"""

from __future__ import annotations

from typing import Any

from fintech_toolkit.scan.slots import helper

# `ordered` of the first n slots holds the values; which of them has entered through a slot does not matter.
SORTED: dict[str, Any] = {"state": [("n", "i8")], "slots": [("ordered", "f8")]}


@helper
def place_of(s, slots, x):  # type: ignore[no-untyped-def]
    """Return how many values are less than this one."""
    low, high = 0, s.n
    while low < high:
        middle = (low + high) >> 1
        if slots[middle].ordered < x:
            low = middle + 1
        else:
            high = middle
    return low


@helper
def enter_sorted(s, x, slots):  # type: ignore[no-untyped-def]
    j = s.n
    while j > 0 and slots[j - 1].ordered > x:
        slots[j].ordered = slots[j - 1].ordered
        j -= 1
    # Of zeros the sign is left out, since equal values have no order.
    slots[j].ordered = x + 0.0
    s.n += 1


@helper
def leave_sorted(s, x, slots):  # type: ignore[no-untyped-def]
    s.n -= 1
    for j in range(place_of(s, slots, x), s.n):
        slots[j].ordered = slots[j + 1].ordered


@helper
def slide_sorted(s, old, new, slots):  # type: ignore[no-untyped-def]
    j = place_of(s, slots, old)
    while j + 1 < s.n and slots[j + 1].ordered < new:
        slots[j].ordered = slots[j + 1].ordered
        j += 1
    while j > 0 and slots[j - 1].ordered > new:
        slots[j].ordered = slots[j - 1].ordered
        j -= 1
    slots[j].ordered = new + 0.0


@helper
def middle_of(s, slots):  # type: ignore[no-untyped-def]
    """Return the median of values that are not none."""
    half = s.n >> 1
    high = slots[half].ordered
    return high if s.n & 1 else (slots[half - 1].ordered + high) / 2.0


@helper
def _nearest(s, slots, centre, count):  # type: ignore[no-untyped-def]
    """Return how far from the centre the last of the nearest values is: these are neighbours."""
    low, high = 0, s.n - count
    while low < high:
        first = (low + high) >> 1
        if slots[first + count].ordered - centre < centre - slots[first].ordered:
            low = first + 1
        else:
            high = first
    return max(centre - slots[low].ordered, slots[low + count - 1].ordered - centre)


@helper
def median_deviation(s, slots, centre):  # type: ignore[no-untyped-def]
    """Return the median absolute deviation from the median of values that are not none."""
    half = s.n >> 1
    beyond = _nearest(s, slots, centre, half + 1)
    return beyond if s.n & 1 else (_nearest(s, slots, centre, half) + beyond) / 2.0
