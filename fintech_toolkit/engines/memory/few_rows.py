"""A frame of few rows through all steps of a pipeline: what it costs then is Python, not the rows.

What is rare or wrong about such a frame is left to what reads any: a new symbol, times of another sort, a value that a
column may not have, an error. All others go straight through the steps' compiled loops, the very same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fintech_toolkit.engines.memory.keys import FEW, NO_TIME
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.frames.order import advance_few
from fintech_toolkit.frames.sessions import session_ids
from fintech_toolkit.frames.times import times_of
from fintech_toolkit.frames.views import Frame
from fintech_toolkit.scan.columns import loop_dtype
from fintech_toolkit.scan.names import read_values
from fintech_toolkit.scan.scan import INT64, NO_SESSION, as_taken
from fintech_toolkit.scan.values import MISSING
from fintech_toolkit.schema import Array, has_domain, outside_domain

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description


class FewRows:
    """The way of one frame of few rows after the other through a pipeline.

    Parameters
    ----------
    pipeline : Description
        What to run.
    """

    def __init__(self, pipeline: Description) -> None:
        self.pipeline = pipeline
        self._symbol, self._time, self._session = pipeline.symbol, pipeline.time, pipeline.session
        self._reads = [
            (pipeline.source(read.name), read, loop_dtype(read.dtype), has_domain(read.role))
            for read in pipeline.source_reads
        ]
        self._needs = {name for name, *_ in self._reads} | ({self._symbol, self._time} - {None})
        self._gives = pipeline.gives
        self._taken = set(self._gives)
        dtypes = [dtype for _, _, dtype, _ in self._reads]
        self._dtypes: list[Any] = []  # of what the steps give
        self._steps: list[Any] = []
        self._usable = not pipeline.emits
        for scan, places in pipeline.wires if self._usable else ():
            # A truth that a step gives may be read as a number by another.
            self._usable &= [dtypes[j] for j in places] == scan.input_dtypes
            own = range(len(dtypes), len(dtypes) + len(scan.gives))
            dtypes += scan.output_dtypes
            self._dtypes += scan.output_dtypes
            self._steps.append((scan, scan.kernel.stateless, places, tuple(scan.parameters), own))

    def read(self, state: State, view: Frame) -> tuple[Array, Array, Array, list[Array]] | None:
        """Return a frame's codes, sessions, times and the columns that the steps read; None if it is none of those that
        go straight through. The state stays as it is.
        """
        names, table = view.names, state.table
        known = len(table)
        if not (self._usable and 0 < view.rows <= FEW and 0 < known == len(state.last)):
            return None
        if not (self._needs.issubset(names) and self._taken.isdisjoint(names)):
            return None
        ts = NO_TIME
        try:
            if self._time is not None:
                ts, kind = times_of(view.values(self._time), f"Column {self._time!r}", self.pipeline.unit)
                if kind != state.time_kind:
                    return None
            if self._symbol is None:
                codes: Array | None = np.zeros(view.rows, np.uint32)
            else:
                codes = table.known(view.values(self._symbol))
            if codes is None:
                return None
            columns = []
            for name, read, dtype, limited in self._reads:
                values = read_values(view.values(name), read.dtype, name, nullable=read.nullable)
                if limited and outside_domain(values, read.role) is not None:
                    return None
                columns.append(as_taken(values, dtype))
            session = session_ids(ts, self._session) if self._session else NO_SESSION
        except Exception:
            return None  # what is wrong is said where any frame is read
        return codes, session, as_taken(ts, INT64), columns

    def advance(self, state: State, view: Frame, codes: Array, session: Array, ts: Array, columns: list[Array]) -> Any:
        """Run the steps over what was read, and return the frame with their columns; None, and the state is as it was,
        if a row is out of order.
        """
        if len(ts) and not advance_few(codes, ts, state.last):
            return None
        rows, symbols = len(codes), len(state.table)
        given: list[Array] = [np.empty(rows, dtype) for dtype in self._dtypes]
        columns += given
        for own, (scan, stateless, places, parameters, outputs) in zip(state.steps, self._steps, strict=True):
            if not stateless and symbols > len(own.records):
                scan.make_room(own, symbols)
            own.slots = scan.call(
                codes,
                session,
                ts,
                own.records,
                own.slots,
                own.used,
                *_picked(columns, places),
                *parameters,
                *_picked(columns, outputs),
            )
        made: dict[str, Any] = dict(zip(self._gives, given, strict=True))
        for name in self.pipeline.nullable:
            made[name] = np.ma.masked_equal(made[name], MISSING, copy=False)
        return view.append(made)


def _picked(columns: list[Array], places: Sequence[int]) -> list[Array]:
    return [columns[j] for j in places]
