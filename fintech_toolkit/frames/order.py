"""Event times must not go backwards within a symbol; across symbols they may. What is said where that is not so."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.symbols import NULL, LocalCodes, Symbol, read_only
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.scan.compilation import compile_cached
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


BLOCK = 1_024
"""Rows that are looked at together where the rows of a symbol lie together."""


@compile_cached
def _run_starts(codes, width, ts, begin, end, starts):  # type: ignore[no-untyped-def]
    """Fill in where runs of one code start and return how many do: -1 if a run goes back in time, or there are more
    than there is room for. Codes come as bytes, so that one compiled loop does for all widths.
    """
    found = 0
    if begin == 0 and end > 0:
        starts[0] = 0
        found = 1
    for low in range(max(begin, 1), end, BLOCK):
        high = min(low + BLOCK, end)
        # Most blocks are within a run, which two passes without a branch show.
        changed = np.uint8(0)
        for j in range(low * width, high * width):
            changed |= codes[j] ^ codes[j - width]
        back = False
        for i in range(low, high):
            back |= ts[i] < ts[i - 1]
        if not changed and not back:
            continue
        for i in range(low, high):
            same = True
            for j in range(i * width, (i + 1) * width):
                same &= codes[j] == codes[j - width]
            if same and ts[i] < ts[i - 1]:
                return -1
            if not same:
                if found == starts.shape[0]:
                    return -1
                starts[found] = i
                found += 1
    return found


def run_starts(codes: Array, ts: Array, at: slice, most: int) -> Array | None:
    """Return at which of some rows another code begins than that of the row before; None if there are more than `most`,
    or a row is earlier than the one before it and has the same code. Where no code comes twice, rows are in order then.
    """
    starts = np.empty(max(min(most, at.stop - at.start), 1), np.int64)
    as_bytes = np.ascontiguousarray(codes).view(np.uint8)
    found = _run_starts(read_only(as_bytes), codes.dtype.itemsize, read_only(ts), at.start, at.stop, starts)
    return None if found < 0 else starts[:found]


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
