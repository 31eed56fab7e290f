"""The keys of a frame, for pipelines and joins alike: symbols and times of its rows, and why some cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.engines.memory import wavefront
from fintech_toolkit.engines.memory.wavefront import cut, run_wavefront
from fintech_toolkit.frames.order import Order, backwards, mark_disorder, mark_few, no_symbol, no_time
from fintech_toolkit.frames.symbol_table import CHUNK, SymbolTable, code_steps
from fintech_toolkit.frames.symbols import NULL, LocalCodes, Symbol, encode, is_dictionary
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import Frame, wrap
from fintech_toolkit.schema import Array

NO_TIME = np.empty(0, np.int64)

FEW = 1024
"""Rows up to which a column of known symbols is not worth encoding."""


class Keys:
    """The columns of symbols and times of a frame, which has them.

    Times are read at once; symbols are given codes stretch by stretch (`read`), in a table for each.

    Parameters
    ----------
    view : Frame
        Where the columns are.
    symbol, time : str or None
        Their names; None if all rows are of one symbol, or in order without times.
    unit : str or None
        Of integer times.
    encoded : LocalCodes, optional
        The column of symbols, if its codes are known already.

    Attributes
    ----------
    codes : ndarray of uint32
        `NULL` where a row has no symbol.
    ts : ndarray of int64
        UTC nanoseconds, `NAT` where a row has no time; empty without a column of times.
    time_kind : str or None
        Aware, naive or int, as are its times.
    ok : ndarray of bool
        Which rows can be used, as far as they have been looked at.

    Raises
    ------
    DataError
        If the column of times does not hold them.
    """

    def __init__(
        self,
        view: Frame,
        symbol: str | None,
        time: str | None,
        unit: str | None,
        encoded: LocalCodes | None = None,
    ) -> None:
        self.view = view
        self.symbol = symbol
        self.time = time
        self.ts: Array = NO_TIME
        self.time_kind: str | None = None
        if time is not None:
            self.ts, self.time_kind = times(view, time, unit)
        self._latest: Array | None = None
        self._encoded = encoded

    # What may not be needed takes no memory.
    @cached_property
    def codes(self) -> Array:
        return (np.zeros if self.symbol is None else np.empty)(self.view.rows, np.uint32)

    @cached_property
    def ok(self) -> Array:
        return np.ones(self.view.rows, np.bool_)

    @cached_property
    def _column(self) -> Any:
        assert self.symbol is not None
        return self.view.column(self.symbol)

    def refuse_after(self, latest: Array | None) -> None:
        """Refuse the rows after the latest time that each may have: one beyond would make all that follow late."""
        if latest is not None and self.time is not None:
            self._latest = latest
            self.ok &= self.ts <= latest

    def encode(self) -> LocalCodes | None:
        """Encode the column of symbols at once, for several looks at it; return it, if there is one."""
        if self.symbol is not None:
            self._encoded = encode(self._column, self.symbol)
        return self._encoded

    def read(self, table: SymbolTable) -> None:
        """Give the symbols of all rows their codes in a table, which learns new ones.

        Raises
        ------
        DataError
            If the column does not hold symbols, or of another kind than those in the table.
        """
        chunks = cut(self.view.rows, CHUNK)
        run_wavefront(len(chunks), self._code_steps(table, chunks))

    def read_in_order(self, table: SymbolTable, at: slice, last: Array) -> Array | None:
        """Give the symbols of some rows their codes, and refuse rows that are out of order.

        Parameters
        ----------
        table : SymbolTable
            The symbols so far; it learns new ones.
        at : slice
            The rows.
        last : ndarray of int64
            The latest time of every symbol so far, `NAT` if none.

        Returns
        -------
        ndarray of int64 or None
            The latest times after these rows; None if they are those before but for the times of these rows, which are
            few among the symbols.

        Raises
        ------
        DataError
            As `read`.
        """
        rows = at.stop - at.start
        if self._encoded is None and rows <= FEW:
            if rows < len(last) == len(table) and (found := self._known(table, at)) is not None:
                self.codes[at] = found
                mark_few(found, self.ts[at], last, self.ok[at])
                return None
            if self.symbol is not None and (found := table.learn(self._values(at))) is not None:
                self.codes[at] = found
                after = _lengthened(last, len(table))
                mark_disorder(self.codes[at], self.ts[at], after, self.ok[at])
                return after
        coded = self.symbol is None or self._encoded is not None or is_dictionary(self._column)
        chunks = cut(rows, wavefront.MORSEL if coded else CHUNK, at.start)
        steps = self._code_steps(table, chunks)
        if len(chunks) == 1:
            run_wavefront(1, steps)
            after = _lengthened(last, len(table))
            mark_disorder(self.codes[at], self.ts[at], after, self.ok[at])
            return after
        order = Order(self.codes[at], self.ts[at], self.ok[at])
        looks = cut(rows, chunks[0].stop - chunks[0].start)
        run_wavefront(len(chunks), [*steps, (False, lambda c: order.look(looks[c]))])
        after = _lengthened(last, len(table))
        order.mark(after)
        return after

    def _known(self, table: SymbolTable, at: slice) -> Array | None:
        return self.codes[at] if self.symbol is None else table.known(self._values(at))

    def _values(self, at: slice) -> Any:
        assert self.symbol is not None
        values = self.view.values(self.symbol)
        if (at.start, at.stop) == (0, self.view.rows):
            return values
        return values.iloc[at] if isinstance(values, pd.Series) else values[at]

    def _code_steps(self, table: SymbolTable, chunks: list[slice]) -> list[tuple[bool, Callable[[int], None]]]:
        if self.symbol is None:
            if chunks[-1].stop > chunks[0].start:
                table.add("")
            return []
        places = [self.codes[chunk] for chunk in chunks]
        return code_steps(self._column, self.symbol, table, chunks, places.__getitem__, self._encoded)

    def in_time_order(self) -> bool:
        """Whether all rows that can be used have a symbol and a time, and all are in time order, not only those of
        each symbol: then none is out of order, which costs less to see than `read` takes to look symbol by symbol.
        """
        ts, codes = (self.ts, self.codes) if self.ok.all() else (self.ts[self.ok], self.codes[self.ok])
        return bool(np.all(ts[1:] >= ts[:-1])) and NAT not in ts[:1] and codes.max(initial=0) != NULL

    def lack(self, row: int, where: str, table: SymbolTable | None = None) -> str | None:
        """Return what is wrong with the key of a row by itself, None if nothing is: it has no symbol, no time (of a
        symbol, which the table tells), or a time that is too far ahead.
        """
        if self.codes[row] == NULL:
            return no_symbol(self.symbol, where)
        if len(self.ts) and self.ts[row] == NAT:
            return no_time(self.time, where, None if table is None else self._symbol(table, row))
        if self._latest is not None and self.ts[row] > self._latest[row]:
            return (
                f"Column {self.time!r} {where} is {pd.Timestamp(int(self.ts[row]))}, and may be "
                f"{pd.Timestamp(int(self._latest[row]))} at most, judged by when its record was written; ahead= says "
                "how far it may be ahead."
            )
        return None

    def disorder(self, row: int, where: str, table: SymbolTable) -> str:
        """Return that a row is out of order."""
        return backwards(self.time, self._symbol(table, row), where, pd.Timestamp(int(self.ts[row])))

    def _symbol(self, table: SymbolTable, row: int) -> Symbol | None:
        return None if self.symbol is None else table.symbols[self.codes[row]]


def _lengthened(last: Array, symbols: int) -> Array:
    """Return a copy of the latest times that has room for new symbols."""
    return np.concatenate([last, np.full(symbols - len(last), NAT)])


def symbols_of(frame: Any, symbol: str | None) -> list[Symbol]:
    """Return the symbols of a frame's rows."""
    if symbol is None:
        return [""]
    local = encode(wrap(frame).column(symbol), symbol)
    used = np.zeros(len(local.values) + 1, np.bool_)
    used[local.codes] = True
    return [value for value, there in zip(local.values, used[:-1], strict=True) if there and value is not None]
