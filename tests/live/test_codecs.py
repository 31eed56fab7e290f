"""Codecs: what goes in comes out or is rejected, each message by itself, and every bit survives."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fintech_toolkit.errors import DataError, ParameterError
from fintech_toolkit.kafka.codecs import ArrowDecoder, JsonDecoder, encode_arrow, encode_json
from fintech_toolkit.kafka.json_encoding import json_messages
from fintech_toolkit.kafka.message_schema import arrow_table, message_schema, to_frame
from tests.frames import same

QUOTE = message_schema({"symbol": "str", "ts": "datetime64[ns, UTC]", "bid": "float64", "id": "int64"})
GOOD = b'{"symbol": "AAA", "ts": "2024-08-08T23:54:00.123456789Z", "bid": 1.5, "id": 9223372036854775807}'
NANOSECONDS = 1723161240123456789


def quote(**fields: str) -> bytes:
    """A good message with some fields' JSON text replaced."""
    record = {"symbol": '"AAA"', "ts": '"2024-08-08T23:54:00Z"', "bid": "1.5", "id": "7", **fields}
    return ("{" + ",".join(f'"{name}":{text}' for name, text in record.items()) + "}").encode()


def decode_one_by_one(values: list[bytes | None], schema: pa.Schema) -> list[bool]:
    """The definition: a message is good if it decodes alone."""
    return [JsonDecoder(schema).decode([value]).table.num_rows == 1 for value in values]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (None, "tombstone"),
        (b"", "an empty message"),
        (b" \n", "an empty message"),
        (b"null", "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b"7", "not a JSON object"),
        (b"\xef\xbb\xbf" + GOOD, "not a JSON object"),  # a byte-order mark
        (GOOD + GOOD, "not one JSON object"),
        (GOOD + b"\n" + GOOD, "not one JSON object"),
        (GOOD + b" null " + GOOD, "not one JSON object"),
        (GOOD + b"}", "not one JSON object"),
        (b'{"symbol": "A', "not a JSON object"),
        (b'{"symbol": {}', "not one JSON object"),
        (b"{'symbol': 1}", "not one JSON object"),
        (quote(symbol='"\xff"').replace(b"\xc3\xbf", b"\xff"), "not UTF-8"),
        (quote(symbol='"a\nb"'), "not one JSON object"),
        (quote(bid='"1.5"'), "column 'bid': expected number, found string"),
        (quote(bid="[1.5]"), "column 'bid': expected number, found array"),
        (quote(bid='{"x": 1}'), "column 'bid': expected number, found object"),
        (quote(bid="1e999"), "too big"),
        (quote(id="1.5"), "column 'id'"),
        (quote(id="9223372036854775808"), "column 'id'"),
        (quote(id="null"), "column 'id' is null$"),
        (quote(id='1,"id":2'), "id.*twice"),
        (b'{"symbol": "AAA", "ts": 1, "bid": 1.5}', r"column 'id' is missing; .*optional=\['id'\]"),
        (quote(ts="null"), "column 'ts' is null$"),
        (quote(ts='"2024-08-08T23:54:00"'), "column 'ts'.*zone"),
        (quote(ts='"2024-08-08"'), "column 'ts'.*zone"),
        (quote(ts='"2024-02-30T00:00:00Z"'), "column 'ts'"),
        (quote(ts='"3000-01-01T00:00:00Z"'), "column 'ts'"),
        (quote(ts="1.5"), "column 'ts'"),
        (quote(ts="99999999999999999999"), "column 'ts'"),
        (quote(ts='""'), "column 'ts'.*zone"),
        (quote(ts="1723161240123"), "column 'ts' looks like milliseconds: .*2024-08-08T23:54:00 UTC; say unit='ms'"),
        (b'{"ts": 1, "bid": 1.5, "id": 1}', "column 'symbol' is missing"),
        (b'{"symbol": "bid", "ts": 1, "id": 1}', "column 'bid' is missing"),
        (b'{"symbol": "\\"bid\\":null", "ts": 1, "id": 1}', "column 'bid' is missing"),
        (b'{"symbol": "A", "x": {"bid": null}, "ts": 1, "id": 1}', "column 'bid' is missing"),
        (b'{"symbol": "A", "ts": 1, "id": 1, "x": Inf}', "not one JSON object"),
    ],
)
def test_a_bad_message_is_split_off_alone(message: bytes | None, reason: str) -> None:
    decoded = JsonDecoder(QUOTE).decode([GOOD, message, GOOD])
    assert decoded.table.num_rows == 2
    assert decoded.message.tolist() == [0, 2]
    ((position, why),) = decoded.rejected
    assert position == 1
    assert re.search(reason, why)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ('"2024-08-08T23:54:00.123456789Z"', NANOSECONDS),
        ('"2024-08-09T01:54:00.123456789+02:00"', NANOSECONDS),
        ('"2024-08-08 23:54:00.123456789Z"', NANOSECONDS),
        (str(NANOSECONDS), NANOSECONDS),
        ("-1", -1),
        ('"1969-12-31T23:59:59.999999999Z"', -1),
    ],
)
def test_times_are_exact(text: str, nanoseconds: int) -> None:
    decoded = JsonDecoder(QUOTE).decode([quote(ts=text)])
    assert decoded.rejected == []
    assert decoded.table["ts"].cast(pa.int64()).to_pylist() == [nanoseconds]


@pytest.mark.parametrize(("unit", "factor"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
@pytest.mark.parametrize("form", ["json", "arrow"])
def test_integer_times_are_of_the_unit_that_the_schema_names(unit: str, factor: int, form: str) -> None:
    schema = message_schema({"ts": "datetime64[ns, UTC]"}, unit=unit)
    written = [1_723_161_240, -1, 0, 2**62, -(2**62)]
    exact = [time * factor if abs(time * factor) < 2**63 else None for time in written]
    if form == "json":
        decoded = JsonDecoder(schema).decode([json.dumps({"ts": time}).encode() for time in written])
    else:
        decoded = ArrowDecoder(schema).decode([encode_arrow(pa.table({"ts": [time]}))[0] for time in written])
    assert decoded.table["ts"].cast(pa.int64()).to_pylist() == [time for time in exact if time is not None]
    assert [position for position, _ in decoded.rejected] == [at for at, time in enumerate(exact) if time is None]
    for _, reason in decoded.rejected:
        assert "column 'ts'" in reason
        assert "beyond int64 nanoseconds" in reason


@pytest.mark.parametrize(("unit", "called"), [("s", "seconds"), ("ms", "milliseconds"), ("us", "microseconds")])
def test_integer_times_of_another_unit_are_rejected_alone(unit: str, called: str) -> None:
    schema = message_schema({"ts": "datetime64[ns, UTC]"})
    other = 1_723_161_240 * {"s": 1, "ms": 10**3, "us": 10**6}[unit]
    texts = JsonDecoder(schema).decode([b'{"ts":%d}' % time for time in (NANOSECONDS, other, NANOSECONDS)])
    arrow = ArrowDecoder(schema).decode(
        [encode_arrow(pa.table({"ts": times}))[0] for times in ([NANOSECONDS], [NANOSECONDS, other], [NANOSECONDS])]
    )
    for decoded in (texts, arrow):
        assert decoded.message.tolist() == [0, 2]
        ((position, reason),) = decoded.rejected
        assert position == 1
        assert f"column 'ts' looks like {called}" in reason
        assert f"unit='{unit}'" in reason


@pytest.mark.parametrize("form", ["json", "arrow"])
def test_an_optional_column_may_be_lacking_and_null_another_only_null(form: str) -> None:
    schema = message_schema({"symbol": "str", "bid": "float64", "size": "Int64"}, optional=["bid", "size"])
    records = [{"symbol": "A"}, {"symbol": None, "bid": 1.0, "size": None}, {"bid": 1.0, "size": 2}]
    if form == "json":
        decoded = JsonDecoder(schema).decode([json.dumps(record).encode() for record in records])
    else:
        tables = [pa.table({name: [value] for name, value in record.items()}) for record in records]
        decoded = ArrowDecoder(schema).decode([encode_arrow(table)[0] for table in tables])
    nothing = {"symbol": None, "bid": None, "size": None}
    assert decoded.table.to_pylist() == [{**nothing, **record} for record in records[:2]]
    ((position, reason),) = decoded.rejected
    assert position == 2
    assert "column 'symbol' is missing; if messages may lack it, say so with optional=['symbol']" in reason


@pytest.mark.parametrize(("text", "value"), [("NaN", math.nan), ("Infinity", math.inf), ("-Infinity", -math.inf)])
def test_floats_that_python_writes(text: str, value: float) -> None:
    decoded = JsonDecoder(QUOTE).decode([quote(bid=text)])
    np.testing.assert_array_equal(to_frame(decoded.table)["bid"], [value])


def test_objects_may_span_lines_and_nest() -> None:
    spread = b'{"symbol": "B",\r\n "ts": 1,\n "bid": null, "extra": {"deep": [1, {"x": "}\\n{"}]},\r "id": 1\n}'
    decoded = JsonDecoder(QUOTE).decode([spread, spread])
    assert decoded.rejected == []
    assert decoded.table["symbol"].to_pylist() == ["B", "B"]


def test_halves_of_an_object_do_not_run_together() -> None:
    schema = message_schema({"a": "float64"})
    decoded = JsonDecoder(schema).decode([b'{"a": 1', b', "b": 2}', b'{"a": 3}{"a": 4}', b'{"a": 5}'])
    assert decoded.table["a"].to_pylist() == [5]
    assert [position for position, _ in decoded.rejected] == [0, 1, 2]


# Pieces that JSON is made of, and what breaks it: in any order they give malformed messages of every kind.
pieces = st.sampled_from(
    [
        b"{", b"}", b"[", b"]", b",", b":", b'"', b'"a"', b'"ts"', b'"id"', b"1", b"-0", b"1.5", b"1e400",
        b"null", b"true", b"NaN", b"\n", b"\r", b"\t", b" ", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\\ud800",
        b"{}", b'{"a":1}', b'{"a":{"a":{}}}', b'"2024-08-08T00:00:00Z"', b"9223372036854775808",
    ]
)  # fmt: skip
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
near_misses: st.SearchStrategy[bytes] = st.fixed_dictionaries(
    {},
    optional={
        "a": st.floats() | st.none() | json_values,
        "ts": st.integers(-(2**63), 2**63) | st.sampled_from(["2024-08-08T00:00:00Z", "2024-08-08"]) | json_values,
        "id": st.integers(-(2**63), 2**63) | json_values,
        "day": st.sampled_from(["2024-08-08", "0001-01-01", "2024-02-30", "2024-08-08T00:00:00Z"]) | json_values,
        "other": json_values,
    },
).map(lambda record: json.dumps(record).encode())
messages = st.lists(
    st.none() | st.binary(max_size=20) | st.lists(pieces, max_size=6).map(b"".join) | near_misses, max_size=12
)
COLUMNS = {"a": "float64", "ts": "datetime64[ns, UTC]", "id": "int64", "day": "datetime64[ms]"}
FUZZED = message_schema(COLUMNS, optional=["day"])


@settings(max_examples=300, deadline=None)
@given(messages)
@example([b'{"a":1', b',"ts":1,"id":2}'])
@example([b'{"a":1,"ts":1,"id":1}null{"a":1,"ts":1,"id":1}', b"{}"])
@example([b'{"ts":1,"id":1,"a":{}', b"{}}"])
def test_in_is_out_plus_rejected_for_whatever_comes(values: list[bytes | None]) -> None:
    decoded = JsonDecoder(FUZZED).decode(values)
    rejected = [position for position, _ in decoded.rejected]
    assert sorted([*decoded.message.tolist(), *rejected]) == list(range(len(values)))
    assert decoded.table.num_rows == len(decoded.message)
    assert decoded.table.schema == FUZZED
    good = decode_one_by_one(values, FUZZED)
    assert [position not in rejected for position in range(len(values))] == good
    alone = [JsonDecoder(FUZZED).decode([value]).table for value in values]
    same(to_frame(decoded.table), to_frame(pa.concat_tables([FUZZED.empty_table(), *alone])))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=8).filter(lambda text: text.isprintable() or "\n" in text) | st.none(),
            st.integers(-9_223_372_036 * 10**9, 2**63 - 1),  # Arrow reads times from 1677-09-21T00:12:44 on
            st.floats(allow_infinity=False),
            st.floats(width=32, allow_infinity=False),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1) | st.none(),
            st.booleans(),
            st.dates() | st.none(),
        ),
        min_size=1,
        max_size=10,
    ),
    st.sampled_from(["json", "arrow"]),
)
def test_what_is_written_reads_back_to_the_bit(rows: list[tuple[Any, ...]], form: str) -> None:
    dtypes = {
        "symbol": "str",
        "ts": "datetime64[ns, UTC]",
        "bid": "float64",
        "small": "float32",
        "id": "int64",
        "maybe": "Int64",
        "flag": "bool",
        "day": "datetime64[ms]",
    }
    columns = dict(zip(dtypes, zip(*rows, strict=True), strict=True))
    frame = pd.DataFrame({name: pd.Series(columns[name], dtype=dtype) for name, dtype in dtypes.items()})
    schema = message_schema(dtypes)
    if form == "json":
        written = encode_json(arrow_table(frame))
        assert len(written) == len(frame)
        for message in written:
            json.loads(message, parse_constant=pytest.fail)  # JSON as others understand it
        decoded = JsonDecoder(schema).decode(written)
    else:
        decoded = ArrowDecoder(schema).decode(encode_arrow(arrow_table(frame)))
    assert decoded.rejected == []
    # Not `same`: of a NaN's bits JSON keeps none.
    pd.testing.assert_frame_equal(to_frame(decoded.table), frame, check_exact=True)
    signs = np.signbit(to_frame(decoded.table)["bid"].dropna())  # of zeros, which compare equal
    np.testing.assert_array_equal(signs, np.signbit(frame["bid"].dropna()))


