"""One validation for arrays and frames alike: a column of whatever kind becomes the array that kernels see."""

from __future__ import annotations

import decimal
import numbers
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.errors import DataError
from fintech_toolkit.schema import Array, whole_nanoseconds

MISSING = int(np.iinfo(np.int64).min)
"""The int64 that stands for a missing whole number (as NaT is one among times)."""

EXACT = 2**53
"""float64 holds every integer up to here, and not every one beyond."""

WANTED = {"f": "numbers", "b": "True or False", "i": "whole numbers or times"}


def as_values(column: Any, dtype: np.dtype[Any], what: str, *, nullable: bool = False) -> Array:
    """Return a column as the array that kernels see, or say why that cannot be.

    Parameters
    ----------
    column : array_like
        NumPy, pandas or Arrow, anything with Arrow's capsules (Polars), or a sequence of Python numbers.
    dtype : dtype
        float64: missing values become NaN. bool: there must be none. int64: whole numbers, or times as nanoseconds.
    what : str
        What it is called in errors.
    nullable : bool
        Whether int64 may be missing: `MISSING` then stands for that. Otherwise a missing value is an error.

    Raises
    ------
    DataError
        If the values are not such numbers, or float64 cannot hold them; the message names the first row.
    """
    if type(column) is pa.ChunkedArray and column.num_chunks == 1:
        column = column.chunk(0)
    if dtype.kind == "f" and type(column) is pa.DoubleArray:
        column = column.to_numpy(zero_copy_only=False)  # what is missing becomes NaN
    elif type(column) is pd.Series and column.dtype == dtype:
        column = column.to_numpy()
    if type(column) is np.ndarray and column.dtype == dtype:
        return column
    wanted = "whole numbers" if nullable else WANTED[dtype.kind]
    values, missing = plain(column, what, wanted)
    if missing is not None and not missing.any():
        missing = None
    kind = values.dtype.kind
    if kind == "M":
        if dtype.kind != "i" or nullable:
            raise DataError(f"{what} holds times; it must hold {wanted}.")
        return _nanoseconds(values, missing, what)
    if kind not in "biuf":
        first = f"; its first value is {values.reshape(-1)[:1].tolist()[0]!r}" if values.size else ""
        raise DataError(f"{what} must hold {wanted}, not {values.dtype}{first}.")
    if dtype.kind == "f":
        return _floats(values, missing, what)
    if dtype.kind == "b" and kind != "b":
        raise DataError(f"{what} must hold {wanted}, not {values.dtype}.")
    if dtype.kind == "i" and kind not in "iu":
        why = (
            ": float64 cannot keep nanoseconds or ids exact; read them as integers from the start"
            if kind == "f"
            else ""
        )
        raise DataError(f"{what} must hold {wanted}, not {values.dtype}{why}.")
    if missing is not None and not nullable:
        raise DataError(f"{what} has no value at {_row(missing)}; drop or fill it.")
    if dtype.kind == "i" and values.dtype == np.uint64 and (wrong := values > np.iinfo(np.int64).max).any():
        raise DataError(f"{what} holds {values[wrong].flat[0]} at {_row(wrong)}, more than int64 can.")
    result = values.astype(dtype, copy=False)
    return result if missing is None else np.where(missing, MISSING, result)


def as_instants(column: Any, what: str, unit: str | None = None) -> Array:
    """Return a column of times as int64 nanoseconds; integers are in `unit`, or nanoseconds that look like such.

    Raises
    ------
    DataError
        If it holds no times, one is missing, or int64 nanoseconds cannot hold them.
    """
    values, missing = plain(column, what, "times (datetime64, or int64 nanoseconds)")
    if values.dtype.kind == "M":
        return _nanoseconds(values, missing, what)
    if values.dtype.kind not in "iu":
        remedy = "convert it with pandas.to_datetime(…, utc=True)"
        if values.dtype.kind == "f":
            remedy = "float64 cannot keep nanoseconds exact, read it as int64"
        raise DataError(f"{what} must hold times, not {values.dtype}; {remedy}.")
    if missing is not None and missing.any():
        raise DataError(f"{what} has no time at {_row(missing)}; drop or fill it.")
    numbers = as_values(values, np.dtype("i8"), what)
    return whole_nanoseconds(numbers.reshape(-1), what, unit).reshape(numbers.shape)


def _floats(values: Array, missing: Array | None, what: str) -> Array:
    # What is missing is 0 here.
    large = values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size > 0
    if large and (values.max() > EXACT or values.min() < -EXACT):
        wrong = (values > EXACT) | (values < -EXACT)
        raise DataError(_too_big(values[wrong].flat[0], what, wrong))
    with np.errstate(over="ignore"):
        result = values.astype(np.float64, copy=False)
    return result if missing is None else np.where(missing, np.nan, result)


def _nanoseconds(values: Array, missing: Array | None, what: str) -> Array:
    none = np.isnat(values) if missing is None else missing | np.isnat(values)
    if none.any():
        raise DataError(f"{what} has no time (NaT) at {_row(none)}; drop or fill it.")
    ns = values.astype("M8[ns]")
    # What int64 nanoseconds cannot hold wraps, so that the way back leads elsewhere.
    if ns.dtype != values.dtype and (wrong := ns.astype(values.dtype) != values).any():
        raise DataError(f"{what} holds times that int64 nanoseconds cannot: {values[wrong].flat[0]} at {_row(wrong)}.")
    return ns.view("i8")


