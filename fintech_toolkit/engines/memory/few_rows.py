"""A frame of few rows through all steps of a pipeline: what it costs then is Python, not the rows.

What is rare or wrong about such a frame is left to what reads any: a new symbol, times of another sort, a value that a
column may not have, an error. All others go straight through the steps' compiled loops, the very same ones, by way of
memory at fixed addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fintech_toolkit.engines.memory.keys import FEW, NO_TIME
from fintech_toolkit.engines.memory.lane import Lane, has_lanes
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.frames.order import advance_few
from fintech_toolkit.frames.sessions import session_ids
from fintech_toolkit.frames.times import times_of
from fintech_toolkit.frames.views import Frame
from fintech_toolkit.scan.names import read_values
from fintech_toolkit.scan.values import MISSING
from fintech_toolkit.schema import has_domain, outside_domain

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
        self._needs = {pipeline.source(read.name) for read in pipeline.source_reads}
        self._needs |= {self._symbol, self._time} - {None}
        self._taken = set(pipeline.gives)
        self._usable = not pipeline.emits and has_lanes(pipeline)
        if self._usable:
            self._lane = Lane(pipeline, FEW)
            self._reads = [
                (pipeline.source(read.name), read, has_domain(read.role), words)
                for read, words in zip(pipeline.source_reads, self._lane.reads, strict=True)
            ]
            words, made = self._lane.cells[self._lane.given :], list(self._lane.made.values())
            self._floats = words.view(np.float64) if all(values.dtype == np.float64 for values in made) else None

    def bind(self, state: State) -> None:
        """Take the state that frames are to advance; again after anything else has advanced it."""
        self._lane.bind(state)

    def read(self, state: State, view: Frame) -> bool:
        """Read what the steps need of a frame; whether it is one of those that go straight through. The state stays as
        it is.
        """
        names, table, rows = view.names, state.table, view.rows
        known = len(table)
        if not (self._usable and 0 < rows <= FEW and 0 < known == len(state.last)):
            return False
        if not (self._needs.issubset(names) and self._taken.isdisjoint(names)):
            return False
        lane, ts = self._lane, NO_TIME
        try:
            if self._time is not None:
                ts, kind = times_of(view.values(self._time), self._time, self.pipeline.unit)
                if kind != state.time_kind:
                    return False
                lane.ts[:rows] = ts
            if self._symbol is None:
                lane.codes[:rows] = 0
            else:
                codes = table.known(view.values(self._symbol))
                if codes is None:
                    return False
                lane.codes[:rows] = codes
            for name, read, limited, words in self._reads:
                values = view.values(name)
                if type(values) is not np.ndarray or values.dtype is not words.dtype:
                    values = read_values(values, read.dtype, name, nullable=read.nullable)
                if limited and outside_domain(values, read.role) is not None:
                    return False
                words[:rows] = values
            if self._session:
                lane.session[:rows] = session_ids(ts, self._session)
        except Exception:
            return False  # what is wrong is said where any frame is read
        return True

    def advance(self, state: State, view: Frame) -> Any:
        """Run the steps over what was read, and return the frame with their columns; None, and the state is as it was,
        if a row is out of order.
        """
        lane, rows = self._lane, view.rows
        if self._time is not None and not advance_few(lane.codes[:rows], lane.ts[:rows], state.last):
            return None
        lane.resize(rows)
        lane.run()
        if self._floats is not None:
            return view.append(dict(zip(lane.made, self._floats[:, :rows].copy(), strict=True)))
        made = {name: values[:rows].copy() for name, values in lane.made.items()}
        for name in self.pipeline.nullable:
            made[name] = np.ma.masked_equal(made[name], MISSING, copy=False)
        return view.append(made)
