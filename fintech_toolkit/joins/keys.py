"""What a join looks at: the codes of symbols and the times of one side, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.engines.frames import NAT, Frame, require, times
from fintech_toolkit.engines.order import mark_disorder
from fintech_toolkit.engines.symbols import NULL, LocalCodes, Symbol, SymbolTable, encode
from fintech_toolkit.engines.wavefront import run_wavefront
from fintech_toolkit.errors import DataError
from fintech_toolkit.joins.options import AsOf
from fintech_toolkit.kernels.compilation import compile_cached
from fintech_toolkit.schema import Array

CHUNK = 1 << 20
"""Rows that are encoded at once: enough to make their distinct symbols cheap, few enough to keep all threads busy."""


@dataclass(frozen=True)
class Keys:
    """One side of a join.

    Attributes
    ----------
    codes : ndarray of uint32
        The symbol of every row, in a table that both sides share.
    ts : ndarray of int64
        UTC nanoseconds.
    kind : str
        Of the times: aware, naive or int.
    in_time_order : bool
        Whether all rows are in time order, not only those of each symbol.
    """

    codes: Array
    ts: Array
    kind: str
    in_time_order: bool


def read_keys(frame: Frame, options: AsOf, table: SymbolTable, side: str, first_row: int = 0) -> Keys:
    """Return the keys of a side, adding its symbols to the table.

    Parameters
    ----------
    frame : Frame
        The side.
    options : AsOf
        The names of its key columns.
    table : SymbolTable
        The symbols so far.
    side : str
        What the frame is called in errors.
    first_row : int
        The number of the frame's first row in errors.

    Raises
    ------
    ColumnError, DataError
        If a column is missing, has nulls or the wrong type, or time goes backwards within a symbol.
    """
    for name in options.keys:
        require(frame, name, f" in the {side} frame")
    try:
        ts, kind = _times(frame, options.on)
        codes = _codes(frame, options.by, table)
    except (DataError, pd.errors.OutOfBoundsDatetime) as error:
        raise DataError(f"In the {side} frame: {error}") from error
    check_symbols(options, table.symbols)
    in_time_order = bool(np.all(ts[1:] >= ts[:-1]))
    if not in_time_order or NAT in ts[:1] or codes.max(initial=0) == NULL:
        ok = np.ones(frame.rows, np.bool_)
        mark_disorder(codes, ts, np.full(len(table), NAT), ok)
        if not ok.all():
            row = int(np.argmin(ok))
            raise DataError(f"In the {side} frame: {_reason(options, table, codes, ts, row, row + first_row)}")
    return Keys(codes, ts, kind, in_time_order)


def _times(frame: Frame, name: str) -> tuple[Array, str]:
    column: Any = frame.column(name)
    if isinstance(column, pd.Series) and column.dtype == object and len(column):
        # Arrow would take naive times for UTC ones, and cut nanoseconds off.
        raise DataError(f"Column {name!r} holds Python objects; convert it with pandas.to_datetime(…, utc=True).")
    ts, kind = times(frame, name)
    return _read_only(ts), kind


def _read_only(values: Array) -> Array:
    # Columns come writable or not; one sort of array means one compiled loop.
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def _codes(frame: Frame, by: str | None, table: SymbolTable) -> Array:
    codes = np.zeros(frame.rows, np.uint32)
    if by is None:
        table.add("")
        return _read_only(codes)
    column: Any = frame.column(by)
    chunks = [slice(start, start + CHUNK) for start in range(0, frame.rows, CHUNK)] or [slice(0, 0)]
    local: list[Any] = [None] * len(chunks)
    lookup: list[Any] = [None] * len(chunks)

    def encode_chunk(c: int) -> None:
        at = chunks[c]
        local[c] = encode(column.iloc[at] if isinstance(column, pd.Series) else column[at], by)

    def number(c: int) -> None:
        values = local[c].values
        lookup[c] = np.append(table.codes(LocalCodes(np.arange(len(values)), values)), NULL)

    def translate(c: int) -> None:
        # Categories come with codes of 8 to 32 bits; one width, too, means one compiled loop.
        _translate(_read_only(local[c].codes.astype(np.int32, copy=False)), lookup[c], codes[chunks[c]])
        local[c] = None

    run_wavefront(len(chunks), [(False, encode_chunk), (True, number), (False, translate)])
    return _read_only(codes)


@compile_cached
def _translate(local, lookup, codes):  # type: ignore[no-untyped-def]
    for i in range(local.shape[0]):
        codes[i] = lookup[local[i]]  # -1, a null, is the last


def _reason(options: AsOf, table: SymbolTable, codes: Array, ts: Array, row: int, called: int) -> str:
    if codes[row] == NULL:
        return f"column {options.by!r} has no symbol at row {called}; drop such rows or fill them."
    who = "" if options.by is None else f" for symbol {table.symbols[codes[row]]!r}"
    if ts[row] == NAT:
        return f"column {options.on!r} has no time{who} at row {called}; drop such rows or fill them."
    now = pd.Timestamp(int(ts[row]), unit="ns")
    return f"column {options.on!r} goes backwards{who} at row {called} ({now}); sort the rows of a symbol by time."


def check_symbols(options: AsOf, symbols: list[Symbol]) -> None:
    """Raise if some symbols are strings and some integers.

    Raises
    ------
    DataError
        If so.
    """
    if len({type(symbol) for symbol in symbols}) > 1:
        raise DataError(
            f"Column {options.by!r} holds strings on one side and integers on the other; no symbol could match. "
            "Convert one."
        )


def check_kinds(options: AsOf, left: Keys, right: Keys) -> None:
    """Raise if one side has times of another kind than the other.

    Raises
    ------
    DataError
        If naive, aware and integer times are mixed.
    """
    if left.kind != right.kind:
        raise DataError(
            f"Column {options.on!r} holds {left.kind} times in the left frame and {right.kind} ones in the right; "
            "give both a time zone, as with .dt.tz_localize('UTC')."
        )
