"""The columns of which windows are computed, and what each aggregation makes of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.engines.memory import window_loops as loops
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.windows import OF_NUMBERS, Aggregate
from fintech_toolkit.frames.dtypes import dictionary
from fintech_toolkit.frames.views import Joinable, require
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.names import read_values
from fintech_toolkit.scan.scan import Scan
from fintech_toolkit.scan.steps import Read, Step
from fintech_toolkit.scan.values import MISSING, plain
from fintech_toolkit.schema import Array, check_domain

ALL = np.empty(0, np.bool_)
ROWS = ("first", "last", "min", "max")
"""Aggregations whose result is a value of one of the rows, so that it is taken from there as it is."""


@dataclass(frozen=True)
class Groups:
    """The windows of some rows.

    Attributes
    ----------
    codes, ts : ndarray
        The symbol and time of each row.
    symbols : int
        How many symbols there are.
    of : ndarray of int32
        The window of each row, -1 for none.
    first, last : ndarray of int64
        The first and last row of each window.
    start, end : ndarray of int64
        Of each window.
    """

    codes: Array
    ts: Array
    symbols: int
    of: Array
    first: Array
    last: Array
    start: Array
    end: Array

    def __len__(self) -> int:
        return len(self.start)

    def zeros(self, dtype: Any = np.int64) -> Array:
        """Return a zero for each window."""
        return np.zeros(len(self), dtype)

    def count(self, valid: Array = ALL) -> Array:
        """Return how many rows each window has that have a value: all of them, if `valid` is empty."""
        count = self.zeros()
        loops.count_rows(self.of, valid, count)
        return count


class WindowColumns:
    """The columns that aggregates read, checked.

    Parameters
    ----------
    view : Frame
        Where they are.
    aggregates : sequence of Aggregate
        What is computed of them.

    Raises
    ------
    ColumnError, DataError
        If one is not there, or is not of numbers where it must be.
    """

    def __init__(self, view: Joinable, aggregates: Sequence[Aggregate]) -> None:
        self._view, self.aggregates = view, aggregates
        self._order: Array | None = None
        self._numbers: dict[str, tuple[Array, Array]] = {}
        self._read: dict[Read, Array] = {}
        for each in aggregates:
            for name in each.reads:
                require(view, name)
            for read in [] if each.step is None else each.step.reads:
                what = f"Column {read.name!r}"
                values = read_values(view.column(read.name), read.dtype, what, nullable=read.nullable)
                check_domain(values, read.role, what)
                self._read[read] = values
            if each.how in OF_NUMBERS and each.column not in self._numbers:
                self._numbers[str(each.column)] = _numbers(view.column(str(each.column)), f"Column {each.column!r}")

    def sort(self, order: Array) -> None:
        """Have rows taken in another order."""
        self._order = order
        self._numbers = {name: (_in(v, order), _in(valid, order)) for name, (v, valid) in self._numbers.items()}
        self._read = {read: _in(values, order) for read, values in self._read.items()}

    def of(self, groups: Groups) -> list[Array]:
        """Return what each aggregate comes to in each window; for those of `ROWS`, in which row its value is."""
        return [self._one(each, groups) for each in self.aggregates]

    def finished(self, each: Aggregate, found: Array) -> Any:
        """Return what `of` has found as a column of the result."""
        if each.how in ROWS:
            return self.taken(str(each.column), found)
        if each.step is not None and each.step.kernel.integers:
            return pd.arrays.IntegerArray(found, found == MISSING)
        return found

    def taken(self, name: str, rows: Array) -> Any:
        """Return a column's values at rows, missing ones where a row is -1."""
        missing = rows < 0
        if self._order is not None:
            rows = np.where(missing, -1, np.append(self._order, -1)[rows])
        return self._view.taker(rows, some=bool(missing.any()))(name)

    def _one(self, each: Aggregate, groups: Groups) -> Array:
        if each.step is not None:
            return self._stepped(each.step, groups)
        name = str(each.column)
        if each.how in ("count", "first", "last"):
            valid = self._valid(name)
            if each.how == "count":
                return groups.count(valid)
            if not len(valid):
                return groups.first if each.how == "first" else groups.last
            at = groups.zeros() - 1
            loops.edge(groups.of, valid, each.how == "last", at)
            return at
        if each.how == "nunique":
            codes = _in(value_codes(self._view.column(name), name), self._order)
            seen, count = np.full(int(codes.max(initial=-1)) + 1, -1), groups.zeros()
            loops.distinct(*_by_window(groups), read_only(codes), seen, count)
            return count
        values, valid = self._numbers[name]
        whole = values.dtype.kind == "i"
        if each.how in ("min", "max"):
            best, at = groups.zeros(values.dtype), groups.zeros() - 1
            if whole:
                loops.best_whole(groups.of, values, valid, each.how == "max", best, at)
            else:
                loops.best_floats(groups.of, values, each.how == "max", best, at)
            return at
        if each.how == "sum" and whole:
            total = groups.zeros()
            row = loops.sum_whole(groups.of, values, valid, total)
            if row >= 0:
                row = row if self._order is None else int(self._order[row])
                raise DataError(
                    f"Column {name!r}: the sum of a window leaves int64 at row {row}; have it summed as "
                    "astype('float64')."
                )
            return total
        return _of_floats(str(each.how), _as_floats(values, valid), groups)

    def _valid(self, name: str) -> Array:
        """Return where a column has a value; empty if everywhere."""
        column = self._view.column(name)
        if isinstance(column, pd.Series):
            valid = column.notna().to_numpy()
        else:
            valid = pc.invert(pc.is_null(column, nan_is_null=True)).to_numpy(zero_copy_only=False)
        return ALL if valid.all() else read_only(_in(valid, self._order))

    def _stepped(self, step: Step, groups: Groups) -> Array:
        """Return a step's values in the last rows of windows, each of which is to it a session of its own."""
        columns, of, last = [self._read[read] for read in step.reads], groups.of, groups.last
        codes, ts = groups.codes, groups.ts
        inside = of >= 0
        if not inside.all():
            rows = np.flatnonzero(inside)
            columns, of, codes, ts = [values[rows] for values in columns], of[rows], codes[rows], ts[rows]
            last = np.cumsum(inside)[last] - 1
        scan = Scan(step, session=True)
        values: Array = scan.run(scan.fresh(), groups.symbols, codes, of.astype(np.int64), ts, columns)[0][last]
        return values


