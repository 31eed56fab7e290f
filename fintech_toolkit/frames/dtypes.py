"""Columns of pandas as Arrow, and back with the same dtype: what Parquet does not remember is described beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import ColumnError, DataError, PipelineError
from fintech_toolkit.frames.views import is_dask
from fintech_toolkit.scan.names import is_text
from fintech_toolkit.schema import Array

CODES = pa.int32()
"""Codes of categories have one width, whatever a partition happens to hold."""


def describe(dtype: Any) -> dict[str, Any]:
    """Return what JSON can hold of a dtype; its Arrow type and its categories, in a schema, hold the rest."""
    if isinstance(dtype, pd.ArrowDtype):
        return {"kind": "arrow"}
    if isinstance(dtype, pd.StringDtype):
        return {"kind": "string", "storage": dtype.storage, "missing": "NA" if dtype.na_value is pd.NA else "NaN"}
    if isinstance(dtype, pd.CategoricalDtype):
        return {"kind": "category", "categories": describe(dtype.categories.dtype), "ordered": bool(dtype.ordered)}
    if isinstance(dtype, pd.DatetimeTZDtype):
        return {"kind": "timestamp"}
    return {"kind": "named", "dtype": str(dtype)}


def described(description: dict[str, Any], values: pa.Array) -> Any:
    """Return the dtype that `describe` described; `values` has its Arrow type, and the categories as a dictionary."""
    kind = description["kind"]
    if kind == "arrow":
        return pd.ArrowDtype(values.type)
    if kind == "string":
        return pd.StringDtype(description["storage"], na_value=pd.NA if description["missing"] == "NA" else np.nan)
    if kind == "category":
        within = described(description["categories"], values.dictionary)
        categories = pd.Index(to_pandas(pa.chunked_array([values.dictionary]), within, "categories"), dtype=within)
        return pd.CategoricalDtype(categories, description["ordered"])
    if kind == "timestamp":
        return pd.DatetimeTZDtype(values.type.unit, values.type.tz)
    return pd.api.types.pandas_dtype(description["dtype"])


def example(dtype: Any, kind: pa.DataType | None, name: str) -> pa.Array:
    """Return no values of a dtype, as Arrow: its type, and its categories as a dictionary. What `described` takes.

    `kind` is the type of values whose dtype does not tell (object).
    """
    if isinstance(dtype, pd.CategoricalDtype):
        categories = plain(dtype.categories, name)
        if isinstance(categories, pa.ExtensionArray):  # which Arrow files do not take for a dictionary
            categories = categories.storage
        return pa.DictionaryArray.from_arrays(pa.array([], CODES), categories, ordered=bool(dtype.ordered))
    return pa.array([], arrow_type(dtype, name) or kind or pa.null())


def arrow_type(dtype: Any, name: str) -> pa.DataType | None:
    """Return the type in which files hold values of a dtype; None if the values must be looked at.

    Raises
    ------
    DataError
        If Arrow has none.
    """
    if dtype == np.object_:
        return None
    if isinstance(dtype, pd.StringDtype):
        return pa.large_string()
    if isinstance(dtype, pd.CategoricalDtype):
        kind = plain(dtype.categories, name).type
        return pa.dictionary(CODES, kind) if pa.types.is_large_string(kind) else kind
    try:
        kind = pa.array(pd.Series([], dtype=dtype)).type
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"Column {name!r} is {dtype}, which Arrow does not have ({error}); convert or drop it."
        ) from None
    return kind


def plain(values: Any, name: str) -> pa.Array:
    """Return values of pandas as Arrow, missing ones as nulls, texts as large strings.

    Raises
    ------
    DataError
        If they are of different types, or of one that Arrow does not have.
    """
    try:
        found = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"Column {name!r} holds values of which Arrow makes no one type ({reason}); convert them, with "
            "astype(str) for instance, or drop the column."
        ) from None
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    if pa.types.is_string(found.type):
        return found.cast(pa.large_string())
    if pa.types.is_decimal128(found.type):
        # Of the greatest precision, so that it does not depend on what a partition happens to hold.
        return found.cast(pa.decimal128(38, found.type.scale))
    return found


def from_objects(column: pd.Series[Any], name: str, kind: pa.DataType | None = None) -> pa.Array:
    """Return a column of Python objects as Arrow, held to come back equal.

    Raises
    ------
    DataError
        If they would not; the message names the first.
    """
    found = plain(column, name)
    if not pa.types.is_nested(found.type):
        for row, (given, kept) in enumerate(zip(column.tolist(), found.to_pylist(), strict=True)):
            if kept is not None and not kept == given:
                raise DataError(
                    f"Column {name!r} holds {given!r} at row {row}, which would become {kept!r} beside its other "
                    "values; make them all of one type."
                )
    return found if kind is None else found.cast(kind)


def to_arrow(column: pd.Series[Any], dtype: Any, kind: pa.DataType | None, name: str) -> pa.Array:
    """Return a column as Arrow in the type in which files hold its dtype.

    Parameters
    ----------
    column : Series
        Values, which a Dask frame may hold in another dtype than it says.
    dtype : dtype
        That which they are to come back in. Categories may be other ones; those of the column are written.
    kind : DataType, optional
        The type of objects; told from the values if None.
    name : str
        The name of the column, for errors.

    Raises
    ------
    DataError
        If a value cannot be had in the dtype unchanged.
    """
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(column, name)
    if dtype == np.object_:
        return from_objects(column.astype(object), name, kind)
    kind = arrow_type(dtype, name)
    assert kind is not None
    found = plain(column, name)
    if pa.types.is_dictionary(found.type) and not pa.types.is_dictionary(kind):
        found = found.dictionary_decode()
    if (
        pa.types.is_timestamp(found.type)
        and pa.types.is_timestamp(kind)
        and (found.type.tz is None) != (kind.tz is None)
    ):
        raise DataError(f"Column {name!r} is {column.dtype} here and {dtype} elsewhere; convert it to one of them.")
    if found.type != kind:
        try:
            found = found.cast(kind)
        except pa.ArrowException as error:
            raise DataError(f"Column {name!r} is {column.dtype} here and {dtype} elsewhere: {error}.") from None
    if found.null_count and isinstance(dtype, np.dtype) and dtype.kind in "biu":
        row = int(pc.index(pc.is_null(found), True).as_py())
        raise DataError(f"Column {name!r} is {dtype} elsewhere and has no value here at row {row}.")
    return found


def _categorical(column: pd.Series[Any], name: str) -> pa.Array:
    codes, categories = column.cat.codes.to_numpy(), plain(column.cat.categories, name)
    places = pa.array(codes, CODES, mask=codes < 0)
    if pa.types.is_large_string(categories.type):
        return pa.DictionaryArray.from_arrays(places, categories)
    return categories.take(places)


def to_pandas(values: pa.ChunkedArray, dtype: Any, name: str) -> Any:
    """Return what `to_arrow` made as a pandas array of the dtype.

    Raises
    ------
    DataError
        If there is a category that the dtype does not have.
    """
    if isinstance(dtype, pd.CategoricalDtype):
        return _from_categories(values, dtype, name)
    if dtype == np.object_:
        result = np.empty(len(values), object)
        result[:] = values.to_pylist()
        return pd.Index(result, dtype=object)  # pandas takes an array of texts for strings
    if isinstance(dtype, pd.ArrowDtype):
        return pd.arrays.ArrowExtensionArray(_cast(values, dtype.pyarrow_dtype))
    if isinstance(dtype, pd.DatetimeTZDtype):
        values = _cast(values, pa.timestamp(dtype.unit, "UTC"))
    if hasattr(dtype, "__from_arrow__"):
        return dtype.__from_arrow__(values if values.num_chunks else pa.chunked_array([pa.array([], values.type)]))
    result = values.to_numpy().astype(dtype, copy=False)
    return result if result.flags.writeable else result.copy()


def _cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return values if values.type == kind else values.cast(kind)


def _from_categories(values: pa.ChunkedArray, dtype: pd.CategoricalDtype, name: str) -> pd.Categorical:
    within = dtype.categories.dtype
    if isinstance(values.type, pa.BaseExtensionType):  # which Arrow cannot encode
        known = pd.Index(to_pandas(values.drop_null(), within, name), dtype=within)
        codes = np.full(len(values), -1, np.int32)
        codes[values.is_valid().to_numpy()] = dtype.categories.get_indexer(known)
        return pd.Categorical.from_codes(codes, dtype=dtype)
    found, local = dictionary(values)
    known = pd.Index(to_pandas(pa.chunked_array([local]), within, name), dtype=within)
    places = dtype.categories.get_indexer(known)
    if len(places) and places.min() < 0:
        raise DataError(f"Column {name!r} holds {known[places.argmin()]!r}, which is none of its categories.")
    codes = np.append(places, -1).astype(np.int32)[found]
    return pd.Categorical.from_codes(codes, dtype=dtype)


def dictionary(values: pa.ChunkedArray) -> tuple[Array, pa.Array]:
    """Return a column as codes (-1: null) into its distinct values."""
    if not pa.types.is_dictionary(values.type):
        values = pc.dictionary_encode(values)
    if values.num_chunks == 0:
        return np.empty(0, np.int32), pa.array([], values.type.value_type)
    values = values.unify_dictionaries().combine_chunks()
    values = values.chunk(0) if isinstance(values, pa.ChunkedArray) else values
    codes: Array = values.indices.cast(CODES).fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, values.dictionary


def of_arrow(field: pa.Field) -> Any:
    """Return the pandas dtype in which a column of an Arrow table is held: told by its type, never by its values.

    Integers and booleans that may be null are nullable ones. None for dictionaries: their values are yet to be seen.
    """
    kind = field.type
    if pa.types.is_dictionary(kind):
        return None
    if is_text(kind):
        return pd.StringDtype(na_value=np.nan)
    if pa.types.is_timestamp(kind):
        return pd.DatetimeTZDtype(kind.unit, kind.tz) if kind.tz else np.dtype(f"M8[{kind.unit}]")
    if pa.types.is_duration(kind):
        return np.dtype(f"m8[{kind.unit}]")
    if pa.types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype())
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        named = pd.api.types.pandas_dtype(kind.to_pandas_dtype())
        name = "boolean" if named.kind == "b" else named.name.replace("i", "I", 1).replace("uI", "UI")
        return pd.api.types.pandas_dtype(name) if field.nullable else named
    return pd.ArrowDtype(kind)


def _frame_of(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a pandas frame that keeps every value: nulls do not turn integers into floats."""
    columns = {}
    for field, values in zip(table.schema, table.columns, strict=True):
        dtype = of_arrow(field)
        if dtype is None:
            nulls = any(chunk.dictionary.null_count for chunk in values.chunks)  # which Arrow cannot unify
            codes, names = dictionary(values.cast(field.type.value_type) if nulls else values)
            distinct = names.unique()  # Arrow's may hold a value twice
            places = pc.index_in(names, distinct).fill_null(-1).to_numpy()
            codes, names = np.append(places, -1)[codes], distinct
            within = of_arrow(pa.field(field.name, names.type, nullable=False))
            categories = pd.Index(to_pandas(pa.chunked_array([names]), within, field.name), dtype=within)
            columns[field.name] = pd.Categorical.from_codes(codes, categories, ordered=field.type.ordered)
        else:
            columns[field.name] = to_pandas(values, dtype, field.name)
    return pd.DataFrame(columns)


