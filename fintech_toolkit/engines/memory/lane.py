"""A few ticks through the steps of a pipeline, by way of memory at fixed addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fintech_toolkit.engines.memory.keys import NO_TIME
from fintech_toolkit.scan.columns import loop_dtype
from fintech_toolkit.scan.entry import POOL, STATE, addresses, enter_all
from fintech_toolkit.scan.scan import APART, CODE, INT64, NO_SESSION, StepState
from fintech_toolkit.schema import Array

if TYPE_CHECKING:
    from fintech_toolkit.engines.memory.state import State
    from fintech_toolkit.flow.pipeline import Description

WORDS = ("<f8", "<i8", "|b1")
"""Types that columns may have: each has a word of 8 bytes."""

LENGTHS = slice(1, 6, 2)
"""Where the lengths of codes, sessions and times stand."""


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
    """The columns of a few ticks, and all that the steps need to run through them.

    The last step of a pipeline that emits rows is left to its `Scan`.

    Parameters
    ----------
    pipeline : Description
        One that `has_lanes`.
    most : int
        For how many ticks there is room. Each run goes through as many as `resize` said last; through one before.

    Attributes
    ----------
    cells : ndarray of int64, shape (columns, words)
        A word for each tick of each column: code, session, time, then what the steps read, and give (from `given` on).
    codes, session, ts, reads : ndarray
        The keys as loops take them, which are empty without sessions, or times; and what the steps read.
    made : dict of str to ndarray
        What the steps give.
    event : list of ndarray
        What the step that emits rows reads.
    """

    def __init__(self, pipeline: Description, most: int = 1) -> None:
        self._scans = [scan for scan in pipeline.scans if not scan.kernel.emits]
        reads = pipeline.source_reads
        self.given = 3 + len(reads)
        apart = APART // 8 if most > 1 else 0
        self._most = most
        self.cells = np.zeros((self.given + sum(len(scan.gives) for scan in self._scans), most + apart), np.int64)
        self.codes = self._column(0, CODE)
        self.session = self._column(1) if pipeline.session else NO_SESSION
        self.ts = self._column(2) if pipeline.time else NO_TIME
        self.reads = [self._column(3 + j, loop_dtype(read.dtype)) for j, read in enumerate(reads)]
        columns = dict(zip(reads, self.reads, strict=True))
        self.made: dict[str, Array] = {}
        self.event: list[Array] = []
        self._steps: list[tuple[list[Array], list[Array]]] = []
        self._numbers: list[Array] = []
        found = []
        for scan in pipeline.scans:
            inputs = [self.made[read.name] if read.name in self.made else columns[read] for read in scan.reads]
            if scan.kernel.emits:
                self.event = inputs
                break
            for name, dtype in zip(scan.gives, scan.output_dtypes, strict=True):
                self.made[name] = self._column(self.given + len(self.made), dtype)
            outputs = [self.made[name] for name in scan.gives]
            numbers = [np.array([number]) for number in scan.parameters]
            self._numbers += numbers
            none = [np.empty(0)] * 3
            found.append(addresses([self.codes, self.session, self.ts, *none, *inputs, *numbers, *outputs]))
            self._steps.append((inputs, outputs))
        self._places = np.zeros((len(found), max(map(len, found), default=STATE.stop)), np.int64)
        for place, words in zip(self._places, found, strict=True):
            place[: len(words)] = words
        self._table: Array = np.zeros((len(found), 2), np.int64)
        self._address = self._table.ctypes.data
        self._enter: Any = None
        self._state: list[StepState] = []
        self._there = np.array([len(keys) > 0 for keys in (self.codes, self.session, self.ts)], np.int64)
        self._rows = 0
        self.resize(1)

    def resize(self, rows: int) -> None:
        """Say how many ticks the next runs go through."""
        if rows != self._rows:
            self._rows = rows
            self._places[:, LENGTHS] = rows * self._there

    def bind(self, state: State) -> None:
        """Take the state that is to be advanced; again after anything else may have advanced it."""
        if self._enter is None:
            self._enter = enter_all()
            for step, scan, place in zip(self._table, self._scans, self._places, strict=True):
                # A kernel of the user's own may raise.
                step[:] = 0 if scan.kernel.own else scan.entry().address, place.ctypes.data
        self._state = state.steps
        for scan, own, place in zip(self._scans, state.steps, self._places, strict=False):
            scan.make_room(own, len(state.table))
            place[STATE] = addresses([own.records, own.slots, own.used])

    def run(self) -> None:
        """Run the steps through the ticks."""
        steps = len(self._scans)
        stopped = self._enter(self._address, 0, steps)
        while stopped >= 0:
            self._call(stopped)
            stopped = self._enter(self._address, stopped + 1, steps)

    def _call(self, step: int) -> None:
        """Run a step the way on which its loop can give back a larger pool, or raise."""
        scan, own, at = self._scans[step], self._state[step], slice(0, self._rows)
        inputs, outputs = ([values[at] for values in columns] for columns in self._steps[step])
        keys = self.codes[at], self.session[at], self.ts[at]
        own.slots = scan.call(*keys, own.records, own.slots, own.used, *inputs, *scan.parameters, *outputs)
        self._places[step][POOL] = addresses([own.slots])

    def _column(self, j: int, dtype: np.dtype[Any] = INT64) -> Array:
        """Return the words of a column as an array."""
        words: Array = self.cells[j].view(dtype)
        return words[: self._most]
