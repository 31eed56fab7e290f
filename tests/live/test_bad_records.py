"""What comes in that cannot be used, seventy sorts of it, among good records: it costs itself and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from streamz import Stream

from fintech_toolkit.kafka.codecs import encode_arrow, encode_json
from fintech_toolkit.kafka.message_schema import arrow_table
from fintech_toolkit.live import Counts
from tests.live.topics import FEATURES, SCHEMA, SECONDS, Topic, consume_all, produce, ticks

GOOD = ticks(200, symbols=3)
ROW = json.loads(encode_json(arrow_table(GOOD.iloc[[100]]))[0])


def changed(**values: Any) -> bytes:
    return json.dumps({**ROW, **values}).encode()


def without(name: str) -> bytes:
    return json.dumps({other: value for other, value in ROW.items() if other != name}).encode()


def raw(name: str, text: str) -> bytes:
    """The record with a value as it is written."""
    return changed(**{name: "here"}).replace(b'"here"', text.encode())


JSON: dict[str, bytes | None] = {
    "a tombstone": None,
    "nothing": b"",
    "blanks": b" \n\t ",
    "a word": b"hello",
    "a number": b"17",
    "null": b"null",
    "an array": b"[1, 2]",
    "a string": b'"text"',
    "an open brace": b"{",
    "a closing brace": b"}",
    "no closing brace": changed()[:-1],
    "two objects": changed() + changed(),
    "two objects on two lines": changed() + b"\n" + changed(),
    "half of one and half of another": changed()[20:] + changed()[:20],
    "a comma too many": changed()[:-1] + b",}",
    "single quotes": changed().replace(b'"', b"'"),
    "names without quotes": b"{symbol: 1}",
    "a zero byte": b"{\x00}",
    "bytes": bytes(range(256)),
    "Latin-1": changed(symbol="here").replace(b"here", b"M\xfcnchen"),
    "a surrogate in UTF-8": changed(symbol="here").replace(b"here", b"\xed\xa0\x80"),
    "an empty object": b"{}",
    "another object": b'{"error": "timeout"}',
    "names in capitals": json.dumps({name.upper(): value for name, value in ROW.items()}).encode(),
    "no symbol": without("symbol"),
    "no time": without("ts"),
    "no price": without("bid"),
    "no id": without("id"),
    "a price that was renamed": without("bid").replace(b'"ts"', b'"Bid": 1.0, "ts"'),
    "a price in an object within": without("bid").replace(b'"ts"', b'"x": {"bid": 1.0}, "ts"'),
    "the symbol null": changed(symbol=None),
    "the time null": changed(ts=None),
    "the id null": changed(id=None),
    "a symbol that is a number": changed(symbol=5),
    "a symbol that is a list": changed(symbol=["S1"]),
    "a price that is a string": changed(bid="100.5"),
    "a price that is a list": changed(bid=[100.5]),
    "a price that is an object": changed(bid={"value": 100.5}),
    "a price that is true": changed(bid=True),
    "a price with a comma": raw("bid", "100,5"),
    "a price in hexadecimal": raw("bid", "0x10"),
    "an id that is a float": changed(id=1.5),
    "an id beyond int64": raw("id", str(2**63)),
    "an id that is a string": changed(id="17"),
    "a time without a zone": changed(ts="2024-08-08T23:54:00"),
    "a day": changed(ts="2024-08-08"),
    "a time that is a word": changed(ts="yesterday"),
    "the 30th of February": changed(ts="2024-02-30T00:00:00Z"),
    "a time in seconds": changed(ts=1_723_161_240),
    "a time in milliseconds": changed(ts=1_723_161_240_123),
    "a time in microseconds": changed(ts=1_723_161_240_123_456),
    "a time that is a float": changed(ts=1.5e18),
    "a time that is true": changed(ts=True),
    "a time far ahead": changed(ts="2150-01-01T00:00:00Z"),
    "a time before its symbol's last": changed(ts="2001-01-01T00:00:00Z"),
    # What can be read and computed, and not written.
    "an infinite price": raw("bid", "Infinity"),
    "a price that is minus infinity": raw("bid", "-Infinity"),
    "a price whose mid overflows": changed(bid=1.7e308, symbol="HIGH"),
}


def arrow(frame: pd.DataFrame, **columns: Any) -> bytes:
    table = arrow_table(frame)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return encode_arrow(table)[0]


TWO = GOOD.iloc[[100, 101]]
ARROW: dict[str, bytes | None] = {
    "a tombstone": None,
    "nothing": b"",
    "text": b"hello",
    "JSON": changed(),
    "cut short": arrow(TWO)[:-20],
    "its head alone": arrow(TWO)[:100],
    "a length that lies": b"\xff\xff\xff\xff\xff\xff\xff\x7f" + arrow(TWO)[8:],
    "a column less": encode_arrow(arrow_table(TWO).drop_columns(["bid"]))[0],
    "times without a zone": arrow(TWO, ts=TWO["ts"].dt.tz_localize(None)),
    "times that are strings": arrow(TWO, ts=["now", "then"]),
    "times in milliseconds": arrow(TWO, ts=[1_723_161_240_123] * 2),
    "prices that are words": arrow(TWO, bid=["one", "two"]),
    "ids that are floats": arrow(TWO, id=[1.5, 2.5]),
    "ids with a null": arrow(TWO, id=[1, None]),
}


@pytest.mark.parametrize("form", ["json", "arrow"])
def test_bad_records_cost_themselves_and_nothing_else(kafka_broker: str, kafka_topic: Topic, form: Any) -> None:
    topic, target, dead = kafka_topic(), kafka_topic(), kafka_topic()
    bad = JSON if form == "json" else ARROW
    table = arrow_table(GOOD)
    good = encode_json(table) if form == "json" else [encode_arrow(table.slice(n, 1))[0] for n in range(len(GOOD))]
    sent: list[bytes | None] = [*good[:150], *bad.values(), *good[150:]]
    produce(kafka_broker, topic, sent)
    source = Stream.from_kafka_frames(
        topic,
        {"bootstrap.servers": kafka_broker},
        schema=SCHEMA,
        group=topic,
        format=form,
        batch_size=64,
        dead_letter_topic=dead,
        until="latest",
    )
    enriched = FEATURES.live(source)
    enriched.to_kafka_frames(target, {"bootstrap.servers": kafka_broker}, key="symbol")
    source.start()
    assert source.wait(SECONDS)
    assert source.counts == Counts(received=200 + len(bad), emitted=200, rejected=len(bad))
    found = {}
    for letter in consume_all(kafka_broker, dead, len(bad)):
        headers = {name: text.decode() for name, text in letter.headers() or []}
        assert (headers["topic"], headers["partition"]) == (topic, "0")
        found[int(headers["offset"])] = letter.value(), headers["reason"]
    places = range(150, 150 + len(bad))
    assert {place: value for place, (value, _) in found.items()} == dict(zip(places, bad.values(), strict=True))
    assert all(len(reason) > 10 for _, reason in found.values()), found
    written = [json.loads(message.value()) for message in consume_all(kafka_broker, target, 200)]
    expected = FEATURES(GOOD).set_index("id")["ewma"]
    known = expected.astype(object).where(expected.notna(), None)
    assert {row["id"]: row["ewma"] for row in written} == known.to_dict()
