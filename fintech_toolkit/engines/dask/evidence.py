"""What is known about a Dask frame without computing: are its partitions in time order, is each symbol in one of them?

The answers come from the frame's expression: file metadata, divisions, data in memory. They decide which plan is taken,
never what the result is: every scan checks the order of its rows, and that no symbol is in two partitions, as it runs.
"""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from dask.dataframe.dask_expr import _expr as dx
from dask.dataframe.dask_expr._concat import Concat
from dask.dataframe.dask_expr._indexing import Loc
from dask.dataframe.dask_expr._repartition import Repartition, RepartitionToFewer
from dask.dataframe.dask_expr._shuffle import SetIndex, SetIndexBlockwise
from dask.dataframe.dask_expr.io.io import IO, FromMapProjectable, FromPandas
from dask.dataframe.dask_expr.io.parquet import ReadParquet, ReadParquetFSSpec, ReadParquetPyarrowFS

from fintech_toolkit.engines.dask.chain import PartitionScan
from fintech_toolkit.engines.dask.shuffle import PartitionBySymbol
from fintech_toolkit.engines.memory.pairs import to_pairs
from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import PandasFrame
from fintech_toolkit.schema import Array

FOOTERS_AT_ONCE = 16

KEEPS = (
    dx.Projection,
    dx.Filter,
    dx.Query,
    dx.DropnaFrame,
    dx.Drop,
    dx.ResetIndex,
    dx.ArrowStringConversion,
    dx.ClearDivisions,
    Loc,
)
"""The nodes of Dask's that take a column as it is, partition by partition: rows are left out at most, none is moved.
Those that do so with some columns only are told apart in `_below`. Our own nodes say it themselves (`keeps`). Of any
other node nothing is known, `map_partitions` included.
"""


@dataclass(frozen=True)
class Bounds:
    """First and last time of every partition (None: it is empty), in units that compare with each other."""

    spans: list[tuple[Any, Any] | None]
    source: str


@dataclass(frozen=True)
class Evidence:
    """Whether something is so, and why, in words."""

    holds: bool
    why: str


@dataclass(frozen=True)
class TimeOrder:
    """In which order partitions follow each other in time (None: not known, or they overlap), and why, in words."""

    order: list[int] | None
    why: str


def time_order(frame: Any, time: str | None) -> TimeOrder:
    """Return what is known about the order of an expression's partitions in time."""
    as_they_are = list(range(frame.npartitions))
    if frame.npartitions == 1:
        return TimeOrder(as_they_are, "there is one partition")
    if time is None:
        return TimeOrder(as_they_are, "without a time column rows count as being in order")
    if _out_of_chain(frame, time):
        return TimeOrder(as_they_are, "the windows come in the order of their ends out of the chain before")
    if isinstance(frame, Repartition) and _splits_evenly(frame):
        below = time_order(frame.frame, time)
        if below.order == list(range(frame.frame.npartitions)):
            return TimeOrder(as_they_are, f"{below.why}, and were split")
    try:
        known = _bounds(frame, time)
    except TypeError:
        known = "times of partitions do not compare"
    if isinstance(known, str):
        return TimeOrder(None, known)
    spans = known.spans
    filled = [p for p in as_they_are if spans[p] is not None]
    try:
        if all(spans[q][0] >= spans[p][1] for p, q in pairwise(filled)):  # type: ignore[index]
            return TimeOrder(as_they_are, f"the partitions are in time order by {known.source}")
        filled.sort(key=lambda p: spans[p])  # type: ignore[arg-type,return-value]
        clash = next(((p, q) for p, q in pairwise(filled) if not spans[q][0] > spans[p][1]), None)  # type: ignore[index]
    except TypeError:
        return TimeOrder(None, f"by {known.source}, times of partitions do not compare")
    if clash is not None:
        p, q = clash
        return TimeOrder(
            None,
            f"by {known.source}, partition {q} starts at {spans[q][0]}, before partition {p} ends at {spans[p][1]}",  # type: ignore[index]
        )
    empty = [p for p in as_they_are if spans[p] is None]
    return TimeOrder(
        filled + empty, f"by {known.source} the partitions do not overlap, so they are taken in the order of time"
    )


