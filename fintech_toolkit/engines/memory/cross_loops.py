"""The loops of cross-sections: which rows are of one time, and in which order they are taken."""

from __future__ import annotations

import numpy as np

from fintech_toolkit.scan.compilation import compile_cached


@compile_cached
def begin_stamps(ts, size, starts, ends_at):  # type: ignore[no-untyped-def]
    """Find where each stretch of time begins among ordered times, and when it ends. Return how many there are; -1 if
    times are not in order.
    """
    count = 0
    high = 0
    for i in range(ts.shape[0]):
        t = ts[i]
        if i and t < ts[i - 1]:
            return -1
        if i == 0 or t >= high:
            high = t + 1 if size == 1 else t // size * size + size
            starts[count] = i
            ends_at[count] = high
            count += 1
    starts[count] = ts.shape[0]
    return count


@compile_cached
def by_name(starts, codes, ranks, rows, names, ends):  # type: ignore[no-untyped-def]
    """Put the rows of each stretch in the order of their symbols' names, of several rows of one symbol the last only.

    `rows` gets their places and `names` the ranks of their symbols, both from the first row of the first stretch on;
    `ends` where each stretch's end. Return whether rows are taken just as they lie.
    """
    as_they_lie = True
    offset = starts[0]
    place = np.full(ranks.shape[0], -1)
    for g in range(starts.shape[0] - 1):
        begin, end = starts[g], starts[g + 1]
        before = -1
        ascending = True
        for i in range(begin, end):
            rank = ranks[codes[i]]
            ascending &= rank > before
            before = rank
            rows[i - offset] = i
            names[i - offset] = rank
        ends[g] = end - offset
        if ascending:
            continue
        as_they_lie = False
        to = begin - offset
        if (end - begin) * 8 > ranks.shape[0]:
            # Nearly all symbols are there: each row goes to the place of its symbol.
            for i in range(begin, end):
                place[names[i - offset]] = i
            for rank in range(ranks.shape[0]):
                if place[rank] >= 0:
                    rows[to] = place[rank]
                    names[to] = rank
                    place[rank] = -1
                    to += 1
        else:
            keys = np.sort((names[begin - offset : end - offset].astype(np.int64) << 32) + np.arange(end - begin))
            for k in range(keys.shape[0]):
                if k + 1 == keys.shape[0] or keys[k + 1] >> 32 != keys[k] >> 32:
                    rows[to] = begin + (keys[k] & 0xFFFFFFFF)
                    names[to] = keys[k] >> 32
                    to += 1
        ends[g] = to
    return as_they_lie


@compile_cached
def gather(starts, ends, rows, values, taken):  # type: ignore[no-untyped-def]
    """Take a column's values at the rows of each stretch."""
    for g in range(starts.shape[0]):
        for i in range(starts[g], ends[g]):
            taken[i] = values[rows[i]]


@compile_cached
def gather_codes(starts, ends, rows, codes, taken):  # type: ignore[no-untyped-def]
    """Do the same for codes."""
    for g in range(starts.shape[0]):
        for i in range(starts[g], ends[g]):
            taken[i] = codes[rows[i]]


@compile_cached
def scatter(starts, ends, rows, values, result):  # type: ignore[no-untyped-def]
    """Put the values of each stretch back to their rows."""
    for g in range(starts.shape[0]):
        for i in range(starts[g], ends[g]):
            result[rows[i]] = values[i]
