"""The loops of cross-sections: which rows are of one time, and in which order they are taken."""

from __future__ import annotations

import numpy as np

from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.sorting import sort_pairs


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
    `ends` where each stretch's end. Return how many stretches are not taken just as they lie, and how many rows are
    left out.
    """
    moved, left_out = 0, 0
    offset = starts[0]
    place = np.full(ranks.shape[0], -1)
    keys = np.empty(ranks.shape[0] // 8 + 1, np.int64)
    beside = np.empty(ranks.shape[0] // 8 + 1, np.int64)
    for g in range(starts.shape[0] - 1):
        begin, end = starts[g], starts[g + 1]
        before = -1
        ascending = True
        for i in range(begin, end):
            rank = ranks[codes[i]]
            if rank <= before:
                ascending = False
                break
            before = rank
        to = begin - offset
        if ascending or (end - begin) * 8 <= ranks.shape[0]:
            for i in range(begin, end):
                rows[i - offset] = i
                names[i - offset] = ranks[codes[i]]
        if ascending:
            to = end - offset
        elif (end - begin) * 8 > ranks.shape[0]:
            # Nearly all symbols are there: each row goes to the place of its symbol.
            for i in range(begin, end):
                place[ranks[codes[i]]] = i
            for rank in range(ranks.shape[0]):
                if place[rank] >= 0:
                    rows[to] = place[rank]
                    names[to] = rank
                    place[rank] = -1
                    to += 1
        else:
            # Sorted by rank, ties as they lie: of each symbol the last row counts.
            count = end - begin
            for k in range(count):
                keys[k] = (np.int64(names[to + k]) << 32) + k
            sort_pairs(keys, beside, count)
            for k in range(count):
                if k + 1 == count or keys[k + 1] >> 32 != keys[k] >> 32:
                    rows[to] = begin + (keys[k] & 0xFFFFFFFF)
                    names[to] = keys[k] >> 32
                    to += 1
        moved += not ascending
        left_out += end - offset - to
        for k in range(to, end - offset):
            rows[k] = begin
        ends[g] = to
    return moved, left_out


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
