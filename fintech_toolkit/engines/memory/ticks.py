"""A frame as the steps of a pipeline see it: read once, and run through by one state, or by several, a stretch each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fintech_toolkit.engines.memory import wavefront
from fintech_toolkit.engines.memory.keys import Keys
from fintech_toolkit.engines.memory.pages import touch
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.engines.memory.wavefront import cut, run_wavefront
from fintech_toolkit.errors import ColumnError, DataError
from fintech_toolkit.frames.order import keep_few
from fintech_toolkit.frames.sessions import session_ids
from fintech_toolkit.frames.symbol_table import code_steps
from fintech_toolkit.frames.symbols import LocalCodes, Symbol, as_int32
from fintech_toolkit.frames.times import NAT, as_times, times
from fintech_toolkit.frames.views import Frame, require
from fintech_toolkit.scan.arrays import series_loop
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.names import read_values
from fintech_toolkit.scan.scan import NO_SESSION, Emitted, Scan, as_taken
from fintech_toolkit.scan.values import MISSING
from fintech_toolkit.schema import KNOWN_AT, Array, check_domain, has_domain, outside_domain

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description


class Ticks:
    """The rows of a frame on their way through a pipeline.

    The columns are read once (`read_times`, `read_numbers`). Then each state reads the keys of its stretch of rows and
    says which of them it cannot use (`read_keys`), and is advanced over it (`advance`).

    Attributes
    ----------
    keys : Keys
        Symbols, times, and which rows can be used.
    """

    keys: Keys

    def __init__(self, pipeline: Description, view: Frame, encoded: LocalCodes | None = None) -> None:
        self.pipeline = pipeline
        self.view = view
        self._encoded = encoded
        self._columns: list[Array] = []  # those that are read, then those that are given
        self._work: list[tuple[Scan, list[Array], list[Array]]] = []
        self._check_columns()

    def _check_columns(self) -> None:
        pipeline, view = self.pipeline, self.view
        for name in pipeline.numeric_reads:
            require(view, pipeline.source(name))
        if pipeline.emits:
            return
        for name in pipeline.gives:
            if name in view.names:
                raise ColumnError(
                    f"The frame already has a column {name!r}; rename the step's output with .named('…')."
                )

    def read_numbers(self, *, refuse: bool) -> None:
        """Read the columns of numbers; a value that a column may not have raises, or is refused."""
        for read in self.pipeline.source_reads:
            name = self.pipeline.source(read.name)
            what = f"Column {name!r}"
            values = read_values(self.view.values(name), read.dtype, what, nullable=read.nullable)
            self._columns.append(values)
            if not has_domain(read.role):
                continue
            if not refuse:
                check_domain(values, read.role, what)
            elif (outside := outside_domain(values, read.role)) is not None:
                self.keys.ok &= ~outside

    def read_times(self, latest: Array | None = None) -> None:
        """Read the event times; those after the latest that a row may have are refused."""
        symbol, time = self.pipeline.symbol, self.pipeline.time
        if time is not None:
            require(self.view, time, " for event times; without one, say time=None if rows are in order")
        self.keys = Keys(self.view, symbol, time, self.pipeline.unit, self._encoded)
        self.keys.refuse_after(latest)
        if symbol is not None:
            require(self.view, symbol, " for symbols; without one, say symbol=None")

    def read_keys(self, state: State, at: slice) -> Array | None:
        """Give the symbols of some rows their codes in a state, refuse rows that are out of order, and return the last
        times after them (see `Keys.read_in_order`).

        The state learns symbols and the kind of times, which is to be undone should the rows not be used after all.
        """
        keys = self.keys
        if keys.time is not None:
            if state.time_kind not in (None, keys.time_kind):
                raise DataError(
                    f"Column {keys.time!r} has {keys.time_kind} times, the frames before had {state.time_kind} ones."
                )
            state.time_kind = keys.time_kind
        return keys.read_in_order(state.table, at, state.last)

    def refusal(self, state: State, row: int) -> str:
        """Return why a row cannot be used, by the state that has read its keys."""
        where = f"at row {row}"
        return self.keys.lack(row, where) or self._wrong_number(row) or self.keys.disorder(row, where, state.table)

    def _wrong_number(self, row: int) -> str | None:
        for read, values in zip(self.pipeline.source_reads, self._columns, strict=False):  # those read so far
            try:
                check_domain(values[row : row + 1], read.role, f"Column {self.pipeline.source(read.name)!r}", row)
            except DataError as error:
                return str(error)
        return None

    def prepare(self) -> None:
        """Find what the steps need besides columns and keys; after it nothing can be wrong with the frame."""
        pipeline = self.pipeline
        self._known_at = self.keys.ts
        if pipeline.emits and KNOWN_AT in self.view.names and pipeline.time is not None:
            # When each tick was known: for a bar that is not its time, the start, but what its own step said.
            self._known_at = times(self.view, KNOWN_AT, pipeline.unit)[0]
        self._sessions = session_ids(self.keys.ts, pipeline.session) if pipeline.session else NO_SESSION
        for scan, places in pipeline.wires:
            room = scan.outputs(self.view.rows)
            self._work.append((scan, [self._columns[j] for j in places], room))
            self._columns += room

    def advance(
        self, state: State, last: Array | None, at: slice, local: LocalCodes | None = None, *, flush: bool = False
    ) -> Any:
        """Run the steps over rows that can all be used; `last` is what reading their keys has returned.

        `local` is the column of symbols if these are still to be given their codes, which is done on the way then.
        Where no emitted row says whose it is, those that it has do as well, and nobody looks at a symbol. With `flush`,
        unfinished rows are emitted at the end, and the state is used up.

        Returns
        -------
        frame or None
            The rows that the last step emitted, if that is what it does.
        """
        if last is not None:
            state.last = last
        else:
            keep_few(self.keys.codes[at], self.keys.ts[at], state.last)
        chunks = cut(at.stop - at.start, wavefront.MORSEL, at.start)
        emitted = self.pipeline.scans[-1].room(at.stop - at.start) if self.pipeline.emits else None
        if local is None and len(chunks) == 1 and (at.start, at.stop) == (0, self.view.rows):
            # Nothing to slice, nobody to wait for.
            for own, (scan, inputs, room) in zip(state.steps, self._work, strict=True):
                ticks = own, len(state.table), self.keys.codes, self._sessions, self.keys.ts, inputs
                if emitted is not None and scan.emits:
                    scan.emit(*ticks, emitted)
                else:
                    scan.run(*ticks, room)
            return self._emitted(state, emitted, flush)
        codes: list[Any] = [None] * len(chunks) if local else [self.keys.codes[chunk] for chunk in chunks]
        coded = local if local and not self.pipeline.emits and len(local.values) <= self.view.rows else None

        def room_for_codes(c: int) -> Array:
            codes[c] = room = np.empty(chunks[c].stop - chunks[c].start, np.uint32)
            return room

        def forget_codes(c: int) -> None:
            codes[c] = None

        steps: list[tuple[bool, Callable[[int], None]]] = []
        if coded is not None:

            def take_codes(c: int) -> None:
                codes[c] = as_int32(coded.codes[chunks[c]]).view(np.uint32)

            steps.append((False, take_codes))
        elif local is not None:
            steps += code_steps(None, "", state.table, chunks, room_for_codes, local)
        if len(chunks) > 1:
            steps.append((False, lambda c: touch(values[chunks[c]] for *_, room in self._work for values in room)))
        for s, (scan, inputs, room) in enumerate(self._work):

            def step(
                c: int,
                s: int = s,
                scan: Scan = scan,
                inputs: Sequence[Array] = inputs,
                room: Sequence[Array] = room,
            ) -> None:
                at = chunks[c]
                sliced, filled = [values[at] for values in inputs], [values[at] for values in room]
                keys = codes[c], self._sessions[at], self.keys.ts[at]
                symbols = len(coded.values) if coded else len(state.table)
                if emitted is not None and scan.emits:
                    scan.emit(state.steps[s], symbols, *keys, sliced, emitted, at.start)
                else:
                    scan.run(state.steps[s], symbols, *keys, sliced, filled)

            # Rows are emitted to where those of the chunk before end.
            steps.append((scan.emits or not scan.kernel.stateless, step))
        steps.append((False, forget_codes))
        run_wavefront(len(chunks), steps)
        return self._emitted(state, emitted, flush)

    def _emitted(self, state: State, emitted: Emitted | None, flush: bool) -> Any:
        if emitted is None:
            return None
        known = emitted.count
        if flush:
            self.pipeline.scans[-1].flush(state.steps[-1], emitted)
        known_at = np.full(emitted.count, NAT)
        known_at[:known] = self._known_at[emitted.at[:known]]
        return emitted_rows(self.pipeline, state, self.view, emitted, known_at)

    def advance_runs(self, starts: Array) -> None:
        """Run the steps over rows of symbols that lie together, from empty state, each symbol a series of its own."""
        ends = np.append(starts[1:], self.view.rows)
        # As many symbols at a time as have the rows of a chunk.
        edges = np.flatnonzero(np.diff(ends // wavefront.MORSEL, prepend=-1))
        groups = np.split(np.stack([starts, ends], axis=1), edges[1:])

        work = [
            (
                series_loop(scan.kernel, scan.step.width, scan.by_time),
                [as_taken(values, dtype) for values, dtype in zip(inputs, scan.input_dtypes, strict=True)],
                scan.parameters,
                room,
            )
            for scan, inputs, room in self._work
        ]
        ts = read_only(self.keys.ts)

        def run(g: int) -> None:
            for start, end in groups[g].tolist():
                at = slice(start, end)
                for loop, inputs, parameters, room in work:
                    loop(ts[at], *(values[at] for values in inputs), *parameters, *(values[at] for values in room))

        run_wavefront(len(groups), [(False, run)])

    def enriched(self) -> Any:
        """Return the frame with the steps' columns appended, when all its rows have been run through."""
        given = dict(zip(self.pipeline.gives, self._columns[len(self.pipeline.source_reads) :], strict=True))
        for name in self.pipeline.nullable:
            given[name] = np.ma.masked_equal(given[name], MISSING, copy=False)
        return self.view.append(given)


def emitted_rows(pipeline: Description, state: State, view: Frame, emitted: Emitted, known_at: Array) -> Any:
    """Return emitted rows as a frame: symbol, what the kernel gives, and when it became known (missing: unfinished)."""
    emitted.cut()
    time_kind = state.time_kind or "aware"
    result: dict[str, Any] = {}
    if pipeline.symbol is not None:
        result[pipeline.symbol] = _symbol_array(state.symbols, emitted.codes)
    step = pipeline.scans[-1].step
    for given, name, values in zip(step.kernel.output_names(step.width), step.outputs, emitted.columns, strict=True):
        result[name] = as_times(values, time_kind, pipeline.unit, nullable=False) if given == "ts" else values
    if pipeline.time is not None:
        result[KNOWN_AT] = as_times(known_at, time_kind, pipeline.unit)
    return view.build(result)


def _symbol_array(symbols: list[Symbol], codes: Array) -> Any:
    kind = pa.int64() if len(symbols) > 0 and isinstance(symbols[0], int) else pa.string()
    if len(codes) < len(symbols):
        return pa.array([symbols[code] for code in codes.tolist()], kind)
    return pa.DictionaryArray.from_arrays(pa.array(codes.view(np.int32)), pa.array(symbols, kind))
