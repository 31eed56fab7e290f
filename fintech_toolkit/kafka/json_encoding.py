"""Frames to messages: a JSON object for each row."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError
from fintech_toolkit.kafka.message_schema import DAY, TIME
from fintech_toolkit.kafka.messages import Messages, raise_first, too_large
from fintech_toolkit.scan.names import is_text

_ROWS = 100_000  # that are encoded together
_ESCAPED = r'["\\\x00-\x1f]'  # what stands in a string of JSON in another way
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # of the years that have four digits, counted from 1970


def encode_json(table: pa.Table) -> list[bytes]:
    """Return a JSON object for each row.

    Floats are written in the shortest form that reads back as the same float, integers exactly, times as ISO
    8601 in UTC with nanoseconds, days as ISO 8601, NaN as null.

    Raises
    ------
    DataError
        For an infinity, which JSON does not have, naming row and column, and for columns of other types than these.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit.kafka.message_schema import arrow_table
    >>> encode_json(arrow_table(pd.DataFrame({"symbol": ["AAA"], "bid": [0.1], "ask": [float("nan")]})))
    [b'{"symbol":"AAA","bid":0.1,"ask":null}']
    """
    encoded = json_messages(table, None, sys.maxsize)
    raise_first(encoded.refused)
    return [message["value"] for message in encoded.messages]


def json_messages(table: pa.Table, keys: pa.Array | None, limit: int) -> Messages:
    """Return a message for each row, with its key; no longer than `limit` bytes, key and value together."""
    if not table.num_columns:
        raise DataError("a frame without columns cannot be written")
    encoded = Messages([], {})
    start = 0
    for batch in table.combine_chunks().to_batches(max_chunksize=_ROWS):
        rows, refused = _encode_rows(batch)
        size = pc.binary_length(rows)
        if keys is None:
            messages = [{"value": value} for value in rows.to_pylist()]
        else:
            some_keys = keys.slice(start, batch.num_rows)
            size = pc.add(size, pc.fill_null(pc.binary_length(some_keys), 0))
            pairs = zip(rows.to_pylist(), some_keys.to_pylist(), strict=True)
            messages = [{"value": value, "key": key} for value, key in pairs]
        if pc.max(size).as_py() > limit:
            sizes = size.to_numpy()
            refused = {row: too_large(sizes[row], limit) for row in np.flatnonzero(sizes > limit).tolist()} | refused
        if refused:
            messages = [message for row, message in enumerate(messages) if row not in refused]
        encoded.messages.extend(messages)
        encoded.refused.update((start + row, reason) for row, reason in sorted(refused.items()))
        start += batch.num_rows
    return encoded


def _encode_rows(batch: pa.RecordBatch) -> tuple[pa.Array, dict[int, str]]:
    """Return each row as bytes, and the rows with a value that JSON cannot say."""
    refused: dict[int, str] = {}
    parts: list[Any] = []
    before = "{"
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        texts = pa.concat_arrays(_encode_values(name, column, 0, refused))
        before, after = before + json.dumps(name) + ":", ","
        if pa.types.is_timestamp(column.type):
            if texts.null_count:
                texts = pc.binary_join_element_wise('"', texts, 'Z"', "")
            else:
                before, after = before + '"', 'Z",'
        parts += [before, pc.fill_null(texts, "null") if texts.null_count else texts]
        before = after
    return pc.binary_join_element_wise(*parts, before[:-1] + "}", "").cast(pa.binary()), refused


def _encode_values(name: str, column: pa.Array, first: int, refused: dict[int, str]) -> list[pa.Array]:
    """Return the JSON text of each value, null for null, and note the rows of those that have none."""
    try:
        return [_json_texts(name, column)]
    except ValueError as failure:
        _json_texts(name, column.slice(0, 0))  # what fails without any value is the type
        if len(column) == 1:
            refused.setdefault(first, f"column {name!r}: {failure}")
            return [pa.nulls(1, pa.string())]
    half = len(column) // 2
    return [
        *_encode_values(name, column.slice(0, half), first, refused),
        *_encode_values(name, column.slice(half), first + half, refused),
    ]


def _json_texts(name: str, column: pa.Array) -> pa.Array:
    """Return the JSON text of each value, null for null; of times without quotes and zone."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_floating(kind):
        if not column.null_count and np.isfinite(column.to_numpy(zero_copy_only=False)).all():
            return column.cast(pa.string())
        infinite = pc.index(pc.is_inf(column), True).as_py()
        if infinite >= 0:
            raise DataError(f"{column[infinite]} cannot be written as JSON; replace infinities, or use format='arrow'")
        return pc.if_else(pc.is_nan(column), None, column).cast(pa.string())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind):
        # As naive time: formatting with a zone takes twenty times as long.
        wall = column.cast(TIME).cast(pa.int64()).cast(pa.timestamp("ns")).cast(pa.string())
        return pc.binary_replace_slice(wall, 10, 11, "T")
    if pa.types.is_date(kind):
        days = column.cast(DAY).cast(pa.int32())
        if pc.any(pc.or_(pc.less(days, _FIRST_DAY), pc.greater(days, _LAST_DAY))).as_py():
            raise DataError("a day beyond the years 1 to 9999 cannot be written in ISO 8601; leave it out")
        return pc.binary_join_element_wise('"', column.cast(pa.string()), '"', "")
    if is_text(kind):
        # Few distinct symbols: each is escaped once.
        encoded = column.cast(pa.string()).dictionary_encode()
        distinct = encoded.dictionary
        distinct.validate(full=True)  # Arrow may hold what is no UTF-8
        if pc.any(pc.match_substring_regex(distinct, _ESCAPED)).as_py():
            distinct = pa.array([json.dumps(text, ensure_ascii=False)[1:-1] for text in distinct.to_pylist()])
        return pc.binary_join_element_wise('"', distinct, '"', "").take(encoded.indices)
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    raise DataError(f"column {name!r}: values of type {kind} cannot be written as JSON")
