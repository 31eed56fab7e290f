"""A run of a pipeline: it holds the state and advances it frame by frame, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fintech_toolkit.engines.memory.few_rows import FewRows
from fintech_toolkit.engines.memory.keys import NO_TIME
from fintech_toolkit.engines.memory.refusals import declared_anew
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.engines.memory.stream import stream
from fintech_toolkit.engines.memory.tick import Ticker, as_frame
from fintech_toolkit.engines.memory.ticks import Ticks, emitted_rows
from fintech_toolkit.errors import DataError, PipelineError, StateError
from fintech_toolkit.frames.symbol_table import SymbolTable
from fintech_toolkit.frames.symbols import LocalCodes
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.frames.views import Frame, wrap
from fintech_toolkit.schema import Array

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description


class Run:
    """A pipeline in progress: ``run(frame)`` continues from where the last frame left.

    `Pipeline.start` makes one; its frames are in memory. A frame that cannot be used raises and leaves the state as it
    was: what can be wrong with it is found before the state is touched. Should something stop a step half-way all the
    same, such as Ctrl-C, the state is neither the one before nor the one after, and the run refuses to go on.

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

    def __init__(self, pipeline: Description, state: State | None = None) -> None:
        self.pipeline = pipeline
        if not isinstance(state, State | None):
            raise StateError(f"A run starts from a State or the path of a saved one, not {type(state).__name__}.")
        if state is not None and state.identity != pipeline.identity:
            raise StateError(
                f"This state belongs to another pipeline:\n  {state.identity}\nnot to\n  {pipeline.identity}\n"
                f"{declared_anew(state.identity, pipeline.identity)}Start that one, or start this one without a state."
            )
        self._state = state.copy() if state is not None else self._fresh()
        self._stopped: str | None = None  # what stopped a step half-way
        self._few: FewRows | None = None
        self._ticker: Ticker | None = None
        self._bound: FewRows | Ticker | None = None  # which of them is bound to the state as it is

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
        return self._state

    def __call__(self, frame: Any) -> Any:
        """Return the frame with the steps' columns appended, or the rows that the last step emitted.

        Raises
        ------
        ColumnError, DataError
            If a column is missing, clashes or cannot be used; the message names the column, the first row, and what
            to do.
        """
        view, state = wrap(frame), self.state
        few = self._few
        if few is None:
            few = self._few = FewRows(self.pipeline)
        if few.read(state, view):
            if self._bound is not few:
                few.bind(state)
                self._bound = few
            try:
                given = few.advance(state, view)
            except BaseException as error:
                self._stop(state, error)
                raise
            if given is not None:
                return given
        return self._advance(state, view)

    def tick(self, symbol: Any = None, ts: Any = None, **values: Any) -> Any:
        """Return what one tick gives: `run` of a frame of one row, at a fraction of what a frame costs.

        Ticks and frames may alternate: they share the state.

        Parameters
        ----------
        symbol : str or int
            Whose tick it is; left out if the pipeline has ``symbol=None``.
        ts : int, Timestamp, datetime or datetime64
            Its time, aware or naive as those before; an int means what it means in frames. Left out if the pipeline
            has ``time=None``.
        **values
            The columns that the steps read, by the frame's names.

        Returns
        -------
        dict
            What each step gives, by name; None is a missing whole number. Of a pipeline that ends in an event step, a
            list of the rows that were emitted (mostly none), each a dict that says in `known_at` when it was known.

        Raises
        ------
        ColumnError, DataError
            As for a frame, or if a value has the name of no column that is read. The state is left as it was.

        Examples
        --------
        >>> import fintech_toolkit as ft
        >>> run = ft.Pipeline(ft.midprice(), ft.diff("mid"), time=None).start()
        >>> run.tick("A", bid=10.0, ask=10.5)
        {'mid': 10.25, 'diff': nan}
        >>> run.tick("A", bid=10.5, ask=11.0)
        {'mid': 10.75, 'diff': 0.5}
        """
        ticker = self._ticker
        if ticker is None:
            ticker = self._ticker = Ticker(self.pipeline)
        if self._bound is not ticker and ticker.usable:
            ticker.bind(self.state)
            self._bound = ticker
        try:
            given = ticker(symbol, ts, values) if ticker.usable else None
        except BaseException as error:
            self._stop(self._state, error)
            raise
        if given is None:
            return self._advance(self.state, as_frame(self.pipeline, symbol, ts, values))
        return given

    def peek(self, frame: Any) -> Any:
        """Return what the frame would give, unfinished rows included, without advancing the state."""
        return self._advance(self.state.copy(), wrap(frame), flush=True)

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
        state, self._bound = self.state, None
        ticks, ((last, _),), refused = _read(self.pipeline, wrap(frame), [(state, slice(0, None))], latest)
        rows, reasons = np.array(list(refused), np.int64), pd.Series(list(refused.values()), dtype="str")
        return self._go_on(state, ticks, last), pd.DataFrame({"row": rows, "reason": reasons})

    def flush(self, like: Any = None) -> Any:
        """Return the rows that are still unfinished, and start afresh.

        Parameters
        ----------
        like : frame, optional
            One of the sort that they are to have; pandas by default.

        Raises
        ------
        PipelineError
            If the pipeline gives a value for every row, so that nothing is ever unfinished.
        """
        if not self.pipeline.emits:
            raise PipelineError("This pipeline has no event step: nothing is left to flush.")
        self._bound = None
        view, state = wrap(pd.DataFrame() if like is None else like), self.state
        event = self.pipeline.scans[-1]
        emitted = event.room(0)
        try:
            event.flush(state.steps[-1], emitted)
            rows = emitted_rows(self.pipeline, state, view, emitted, np.full(emitted.count, NAT))
        except BaseException as error:
            self._stop(state, error)
            raise
        self._state = self._fresh()
        return rows

    def whole(self, frame: Any) -> Any:
        """Return what a frame gives from empty state, unfinished rows included."""
        view, state = wrap(frame), self._fresh()
        result = stream(self.pipeline, view, state)
        return self._advance(state, view, flush=True) if result is None else result

    def _advance(self, state: State, view: Frame, *, flush: bool = False) -> Any:
        return self._go_on(state, *self._read_whole(state, view), flush=flush)

    def _read_whole(self, state: State, view: Frame, encoded: LocalCodes | None = None) -> tuple[Ticks, Array | None]:
        """Read a frame all of whose rows can be used, or say why one cannot; return also the last times after it."""
        self._bound = None
        with _intact([state]):
            ticks = Ticks(self.pipeline, view, encoded)
            ticks.read_times()
            last = ticks.read_keys(state, slice(0, view.rows))
            if not ticks.keys.ok.all():
                raise DataError(ticks.refusal(state, int(np.argmin(ticks.keys.ok))))
            ticks.read_numbers(refuse=False)
            ticks.prepare()
        return ticks, last

    def _go_on(self, state: State, ticks: Ticks, last: Array | None, *, flush: bool = False) -> Any:
        """Run the steps over a frame that can be used as a whole; with `flush`, emit unfinished rows as well."""
        try:
            emitted = ticks.advance(state, last, slice(0, ticks.view.rows), flush=flush)
            return ticks.enriched() if emitted is None else emitted
        except BaseException as error:
            self._stop(state, error)
            raise

    def _stop(self, state: State, error: BaseException) -> None:
        """Note that the steps' states were being changed when something went wrong, unless it was a copy of them."""
        if state is self._state:
            self._bound = None
            self._stopped = f"{type(error).__name__}: {error}".removesuffix(": ")


