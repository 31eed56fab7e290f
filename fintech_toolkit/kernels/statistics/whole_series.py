"""Means and deviations of a whole series at once: the sums of `block_sums`, to the last bit, a block at a time.

In a series that lacks no value the window is turned every `window` rows. Between two turns a result needs two running
sums alone, one from either end of a block, and what follows from them is done for many rows at once. A series that
lacks values, or whose sums leave float64, is left to the loop over its ticks.
"""

from __future__ import annotations

import numpy as np

from fintech_toolkit.authoring import helper
from fintech_toolkit.scan.intrinsics import fetch_soon

ONE = np.uint64(1)
VARIANCE, DEVIATION, SCORE = 0, 1, 2
AHEAD = np.uint64(16_384)
"""Rows ahead of which the next block is fetched at most: of more, a cache would not keep the first."""


@helper
def first_value(x, result):  # type: ignore[no-untyped-def]
    """Return where a series has its first value; before it there are no results."""
    first = np.uint64(0)
    while first < x.shape[0] and not np.isfinite(x[first]):
        result[first] = np.nan
        first += ONE
    return first


@helper
def _repeated(x, first, last, most):  # type: ignore[no-untyped-def]
    """Return how often the value at `last` stands in a row up to there, of `most`: hardly ever more than a look."""
    count = ONE
    while count < most and first + count <= last and x[last - count] == x[last]:
        count += ONE
    return count


@helper
def keep_equal(x, result, first, start, length, size):  # type: ignore[no-untyped-def]
    """Let averages of equal values be known to the last bit. The window that is a whole block is one to look at, and
    those that begin in the block before.
    """
    end = start + length - ONE
    if length == size and _repeated(x, start, end, size) == size:
        result[end] = x[end]
    if x[start] == x[start - ONE]:
        i, count = np.uint64(start), _repeated(x, first, start - ONE, size)
        while i <= end and x[i] == x[start - ONE]:
            count += ONE
            if count >= min(size, i - first + ONE):
                result[i] = x[i]
            i += ONE


@helper
def _sums_of_two(x, one, two, length, ahead, forth, forth_2, back, back_2):  # type: ignore[no-untyped-def]
    """Give the running sums of two blocks, from either end of each. Within one of them a value waits for the one before
    to be added, so that four take little longer than two.
    """
    total = total_2 = rest = rest_2 = 0.0
    for j in range(length):
        k = length - ONE - j
        fetch_soon(x, one + ahead + j)
        fetch_soon(x, two + ahead + j)
        total += x[one + j]
        total_2 += x[two + j]
        rest += x[one + k]
        rest_2 += x[two + k]
        forth[j], forth_2[j], back[k], back_2[k] = total, total_2, rest, rest_2
    return rest, rest_2, np.isfinite((total + rest) + (total_2 + rest_2))


@helper
def whole_mean(x, result, window, min_periods):  # type: ignore[no-untyped-def]
    """Give the means of a series, unless it lacks values after its first."""
    first, rows = first_value(x, result), np.uint64(x.shape[0])
    if first == rows:
        return True
    size, full = min(np.uint64(window), rows), float(window)
    ahead = min(size + size, AHEAD)
    forth, forth_2, older = np.empty(size), np.empty(size), np.zeros(size + ONE)
    back, back_2 = np.zeros(size + ONE), np.zeros(size + ONE)
    # The first value is older than all others until a block is complete.
    older[:size] = result[first] = x[first]
    start = first + ONE
    while start < rows:
        length = min(size, rows - start)
        # The last block, if there are not two, is its own second one.
        two = start + size if start + size + size <= rows else start
        rest, rest_2, finite = _sums_of_two(x, start, two, length, ahead, forth, forth_2, back, back_2)
        if not finite:
            return False
        if start == first + ONE:
            for j in range(length):
                result[start + j] = (older[j + ONE] + forth[j]) / min(float(j + ONE + ONE), full)
        else:
            for j in range(length):
                result[start + j] = (older[j + ONE] + forth[j]) / full
        if length == size:
            result[start + length - ONE] = rest / full
        keep_equal(x, result, first, start, length, size)
        if two > start:
            for j in range(length):
                result[two + j] = (back[j + ONE] + forth_2[j]) / full
            result[two + length - ONE] = rest_2 / full
            keep_equal(x, result, first, two, length, size)
        older, back_2 = back_2, older
        start = two + length
    result[first : min(rows, first + np.uint64(max(min_periods - 1, 0)))] = np.nan
    return True


@helper
def _moment(total, square, n, inverse, ddof, x, what):  # type: ignore[no-untyped-def]
    offset = total * inverse
    variance = max(square - total * offset, 0.0) / (n - ddof) if n > ddof else np.nan
    if what == VARIANCE:
        return variance
    if what == DEVIATION:
        return np.sqrt(variance)
    return (x - offset) / np.sqrt(variance) if variance > 0.0 else np.nan


@helper
def _whole_moments(x, result, window, min_periods, ddof, what):  # type: ignore[no-untyped-def]
    """Give what follows from the first two moments of a series, unless it lacks values after its first."""
    first, rows = first_value(x, result), np.uint64(x.shape[0])
    if first == rows:
        return True
    size, full, inverse = min(np.uint64(window), rows), float(window), 1.0 / float(window)
    forth, forth_2, back, back_2 = np.empty(size), np.empty(size), np.zeros(2 * size + 2), np.zeros(2 * size + 2)
    older, newer, ahead = np.uint64(0), size + ONE, min(size, AHEAD)
    result[first] = _moment(0.0, 0.0, 1.0, 1.0, ddof, 0.0, what)
    for start in range(first + ONE, rows, size):
        length = min(size, rows - start)
        end = start + length - ONE
        shift, next_shift = x[start - ONE], x[end]
        total = square = rest = rest_2 = 0.0
        for j in range(length):
            k = length - ONE - j
            fetch_soon(x, start + ahead + j)
            forward, backward = x[start + j] - shift, x[start + k] - next_shift
            total += forward
            square += forward * forward
            rest += backward
            rest_2 += backward * backward
            forth[j], forth_2[j], back[newer + k], back_2[newer + k] = total, square, rest, rest_2
        if not np.isfinite((total + rest) + (square + rest_2)):
            return False
        for j in range(length):
            k = older + j + ONE
            total, square = back[k] + forth[j], back_2[k] + forth_2[j]
            if start == first + ONE:
                n = min(float(j + ONE + ONE), full)
                result[start + j] = _moment(total, square, n, 1.0 / n, ddof, x[start + j] - shift, what)
            else:
                result[start + j] = _moment(total, square, full, inverse, ddof, x[start + j] - shift, what)
        if length == size:
            result[end] = _moment(rest, rest_2, full, inverse, ddof, 0.0, what)
        older, newer = newer, older
    result[first : min(rows, first + np.uint64(max(min_periods - 1, 0)))] = np.nan
    return True


@helper
def whole_variance(x, result, window, min_periods, ddof):  # type: ignore[no-untyped-def]
    return _whole_moments(x, result, window, min_periods, ddof, VARIANCE)


@helper
def whole_deviation(x, result, window, min_periods, ddof):  # type: ignore[no-untyped-def]
    return _whole_moments(x, result, window, min_periods, ddof, DEVIATION)


@helper
def whole_score(x, result, window, min_periods, ddof):  # type: ignore[no-untyped-def]
    return _whole_moments(x, result, window, min_periods, ddof, SCORE)
