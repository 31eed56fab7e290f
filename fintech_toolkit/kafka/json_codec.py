"""Messages to frames: a JSON object for each row."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json

from fintech_toolkit.errors import DataError
from fintech_toolkit.kafka.message_schema import DAY, is_optional, times_of_integers
from fintech_toolkit.kafka.messages import Decoded, in_order, missing

_WHITESPACE = b" \t\r\n"
_NEWLINES_TO_TABS = bytes.maketrans(b"\r\n", b"\t\t")
_OPEN, _CLOSE = b"{}"
_SEARCHED = 250  # messages that are searched together for those that cannot be read


class JsonDecoder:
    """Decodes messages that are one JSON object each, UTF-8.

    Fields that the schema does not name are ignored; those that it names must be there, unless it says that they are
    optional. Times are ISO 8601 strings with a zone, or integers in the schema's unit (UTC nanoseconds unless it says
    otherwise; integers that look like another unit are rejected); a message that has both is rejected. Days are ISO
    8601 strings. Integers are read exactly. ``NaN`` and ``Infinity``, which are not of JSON but of Python's ``json``,
    are read as floats.

    Parameters
    ----------
    schema : pyarrow.Schema
        From `message_schema`.

    Examples
    --------
    >>> from fintech_toolkit.kafka.message_schema import message_schema
    >>> decoder = JsonDecoder(message_schema({"symbol": "str", "price": "float64"}))
    >>> decoded = decoder.decode([b'{"symbol": "AAA", "price": 1.5}', b"{oops", b'{"symbol": "A", "price": "2"}'])
    >>> decoded.table.to_pylist()
    [{'symbol': 'AAA', 'price': 1.5}]
    >>> decoded.rejected
    [(1, 'not a JSON object'), (2, "column 'price': expected number, found string")]
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        # How times are written, as strings or integers, is found by trying; what fitted last is tried first.
        self._layouts = [_layout(schema, pa.string())]
        if any(pa.types.is_timestamp(field.type) for field in schema):
            self._layouts.append(_layout(schema, pa.int64()))

    def decode(self, values: Sequence[bytes | None], rows: int | None = None) -> Decoded:
        """Decode message values, of no more messages than `rows`; ``None`` is a message without one, a tombstone."""
        values = values[:rows]
        rejected: list[tuple[int, str]] = []
        positions, objects = _objects(values, rejected)
        read: dict[pa.Schema, list[tuple[int, int, pa.Table]]] = {}
        pending = [(0, len(objects))] if objects else []
        while pending:
            start, stop = pending.pop()
            try:
                raw = self._read(objects[start:stop])
            except _Unreadable as failure:
                if stop - start == 1:
                    rejected.append((int(positions[start]), self._reason(objects[start], failure.errors)))
                else:
                    cuts = _cuts(start, stop, failure.row)
                    pending += reversed(list(itertools.pairwise(cuts)))
            else:
                read.setdefault(raw.schema, []).append((start, stop, raw))
        tables, messages = [self.schema.empty_table()], [np.empty(0, np.int64)]
        for pieces in read.values():
            where = np.concatenate([np.arange(start, stop) for start, stop, _ in pieces])
            table, refused = self._convert(pa.concat_tables([raw for _, _, raw in pieces]), objects, where)
            rejected += [(int(positions[at]), reason) for at, reason in refused.items()]
            tables.append(table)
            messages.append(positions[where[~np.isin(where, list(refused))]] if refused else positions[where])
        return Decoded(*in_order(tables, messages), sorted(rejected), len(values))

    def _read(self, objects: Sequence[bytes]) -> pa.Table:
        """Return the columns of objects as they are written, in one of the layouts."""
        data = b"\n".join(objects)
        if b"\r" in data:  # whitespace to JSON, and a boundary to Arrow's reader
            data = b"\n".join([value.translate(_NEWLINES_TO_TABS) for value in objects])
        try:
            if not data.isascii():
                data.decode()  # Arrow does not check
        except UnicodeDecodeError as failure:
            raise _Unreadable([str(failure)], data.count(b"\n", 0, failure.start)) from None
        errors: list[str] = []
        for layout in list(self._layouts):
            try:
                table = _parse(data, layout, len(objects))
            except ValueError as failure:
                errors.append(str(failure))
                row = int(found[1]) if (found := re.search(r" in row (\d+)$", errors[-1])) else None
                if row or "changed from" not in errors[-1]:  # not for how times are written
                    break
                continue
            if layout is not self._layouts[0]:
                self._layouts.reverse()
            return table
        raise _Unreadable(errors, row)

    def _convert(
        self, raw: pa.Table, objects: Sequence[bytes], where: npt.NDArray[np.int64]
    ) -> tuple[pa.Table, dict[int, str]]:
        """Return columns in the types of the schema, without the objects that cannot be used, and why these cannot."""
        wrong: dict[int, str] = {}
        columns = []
        for field, column in zip(self.schema, raw.columns, strict=True):
            if column.null_count and not is_optional(field):
                for row in np.flatnonzero(column.is_null()).tolist():
                    if row not in wrong and (why := _why_not_none(field, objects[where[row]])):
                        wrong[row] = why
            if pa.types.is_timestamp(field.type) or field.type == DAY:
                read = times_of_integers if pa.types.is_integer(column.type) else _times_of_strings
                times, no_times = read(column, field)
                wrong = no_times | wrong
                columns.append(times)
            else:
                columns.append(column.cast(field.type))
        table = pa.table(columns, schema=self.schema)
        if wrong:
            table = table.filter(pa.array(~np.isin(np.arange(len(where)), list(wrong))))
        return table, {int(where[row]): reason for row, reason in wrong.items()}

    def _reason(self, value: bytes, errors: Sequence[str]) -> str:
        """Say why no layout fitted one message, naming the column where one is to blame."""
        try:
            record = _record(value)
        except DataError as failure:
            return str(failure)
        for field in self.schema:
            found = record.get(field.name)
            if found is None:
                if why := _why_not_none(field, value):
                    return why
                continue
            try:
                _parse(json.dumps({field.name: found}).encode(), _layout(pa.schema([field]), pa.int64()), 1)
            except ValueError as failure:
                if not pa.types.is_timestamp(field.type):
                    return f"column {field.name!r}: {_arrow_reason(str(failure))}"
                if not isinstance(found, str) or not _is_time(found, field.type):
                    return _no_time(field, found)
        # The object as such: a name twice, a number beyond float64, times in both forms.
        return _arrow_reason(min(errors, key=lambda error: "changed from" in error))


