"""The columns of messages: dtypes to Arrow types, and frames to Arrow tables and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from fintech_toolkit.errors import DataError, ParameterError

TIME = pa.timestamp("ns", "UTC")
# pandas' nullable dtypes: the only ones in which integers and booleans of a frame may be null.
_NULLABLE = [f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)]
_TYPES: dict[str, pa.DataType] = {
    "str": pa.string(),
    "string": pa.string(),
    "object": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
    "datetime64[ns, UTC]": TIME,
    "boolean": pa.bool_(),
    **{name: pa.from_numpy_dtype(name) for name in ("bool", "float32", "float64")},
    **{name: pa.from_numpy_dtype(name.lower()) for name in _NULLABLE},
    **{name.lower(): pa.from_numpy_dtype(name.lower()) for name in _NULLABLE},
}
_NOT_NULLABLE = re.compile(r"u?int\d+|bool|datetime64.*")
# Strings too: a column of nulls alone would else come out as objects.
_TO_PANDAS: dict[pa.DataType, Any] = {pa.string(): pd.StringDtype(na_value=float("nan"))}
_TO_PANDAS_NULLABLE = _TO_PANDAS | {_TYPES[name]: pd.api.types.pandas_dtype(name) for name in [*_NULLABLE, "boolean"]}


def message_schema(columns: Mapping[str, Any], optional: Any = (), unit: str | None = None) -> pa.Schema:
    """Return the Arrow schema for a dict of column names and dtypes.

    Parameters
    ----------
    columns : mapping of str to dtype
        pandas' names of dtypes (``"float64"``, ``"int64"``, ``"str"``, ``"category"``, ``"bool"``,
        ``"datetime64[ns, UTC]"``, ``"Int64"``, …), NumPy dtypes or types. Strings, floats and the nullable
        dtypes (``"Int64"``, ``"boolean"``) may be null or missing in a message; ``int64``, ``bool`` and times may
        not.

    Raises
    ------
    ParameterError
        If a dtype is not one of these, naming the column.

    Examples
    --------
    >>> message_schema({"symbol": "str", "ts": "datetime64[ns, UTC]", "bid": float})
    symbol: string
    ts: timestamp[ns, tz=UTC] not null
    bid: double
    """
    fields = []
    for column, dtype in columns.items():
        try:
            name = str(pd.api.types.pandas_dtype(dtype))
        except TypeError:
            name = str(dtype)
        if name not in _TYPES:
            hint = "; times are 'datetime64[ns, UTC]'" if "time" in name else ""
            raise ParameterError(f"schema: column {column!r} has dtype {dtype!r}; use one of {sorted(_TYPES)}{hint}")
        fields.append(pa.field(column, _TYPES[name], nullable=not _NOT_NULLABLE.fullmatch(name)))
    if not fields:
        raise ParameterError("schema: name at least one column")
    return pa.schema(fields)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a decoded table as a pandas frame, nullable integers and booleans in pandas' nullable dtypes."""
    columns = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        dtypes = _TO_PANDAS_NULLABLE if field.nullable else _TO_PANDAS
        columns[field.name] = column.to_pandas(types_mapper=dtypes.get)
    return pd.DataFrame(columns)


def to_table(frame: pd.DataFrame | pa.Table) -> pa.Table:
    """Return a frame as an Arrow table, without its index.

    Raises
    ------
    DataError
        If a column holds values that have no common Arrow type, or times without a zone.
    """
    if isinstance(frame, pd.DataFrame):
        try:
            frame = pa.Table.from_pandas(frame, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"the frame cannot be written: {'; '.join(map(str, error.args))}") from error
    for field in frame.schema:
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            raise DataError(f"column {field.name!r} has times without a zone: use .dt.tz_localize('UTC')")
    return frame
