"""Frames to messages and back: an Arrow IPC stream, of any number of rows."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from fintech_toolkit.errors import DataError
from fintech_toolkit.kafka.message_schema import is_optional, times_of_integers
from fintech_toolkit.kafka.messages import Decoded, Messages, in_order, missing, raise_first, too_large

_MESSAGE_BYTES = 500_000  # Kafka's default limit for a message is 1 MB
_END = b"\xff\xff\xff\xff\0\0\0\0"  # of a stream
_DAMAGED = (ValueError, OSError, EOFError, TypeError, NotImplementedError, KeyError, pa.ArrowException)


class ArrowDecoder:
    """Decodes messages that are one Arrow IPC stream each, of any number of rows.

    Columns that the schema does not name are ignored; those that it names must be there, unless it says that they are
    optional, and are cast to their type where that loses nothing. Times need a zone, or are integers in the schema's
    unit (UTC nanoseconds unless it says otherwise; integers that look like another unit are rejected).

    Parameters
    ----------
    schema : pyarrow.Schema
        From `message_schema`.

    Examples
    --------
    >>> from fintech_toolkit.kafka.message_schema import message_schema
    >>> decoder = ArrowDecoder(message_schema({"symbol": "str", "price": "float64"}))
    >>> (message,) = encode_arrow(pa.table({"symbol": ["AAA", "BBB"], "price": [1.5, 2.0]}))
    >>> decoder.decode([message, b"oops"]).table.to_pylist()
    [{'symbol': 'AAA', 'price': 1.5}, {'symbol': 'BBB', 'price': 2.0}]
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def decode(self, values: Sequence[bytes | None], rows: int | None = None) -> Decoded:
        """Decode message values up to the one that reaches `rows`; ``None`` is a message without one, a tombstone."""
        tables = [self.schema.empty_table()]
        messages = [np.empty(0, np.int64)]
        rejected: list[tuple[int, str]] = []
        seen = _Schemas()
        taken = found = 0
        # Rows that a message was said to hold and that turned out to be of no use do not count: hence once more.
        while taken < len(values) and (rows is None or found < rows):
            groups: dict[int, _Group] = {}
            said = found
            while taken < len(values) and (rows is None or said < rows):
                value, position = values[taken], taken
                taken += 1
                if value is None:
                    rejected.append((position, "no value (a tombstone)"))
                    continue
                try:
                    schema, batches = seen.read(value)
                except _DAMAGED as error:
                    rejected.append((position, _reason(error)))
                    continue
                group = groups.setdefault(id(schema), _Group(schema))
                group.add(position, batches)
                said += group.rows[-1]
            for group in groups.values():
                for positions, counts, table in self._convert_group(group, rejected):
                    tables.append(table)
                    messages.append(np.repeat(np.array(positions, np.int64), counts))
                    found += table.num_rows
        return Decoded(*in_order(tables, messages), sorted(rejected), taken)

    def _convert_group(
        self, group: _Group, rejected: list[tuple[int, str]]
    ) -> Iterator[tuple[list[int], list[int], pa.Table]]:
        """Yield positions, numbers of rows and rows of messages of one schema: of all at once, if all are good."""
        try:
            table = self._convert(pa.Table.from_batches(group.batches, group.schema))
        except _DAMAGED as failure:
            if len(group.positions) == 1:
                rejected.append((group.positions[0], _reason(failure)))
                return
            for alone in group.split():
                yield from self._convert_group(alone, rejected)
        else:
            yield group.positions, group.rows, table

    def _convert(self, table: pa.Table) -> pa.Table:
        table.validate(full=True)  # what comes from outside may say one thing and hold another
        columns = []
        for field_ in self.schema:
            name, kind = field_.name, field_.type
            if name not in table.column_names:
                if not is_optional(field_):
                    raise DataError(missing(name))
                columns.append(pa.nulls(table.num_rows, kind))
                continue
            column = table[name]
            if pa.types.is_timestamp(column.type) and column.type.tz is None:
                raise DataError(f"column {name!r}: times without a zone")
            if pa.types.is_floating(column.type) and not pa.types.is_floating(kind):
                raise DataError(f"column {name!r}: {column.type}, expected {kind}")
            if column.null_count and not field_.nullable:
                raise DataError(f"column {name!r} has nulls")
            if pa.types.is_timestamp(kind) and pa.types.is_integer(column.type):
                column, wrong = times_of_integers(column.cast(pa.int64()), field_)
                raise_first(wrong)
            columns.append(column.cast(kind))
        return pa.table(columns, schema=self.schema)


@dataclass
class _Group:
    """Messages of one schema: position of each, how many rows it has, and the batches of all."""

    schema: pa.Schema
    positions: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    batches: list[pa.RecordBatch] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def add(self, position: int, batches: list[pa.RecordBatch]) -> None:
        self.positions.append(position)
        self.rows.append(sum([batch.num_rows for batch in batches]))
        self.batches += batches
        self.ends.append(len(self.batches))

    def split(self) -> Iterator[_Group]:
        """Yield a group for each message."""
        start = 0
        for position, rows, end in zip(self.positions, self.rows, self.ends, strict=True):
            yield _Group(self.schema, [position], [rows], self.batches[start:end], [end - start])
            start = end