class _Unreadable(Exception):
    """Objects that cannot be read together; why, and where Arrow's reader says that it stopped."""

    def __init__(self, errors: list[str], row: int | None) -> None:
        self.errors = errors
        self.row = row


def _objects(
    values: Sequence[bytes | None], rejected: list[tuple[int, str]]
) -> tuple[npt.NDArray[np.int64], Sequence[bytes]]:
    """Return the values that begin and end as objects do, and their positions; reject the others.

    Where every message begins and ends with a brace, no two can run together into one object, and a message with two
    is seen by the number of rows. (It also keeps a leading null from Arrow's reader, which crashes on it.)
    """
    framed = [value for value in values if value and value[0] == _OPEN and value[-1] == _CLOSE]
    if len(framed) == len(values):
        return np.arange(len(values)), framed
    positions, objects = [], []
    for position, value in enumerate(values):
        if value is None:
            rejected.append((position, "no value (a tombstone)"))
            continue
        text = value.strip(_WHITESPACE)
        if text[:1] == b"{" and text[-1:] == b"}":
            positions.append(position)
            objects.append(text)
        else:
            rejected.append((position, "not a JSON object" if text else "an empty message"))
    return np.array(positions, np.int64), objects


def _parse(data: bytes, layout: pa.Schema, rows: int) -> pa.Table:
    if len(data) >= 2**30:
        raise DataError("more bytes than one block of the reader can hold")
    table = pyarrow.json.read_json(
        pa.BufferReader(data),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=layout, unexpected_field_behavior="ignore"),
    )
    if table.num_rows != rows:
        raise DataError("more than one JSON object")
    return table


def _record(value: bytes) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(value.decode())
    except UnicodeDecodeError as failure:
        raise DataError(f"not UTF-8: {failure.reason} at byte {failure.start}") from None
    except (ValueError, RecursionError) as failure:
        raise DataError(f"not one JSON object: {failure}") from None
    return record


def _why_not_none(field: pa.Field, value: bytes) -> str | None:
    """Return why a message without a value in a column is to be rejected, if it is: a null may stand there or not."""
    try:
        there = _is_named(field.name, value) or field.name in _record(value)
    except DataError as failure:
        return str(failure)
    if not there:
        return None if is_optional(field) else missing(field.name)
    return None if field.nullable else f"column {field.name!r} is null"


def _is_named(name: str, value: bytes) -> bool:
    """Return whether an object certainly has a field, without parsing it; False decides nothing.

    In a flat object without escapes, a quote before a letter opens a string, and a string before a colon is a name.
    """
    return name.isidentifier() and f'"{name}":'.encode() in value and value.count(b"{") == 1 and b"\\" not in value


def _cuts(start: int, stop: int, row: int | None) -> list[int]:
    """Return where to cut messages that cannot be read together, around the row at which the reader stopped.

    It is only where to look: a message with two objects makes it count wrongly.
    """
    if stop - start > _SEARCHED:  # what lies behind that row is read again and again
        return [*range(start, stop, _SEARCHED), stop]
    if row is None or row >= stop - start:
        return [start, (start + stop) // 2, stop]
    return sorted({start, start + row, start + row + 1, stop})


def _layout(schema: pa.Schema, time: pa.DataType) -> pa.Schema:
    """Return the types in which Arrow's JSON reader reads columns, before the cast to the schema's own."""

    def raw(dtype: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(dtype):
            return time
        if dtype == DAY:
            return pa.string()
        return dtype.value_type if pa.types.is_dictionary(dtype) else dtype

    return pa.schema([pa.field(field.name, raw(field.type)) for field in schema])


def _times_of_strings(column: pa.ChunkedArray, field: pa.Field) -> tuple[pa.ChunkedArray, dict[int, str]]:
    """Return strings as times or days, null where they are none, and why these are not."""
    try:
        return column.cast(field.type), {}
    except ValueError:
        texts = dict(enumerate(column.to_pylist()))
    wrong = {
        row: _no_time(field, text) for row, text in texts.items() if text is not None and not _is_time(text, field.type)
    }
    good = pa.array([None if row in wrong else text for row, text in texts.items()], pa.string())
    return pa.chunked_array([good.cast(field.type)]), wrong


def _is_time(text: str, kind: pa.DataType) -> bool:
    try:
        pa.scalar(text).cast(kind)
    except ValueError:
        return False
    return True


def _no_time(field: pa.Field, found: Any) -> str:
    what = "day" if field.type == DAY else "time with a zone, nor an integer"
    return f"column {field.name!r}: {found!r} is not an ISO 8601 {what}"


def _arrow_reason(error: str) -> str:
    """Return an error of Arrow's JSON reader in the reader's words, without its row numbers."""
    if kinds := re.search(r"changed from (\w+) to (\w+) in row", error):
        return f"expected {kinds[1]}, found {kinds[2]}"
    return re.sub(r"^JSON parse error: | in row \d+$", "", error)
