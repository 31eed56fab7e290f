"""The values of a time in order: by their leading digits first, which for hundreds of symbols takes a fraction of the
time that comparing all of them does.
"""

from __future__ import annotations

import numpy as np

from fintech_toolkit.scan.slots import helper

FEW = 48
"""Values up to which each is simply put among those before it."""

MOVES = 16
"""How often, on average, a value may still move when leading digits are in order: beyond, all are compared instead."""

SIGN = np.uint64(1 << 63)
ONE, BITS, LOW, HALF = np.uint64(1), np.uint64(8), np.uint64(255), np.uint64(32)
INDEX = np.uint64(2**32 - 1)
DIGITS = 4


@helper
def sorting_room(starts, ends):  # type: ignore[no-untyped-def]
    """Return what `sort_valid` needs, for the time with the most rows: first places and values, where its result is."""
    most = 0
    for g in range(starts.shape[0]):
        most = max(most, ends[g] - starts[g])
    return (
        np.empty(most, np.int64),
        np.empty(most),
        np.empty(most, np.int64),
        np.empty(most),
        np.empty(most, np.uint64),
        np.empty(most, np.uint64),
        np.empty((DIGITS, 256), np.int64),
    )


@helper
def sort_pairs(keys, others, n):  # type: ignore[no-untyped-def]
    """Put keys in order, and what stands beside each with it: a heap sort, which is compiled in no time."""
    for step in range(n // 2 + n):
        if step < n // 2:
            root, end = n // 2 - 1 - step, n
        else:
            end = n - 1 - (step - n // 2)
            keys[0], keys[end] = keys[end], keys[0]
            others[0], others[end] = others[end], others[0]
            root = 0
        while 2 * root + 1 < end:
            child = 2 * root + 1
            if child + 1 < end and keys[child] < keys[child + 1]:
                child += 1
            if not keys[root] < keys[child]:
                break
            keys[root], keys[child] = keys[child], keys[root]
            others[root], others[child] = others[child], others[root]
            root = child


@helper
def insert(places, values, n, most):  # type: ignore[no-untyped-def]
    """Put each value among those before it; return whether that took no more than so many moves."""
    for i in range(1, n):
        value, place = values[i], places[i]
        k = i
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            places[k] = places[k - 1]
            k -= 1
        values[k] = value
        places[k] = place
        most -= i - k
        if most < 0:
            return False
    return True


@helper
def sort_valid(x, begin, end, room):  # type: ignore[no-untyped-def]
    """Put the numbers (neither NaN nor infinite) among the rows of a time in order, and beside them where they stand.
    Return how many there are.
    """
    places, values, came_from, came, keys, spare, counts = room
    n = 0
    for i in range(begin, end):
        if np.isfinite(x[i]):
            places[n] = i
            values[n] = x[i] + 0.0  # so that -0.0 is 0.0
            n += 1
    if n <= FEW:
        insert(places, values, n, n * n)
        return n
    bits = values.view(np.uint64)
    differ = np.uint64(0)
    for i in range(n):
        came_from[i] = places[i]
        came[i] = values[i]
        keys[i] = ~bits[i] if bits[i] >= SIGN else bits[i] | SIGN  # ordered as the values are
        differ |= keys[i] ^ keys[0]
    # The 32 bits from the first one on in which any differ, and behind them whose they are.
    shift = np.uint64(0)
    while differ >> shift > INDEX:
        shift += ONE
    for d in range(DIGITS):
        for digit in range(256):
            counts[d, digit] = 0
    for i in range(n):
        digits = (keys[i] >> shift) & INDEX
        keys[i] = (digits << HALF) | np.uint64(i)
        for d in range(DIGITS):
            counts[d, digits & LOW] += 1
            digits >>= BITS
    at = HALF
    for d in range(DIGITS):
        count = counts[d]
        if count[(keys[0] >> at) & LOW] < n:
            begins = 0
            for digit in range(256):
                own = count[digit]
                count[digit] = begins
                begins += own
            for i in range(n):
                digit = (keys[i] >> at) & LOW
                spare[count[digit]] = keys[i]
                count[digit] += 1
            keys, spare = spare, keys
        at += BITS
    for i in range(n):
        k = keys[i] & INDEX
        places[i] = came_from[k]
        values[i] = came[k]
    if not insert(places, values, n, MOVES * n):
        sort_pairs(values, places, n)
    return n


@helper
def quantile(values, n, share):  # type: ignore[no-untyped-def]
    """Return a quantile of n ordered values, linear between them."""
    place = share * (n - 1)
    below = min(int(place), n - 1)
    above = min(below + 1, n - 1)
    rest = place - below
    step = values[above] - values[below]
    return values[below] + step * rest if rest < 0.5 else values[above] - step * (1 - rest)
