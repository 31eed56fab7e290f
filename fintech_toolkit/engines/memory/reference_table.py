"""The rows of a reference table: an index of their keys, versions, and what was put or deleted later."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow.types import is_dictionary

from fintech_toolkit.engines.memory.gather import Gather
from fintech_toolkit.engines.memory.hash_table import build
from fintech_toolkit.engines.memory.key_index import GONE, KeyIndex
from fintech_toolkit.engines.memory.lookup import doubled
from fintech_toolkit.engines.memory.state_file import table_to_bytes
from fintech_toolkit.engines.memory.versions import Versions
from fintech_toolkit.engines.memory.wavefront import MORSEL, run_wavefront
from fintech_toolkit.errors import ColumnError, DataError, did_you_mean
from fintech_toolkit.frames.dtypes import (
    CODES,
    check_names,
    describe,
    described,
    plain,
    to_arrow,
    to_pandas,
    with_columns,
)
from fintech_toolkit.frames.key_bytes import KeyBytes, KeyColumns, KeyKind, check_comparable
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import Frame, require, sort_of, without_views, wrap
from fintech_toolkit.scan.threads import one_thread
from fintech_toolkit.schema import Array

ABOUT = b"fintech_toolkit.reference"
LEAST = 1 << 16
"""Rows that are put before it is worth while to look which of them hold no more."""


class ReferenceRows:
    """Rows of which each key has one, or one at a time.

    Rows are numbered: those of `base` first, one a key as far as the index knows them, then those that were put.

    Parameters
    ----------
    base : Table
        The rows, in a file perhaps.
    on : list of str
        The columns of keys.
    dtypes : dict
        What JSON can hold of the dtypes that columns have in pandas, where Arrow's types do not tell.
    index : KeyIndex
        Which row has a key.
    versions : Versions or None
        Since when each row holds; None if all always do.
    """

    def __init__(
        self, base: pa.Table, on: list[str], dtypes: dict[str, Any], index: KeyIndex, versions: Versions | None = None
    ) -> None:
        self.on = on
        self.base = base
        self.dtypes = dtypes
        self.index = index
        self.versions = versions
        self.keys = index.base.keys.rows
        self._later: list[pa.Table] = []
        self._pieces = _pieces([base])
        self._most = LEAST

    @classmethod
    def of(cls, view: Frame, on: list[str]) -> ReferenceRows:
        """Return the rows of a frame.

        Raises
        ------
        ColumnError, DataError
            If there is no such column of keys, it cannot be one, or a key is missing or there twice.
        """
        for name in on:
            require(view, name, " in the reference")
        table, dtypes = _arrow(view)
        table = table.combine_chunks()  # rows are taken the faster, the fewer pieces there are
        columns = KeyColumns(wrap(table), on, " in the reference")
        table_of_keys, first = build(_all_keys(columns, columns.kinds))
        _check_once(columns, first)
        return cls(table, on, dtypes, KeyIndex(columns.kinds, table_of_keys))

    def copy(self) -> ReferenceRows:
        """Return rows that can be changed without touching these."""
        other = copy.copy(self)
        other.index = replace(self.index, later=list(self.index.later))
        other.versions = None if self.versions is None else self.versions.copy()
        other._later = list(self._later)
        return other

    def frame(self, pandas: bool | None = None) -> Any:
        """Return the rows that keys have as a frame of pandas or Arrow, by default of that which they came from."""
        heads, _ = self.held()
        if not (bool(self.dtypes) if pandas is None else pandas):
            return self.take(heads, self.schema.names)
        return pd.DataFrame(self.columns(heads, self.schema.names, True, False))

    def to_bytes(self) -> bytes:
        """Return the rows that keys have as an Arrow stream, for a file that holds several things."""
        about = json.dumps({"on": self.on, "dtypes": self.dtypes})
        return table_to_bytes(self.frame(pandas=False).replace_schema_metadata({ABOUT: about}))

    @classmethod
    def from_bytes(cls, data: bytes) -> ReferenceRows:
        """Return what `to_bytes` wrote."""
        table = pa.ipc.open_stream(data).read_all()
        about = json.loads(table.schema.metadata[ABOUT])
        rows = cls.of(wrap(table.replace_schema_metadata()), about["on"])
        rows.dtypes = about["dtypes"]
        return rows

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        return self.base.schema

    @property
    def rows(self) -> int:
        """How many rows there are, those included that hold no more."""
        return sum(table.num_rows for table in [self.base, *self._later])

    def columns_of(self, view: Frame, on: Sequence[str], where: str) -> KeyColumns:
        """Return the columns of a frame that hold keys of this table.

        Raises
        ------
        ColumnError, DataError
            If there is none, or it cannot be equal to the table's.
        """
        columns = KeyColumns(view, on, f" in the {where}")
        mine = KeyColumns(wrap(self.base.slice(0, 0)), self.on)
        check_comparable(columns, mine, (where, "reference"))
        return columns

    def find(self, view: Frame, on: Sequence[str], as_of: str | None = None) -> Array:
        """Return the row that has the key of each row of a frame, at the time in column `as_of` or at last; negative
        if none has.
        """
        rows = self.index.find(self.columns_of(view, on, "frame"))
        if as_of is None:
            return rows
        ts, kind = times(view, as_of)
        if self.versions is None:
            return np.where(ts == NAT, -1, rows)
        check_kind(kind, self.versions.kind, as_of)
        return self.versions.as_of(rows, ts)

    def take(self, rows: Array, names: Sequence[str]) -> pa.Table:
        """Return columns of some rows, nulls where a row is negative."""
        gather = Gather(self._pieces, rows)
        schema = pa.schema([self.schema.field(name) for name in names])
        return pa.table([gather.take(name) for name in names], schema=schema)

    def columns(self, rows: Array, names: Sequence[str], pandas: bool, nullable: bool) -> dict[str, Any]:
        """Return columns of some rows as pandas has them, or else Arrow, nulls where a row is negative.

        If they are to be nullable, integers and booleans of pandas are of types that are, whatever the rows.
        """
        found: dict[str, Any] = dict.fromkeys(names)
        gather = Gather(self._pieces, rows)

        def fill(c: int) -> None:
            name = names[c]
            values = gather.take(name)
            found[name] = self._pandas(pa.chunked_array([values]), name, nullable) if pandas else values

        with one_thread() if len(rows) < MORSEL else nullcontext():  # of few rows a thread costs more than it takes
            run_wavefront(len(names), [(False, fill)])
        return found

    def _pandas(self, values: pa.ChunkedArray, name: str, nullable: bool) -> Any:
        if name in self.dtypes:
            dtype = described(self.dtypes[name], pa.array([], values.type))
            if not (nullable and isinstance(dtype, np.dtype) and dtype.kind in "biu"):
                return to_pandas(values, dtype, name)
        return with_columns(pa.table({name: values}))[name].array

    def put(self, view: Frame, since: int | None, kind: str = "") -> None:
        """Let the rows of a frame hold from an instant on, or always: then what held before is forgotten."""
        columns = self.columns_of(view, self.on, "frame")
        table, first = build(_all_keys(columns, self.index.kinds))
        _check_once(columns, first)
        rows, start = self._conform(view), self.rows
        if since is not None and self.versions is not None:
            check_kind(kind, self.versions.kind, "valid_from")
        # From here on nothing can go wrong.
        heads = self.index.find(columns)
        self.keys += int(np.count_nonzero(heads < 0))
        new = start + np.arange(columns.rows)
        if since is not None:
            self.versions = self.versions or Versions.none(kind, start)
        if self.versions is not None:
            self.versions.grow(start + columns.rows)
        if self.versions is not None and since is not None:
            new = self.versions.put(heads, start, since)
        self.index.put(table, new)
        self._append(rows)
        if self.rows - self.base.num_rows > self._most:
            self._forget()

    def delete(self, columns: KeyColumns) -> None:
        """Forget keys, and all versions of them; those that are not there are none to forget."""
        keys = columns.read(self.index.kinds).arrow()
        there = np.flatnonzero(self.index.find(columns) >= 0)
        kept = KeyBytes.of_arrow(keys.take(pa.array(there)).unique())
        table, _ = build(kept)
        self.keys -= kept.rows
        self.index.put(table, np.full(kept.rows, GONE))

    def held(self) -> tuple[Array, Array]:
        """Return the rows that the keys have, and those of their earlier versions."""
        heads = self.index.rows()
        return heads, np.empty(0, np.int64) if self.versions is None else self.versions.all_before(heads)

    def _conform(self, view: Frame) -> pa.Table:
        """Return the rows of a frame with the columns and types of this table."""
        for name in self.schema.names:
            require(view, name, " in the frame, which must have those of the table")
        for name in view.names:
            if name not in self.schema.names:
                raise ColumnError(f"The table has no column {name!r}. {did_you_mean(str(name), self.schema.names)}")
        given, _ = _arrow(view)
        columns = []
        for field in self.schema:
            try:
                columns.append(_cast(given.column(field.name), field.type))
            except pa.ArrowException as error:
                kind = given.column(field.name).type
                raise DataError(
                    f"Column {field.name!r} holds {kind}, and {field.type} in the table: {error}."
                ) from None
        return pa.table(columns, schema=self.schema)

    def _append(self, rows: pa.Table) -> None:
        """Append rows, in pieces of which each is at least twice as large as the next."""
        self._later.append(rows)
        while len(self._later) > 1 and 2 * self._later[-1].num_rows > self._later[-2].num_rows:
            newer, older = self._later.pop(), self._later.pop()
            self._later.append(pa.concat_tables([older, newer]).unify_dictionaries().combine_chunks())
        self._pieces = _pieces([self.base, *self._later])

    def _forget(self) -> None:
        """Leave out, of the rows that were put, those that hold no more."""
        known = self.base.num_rows
        live = self.index.rows(base=False)
        if self.versions is not None:
            live = np.sort(np.concatenate(self.held()))
            live = live[live >= known]
        number = np.full(self.rows - known, -1, np.int64)
        number[live - known] = known + np.arange(len(live))

        def renumber(rows: Array) -> Array:
            later = rows >= known
            rows[later] = number[rows[later] - known]
            return rows

        kept = self.take(live, self.schema.names)
        self.index.later = [segment._replace(rows=renumber(segment.numbers())) for segment in self.index.later]
        if self.versions is not None:
            since, before = self.versions.since, self.versions.before
            since[known : known + len(live)] = since[live]
            before[known : known + len(live)] = before[live]
            since[known + len(live) :], before[known + len(live) :] = NAT, -1
            renumber(before)
        self._later, self._pieces = [kept], _pieces([self.base, kept])
        self._most = max(2 * len(live), LEAST)


def _pieces(tables: list[pa.Table]) -> list[pa.RecordBatch]:
    """Return tables in pieces, the dictionaries of a column all one."""
    together = pa.concat_tables(tables).unify_dictionaries()
    return together.to_batches() or [pa.RecordBatch.from_pylist([], schema=together.schema)]


def _arrow(view: Frame) -> tuple[pa.Table, dict[str, Any]]:
    """Return a frame as a table, and the dtypes of its columns in pandas."""
    check_names(view.names)
    columns, dtypes = {}, {}
    for name in view.names:
        column = view.column(name)
        ordered = getattr(getattr(column, "type", getattr(column, "dtype", None)), "ordered", False)
        if sort_of(view.frame) == "pandas":
            if not isinstance(column.dtype, pd.CategoricalDtype):
                dtypes[name] = describe(column.dtype)
            column = to_arrow(column, column.dtype, None, name)
        elif not isinstance(column, pa.Array | pa.ChunkedArray):
            column = plain(column, name)
        columns[name] = (
            _encoded(column, column.type.value_type, bool(ordered)) if is_dictionary(column.type) else column
        )
    return without_views(pa.table(columns)), dtypes


def _encoded(values: Any, kind: pa.DataType, ordered: bool) -> pa.Array:
    """Return values as one dictionary that holds each once, and no null; the order of one that is such is kept."""
    kind = pa.large_string() if pa.types.is_string_view(kind) else kind
    values = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    chunks = values.chunks if is_dictionary(values.type) and values.type.value_type == kind else []
    if not chunks or any(len(chunk.dictionary.unique().drop_null()) < len(chunk.dictionary) for chunk in chunks):
        plain_values = values.cast(values.type.value_type) if is_dictionary(values.type) else values
        values = plain_values.cast(kind).dictionary_encode()
    values = values.unify_dictionaries()
    whole = values.combine_chunks() if values.num_chunks else pa.array([], values.type)
    return pa.DictionaryArray.from_arrays(whole.indices.cast(CODES), whole.dictionary, ordered=ordered)


def _cast(values: Any, kind: pa.DataType) -> Any:
    return _encoded(values, kind.value_type, kind.ordered) if is_dictionary(kind) else values.cast(kind)


def _all_keys(columns: KeyColumns, kinds: list[KeyKind]) -> KeyBytes:
    keys = columns.read(kinds)
    if len(keys.valid) and not keys.valid.all():
        row = int(np.argmin(keys.valid))
        named = ", ".join(map(repr, columns.names))
        raise DataError(
            f"Row {row} has no key that could be found: {named} is {columns.show(row)}. Leave out such rows, as with "
            "dropna, or choose other columns of keys."
        )
    return keys


def _check_once(columns: KeyColumns, first: Array) -> None:
    double = np.flatnonzero(first < np.arange(len(first)))
    if len(double):
        raise doubled(columns, int(first[double[0]]), int(double[0]), " in the frame")


def check_kind(mine: str, theirs: str, what: str) -> None:
    """Raise if times with a zone, times without one and integers are mixed.

    Raises
    ------
    DataError
        If so.
    """
    if mine != theirs:
        called = {"aware": "times with a zone", "naive": "times without a zone", "int": "integers"}
        raise DataError(
            f"{what!r} holds {called[mine]}, and the versions of the table are valid from {called[theirs]}; convert "
            "them."
        )