def plain(column: Any, what: str, wanted: str) -> tuple[Array, Array | None]:
    """Return a column as a NumPy array, and where its values are missing (None: only NaN and NaT say so).

    Raises
    ------
    DataError
        If it is not a column, or holds Python objects that are not numbers.
    """
    if isinstance(column, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(column)
        return plain(np.where(mask, np.zeros(1, column.dtype), column.data), what, wanted)[0], mask
    if isinstance(column, np.ndarray):
        return _objects(column, what, wanted) if column.dtype.kind == "O" else (column, None)
    if isinstance(column, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        return _pandas(column, what, wanted)
    if hasattr(column, "__arrow_c_array__") or hasattr(column, "__arrow_c_stream__"):
        return _arrow(column, what, wanted)
    if hasattr(column, "__dask_graph__"):
        raise DataError(
            f"{what} is lazy ({type(column).__name__}); give its frame and the column's name, or compute it."
        )
    try:
        values = np.asarray(column)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{what} must hold {wanted}, one a row: {error}.") from error
    if values.dtype.kind == "f" and values.size and np.nanmax(np.abs(values), initial=0) >= EXACT:
        values = np.asarray(column, dtype=object)  # integers among the floats may just have been rounded
    return plain(values, what, wanted)


def _pandas(column: Any, what: str, wanted: str) -> tuple[Array, Array | None]:
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        return plain(column.to_numpy(), what, wanted)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return column.to_numpy(f"M8[{dtype.unit}]"), None
    if isinstance(dtype, pd.SparseDtype | pd.CategoricalDtype):
        return plain(np.asarray(column), what, wanted)
    try:
        column = pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"{what} must hold {wanted}, not {dtype}.") from error
    return _arrow(column, what, wanted)


def _arrow(column: Any, what: str, wanted: str) -> tuple[Array, Array | None]:
    if not isinstance(column, pa.Array | pa.ChunkedArray):  # Arrow's capsules
        column = pa.array(column) if hasattr(column, "__arrow_c_array__") else pa.chunked_array(column)
    if isinstance(column, pa.ChunkedArray):
        chunks = column.chunks
        column = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind, missing = column.type, None
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan), None
    if pa.types.is_floating(kind):
        return column.to_numpy(zero_copy_only=False), None
    if pa.types.is_decimal(kind):
        # By way of text, which rounds to the nearest float; Arrow's own cast may be off by a bit.
        return column.cast(pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False), None
    if column.null_count:
        missing = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.int64()).fill_null(MISSING).to_numpy().view(f"M8[{kind.unit}]"), missing
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        first = next((value.as_py() for value in column if value.is_valid), None)
        raise DataError(f"{what} must hold {wanted}, not {kind}; its first value is {first!r}.")
    if missing is not None:
        column = column.fill_null(pa.scalar(0).cast(kind))
    return column.to_numpy(zero_copy_only=False), missing


def _objects(values: Array, what: str, wanted: str) -> tuple[Array, Array | None]:
    """Read Python objects: whole numbers if they all are, else floats; None, NaN and NA are missing."""
    flat = values.reshape(-1)
    try:
        missing = np.asarray(pd.isna(flat))
    except decimal.InvalidOperation:  # a signalling NaN does not even compare
        flat = flat.copy()
        flat[[isinstance(value, decimal.Decimal) and value.is_snan() for value in flat]] = np.nan
        missing = np.asarray(pd.isna(flat))
    known = flat[~missing]
    kinds = {type(value) for value in known}
    booleans = {kind for kind in kinds if issubclass(kind, bool | np.bool_)}
    good = booleans if booleans == kinds else {k for k in kinds if issubclass(k, numbers.Real | decimal.Decimal)}
    good -= set() if booleans == kinds else booleans
    if good != kinds:
        bad = np.array([type(value) not in good for value in flat]) & ~missing
        raise DataError(
            f"{what} must hold {wanted}, not objects such as {flat[np.argmax(bad)]!r} at "
            f"{_row(bad.reshape(values.shape))}."
        )
    whole = {kind for kind in kinds if issubclass(kind, numbers.Integral | np.bool_)}
    most = 2**63 if whole == kinds else EXACT + 1
    large = np.array([type(value) in whole and not -most <= value < most for value in flat], bool)
    if large.any():
        raise DataError(_too_big(flat[np.argmax(large)], what, large.reshape(values.shape)))
    result = np.zeros(flat.shape, "?" if booleans else "i8" if kinds and whole == kinds else "f8")
    result[~missing] = known
    return result.reshape(values.shape), missing.reshape(values.shape)


def _too_big(value: Any, what: str, wrong: Array) -> str:
    return (
        f"{what} holds {value} at {_row(wrong)}, beyond the 2**53 up to which float64 is exact; say dtype='int64' "
        "where a kernel has that (lag, diff, rolling_min, rolling_max), or have it rounded with astype('float64')."
    )


def _row(wrong: Array) -> str:
    """Say where the first of the wrong values is."""
    at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    return f"row {at[0]}" if len(at) == 1 else f"position {tuple(map(int, at))}"
