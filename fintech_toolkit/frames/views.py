"""pandas frames, Arrow tables and dicts of arrays, seen alike: columns out, columns appended, nothing changed in
place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.errors import ColumnError, DataError, PipelineError, did_you_mean
from fintech_toolkit.frames.few_columns import float_block, labels_of, with_block, with_fields
from fintech_toolkit.frames.new_columns import decoded, nullable_column, numpy_column, pandas_column
from fintech_toolkit.frames.taking import take_values
from fintech_toolkit.schema import Array


class Frame(Protocol):
    """What an engine needs of a frame."""

    frame: Any
    names: list[str]
    rows: int

    def column(self, name: str) -> Any:
        """Return a column as it is."""

    def values(self, name: str) -> Any:
        """Return a column's values, for those who only read them: of pandas, at less than a column costs."""

    def append(self, columns: dict[str, Any]) -> Any:
        """Return the frame with columns of NumPy or Arrow added at the end; masked arrays are integers that may be
        missing.
        """

    def replace(self, columns: dict[str, Any]) -> Any:
        """Return the frame with columns replaced where they stand, or else added at the end."""

    def take(self, rows: Array) -> Any:
        """Return the frame with only these rows."""

    def build(self, columns: dict[str, Any]) -> Any:
        """Return a new frame of the same sort, made of new columns, which are its own from then on; dictionary arrays
        are values that repeat.
        """

    def join(self, first: Any, second: Any) -> Any:
        """Return two frames of this sort, one after the other."""


def wrap(frame: Any) -> Frame:
    """Return the view of a frame that the engines work on; what is one already stays as it is.

    Raises
    ------
    PipelineError
        If it is none of the frames that are known.
    ColumnError
        If two of its columns have one name.
    """
    if isinstance(frame, pd.DataFrame):
        return PandasFrame(frame)
    if isinstance(frame, pa.Table | pa.RecordBatch):
        return ArrowFrame(frame)
    if isinstance(frame, Mapping):
        return DictFrame(frame)
    if isinstance(frame, PandasFrame | ArrowFrame | DictFrame):
        return frame
    if hasattr(frame, "__arrow_c_stream__"):
        try:
            return ArrowFrame(pa.table(frame))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise PipelineError(f"This {type(frame).__name__} is not a frame ({error}).") from error
    if is_dask(frame):
        raise PipelineError(
            f"This {type(frame).__name__} is one of Dask and lazy: compute it, or, to go on from Dask frame to Dask "
            "frame, use a run of pipeline.start_dask()."
        )
    raise PipelineError(
        "A pipeline takes a pandas or Dask DataFrame, an Arrow table or batch, a dict of arrays, or what offers "
        f"Arrow's stream, as Polars frames do; not {type(frame).__name__}."
    )


def sort_of(frame: Any) -> str | None:
    """Return whether a frame is one of pandas, or of Arrow (or offers Arrow's stream); None if it is neither."""
    if isinstance(frame, pd.DataFrame):
        return "pandas"
    return "Arrow" if hasattr(frame, "__arrow_c_stream__") else None


def is_frame(value: Any) -> bool:
    """Whether it is a frame of any library, or a dict of arrays, and not one column."""
    return isinstance(value, Mapping) or (hasattr(value, "columns") and getattr(value, "ndim", 2) == 2)


def is_dask(frame: Any) -> bool:
    """Whether a frame is a Dask collection, without importing Dask."""
    return type(frame).__module__.partition(".")[0] == "dask"


def is_stream(frame: Any) -> bool:
    """Whether it is a streamz stream, or a node of ours that is one, without importing streamz."""
    return any(kind.__module__.partition(".")[0] == "streamz" for kind in type(frame).__mro__)


def require(frame: Frame, name: str, what: str = "") -> None:
    """Raise unless the frame has the column."""
    if name not in frame.names:
        raise ColumnError(f"There is no column {name!r}{what}. {did_you_mean(name, map(str, frame.names))}")


