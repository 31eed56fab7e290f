"""Cross-sections of rows that come frame by frame: times that are over come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fintech_toolkit.engines.memory.cross_sections import CrossColumns, crossed
from fintech_toolkit.engines.memory.feed import concat
from fintech_toolkit.engines.memory.window_run import WindowOperator, WindowRows
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


class PartOperator(CrossOperator):
    """Takes the rows of one of several feeds, of which none can say alone which times are over (see `PartsOperator`).

    A row is late by the rows of its own feed, as if this were the only one: so it does not matter which feed is ahead.
    """

    def _until(self, seen: int) -> int:
        return self._rows.closed


class PartsOperator(CrossOperator):
    """Cross-sections of the rows of several feeds: a time is over when each of them is past it.

    Parameters
    ----------
    node : CrossSection
        What is computed.
    parts : mapping of int to WindowRows
        The rows of each feed, in the order of which rows of one time come.

    Attributes
    ----------
    parts : dict of int to WindowRows
        What is left of these.
    """

    def __init__(self, node: Any, parts: Mapping[int, WindowRows]) -> None:
        super().__init__(node, None)
        self.parts = dict(parts)

    def close(self) -> Any:
        """Return the cross-sections that are over now, or None."""
        parts = self.parts.values()
        closed = max(rows.closed for rows in parts)
        until = max(closed, self._until(min(rows.seen for rows in parts)))
        due = min((at for rows in parts for at in rows.due), default=NEVER)
        self.parts = {number: replace(rows, closed=until) for number, rows in self.parts.items()}
        if due > until:
            return None
        whole = self._whole_view()
        over, kept, next_due = self._split(whole, until)
        begins = 0
        for number, rows in self.parts.items():
            ends = begins + len(rows)
            if rows.frames:
                mine = kept[slice(*np.searchsorted(kept, [begins, ends]))]
                self.parts[number] = replace(rows, frames=(whole.take(mine),), due=(next_due,))
            begins = ends
        return self._made(joinable(whole.take(over)), closed, until)

    def flush(self) -> Any:
        """Return the cross-sections that are not over yet, or None if no frame has come."""
        if not any(rows.frames for rows in self.parts.values()):
            return None
        return self._made(self._whole_view(), max(rows.closed for rows in self.parts.values()))

    def _whole_view(self) -> Joinable:
        return joinable(concat([frame for rows in self.parts.values() for frame in rows.frames]))
