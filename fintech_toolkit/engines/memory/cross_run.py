"""Cross-sections of rows that come frame by frame: times that are over come out."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.engines.memory.cross_sections import CrossColumns, crossed
from fintech_toolkit.engines.memory.window_run import WindowOperator
from fintech_toolkit.engines.memory.windows import NEVER, first_end
from fintech_toolkit.frames.times import times
from fintech_toolkit.frames.views import Joinable, joinable
from fintech_toolkit.schema import Array


class CrossOperator(WindowOperator):
    """Cross-sections of rows that come frame by frame: times are windows, over and late by the same rules.

    Rows come out in order of time. Where a result depends on times before its own, the rows of these are kept.
    """

    @property
    def waiting(self) -> int:
        """How many rows are of times that are not over."""
        rows = self._rows
        ends = [self._ends(joinable(frame)) for frame in rows.frames]
        return sum(int(np.count_nonzero(each > rows.closed)) for each in ends)

    def _ends(self, view: Joinable) -> Array:
        node = self._node
        return first_end(node.windows, times(view, node.time, node.unit)[0])

    def _check(self, view: Joinable) -> None:
        CrossColumns(view, self._node)

    def _made(self, view: Joinable, after: int, until: int = NEVER) -> Any:
        ts = times(view, self._node.time, self._node.unit)[0]
        if np.any(ts[1:] < ts[:-1]):
            view = joinable(view.take(np.argsort(ts, kind="stable")))
        return crossed(self._node, view, after)

    def _split(self, view: Joinable, until: int) -> tuple[Array, Array, int]:
        ends, history = self._ends(view), self._node.history
        over = ends <= until
        open_from = until + 1
        if history:
            open_from = int(np.unique(ends[over])[-history:].min(initial=open_from))
        return np.flatnonzero(over), np.flatnonzero(ends >= open_from), int(ends[~over].min(initial=NEVER))
