"""A whole frame from empty state in one go: its symbols get their codes stretch by stretch, just before the steps need
them, so that they are never in memory as a column.

Nothing is lost by an error then, because the state is given up with it. So of what can be wrong with a frame only its
order must be known before, which one pass mostly proves; if it does not, or anything else is amiss, the frame is read
row by row, and that says what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fintech_toolkit.engines.memory.keys import Keys
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.engines.memory.ticks import Ticks
from fintech_toolkit.engines.memory.wavefront import MORSEL, cut, run_wavefront
from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.order import times_in_order
from fintech_toolkit.frames.symbols import CHUNK, LocalCodes, is_dictionary
from fintech_toolkit.frames.views import Frame

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description


def stream(pipeline: Description, view: Frame, state: State) -> Any:
    """Return what a pipeline gives of a frame, from an empty state, or None if it is to be read before; then the state
    cannot be used any more.
    """
    symbol = pipeline.symbol
    if view.rows <= MORSEL or (symbol in view.names and not is_dictionary(view.column(symbol))):
        return None
    try:
        ticks = Ticks(pipeline, view)
        ticks.read_times()
        local = ticks.keys.encode()
        if not (_in_order(ticks.keys) and (local is None or _all_present(local))):
            return None
        ticks.read_numbers(refuse=False)
        ticks.prepare()
    except DataError:
        return None
    state.time_kind = ticks.keys.time_kind
    if local is None:
        state.table.add("")
    emitted = ticks.advance(state, state.last, slice(0, view.rows), local)
    return ticks.enriched() if emitted is None else emitted


def _in_order(keys: Keys) -> bool:
    """Whether there are no times, or all rows have one and are in time order."""
    chunks = cut(len(keys.ts), CHUNK)
    good = [True] * len(chunks)

    def look(c: int) -> None:
        good[c] = good[max(c - 1, 0)] and times_in_order(keys.ts, chunks[c])

    run_wavefront(len(chunks), [(False, look)])
    return all(good)


def _all_present(local: LocalCodes) -> bool:
    return None not in local.values and int(local.codes.min()) >= 0
