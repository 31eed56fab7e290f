"""Columns that data really brings and that code forgets: one table, run through every entrance.

Each has a maker (rows -> column) and what must come of it: an error of ours that names the column, and the row where
one is bad (`refused`), or `values`, the floats that it stands for; where `refused` is None, either. Anything else is
wrong: a raw error of another library, or numbers that the column does not hold.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

BAD_ROW = 3
"""The row at which a column is bad that is good elsewhere; makers take more rows than that."""

BIG = 2**53 + 1
"""The first integer that float64 cannot hold."""


@dataclass(frozen=True)
class Column:
    """A maker of a column, the role it plays, and what must come of it."""

    make: Callable[[int], Any]
    role: str = "number"
    row: int | None = None
    values: Callable[[int], Any] | None = None
    refused: bool | None = False


def _with(values: list[Any], bad: Any) -> list[Any]:
    values[BAD_ROW] = bad
    return values


def _floats(rows: int) -> Any:
    return np.arange(rows, dtype=np.float64)


def _holed(rows: int) -> Any:
    values = _floats(rows)
    values[BAD_ROW] = np.nan
    return values


def _objects(values: list[Any]) -> Any:
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result


def refused(make: Callable[[int], Any], row: int | None = None) -> Column:
    return Column(make, row=row, refused=True)


def read_as(make: Callable[[int], Any], values: Callable[[int], Any] = _floats) -> Column:
    return Column(make, values=values)


def either(make: Callable[[int], Any], values: Callable[[int], Any] = _floats) -> Column:
    return Column(make, values=values, refused=None)


NUMBERS: dict[str, Column] = {
    "strings": refused(lambda n: np.array([str(j) for j in range(n)])),
    "pandas strings": refused(lambda n: pd.Series([str(j) for j in range(n)], dtype="str")),
    "bytes": refused(lambda n: np.array([b"%d" % j for j in range(n)])),
    "surrogates": refused(lambda n: _objects(["\ud800"] * n)),
    "complex": refused(lambda n: np.arange(n) * 1j),
    "times": refused(lambda n: pd.Series(pd.date_range("2024", periods=n, unit="ns"))),
    "times with a zone": refused(lambda n: pd.Series(pd.date_range("2024", periods=n, tz="UTC", unit="ns"))),
    "durations": refused(lambda n: np.arange(n).astype("m8[ns]")),
    "pandas durations": refused(lambda n: pd.Series(np.arange(n).astype("m8[ns]"))),
    "periods": refused(lambda n: pd.Series(pd.period_range("2024-01", periods=n, freq="D"))),
    "intervals": refused(lambda n: pd.Series(pd.interval_range(0, n))),
    "categories of strings": refused(lambda n: pd.Series(pd.Categorical([str(j) for j in range(n)]))),
    "records": refused(lambda n: np.zeros(n, [("a", "f8"), ("b", "f8")])),
    "lists": refused(lambda n: _objects([[1.0]] * n)),
    "dates": refused(lambda n: _objects([datetime.date(2024, 1, 1)] * n)),
    "mixed objects": refused(lambda n: _objects(_with([float(j) for j in range(n)], "three")), BAD_ROW),
    "an arrow string column": refused(lambda n: pa.array([str(j) for j in range(n)])),
    "arrow lists": refused(lambda n: pa.array([[1.0]] * n)),
    "big int64": refused(lambda n: np.array(_with(list(range(n)), BIG)), BAD_ROW),
    "big negative int64": refused(lambda n: np.array(_with(list(range(n)), -BIG)), BAD_ROW),
    "big uint64": refused(lambda n: np.array(_with(list(range(n)), 2**64 - 1), np.uint64), BAD_ROW),
    "big Int64 with NA": refused(lambda n: pd.Series(_with([pd.NA, *range(1, n)], BIG), dtype="Int64"), BAD_ROW),
    "big arrow int64": refused(lambda n: pa.array(_with(list(range(n)), BIG)), BAD_ROW),
    "big arrow int64 with nulls": refused(lambda n: pa.array(_with([None, *range(1, n)], BIG)), BAD_ROW),
    "big arrow int64 in chunks": refused(
        lambda n: pa.chunked_array([pa.array([0, 1]), pa.array(_with(list(range(n)), BIG)[2:])]), BAD_ROW
    ),
    "big Python integers": refused(lambda n: _objects(_with(list(range(n)), BIG)), BAD_ROW),
    "Python integers beyond int64": refused(lambda n: _objects(_with(list(range(n)), 10**30 + 1)), BAD_ROW),
    "big pandas arrow int64": refused(lambda n: pd.Series(_with(list(range(n)), BIG), dtype="int64[pyarrow]"), BAD_ROW),
    "Int64": read_as(lambda n: pd.Series(range(n), dtype="Int64")),
    "Int64 with NA": read_as(lambda n: pd.Series(_with(list(range(n)), pd.NA), dtype="Int64"), _holed),
    "Float64 with NA": read_as(lambda n: pd.Series(_with(list(_floats(n)), pd.NA), dtype="Float64"), _holed),
    "boolean with NA": read_as(
        lambda n: pd.Series(_with([False] * n, pd.NA), dtype="boolean"), lambda n: _holed(n) * 0
    ),
    "arrow int64 with nulls": read_as(lambda n: pa.array(_with(list(range(n)), None)), _holed),
    "arrow chunks": read_as(lambda n: pa.chunked_array([pa.array(_floats(n)[:2]), pa.array(_floats(n)[2:])])),
    "arrow nulls": read_as(pa.nulls, lambda n: np.full(n, np.nan)),
    "decimals": read_as(lambda n: pa.array([decimal.Decimal(j) for j in range(n)])),
    "uint64": read_as(lambda n: np.arange(n, dtype=np.uint64)),
    "int8": read_as(lambda n: np.arange(n, dtype=np.int8)),
    "float16": read_as(lambda n: np.arange(n, dtype=np.float16)),
    "longdouble": read_as(lambda n: np.arange(n, dtype=np.longdouble)),
    "big-endian": read_as(lambda n: np.arange(n, dtype=">f8")),
    "big-endian integers": read_as(lambda n: np.arange(n, dtype=">i4")),
    "strided": read_as(lambda n: np.repeat(_floats(n), 2)[::2]),
    "backwards": read_as(lambda n: _floats(n)[::-1].copy()[::-1]),
    "read-only": read_as(lambda n: np.frombuffer(_floats(n).tobytes())),
    "the biggest integer": read_as(
        lambda n: np.array(_with(list(range(n)), 2**53)), lambda n: np.array(_with(list(range(n)), 2**53), "f8")
    ),
    "masked": read_as(lambda n: np.ma.masked_array(_floats(n), mask=np.arange(n) == BAD_ROW), _holed),
    "sparse": either(lambda n: pd.Series(pd.arrays.SparseArray(_floats(n)))),
    "categories of numbers": either(lambda n: pd.Series(pd.Categorical(_floats(n)))),
    "Python numbers": either(lambda n: _objects(list(_floats(n)))),
    "Python numbers and None": either(lambda n: _objects(_with(list(_floats(n)), None)), _holed),
    "Python numbers and NA": either(lambda n: _objects(_with(list(_floats(n)), pd.NA)), _holed),
    "Python decimals": either(lambda n: _objects([decimal.Decimal(j) for j in range(n)])),
    "fractions": either(lambda n: _objects([fractions.Fraction(j) for j in range(n)])),
    "an arrow dictionary of numbers": either(lambda n: pa.array(_floats(n)).dictionary_encode()),
    "arrow half floats": either(lambda n: pa.array(np.arange(n, dtype=np.float16))),
}

SECOND = 1_000_000_000
DAY = 1_704_189_598 * SECOND


def _instants(rows: int) -> Any:
    return DAY + SECOND * np.arange(rows)


TIMES: dict[str, Column] = {
    name: Column(column.make, "time", column.row, refused=True)
    for name, column in {
        "backwards": refused(lambda n: np.array(_with(list(_instants(n)), DAY)), BAD_ROW),
        "NaT": refused(lambda n: np.array(_with(list(_instants(n)), np.iinfo("i8").min)).view("M8[ns]"), BAD_ROW),
        "NaT with a zone": refused(
            lambda n: pd.Series(_with(list(pd.to_datetime(_instants(n), utc=True)), pd.NaT)), BAD_ROW
        ),
        "Int64 with NA": refused(lambda n: pd.Series(_with(list(_instants(n)), pd.NA), dtype="Int64"), BAD_ROW),
        "arrow times with nulls": refused(
            lambda n: pa.array(_with(list(map(int, _instants(n))), None), pa.timestamp("ns", "UTC")), BAD_ROW
        ),
        "floats": refused(lambda n: _instants(n).astype("f8")),
        "strings": refused(lambda n: np.array(["2024-01-01"] * n)),
        "durations": refused(lambda n: _instants(n).view("m8[ns]")),
        "periods": refused(lambda n: pd.Series(pd.period_range("2024-01", periods=n, freq="D"))),
        "Python dates": refused(lambda n: _objects([datetime.date(2024, 1, 1 + j) for j in range(n)])),
        "mixed zones": refused(lambda n: _objects(_with([pd.Timestamp("2024", tz="UTC")] * n, pd.Timestamp("2024")))),
        "uint64 beyond int64": refused(lambda n: np.full(n, 2**63, np.uint64)),
        "years beyond nanoseconds": refused(lambda n: np.array(["3000-01-01"] * n, "M8[s]")),
        "complex": refused(lambda n: _instants(n) * 1j),
        "booleans": refused(lambda n: np.ones(n, bool)),
    }.items()
}

SYMBOLS: dict[str, Column] = {
    name: Column(column.make, "symbol", column.row, refused=True)
    for name, column in {
        "None": refused(lambda n: _objects(_with(["A"] * n, None)), BAD_ROW),
        "NaN": refused(lambda n: _objects(_with(["A"] * n, np.nan)), BAD_ROW),
        "NA in a string column": refused(lambda n: pd.Series(_with(["A"] * n, pd.NA), dtype="string"), BAD_ROW),
        "a category without value": refused(lambda n: pd.Series(pd.Categorical(_with(["A"] * n, None))), BAD_ROW),
        "an arrow dictionary with nulls": refused(
            lambda n: pa.array(_with(["A"] * n, None)).dictionary_encode(), BAD_ROW
        ),
        "an arrow dictionary of uint32 with nulls": refused(
            lambda n: pa.DictionaryArray.from_arrays(pa.array(_with([0] * n, None), pa.uint32()), ["A"]), BAD_ROW
        ),
        "floats": refused(np.ones),
        "booleans": refused(lambda n: np.ones(n, bool)),
        "mixed": refused(lambda n: _objects(_with(["A"] * n, 1))),
        "bytes": refused(lambda n: np.array([b"A"] * n)),
        "surrogates": refused(lambda n: _objects(_with(["A"] * n, "\ud800"))),
        "times": refused(lambda n: pd.Series(pd.date_range("2024", periods=n))),
        "lists": refused(lambda n: _objects([["A"]] * n)),
        "complex": refused(lambda n: np.ones(n) * 1j),
        "integers beyond int64": refused(lambda n: np.full(n, 2**64 - 1, np.uint64)),
    }.items()
}

HOSTILE: dict[str, dict[str, Column]] = {"number": NUMBERS, "time": TIMES, "symbol": SYMBOLS}


class CannotHold(Exception):
    """This sort of frame cannot hold such a column in the first place."""


def as_pandas(columns: dict[str, Any]) -> pd.DataFrame:
    """Return columns as a pandas frame."""
    try:
        return pd.DataFrame(
            {
                name: pd.array(values, dtype=pd.ArrowDtype(values.type))
                if isinstance(values, pa.Array | pa.ChunkedArray)
                else values
                for name, values in columns.items()
            }
        )
    except (ValueError, TypeError, NotImplementedError, pa.ArrowException) as error:
        raise CannotHold from error


def as_arrow(columns: dict[str, Any]) -> pa.Table:
    """Return columns as an Arrow table, which may have two of one name."""
    if isinstance(columns["ts"], np.ndarray | pd.Series) and pd.api.types.is_object_dtype(columns["ts"].dtype):
        raise CannotHold  # Arrow would take naive times for UTC ones
    try:
        arrays = [values if isinstance(values, pa.ChunkedArray) else pa.array(values) for values in columns.values()]
        return pa.table(arrays, list(columns))
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        raise CannotHold from error
