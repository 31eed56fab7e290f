"""Frames through a real Kafka: what arrives, what is put aside, what is committed, and where errors go."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from streamz import Stream

import fintech_toolkit.live  # noqa: F401  # registers the nodes
from fintech_toolkit.errors import ParameterError
from fintech_toolkit.live import Batch, Counts, LiveError
from fintech_toolkit.live.codecs import encode_json
from fintech_toolkit.live.schema import to_table

SCHEMA = {"symbol": "str", "ts": "datetime64[ns, UTC]", "bid": "float64", "id": "int64"}
SECONDS = 60  # no test waits this long unless it fails

Topic = Callable[..., str]


def ticks(rows: int, symbols: int = 7) -> pd.DataFrame:
    """Ticks of interleaved symbols whose ids say their order."""
    rng = np.random.default_rng(rows)
    return pd.DataFrame(
        {
            "symbol": pd.array([f"S{code}" for code in rng.integers(0, symbols, rows)], dtype="str"),
            "ts": pd.to_datetime(1723161240123456789 + np.arange(rows) * 1000, utc=True),
            "bid": rng.normal(100, 1, rows),
            "id": np.arange(rows) + 2**62,
        }
    )


def produce(servers: str, topic: str, values: list[bytes | None], partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "queue.buffering.max.messages": 1_000_000})
    for value in values:
        producer.produce(topic, value, key=b"key", partition=partition)
    assert producer.flush(SECONDS) == 0


def consume_all(servers: str, topic: str, count: int) -> list[Message]:
    """The first `count` messages of a topic."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "check", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    messages: list[Message] = []
    while len(messages) < count:
        message = consumer.poll(SECONDS)
        assert message is not None, f"{len(messages)} of {count} messages"
        assert message.error() is None
        messages.append(message)
    consumer.close()
    return messages


def committed(servers: str, group: str, topic: str) -> dict[int, int]:
    """The offsets that a group has committed."""
    request = [ConsumerGroupTopicPartitions(group)]
    admin = AdminClient({"bootstrap.servers": servers})
    (future,) = admin.list_consumer_group_offsets(request).values()
    found = future.result(timeout=SECONDS).topic_partitions
    return {entry.partition: entry.offset for entry in found if entry.topic == topic and entry.offset >= 0}


def by_symbol(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("symbol", kind="stable").reset_index(drop=True)


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
    pd.testing.assert_frame_equal(by_symbol(pd.concat(received)), by_symbol(frame), check_exact=True)
    assert source.counts == Counts(received=25_000, emitted=25_000, rejected=0)


def test_rows_are_in_order_of_partition_and_offset_and_say_where_they_are_from(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic(partitions=3)
    values = encode_json(to_table(ticks(30)))
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
    good = encode_json(to_table(ticks(6)))
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
    pd.testing.assert_frame_equal(pd.concat(received, ignore_index=True), ticks(6), check_exact=True)
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
    produce(kafka_broker, topic, [*encode_json(to_table(ticks(3))), b"{oops"])
    source = Stream.from_kafka_frames(topic, {"bootstrap.servers": kafka_broker}, schema=SCHEMA, group=topic)
    source.sink(lambda _: None)
    source.start()
    with pytest.raises(LiveError, match=rf"topic {topic}, partition 0, offset 3: not a JSON object"):
        source.wait(SECONDS)
    assert committed(kafka_broker, topic, topic) == {}


def test_a_node_can_put_rows_aside(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(partitions=2), kafka_topic()
    values = encode_json(to_table(ticks(10)))
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
    pd.testing.assert_frame_equal(received[0], ticks(100).iloc[[42]].reset_index(drop=True), check_exact=True)


@pytest.mark.parametrize("kind", ["map", "sink", "awaited"])
def test_an_error_in_a_node_reaches_the_caller_and_nothing_is_committed(
    kafka_broker: str, kafka_topic: Topic, kind: str
) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(to_table(ticks(10)))))
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
    produce(kafka_broker, topic, list(encode_json(to_table(ticks(1)))))
    config = {"bootstrap.servers": kafka_broker}
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic)
    source.map(lambda frame: frame.assign(symbol="x" * 2_000_000)).to_kafka_frames(target, config)
    source.start()
    with pytest.raises(LiveError, match="too large"):
        source.wait(SECONDS)
    assert committed(kafka_broker, topic, topic) == {}


def test_offsets_are_committed_after_the_sinks_and_reading_goes_on_there(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(to_table(ticks(100)))))
    config = {"bootstrap.servers": kafka_broker, "auto.commit.interval.ms": 10}
    first = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, batch_size=30)
    reached, entered = threading.Event(), []

    async def hang_on_the_second(frame: pd.DataFrame) -> None:
        entered.append(frame)
        if len(entered) == 2:
            reached.set()
            await asyncio.Event().wait()

    first.sink(hang_on_the_second)
    first.start()
    assert reached.wait(SECONDS)
    first.stop()
    assert first.wait(SECONDS)  # it does not wait for the sink
    assert committed(kafka_broker, topic, topic) == {0: 30}

    second = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, until="latest")
    received = second.sink_to_list()
    second.start()
    assert second.wait(SECONDS)
    pd.testing.assert_frame_equal(
        pd.concat(received, ignore_index=True), ticks(100).iloc[30:].reset_index(drop=True), check_exact=True
    )
    assert committed(kafka_broker, topic, topic) == {0: 100}


