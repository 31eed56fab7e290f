"""Joins in memory with all rows of another feed near each row: what they come to within a window, or each pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from fintech_toolkit.engines.memory.horizon import known_later, with_known
from fintech_toolkit.engines.memory.join_keys import Side, shifted
from fintech_toolkit.engines.memory.sides import check_time_kinds, read_side
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.window_joins import Aggregate, Interval, WindowOptions
from fintech_toolkit.frames.symbol_table import SymbolTable
from fintech_toolkit.frames.times import times
from fintech_toolkit.frames.views import Frame, Joinable, joinable
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.schema import Array

_MOST = np.int64(np.iinfo(np.int64).max)


@compile_cached
def _ranges(codes, first, last, low, high, ends, ts, starts_at, ends_at):  # type: ignore[no-untyped-def]
    """Find for each row the places of its symbol that lie between two times, both included.

    Rows of a symbol are in time order, so `low` and `high`, where it was before, only go on.
    """
    for row in range(codes.shape[0]):
        code = codes[row]
        k = low[code]
        while k < ends[code] and ts[k] < first[row]:
            k += 1
        low[code] = k
        k = max(k, high[code])
        while k < ends[code] and ts[k] <= last[row]:
            k += 1
        high[code] = k
        starts_at[row] = low[code]
        ends_at[row] = k


@compile_cached
def _count(valid, starts, ends, out):  # type: ignore[no-untyped-def]
    for row in range(starts.shape[0]):
        for k in range(starts[row], ends[row]):
            out[row] += valid[k]


@compile_cached
def _sum_floats(values, valid, starts, ends, out):  # type: ignore[no-untyped-def]
    for row in range(starts.shape[0]):
        total = 0.0
        for k in range(starts[row], ends[row]):
            if valid[k]:
                total += values[k]
        out[row] = total


@compile_cached
def _sum_integers(values, valid, starts, ends, out):  # type: ignore[no-untyped-def]
    """Return the first row whose sum is beyond int64, -1 if none is."""
    for row in range(starts.shape[0]):
        total = 0
        for k in range(starts[row], ends[row]):
            if valid[k]:
                value = values[k]
                if (value > 0 and total > _MOST - value) or (value < 0 and total < -_MOST - 1 - value):
                    return row
                total += value
        out[row] = total
    return -1


@compile_cached
def _first(valid, starts, ends, backward, out):  # type: ignore[no-untyped-def]
    for row in range(starts.shape[0]):
        for n in range(ends[row] - starts[row]):
            k = ends[row] - 1 - n if backward else starts[row] + n
            if valid[k]:
                out[row] = k
                break


@compile_cached
def _extreme(ranks, valid, starts, ends, greatest, out):  # type: ignore[no-untyped-def]
    for row in range(starts.shape[0]):
        best = -1
        for k in range(starts[row], ends[row]):
            if valid[k] and (best < 0 or (ranks[k] > ranks[best] if greatest else ranks[k] < ranks[best])):
                best = k
        out[row] = best


class _Windows:
    """For each row of left that takes part the rows of right between two times, as places in `rows`."""

    def __init__(self, here: Side, there: Side, symbols: int, before: int, after: int) -> None:
        runs = there.runs(symbols)
        assert runs.rows is not None
        self.rows = runs.rows  # of the frame
        rows = len(here.ts)
        self.starts, self.ends = np.empty(rows, np.int64), np.empty(rows, np.int64)
        span = shifted(here.ts, -before), shifted(here.ts, after)
        pointers = runs.begin.copy(), runs.begin.copy()
        _ranges(here.codes, *span, *pointers, runs.end, runs.ts, self.starts, self.ends)


def windowed_frames(left: Joinable, right: Joinable, options: WindowOptions, right_first_row: int = 0) -> Any:
    """Join two frames in memory, each row with what right comes to within its window."""
    options.gives(left.names, right.names)  # complains about names
    sides = options.sides.resolved(left.names, right.names)
    result = left.append(aggregated(left, right, options, right_first_row))
    return known_later(left, result, sides, options.after)


def aggregated(left: Joinable, right: Joinable, options: WindowOptions, right_first_row: int = 0) -> dict[str, Any]:
    """Return the columns that windows come to, for each row of left."""
    sides = options.sides.resolved(left.names, right.names)
    here, there, symbols = _read_both(left, right, sides, right_first_row)
    windows = _Windows(here, there, symbols, options.before, options.after)
    return {one.name: _aggregate(one, windows, left.rows, right, here) for one in options.aggregates}


def _aggregate(one: Aggregate, windows: _Windows, rows: int, right: Joinable, here: Side) -> Any:
    span = windows.starts, windows.ends
    number = len(windows.starts)
    at = windows.rows

    def counted(valid: Array) -> Array:
        out = np.zeros(number, np.int64)
        _count(valid, *span, out)
        return out

    if one.what == "count":
        return here.in_frame(counted(_valid(right, one.column)[at]), rows, 0)
    if one.what in ("first", "last"):
        found = np.full(number, -1, np.int64)
        _first(_valid(right, one.column)[at], *span, one.what == "last", found)
    else:
        values, valid = (array[at] for array in _numbers(right, one.column, one.what))
        if one.what == "sum":
            return here.in_frame(_sum(one, values, valid, span), rows, 0)
        if one.what == "mean" and one.weight is None:
            return here.in_frame(_ratio(_sum(one, values, valid, span), counted(valid)), rows, np.nan)
        if one.what == "mean":
            assert one.weight is not None
            weights, weighed = (array[at] for array in _numbers(right, one.weight, "weight"))
            both, weights = valid & weighed, weights.astype(np.float64)
            total = _sum(one, values * weights, both, span)
            return here.in_frame(_ratio(total, _sum(one, weights, both, span)), rows, np.nan)
        found = np.empty(number, np.int64)
        _extreme(_ranks(values), valid, *span, one.what == "max", found)
    return right.taker(here.in_frame(np.append(at, -1)[found], rows, -1))(one.column)


def _sum(one: Aggregate, values: Array, valid: Array, span: tuple[Array, Array]) -> Array:
    out = np.empty(len(span[0]), values.dtype)
    if values.dtype == np.float64:
        _sum_floats(values, valid, *span, out)
        return out
    row = _sum_integers(values, valid, *span, out)
    if row >= 0:
        raise DataError(f"The sum of column {one.column!r} is beyond int64 in the window of row {row} of left.")
    return out


def _ratio(total: Array, weight: Array) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        result = total / weight
    result[np.isnan(result)] = np.nan  # of nothing; the bits of NaN are those of the processor otherwise
    return result


def _ranks(values: Array) -> Array:
    """Return integers that are in the same order."""
    if values.dtype == np.int64:
        return values
    bits = values.view(np.int64)
    return bits ^ ((bits >> 63) & np.iinfo(np.int64).max)


def _arrow(frame: Frame, name: str) -> Any:
    column = frame.column(name)
    if not isinstance(column, pa.Array | pa.ChunkedArray):
        column = pa.array(column, from_pandas=True)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _valid(frame: Frame, name: str) -> Array:
    """Return where a column has a value; NaN is none."""
    column = _arrow(frame, name)
    valid: Array = np.array(column.is_valid().to_numpy(zero_copy_only=False))
    if pa.types.is_floating(column.type):
        valid &= ~np.isnan(column.fill_null(0).to_numpy(zero_copy_only=False))
    return valid


def _numbers(frame: Frame, name: str, what: str) -> tuple[Array, Array]:
    """Return a column as int64 or float64, and where it has a value."""
    column = _arrow(frame, name)
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise DataError(f"Column {name!r} on the right must hold numbers for {what!r}, not {kind}.")
    whole = not pa.types.is_floating(kind)
    try:
        values = column.fill_null(False if pa.types.is_boolean(kind) else 0).cast(pa.int64() if whole else pa.float64())
    except pa.ArrowInvalid as error:
        raise DataError(f"Column {name!r} on the right holds numbers beyond int64 ({error}).") from error
    return np.array(values.to_numpy(zero_copy_only=False)), _valid(frame, name)


def interval_frames(left: Joinable, right: Joinable, options: Interval, right_first_row: int = 0) -> Any:
    """Join two frames in memory, all pairs that are near."""
    return paired(left, right, *pairs(left, right, options, right_first_row), options)


def _read_both(left: Joinable, right: Joinable, sides: AsOf, right_first_row: int) -> tuple[Side, Side, int]:
    """Return the keys of both sides, and how many symbols they have together."""
    table = SymbolTable()
    there = read_side(right, sides, table, "right", right_first_row)
    here = read_side(left, sides, table, "left")
    check_time_kinds(sides, here.time_kind, there.time_kind)
    return here, there, len(table)


def pairs(left: Joinable, right: Joinable, options: Interval, right_first_row: int = 0) -> tuple[Array, Array]:
    """Return the rows of left and of right that are near each other, in left's order, then right's."""
    options.names(left.names, right.names)  # complains about names
    sides = options.sides.resolved(left.names, right.names)
    here, there, symbols = _read_both(left, right, sides, right_first_row)
    windows = _Windows(here, there, symbols, options.before, options.after)
    counts = windows.ends - windows.starts
    begins = np.cumsum(counts) - counts
    places = np.arange(int(counts.sum())) + np.repeat(windows.starts - begins, counts)
    rows = np.arange(left.rows) if here.rows is None else here.rows
    return np.repeat(rows, counts), windows.rows[places]


def paired(left: Joinable, right: Joinable, here: Array, there: Array, options: Interval) -> Any:
    """Return rows of left beside rows of right. A pair is known when the later of both is."""
    sides = options.sides.resolved(left.names, right.names)
    ours, theirs = options.names(left.names, right.names)
    take = right.taker(there, some=False)
    taken = {called: take(name) for name, called in theirs.items()}
    repeated = joinable(left.take(here))
    result = repeated.rename(ours).append(taken)
    ts, kind = times(left, sides.time("left"), sides.unit)
    other, _ = times(right, sides.time("right"), sides.unit)
    return with_known(repeated, result, np.maximum(ts[here], other[there]), kind, sides)
