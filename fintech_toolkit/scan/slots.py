"""What the compiled loops share: records of state, and the rings and tables that symbols keep in one pool of slots."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba.core.errors import NumbaExperimentalFeatureWarning
from numba.core.registry import CPUDispatcher

from fintech_toolkit.scan.columns import loop_dtype
from fintech_toolkit.scan.intrinsics import enlarged

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel

# Where one kernel's record begins like another's, Numba mentions that it could stand for it in a shared helper. It does
# not: a helper is compiled for each record that it is called with, and the exact match is taken.
warnings.filterwarnings("ignore", "Record.* has been considered a subtype", NumbaExperimentalFeatureWarning)


class Helper(CPUDispatcher):
    """A small function that kernels share, compiled into the loops that call it. What Python would call it by is made
    when Python does: of a loop's functions it hardly ever does, and to make it takes a sixth of the compiler's time.
    """

    @cached_property
    def from_python(self) -> Any:
        """The same function for Python to call."""
        return numba.njit(error_model="numpy", nogil=True)(self.py_func)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.from_python(*arguments, **named)


def helper(function: Callable[..., Any]) -> Any:
    """Have a small function that kernels share compiled into the loops that call it: LLVM, left to itself, calls the
    larger ones in every row.
    """
    options = {"nopython": True, "boundscheck": None, "error_model": "numpy", "nogil": True, "forceinline": True}
    return Helper(function, targetoptions=options | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True})


@helper
def checked_index(value, size):  # type: ignore[no-untyped-def]
    """Return a value from the data as an index, -1 if it is none: what a column holds must never reach an array
    unchecked, whose neighbour is another symbol's state.
    """
    return value if 0 <= value < size else -1


FIRST, LAST = -(1 << 63), (1 << 63) - 1
"""The ends of int64, and so of time."""


@helper
def earlier(ts, length):  # type: ignore[no-untyped-def]
    """Return the time that length before, which does not wrap around."""
    return ts - length if ts >= FIRST + length else FIRST


@helper
def later(ts, length):  # type: ignore[no-untyped-def]
    """Return the time that length after, which does not wrap around."""
    return ts + length if ts <= LAST - length else LAST


@helper
def elapsed(since, ts):  # type: ignore[no-untyped-def]
    """Return how long it is from one time to a later one, which does not wrap around."""
    return ts - since if since >= 0 or ts <= LAST + since else LAST


@helper
def nth(s, j):  # type: ignore[no-untyped-def]
    """Return where in a symbol's own slots its j-th oldest is."""
    k = s.head + j
    return k - s.capacity if k >= s.capacity else k


@helper
def nth_slot(s, j):  # type: ignore[no-untyped-def]
    """Return where in the pool a symbol's j-th oldest slot is."""
    return s.start + nth(s, j)


@helper
def advance(s):  # type: ignore[no-untyped-def]
    """Step over the oldest slot of a ring."""
    s.head = 0 if s.head + 1 == s.capacity else s.head + 1


@helper
def push(s):  # type: ignore[no-untyped-def]
    """Take another slot, and return where in the symbol's own slots it is. There is always room for one a tick."""
    s.count += 1
    return nth(s, s.count - 1)


@helper
def oldest(s):  # type: ignore[no-untyped-def]
    """Return where in a symbol's own slots its oldest is."""
    return s.head


@helper
def pop(s):  # type: ignore[no-untyped-def]
    """Give the oldest slot back."""
    advance(s)
    s.count -= 1


@helper
def _bucket_of(slots, key, mask):  # type: ignore[no-untyped-def]
    """Return where the bucket of a key is, or the empty one that it would have. One is empty before a slot is taken."""
    at = (key ^ (key >> 32)) & mask
    while slots[at].bucket != 0 and slots[slots[at].bucket - 1].key != key:
        at = (at + 1) & mask
    return at


@helper
def slot_of(s, slots, key):  # type: ignore[no-untyped-def]
    """Return where in a symbol's own slots the one of a key is; if it has none, the next, which is to be filled then:
    `count` tells. The state has a field `indexed`, a slot has `key` and `bucket`, all of them integers.

    The buckets of all slots together are a hash table: that at a key's place says, counted from 1, whose slot it is.
    """
    mask = s.capacity - 1  # capacities are powers of two
    if s.indexed != s.capacity:  # the table has grown, or begins anew
        for j in range(s.capacity):
            slots[j].bucket = 0
        for j in range(s.count):
            slots[_bucket_of(slots, slots[j].key, mask)].bucket = j + 1
        s.indexed = s.capacity
    at = _bucket_of(slots, key, mask)
    if slots[at].bucket == 0:
        slots[push(s)].key = key
        slots[at].bucket = s.count
    return slots[at].bucket - 1


STALE = 1 << 30
"""An age at which running sums are summed afresh at once."""


@helper
def grow_pool(slots, needed):  # type: ignore[no-untyped-def]
    """Return the pool, or a copy that has at least `needed` slots; new ones are zeros."""
    if slots.shape[0] >= needed:
        return slots
    return enlarged(slots, max(needed, 2 * slots.shape[0]))


@helper
def grow_ring(s, slots, used, capacity):  # type: ignore[no-untyped-def]
    """Move a symbol's ring to a stretch of `capacity` slots at the end of the pool, all still zeros; oldest first."""
    start = used[0]
    slots = grow_pool(slots, start + capacity)
    for j in range(s.count):
        slots[start + j] = slots[nth_slot(s, j)]
    used[0] = start + capacity
    s.start = start
    s.capacity = capacity
    s.head = 0
    return slots


SLOT_HEADER = [("start", "i8"), ("capacity", "i4"), ("head", "i4"), ("count", "i4"), ("age", "i4")]


def state_dtype(kernel: Kernel, width: int, *, session: bool) -> np.dtype[Any]:
    """Return the record that holds a symbol's state; the engine's own fields come first."""
    fields: list[Any] = [("session", "i8")] if session else []
    if kernel.has_slots:
        fields += SLOT_HEADER
    fields += [(name, kind, *((width,) if shape else ())) for name, kind, *shape in kernel.state]
    return np.dtype(fields, align=True)


def slot_dtype(kernel: Kernel, *, by_time: bool) -> np.dtype[Any]:
    """Return the record of one slot: for windows the values that entered (and when), then the kernel's own fields."""
    fields: list[Any] = []
    if kernel.enter is not None:
        fields += [(f"v{j}", loop_dtype(column.dtype)) for j, column in enumerate(kernel.enters)]
        fields += [("ts", "i8")] if by_time else []
    return np.dtype(fields + list(kernel.slots) or [("unused", "i1")], align=True)