def order_by_symbol(frame: Any, symbol: str | None, time: str | None) -> Evidence:
    """Return whether the rows of each symbol are known to be in time order from partition to partition, where times of
    different symbols may overlap: as those of rows that a chain has emitted do, which are about ticks long before.
    """
    if symbol is None or time is None or (isinstance(frame, dx.Partitions) and not _ascend(frame.partitions)):
        return Evidence(False, "")
    if hasattr(frame, "emits_in_order") and frame.emits_in_order(symbol, time):
        return Evidence(True, "the rows of each symbol come in time order out of the chain before")
    symbols, times = _below(frame, symbol), _below(frame, time)
    if symbols is None or times is None or symbols[0] is not times[0]:
        return Evidence(False, "")
    return order_by_symbol(symbols[0], symbols[1], times[1])


def _out_of_chain(frame: Any, time: str) -> bool:
    """Whether rows were made along a chain in order of a time, and lie as they were made."""
    if hasattr(frame, "in_time_order"):
        return frame.in_time_order(time)
    below = _below(frame, time)
    if below is None or (isinstance(frame, dx.Partitions) and not _ascend(frame.partitions)):
        return False
    return _out_of_chain(*below)


def _ascend(partitions: list[int]) -> bool:
    return all(before < after for before, after in pairwise(partitions))


def by_symbol(frame: Any, symbol: str | None) -> Evidence:
    """Return whether each symbol is known to be in one partition only, its rows in time order."""
    if symbol is None:
        return Evidence(False, "there is no column of symbols")
    if isinstance(frame, PartitionBySymbol):
        return Evidence(frame.symbol == symbol, f"partition_by_symbol made the partitions, by column {frame.symbol!r}")
    if isinstance(frame, PartitionScan) and frame.scans_by(symbol):
        return Evidence(True, f"the pipeline before scans the partitions by column {symbol!r}")
    if isinstance(frame, FromMapProjectable) and hasattr(frame.func, "partitioned_by"):
        key = frame.func.partitioned_by
        return Evidence(key == symbol, f"the data set was written partitioned by column {key!r}")
    if isinstance(frame, Repartition) and not _joins_partitions(frame):
        return Evidence(False, "repartition has split partitions")
    if _is_pairs(frame):
        return Evidence(False, "the symbols of a pair may be in different partitions")
    if isinstance(frame, dx.Partitions) and len(set(frame.partitions)) < len(frame.partitions):
        return Evidence(False, "a partition was taken twice")
    below = _below(frame, symbol)
    if below is None:
        return Evidence(False, f"nothing is known about which partitions hold a symbol ({_name(frame)})")
    return by_symbol(*below)


def _below(frame: Any, column: str) -> tuple[Any, str] | None:
    """Return the expression from which a frame takes a column unchanged, partition by partition, and its name there."""
    if hasattr(frame, "keeps"):
        return frame.keeps(column)
    if isinstance(frame, (*KEEPS, dx.Partitions, Repartition)):
        return frame.frame, column
    if isinstance(frame, dx.RenameFrame):
        return _renamed(frame, column)
    if isinstance(frame, dx.Assign):
        return None if column in frame.operands[1::2] else (frame.frame, column)
    if isinstance(frame, dx.AsType):
        changed = frame.operand("dtypes")
        return (frame.frame, column) if isinstance(changed, dict) and column not in changed else None
    if isinstance(frame, dx.Fillna):
        return (frame.frame, column) if _leaves(frame.operand("value"), frame._meta, column) else None
    if _is_pairs(frame):
        return frame.frame, column
    return None


def _leaves(value: Any, meta: pd.DataFrame, column: str) -> bool:
    """Whether filling with a value leaves a column as it is: if it is for others, or is no value of its type."""
    if isinstance(value, dict):
        return column not in value
    return isinstance(value, int | float) and not pd.api.types.is_numeric_dtype(meta.dtypes[column])


