"""The loops of windows: which window each row is in, and what becomes of the rows of each.

Rows lie as they came. A row's window is told from the one that its symbol is in, so that nothing is sorted where each
symbol's rows are in order of time, and each aggregate is one pass over its column in that order.
"""

from __future__ import annotations

import numpy as np

from fintech_toolkit.frames.times import NAT
from fintech_toolkit.scan.arithmetic import add
from fintech_toolkit.scan.compilation import compile_cached

_NAT = int(NAT)


@compile_cached
def aligned(codes, ts, size, every, lanes, lane, after, until, window, begun, reached, of, first, last, start):  # type: ignore[no-untyped-def]
    """Number the windows that end after `after` and not after `until`, of every `lanes`-th start only: these do not
    overlap. Return how many there are; -1 if a symbol goes back in time.

    `of` gets each row's window, -1 for none; `first` and `last` the rows and `start` the start of each window.
    """
    count = 0
    low, high, begins = 1, 0, 0
    for i in range(codes.shape[0]):
        t, c = ts[i], codes[i]
        if t < reached[c]:
            return -1
        reached[c] = t
        if t < low or t >= high:
            nearest = t // every
            low = nearest * every
            high = low + every
            begins = (nearest - (nearest - lane) % lanes) * every
        ends = begins + size
        if t >= ends or ends <= after or ends > until:
            of[i] = -1
            continue
        w = window[c]
        if w < 0 or begun[c] != begins:
            w = count
            count += 1
            window[c] = w
            begun[c] = begins
            first[w] = i
            start[w] = begins
        of[i] = w
        last[w] = i
    return count


@compile_cached
def sessions(codes, ts, gap, window, reached, of, first, last, start):  # type: ignore[no-untyped-def]
    """Do the same for windows that end with a gap."""
    count = 0
    for i in range(codes.shape[0]):
        t, c = ts[i], codes[i]
        if t < reached[c]:
            return -1
        w = window[c]
        if w < 0 or t - reached[c] >= gap:
            w = count
            count += 1
            window[c] = w
            first[w] = i
            start[w] = t
        reached[c] = t
        of[i] = w
        last[w] = i
    return count


@compile_cached
def count_rows(of, valid, count):  # type: ignore[no-untyped-def]
    """Count the rows of each window; all of them, if `valid` is empty."""
    everything = valid.shape[0] == 0
    for i in range(of.shape[0]):
        w = of[i]
        if w >= 0 and (everything or valid[i]):
            count[w] += 1


@compile_cached
def sum_floats(of, values, count, total, lost):  # type: ignore[no-untyped-def]
    """Add up numbers that are not NaN."""
    for i in range(of.shape[0]):
        w, x = of[i], values[i]
        if w >= 0 and not np.isnan(x):
            count[w] += 1
            total[w], lost[w] = add(total[w], lost[w], x)


@compile_cached
def sum_whole(of, values, valid, total):  # type: ignore[no-untyped-def]
    """Add up whole numbers; return the row at which int64 is left, -1 if it never is."""
    everything = valid.shape[0] == 0
    for i in range(of.shape[0]):
        w = of[i]
        if w >= 0 and (everything or valid[i]):
            x = values[i]
            after = total[w] + x
            if ((total[w] ^ after) & (x ^ after)) < 0:
                return i
            total[w] = after
    return -1


@compile_cached
def sum_squares(of, values, mean, squares):  # type: ignore[no-untyped-def]
    """Add up the squares of the distances from the mean."""
    for i in range(of.shape[0]):
        w, x = of[i], values[i]
        if w >= 0 and not np.isnan(x):
            squares[w] += (x - mean[w]) ** 2


@compile_cached
def best_floats(of, values, largest, best, at):  # type: ignore[no-untyped-def]
    """Find the row of the least or largest number that is not NaN, the first of equal ones."""
    for i in range(of.shape[0]):
        w, x = of[i], values[i]
        if w >= 0 and not np.isnan(x) and (at[w] < 0 or (x > best[w] if largest else x < best[w])):
            best[w] = x
            at[w] = i


@compile_cached
def best_whole(of, values, valid, largest, best, at):  # type: ignore[no-untyped-def]
    """Do the same for whole numbers."""
    everything = valid.shape[0] == 0
    for i in range(of.shape[0]):
        w, x = of[i], values[i]
        if w >= 0 and (everything or valid[i]) and (at[w] < 0 or (x > best[w] if largest else x < best[w])):
            best[w] = x
            at[w] = i


@compile_cached
def edge(of, valid, final, at):  # type: ignore[no-untyped-def]
    """Find the first or last row that has a value."""
    for i in range(of.shape[0]):
        w = of[i]
        if w >= 0 and valid[i] and (final or at[w] < 0):
            at[w] = i


@compile_cached
def by_window(of, ends, rows):  # type: ignore[no-untyped-def]
    """List the rows of one window after the other; `ends` holds where each begins, and gets where it ends."""
    for i in range(of.shape[0]):
        w = of[i]
        if w >= 0:
            rows[ends[w]] = i
            ends[w] += 1


@compile_cached
def medians(rows, ends, values, result):  # type: ignore[no-untyped-def]
    """Find the median of the numbers of each window that are not NaN."""
    begin = 0
    for w in range(ends.shape[0]):
        own = values[rows[begin : ends[w]]]
        begin = ends[w]
        own = np.sort(own[~np.isnan(own)])
        half = own.shape[0] // 2
        if own.shape[0] == 0:
            result[w] = np.nan
        elif own.shape[0] % 2:
            result[w] = own[half]
        else:
            result[w] = (own[half - 1] + own[half]) / 2


@compile_cached
def distinct(rows, ends, codes, seen, count):  # type: ignore[no-untyped-def]
    """Count the different codes of each window; -1 is none."""
    begin = 0
    for w in range(ends.shape[0]):
        for k in range(begin, ends[w]):
            code = codes[rows[k]]
            if code >= 0 and seen[code] != w:
                seen[code] = w
                count[w] += 1
        begin = ends[w]


@compile_cached
def last_known(of, known_at, latest):  # type: ignore[no-untyped-def]
    """Find when all rows of each window were known; never, if one is not."""
    for i in range(of.shape[0]):
        w, t = of[i], known_at[i]
        if w >= 0:
            if t == _NAT or latest[w] == _NAT:
                latest[w] = _NAT
            elif t > latest[w]:
                latest[w] = t