def _numbers(column: Any, what: str) -> tuple[Array, Array]:
    """Return a column as int64 or, with NaN where a value is missing, float64; and where whole numbers are there (empty
    if everywhere).
    """
    values, missing = plain(column, what, "numbers")
    kind = values.dtype.kind
    if kind not in "biuf":
        first = f"; its first value is {values[:1].tolist()[0]!r}" if len(values) else ""
        raise DataError(f"{what} must hold numbers, not {values.dtype}{first}.")
    if missing is not None and not missing.any():
        missing = None
    if kind == "f":
        floats = values.astype(np.float64, copy=False)
        return read_only(floats if missing is None else np.where(missing, np.nan, floats)), ALL
    if values.dtype == np.uint64 and (large := values > np.iinfo(np.int64).max).any():
        row = int(np.argmax(large))
        raise DataError(f"{what} holds {values[row]} at row {row}, more than int64 can.")
    return read_only(values.astype(np.int64, copy=False)), ALL if missing is None else read_only(~missing)


def _as_floats(values: Array, valid: Array) -> Array:
    floats = values.astype(np.float64, copy=False)
    return read_only(np.where(valid, floats, np.nan) if len(valid) else floats)


def _of_floats(how: str, values: Array, groups: Groups) -> Array:
    if how == "median":
        result = np.empty(len(groups))
        loops.medians(*_by_window(groups), values, result)
        return result
    count, total, lost = groups.zeros(), groups.zeros(np.float64), groups.zeros(np.float64)
    loops.sum_floats(groups.of, values, count, total, lost)
    with np.errstate(all="ignore"):
        total = np.where(np.isfinite(lost), total + lost, total)
        if how == "sum":
            return total
        mean = total / count
        if how == "mean":
            return mean
        squares = groups.zeros(np.float64)
        loops.sum_squares(groups.of, values, mean, squares)
        variance: Array = np.where(count > 1, squares / (count - 1), np.nan)
        return variance if how == "var" else np.sqrt(variance)


def _by_window(groups: Groups) -> tuple[Array, Array]:
    """Return the rows of one window after the other, and where those of each end."""
    count = groups.count()
    ends = np.cumsum(count) - count
    rows = np.empty(int(count.sum()), np.int64)
    loops.by_window(groups.of, ends, rows)
    return rows, ends


def value_codes(column: Any, name: str) -> Array:
    """Return a number for each value of a column, equal for equal ones, -1 for a missing one."""
    try:
        codes: Array
        if isinstance(column, pd.Series):
            codes = pd.factorize(column)[0]
            return codes.astype(np.int64)
        if pa.types.is_floating(column.type):
            codes = pd.factorize(column.to_pandas())[0]
            return codes.astype(np.int64)
        codes = dictionary(column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column]))[0]
        return codes.astype(np.int64)
    except (TypeError, pa.ArrowException) as error:
        raise DataError(f"Column {name!r} holds values that cannot be told apart ({error}).") from error


def _in(values: Array, order: Array | None) -> Array:
    return values if order is None or not len(values) else read_only(values[order])
