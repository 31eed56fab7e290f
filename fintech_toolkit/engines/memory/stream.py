"""A whole frame from empty state in one go: no column of codes, and no state that outlives it.

Interleaved symbols get their codes stretch by stretch, just before the steps need them. Where the rows of each symbol
lie together, each symbol is a series of its own. Nothing is lost by an error, because the state is given up with it. So
of what can be wrong with a frame only its order must be known before, which one pass mostly proves; if it does not, or
anything else is amiss, the frame is read row by row, and that says what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fintech_toolkit.engines.memory import wavefront
from fintech_toolkit.engines.memory.runs import find_runs
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.engines.memory.ticks import Ticks
from fintech_toolkit.engines.memory.wavefront import cut, run_wavefront
from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.order import times_in_order
from fintech_toolkit.frames.symbol_table import CHUNK
from fintech_toolkit.frames.symbols import LocalCodes, is_dictionary
from fintech_toolkit.frames.views import Frame
from fintech_toolkit.schema import Array

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description

LONG = 1_024
"""Rows that symbols must have on average for a call each to cost little."""


def stream(pipeline: Description, view: Frame, state: State) -> Any:
    """Return what a pipeline gives of a frame, from an empty state, unfinished rows included, and the state cannot be
    used any more; or None if the frame is to be read before, and the state is as it was.
    """
    symbol = pipeline.symbol
    if view.rows <= wavefront.MORSEL or (symbol in view.names and not is_dictionary(view.column(symbol))):
        return None
    try:
        ticks = Ticks(pipeline, view)
        ticks.read_times()
        local, ts = ticks.keys.encode(), ticks.keys.ts
        in_order, starts = _in_order(ts), None
        if local is not None and not (pipeline.emits or pipeline.session or (in_order and len(ts))):
            starts = find_runs(local.codes, ts, view.rows // LONG)
        if starts is None and not in_order:
            return None
        if starts is not None and in_order and len(starts) < len(pipeline.scans):
            starts = None  # steps run side by side, and so do series: whichever are more
        if local is not None and not _all_present(local):
            return None
        ticks.read_numbers(refuse=False)
        ticks.prepare()
    except DataError:
        return None
    state.time_kind = ticks.keys.time_kind
    emitted = None
    if starts is not None:
        ticks.advance_runs(starts)
    else:
        if local is None:
            state.table.add("")
        emitted = ticks.advance(state, state.last, slice(0, view.rows), local, flush=True)
    return ticks.enriched() if emitted is None else emitted


def _in_order(ts: Array) -> bool:
    """Whether all rows have a time and are in time order, or there are no times."""
    chunks = cut(len(ts), CHUNK)
    good = np.ones(len(chunks), np.bool_)

    def look(c: int) -> None:
        good[c] = good.all() and times_in_order(ts, chunks[c])

    run_wavefront(len(chunks), [(False, look)])
    return bool(good.all())


def _all_present(local: LocalCodes) -> bool:
    return None not in local.values and int(local.codes.min()) >= 0