def test_a_slow_sink_holds_the_consumer_back_and_keeps_its_place_in_the_group(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(to_table(ticks(1_000)))))
    # The sink takes longer than the group would wait for a silent consumer.
    config = {"bootstrap.servers": kafka_broker, "max.poll.interval.ms": 6000, "session.timeout.ms": 6000}
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, batch_size=100, until="latest")
    gate, entered = threading.Event(), threading.Event()
    received: list[pd.DataFrame] = []

    async def wait_at_the_gate(frame: pd.DataFrame) -> None:
        entered.set()
        while not gate.is_set():
            await asyncio.sleep(0.01)
        received.append(frame)

    fast = source.sink_to_list()
    source.sink(wait_at_the_gate)
    source.start()
    assert entered.wait(SECONDS)
    held_since = time.monotonic()
    admin = AdminClient({"bootstrap.servers": kafka_broker})
    while time.monotonic() - held_since < 8:
        (group,) = (future.result() for future in admin.describe_consumer_groups([topic]).values())
        assert len(group.members) == 1
        assert source.counts.received == 100
        assert len(fast) == 1
    gate.set()
    assert source.wait(SECONDS)
    # Nobody was thrown out and nothing was read twice.
    pd.testing.assert_frame_equal(pd.concat(received, ignore_index=True), ticks(1_000), check_exact=True)


def test_two_sources_of_a_group_share_the_partitions(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic(partitions=2)
    values = encode_json(to_table(ticks(2_000)))
    config = {"bootstrap.servers": kafka_broker, "heartbeat.interval.ms": 300}
    sources = [Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, batch_size=50) for _ in range(2)]
    received = [source.sink_to_list() for source in sources]
    for source in sources:
        source.start()
    deadline = time.monotonic() + SECONDS
    while [len(source.lag) for source in sources] != [1, 1]:
        assert time.monotonic() < deadline, [source.lag for source in sources]
        time.sleep(0.01)
    for partition in (0, 1):
        produce(kafka_broker, topic, list(values[partition::2]), partition)
    while sum(source.counts.emitted for source in sources) < 2_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for source in sources:
        source.stop()
    assert all(source.wait(SECONDS) for source in sources)
    assert [sum(map(len, frames)) for frames in received] == [1_000, 1_000]
    rows = pd.concat([frame for frames in received for frame in frames]).sort_values("id", ignore_index=True)
    pd.testing.assert_frame_equal(rows, ticks(2_000), check_exact=True)


def test_lag_counts_what_is_still_to_come(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(to_table(ticks(100)))))
    source = Stream.from_kafka_frames(
        topic, {"bootstrap.servers": kafka_broker}, schema=SCHEMA, group=topic, batch_size=10, until="latest"
    )
    lags: list[int] = []
    source.sink(lambda _: lags.append(source.lag.get(0, 100)))
    source.start()
    assert source.wait(SECONDS)
    assert lags == [100, *range(90, 0, -10)]
    assert source.rate > 0


def test_aborted_transactions_are_not_read_and_gaps_do_not_keep_it_from_the_end(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic()
    values = encode_json(to_table(ticks(6)))
    producer = Producer({"bootstrap.servers": kafka_broker, "transactional.id": topic})
    producer.init_transactions(SECONDS)
    for number, keep in enumerate([True, False, True]):
        producer.begin_transaction()
        for value in values[2 * number : 2 * number + 2]:
            producer.produce(topic, value)
        if keep:
            producer.commit_transaction(SECONDS)
        else:
            producer.abort_transaction(SECONDS)
    source = Stream.from_kafka_frames(
        topic, {"bootstrap.servers": kafka_broker}, schema=SCHEMA, group=topic, until="latest"
    )
    received = source.sink_to_list()
    source.start()
    assert source.wait(SECONDS)
    pd.testing.assert_frame_equal(
        pd.concat(received, ignore_index=True), ticks(6).drop([2, 3]).reset_index(drop=True), check_exact=True
    )


def test_offsets_whose_records_have_expired_are_an_error(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(to_table(ticks(10)))))
    config = {"bootstrap.servers": kafka_broker}
    consumer = Consumer({**config, "group.id": topic})
    consumer.commit(offsets=[TopicPartition(topic, 0, 2)], asynchronous=False)
    consumer.close()
    admin = AdminClient(config)
    for deleted in admin.delete_records([TopicPartition(topic, 0, 5)]).values():
        deleted.result(timeout=SECONDS)
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, until="latest")
    source.sink(lambda _: None)
    source.start()
    with pytest.raises(LiveError, match=rf"topic '{topic}', partition 0: .*offset"):
        source.wait(SECONDS)


def test_a_group_may_start_at_the_end(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(to_table(ticks(10)))))
    config = {"bootstrap.servers": kafka_broker, "auto.offset.reset": "latest"}
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, until="latest")
    received = source.sink_to_list()
    source.start()
    assert source.wait(SECONDS)
    assert received == []


def test_a_topic_that_does_not_exist_is_an_error(kafka_broker: str) -> None:
    source = Stream.from_kafka_frames("no-such-topic", {"bootstrap.servers": kafka_broker}, schema=SCHEMA, group="g")
    source.start()
    with pytest.raises(LiveError, match="topic 'no-such-topic'"):
        source.wait(SECONDS)


def test_a_source_can_be_started_again(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    config = {"bootstrap.servers": kafka_broker}
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, until="latest")
    received = source.sink_to_list()
    for part in (ticks(10).iloc[:4], ticks(10).iloc[4:]):
        produce(kafka_broker, topic, list(encode_json(to_table(part))))
        source.start()
        source.start()  # which changes nothing
        assert source.wait(SECONDS)
    pd.testing.assert_frame_equal(pd.concat(received, ignore_index=True), ticks(10), check_exact=True)


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