def _check_names(names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ColumnError(f"The frame has two columns called {twice!r}; rename one.")


class PandasFrame:
    """A pandas DataFrame."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.names = labels_of(frame.columns)
        self.rows = len(frame)
        _check_names(self.names)

    def column(self, name: str) -> pd.Series[Any]:
        return self.frame[name]

    def values(self, name: str) -> Any:
        take = getattr(self.frame, "_get_column_array", None)  # not public: there may be none
        return self.frame[name] if take is None else take(self.names.index(name))

    def append(self, columns: dict[str, Any]) -> pd.DataFrame:
        block = float_block(columns.values(), self.rows)
        few = None if block is None else with_block(self.frame, self.names, tuple(columns), block)
        if few is not None:
            return few
        named = {name: nullable_column(v) for name, v in columns.items()}
        added = pd.DataFrame(named, index=self.frame.index, copy=False)
        joined: Any = pd.concat([self.frame, added], axis=1)
        result: pd.DataFrame = joined.__finalize__(self.frame)
        result.columns.names = self.frame.columns.names
        return result

    def replace(self, columns: dict[str, Any]) -> pd.DataFrame:
        return self.frame.assign(
            **{name: v.to_pandas().array if isinstance(v, pa.Array) else v for name, v in columns.items()}
        )

    def take(self, rows: Array) -> pd.DataFrame:
        return self.frame.iloc[rows]

    def build(self, columns: dict[str, Any]) -> pd.DataFrame:
        return pd.DataFrame({name: pandas_column(values) for name, values in columns.items()}, copy=False)

    def join(self, first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([first, second], ignore_index=True)

    def rename(self, names: dict[str, str]) -> PandasFrame:
        """Return a view of the frame with all its columns called by other names."""
        return PandasFrame(self.frame.rename(columns=names)) if _changes(names) else self

    def select(self, names: list[str]) -> pd.DataFrame:
        """Return the frame with only these columns, in this order."""
        return self.frame[names]

    def taker(self, rows: Array, *, some: bool = True) -> Callable[[str], Any]:
        """Return what takes a column's values at rows, exact, nulls where a row is -1, which is so for some at most."""
        if not some:
            return lambda name: self.frame[name].array.take(rows)
        missing = rows < 0
        return lambda name: take_values(self.frame[name], rows, missing)

    def kept(self) -> PandasFrame:
        """Return a view of the frame in the form in which it is kept: as it is."""
        return self

    def concat(self, others: Sequence[pd.DataFrame]) -> Any:
        """Return the frame and others of its sort, one after the other, index and all."""
        import dask.dataframe as dd

        # As pandas does, and categories that differ from frame to frame become their union.
        return dd.dispatch.concat([self.frame, *others])  # type: ignore[no-untyped-call]

    def types(self) -> dict[str, Any]:
        """Return the types that another frame must have too, to follow it: none, pandas finds common ones."""
        return {}

    def to_arrow(self) -> pa.Table:
        """Return the frame as an Arrow table, with its index."""
        return pa.Table.from_pandas(self.frame)


class ArrowFrame:
    """An Arrow table or record batch."""

    def __init__(self, frame: pa.Table | pa.RecordBatch) -> None:
        self.frame = frame
        self.names = list(frame.schema.names)
        self.rows = frame.num_rows
        _check_names(self.names)

    def column(self, name: str) -> Any:
        return self.frame.column(name)

    def values(self, name: str) -> Any:
        return self.frame.column(self.names.index(name))

    def append(self, columns: dict[str, Any]) -> Any:
        table = self.frame
        block = float_block(columns.values(), self.rows)
        if block is not None:
            return with_fields(table, columns, block)
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values))
        return table

    def replace(self, columns: dict[str, Any]) -> Any:
        table = self.frame
        for name, values in columns.items():
            place = table.schema.get_field_index(name)
            column = pa.array(values)
            table = table.append_column(name, column) if place < 0 else table.set_column(place, name, column)
        return table

    def take(self, rows: Array) -> Any:
        return without_views(self.frame).take(pa.array(rows))

    def build(self, columns: dict[str, Any]) -> Any:
        table = pa.table({name: decoded(values) for name, values in columns.items()})
        if isinstance(self.frame, pa.RecordBatch):
            batches = table.combine_chunks().to_batches()
            return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
        return table

    def join(self, first: Any, second: Any) -> Any:
        tables = [part if isinstance(part, pa.Table) else pa.Table.from_batches([part]) for part in (first, second)]
        joined = pa.concat_tables(tables)
        return self.build(dict(zip(joined.schema.names, joined.columns, strict=True)))

    def rename(self, names: dict[str, str]) -> ArrowFrame:
        """Return a view of the frame with all its columns called by other names."""
        return ArrowFrame(self.frame.rename_columns(list(names.values()))) if _changes(names) else self

    def select(self, names: list[str]) -> Any:
        """Return the frame with only these columns, in this order."""
        return self.frame.select(names)

    def taker(self, rows: Array, *, some: bool = True) -> Callable[[str], Any]:
        """Return what takes a column's values at rows, nulls where a row is -1, which is so for some at most."""
        table, places = without_views(self.frame), pa.array(rows, mask=rows < 0)

        def take(name: str) -> Any:
            taken = table.column(name).take(places)
            return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken

        return take

    def kept(self) -> ArrowFrame:
        """Return a view of the frame in the form in which it is kept: a table from which rows can be taken."""
        table = without_views(self.frame)
        return ArrowFrame(table if isinstance(table, pa.Table) else pa.Table.from_batches([table]))

    def concat(self, others: Sequence[pa.Table]) -> pa.Table:
        """Return the table and others, one after the other."""
        return pa.concat_tables([self.frame, *others])

    def types(self) -> dict[str, Any]:
        """Return the types that another frame must have too, to follow it."""
        return {field.name: field.type for field in self.frame.schema}

    def to_arrow(self) -> pa.Table:
        """Return the frame as an Arrow table."""
        return self.frame


