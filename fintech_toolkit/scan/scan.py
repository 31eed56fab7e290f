"""A step's compiled loop together with the state of every symbol: the one mechanism that all engines drive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from fintech_toolkit.scan.columns import loop_dtype
from fintech_toolkit.scan.compiled_loops import compile_loop
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.entry import compile_entry
from fintech_toolkit.scan.slots import slot_dtype, state_dtype
from fintech_toolkit.scan.steps import Step
from fintech_toolkit.schema import Array

CODE, INT64 = np.dtype("u4"), np.dtype("i8")
NO_SESSION = np.empty(0, INT64)

APART = 320
"""Bytes by which a column begins further on than the one before. Large new arrays all begin at the same place of a
page, and of a cache: side by side, a dozen would drive each other out of it with every row.
"""


@dataclass
class StepState:
    """The state of one step: a record per symbol, and the pool in which the symbols' rings and tables lie. Beyond what
    is `used` of it, the pool is zeros.
    """

    records: Array
    slots: Array
    used: Array

    def copy(self) -> StepState:
        """Return a state that can be advanced without touching this one."""
        return StepState(self.records.copy(), self.slots.copy(), self.used.copy())


class Emitted:
    """Rows that an event kernel has emitted, column by column.

    Attributes
    ----------
    count : int
        How many there are; beyond them is room for others.
    columns : list of ndarray
        What the kernel gives.
    codes : ndarray of uint32
        Whose they are.
    at : ndarray of int64
        The tick that caused each; of what was flushed, the symbol.
    """

    def __init__(self, dtypes: Sequence[np.dtype[Any]], room: int) -> None:
        self.count = 0
        all_dtypes = [*dtypes, CODE, INT64]
        begins = [j * APART // dtype.itemsize for j, dtype in enumerate(all_dtypes)]
        *self.columns, self.codes, self.at = (
            np.empty(begin + room, dtype)[begin:] for begin, dtype in zip(begins, all_dtypes, strict=True)
        )

    def __iter__(self) -> Iterator[Array]:
        yield from (*self.columns, self.codes, self.at)

    def enlarge(self) -> None:
        """Make room for twice as many rows."""
        larger = Emitted([values.dtype for values in self.columns], 2 * len(self.codes))
        for new, old in zip(larger, self, strict=True):
            new[: self.count] = old[: self.count]
        *self.columns, self.codes, self.at = larger

    def cut(self) -> None:
        """Cut off the room beyond the rows, of which nothing is kept if it was the larger part."""
        few = 2 * self.count < len(self.codes)
        cut = [values[: self.count] for values in self]
        *self.columns, self.codes, self.at = [values.copy() for values in cut] if few else cut


def as_taken(column: Array, dtype: np.dtype[Any]) -> Array:
    """Return a column as a loop takes it: contiguous and aligned."""
    if column.dtype == dtype and (flags := column.flags).c_contiguous and flags.aligned:
        return column
    return np.require(column, dtype, ["C", "A"])


@cache
def _loop(kernel: Kernel, width: int, session: bool, by_time: bool) -> Any:
    return compile_loop(kernel, width, session=session, by_time=by_time)


@cache
def _call(kernel: Kernel, width: int, session: bool, by_time: bool) -> Any:
    """Return a loop as it is called without a look at what its arguments are, which would take as long as the call."""
    loop = _loop(kernel, width, session, by_time)
    return loop.get_overload(loop.signatures[0])


@cache
def _entry(kernel: Kernel, width: int, session: bool, by_time: bool) -> Any:
    loop = _loop(kernel, width, session, by_time)
    return compile_entry(kernel, width, loop, session=session, by_time=by_time)


class Scan:
    """A step, ready to run over chunks of ticks.

    Parameters
    ----------
    step : Step
        The kernel, its columns and parameters.
    session : bool
        Whether states are reset when a symbol's session changes.
    """

    def __init__(self, step: Step, *, session: bool = False) -> None:
        kernel, given = step.kernel, step.parameters
        self.step = step
        self.kernel = kernel
        self.session = session
        self.by_time = kernel.by_time(given)
        resolved = dict(step.resolved)
        self.parameters = [np.dtype(kind).type(resolved[name]) for name, kind in kernel.loop_parameters.items()]
        self.input_dtypes = [loop_dtype(column.dtype) for column in kernel.input_columns(step.width)]
        self.output_dtypes = kernel.output_dtypes(step.width)
        self.emits = kernel.emits
        self.reads, self.gives = step.reads, step.outputs
        self.state_dtype = state_dtype(kernel, step.width, session=session)
        self.slot_dtype = slot_dtype(kernel, by_time=self.by_time)

    @cached_property
    def call(self) -> Any:
        """The compiled loop; `run` sees to it that its arguments are what it takes."""
        return _call(self.kernel, self.step.width, self.session, self.by_time)

    def fresh(self, symbols: int = 0) -> StepState:
        """Return the state before the first tick."""
        return StepState(
            np.zeros(symbols if not self.kernel.stateless else 0, self.state_dtype),
            np.zeros(0, self.slot_dtype),
            np.zeros(1, np.int64),
        )

    def outputs(self, rows: int) -> list[Array]:
        """Return room for the output columns of so many ticks; none if the kernel emits rows of its own."""
        return [] if self.emits else [np.empty(rows, dtype) for dtype in self.output_dtypes]

    def room(self, ticks: int) -> Emitted:
        """Return room for the rows that are emitted for so many ticks: more often than not a row a tick at most."""
        return Emitted(self.output_dtypes, ticks + 64)

    def run(
        self,
        state: StepState,
        symbols: int,
        codes: Array,
        session: Array,
        ts: Array,
        columns: Sequence[Array],
        outputs: list[Array] | None = None,
    ) -> list[Array]:
        """Advance `state` over a chunk and return the output columns.

        Parameters
        ----------
        state : StepState
            Advanced in place.
        symbols : int
            How many symbols there are by now; unseen ones start from empty state.
        codes : array of uint32
            The symbol of every tick, as a row of the state.
        session, ts : array of int64
            The session of every tick (empty: no sessions), and its event time.
        columns : sequence of array
            The columns that the kernel reads.
        outputs : list of array, optional
            Where to put the output columns.
        """
        if symbols > len(state.records):
            self.make_room(state, symbols)
        inputs = self._taken(columns)
        head = (codes, session, as_taken(ts, INT64), state.records, state.slots, state.used)
        if outputs is None:
            outputs = self.outputs(len(codes))
        state.slots = self.call(*head, *inputs, *self.parameters, *outputs)
        return outputs

    def emit(
        self,
        state: StepState,
        symbols: int,
        codes: Array,
        session: Array,
        ts: Array,
        columns: Sequence[Array],
        emitted: Emitted,
        first: int = 0,
    ) -> None:
        """Advance `state` over a chunk, as `run` does, and add the rows that an event kernel emits to those before;
        `first` is the number of its first tick.
        """
        if symbols > len(state.records):
            self.make_room(state, symbols)
        before = emitted.count
        self._emit(False, state, codes, session, as_taken(ts, INT64), self._taken(columns), emitted)
        if first:
            emitted.at[before : emitted.count] += first

    def flush(self, state: StepState, emitted: Emitted) -> None:
        """Emit what is unfinished, for every symbol; the state is used up."""
        codes = np.arange(len(state.records), dtype=np.uint32)
        nothing = [np.empty(0, dtype) for dtype in self.input_dtypes]
        self._emit(True, state, codes, NO_SESSION, NO_SESSION, nothing, emitted)

    def _emit(
        self,
        flushing: bool,
        state: StepState,
        codes: Array,
        session: Array,
        ts: Array,
        inputs: list[Array],
        emitted: Emitted,
    ) -> None:
        again, done = False, 0
        while True:
            state.slots, done, emitted.count, again = self.call(
                flushing,
                again,
                done,
                emitted.count,
                emitted.codes,
                emitted.at,
                codes,
                session,
                ts,
                state.records,
                state.slots,
                state.used,
                *inputs,
                *self.parameters,
                *emitted.columns,
            )
            if done == len(codes):
                return
            emitted.enlarge()

    def _taken(self, columns: Sequence[Array]) -> list[Array]:
        return [as_taken(column, dtype) for column, dtype in zip(columns, self.input_dtypes, strict=True)]

    def entry(self) -> Any:
        """Return the compiled loop as it is entered by address (see `scan/entry.py`)."""
        return _entry(self.kernel, self.step.width, self.session, self.by_time)

    def make_room(self, state: StepState, symbols: int) -> None:
        """Give so many symbols a record; those not seen before start from empty state."""
        if self.kernel.stateless or symbols <= len(state.records):
            return
        larger = np.zeros(max(symbols, 2 * len(state.records)), self.state_dtype)
        larger[: len(state.records)] = state.records
        state.records = larger
