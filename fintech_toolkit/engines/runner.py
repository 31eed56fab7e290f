"""A run of a pipeline: it holds the state and advances it frame by frame, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines import wavefront
from fintech_toolkit.engines.frames import NAT, Frame, as_times, is_dask, require, times, wrap
from fintech_toolkit.engines.order import mark_disorder
from fintech_toolkit.engines.refusals import declared_anew, refusal
from fintech_toolkit.engines.sessions import session_ids
from fintech_toolkit.engines.state import State
from fintech_toolkit.engines.symbols import CHUNK, Symbol, SymbolTable, code_steps
from fintech_toolkit.engines.wavefront import cut, run_wavefront
from fintech_toolkit.errors import ColumnError, DataError, FintechToolkitError, PipelineError, StateError
from fintech_toolkit.scan.scan import NO_SESSION, Emitted, Scan
from fintech_toolkit.scan.steps import Read
from fintech_toolkit.scan.values import MISSING, as_values
from fintech_toolkit.schema import KNOWN_AT, Array, check_domain, outside_domain

if TYPE_CHECKING:
    from fintech_toolkit.pipeline import Pipeline

NO_TIME = np.empty(0, np.int64)


class Run:
    """A pipeline in progress: ``run(frame)`` continues from where the last frame left.

    `Pipeline.start` makes one. A frame that cannot be used raises and leaves the state as it was: what can be wrong
    with it is found before the state is touched. Should something stop a step half-way all the same, such as Ctrl-C,
    the state is neither the one before nor the one after, and the run refuses to go on.

    Parameters
    ----------
    pipeline : Pipeline
        What to run.
    state : State, optional
        Where to continue; it is copied. By default nothing was seen yet.

    Raises
    ------
    StateError
        If it is no state, or belongs to another pipeline.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> run = ft.Pipeline(ft.diff("price"), time=None).start()
    >>> run(pd.DataFrame({"symbol": ["A", "B"], "price": [10.0, 20.0]}))["diff"].tolist()
    [nan, nan]
    >>> run(pd.DataFrame({"symbol": ["B", "A"], "price": [21.0, 13.0]}))["diff"].tolist()
    [1.0, 3.0]
    """

    def __init__(self, pipeline: Pipeline, state: State | None = None) -> None:
        self.pipeline = pipeline
        if not isinstance(state, State | None):
            raise StateError(f"A run starts from a State or the path of a saved one, not {type(state).__name__}.")
        if state is not None and state.identity != pipeline.identity:
            raise StateError(
                f"This state belongs to another pipeline:\n  {state.identity}\nnot to\n  {pipeline.identity}\n"
                f"{declared_anew(state.identity, pipeline.identity)}Start that one, or start this one without a state."
            )
        self._state = state.copy() if state is not None else self._fresh()
        self._lazy: Any = None  # the state after a Dask frame, until somebody asks for it
        self._stopped: str | None = None  # what stopped a step half-way

    def _fresh(self) -> State:
        return State(
            self.pipeline.identity,
            SymbolTable(),
            NO_TIME.copy(),
            [scan.fresh() for scan in self.pipeline.scans],
        )

    @property
    def state(self) -> State:
        """The state after the last frame; it prints as a frame by symbol.

        After Dask frames, asking for it computes all of them once, and later frames continue from what came out;
        without asking, each later frame computes those before it again. If one of them cannot be used, that raises, and
        the state is as it was before the first of them.

        Raises
        ------
        StateError
            If a frame stopped half-way.
        """
        if self._stopped is not None:
            raise StateError(
                f"A frame stopped half-way ({self._stopped}), so the state is neither the one before it nor the one "
                "after; start again from a state that was saved or copied."
            )
        if self._lazy is not None:
            lazy, self._lazy = self._lazy, None
            try:
                self._state = lazy.compute()
            except FintechToolkitError:
                raise
            except BaseException:
                self._lazy = lazy
                raise
        return self._state

    def __call__(self, frame: Any, *, plan: str | None = None) -> Any:
        """Return the frame with the steps' columns appended, or the rows that the last step emitted.

        Raises
        ------
        ColumnError, DataError
            If a column is missing, clashes or cannot be used; the message names the column, the first row, and what
            to do.
        """
        if is_dask(frame):
            from fintech_toolkit.engines import distributed

            before = self.state if self._lazy is None else self._lazy
            result, self._lazy = distributed.apply(self.pipeline, frame, state=before, plan=plan)
            return result
        if plan is not None:
            raise PipelineError("plan= is for Dask frames.")
        return self._advance(self.state, wrap(frame))

    def peek(self, frame: Any) -> Any:
        """Return what the frame would give, unfinished rows included, without advancing the state."""
        view, state = wrap(frame), self.state.copy()
        result = self._advance(state, view)
        return view.join(result, self._flush(state, view)) if self.pipeline.emits else result

    def accept(self, frame: Any, latest: Array | None = None) -> tuple[Any, pd.DataFrame]:
        """Use the rows that can be used, and return them enriched, and the others with the reason why not.

        Parameters
        ----------
        frame : frame
            As for a call.
        latest : ndarray of int64, optional
            For each row, the latest time that it may have, in nanoseconds: one beyond would make all that follow late.

        Returns
        -------
        frame
            What `run` gives for the good rows.
        DataFrame
            `row` (position in the input, int64) and `reason` (str) of the rejected ones.
        """
        view, state = wrap(frame), self.state
        self._check_columns(view)
        known, kind = len(state.table), state.time_kind
        try:
            ok = np.ones(view.rows, np.bool_)
            sources = self._sources(view, ok)
            codes, last, ts = self._codes_and_times(state, view, state.last.copy(), ok, latest)
            rejected = np.flatnonzero(~ok)
            reasons = [refusal(self.pipeline, state, int(row), (codes, ts), latest, sources) for row in rejected]
        except BaseException:
            self._forget(state, known, kind)
            raise
        refused = pd.DataFrame({"row": rejected, "reason": pd.Series(reasons, dtype="str")})
        if not len(rejected):
            return self._go_on(state, view, (codes, last, ts), sources, known, kind), refused
        # Symbols that come in no good row must leave no trace.
        self._forget(state, known, kind)
        return self._advance(state, wrap(view.take(np.flatnonzero(ok)))), refused

    def _forget(self, state: State, known: int, kind: str | None) -> None:
        """Undo what reading a frame's symbols and times has changed."""
        state.table.truncate(known)
        state.time_kind = kind

    def flush(self) -> Any:
        """Return the rows that are still unfinished, as a pandas frame, and start afresh.

        Raises
        ------
        PipelineError
            If the pipeline gives a value for every row, so that nothing is ever unfinished.
        """
        if not self.pipeline.emits:
            raise PipelineError("This pipeline has no event step: nothing is left to flush.")
        rows = self._flush(self.state, wrap(pd.DataFrame()))
        self._state = self._fresh()
        return rows

    def whole(self, frame: Any, *, plan: str | None = None) -> Any:
        """Return what a frame gives from empty state, unfinished rows included."""
        if plan is not None:
            raise PipelineError("plan= is for Dask frames.")
        view = wrap(frame)
        result = self._advance(self._state, view)
        return view.join(result, self._flush(self._state, view)) if self.pipeline.emits else result

    def _codes_and_times(
        self, state: State, view: Frame, last: Array, ok: Array, latest: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Return codes, the advanced `last` times, and times; clear `ok` where a row cannot be used."""
        pipeline = self.pipeline
        codes = np.zeros(view.rows, np.uint32)
        ts = NO_TIME
        if pipeline.time is not None:
            require(view, pipeline.time, " for event times; without one, say time=None if rows are in order")
            ts, kind = times(view, pipeline.time, pipeline.unit)
            if state.time_kind not in (None, kind):
                raise DataError(
                    f"Column {pipeline.time!r} has {kind} times, the frames before had {state.time_kind} ones."
                )
            state.time_kind = kind
            if latest is not None:
                ok &= ts <= latest
        if pipeline.symbol is not None:
            require(view, pipeline.symbol, " for symbols; without one, say symbol=None")
        elif view.rows:
            state.table.add("")
        chunks = cut(view.rows, CHUNK)
        grown = [last]

        def check_order(c: int) -> None:
            if len(state.table) > len(grown[0]):
                more = max(len(state.table), 2 * len(grown[0])) - len(grown[0])
                grown[0] = np.concatenate([grown[0], np.full(more, NAT)])
            at = chunks[c]
            mark_disorder(codes[at], ts[at], grown[0], ok[at])

        steps: list[tuple[bool, Callable[[int], None]]] = [(True, check_order)]
        if pipeline.symbol is not None:
            column = view.column(pipeline.symbol)
            steps = [*code_steps(column, pipeline.symbol, state.table, chunks, codes), *steps]
        run_wavefront(len(chunks), steps)
        return codes, grown[0][: len(state.table)], ts

    def _advance(self, state: State, view: Frame) -> Any:
        self._check_columns(view)
        known, kind = len(state.table), state.time_kind
        try:
            ok = np.ones(view.rows, np.bool_)
            codes, last, ts = self._codes_and_times(state, view, state.last.copy(), ok)
            if not ok.all():
                raise DataError(refusal(self.pipeline, state, int(np.argmin(ok)), (codes, ts)))
            sources = self._sources(view)
        except BaseException:
            self._forget(state, known, kind)
            raise
        return self._go_on(state, view, (codes, last, ts), sources, known, kind)

    def _go_on(
        self,
        state: State,
        view: Frame,
        keys: tuple[Array, Array, Array],
        sources: dict[Read, Array],
        known: int,
        kind: str | None,
    ) -> Any:
        """Run the steps over rows that can all be used: codes, the last times after them, and times are `keys`."""
        codes, last, ts = keys
        try:
            known_at = self._known(view, ts)
            sessions = session_ids(ts, self.pipeline.session) if self.pipeline.session else NO_SESSION
        except BaseException:
            self._forget(state, known, kind)
            raise
        try:
            state.last = last
            return self._scan(state, view, sources, codes, sessions, ts, known_at)
        except BaseException as error:
            self._stop(state, error)
            raise

    def _stop(self, state: State, error: BaseException) -> None:
        """Note that the steps' states were being changed when something went wrong, unless it was a copy of them."""
        if state is self._state:
            self._stopped = f"{type(error).__name__}: {error}".removesuffix(": ")

    def _sources(self, view: Frame, ok: Array | None = None) -> dict[Read, Array]:
        """Return the columns of numbers as the steps see them; a value that a column may not have raises, or clears
        `ok`.
        """
        sources = {}
        for read in self.pipeline.source_reads:
            name = self.pipeline.source(read.name)
            what = f"Column {name!r}"
            sources[read] = as_values(view.column(name), read.dtype, what, nullable=read.nullable)
            if ok is None:
                check_domain(sources[read], read.role, what)
            elif (outside := outside_domain(sources[read], read.role)) is not None:
                ok &= ~outside
        return sources

    def _scan(
        self,
        state: State,
        view: Frame,
        sources: dict[Read, Array],
        codes: Array,
        sessions: Array,
        ts: Array,
        known_at: Array,
    ) -> Any:
        chunks = cut(view.rows, wavefront.MORSEL)
        symbols = len(state.table)
        emitted: list[Emitted | None] = [None] * len(chunks)
        outputs: dict[str, Array] = {}
        steps = []
        for s, scan in enumerate(self.pipeline.scans):
            room = scan.outputs(view.rows)
            inputs = [outputs[read.name] if read.name in outputs else sources[read] for read in scan.step.reads]
            outputs |= dict(zip(scan.step.outputs, room, strict=True)) if room else {}

            def step(
                c: int,
                s: int = s,
                scan: Scan = scan,
                inputs: Sequence[Array] = inputs,
                room: Sequence[Array] = room,
            ) -> None:
                at = chunks[c]
                sliced, filled = [values[at] for values in inputs], [values[at] for values in room]
                rows = scan.run(state.steps[s], symbols, codes[at], sessions[at], ts[at], sliced, filled)
                if isinstance(rows, Emitted):
                    emitted[c] = Emitted(rows.rows, rows.codes, rows.at + at.start)

            steps.append((not scan.kernel.stateless, step))
        run_wavefront(len(chunks), steps)
        if not self.pipeline.emits:
            for name in self.pipeline.nullable:
                outputs[name] = np.ma.masked_equal(outputs[name], MISSING, copy=False)
            return view.append(outputs)
        known = [rows for rows in emitted if rows is not None]
        at = np.concatenate([rows.at for rows in known])
        found = np.concatenate([rows.rows for rows in known])
        return self._rows(state, view, found, np.concatenate([rows.codes for rows in known]), known_at[at])

    def _known(self, view: Frame, ts: Array) -> Array:
        """Return when each tick was known. For a bar that is not its time, the start, but what its own step said."""
        if KNOWN_AT not in view.names or self.pipeline.time is None or not self.pipeline.emits:
            return ts
        return times(view, KNOWN_AT, self.pipeline.unit)[0]

    def _flush(self, state: State, view: Frame) -> Any:
        try:
            found = self.pipeline.scans[-1].flush(state.steps[-1])
            return self._rows(state, view, found.rows, found.codes, np.full(len(found.rows), NAT))
        except BaseException as error:
            self._stop(state, error)
            raise

    def _rows(self, state: State, view: Frame, rows: Array, codes: Array, known_at: Array) -> Any:
        """Return emitted rows as a frame: symbol, what the kernel gives, and when it became known (missing:
        unfinished).
        """
        pipeline = self.pipeline
        kind = state.time_kind or "aware"
        result: dict[str, Any] = {}
        if pipeline.symbol is not None:
            result[pipeline.symbol] = _symbol_array(state.symbols, codes)
        for given, name in zip(rows.dtype.names or (), pipeline.scans[-1].step.outputs, strict=True):
            values = np.ascontiguousarray(rows[given])
            result[name] = as_times(values, kind, pipeline.unit, nullable=False) if given == "ts" else values
        if pipeline.time is not None:
            result[KNOWN_AT] = as_times(known_at, kind, pipeline.unit)
        return view.build(result)

    def _check_columns(self, view: Frame) -> None:
        pipeline = self.pipeline
        for name in pipeline.numeric_reads:
            require(view, pipeline.source(name))
        if pipeline.emits:
            return
        for name in pipeline.gives:
            if name in view.names:
                raise ColumnError(
                    f"The frame already has a column {name!r}; rename the step's output with .named('…')."
                )


def _symbol_array(symbols: list[Symbol], codes: Array) -> Any:
    integers = len(symbols) > 0 and isinstance(symbols[0], int)
    return pa.array(symbols, pa.int64() if integers else pa.string()).take(pa.array(codes))