def _is_pairs(frame: Any) -> bool:
    return isinstance(frame, dx.MapPartitions) and frame.func is to_pairs


def _joins_partitions(frame: Any) -> bool:
    """Whether a repartition puts whole partitions together, and does nothing else."""
    return frame.operand("new_partitions") is not None and frame.npartitions <= frame.frame.npartitions


def _renamed(frame: Any, column: str) -> tuple[Any, str] | None:
    below = frame.frame
    new = list(below._meta.rename(columns=frame.operand("columns")).columns)
    return (below, below.columns[new.index(column)]) if column in new else None


def _name(frame: Any) -> str:
    return type(frame).__name__


def _bounds(frame: Any, time: str) -> Bounds | str:
    """Return the times of an expression's partitions, or why they are not known."""
    if isinstance(frame, ReadParquet):
        return _parquet_bounds(frame, time)
    if isinstance(frame, FromPandas):
        return _memory_bounds(frame, time)
    if (
        isinstance(frame, IO | SetIndex | SetIndexBlockwise)
        and frame.known_divisions
        and frame._meta.index.name == time
    ):
        edges = frame.divisions
        return Bounds(list(pairwise(edges)), f"the divisions of index {time!r}")
    if isinstance(frame, dx.Partitions):
        known = _bounds(frame.frame, time)
        if isinstance(known, str):
            return known
        return Bounds([known.spans[p] for p in frame.partitions], known.source)
    if isinstance(frame, Concat) and frame.axis == 0 and not frame.interleave_partitions:
        return _concat_bounds(frame, time)
    if isinstance(frame, PartitionBySymbol):
        return "the partitions are by symbol"
    if isinstance(frame, Repartition):
        return _joined_bounds(frame, time)
    if isinstance(frame, dx.Assign):
        pairs = dict(zip(frame.operands[1::2], frame.operands[2::2], strict=True))
        if time in pairs:
            return _monotone_bounds(pairs[time], time)
    below = _below(frame, time)
    if below is None:
        return f"nothing is known about the times in its partitions ({_name(frame)} has no statistics)"
    return _bounds(*below)


def _monotone_bounds(column: Any, time: str) -> Bounds | str:
    """Follow a column through conversions that keep the order of times."""
    while isinstance(column, dx.ToDatetime | dx.AsType):
        column = column.operands[0]
    if isinstance(column, dx.Projection) and column.ndim == 1:
        return _bounds(column.frame, column.operand("columns"))
    return f"column {time!r} is computed, so file statistics do not speak of it"


def _splits_evenly(frame: Any) -> bool:
    """Whether a repartition cuts partitions into pieces as their rows lie, not by their index."""
    more = frame.operand("new_partitions") is not None and frame.npartitions > frame.frame.npartitions
    return more and not frame.frame.known_divisions


def _joined_bounds(frame: Any, time: str) -> Bounds | str:
    """Return the times of partitions that were put together, if those were in order: else the new ones are not."""
    if not _joins_partitions(frame):
        return "repartition has split partitions"
    known = _bounds(frame.frame, time)
    if isinstance(known, str) or frame.npartitions == frame.frame.npartitions:
        return known
    edges = RepartitionToFewer._compute_partition_boundaries(frame.npartitions, frame.frame.npartitions)
    spans: list[tuple[Any, Any] | None] = []
    for start, stop in pairwise(edges):
        filled = [span for span in known.spans[start:stop] if span is not None]
        if any(after[0] < before[1] for before, after in pairwise(filled)):
            return "repartition has put partitions together that were not in time order"
        spans.append((filled[0][0], filled[-1][1]) if filled else None)
    return Bounds(spans, known.source)


def _concat_bounds(frame: Any, time: str) -> Bounds | str:
    spans: list[tuple[Any, Any] | None] = []
    for part in frame._frames:
        known = _bounds(part, time)
        if isinstance(known, str):
            return known
        spans += known.spans
        source = known.source
    return Bounds(spans, source)


