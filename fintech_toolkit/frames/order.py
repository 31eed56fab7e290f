"""Event times must not go backwards within a symbol; across symbols they may. What is said where that is not so."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba.core import types

from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.symbols import NULL, LocalCodes, Symbol
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.scan.columns import read_only
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


def _advance_few(codes, ts, last):  # type: ignore[no-untyped-def]
    """Keep the times of rows as the last ones of their symbols, if all are in order; whether they are."""
    before = np.empty(codes.shape[0], np.int64)
    for i in range(codes.shape[0]):
        before[i] = last[codes[i]]
        if ts[i] == _NAT or ts[i] < before[i]:
            for j in range(i - 1, -1, -1):
                last[codes[j]] = before[j]
            return False
        last[codes[i]] = ts[i]
    return True


def _keep_few(codes, ts, last):  # type: ignore[no-untyped-def]
    for i in range(codes.shape[0]):
        last[codes[i]] = ts[i]


@compile_cached
def _in_order(codes, ts, ok, begin, end):  # type: ignore[no-untyped-def]
    """Whether some rows can be used and none is earlier than the one before it, whatever its symbol."""
    good = True  # by loops of one comparison each, which become vector instructions
    usable, symbols = ok[begin:end], codes[begin:end]
    for j in range(usable.shape[0]):
        good &= usable[j]
    for j in range(symbols.shape[0]):
        good &= symbols[j] != _NULL
    now, then = ts[max(begin, 1) : end], ts[max(begin, 1) - 1 : end - 1]
    for j in range(now.shape[0]):
        good &= now[j] >= then[j]
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


@compile_cached
def _none_earlier(now, then):  # type: ignore[no-untyped-def]
    good = True
    for j in range(now.shape[0]):
        good &= now[j] >= then[j]
    return good


def times_in_order(ts: Array, at: slice) -> bool:
    """Whether some rows all have a time, and none is earlier than the one before it, whatever its symbol."""
    first = max(at.start, 1)
    # A time that is missing is the least there is, so that it could only be the first.
    return NAT not in ts[at][:1] and bool(
        _none_earlier(read_only(ts[first : at.stop]), read_only(ts[first - 1 : at.stop - 1]))
    )


BLOCK = 1_024
"""Rows that are looked at together where the rows of a symbol lie together."""

SHORT = 64
"""Rows of a symbol that lie together, of fewer of which it does not pay to find where they begin."""


@compile_cached
def _run_starts(codes, width, ts, begin, end, starts):  # type: ignore[no-untyped-def]
    """Fill in where runs of one code start and return how many do: -1 if a run goes back in time, or there are more
    than there is room for. Codes come as bytes, so that one compiled loop does for all widths.
    """
    found = 0
    timed = ts.shape[0] > 0
    if begin == 0 and end > 0:
        starts[0] = 0
        found = 1
    for low in range(max(begin, 1), end, BLOCK):
        high = min(low + BLOCK, end)
        # Most blocks are within a run, which two loops of vector instructions show.
        changed, back = False, 0
        here, before = codes[low * width : high * width], codes[(low - 1) * width : (high - 1) * width]
        for j in range(here.shape[0]):
            changed |= here[j] != before[j]
        now, then = ts[low:high], ts[low - 1 : high - 1]
        for j in range(now.shape[0]):
            back += now[j] < then[j]
        if not changed and back == 0:
            continue
        for i in range(low, high):
            same = True
            for j in range(i * width, (i + 1) * width):
                same &= codes[j] == codes[j - width]
            if same and timed and ts[i] < ts[i - 1]:
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


class Order:
    """Whether rows are in order: looked at stretch by stretch, side by side, and then marked.

    Mostly all rows are in time order, or those of a symbol lie together. One pass proves either, which is less to do
    than to look symbol by symbol.

    Parameters
    ----------
    codes : ndarray of uint32
        Symbols, `NULL` where a row has none.
    ts : ndarray of int64
        Times; empty without any, when only symbols are checked.
    ok : ndarray of bool
        Which rows can be used, as far as is known; the others are passed over.
    """

    def __init__(self, codes: Array, ts: Array, ok: Array) -> None:
        self._codes, self._ts, self._ok = read_only(codes), read_only(ts), ok
        self._by_time: list[slice] = []
        self._by_run: list[Array] = []
        self._neither = False

    def look(self, at: slice) -> None:
        """Look at rows whose codes are known; the first of them is compared with the row before."""
        if self._neither:
            return
        if _in_order(self._codes, self._ts, self._ok, at.start, at.stop):
            self._by_time.append(at)
        elif len(self._ts) and self._ok[at].all():
            self._look_for_runs(at)
        else:
            self._neither = True

    def _look_for_runs(self, at: slice) -> None:
        starts = run_starts(self._codes, self._ts, at, 1 + (at.stop - at.start) // SHORT)
        if starts is None:
            self._neither = True
        else:
            self._by_run.append(starts)

    def mark(self, last: Array) -> None:
        """Clear `ok` where a row has no symbol or no time, or is earlier than a row of its symbol before it; when all
        rows were looked at. `last` holds the latest time of every symbol (the least int64 if none) and is advanced.
        """
        proved = self._proved_by_runs if self._by_run else self._proved_by_time
        if self._neither or not proved(last):
            _mark(self._codes, self._ts, last, self._ok)

    def _proved_by_time(self, last: Array) -> bool:
        if len(self._ts):
            if self._ts[0] == NAT or self._ts[0] < last.max(initial=NAT):
                return False
            _keep_last(self._codes, self._ts, last)
        return True

    def _proved_by_runs(self, last: Array) -> bool:
        for at in self._by_time:
            self._look_for_runs(at)
        starts = np.sort(np.concatenate(self._by_run))
        codes, ts = self._codes[starts], self._ts
        if self._neither or NULL in codes or len(np.unique(codes)) < len(codes):
            return False
        if NAT in ts[starts] or (ts[starts] < last[codes]).any():
            return False
        last[codes] = ts[np.append(starts[1:], len(ts)) - 1]
        return True


def mark_disorder(codes: Array, ts: Array, last: Array, ok: Array) -> None:
    """Do what `Order.mark` does for a few rows, or where nothing else has to be done with them meanwhile."""
    if len(codes) > len(last):
        order = Order(codes, ts, ok)
        order.look(slice(0, len(codes)))
        order.mark(last)
    else:
        _mark(read_only(codes), read_only(ts), last, ok)


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


def advance_few(codes: Array, ts: Array, last: Array) -> bool:
    """Do what `mark_few` and then `keep_few` do, if all rows are in order; otherwise nothing. Return whether they are.

    `ts` is contiguous.
    """
    return bool(_few()[2](codes, ts, last))


@cache
def _few() -> list[Any]:
    """Return `_mark_few`, `_keep_few` and `_advance_few`, compiled; they take columns that are read only and others."""
    codes, ts = (types.Array(kind, 1, "C", readonly=True) for kind in (types.uint32, types.int64))
    marked = compile_cached(_mark_few, (codes, ts, types.int64[::1], types.boolean[::1]))
    kept = compile_cached(_keep_few, (codes, ts, types.int64[::1]))
    advanced = compile_cached(_advance_few, (codes, ts, types.int64[::1]))
    return [compiled.get_overload(compiled.signatures[0]) for compiled in (marked, kept, advanced)]


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
