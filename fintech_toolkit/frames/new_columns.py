"""New columns in the form in which a frame of a sort holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


def decoded(values: Any) -> Any:
    """Return a dictionary array as the values that it stands for, and any other column as it is."""
    return values.dictionary_decode() if isinstance(values, pa.DictionaryArray) else values


def numpy_column(values: Any) -> Any:
    """Return an Arrow array as one of NumPy, and any other column as it is."""
    if isinstance(values, pa.DictionaryArray):  # a string is made once, not once for each of its rows
        return numpy_column(values.dictionary)[numpy_column(values.indices)]
    return values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values


def pandas_column(values: Any) -> Any:
    """Return an Arrow array as a column of pandas that can be written to, and any other column as it is."""
    if not isinstance(values, pa.Array):
        return values
    values = decoded(values)
    if pa.types.is_primitive(values.type) and not getattr(values.type, "tz", None):
        return np.require(values.to_numpy(zero_copy_only=False), requirements="W")  # Arrow's memory is read only
    return values.to_pandas()


def nullable_column(values: Any) -> Any:
    """Return a masked array of integers as one of pandas, and any other column as it is."""
    return pd.arrays.IntegerArray(values.data, np.ma.getmaskarray(values)) if np.ma.isMaskedArray(values) else values
