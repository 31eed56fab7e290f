"""Joins of Dask frames with references: a small one is sent whole to every worker, a large one partitioned by key.

By the hash of its key each row of a large reference goes to one piece, and each key of the left to the piece that can
have it. Of the left only keys and row numbers travel; it keeps its partitions, order and index.
"""
# Dask's expressions are not typed.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from dask._task_spec import List, Task, TaskRef
from dask.base import tokenize
from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._expr import Expr
from dask.dataframe.dask_expr.io.io import FromPandas
from dask.dataframe.dask_expr.io.parquet import ReadParquet
from dask.dataframe.dispatch import concat
from dask.sizeof import sizeof
from dask.utils import format_bytes

from fintech_toolkit.engines.dask.asof import with_whole_right
from fintech_toolkit.engines.dask.evidence import FOOTERS_AT_ONCE, files_of
from fintech_toolkit.engines.memory import relational
from fintech_toolkit.engines.memory.hash_table import hashes
from fintech_toolkit.engines.memory.lookup import match_keys
from fintech_toolkit.errors import DataError, PipelineError
from fintech_toolkit.flow.nodes import Source
from fintech_toolkit.flow.operations import Join
from fintech_toolkit.flow.plan import AS_THEY_WERE, Plan, how_many
from fintech_toolkit.frames.key_bytes import KeyColumns
from fintech_toolkit.frames.views import PandasFrame, is_dask
from fintech_toolkit.scan.threads import one_thread
from fintech_toolkit.schema import Array

MOST_WHOLE = 256 * 2**20
"""References of more bytes are partitioned by key, into pieces of about so many."""
MOST_PIECES = 32
"""Of a reference of which nobody knows how large it is: each piece gets something of each partition."""


class Route(NamedTuple):
    """Into how many pieces a reference is partitioned, none if it is sent whole, and why."""

    pieces: int
    reason: str


def join(node: Join, left: Any, reference: Any) -> Any:
    """Return the lazy join of a Dask frame with a reference, a Dask or pandas frame.

    Raises
    ------
    PipelineError
        If left is something else.
    """
    if not is_dask(left):
        raise PipelineError("the reference is a Dask frame, so the left must be one too.")
    alone = node.over(Source("left"), Source("reference"))  # a worker needs not know what stands before
    pieces = route_of(reference).pieces
    if not pieces:
        there = reference.repartition(npartitions=1).expr if is_dask(reference) else reference
        return new_collection(ReferenceJoin(left.expr, there, alone))
    if not is_dask(reference):
        with dask.config.set({"dataframe.convert-string": False}):  # the values are what they are if it is sent whole
            reference = dd.from_pandas(reference, npartitions=pieces, sort=False)
    return new_collection(PartitionedJoin(left.expr, reference.expr, alone, pieces))


def explain(node: Join, left: Any, reference: Any) -> Plan:
    """Return how a Dask frame would be joined with a reference; nothing is computed."""
    route = route_of(reference)
    theirs = how_many(reference.npartitions, "partition") if is_dask(reference) else "one frame"
    chunks = f"left {how_many(left.npartitions, 'partition')}, reference {theirs}"
    if not route.pieces:
        how = "every partition of left by itself, with all of the reference"
        return Plan("whole reference", route.reason, how, chunks, AS_THEY_WERE)
    how = (
        "the reference is cut into pieces by the hash of its key; the key of each row of left travels to the piece "
        "that can have it, and what it finds travels back"
    )
    chunks += f" in {how_many(route.pieces, 'piece')} by key"
    return Plan("partitioned reference", route.reason, how, chunks, AS_THEY_WERE)


