"""What a join looks at: the codes of symbols and the times of one side, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fintech_toolkit.engines.frames import NAT, Frame, require, times
from fintech_toolkit.engines.order import mark_disorder
from fintech_toolkit.engines.symbols import CHUNK, NULL, SymbolTable, code_steps, read_only
from fintech_toolkit.engines.wavefront import cut, run_wavefront
from fintech_toolkit.errors import DataError
from fintech_toolkit.joins.options import AsOf
from fintech_toolkit.schema import Array


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
        ts, kind = times(frame, options.on)
        codes = _codes(frame, options.by, table)
    except DataError as error:
        raise DataError(f"In the {side} frame: {error}") from error
    in_time_order = bool(np.all(ts[1:] >= ts[:-1]))
    if not in_time_order or NAT in ts[:1] or codes.max(initial=0) == NULL:
        ok = np.ones(frame.rows, np.bool_)
        mark_disorder(codes, ts, np.full(len(table), NAT), ok)
        if not ok.all():
            row = int(np.argmin(ok))
            raise DataError(f"In the {side} frame: {_reason(options, table, codes, ts, row, row + first_row)}")
    return Keys(codes, read_only(ts), kind, in_time_order)


def _codes(frame: Frame, by: str | None, table: SymbolTable) -> Array:
    codes = np.zeros(frame.rows, np.uint32)
    if by is None:
        table.add("")
    else:
        chunks = cut(frame.rows, CHUNK)
        run_wavefront(len(chunks), code_steps(frame.column(by), by, table, chunks, codes))
    return read_only(codes)


def _reason(options: AsOf, table: SymbolTable, codes: Array, ts: Array, row: int, called: int) -> str:
    if codes[row] == NULL:
        return f"column {options.by!r} has no symbol at row {called}; drop such rows or fill them."
    who = "" if options.by is None else f" for symbol {table.symbols[codes[row]]!r}"
    if ts[row] == NAT:
        return f"column {options.on!r} has no time{who} at row {called}; drop such rows or fill them."
    now = pd.Timestamp(int(ts[row]), unit="ns")
    return f"column {options.on!r} goes backwards{who} at row {called} ({now}); sort the rows of a symbol by time."


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
