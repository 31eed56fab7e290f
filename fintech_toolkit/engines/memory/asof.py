"""As-of joins in memory: the right's columns beside the left's rows.

They are exact: a missing integer is a null, never a reason to become float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.memory.search import search
from fintech_toolkit.engines.memory.wavefront import run_wavefront
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.frames.views import ArrowFrame, Frame, PandasFrame, without_views, wrap
from fintech_toolkit.schema import Array


def same_sort(left: Any, right: Any) -> tuple[Frame, Frame]:
    """Return the views of two frames.

    Raises
    ------
    PipelineError
        If they are not both pandas, or both Arrow or what offers Arrow's stream.
    """
    sorts = [
        "pandas" if isinstance(side, pd.DataFrame) else "Arrow" if hasattr(side, "__arrow_c_stream__") else "neither"
        for side in (left, right)
    ]
    if sorts[0] != sorts[1] or "neither" in sorts:
        raise PipelineError(
            "An as-of join takes two pandas DataFrames, two Arrow tables (or what offers Arrow's stream, as Polars "
            f"frames do), two Dask DataFrames or two streams; not {_called(left)} and {_called(right)}. "
            "Convert one, as with Table.from_pandas(…) or .to_pandas()."
        )
    return wrap(left), wrap(right)


def _called(frame: Any) -> str:
    return f"{type(frame).__module__.partition('.')[0]}'s {type(frame).__name__}"


def join_frames(left: Frame, right: Frame, options: AsOf, right_first_row: int = 0) -> Any:
    """Join two frames in memory."""
    options = options.resolved(left.names, right.names)
    options.names(left.names, right.names)
    return attach(left, right, search(left, right, options, right_first_row), options)


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
