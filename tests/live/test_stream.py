"""Frames through a real Kafka: what arrives, what is put aside, and where errors go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamz import Stream

import fintech_toolkit.live  # noqa: F401  # registers the nodes
from fintech_toolkit.errors import ParameterError
from fintech_toolkit.kafka.codecs import encode_json
from fintech_toolkit.kafka.message_schema import arrow_table
from fintech_toolkit.live import Batch, Counts, LiveError
from tests.frames import same
from tests.live.topics import SCHEMA, SECONDS, Topic, by_symbol, committed, consume_all, produce, ticks


@pytest.mark.parametrize("form", ["json", "arrow"])
def test_what_is_written_is_read_to_the_bit(kafka_broker: str, kafka_topic: Topic, form: Any) -> None:
    topic = kafka_topic(partitions=3)
    config = {"bootstrap.servers": kafka_broker}
    frames = Stream()
    frames.to_kafka_frames(topic, config, key="symbol", format=form)
    frame = ticks(25_000)
    frames.emit(frame.iloc[:21_000])
    frames.emit(frame.iloc[21_000:])

    source = Stream.from_kafka_frames(
        topic, config, schema=SCHEMA, group=topic, format=form, batch_size=4_000, until="latest"
    )
    received = source.sink_to_list()
    source.start()
    assert source.wait(SECONDS)
    if form == "json":
        assert max(map(len, received)) <= 4_000
    same(by_symbol(pd.concat(received)), by_symbol(frame))
    assert source.counts == Counts(received=25_000, emitted=25_000, rejected=0)


def test_rows_are_in_order_of_partition_and_offset_and_say_where_they_are_from(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic(partitions=3)
    values = encode_json(arrow_table(ticks(30)))
    for partition in (2, 0, 1):
        produce(kafka_broker, topic, list(values[partition::3]), partition)
    source = Stream.from_kafka_frames(
        topic, {"bootstrap.servers": kafka_broker}, schema=SCHEMA, group=topic, batch_size=8, until="latest"
    )
    seen: list[tuple[pd.DataFrame, Batch]] = []
    Watch(source, lambda frame, batch: seen.append((frame, batch)))
    source.start()
    assert source.wait(SECONDS)
    ends = {0: 0, 1: 0, 2: 0}
    for number, (frame, batch) in enumerate(seen):
        assert (batch.id, batch.topic) == (number, topic)
        np.testing.assert_array_equal(frame.index, np.arange(len(frame)))
        np.testing.assert_array_equal(np.lexsort((batch.offset, batch.partition)), np.arange(len(frame)))
        # Row k of partition p was made as row 3 k + p.
        np.testing.assert_array_equal(frame["id"] - 2**62, batch.offset * 3 + batch.partition)
        for partition, (begin, end) in batch.offsets.items():
            assert begin == ends[partition]
            np.testing.assert_array_equal(batch.offset[batch.partition == partition], np.arange(begin, end))
            ends[partition] = end
    assert ends == {0: 10, 1: 10, 2: 10}
    assert committed(kafka_broker, topic, topic) == ends


class Watch(Stream):
    """A node that shows its function the batch as well."""

    def __init__(self, upstream: Any, function: Callable[[pd.DataFrame, Batch], Any]) -> None:
        self.function = function
        super().__init__(upstream)
        self.end = self.sink(lambda _: None)

    def update(self, x: pd.DataFrame, who: Any = None, metadata: Any = None) -> Any:
        self.function(x, metadata[0]["batch"])
        return self._emit(x, metadata=metadata)


def test_records_that_cannot_be_decoded_become_dead_letters(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(), kafka_topic()
    good = encode_json(arrow_table(ticks(6)))
    values = [good[0], b"{oops", good[1], None, good[2], b"", good[3], b'{"symbol":"A"}', b"\xff", *good[4:]]
    produce(kafka_broker, topic, values)
    source = Stream.from_kafka_frames(
        topic,
        {"bootstrap.servers": kafka_broker},
        schema=SCHEMA,
        group=topic,
        dead_letter_topic=dead,
        until="latest",
    )
    received = source.sink_to_list()
    source.start()
    assert source.wait(SECONDS)
    same(pd.concat(received, ignore_index=True), ticks(6))
    assert source.counts == Counts(received=11, emitted=6, rejected=5)
    letters = consume_all(kafka_broker, dead, 5)
    found = {}
    for letter in letters:
        headers = {name: text.decode() for name, text in letter.headers() or []}
        assert (headers["topic"], headers["partition"]) == (topic, "0")
        assert headers["reason"]
        assert letter.key() == b"key"
        found[int(headers["offset"])] = letter.value()
    assert found == {offset: values[offset] for offset in (1, 3, 5, 7, 8)}
    assert committed(kafka_broker, topic, topic) == {0: 11}


def test_without_a_topic_for_dead_letters_the_caller_gets_the_error(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, [*encode_json(arrow_table(ticks(3))), b"{oops"])
    source = Stream.from_kafka_frames(topic, {"bootstrap.servers": kafka_broker}, schema=SCHEMA, group=topic)
    source.sink(lambda _: None)
    source.start()
    with pytest.raises(LiveError, match=rf"topic {topic}, partition 0, offset 3: not a JSON object"):
        source.wait(SECONDS)
    assert committed(kafka_broker, topic, topic) == {}


def test_a_node_can_put_rows_aside(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(partitions=2), kafka_topic()
    values = encode_json(arrow_table(ticks(10)))
    produce(kafka_broker, topic, [b"{oops", *values[:5]], 0)
    produce(kafka_broker, topic, list(values[5:]), 1)
    source = Stream.from_kafka_frames(
        topic,
        {"bootstrap.servers": kafka_broker},
        schema=SCHEMA,
        group=topic,
        dead_letter_topic=dead,
        until="latest",
    )
    refused: list[tuple[int, int]] = []

    def refuse_some(frame: pd.DataFrame, batch: Batch) -> None:
        rows = frame.index[frame["id"].isin([2**62 + 3, 2**62 + 7])]
        refused.extend(zip(batch.partition[rows].tolist(), batch.offset[rows].tolist(), strict=True))
        batch.reject(rows, ["not wanted"] * len(rows))

    Watch(source, refuse_some)
    source.start()
    assert source.wait(SECONDS)
    assert sorted(refused) == [(0, 4), (1, 2)]
    letters = consume_all(kafka_broker, dead, 3)
    assert {letter.value() for letter in letters} == {b"{oops", values[3], values[7]}
    assert source.counts == Counts(received=11, emitted=8, rejected=3)


def test_a_row_out_of_an_arrow_message_is_put_aside_alone(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(), kafka_topic()
    config = {"bootstrap.servers": kafka_broker}
    frames = Stream()
    frames.to_kafka_frames(topic, config, format="arrow")
    frames.emit(ticks(100))
    source = Stream.from_kafka_frames(
        topic, config, schema=SCHEMA, group=topic, format="arrow", dead_letter_topic=dead, until="latest"
    )
    Watch(source, lambda frame, batch: batch.reject([42], ["not wanted"]))
    source.start()
    assert source.wait(SECONDS)
    (letter,) = consume_all(kafka_broker, dead, 1)
    assert dict(letter.headers() or [])["row"] == b"42"
    again = Stream.from_kafka_frames(dead, config, schema=SCHEMA, group=dead, format="arrow", until="latest")
    received = again.sink_to_list()
    again.start()
    assert again.wait(SECONDS)
    same(received[0], ticks(100).iloc[[42]].reset_index(drop=True))


@pytest.mark.parametrize("kind", ["map", "sink", "awaited"])
def test_an_error_in_a_node_reaches_the_caller_and_nothing_is_committed(
    kafka_broker: str, kafka_topic: Topic, kind: str
) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(arrow_table(ticks(10)))))
    source = Stream.from_kafka_frames(topic, {"bootstrap.servers": kafka_broker}, schema=SCHEMA, group=topic)

    def fail(frame: pd.DataFrame) -> None:
        raise ZeroDivisionError(kind)

    async def fail_later(frame: pd.DataFrame) -> None:
        raise ZeroDivisionError(kind)

    if kind == "map":
        source.map(fail).sink(lambda _: None)
    else:
        source.sink(fail if kind == "sink" else fail_later)
    source.start()
    with pytest.raises(ZeroDivisionError, match=kind):
        source.wait(SECONDS)
    assert isinstance(source.exception, ZeroDivisionError)
    assert source.stopped
    assert committed(kafka_broker, topic, topic) == {}


def test_a_message_that_kafka_refuses_is_an_error_of_the_stream(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, target = kafka_topic(), kafka_topic()
    produce(kafka_broker, topic, list(encode_json(arrow_table(ticks(1)))))
    config = {"bootstrap.servers": kafka_broker}
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic)
    source.map(lambda frame: frame.assign(symbol="x" * 2_000_000)).to_kafka_frames(target, config)
    source.start()
    with pytest.raises(LiveError, match="too large"):
        source.wait(SECONDS)
    assert committed(kafka_broker, topic, topic) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "jsom"}, "Did you mean 'json'"),
        ({"until": "tomorrow"}, "until"),
        ({"batch_size": 0}, "batch_size"),
        ({"group": None}, "group"),
        ({"config": {"bootstrap.servers": "x", "enable.partition.eof": False}}, "enable.partition.eof"),
        ({"schema": {"x": "complex"}}, "column 'x'"),
    ],
)
def test_parameters_are_checked(arguments: dict[str, Any], message: str) -> None:
    good = {"config": {"bootstrap.servers": "x"}, "schema": SCHEMA, "group": "g"}
    with pytest.raises(ParameterError, match=message):
        Stream.from_kafka_frames("topic", **(good | arguments))


def test_nodes_that_take_errors_out_of_sight_are_refused() -> None:
    source = Stream.from_kafka_frames("topic", {"bootstrap.servers": "x"}, schema=SCHEMA, group="g")
    source.map(lambda frame: frame).buffer(10).sink(print)
    with pytest.raises(ParameterError, match="'buffer' cannot follow a Kafka source"):
        source.start()
