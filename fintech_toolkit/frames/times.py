"""Event times of a frame as int64 UTC nanoseconds, and back in the form in which they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.views import Frame
from fintech_toolkit.schema import UNITS, Array, whole_nanoseconds

NAT = np.iinfo(np.int64).min
"""A time that is missing."""


STAMPS = {np.dtype(f"M8[{unit}]") for unit in UNITS}


def times(frame: Frame, name: str, unit: str | None = None) -> tuple[Array, str]:
    """Return event times as int64 UTC nanoseconds, and their kind: aware, naive or int. Missing times are `NAT`.

    Parameters
    ----------
    frame : Frame
        Where the column is.
    name : str
        The column.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of integer times; by default nanoseconds, which must not look like another unit. Timestamps have a
        unit of their own.

    Raises
    ------
    DataError
        If the column holds neither times nor integers, or times that int64 nanoseconds cannot hold.
    """
    return times_of(frame.values(name), f"Column {name!r}", unit)


def times_of(column: Any, what: str, unit: str | None = None) -> tuple[Array, str]:
    """Do what `times` does for a column; `what` is what it is called in errors."""
    if type(column) is pd.Series and column.dtype == np.int64:
        column = column.to_numpy()
    elif type(column) is pa.ChunkedArray and column.num_chunks == 1:
        column = column.chunk(0)
    if type(column) is pa.Int64Array and not column.null_count:
        column = column.to_numpy()
    if type(column) is np.ndarray and column.dtype == np.int64:
        return whole_nanoseconds(column, what, unit), "int"
    if type(column) is np.ndarray and column.dtype in STAMPS:
        return whole_nanoseconds(column.view(np.int64), what, np.datetime_data(column.dtype)[0]), "naive"
    stamps = column.array if isinstance(column, pd.Series) else column
    if isinstance(stamps, pd.arrays.DatetimeArray):
        return _of_pandas(stamps, what)
    if type(column) is pa.TimestampArray and not column.null_count:
        return whole_nanoseconds(column.to_numpy().view(np.int64), what, column.type.unit), _kind(column.type)
    wrong = f"{what} must hold times, not {getattr(column, 'dtype', None) or column.type}; "
    remedy = "convert it with pandas.to_datetime(…, utc=True)."
    try:
        if isinstance(column, np.ndarray) and not np.ma.isMaskedArray(column) and column.dtype.kind == "M":
            return _of_pandas(pd.Series(column).array, what)  # in a unit that pandas has
        if isinstance(column, pd.Series):
            column = column.array
        if isinstance(column, pd.arrays.NumpyExtensionArray):
            column = column.to_numpy()
        if isinstance(column, np.ndarray) and column.dtype.kind == "O" and len(column):
            # Arrow would take naive times among them for UTC ones.
            raise DataError(wrong + remedy)
        if not isinstance(column, pa.Array | pa.ChunkedArray):
            column = pa.array(column, from_pandas=True)
    except (pa.ArrowException, pd.errors.OutOfBoundsDatetime, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{wrong}{remedy} ({error})") from error
    arrow = column.type
    if pa.types.is_timestamp(arrow):
        return whole_nanoseconds(_integers(column, what), what, arrow.unit), _kind(arrow)
    if pa.types.is_integer(arrow):
        return whole_nanoseconds(_integers(column, what), what, unit), "int"
    if pa.types.is_floating(arrow):
        remedy = "float64 cannot keep nanoseconds exact: read it as int64 (Int64 where values are missing)."
    raise DataError(wrong + remedy)


def _of_pandas(stamps: Any, what: str) -> tuple[Array, str]:
    return whole_nanoseconds(stamps.asi8, what, stamps.unit), _kind(stamps)


def _kind(stamps: Any) -> str:
    return "aware" if stamps.tz else "naive"


def _integers(column: Any, what: str) -> Array:
    """Return an Arrow column of integers or timestamps as int64, nulls as `NAT`."""
    if column.type == pa.uint64():
        large = pc.fill_null(pc.greater(column, pa.scalar(np.iinfo(np.int64).max, pa.uint64())), False)
        if pc.any(large).as_py():
            row = pc.index(large, True).as_py()
            raise DataError(f"{what} holds times that int64 nanoseconds cannot: {column[row]} at row {row}.")
    if column.type == pa.int64():
        values = column
    elif pa.types.is_timestamp(column.type) and isinstance(column, pa.Array):
        values = column.view(pa.int64())
    else:
        values = column.cast(pa.int64())
    return _numpy(values.fill_null(NAT) if values.null_count else values)


def _numpy(values: Any) -> Array:
    result: Array = values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    return result


def as_times(ts: Array, time_kind: str, unit: str | None = None, *, nullable: bool = True) -> Any:
    """Return int64 nanoseconds in the form in which the input had its times; `NAT` is missing.

    Integers come in their unit, rounded down, with nulls (pandas' Int64) if `nullable`.
    """
    missing = ts == NAT
    if time_kind == "int":
        ts = ts // UNITS[unit or "ns"]
        return pd.arrays.IntegerArray(ts, missing) if nullable else ts
    return pa.array(ts, mask=missing if missing.any() else None).cast(
        pa.timestamp("ns", "UTC" if time_kind == "aware" else None)
    )
