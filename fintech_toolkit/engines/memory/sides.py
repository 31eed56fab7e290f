"""The keys of one side of an as-of join: checked, or, of a live feed, with the rows put aside that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.memory.join_keys import Runs, Side
from fintech_toolkit.engines.memory.keys import Keys
from fintech_toolkit.engines.memory.runs import find_runs
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.asof import COMPLETE, AsOf
from fintech_toolkit.frames.order import mark_disorder
from fintech_toolkit.frames.symbol_table import SymbolTable
from fintech_toolkit.frames.symbols import NULL, LocalCodes, is_dictionary
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import Frame, require
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.schema import KNOWN_AT, Array


def read_right(frame: Frame, options: AsOf, table: SymbolTable, first_row: int = 0) -> Side | Runs:
    """Return the keys of the right side as `read_side` does, or as runs if the rows of each symbol lie together."""
    keys = _keys(frame, options, "right")
    whole = options.unfinished or KNOWN_AT not in frame.names
    coded = whole and options.by is not None and is_dictionary(frame.column(options.by))
    # Codes that the column has already need not be those of the table for runs to be seen.
    runs = None
    if coded:
        with _named("right"):
            local = keys.encode()
        runs = _runs(keys, table, local)
    if runs is None:
        _read(keys, frame, options, table, "right")
        runs = _runs(keys, table) if whole and not coded else None
    return _checked(keys, table, "right", first_row) if runs is None else runs


def _runs(keys: Keys, table: SymbolTable, local: LocalCodes | None = None) -> Runs | None:
    """Return where the rows of each symbol are; None if they do not lie together, or not all of them can be used."""
    codes, symbols = (keys.codes, len(table)) if local is None else (local.codes, len(local.values))
    starts = find_runs(codes, keys.ts, symbols)
    if starts is None:
        return None
    firsts = codes[starts]
    if local is not None:
        lookup = np.full(symbols + 1, NULL)
        table.number(LocalCodes(firsts, local.values), lookup)
        firsts = lookup[firsts]
    if NULL in firsts:  # a category may be missing itself
        return None
    begin = np.zeros(len(table), np.int64)
    end = begin.copy()
    begin[firsts], end[firsts] = starts, np.append(starts[1:], len(keys.ts))
    assert keys.time_kind is not None
    return Runs(read_only(keys.ts), keys.time_kind, None, begin, end)


def read_side(frame: Frame, options: AsOf, table: SymbolTable, side: str, first_row: int = 0) -> Side:
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
    keys = _keys(frame, options, side)
    _read(keys, frame, options, table, side)
    found = _checked(keys, table, side, first_row)
    return found.shifted(options.shift) if side == "left" else found


def _checked(keys: Keys, table: SymbolTable, side: str, first_row: int) -> Side:
    """Return the keys of a side that were read, or say why a row of them cannot be used."""
    in_time_order = keys.in_time_order()
    if not in_time_order:
        part = keys.ok.copy()
        wrong = _disorder(keys, part, table)
        for row in wrong[:1].tolist():
            raise DataError(f"In the {side} frame: {_why(keys, row, first_row + row, table)}")
    return _side(keys, in_time_order)


def sift_side(
    frame: Frame, options: AsOf, table: SymbolTable, side: str, watermark: int, latest: Array | None = None
) -> tuple[Side, dict[int, str]]:
    """Return the keys of those rows of a side that can be used, and which others cannot, and why.

    Parameters
    ----------
    frame, options, table, side
        As for `read_side`.
    watermark : int
        The latest time that the feed has reached; rows before are late.
    latest : ndarray of int64, optional
        For each row, the latest time that it may have.

    Raises
    ------
    ColumnError, DataError
        If a column is missing, or of a type that it cannot be.
    """
    keys = _keys(frame, options, side)
    _read(keys, frame, options, table, side)
    part = keys.ok.copy()
    keys.refuse_after(latest)
    late = (keys.ts < watermark) & (keys.ts != NAT)
    keys.ok &= ~late
    refused = {}
    for row in _disorder(keys, part, table).tolist():
        refused[row] = _why(keys, row, row, table)
        if late[row] and not keys.lack(row, ""):
            refused[row] = (
                f"column {keys.time!r} at row {row} is {pd.Timestamp(int(keys.ts[row]))}, but the {side} feed had "
                f"reached {pd.Timestamp(watermark)}; records of a partition come in time order"
            )
    return _side(keys, keys.in_time_order()), refused


def _keys(frame: Frame, options: AsOf, side: str) -> Keys:
    """Return the keys of a side, of which only the times are read."""
    for name in options.keys(side):
        require(frame, name, f" in the {side} frame")
    with _named(side):
        return Keys(frame, options.by, options.time(side), options.unit)


def _read(keys: Keys, frame: Frame, options: AsOf, table: SymbolTable, side: str) -> None:
    """Read the symbols too; those rows can be used, so far, that take part."""
    with _named(side):
        keys.read(table)
        known = finished(frame, options, side)
    if known is not None:
        keys.ok &= known


@contextmanager
def _named(side: str) -> Iterator[None]:
    """Say in errors which side they are about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"In the {side} frame: {error}") from error


def _disorder(keys: Keys, part: Array, table: SymbolTable) -> Array:
    """Return which of the rows that take part cannot be used, those included that are out of order."""
    mark_disorder(keys.codes, keys.ts, np.full(len(table), NAT), keys.ok)
    return np.flatnonzero(part & ~keys.ok)


def _why(keys: Keys, row: int, called: int, table: SymbolTable) -> str:
    """Say, as what follows a colon, why a row cannot be used; it is called by number `called`."""
    where = f"at row {called}"
    sentence = keys.lack(row, where, table) or keys.disorder(row, where, table)
    return sentence[0].lower() + sentence[1:]


def _side(keys: Keys, in_time_order: bool) -> Side:
    assert keys.time_kind is not None
    if keys.ok.all():
        return Side(read_only(keys.ts), keys.time_kind, None, read_only(keys.codes), in_time_order)
    rows = np.flatnonzero(keys.ok)
    return Side(read_only(keys.ts[rows]), keys.time_kind, rows, read_only(keys.codes[rows]), in_time_order)


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


def check_time_kinds(options: AsOf, left: str, right: str) -> None:
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