def _memory_bounds(frame: Any, time: str) -> Bounds | str:
    data = frame.frame._data
    if time not in data.columns:
        return f"there is no column {time!r}"
    try:
        ts, _ = times(PandasFrame(data[[time]]), time, "ns")  # the order is that of any unit
    except DataError as error:
        return str(error)
    edges = frame._locations()
    spans = [_memory_span(ts[start:stop]) for start, stop in pairwise(edges)]
    return Bounds([spans[p] for p in frame._partitions], "the data in memory")


def _memory_span(ts: Array) -> tuple[int, int] | None:
    ts = ts[ts != NAT]  # of a missing time a scan complains, or a join that leaves rows out which are not finished
    return (int(ts.min()), int(ts.max())) if len(ts) else None


def _parquet_bounds(frame: Any, time: str) -> Bounds | str:
    """Read the first and last time of every partition from the footers of its files: metadata, no data."""
    pieces = files_of(frame)
    if not pieces:
        return "the data set is empty"
    with ThreadPoolExecutor(min(FOOTERS_AT_ONCE, len(pieces))) as pool:
        spans = list(pool.map(lambda piece: _footer_span(piece, time), pieces))
    for partition, span in enumerate(spans):
        if isinstance(span, str):
            return f"the Parquet file of partition {partition} {span}"
    return Bounds(spans, f"the Parquet statistics of {time!r}")  # type: ignore[arg-type]


def files_of(frame: Any) -> list[list[tuple[str, Any, list[int] | None]]]:
    """Return the files, their file system and the row groups that each partition reads."""
    if isinstance(frame, ReadParquetPyarrowFS):
        fragments = [frame.fragments[p] for p in frame._partitions]
        return [[(fragment.path, fragment.filesystem, None)] for fragment in fragments]
    assert isinstance(frame, ReadParquetFSSpec)
    if frame._plan["empty"]:
        return []
    fs = frame._dataset_info["fs"]
    result = []
    for p in frame._partitions:
        part = frame._plan["parts"][p]
        files = [piece["piece"] for piece in (part if isinstance(part, list) else [part])]
        result.append([(path, fs, None if groups in (None, [None]) else groups) for path, groups, *_ in files])
    return result


def _footer_span(files: list[tuple[str, Any, list[int] | None]], time: str) -> tuple[Any, Any] | str | None:
    spans = []
    for path, fs, groups in files:
        metadata = pq.read_metadata(path, filesystem=fs)
        place = next((j for j in range(metadata.num_columns) if metadata.schema.column(j).path == time), None)
        if place is None:
            return f"has no column {time!r}"
        for group in range(metadata.num_row_groups) if groups is None else groups:
            column = metadata.row_group(group).column(place)
            if metadata.row_group(group).num_rows == 0:
                continue
            statistics = column.statistics
            if statistics is None or not statistics.has_min_max or column.physical_type != "INT64":
                return f"has no statistics of {time!r}"
            # The integers as stored: exact, where the values would be rounded to microseconds.
            unit = str(statistics.logical_type)
            spans.append((_Stamp(statistics.min_raw, unit), _Stamp(statistics.max_raw, unit)))
    return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None


@dataclass(frozen=True)
class _Stamp:
    """A time as a Parquet file stores it: comparable with those of the same unit only."""

    value: int
    unit: str

    def _comparable(self, other: _Stamp) -> int:
        if self.unit != other.unit:
            raise TypeError("times of different units")
        return other.value

    def __lt__(self, other: _Stamp) -> bool:
        return self.value < self._comparable(other)

    def __gt__(self, other: _Stamp) -> bool:
        return self.value > self._comparable(other)

    def __ge__(self, other: _Stamp) -> bool:
        return self.value >= self._comparable(other)

    def __str__(self) -> str:
        for unit, short in (("nanoseconds", "ns"), ("microseconds", "us"), ("milliseconds", "ms")):
            if unit in self.unit:
                return str(pd.Timestamp(self.value, unit=short))
        return str(self.value)
