"""The right's columns beside the left's rows, exact: a missing integer is a null, never a reason to become float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.wavefront import run_wavefront
from fintech_toolkit.frames.views import ArrowFrame, Frame, PandasFrame, without_views
from fintech_toolkit.joins.options import AsOf
from fintech_toolkit.schema import Array


def attach(left: Frame, right: Frame, found: Array, options: AsOf) -> Any:
    """Return left with right's other columns appended, each row's from row `found` of right, nulls where that is -1."""
    ours, theirs = options.names(left.names, right.names)
    taken: dict[str, Any] = dict.fromkeys(theirs.values())
    columns = list(theirs.items())
    missing = found < 0
    indices = None
    if isinstance(right, ArrowFrame):
        right, indices = ArrowFrame(without_views(right.table)), pa.array(found, mask=missing)

    def take(c: int) -> None:
        source, name = columns[c]
        column: Any = right.column(source)
        taken[name] = _take_pandas(column, found, missing) if indices is None else _take_arrow(column, indices)

    if columns:
        run_wavefront(len(columns), [(False, take)])
    return _renamed(left, ours).append(taken)


def _renamed(left: Frame, names: dict[str, str]) -> Frame:
    if all(old == new for old, new in names.items()):
        return left
    if isinstance(left, PandasFrame):
        return PandasFrame(left.frame.rename(columns=names))
    assert isinstance(left, ArrowFrame)
    return ArrowFrame(left.table.rename_columns(list(names.values())))


def _take_pandas(column: pd.Series[Any], found: Array, missing: Array) -> Any:
    if not isinstance(column.dtype, np.dtype) or column.dtype.kind not in "biuf":
        return column.array.take(found, allow_fill=True)
    values = column.to_numpy()
    taken = values.take(found, mode="clip") if len(values) else np.zeros(len(found), values.dtype)
    if values.dtype.kind == "f":
        taken[missing] = np.nan
        return taken
    # Whether or not a row is missing today: the type of a column must not depend on that.
    nullable = pd.arrays.BooleanArray if values.dtype.kind == "b" else pd.arrays.IntegerArray
    return nullable(taken, missing.copy())


def _take_arrow(column: Any, indices: Any) -> Any:
    taken = column.take(indices)
    return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken
