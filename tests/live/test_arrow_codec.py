"""Arrow messages: read together as they are alone, whoever wrote them, and written a key at a time."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fintech_toolkit.errors import DataError
from fintech_toolkit.kafka.arrow_codec import arrow_messages
from fintech_toolkit.kafka.codecs import ArrowDecoder, encode_arrow
from fintech_toolkit.kafka.message_schema import arrow_table, message_schema, to_frame
from tests.frames import same

NANOSECONDS = 1723161240123456789
QUOTE = message_schema({"symbol": "str", "ts": "datetime64[ns, UTC]", "bid": "float64", "id": "int64"})


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([None, "A", "B", "CC"]), st.integers(0, 3_000)), max_size=30),
    st.integers(600, 5_000),
)
def test_arrow_messages_hold_every_row_of_a_key_in_order_or_refuse_it(
    rows: list[tuple[str | None, int]], limit: int
) -> None:
    names = [name for name, _ in rows]
    table = pa.table(
        {"symbol": pa.array(names, pa.string()), "text": pa.array(["x" * size for _, size in rows], pa.string())}
    ).append_column("row", pa.array(range(len(rows)), pa.int64()))
    keys = table["symbol"].cast(pa.large_binary()).combine_chunks()
    messages, refused = arrow_messages(table, keys, limit)
    written = []
    for message in messages:
        part = pa.ipc.open_stream(message["value"]).read_all()
        key = message["key"]
        assert len(message["value"]) + len(key or b"") <= limit
        assert set(part["symbol"].to_pylist()) == {None if key is None else key.decode()}
        written += list(zip(part["symbol"].to_pylist(), part["row"].to_pylist(), strict=True))
    kept = [(name, row) for row, name in enumerate(names) if row not in refused]
    first = {name: names.index(name) for name in names}
    assert written == sorted(kept, key=lambda pair: (first[pair[0]], pair[1]))
    for row, reason in refused.items():
        (alone,) = encode_arrow(table.slice(row, 1))
        assert len(alone) + len(names[row] or "") > limit
        assert re.match(r"a message of [\d,]+ bytes is too large", reason)


def test_arrow_messages_of_more_keys_than_sixteen_bits_count_stay_whole() -> None:
    count = 70_000
    symbols = [f"S{row}" for row in reversed(range(count))]
    table = pa.table({"symbol": pa.array(symbols).dictionary_encode(), "id": range(count)})
    messages, refused = arrow_messages(table, pa.array([text.encode() for text in symbols], pa.large_binary()), 10**6)
    assert refused == {}
    assert [message["key"].decode() for message in messages] == symbols
    decoded = ArrowDecoder(message_schema({"symbol": "str", "id": "int64"})).decode([m["value"] for m in messages])
    assert decoded.table["id"].to_pylist() == list(range(count))


def test_nested_categories_are_an_error_of_the_frame() -> None:
    table = pa.table({"x": pa.array([["a"]], pa.list_(pa.dictionary(pa.int32(), pa.string())))})
    with pytest.raises(DataError, match="categories within lists"):
        encode_arrow(table)


def test_arrow_messages_hold_many_rows_and_stay_within_kafkas_limit() -> None:
    frame = pd.DataFrame({"symbol": ["AAA"] * 200_000, "bid": np.arange(200_000.0), "id": np.arange(200_000)})
    messages = encode_arrow(arrow_table(frame))
    assert max(map(len, messages)) < 1_000_000
    decoder = ArrowDecoder(message_schema({"symbol": "str", "bid": "float64", "id": "int64"}))
    decoded = decoder.decode([None, *messages])
    same(to_frame(decoded.table), frame)
    assert decoded.message[0] == 1
    assert decoded.message[-1] == len(messages)
    assert decoded.rejected == [(0, "no value (a tombstone)")]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (
            pd.DataFrame({"id": [1.0]}),
            "column 'id': double, expected int64",
        ),  # ids do not pass through floats
        (pd.DataFrame({"id": pd.array([1, None], dtype="Int64")}), "column 'id' has nulls"),
        (pd.DataFrame({"other": [1]}), "column 'id' is missing"),
        (pd.DataFrame({"id": [2**63]}, dtype="uint64"), "not in range"),
    ],
)
def test_arrow_messages_of_another_schema_are_rejected(frame: pd.DataFrame, reason: str) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    decoded = ArrowDecoder(message_schema({"id": "int64"})).decode(encode_arrow(table))
    assert decoded.table.num_rows == 0
    ((position, why),) = decoded.rejected
    assert position == 0
    assert reason in why


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40) | st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=4)))
def test_damaged_arrow_messages_are_rejected_or_valid(damage: bytes | tuple[int, bytes]) -> None:
    (value,) = encode_arrow(arrow_table(pd.DataFrame({"symbol": ["AAA", "BBB"], "bid": [1.0, 2.0]})))
    if isinstance(damage, tuple):
        at, patch = damage
        value = value[:at] + patch + value[at + len(patch) :]
    else:
        value = damage
    decoded = ArrowDecoder(message_schema({"symbol": "str", "bid": "float64"})).decode([value])
    decoded.table.validate(full=True)
    assert decoded.table.num_rows == len(decoded.message)
    assert len(decoded.rejected) in (0, 1)
    assert not (decoded.rejected and decoded.table.num_rows)


def stream(*batches: pa.RecordBatch, **options: Any) -> bytes:
    """An Arrow IPC stream of some batches, as another program may write it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def arrow_samples() -> list[bytes]:
    """Messages of several writers and schemas, all of them good."""
    batch = pa.record_batch({"symbol": ["A", "B"], "ts": [NANOSECONDS, 0], "bid": [1.0, None], "id": [1, 2]})
    other = pa.record_batch({"more": [1], "id": [3], "symbol": ["C"], "ts": [1], "bid": [2]})
    zoned = pa.record_batch(
        {"symbol": ["D"], "ts": pa.array([1], pa.timestamp("us", "Asia/Tokyo")), "bid": [2.5], "id": [4]}
    )
    coded = pa.record_batch(
        {"symbol": pa.array(["E", "E"]).dictionary_encode(), "ts": [1, 2], "bid": [1, 2], "id": [5, 6]}
    )
    dated = pa.record_batch({"symbol": ["F"], "ts": [NANOSECONDS], "bid": [1.0], "id": [1]})
    return [
        stream(batch),
        stream(batch, batch.slice(1)),
        stream(batch)[:-8],  # without its end
        stream(batch) + b"and more",
        stream(batch.slice(0, 0)),
        stream(batch, compression="zstd"),
        stream(batch, use_legacy_format=True, metadata_version=pa.ipc.MetadataVersion.V4),
        stream(other, use_legacy_format=True, metadata_version=pa.ipc.MetadataVersion.V4),
        stream(other),
        stream(zoned),
        stream(coded),
        stream(dated),
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.none()
        | st.binary(max_size=10)
        | st.tuples(st.integers(0, 11), st.none() | st.tuples(st.integers(0, 900), st.binary(max_size=4))),
        max_size=12,
    ),
    st.integers(1, 8),
)
def test_arrow_messages_decode_together_as_they_do_alone(picks: list[Any], rows: int) -> None:
    samples = arrow_samples()
    values: list[bytes | None] = []
    for pick in picks:
        if isinstance(pick, tuple):
            value, damage = samples[pick[0]], pick[1]
            if damage is not None:
                at, patch = damage
                value = value[:at] + patch + value[at + len(patch) :] if patch else value[:at]
            values.append(value)
        else:
            values.append(pick)
    decoder = ArrowDecoder(QUOTE)
    alone = [decoder.decode([value]) for value in values]
    together = decoder.decode(values)
    together.table.validate(full=True)
    assert together.taken == len(values)
    reasons = [(position, one.rejected[0][1]) for position, one in enumerate(alone) if one.rejected]
    assert together.rejected == reasons
    # As text: what is damaged may be NaN, which equals nothing.
    assert repr(together.table.to_pylist()) == repr([row for one in alone for row in one.table.to_pylist()])
    assert together.message.tolist() == [position for position, one in enumerate(alone) for _ in one.message]

    start, pieces = 0, []
    while start < len(values):
        piece = decoder.decode(values[start:], rows)
        counts = [len(one.message) for one in alone[start : start + piece.taken]]
        assert sum(counts[:-1]) < rows
        assert sum(counts) >= rows or start + piece.taken == len(values)
        assert piece.rejected == [(at - start, why) for at, why in reasons if start <= at < start + piece.taken]
        pieces += piece.table.to_pylist()
        start += piece.taken
    assert repr(pieces) == repr(together.table.to_pylist())


def test_all_sorts_of_good_arrow_messages_are_read() -> None:
    decoded = ArrowDecoder(QUOTE).decode(arrow_samples())
    assert decoded.rejected == []
    assert np.bincount(decoded.message, minlength=12).tolist() == [2, 3, 2, 2, 0, 2, 2, 1, 1, 1, 2, 1]
