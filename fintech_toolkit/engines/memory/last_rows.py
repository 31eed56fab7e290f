"""Of each symbol the last row of a feed, found by symbol: what a join keeps of rows that later ones have replaced."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.frames.symbol_table import SymbolTable
from fintech_toolkit.frames.symbols import Symbol
from fintech_toolkit.frames.views import Joinable, joinable
from fintech_toolkit.schema import Array

FEW = 1_000
"""Rows that are appended before the whole is put together anew."""


class LastRows:
    """The last row of each symbol. One that is updated is another; the two share what has not changed.

    Rows lie in one frame, and those that came last in another, which is a quarter as long at most: so looking some
    symbols up costs what these cost, and a row is moved a few times however many symbols there are.
    """

    def __init__(self) -> None:
        self._table = SymbolTable()
        self._place = np.empty(0, np.int64)  # of a symbol's row, in the frames one after the other
        self._frames: tuple[Any, ...] = ()

    @property
    def symbols(self) -> list[Symbol]:
        """The symbols that have a row."""
        return self._table.symbols

    def updated(self, rows: Joinable, symbols: list[Symbol]) -> LastRows:
        """Return what is kept after new rows, one for each of some symbols."""
        result = LastRows()
        result._table = self._table.copy()
        codes = np.array([result._table.add(symbol) for symbol in symbols], np.int64)
        before = sum(map(len, self._frames))
        place = np.concatenate([self._place, np.zeros(len(result._table) - len(self._place), np.int64)])
        place[codes] = before + np.arange(rows.rows)
        result._place = place
        if len(self._frames) > 1:
            rows = joinable(joinable(self._frames[1]).concat([rows.frame]))
        result._frames = (*self._frames[:1], rows.frame)
        if self._frames and rows.rows > max(FEW, len(self._frames[0]) // 4):
            whole = joinable(joinable(self._frames[0]).concat([rows.frame]))
            order = np.argsort(place)
            result._frames = (whole.take(place[order]),)
            result._place[order] = np.arange(len(order))
        return result

    def of(self, symbols: list[Symbol]) -> list[Any]:
        """Return the rows of some symbols, as frames; those without a row are left out."""
        return self._taken(np.sort(self._place[self._table.indices_of(symbols)]))

    def all(self) -> list[Any]:
        """Return all rows, as frames."""
        return self._taken(np.sort(self._place))

    def _taken(self, places: Array) -> list[Any]:
        frames, start = [], 0
        for frame in self._frames:
            end = start + len(frame)
            first, last = np.searchsorted(places, [start, end])
            frames.append(joinable(frame).take(places[first:last] - start))
            start = end
        return frames