def route_of(reference: Any) -> Route:
    """Return whether a reference is sent whole or partitioned by key, and why."""
    # What is not asked for is not read either.
    size = _known_bytes(reference.expr.simplify()) if is_dask(reference) else sizeof(reference)
    most = format_bytes(MOST_WHOLE)
    if size is None and reference.npartitions == 1:
        return Route(0, "the reference is one partition")
    if size is None:
        why = f"nobody knows how large the reference is before it is read, and it is {reference.npartitions} partitions"
        return Route(min(reference.npartitions, MOST_PIECES), why)
    if size <= MOST_WHOLE:
        return Route(0, f"the reference is small: {format_bytes(size)}, and up to {most} are sent whole")
    return Route(
        -(-size // MOST_WHOLE), f"the reference is large: {format_bytes(size)}, and up to {most} are sent whole"
    )


def _known_bytes(frame: Expr) -> int | None:
    """Return how many bytes are read for a frame, as its frames in memory and footers of Parquet tell; None if not."""
    total = 0
    for leaf in {leaf._name: leaf for leaf in frame.walk() if not leaf.dependencies()}.values():
        if isinstance(leaf, ReadParquet):
            total += _stored_bytes(leaf)
        elif isinstance(leaf, FromPandas):
            total += sizeof(leaf.operand("frame")._data[list(leaf.columns)])
        else:
            return None
    return total


def _stored_bytes(frame: ReadParquet) -> int:
    """Return how many bytes the columns take that are read of files of Parquet, not compressed."""
    names = set(frame.columns)

    def size(file: tuple[str, Any, list[int] | None]) -> int:
        path, system, groups = file
        metadata = pq.read_metadata(path, filesystem=system)
        every = [metadata.row_group(g) for g in (range(metadata.num_row_groups) if groups is None else groups)]
        columns = [group.column(c) for group in every for c in range(group.num_columns)]
        return sum(c.total_uncompressed_size for c in columns if c.path_in_schema.partition(".")[0] in names)

    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        return sum(pool.map(size, [file for files in files_of(frame) for file in files]))


def join_partition(left: pd.DataFrame, reference: pd.DataFrame, node: Join, partition: int) -> pd.DataFrame:
    """Join a partition of left with all of the reference."""
    try:
        with one_thread():
            return relational.join(node, left, reference)[0]
    except DataError as error:
        raise DataError(f"{error} (Partition {partition} of left.)") from error


def split(
    frame: pd.DataFrame, columns: list[str], on: Sequence[str], pieces: int, side: str, partition: int
) -> list[pd.DataFrame]:
    """Return some columns of the rows that belong to each piece, with the numbers of the rows as index; those of which
    the key is missing belong to none.

    Raises
    ------
    DataError
        If a column cannot hold keys.
    """
    try:
        homes = piece_of(KeyColumns(PandasFrame(frame), on), pieces)
    except DataError as error:
        raise DataError(f"{error} (Partition {partition} of {side}.)") from error
    homes[frame[list(on)].isna().any(axis=1).to_numpy()] = -1  # finds nothing, and so goes nowhere
    order = np.argsort(homes, kind="stable")
    asked = frame[columns]
    ends = np.searchsorted(homes[order], np.arange(pieces + 1))
    # Each is a copy of its own: a view would keep the whole partition in memory until the last piece is put together.
    return [asked.iloc[rows].set_axis(rows) for rows in (order[start:end] for start, end in pairwise(ends))]


def piece_of(columns: KeyColumns, pieces: int) -> Array:
    """Return the piece to which each key belongs: the same for keys that are equal, whatever their types."""
    kinds = [replace(kind, unit=kind.unit and "ns") for kind in columns.kinds]
    hashed = hashes(columns.read(kinds))  # times that nanoseconds cannot hold are alike, on whichever side
    return ((hashed >> np.uint64(32)) % np.uint64(pieces)).astype(np.int64)


def put_together(parts: list[pd.DataFrame], rows: list[int]) -> pd.DataFrame:
    """Return a piece of the reference, its rows called by their numbers in all of it; `rows` has each partition."""
    starts = np.cumsum([0, *rows[:-1]])
    return concat([part.set_axis(part.index + start) for part, start in zip(parts, starts, strict=True)])


def look_up(asked: pd.DataFrame, piece: pd.DataFrame, node: Join, partition: int) -> pd.DataFrame:
    """Return the rows of a piece that are found, with the numbers of those rows of left as index that find them.

    Raises
    ------
    DataError
        As `match_keys`.
    """
    here, there = PandasFrame(asked), PandasFrame(piece)
    try:
        with one_thread():
            found = match_keys(here, node.left_on, there, node.right_on, piece.index.to_numpy())
    except DataError as error:
        raise DataError(f"{error} (Partition {partition} of left.)") from error
    some = found >= 0
    return piece.iloc[found[some]].set_axis(asked.index[some])


def assemble(left: pd.DataFrame, answers: list[pd.DataFrame], node: Join) -> pd.DataFrame:
    """Put what was found beside the rows of left that it belongs to."""
    there = concat(answers)
    found = np.full(len(left), -1, np.int64)
    found[there.index.to_numpy()] = np.arange(len(there))
    with one_thread():
        return relational.joined(PandasFrame(left), PandasFrame(there), found, node)


class ReferenceJoin(Expr):
    """Every partition of left with a reference that is whole: order, index and partitions of left."""

    _parameters = ["left", "reference", "node"]  # noqa: RUF012

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        reference = self.operand("reference")
        there = reference._meta if isinstance(reference, Expr) else reference.iloc[:0]
        return relational.join(self.node, self.left._meta, there)[0]

    def _divisions(self) -> tuple[Any, ...]:
        return self.left.divisions

    def keeps(self, column: str) -> tuple[Expr, str] | None:
        """Return left, if it has a column as it is here, and its name there."""
        return (self.left, column) if column in self.left.columns else None

    @functools.cached_property
    def unique_partition_mapping_columns_from_shuffle(self) -> set[Any]:
        """Return by which columns the partitions hold rows together, as Dask asks it."""
        return self.left.unique_partition_mapping_columns_from_shuffle

    def _layer(self) -> dict[Any, Any]:
        return with_whole_right(self, self.operand("reference"), join_partition, self.node)


class PartitionedJoin(ReferenceJoin):
    """The same with a reference that is partitioned by key into so many pieces."""

    _parameters = ["left", "reference", "node", "pieces"]  # noqa: RUF012

    def _layer(self) -> dict[Any, Any]:
        layer: dict[Any, Any] = {}
        node, pieces = self.node, self.pieces
        ours = list(dict.fromkeys(node.left_on))
        theirs = list(dict.fromkeys([*node.right_on, *node.taken(list(self.reference.columns))]))
        # Joins with the same columns of the same reference share its pieces.
        of_reference = f"{self.reference._name}-{tokenize(theirs, node.right_on, pieces)}"

        def task(what: str, at: Any, function: Any, *arguments: Any, of: str = self._name) -> TaskRef:
            key = (f"{what}-{of}", *at)
            layer[key] = Task(key, function, *arguments)
            return TaskRef(key)

        parts: list[TaskRef] = []
        rows: list[TaskRef] = []
        for j in range(self.reference.npartitions):
            there = TaskRef((self.reference._name, j))
            how = (theirs, node.right_on, pieces, "the reference", j)
            parts.append(task("parts", (j,), split, there, *how, of=of_reference))
            rows.append(task("rows", (j,), len, there, of=of_reference))
        held = []
        for h in range(pieces):
            some = [task("part", (j, h), operator.itemgetter(h), part, of=of_reference) for j, part in enumerate(parts)]
            held.append(task("piece", (h,), put_together, List(*some), List(*rows), of=of_reference))
        for i in range(self.left.npartitions):
            here = TaskRef((self.left._name, i))
            keys = task("keys", (i,), split, here, ours, node.left_on, pieces, "left", i)
            answers = []
            for h in range(pieces):
                asked = task("asked", (i, h), operator.itemgetter(h), keys)
                answers.append(task("answer", (i, h), look_up, asked, held[h], node, i))
            layer[self._name, i] = Task((self._name, i), assemble, here, List(*answers), node)
        return layer
