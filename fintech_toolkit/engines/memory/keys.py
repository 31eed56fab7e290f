"""What a join looks at: the codes of symbols and the times of one side, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.memory.wavefront import cut, run_wavefront
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.asof import COMPLETE, AsOf
from fintech_toolkit.frames.order import mark_disorder
from fintech_toolkit.frames.symbols import CHUNK, NULL, SymbolTable, code_steps, read_only
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import Frame, require
from fintech_toolkit.schema import KNOWN_AT, Array


@dataclass(frozen=True)
class Keys:
    """One side of a join.

    Attributes
    ----------
    codes : ndarray of uint32
        The symbol of every row that takes part, in a table that both sides share.
    ts : ndarray of int64
        UTC nanoseconds.
    kind : str
        Of the times: aware, naive or int.
    in_time_order : bool
        Whether all rows are in time order, not only those of each symbol.
    rows : ndarray of int64 or None
        Where the rows that take part are in the frame; None if all do.
    """

    codes: Array
    ts: Array
    kind: str
    in_time_order: bool
    rows: Array | None


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
    side : {"left", "right"}
        Which it is.
    first_row : int
        The number of the frame's first row in errors.

    Raises
    ------
    ColumnError, DataError
        If a column is missing, has nulls or the wrong type, or time goes backwards within a symbol.
    """
    for name in options.keys(side):
        require(frame, name, f" in the {side} frame")
    time = options.time(side)
    try:
        ts, kind = times(frame, time, options.unit)
        codes = symbol_codes(frame, options.by, table)
        known = finished(frame, options, side)
    except DataError as error:
        raise DataError(f"In the {side} frame: {error}") from error
    rows = None
    if known is not None:
        rows = np.flatnonzero(known)
        codes, ts = codes[rows], ts[rows]
    in_time_order = bool(np.all(ts[1:] >= ts[:-1]))
    if not in_time_order or NAT in ts[:1] or codes.max(initial=0) == NULL:
        ok = np.ones(len(ts), np.bool_)
        mark_disorder(codes, ts, np.full(len(table), NAT), ok)
        if not ok.all():
            row = int(np.argmin(ok))
            called = first_row + (row if rows is None else int(rows[row]))
            raise DataError(f"In the {side} frame: {reason(options.by, time, table, codes, ts, row, called)}")
    return Keys(read_only(codes), read_only(ts), kind, in_time_order, rows)


def finished(frame: Frame, options: AsOf, side: str) -> Array | None:
    """Return which rows of a side take part because they are finished, None if all do.

    Of right those with a `known_at` that are not marked as incomplete, unless the options ask for all; of left, where
    that is the time that it is joined by, those with a `known_at`.
    """
    asked = options.time(side) == KNOWN_AT if side == "left" else not options.unfinished
    if not asked or KNOWN_AT not in frame.names:
        return None
    known: Array = times(frame, KNOWN_AT, options.unit)[0] != NAT
    if side == "right" and COMPLETE in frame.names:
        known &= _not_false(frame.column(COMPLETE))
    return None if known.all() else known


def _not_false(column: Any) -> Array:
    """Return where a column is not False; what does not hold booleans is a column of the user's own."""
    if isinstance(column, pd.Series):
        if not pd.api.types.is_bool_dtype(column.dtype):
            return np.ones(len(column), np.bool_)
        return column.to_numpy(np.bool_, na_value=True)
    if not pa.types.is_boolean(column.type):
        return np.ones(len(column), np.bool_)
    return np.asarray(column.fill_null(True).to_numpy(zero_copy_only=False), np.bool_)


def symbol_codes(frame: Frame, by: str | None, table: SymbolTable) -> Array:
    """Return the codes of a side's symbols, adding new ones to the table."""
    codes = np.zeros(frame.rows, np.uint32)
    if by is None:
        table.add("")
    else:
        chunks = cut(frame.rows, CHUNK)
        run_wavefront(len(chunks), code_steps(frame.column(by), by, table, chunks, codes))
    return codes


def reason(by: str | None, time: str, table: SymbolTable, codes: Array, ts: Array, row: int, called: int) -> str:
    """Say what is wrong with a row's keys; it is called by number `called`."""
    if codes[row] == NULL:
        return f"column {by!r} has no symbol at row {called}; drop such rows or fill them."
    who = "" if by is None else f" for symbol {table.symbols[codes[row]]!r}"
    if ts[row] == NAT:
        return f"column {time!r} has no time{who} at row {called}; drop such rows or fill them."
    now = pd.Timestamp(int(ts[row]), unit="ns")
    return f"column {time!r} goes backwards{who} at row {called} ({now}); sort the rows of a symbol by time."


def check_kinds(options: AsOf, left: str, right: str) -> None:
    """Raise if one side has times of another kind than the other.

    Raises
    ------
    DataError
        If naive, aware and integer times are mixed.
    """
    if left != right:
        here, there = options.time("left"), options.time("right")
        other = "" if here == there else f"column {there!r} "
        raise DataError(
            f"Column {here!r} holds {left} times in the left frame and {other}{right} ones in the right; "
            "give both a time zone, as with .dt.tz_localize('UTC')."
        )