def scan(run: Run, frame: Any, encoded: LocalCodes | None = None) -> tuple[Any, LocalCodes]:
    """Return what a run gives of a frame, and the column of symbols encoded, so that another run over the same rows
    need not do that again.
    """
    state = run.state
    ticks, last = run._read_whole(state, wrap(frame), encoded)
    return run._go_on(state, ticks, last), LocalCodes(ticks.keys.codes.view(np.int32), state.symbols)


def accept_parts(
    pipeline: Description, frame: Any, parts: Sequence[tuple[State, int]], latest: Array | None = None
) -> tuple[Any, list[int], list[State], dict[int, str]]:
    """Do what `Run.accept` does for several states at once: each is advanced over the rows of the frame that follow
    those of the one before.

    Parameters
    ----------
    pipeline : Description
        What to run.
    frame : frame
        As for a call.
    parts : sequence of (State, int)
        For each part of the frame its state, which stays as it is, and its number of rows.
    latest : ndarray of int64, optional
        For each row, the latest time that it may have, in nanoseconds.

    Returns
    -------
    frame
        The good rows enriched, or the rows that were emitted.
    list of int
        How many of them belong to each part.
    list of State
        The states after their parts.
    dict of int to str
        The rejected rows, by their position in the frame, and why.
    """
    states = [state.copy() for state, _ in parts]
    ends = np.cumsum([rows for _, rows in parts]).tolist()
    stretches = [slice(end - rows, end) for end, (_, rows) in zip(ends, parts, strict=True)]
    ticks, read, refused = _read(pipeline, wrap(frame), list(zip(states, stretches, strict=True)), latest)
    emitted = [ticks.advance(state, last, at) for state, (last, at) in zip(states, read, strict=True)]
    if pipeline.emits:
        return reduce(ticks.view.join, emitted), [wrap(rows).rows for rows in emitted], states, refused
    return ticks.enriched(), [at.stop - at.start for _, at in read], states, refused


def _read(
    pipeline: Description, view: Frame, parts: list[tuple[State, slice]], latest: Array | None
) -> tuple[Ticks, list[tuple[Array | None, slice]], dict[int, str]]:
    """Read the rows of a frame that can be used, each stretch by its state.

    Returns
    -------
    Ticks
        Those rows, ready to be run through.
    list of (ndarray or None, slice)
        For each state what reading its keys has returned, and which rows these are by now.
    dict of int to str
        The others, and why they cannot.
    """
    parts = [(state, slice(*at.indices(view.rows)[:2])) for state, at in parts]
    with _intact([state for state, _ in parts]) as undo:
        ticks = Ticks(pipeline, view)
        ticks.read_times(latest)
        ticks.read_numbers(refuse=True)
        if len(parts) > 1:
            ticks.keys.encode()
        read = [(ticks.read_keys(state, at), at) for state, at in parts]
        rejected = np.flatnonzero(~ticks.keys.ok)
        if not len(rejected):
            ticks.prepare()
            return ticks, read, {}
        refused = {
            row: ticks.refusal(state, row)
            for state, at in parts
            for row in rejected[slice(*np.searchsorted(rejected, [at.start, at.stop]))].tolist()
        }
        # Symbols that come in no good row must leave no trace.
        undo()
        good = np.flatnonzero(ticks.keys.ok)
        kept = [(state, slice(*np.searchsorted(good, [at.start, at.stop]).tolist())) for state, at in parts]
        ticks, read, _ = _read(pipeline, wrap(view.take(good)), kept, None)
        return ticks, read, refused


@contextmanager
def _intact(states: Sequence[State]) -> Iterator[Callable[[], None]]:
    """Give what undoes what reading a frame's symbols and times has changed of states, and does so after an error."""
    before = [(state, len(state.table), state.time_kind) for state in states]

    def undo() -> None:
        for state, known, time_kind in before:
            state.table.truncate(known)
            state.time_kind = time_kind

    try:
        yield undo
    except BaseException:
        undo()
        raise
