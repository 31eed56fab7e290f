"""Messages to frames and frames to messages, a batch at a time: JSON and Arrow IPC.

Decoding never loses a message and never guesses: each one is in the table that comes out, or among the
rejected with the reason. Which ones are rejected does not depend on how messages are cut into batches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from fintech_toolkit.errors import DataError
from fintech_toolkit.live.schema import TIME

_ARROW_MESSAGE_BYTES = 500_000  # Kafka's default limit for a message is 1 MB
_WHITESPACE = b" \t\r\n"
_NEWLINES_TO_TABS = bytes.maketrans(b"\r\n", b"\t\t")


@dataclass(frozen=True)
class Decoded:
    """What a batch of messages held.

    Attributes
    ----------
    table : pyarrow.Table
        The rows, in the order of the messages.
    message : ndarray of int64
        For each row, the position in the batch of the message that it came from.
    rejected : list of (int, str)
        Position and reason of each message that could not be decoded. Every message is in ``message`` or here
        (an Arrow message without rows in neither).
    """

    table: pa.Table
    message: npt.NDArray[np.int64]
    rejected: list[tuple[int, str]]
    taken: int = 0


class JsonDecoder:
    """Decodes messages that are one JSON object each, UTF-8.

    Fields that the schema does not name are ignored. Times are ISO 8601 strings with a zone, or integers, UTC
    nanoseconds; a message that has both is rejected. Integers are read exactly. ``NaN`` and ``Infinity``,
    which Python's ``json`` writes although JSON has no such thing, are read as floats.

    Parameters
    ----------
    schema : pyarrow.Schema
        From `message_schema`.

    Examples
    --------
    >>> from fintech_toolkit.live.schema import message_schema
    >>> decoder = JsonDecoder(message_schema({"symbol": "str", "price": "float64"}))
    >>> decoded = decoder.decode([b'{"symbol": "AAA", "price": 1.5}', b"{oops", b'{"price": "2"}'])
    >>> decoded.table.to_pylist()
    [{'symbol': 'AAA', 'price': 1.5}]
    >>> for position, reason in decoded.rejected:
    ...     print(position, reason)
    1 not a JSON object
    2 column 'price': expected number, found string
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        # How times are written is found by trying: one layout reads strings, the other integers. The one
        # that fitted last is tried first.
        self._layouts = [_layout(schema, pa.string())]
        if any(pa.types.is_timestamp(field.type) for field in schema):
            self._layouts.append(_layout(schema, pa.int64()))

    def decode(self, values: Sequence[bytes | None], limit: int | None = None) -> Decoded:
        """Decode a batch of message values; ``None`` is a message without one, a tombstone."""
        rejected: list[tuple[int, str]] = []
        positions: list[int] = []
        objects: list[bytes] = []
        for position, value in enumerate(values):
            if value is None:
                rejected.append((position, "no value (a tombstone)"))
                continue
            text = value.strip(_WHITESPACE)
            # Where every message begins and ends with a brace, no two can run together into one object, and
            # a message with two is seen by the number of rows. (It also keeps a leading null from Arrow's
            # reader, which crashes on it.)
            if text[:1] == b"{" and text[-1:] == b"}":
                positions.append(position)
                objects.append(text)
            else:
                rejected.append((position, "not a JSON object" if text else "an empty message"))
        tables: list[pa.Table] = []
        failed: list[int] = []

        def decode_range(start: int, stop: int) -> None:
            """Decode what can be decoded, halving around what cannot."""
            errors: list[str] = []
            for layout in list(self._layouts):
                try:
                    tables.append(self._parse(objects[start:stop], layout))
                except ValueError as failure:
                    errors.append(str(failure))
                else:
                    if layout is not self._layouts[0]:
                        self._layouts.reverse()
                    return
            if stop - start == 1:
                failed.append(start)
                rejected.append((positions[start], self._reason(objects[start], errors)))
                return
            middle = (start + stop) // 2
            decode_range(start, middle)
            decode_range(middle, stop)

        if objects:
            decode_range(0, len(objects))
        table = pa.concat_tables(tables) if tables else self.schema.empty_table()
        return Decoded(table, np.delete(np.array(positions, dtype=np.int64), failed), sorted(rejected), len(values))

    def _parse(self, objects: Sequence[bytes], layout: pa.Schema) -> pa.Table:
        data = b"\n".join(objects)
        if data.count(b"\n") >= len(objects) or b"\r" in data:
            # Line breaks within an object are whitespace to JSON, and boundaries to Arrow's reader.
            data = b"\n".join([value.translate(_NEWLINES_TO_TABS) for value in objects])
        if len(data) >= 2**30:
            raise DataError("more bytes than one block of the reader can hold")
        data.decode()  # Arrow does not check
        table = pyarrow.json.read_json(
            pa.BufferReader(data),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=layout, unexpected_field_behavior="ignore"),
        )
        if table.num_rows != len(objects):
            raise DataError("more than one JSON object")
        return table.cast(self.schema)

    def _reason(self, value: bytes, errors: Sequence[str]) -> str:
        """Say why no layout fitted one message, naming the column where one is to blame."""
        try:
            record = json.loads(value.decode())
        except UnicodeDecodeError as failure:
            return f"not UTF-8: {failure.reason} at byte {failure.start}"
        except (ValueError, RecursionError) as failure:
            return f"not one JSON object: {failure}"
        for field in self.schema:
            found = record.get(field.name)
            if found is None and not field.nullable:
                return f"column {field.name!r} is null or missing"
            alone = JsonDecoder(pa.schema([field]))
            try:
                alone._parse([json.dumps({field.name: found}).encode()], alone._layouts[-1])
            except ValueError as failure:
                if not pa.types.is_timestamp(field.type):
                    return f"column {field.name!r}: {_arrow_reason(str(failure))}"
                if not isinstance(found, str) or not _is_time(found):
                    wanted = "an ISO 8601 time with a zone, nor an integer of nanoseconds"
                    return f"column {field.name!r}: {found!r} is not {wanted}"
        # The object as such: a name twice, a number beyond float64, times in both forms.
        return _arrow_reason(min(errors, key=lambda error: "changed from" in error))


