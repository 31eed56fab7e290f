"""Columns of names (dealer, venue, action, …) as kernels see them: integers, the same for the same name everywhere.

The key of a text is a hash of 64 bits of its UTF-8 (`hashing`), which depends on nothing else: not on the process, the
engine, or what other names there are. Two different names have one key with a probability of 2**-64; among n names
there is such a pair with one of about n**2 / 2**65, which for a million is 3 in 100 million. Texts of one length of up
to seven bytes never have. It is no protection against those who look for such a pair.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError
from fintech_toolkit.scan.hashing import hash_rows
from fintech_toolkit.scan.values import MISSING, as_values
from fintech_toolkit.schema import Array

WANTED = "names (texts, or whole numbers that stand for them)"
_INT64 = np.dtype("i8")


def read_values(column: Any, dtype: np.dtype[Any], what: str, *, nullable: bool = False) -> Array:
    """Return a column as the array that kernels see: keys of names where the dtype is object, else as `as_values`.

    Raises
    ------
    DataError
        If the values are not such; the message names the first row.
    """
    if dtype.kind == "O":
        return as_keys(column, what)
    return as_values(column, dtype, what, nullable=nullable)


def as_keys(column: Any, what: str) -> Array:
    """Return the keys of a column of names: integers as they are, of texts a hash, `MISSING` without a name.

    Parameters
    ----------
    column : array_like
        NumPy, pandas or Arrow, anything with Arrow's capsules (Polars), or a sequence. Of a dictionary (a category)
        only the dictionary is hashed.
    what : str
        What it is called in errors.

    Raises
    ------
    DataError
        If it holds something else; the message names the first row.
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "iu":
            return as_values(column, _INT64, what, nullable=True)
        if column.ndim != 1:
            return as_keys(column.reshape(-1), what).reshape(column.shape)
    values = _arrow(column, what)
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    keys = [_keys(chunk, what) for chunk in chunks]
    if any(part is None for part in keys):
        known = values.is_valid().to_numpy(zero_copy_only=False)
        row = int(np.argmax(known))
        raise DataError(
            f"{what} must hold {WANTED}, not {values.type}; the first is {values[row].as_py()!r} at row {row}."
        )
    return keys[0] if len(keys) == 1 else np.concatenate([np.empty(0, np.int64), *keys])  # type: ignore[return-value]


@lru_cache(maxsize=1 << 16)
def key_of(name: str) -> int:
    """Return the key of one name.

    Examples
    --------
    >>> key_of("UPDATE") == int(as_keys(["DELETE", "UPDATE"], "action")[1])
    True
    """
    return int(as_keys([name], "name")[0])


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of texts, in whichever form."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)  # type: ignore[no-any-return]


def _arrow(column: Any, what: str) -> Any:
    """Return a column as Arrow; NaN and None are nulls."""
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return column
    if not isinstance(column, pd.Series | pd.Index):  # which have their own way of saying what is missing
        if hasattr(column, "__arrow_c_array__"):
            return pa.array(column)
        if hasattr(column, "__arrow_c_stream__"):
            return pa.chunked_array(column)
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        rows = np.asarray(column, dtype=object).reshape(-1)
        known = [(row, value) for row, value in enumerate(rows) if not pd.api.types.is_scalar(value) or pd.notna(value)]
        wrong = next(((row, value) for row, value in known if not isinstance(value, type(known[0][1]))), None)
        where = "" if wrong is None else f"; after {known[0][1]!r} there is {wrong[1]!r} at row {wrong[0]}"
        raise DataError(f"{what} must hold {WANTED}, all of one sort{where}.") from error


def _keys(values: pa.Array, what: str) -> Array | None:
    """Return the keys of Arrow's values, None if they can have none."""
    kind = values.type
    if pa.types.is_run_end_encoded(kind):
        return _keys(pc.run_end_decode(values), what)
    if pa.types.is_dictionary(kind):
        known = _keys(values.dictionary, what)
        # A code of -1 leads to the last.
        codes = values.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        return None if known is None else np.append(known, MISSING)[codes]
    if values.null_count == len(values):
        return np.full(len(values), MISSING)
    if pa.types.is_integer(kind):
        return as_values(values, _INT64, what, nullable=True)
    if is_text(kind):
        return _hashes(values.cast(pa.large_string()))
    return None


def _hashes(texts: pa.LargeStringArray) -> Array:
    _, places, data = texts.buffers()
    offsets = np.frombuffer(places, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    characters = np.frombuffer(data or b"", np.uint8)
    offsets.flags.writeable = characters.flags.writeable = False
    out = np.empty(len(texts), np.uint64)
    hash_rows(characters, offsets, 0, out)
    keys = out.view(np.int64)
    keys[keys == MISSING] += 1
    if texts.null_count:
        keys[texts.is_null().to_numpy(zero_copy_only=False)] = MISSING
    return keys
