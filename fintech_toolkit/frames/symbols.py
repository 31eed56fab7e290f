"""Symbols become small integers: rows of the state. Codes are given in order of arrival; no result depends on them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.text_codes import text_codes
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.names import is_text
from fintech_toolkit.schema import Array

Symbol = str | int
NULL = np.uint32(2**32 - 1)
"""The code of a row without a symbol."""


ARROW = (pa.Array, pa.ChunkedArray)


class LocalCodes(NamedTuple):
    """A column as codes into its own list of distinct values; -1 is null. Codes may leave values unused."""

    codes: Array
    values: list[Symbol]


def encode(column: Any, name: str, first_row: int = 0) -> LocalCodes:
    """Dictionary-encode a column of symbols: pandas, Arrow or NumPy; strings, integers or categories.

    Parameters
    ----------
    column : Series, Array, ChunkedArray or ndarray
        The column, or a stretch of it.
    name : str
        What it is called in errors.
    first_row : int
        The number of its first row in errors.

    Raises
    ------
    DataError
        If the values are neither strings nor integers, or not all of one kind.
    """
    if isinstance(column, pd.Series):
        if isinstance(column.dtype, pd.CategoricalDtype):
            coded: Any = column.array
            codes, categories = coded.codes, coded.categories
            values = categories.tolist()
            if categories.dtype == object and (odd := _odd_one(values)) is not None:
                raise DataError(_refusal(column.to_numpy(object), name, first_row, f"the category {values[odd]!r}"))
            return _checked(LocalCodes(codes, values), name, first_row)
        column = column.array
    try:
        encoded = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, from_pandas=True)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        raise DataError(_refusal(np.asarray(column, dtype=object), name, first_row)) from None
    if pa.types.is_run_end_encoded(encoded.type):
        encoded = pc.run_end_decode(encoded)
    if not pa.types.is_dictionary(encoded.type):
        _check_type(encoded.type, name)
        if is_text(encoded.type):
            if pa.types.is_string_view(encoded.type) or (
                isinstance(encoded, pa.ChunkedArray) and encoded.num_chunks > 1
            ):
                encoded = encoded.cast(pa.large_string())  # which can hold what several chunks have
            codes, values = text_codes(in_one(encoded))
            return LocalCodes(codes, values.to_pylist())
        encoded = pc.dictionary_encode(in_one(encoded))  # of several chunks each would have a dictionary of its own
    else:
        _check_type(encoded.type.value_type, name)
    chunks = encoded.chunks if isinstance(encoded, pa.ChunkedArray) else [encoded]
    return _checked(_merged(chunks), name, first_row)


def in_one(column: Any) -> Any:
    """Return an Arrow column as one array: that of its only chunk as it is, of several a copy."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _merged(chunks: list[Any]) -> LocalCodes:
    """Return the codes of dictionary-encoded chunks, each with a dictionary of its own."""
    if not chunks:
        return LocalCodes(np.empty(0, np.int32), [])
    codes: list[Array] = []
    places: dict[Symbol, int] = {}
    for chunk in chunks:
        indices = chunk.indices
        if indices.type == pa.uint32():  # which has no room for -1, nor as many values
            indices = indices.view(pa.int32())
        elif not pa.types.is_signed_integer(indices.type) or indices.type == pa.int64():
            indices = indices.cast(pa.int32())
        local = (pc.fill_null(indices, -1) if indices.null_count else indices).to_numpy()
        values = chunk.dictionary.to_pylist()
        if len(chunks) == 1 and len(set(values)) == len(values):
            return LocalCodes(local, values)
        lookup = [-1 if value is None else places.setdefault(value, len(places)) for value in values]
        codes.append(np.array([*lookup, -1], np.int32)[local])
    return LocalCodes(np.concatenate(codes), list(places))


def _check_type(kind: pa.DataType, name: str) -> None:
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise DataError(f"Column {name!r} holds {kind}; symbols must be all strings or all integers.")


def _checked(local: LocalCodes, name: str, first_row: int) -> LocalCodes:
    kinds = {type(value) for value in local.values if value is not None}
    if not kinds <= {str} and not kinds <= {int}:
        listed = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"Column {name!r} holds {listed}; symbols must be all strings or all integers.")
    if kinds == {int}:
        numbers = np.array([0 if value is None else value for value in local.values], object)
        if max(numbers) > np.iinfo(np.int64).max:
            place = int(np.argmax(numbers))
            raise DataError(
                f"Column {name!r} holds {numbers[place]}{_row_of(local.codes, place, first_row)}, more than int64 can; "
                "make strings of such symbols."
            )
    return local


def _odd_one(values: Iterable[Any]) -> int | None:
    """Return the place of the first value that cannot be a symbol beside those before it."""
    known: type | None = None
    for place, value in enumerate(values):
        if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
            continue
        kind = str if isinstance(value, str) else int if isinstance(value, int | np.integer) else None
        if kind is None or isinstance(value, bool) or (known or kind) is not kind:
            return place
        if kind is str and not is_encodable(value):
            return place
        if kind is int and abs(int(value)) > np.iinfo(np.int64).max:
            return place
        known = kind
    return None


def is_encodable(text: str) -> bool:
    """Whether a text is one of Unicode, as half of a surrogate pair is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refusal(objects: Array, name: str, first_row: int, otherwise: str = "what is no symbol") -> str:
    row = _odd_one(objects)
    found = f"{objects[row]!r} at row {first_row + row}" if row is not None else otherwise
    return f"Column {name!r} holds {found}; symbols must be all strings (of Unicode) or all integers (of int64)."


def _row_of(codes: Array, code: int, first_row: int) -> str:
    found = np.flatnonzero(codes == code)
    return f" at row {first_row + found[0]}" if len(found) else ""


def symbol_array(symbols: list[Symbol]) -> pa.Array:
    """Return symbols as Arrow: texts, or integers of 64 bits, unsigned ones if they are too large for signed ones."""
    if not symbols or isinstance(symbols[0], str):
        return pa.array(symbols, pa.large_string())
    try:
        return pa.array(symbols, pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        return pa.array(symbols, pa.uint64())


def check_same_kind(symbol: Symbol, known: Symbol) -> None:
    """Raise if one symbol is a string and the other an integer.

    Raises
    ------
    DataError
        If so: they could never match.
    """
    if type(symbol) is not type(known):
        raise DataError(f"Of symbols {symbol!r} and {known!r} one is a string, one an integer; convert one column.")


def is_dictionary(column: Any) -> bool:
    """Whether a column has codes already: pandas' categories, Arrow's dictionaries."""
    if isinstance(column, pd.Series):
        return isinstance(column.dtype, pd.CategoricalDtype)
    return isinstance(column, pa.Array | pa.ChunkedArray) and pa.types.is_dictionary(column.type)


def as_int32(codes: Array) -> Array:
    """Return the codes of categories, which have 8 to 32 bits, so that one compiled loop does for all."""
    return read_only(codes.astype(np.int32, copy=False))