def test_categories_read_back() -> None:
    frame = pd.DataFrame({"symbol": pd.Categorical(["B", "A", "B"])})
    decoded = JsonDecoder(message_schema({"symbol": "category"})).decode(encode_json(arrow_table(frame)))
    assert to_frame(decoded.table)["symbol"].astype(str).tolist() == ["B", "A", "B"]


def test_times_in_another_zone_are_written_in_utc() -> None:
    times = pd.to_datetime(["2024-08-09T01:54:00.123456789+02:00"]).tz_convert("Europe/Berlin")
    assert encode_json(arrow_table(pd.DataFrame({"ts": times}))) == [b'{"ts":"2024-08-08T23:54:00.123456789Z"}']


def test_a_row_with_a_value_that_json_cannot_say_is_refused_alone() -> None:
    count = 1_000
    floats, times = np.arange(count) / 7, np.arange(count) * 1_000_000
    floats[[3, 500, 999]] = [math.inf, -math.inf, math.inf]
    times[[3, 700]] = 2**62  # microseconds: beyond what nanoseconds can hold
    texts = [f"S{row}" for row in range(count)]
    broken = pa.array([b"\xff" if row == 20 else text.encode() for row, text in enumerate(texts)]).view(pa.string())
    table = pa.table({"x": floats, "ts": pa.array(times, pa.timestamp("us", "UTC")), "symbol": broken})
    keys = pa.array([text.encode() for text in texts], pa.large_binary())
    messages, refused = json_messages(table, keys, 10**6)
    assert list(refused) == [3, 20, 500, 700, 999]
    assert refused[3].startswith("column 'x': inf cannot be written as JSON; ")
    assert refused[500].startswith("column 'x': -inf cannot be written as JSON; ")
    assert refused[700].startswith("column 'ts': ")
    assert refused[20].startswith("column 'symbol': ")
    good = [row for row in range(count) if row not in refused]
    assert [json.loads(message["value"])["x"] for message in messages] == floats[good].tolist()
    assert [message["key"] for message in messages] == [texts[row].encode() for row in good]


