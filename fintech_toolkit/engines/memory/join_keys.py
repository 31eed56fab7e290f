"""The keys of the rows of one side of a join that take part: in the frame's order, or those of each symbol together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from fintech_toolkit.engines.memory.wavefront import MORSEL, cut, run_wavefront
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.threads import threads
from fintech_toolkit.schema import Array


@dataclass(frozen=True)
class JoinKeys:
    """What a join looks at of one side.

    Attributes
    ----------
    ts : ndarray of int64
        UTC nanoseconds.
    time_kind : str
        Aware, naive or int, as are its times.
    rows : ndarray of int64 or None
        Where the rows are in the frame; None if all are and in its order.
    """

    ts: Array
    time_kind: str
    rows: Array | None

    def shifted(self, nanoseconds: int) -> Self:
        """Return the side at times so much later (earlier, if negative); none leaves what int64 holds."""
        return replace(self, ts=read_only(shifted(self.ts, nanoseconds))) if nanoseconds else self

    def in_frame(self, values: Array, rows: int, missing: Any) -> Array:
        """Return values of the rows that take part, in the places of these in a frame of so many rows."""
        if self.rows is None:
            return values
        everywhere = np.full(rows, missing, values.dtype)
        everywhere[self.rows] = values
        return everywhere

    def row_numbers(self, places: Array) -> Array:
        """Return which rows of the frame they are at some places; -1 stays what it is."""
        if self.rows is None or not len(self.rows):
            return places
        return np.where(places < 0, -1, self.rows.take(places, mode="clip"))


@dataclass(frozen=True)
class Side(JoinKeys):
    """Keys in the order of the frame.

    Attributes
    ----------
    codes : ndarray of uint32
        The symbol of every row, in a table that both sides share.
    in_time_order : bool
        Whether all rows are in time order, not only those of each symbol.
    """

    codes: Array
    in_time_order: bool

    def runs(self, symbols: int) -> Runs:
        """Return the same rows, those of each of so many symbols together, in the order of codes."""
        rows = len(self.ts)
        pieces = cut(rows, max(MORSEL, -(-rows // threads(rows or 1))))
        counts = np.zeros((len(pieces), symbols), np.int64)
        run_wavefront(len(pieces), [(False, lambda c: _count(self.codes[pieces[c]], counts[c]))])
        totals = counts.sum(axis=0)
        end = np.cumsum(totals)
        places = np.cumsum(counts, axis=0) - counts + (end - totals)
        order, ts = np.empty(rows, np.int64), np.empty(rows, np.int64)

        def place(c: int) -> None:
            at = pieces[c]
            _place(self.codes[at], self.ts[at], at.start, places[c], order, ts)

        run_wavefront(len(pieces), [(False, place)])
        return Runs(read_only(ts), self.time_kind, read_only(self.row_numbers(order)), end - totals, end)


@dataclass(frozen=True)
class Runs(JoinKeys):
    """Keys of which those of each symbol lie together: an index instead of codes.

    Attributes
    ----------
    begin, end : ndarray of int64
        Where the rows of each code are, in a table that both sides share.
    """

    begin: Array
    end: Array


def shifted(ts: Array, nanoseconds: int) -> Array:
    """Return times so much later (earlier, if negative), missing ones as they are; none leaves what int64 holds."""
    first, last = int(NAT) + 1, int(np.iinfo(np.int64).max)
    room = np.minimum(ts, last - nanoseconds) if nanoseconds > 0 else np.maximum(ts, first - nanoseconds)
    return np.where(ts == NAT, NAT, room + nanoseconds)


@compile_cached
def _count(codes, counts):  # type: ignore[no-untyped-def]
    for row in range(codes.shape[0]):
        counts[codes[row]] += 1


@compile_cached
def _place(codes, ts, first, places, order, grouped):  # type: ignore[no-untyped-def]
    """Put the rows of each symbol together, in their order, from the place of the symbol on."""
    for row in range(codes.shape[0]):
        k = places[codes[row]]
        places[codes[row]] = k + 1
        order[k] = first + row
        grouped[k] = ts[row]
