"""The columns of messages: dtypes to Arrow types, and frames to Arrow tables and back."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.errors import DataError, ParameterError, did_you_mean
from fintech_toolkit.schema import UNITS, check_unit, looks_like, other_units

TIME = pa.timestamp("ns", "UTC")
DAY = pa.date32()
# pandas' nullable dtypes: the only ones in which integers and booleans of a frame may be null.
_NULLABLE = [f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)]
_TYPES: dict[str, pa.DataType] = {
    "str": pa.string(),
    "string": pa.string(),
    "object": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
    "datetime64[ns, UTC]": TIME,
    "datetime64[ms]": DAY,
    "boolean": pa.bool_(),
    **{name: pa.from_numpy_dtype(name) for name in ("bool", "float32", "float64")},
    **{name: pa.from_numpy_dtype(name.lower()) for name in _NULLABLE},
    **{name.lower(): pa.from_numpy_dtype(name.lower()) for name in _NULLABLE},
}
# What a schema says of its columns beyond their types, in the metadata of its fields.
_OPTIONAL, _UNIT = b"optional", b"unit"
_NOT_NULLABLE = re.compile(r"u?int\d+|bool|datetime64\[ns, UTC\]")
# Strings too: a column of nulls alone would else come out as objects.
_TO_PANDAS: dict[pa.DataType, Any] = {
    pa.string(): pd.StringDtype(na_value=float("nan")),
    TIME: pd.DatetimeTZDtype("ns", "UTC"),
}
_TO_PANDAS_NULLABLE = _TO_PANDAS | {_TYPES[name]: pd.api.types.pandas_dtype(name) for name in [*_NULLABLE, "boolean"]}


def message_schema(columns: Mapping[str, Any], optional: Collection[str] = (), unit: str | None = None) -> pa.Schema:
    """Return the Arrow schema for a dict of column names and dtypes.

    Parameters
    ----------
    columns : mapping of str to dtype
        pandas' names of dtypes (``"float64"``, ``"int64"``, ``"str"``, ``"category"``, ``"bool"``,
        ``"datetime64[ns, UTC]"``, ``"Int64"``, …), NumPy dtypes or types; ``"datetime64[ms]"`` are days. Strings,
        floats, days and the nullable dtypes (``"Int64"``, ``"boolean"``) may be null in a message; ``int64``, ``bool``
        and times may not.
    optional : collection of str
        Columns that a message may lack, which then reads as null. A message that lacks another is rejected.
    unit : {"s", "ms", "us", "ns"}, optional
        What times count that are integers in the messages. Without it they are nanoseconds, and those that look like
        another unit are rejected.

    Raises
    ------
    ParameterError
        If a dtype is not one of these, naming the column, or an optional column is unknown or cannot be null.

    Examples
    --------
    >>> message_schema({"symbol": "str", "ts": "datetime64[ns, UTC]", "bid": float})
    symbol: string
    ts: timestamp[ns, tz=UTC] not null
    bid: double
    """
    check_unit(unit)
    fields = []
    for column, dtype in columns.items():
        try:
            name = str(pd.api.types.pandas_dtype(dtype))
        except TypeError:
            name = str(dtype)
        if name not in _TYPES:
            hint = "; times are 'datetime64[ns, UTC]'" if "time" in name else ""
            raise ParameterError(f"schema: column {column!r} has dtype {dtype!r}; use one of {sorted(_TYPES)}{hint}")
        nullable = not _NOT_NULLABLE.fullmatch(name)
        if column in optional and not nullable:
            hint = f"; use {name.capitalize().replace('Ui', 'UI')!r}" if "int" in name else ""
            raise ParameterError(f"optional: column {column!r} of dtype {name!r} cannot be null{hint}")
        said = {_OPTIONAL: b"yes"} if column in optional else {}
        if unit is not None and _TYPES[name] == TIME:
            said[_UNIT] = unit.encode()
        fields.append(pa.field(column, _TYPES[name], nullable, said or None))
    if not fields:
        raise ParameterError("schema: name at least one column")
    for column in optional:
        if column not in columns:
            raise ParameterError(f"optional: no column {column!r} in the schema. {did_you_mean(column, columns)}")
    return pa.schema(fields)


def is_optional(field: pa.Field) -> bool:
    """Return whether a message may lack a column."""
    return _OPTIONAL in (field.metadata or {})


def times_of_integers(column: pa.ChunkedArray, field: pa.Field) -> tuple[pa.ChunkedArray, dict[int, str]]:
    """Return int64 times as such, and the rows of those that are none, with the reason.

    Examples
    --------
    >>> schema = message_schema({"ts": "datetime64[ns, UTC]"}, unit="s")
    >>> times_of_integers(pa.chunked_array([[1704189598]]), schema.field("ts"))[0].to_pylist()
    [Timestamp('2024-01-02 09:59:58+0000', tz='UTC')]
    """
    values = column.fill_null(0).to_numpy()
    unit = (field.metadata or {}).get(_UNIT, b"").decode()
    if not unit:
        wrong = {row: f"column {field.name!r} {looks_like(unit, values[row])}" for row, unit in other_units(values)}
        return column.cast(TIME), wrong
    most = np.iinfo(np.int64).max // UNITS[unit]
    beyond = np.flatnonzero((values > most) | (values < -most)).tolist()
    wrong = {row: f"column {field.name!r}: {values[row]} {unit} is beyond int64 nanoseconds" for row in beyond}
    nanoseconds = pa.array(values * UNITS[unit], mask=column.is_null().to_numpy())
    return pa.chunked_array([nanoseconds.cast(TIME)]), wrong


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a decoded table as a pandas frame, nullable integers and booleans in pandas' nullable dtypes."""
    table = table.combine_chunks()  # a message each
    return pd.DataFrame({f.name: _pandas_column(f, c) for f, c in zip(table.schema, table.columns, strict=True)})


def _pandas_column(field: pa.Field, column: pa.ChunkedArray) -> Any:
    dtype = (_TO_PANDAS_NULLABLE if field.nullable else _TO_PANDAS).get(field.type)
    if dtype is not None:
        return dtype.__from_arrow__(column)
    if field.type == DAY:
        return column.cast(pa.timestamp("ms")).to_pandas()
    return column.to_pandas() if pa.types.is_dictionary(field.type) else column.to_numpy()


def arrow_table(frame: pd.DataFrame | pa.Table) -> pa.Table:
    """Return a frame as an Arrow table, without its index.

    Raises
    ------
    DataError
        If a column holds values that have no common Arrow type, or times without a zone that are no days.
    """
    if isinstance(frame, pd.DataFrame):
        columns = [_arrow_column(name, column.array) for name, column in frame.items()]
        frame = pa.table(columns, names=list(map(str, frame.columns)))
    for field in frame.schema:
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            frame = frame.set_column(frame.schema.get_field_index(field.name), field.name, _days(field, frame))
    return frame


def _days(field: pa.Field, table: pa.Table) -> pa.ChunkedArray:
    """Return a column of days as such: pandas and NumPy have them as times without a zone, in these units."""
    error = f"column {field.name!r} has times without a zone: use .dt.tz_localize('UTC')"
    if field.type.unit not in ("s", "ms"):
        raise DataError(error)
    try:
        return table[field.name].cast(DAY)
    except ValueError:
        raise DataError(error) from None


def _arrow_column(name: Any, values: Any) -> Any:
    if isinstance(values, pd.arrays.NumpyExtensionArray):
        values = values.to_numpy()
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        reason = "; ".join(map(str, error.args))
        raise DataError(f"the frame cannot be written: column {name!r}: {reason}") from error