def without_views(table: Any) -> Any:
    """Return an Arrow table from which rows can be taken: Arrow cannot take views of strings, which Polars has."""
    for j, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(j, field.name, table.column(j).cast(pa.large_string()))
    return table


class DictFrame:
    """A dict of arrays of one length."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.frame = {
            name: values if type(values) is np.ndarray and values.ndim == 1 else _array(values, f"Column {name!r}")
            for name, values in arrays.items()
        }
        self.names = list(self.frame)
        lengths = list(map(len, self.frame.values()))
        self.rows = lengths[0] if lengths else 0
        if lengths.count(self.rows) < len(lengths):
            raise DataError(f"The columns differ in length: {dict(zip(self.names, lengths, strict=True))}.")

    def column(self, name: str) -> Any:
        return self.frame[name]

    values = column

    def append(self, columns: dict[str, Any]) -> dict[str, Any]:
        return self.frame | {n: v.data if isinstance(v, np.ma.MaskedArray) else v for n, v in columns.items()}

    def replace(self, columns: dict[str, Any]) -> dict[str, Any]:
        return {**self.frame, **self.build(columns)}

    def take(self, rows: Array) -> dict[str, Any]:
        places = pa.array(rows)
        return {
            name: values.take(places if isinstance(values, pa.Array | pa.ChunkedArray) else rows)
            for name, values in self.frame.items()
        }

    def build(self, columns: dict[str, Any]) -> dict[str, Any]:
        return {name: numpy_column(values) for name, values in columns.items()}

    def join(self, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
        return {name: _joined(values, second[name]) for name, values in first.items()}


Joinable = PandasFrame | ArrowFrame
"""A frame that can be a side of a join: a dict of arrays cannot."""


def joinable(frame: Any) -> Joinable:
    """Return the view of a frame that has a sort (see `sort_of`)."""
    view = wrap(frame)
    assert isinstance(view, PandasFrame | ArrowFrame)
    return view


def _changes(names: dict[str, str]) -> bool:
    return any(old != new for old, new in names.items())


def _array(values: Any, what: str) -> Any:
    """Return what a dict holds as a column: Arrow and pandas as they are, anything else as NumPy.

    Raises
    ------
    DataError
        If it is not one value a row.
    """
    if isinstance(values, pa.Array | pa.ChunkedArray | pd.Series | pd.api.extensions.ExtensionArray):
        return values
    if isinstance(values, pd.Index):
        return values.to_series()
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    if is_dask(values):
        raise DataError(f"{what} is lazy ({type(values).__name__}); give a Dask frame, or compute it.")
    try:
        array = np.asanyarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{what} must be an array of one value a row, not {type(values).__name__} ({error})."
        ) from error
    if array.ndim != 1:
        raise DataError(f"{what} must be an array of one value a row; it has {array.ndim} dimensions.")
    if not isinstance(values, np.ndarray) and _changed(values, array.dtype.kind):
        array = np.fromiter(values, dtype=object, count=len(array))
    return array


def _changed(values: Any, kind: str) -> bool:
    """Whether NumPy has made other values of some: of numbers strings, among strings; of integers floats, rounded."""
    if kind in "US":
        return any(not isinstance(value, str | bytes) for value in values)
    return kind == "f" and any(isinstance(value, int) and abs(value) > 2**53 for value in values)


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second])
    return pd.concat([pd.Series(first), pd.Series(second)]).array
