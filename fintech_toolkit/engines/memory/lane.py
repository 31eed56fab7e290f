"""One tick through the steps of a pipeline, by way of memory at fixed addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fintech_toolkit.engines.memory.keys import NO_TIME
from fintech_toolkit.scan.columns import loop_dtype
from fintech_toolkit.scan.entry import POOL, STATE, addresses, enter_all
from fintech_toolkit.scan.scan import INT64, NO_SESSION, StepState
from fintech_toolkit.schema import Array

if TYPE_CHECKING:
    from fintech_toolkit.engines.memory.state import State
    from fintech_toolkit.flow.pipeline import Description

WORDS = ("<f8", "<i8", "|b1")
"""Types that columns may have: each has a word of 8 bytes."""


def has_lanes(pipeline: Description) -> bool:
    """Whether all its columns are of such types, and no step reads one as another type than a step gives."""
    types: dict[str, np.dtype[Any]] = {}
    for scan in pipeline.scans:
        reads = {read.name: loop_dtype(read.dtype) for read in scan.reads}
        if any(types.get(name, dtype) != dtype or dtype.str not in WORDS for name, dtype in reads.items()):
            return False
        types |= dict(zip(scan.gives, scan.output_dtypes, strict=True)) if not scan.emits else {}
    return all(dtype.str in WORDS for dtype in types.values())


class Lane:
    """The columns of one tick, and all that the steps need to run through it.

    The last step of a pipeline that emits rows is left to its `Scan`.

    Parameters
    ----------
    pipeline : Description
        One that `has_lanes`.

    Attributes
    ----------
    cells : ndarray of int64
        A word for each column: code, session, time, then what the steps read, and give (from `given` on).
    codes, session, ts : ndarray
        The keys as loops take them; empty without sessions, or times.
    made : dict of str to ndarray
        What the steps give.
    event : list of ndarray
        What the step that emits rows reads.
    """

    def __init__(self, pipeline: Description) -> None:
        self._scans = [scan for scan in pipeline.scans if not scan.kernel.emits]
        reads = pipeline.source_reads
        self.given = 3 + len(reads)
        self.cells = np.zeros(self.given + sum(len(scan.gives) for scan in self._scans), np.int64)
        self.codes = self._column(0, np.dtype("u4"))
        self.session = self._column(1) if pipeline.session else NO_SESSION
        self.ts = self._column(2) if pipeline.time else NO_TIME
        columns = {read: self._column(3 + j, loop_dtype(read.dtype)) for j, read in enumerate(reads)}
        self.made: dict[str, Array] = {}
        self.event: list[Array] = []
        self._places = []
        for scan in pipeline.scans:
            inputs = [self.made[read.name] if read.name in self.made else columns[read] for read in scan.reads]
            if scan.kernel.emits:
                self.event = inputs
                break
            for name, dtype in zip(scan.gives, scan.output_dtypes, strict=True):
                self.made[name] = self._column(self.given + len(self.made), dtype)
            numbers = [np.array([number]) for number in scan.parameters]
            arrays = [*inputs, *numbers, *(self.made[name] for name in scan.gives)]
            none = [np.empty(0)] * 3
            places = np.array(addresses([self.codes, self.session, self.ts, *none, *arrays]), np.int64)
            self._places.append((places, numbers))
        self._steps = len(self._scans)
        self._table: Array = np.zeros((len(self._scans), 2), np.int64)
        self._address = self._table.ctypes.data
        self._enter: Any = None
        self._state: list[StepState] = []

    def bind(self, state: State) -> None:
        """Take the state that is to be advanced; again after anything else may have advanced it."""
        if self._enter is None:
            self._enter = enter_all()
            for s, (scan, (places, _)) in enumerate(zip(self._scans, self._places, strict=True)):
                self._table[s] = scan.entry().address, places.ctypes.data
        self._state = state.steps
        for scan, own, (places, _) in zip(self._scans, state.steps, self._places, strict=False):
            scan.make_room(own, len(state.table))
            places[STATE] = addresses([own.records, own.slots, own.used])

    def run(self) -> None:
        """Run the steps through the tick."""
        stopped = self._enter(self._address, 0, self._steps)
        while stopped >= 0:
            own = self._state[stopped]
            own.slots = _larger(own, int(self.codes[0]))
            self._places[stopped][0][POOL] = addresses([own.slots])
            stopped = self._enter(self._address, stopped, self._steps)

    def _column(self, j: int, dtype: np.dtype[Any] = INT64) -> Array:
        """Return a word as an array of one number."""
        return self.cells[j : j + 1].view(dtype)[:1]


def _larger(own: StepState, code: int) -> Array:
    """Return a pool with room for a symbol's ring to grow, twice as large at least."""
    needed = int(own.used[0]) + max(16, 2 * int(own.records["capacity"][code]))
    slots = np.zeros(max(needed, 2 * len(own.slots)), own.slots.dtype)
    slots[: len(own.slots)] = own.slots
    return slots
