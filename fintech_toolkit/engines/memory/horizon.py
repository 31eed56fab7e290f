"""Joins at horizons in memory: beside each row what held so long before or after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.engines.memory.join_keys import shifted
from fintech_toolkit.engines.memory.search import match_rows, read_both
from fintech_toolkit.engines.memory.wavefront import run_wavefront
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import Horizon
from fintech_toolkit.frames.times import NAT, as_times, times
from fintech_toolkit.frames.views import Frame, Joinable, joinable
from fintech_toolkit.scan.threads import one_thread
from fintech_toolkit.schema import KNOWN_AT, UNITS, Array


def horizon_frames(left: Joinable, right: Joinable, options: Horizon, right_first_row: int = 0) -> Any:
    """Join two frames in memory. Keys are read once; each offset is one scan of them, side by side."""
    options.gives(left.names, right.names)  # complains about names
    sides = options.sides.resolved(left.names, right.names)
    here, there, symbols = read_both(left, right, sides, right_first_row, len(options.offsets))
    names = options.taken(right.names)
    taken: dict[str, Any] = {called: None for _, called, _ in options.appended(right.names)}

    def answer(k: int) -> None:
        text, shift = options.offsets[k]
        with one_thread():  # which is one of several
            take = right.taker(match_rows(here, there, symbols, sides, left.rows, shift))
        for name in names:
            taken[f"{name}_{text}"] = take(name)

    run_wavefront(len(options.offsets), [(False, answer)])
    return known_later(left, left.append(taken), sides, options.after)


def known_later(left: Joinable, result: Any, sides: AsOf, after: int) -> Any:
    """Return a result with the time at which its rows are known: so long after left's, and not before these were."""
    ts, kind = times(left, sides.time("left"), sides.unit)
    return with_known(left, result, shifted(ts, after), kind, sides)


def with_known(left: Frame, result: Any, known: Array, kind: str, sides: AsOf) -> Any:
    """Return a result with these times at which its rows are known, but not before its rows of left were."""
    if KNOWN_AT in left.names and sides.time("left") != KNOWN_AT:
        before, _ = times(left, KNOWN_AT, sides.unit)
        known = np.where((before == NAT) | (known == NAT), NAT, np.maximum(known, before))
    if kind == "int":
        known = np.where(known == NAT, NAT, -(-known // UNITS[sides.unit or "ns"]) * UNITS[sides.unit or "ns"])
    return joinable(result).replace({KNOWN_AT: as_times(known, kind, sides.unit)})
