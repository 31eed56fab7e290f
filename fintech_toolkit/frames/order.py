"""Event times must not go backwards within a symbol; across symbols they may. What is said where that is not so."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba.core import types

from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.symbols import NULL, LocalCodes, Symbol, read_only
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.scan import as_taken
from fintech_toolkit.schema import Array

_NAT, _NULL = int(NAT), int(NULL)


@compile_cached
def _mark(codes, ts, last, ok):  # type: ignore[no-untyped-def]
    for i in range(codes.shape[0]):
        code = codes[i]
        if not ok[i]:
            continue
        if code == _NULL:
            ok[i] = False
        elif ts.shape[0] > 0:
            if ts[i] == _NAT or ts[i] < last[code]:
                ok[i] = False
            else:
                last[code] = ts[i]


def _mark_few(codes, ts, last, ok):  # type: ignore[no-untyped-def]
    """Do what `_mark` does, and leave the last times as they were."""
    before = np.empty(codes.shape[0], np.int64)
    for i in range(codes.shape[0]):
        code = codes[i]
        if not ok[i]:
            continue
        before[i] = last[code]
        if ts[i] == _NAT or ts[i] < last[code]:
            ok[i] = False
        else:
            last[code] = ts[i]
    for i in range(codes.shape[0] - 1, -1, -1):
        if ok[i]:
            last[codes[i]] = before[i]


def _keep_few(codes, ts, last):  # type: ignore[no-untyped-def]
    for i in range(codes.shape[0]):
        last[codes[i]] = ts[i]


@compile_cached
def _in_order(codes, ts, ok):  # type: ignore[no-untyped-def]
    """Whether all rows can be used and are in time order, not only those of each symbol."""
    good = True
    for i in range(codes.shape[0]):
        good &= ok[i] & (codes[i] != _NULL)
    for i in range(1, ts.shape[0]):
        good &= ts[i] >= ts[i - 1]
    return good


@compile_cached
def _keep_last(codes, ts, last):  # type: ignore[no-untyped-def]
    """Keep the last time of each symbol, found from the end, where most are soon found."""
    found = np.zeros(last.shape[0], np.bool_)
    left = last.shape[0]
    for i in range(codes.shape[0] - 1, -1, -1):
        code = codes[i]
        if not found[code]:
            found[code] = True
            last[code] = ts[i]
            left -= 1
            if left == 0:
                break


def mark_disorder(codes: Array, ts: Array, last: Array, ok: Array) -> None:
    """Clear `ok` where a row has no symbol or no time, or is earlier than a row of its symbol before it.

    A row whose `ok` is clear already is passed over. `last` holds the latest time of every symbol (the least int64 if
    none) and is advanced; without times (`ts` empty) only symbols are checked.
    """
    codes, ts = read_only(codes), read_only(ts)
    # One pass over the times mostly shows that all are in order, which is less to do than to look symbol by symbol
    # where there are more rows than symbols.
    if len(ts) > len(last) and ts[0] != NAT and ts[0] >= last.max(initial=NAT) and _in_order(codes, ts, ok):
        _keep_last(codes, ts, last)
    else:
        _mark(codes, ts, last, ok)


def keep_few(codes: Array, ts: Array, last: Array) -> None:
    """Keep the times of rows that `mark_few` has found in order as the last ones of their symbols."""
    if len(ts):
        _few()[1](codes, as_taken(ts, last.dtype), last)


def mark_few(codes: Array, ts: Array, last: Array, ok: Array) -> None:
    """Clear `ok` as `mark_disorder` does, for rows that are few among the symbols, all of which are known: without a
    copy of the last times, which are as they were afterwards.
    """
    if len(ts):
        _few()[0](codes, as_taken(ts, last.dtype), last, ok)


@cache
def _few() -> list[Any]:
    """Return `_mark_few` and `_keep_few`, compiled; they take columns that are read only and others."""
    codes, ts = (types.Array(kind, 1, "C", readonly=True) for kind in (types.uint32, types.int64))
    marked = compile_cached(_mark_few, (codes, ts, types.int64[::1], types.boolean[::1]))
    kept = compile_cached(_keep_few, (codes, ts, types.int64[::1]))
    return [compiled.get_overload(compiled.signatures[0]) for compiled in (marked, kept)]


def no_symbol(column: str | None, where: str) -> str:
    """Say that a row has no symbol."""
    return f"Column {column!r} has no symbol {where}; drop such rows or fill them."


def no_time(column: str | None, where: str, symbol: Symbol | None = None) -> str:
    """Say that a row, perhaps of a symbol, has no time."""
    who = "" if symbol is None else f" for symbol {symbol!r}"
    return f"Column {column!r} has no time{who} {where}; drop such rows or fill them."


def backwards(column: str | None, symbol: Symbol | None, where: str, time: Any, remedy: str = "") -> str:
    """Say that a row is earlier than one of its symbol before it; without a symbol, than any before it."""
    who = "" if symbol is None else f" for symbol {symbol!r}"
    return f"Column {column!r} goes backwards{who} {where} ({time}); sort the rows of a symbol by time{remedy}."


def check_present(local: LocalCodes, column: str, place: str = "") -> None:
    """Raise if a row has no symbol.

    Raises
    ------
    DataError
        That names the first, and the `place` of its frame if there are several.
    """
    if len(local.codes) and local.codes.min() < 0:
        raise DataError(no_symbol(column, f"at row {int(np.argmin(local.codes))}{place}"))
