"""Floats added to a frame of few rows: what that costs is not the rows, but what a library does for each column."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.internals import create_dataframe_from_blocks  # type: ignore[import-not-found] # its stubs lack it

from fintech_toolkit.schema import Array

FEW = 4096
"""Rows up to which what a frame costs is its columns, not its rows."""


def float_block(columns: Iterable[Any], rows: int) -> Array | None:
    """Return columns as the rows of one array; None if they are not all NumPy's floats, or not few rows."""
    values = list(columns)
    if not values or rows > FEW:
        return None
    if any(type(column) is not np.ndarray or column.dtype != np.float64 for column in values):
        return None
    return np.array(values)


def labels_of(columns: pd.Index[Any]) -> list[Any]:
    """Return the labels of a pandas frame: texts in a third of the time that pandas takes to list them."""
    if _are_texts(columns):
        texts: Any = columns.array
        arrow = texts.__arrow_array__()
        if not arrow.null_count:
            names: list[Any] = arrow.to_pylist()
            return names
    return list(columns)


def with_block(frame: pd.DataFrame, names: list[Any], added: tuple[str, ...], block: Array) -> pd.DataFrame | None:
    """Return a pandas frame with columns added, the rows of `block`, all of it its own; None if it is no usual one."""
    columns = frame.columns
    blocks = getattr(getattr(frame, "_mgr", None), "blocks", None)  # not public: there may be none
    if blocks is None or type(columns) is not pd.Index:
        return None
    usual = _are_texts(columns)
    longer: Any = _texts(columns.dtype, *names, *added).view() if usual else columns.append(pd.Index(added))
    longer.name = columns.name
    parts = [(part.values.copy(), part.mgr_locs.as_array) for part in blocks]
    parts.append((block, np.arange(len(names), len(longer))))
    result: Any = create_dataframe_from_blocks(parts, index=frame.index.view(), columns=longer)
    if type(frame) is not pd.DataFrame:
        constructor: Any = frame._constructor
        result = constructor(result)
    with_attributes: pd.DataFrame = result.__finalize__(frame)
    return with_attributes


def with_fields(table: Any, names: Iterable[str], block: Array) -> Any:
    """Return an Arrow table or batch with columns added, the rows of `block`."""
    rows = block.shape[1]
    values = pa.array(block.reshape(-1))
    for j, name in enumerate(names):
        table = table.append_column(_field(name), values.slice(j * rows, rows))
    return table


def _are_texts(columns: pd.Index[Any]) -> bool:
    return type(columns) is pd.Index and isinstance(columns.array, pd.arrays.ArrowStringArray)


@lru_cache
def _texts(dtype: Any, *names: Any) -> pd.Index[Any]:
    labels: pd.Index[Any] = pd.Index(names, dtype=dtype)
    return labels


@lru_cache
def _field(name: str) -> pa.Field:
    return pa.field(name, pa.float64())