class ArrowDecoder:
    """Decodes messages that are one Arrow IPC stream each, of any number of rows.

    Columns that the schema does not name are ignored; the others are cast to their type where that loses
    nothing. Times need a zone, or are integers, UTC nanoseconds.

    Parameters
    ----------
    schema : pyarrow.Schema
        From `message_schema`.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def decode(self, values: Sequence[bytes | None], limit: int | None = None) -> Decoded:
        """Decode a batch of message values; ``None`` is a message without one, a tombstone."""
        tables = [self.schema.empty_table()]
        rows: list[int] = []
        rejected: list[tuple[int, str]] = []
        for position, value in enumerate(values):
            if value is None:
                rejected.append((position, "no value (a tombstone)"))
                rows.append(0)
                continue
            try:
                tables.append(self._read(value))
            except (
                ValueError,
                OSError,
                TypeError,
                NotImplementedError,
                KeyError,
                pa.ArrowException,
            ) as error:
                rejected.append((position, f"not an Arrow IPC stream of the schema: {error}"))
                rows.append(0)
            else:
                rows.append(tables[-1].num_rows)
        message = np.repeat(np.arange(len(values), dtype=np.int64), rows)
        return Decoded(pa.concat_tables(tables), message, rejected, len(values))

    def _read(self, value: bytes) -> pa.Table:
        table = pa.ipc.open_stream(value).read_all()
        table.validate(full=True)  # what comes from outside may say one thing and hold another
        columns = []
        for field in self.schema:
            if field.name not in table.column_names:
                raise DataError(f"column {field.name!r} is missing")
            column = table[field.name]
            if pa.types.is_timestamp(column.type) and column.type.tz is None:
                raise DataError(f"column {field.name!r}: times without a zone")
            if pa.types.is_floating(column.type) and not pa.types.is_floating(field.type):
                raise DataError(f"column {field.name!r}: {column.type}, expected {field.type}")
            if column.null_count and not field.nullable:
                raise DataError(f"column {field.name!r} has nulls")
            columns.append(column.cast(field.type))
        return pa.table(columns, schema=self.schema)


DECODERS: dict[str, Callable[[pa.Schema], JsonDecoder | ArrowDecoder]] = {
    "json": JsonDecoder,
    "arrow": ArrowDecoder,
}


def encode_json(table: pa.Table) -> list[bytes]:
    """Return a JSON object for each row.

    Floats are written in the shortest form that reads back as the same float, integers exactly, times as ISO
    8601 in UTC with nanoseconds, NaN as null.

    Raises
    ------
    DataError
        For an infinity, which JSON does not have, and for columns of other types than these; it names the column, and
        the row.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit.live.schema import to_table
    >>> encode_json(to_table(pd.DataFrame({"symbol": ["AAA"], "bid": [0.1], "ask": [float("nan")]})))
    [b'{"symbol":"AAA","bid":0.1,"ask":null}']
    """
    if not table.num_columns:
        raise DataError("a frame without columns cannot be written")
    messages: list[bytes] = []
    for batch in table.combine_chunks().to_batches(max_chunksize=100_000):
        parts: list[Any] = []
        for index, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
            parts.append(("," if index else "{") + json.dumps(name) + ":")
            parts.append(pc.fill_null(_json_values(name, column, len(messages)), "null"))
        rows = pc.binary_join_element_wise(*parts, "}", "")
        messages += rows.cast(pa.binary()).to_pylist()
    return messages


def encode_arrow(table: pa.Table) -> list[bytes]:
    """Return the table as Arrow IPC streams, as many as it takes to keep each within a Kafka message."""
    if not table.num_rows:
        return []
    rows = max(1, table.num_rows * _ARROW_MESSAGE_BYTES // max(1, table.nbytes))
    messages = []
    for start in range(0, table.num_rows, rows):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.slice(start, rows))
        messages.append(sink.getvalue().to_pybytes())
    return messages


def _layout(schema: pa.Schema, time: pa.DataType) -> pa.Schema:
    """Return the types in which Arrow's JSON reader reads columns, before the cast to the schema's own."""

    def raw(dtype: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(dtype):
            return time
        return dtype.value_type if pa.types.is_dictionary(dtype) else dtype

    return pa.schema([pa.field(field.name, raw(field.type)) for field in schema])


def _is_time(text: str) -> bool:
    try:
        pa.scalar(text).cast(TIME)
    except ValueError:
        return False
    return True


def _arrow_reason(error: str) -> str:
    """Return an error of Arrow's JSON reader in the reader's words, without its row numbers."""
    if kinds := re.search(r"changed from (\w+) to (\w+) in row", error):
        return f"expected {kinds[1]}, found {kinds[2]}"
    return re.sub(r"^JSON parse error: | in row \d+$", "", error)


def _json_values(name: str, column: pa.Array, first_row: int) -> pa.Array:
    """Return the JSON text of each value, null for null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_floating(kind):
        infinite = pc.index(pc.is_inf(column), True).as_py()
        if infinite >= 0:
            raise DataError(
                f"column {name!r}, row {first_row + infinite}: {column[infinite]} cannot be written as JSON; "
                "replace infinities, or use format='arrow'"
            )
        return pc.if_else(pc.is_nan(column), None, column).cast(pa.string())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind):
        # As naive time: formatting with a zone takes twenty times as long.
        wall = column.cast(TIME).cast(pa.int64()).cast(pa.timestamp("ns")).cast(pa.string())
        return pc.binary_join_element_wise('"', pc.utf8_replace_slice(wall, 10, 11, "T"), 'Z"', "")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        # Few distinct symbols: each is escaped once.
        encoded = column.cast(pa.string()).dictionary_encode()
        escaped = [json.dumps(text, ensure_ascii=False) for text in encoded.dictionary.to_pylist()]
        return pa.array(escaped, pa.string()).take(encoded.indices)
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    raise DataError(f"column {name!r}: values of type {kind} cannot be written as JSON")