class _Schemas:
    """Reads messages, and those whose schema it has seen in a fraction of the time."""

    def __init__(self) -> None:
        self._by_bytes: dict[bytes, pa.Schema] = {}
        self._all: dict[pa.Schema, pa.Schema] = {}

    def read(self, value: bytes) -> tuple[pa.Schema, list[pa.RecordBatch]]:
        """Return the schema of a message, the same object for all that have it, and its batches."""
        # A stream begins with a mark of four bytes, the length of its schema in four more, and that.
        end = 8 + int.from_bytes(value[4:8], "little")
        known = self._by_bytes.get(value[:end])
        if known is not None:
            try:
                return known, _read_batches(value, end, known)
            except _DAMAGED:
                pass  # whether it is damaged, or only unusual, the reader of whole streams says
        reader = pa.ipc.open_stream(value)
        batches = list(reader)
        schema = self._all.setdefault(reader.schema, reader.schema)
        # Only what this machine would write itself can be read batch by batch: its byte order, and no dictionaries.
        if schema.serialize().to_pybytes() == value[:end] and not _has_dictionary(schema):
            self._by_bytes[value[:end]] = schema
        return schema, batches


def _read_batches(value: bytes, start: int, schema: pa.Schema) -> list[pa.RecordBatch]:
    source = pa.BufferReader(value)
    source.seek(start)
    stop = len(value) - len(_END)
    batches = []
    while source.tell() < stop:
        batches.append(pa.ipc.read_record_batch(pa.ipc.read_message(source), schema))
    if source.tell() != stop or value[stop:] != _END:
        raise EOFError
    return batches


def _has_dictionary(schema: pa.Schema) -> bool:
    return "dictionary<" in schema.to_string(show_field_metadata=False, show_schema_metadata=False)


def _reason(error: BaseException) -> str:
    return f"not an Arrow IPC stream of the schema: {error}"


def encode_arrow(table: pa.Table) -> list[bytes]:
    """Return the table as Arrow IPC streams, as many as it takes to keep each within a Kafka message."""
    return [message["value"] for message in arrow_messages(table, None, sys.maxsize).messages]


def arrow_messages(table: pa.Table, keys: pa.Array | None, limit: int) -> Messages:
    """Return messages that hold all rows of a key each, or as many as `limit` bytes allow, key and value together.

    Categories are written as what they stand for: each message would have to hold all of them.
    """
    plain = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    table = pa.table(plain, names=table.column_names)
    if _has_dictionary(table.schema):
        raise DataError(f"categories within lists or structures cannot be written: {table.schema.to_string()}")
    order = np.arange(table.num_rows)
    codes: Any = np.zeros(table.num_rows, np.int32)
    names: list[bytes | None] = [None]
    if keys is not None:
        encoded = keys.dictionary_encode(null_encoding="encode")
        codes, names = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
        order = np.argsort(codes.astype(np.uint16) if len(names) < 2**16 else codes, kind="stable")
        table, codes = table.take(order), codes[order]
    schema = table.schema.serialize().to_pybytes()
    result = Messages([], {})
    first = 0
    for batch in table.combine_chunks().to_batches():  # one, unless it is of gigabytes
        per_message = max(1, min(_MESSAGE_BYTES, limit) * batch.num_rows // max(1, batch.nbytes))
        some = codes[first : first + batch.num_rows]
        bounds = [0, *(np.flatnonzero(np.diff(some)) + 1).tolist(), batch.num_rows]
        for start, stop in itertools.pairwise(bounds):
            key = names[some[start]]
            head: dict[str, Any] = {} if keys is None else {"key": key}
            room = limit - len(key or b"")
            for at in range(start, stop, per_message):
                for value, row in _streams(schema, batch.slice(at, min(per_message, stop - at)), room, first + at):
                    if len(value) <= room:
                        result.messages.append({"value": value, **head})
                    else:
                        result.refused[int(order[row])] = too_large(len(value) + limit - room, limit)
        first += batch.num_rows
    return Messages(result.messages, dict(sorted(result.refused.items())))


def _streams(schema: bytes, batch: pa.RecordBatch, room: int, first: int) -> Iterator[tuple[bytes, int]]:
    """Yield a batch as streams that fit into a message, or are of one row, and the number of their first row."""
    value = _stream(schema, batch)
    if len(value) > room and batch.num_rows == 1:
        value = _stream(schema, batch.take([0]))  # a slice may carry bytes of the rows beside it
    if len(value) <= room or batch.num_rows == 1:
        yield value, first
        return
    half = batch.num_rows // 2
    yield from _streams(schema, batch.slice(0, half), room, first)
    yield from _streams(schema, batch.slice(half), room, first + half)


def _stream(schema: bytes, batch: pa.RecordBatch) -> bytes:
    return b"".join((schema, batch.serialize(), _END))