def with_columns(frame: Any) -> Any:
    """Return a frame as one of pandas or Dask, named levels of its index as columns.

    Raises
    ------
    PipelineError
        If it is no frame.
    ColumnError
        If columns have no texts for names, or the same one.
    """
    if isinstance(frame, pd.Series | pa.ChunkedArray) or not (is_dask(frame) or hasattr(frame, "__arrow_c_stream__")):
        raise PipelineError(
            f"A data set is written from a pandas or Dask DataFrame or an Arrow table, not {type(frame).__name__}."
        )
    if not is_dask(frame) and not isinstance(frame, pd.DataFrame):
        table = pa.table(frame)
        check_names(table.column_names)
        frame = _frame_of(table)
    if frame.ndim != 2:
        raise PipelineError(f"A data set is written from a DataFrame, not a {type(frame).__name__}.")
    levels = [frame.index.name] if is_dask(frame) else frame.index.names
    names = [name for name in levels if name is not None]
    check_names([*names, *frame.columns])
    if not names:
        return frame
    return frame.reset_index() if is_dask(frame) else frame.reset_index(level=names)


def check_names(names: Sequence[Any]) -> None:
    """Raise unless columns have names that are texts and differ."""
    for name in names:
        if not isinstance(name, str):
            raise ColumnError(f"Column {name!r} has no text for a name; rename it.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ColumnError(f"Two columns, or a column and a level of the index, are called {twice[0]!r}; rename one.")