def test_a_row_too_large_for_a_message_is_refused_alone() -> None:
    symbols = ["A", "B" * 300, "C"]
    keys = pa.array([b"k", b"k", None], pa.large_binary())
    size = len(encode_json(pa.table({"symbol": symbols}))[1]) + 1
    messages, refused = json_messages(pa.table({"symbol": symbols}), keys, size)
    assert len(messages) == 3
    assert refused == {}
    messages, refused = json_messages(pa.table({"symbol": symbols}), keys, size - 1)
    assert [json.loads(message["value"])["symbol"] for message in messages] == ["A", "C"]
    assert refused == {1: f"a message of {size} bytes is too large: message.max.bytes leaves room for {size - 1}"}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([1.0, math.inf], "row 1: column 'x': inf"),
        (pd.to_datetime(["2024-08-08"]), r"column 'x' has times without a zone"),
        ([[1], [2]], "column 'x'"),
        ([1, "a"], "x"),
    ],
)
def test_what_json_cannot_say_is_an_error(column: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode_json(arrow_table(pd.DataFrame({"x": column})))


def test_json_messages_are_taken_up_to_a_number() -> None:
    values = [GOOD, b"{oops", GOOD, GOOD]
    decoded = JsonDecoder(QUOTE).decode(values, rows=3)
    assert (decoded.taken, decoded.message.tolist()) == (3, [0, 2])
    assert [position for position, _ in decoded.rejected] == [1]
    assert JsonDecoder(QUOTE).decode(values).taken == 4


def test_many_malformed_messages_are_found_among_many() -> None:
    rng = np.random.default_rng(0)
    kinds = [
        b"{oops}",
        quote(bid="[1]"),
        quote(id="1.5"),
        b"{}{}",
        quote(ts='"noon"'),
        b'{"a":{}',
        b'{"\xff":1}',
        GOOD + b"}",
    ]
    values = [GOOD] * 5_000
    for number, at in enumerate(rng.choice(5_000, 200, replace=False).tolist()):
        values[at] = kinds[number % len(kinds)]
    decoded = JsonDecoder(QUOTE).decode(values)
    assert [position for position, _ in decoded.rejected] == [at for at, value in enumerate(values) if value != GOOD]
    np.testing.assert_array_equal(decoded.message, [at for at, value in enumerate(values) if value == GOOD])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optional": ["bit"]}, "no column 'bit' in the schema. Did you mean 'bid'"),
        ({"optional": ["id"]}, "column 'id' of dtype 'int64' cannot be null; use 'Int64'"),
        ({"optional": ["ts"]}, "column 'ts' of dtype 'datetime64.*' cannot be null$"),
        ({"unit": "m"}, "unit='m'"),
    ],
)
def test_what_a_schema_says_of_its_columns_is_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        message_schema({"bid": "float64", "id": "int64", "ts": "datetime64[ns, UTC]"}, **arguments)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ts": "datetime64[ns]"}, "column 'ts'.*datetime64\\[ns, UTC\\]"),
        ({"x": "complex128"}, "column 'x'"),
        ({"x": "nonsense"}, "column 'x'"),
        ({}, "at least one column"),
    ],
)
def test_schemas_of_other_types_are_refused(columns: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        message_schema(columns)


def test_a_leading_null_does_not_end_the_process() -> None:
    code = (
        "from fintech_toolkit.kafka.codecs import JsonDecoder\n"
        "from fintech_toolkit.kafka.message_schema import message_schema\n"
        "print(JsonDecoder(message_schema({'a': float})).decode([b'null', b'{\"a\": 1}']).rejected)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[(0, 'not a JSON object')]\n"
