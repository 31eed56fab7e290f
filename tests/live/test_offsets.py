"""Which messages of a real Kafka are read: offsets, groups, gaps, the end of a topic."""

from __future__ import annotations

import asyncio
import threading
import time

import pandas as pd
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from streamz import Stream

import fintech_toolkit.live  # noqa: F401  # registers the nodes
from fintech_toolkit.kafka.codecs import encode_json
from fintech_toolkit.kafka.message_schema import arrow_table
from fintech_toolkit.live import LiveError
from tests.frames import same
from tests.live.topics import SCHEMA, SECONDS, Topic, committed, produce, ticks, wait_until
from tests.live.workers import home, put


def test_offsets_are_committed_after_the_sinks_and_reading_goes_on_there(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(arrow_table(ticks(100)))))
    config = {"bootstrap.servers": kafka_broker}
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
    same(pd.concat(received, ignore_index=True), ticks(100).iloc[30:].reset_index(drop=True))
    assert committed(kafka_broker, topic, topic) == {0: 100}


def test_a_slow_sink_holds_the_consumer_back_and_keeps_its_place_in_the_group(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(arrow_table(ticks(1_000)))))
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
        assert source.counts.received == 0
        assert len(fast) <= 2  # one is with the sink, and one behind it
    gate.set()
    assert source.wait(SECONDS)
    # Nobody was thrown out and nothing was read twice.
    same(pd.concat(received, ignore_index=True), ticks(1_000))


def test_two_sources_of_a_group_share_the_partitions(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic(partitions=2)
    values = encode_json(arrow_table(ticks(2_000)))
    config = {"bootstrap.servers": kafka_broker, "heartbeat.interval.ms": 300}
    sources = [
        Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, batch_size=50, member=member)
        for member in ("first", "second")
    ]
    received = [source.sink_to_list() for source in sources]
    for source in sources:
        source.start()
    wait_until(lambda: [len(source.lag) for source in sources] == [1, 1], lambda: [source.lag for source in sources])
    for partition in (0, 1):
        produce(kafka_broker, topic, list(values[partition::2]), partition)
    wait_until(lambda: sum(source.counts.emitted for source in sources) >= 2_000)
    for source in sources:
        source.stop()
    assert all(source.wait(SECONDS) for source in sources)
    assert [sum(map(len, frames)) for frames in received] == [1_000, 1_000]
    rows = pd.concat([frame for frames in received for frame in frames]).sort_values("id", ignore_index=True)
    same(rows, ticks(2_000))


def test_lag_counts_what_is_still_to_come(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(arrow_table(ticks(100)))))
    source = Stream.from_kafka_frames(
        topic, {"bootstrap.servers": kafka_broker}, schema=SCHEMA, group=topic, batch_size=10, until="latest"
    )
    lags: list[int] = []
    source.sink(lambda _: lags.append(source.lag.get(0, 100)))
    source.start()
    assert source.wait(SECONDS)
    # What is with the sink may be one batch behind what is read.
    assert all(now - 20 <= lag <= now for lag, now in zip(lags, range(100, 0, -10), strict=True)), lags
    assert source.rate > 0


def test_aborted_transactions_are_not_read_and_gaps_do_not_keep_it_from_the_end(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic()
    values = encode_json(arrow_table(ticks(6)))
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
    same(pd.concat(received, ignore_index=True), ticks(6).drop([2, 3]).reset_index(drop=True))


def test_offsets_whose_records_have_expired_are_an_error(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(arrow_table(ticks(10)))))
    config = {"bootstrap.servers": kafka_broker}
    consumer = Consumer({**config, "group.id": topic})
    consumer.commit(offsets=[TopicPartition(topic, 0, 2)], asynchronous=False)
    consumer.close()
    # Deleting records leaks the client, which would go on to say that its broker is gone.
    admin = AdminClient({**config, "log_level": 0})
    for deleted in admin.delete_records([TopicPartition(topic, 0, 5)]).values():
        deleted.result(timeout=SECONDS)
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, until="latest")
    source.sink(lambda _: None)
    source.start()
    with pytest.raises(LiveError, match=rf"topic '{topic}', partition 0: .*offset"):
        source.wait(SECONDS)


def test_a_group_may_start_at_the_end(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, list(encode_json(arrow_table(ticks(10)))))
    config = {"bootstrap.servers": kafka_broker, "auto.offset.reset": "latest"}
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, until="latest")
    received = source.sink_to_list()
    source.start()
    assert source.wait(SECONDS)
    assert received == []


def test_a_topic_that_does_not_exist_is_an_error(kafka_broker: str) -> None:
    config = {"bootstrap.servers": kafka_broker}
    source = Stream.from_kafka_frames("no-such-topic", config, schema=SCHEMA, group="g", wait_for_topic=0)
    source.start()
    with pytest.raises(LiveError, match="topic 'no-such-topic'"):
        source.wait(SECONDS)


def test_a_source_can_be_started_again(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    config = {"bootstrap.servers": kafka_broker}
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, until="latest")
    received = source.sink_to_list()
    for part in (ticks(10).iloc[:4], ticks(10).iloc[4:]):
        produce(kafka_broker, topic, list(encode_json(arrow_table(part))))
        source.start()
        source.start()  # which changes nothing
        assert source.wait(SECONDS)
    same(pd.concat(received, ignore_index=True), ticks(10))


def test_the_watermark_is_the_time_that_the_slowest_partition_has_reached(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic, frame = kafka_topic(partitions=3), ticks(600)
    put(kafka_broker, topic, frame, 3)
    source = Stream.from_kafka_frames(
        topic, {"bootstrap.servers": kafka_broker}, schema=SCHEMA, group=topic, batch_size=50, until="latest"
    )
    assert source.health.watermark is None
    source.sink(lambda _: None)
    source.start()
    source.wait(SECONDS)
    homes = frame["symbol"].map(lambda symbol: home(symbol, 3))
    assert source.health.watermark == frame["ts"].groupby(homes).max().min()
