"""The values of a window in order of size: what kernels share that ask for its ranks.

They lie in blocks, all full but the last. A block is a ring: to hand its least value to the block before and take the
least of the one after, it turns by a place, and nothing in it moves. So a value that enters, leaves or replaces another
moves those that are in its blocks, and turns the blocks between. For windows up to some ten thousands that takes less
than finding the way in a tree, and the value of a rank is found at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.scan.slots import helper

# Unsigned, so that no index counts from the end; `BACK` is minus one.
ONE, GROUP, BLOCKS, BITS, BACK = np.uint64(1), np.uint64(16), np.uint64(64), np.uint64(7), np.uint64((1 << 64) - 1)
UP, DOWN = np.bool_(True), np.bool_(False)  # of a plain True, `_settle` would be compiled once more

# `ordered` of the first n slots holds the values; which of them has entered through a slot does not matter. A block is
# 2^bits long. `turns` says of each where in it its least value is: of one that is never full, always in front.
SORTED: dict[str, Any] = {
    "state": [("n", "i8"), ("bits", "u8"), ("turns", f"{BLOCKS}u4")],
    "slots": [("ordered", "f8")],
}


@helper
def _slot_of(bits, block, turn, rank):  # type: ignore[no-untyped-def]
    """Return the slot of a rank, or of a place within its block, which is turned so far."""
    return (block << bits) + ((turn + rank) & ((ONE << bits) - ONE))


@helper
def value_at(s, slots, rank):  # type: ignore[no-untyped-def]
    """Return the value that so many others are before."""
    bits = s.bits
    block = np.uint64(rank) >> bits
    return slots[_slot_of(bits, block, np.uint64(s.turns[block]), np.uint64(rank))].ordered


@helper
def place_of(s, slots, x):  # type: ignore[no-untyped-def]
    """Return how many values are less than this one."""
    bits, block = s.bits, np.uint64(0)
    high = np.uint64(max(s.n - 1, 0)) >> bits
    while block < high:
        middle = (block + high + ONE) >> ONE
        if value_at(s, slots, middle << bits) < x:
            block = middle
        else:
            high = middle - ONE
    # The last values of groups are compared and counted, and then those of one group: that takes more comparisons than
    # halving, but none decides which one is next.
    turn, less = np.uint64(s.turns[block]), block << bits
    end = min(np.uint64(s.n), less + (ONE << bits))
    for j in range(less + GROUP - ONE, end, GROUP):
        less += GROUP * np.uint64(slots[_slot_of(bits, block, turn, j)].ordered < x)
    for j in range(less, min(less + GROUP, end)):
        less += np.uint64(slots[_slot_of(bits, block, turn, j)].ordered < x)
    return less


@helper
def _settle(s, slots, n, rank, x, up):  # type: ignore[no-untyped-def]
    """Move a gap among n places from a rank up or down to where a value belongs; return the slot that it is then."""
    bits, last = s.bits, (ONE << s.bits) - ONE
    step, near, far, end = (ONE, np.uint64(0), last, n - ONE) if up else (BACK, last, np.uint64(0), np.uint64(0))
    block, p = rank >> bits, rank & last
    turn, outermost = np.uint64(s.turns[block]), end >> bits
    while block != outermost:
        turn_beyond = np.uint64(s.turns[block + step])
        value = slots[_slot_of(bits, block + step, turn_beyond, near)].ordered
        if not (value < x if up else value > x):
            break
        if p == near:
            turn, p = (turn + step) & last, far
            s.turns[block] = turn
        while p != far:
            gap = _slot_of(bits, block, turn, p)
            p += step
            slots[gap].ordered = slots[_slot_of(bits, block, turn, p)].ordered
        slots[_slot_of(bits, block, turn, far)].ordered = value
        block, p, turn = block + step, near, turn_beyond
    until = end & last if block == outermost else far
    gap = _slot_of(bits, block, turn, p)
    while p != until:
        p += step
        place = _slot_of(bits, block, turn, p)
        value = slots[place].ordered
        if not (value < x if up else value > x):
            break
        slots[gap].ordered = value
        gap = place
    return gap


@helper
def enter_sorted(s, x, slots):  # type: ignore[no-untyped-def]
    n = np.uint64(s.n)
    if n == 0:
        s.bits = BITS
        while BLOCKS << s.bits < np.uint64(s.capacity):
            s.bits += ONE
    s.n += 1
    # Of zeros the sign is left out, since equal values have no order.
    slots[_settle(s, slots, n + ONE, n, x, DOWN)].ordered = x + 0.0


@helper
def leave_sorted(s, x, slots):  # type: ignore[no-untyped-def]
    _settle(s, slots, np.uint64(s.n), place_of(s, slots, x), np.inf, UP)
    s.n -= 1


@helper
def slide_sorted(s, old, new, slots):  # type: ignore[no-untyped-def]
    slots[_settle(s, slots, np.uint64(s.n), place_of(s, slots, old), new, new > old)].ordered = new + 0.0


@helper
def middle_of(s, slots):  # type: ignore[no-untyped-def]
    """Return the median of values that are not none."""
    half = s.n >> 1
    high = value_at(s, slots, half)
    return high if s.n & 1 else (value_at(s, slots, half - 1) + high) / 2.0


@helper
def _nearest(s, slots, centre, count):  # type: ignore[no-untyped-def]
    """Return how far from the centre the last of the nearest values is: these are neighbours."""
    low, high = 0, s.n - count
    while low < high:
        first = (low + high) >> 1
        if value_at(s, slots, first + count) - centre < centre - value_at(s, slots, first):
            low = first + 1
        else:
            high = first
    return max(centre - value_at(s, slots, low), value_at(s, slots, low + count - 1) - centre)


@helper
def median_deviation(s, slots, centre):  # type: ignore[no-untyped-def]
    """Return the median absolute deviation from the median of values that are not none."""
    half = s.n >> 1
    beyond = _nearest(s, slots, centre, half + 1)
    return beyond if s.n & 1 else (_nearest(s, slots, centre, half) + beyond) / 2.0
