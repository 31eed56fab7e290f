"""After the error or the end, and before the beginning: nothing hangs, nothing vanishes, and it says why."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from distributed.utils import sync
from streamz import Stream

import fintech_toolkit.live  # noqa: F401  # registers the nodes
from fintech_toolkit.kafka.codecs import ArrowDecoder, encode_arrow, encode_json
from fintech_toolkit.kafka.message_schema import arrow_table, message_schema, to_frame
from fintech_toolkit.live import LiveError
from tests.frames import same
from tests.kafka import create_topic
from tests.live.topics import SCHEMA, SECONDS, Topic, committed, consume_all, produce, ticks, wait_until

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "delivery.timeout.ms": 1_000, "log_level": 0}


def put(servers: str, topic: str, frame: pd.DataFrame) -> None:
    produce(servers, topic, list(encode_json(arrow_table(frame))))


def reader(servers: str, topic: str, **options: Any) -> Any:
    return Stream.from_kafka_frames(topic, {"bootstrap.servers": servers}, schema=SCHEMA, group=topic, **options)


def test_stop_then_start_at_once_goes_on_where_it_stood(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, frame = kafka_topic(), ticks(40)
    source = reader(kafka_broker, topic)
    received = source.sink_to_list()
    assert source.health.status == "not started"
    for number in range(4):
        put(kafka_broker, topic, frame.iloc[10 * number : 10 * number + 10])
        source.start()
        source.start()
        wait_until(lambda: sum(map(len, received)) >= 10 * number + 10)  # noqa: B023
        wait_until(lambda: source.health.status == "running")
        source.stop()
        assert source.health.status == "stopped"
    assert source.wait(SECONDS)
    same(pd.concat(received, ignore_index=True), frame)
    assert committed(kafka_broker, topic, topic) == {0: 40}


def test_after_a_sinks_error_it_says_why_and_starts_again(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, frame = kafka_topic(), ticks(10)
    put(kafka_broker, topic, frame)
    source = reader(kafka_broker, topic, until="latest")
    broken, received = [True], []

    def sink(part: pd.DataFrame) -> None:
        if broken:
            raise ZeroDivisionError("the sink is broken")
        received.append(part)

    source.sink(sink)
    source.start()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="the sink is broken"):
            source.wait(SECONDS)
    assert source.health.status == "died: ZeroDivisionError: the sink is broken"
    assert committed(kafka_broker, topic, topic) == {}
    broken.clear()
    source.start()
    assert source.wait(SECONDS)
    assert source.health.status == "stopped"
    same(pd.concat(received, ignore_index=True), frame)
    assert committed(kafka_broker, topic, topic) == {0: 10}


def test_it_waits_for_its_topic(kafka_broker: str) -> None:
    topic = f"late-{time.time_ns()}"
    source = reader(kafka_broker, topic, wait_for_topic="1min")
    received = source.sink_to_list()
    source.start()
    wait_until(lambda: source.health.status == f"waiting for topic {topic!r}")
    create_topic(kafka_broker, name=topic)
    put(kafka_broker, topic, ticks(10))
    wait_until(lambda: sum(map(len, received)) == 10)
    assert source.health.status == "running"
    source.stop()
    assert source.wait(SECONDS)


def test_a_topic_that_does_not_come_is_named_and_so_is_the_broker(kafka_broker: str) -> None:
    source = reader(kafka_broker, "never-made", wait_for_topic=0.3)
    began = time.monotonic()
    source.start()
    with pytest.raises(LiveError, match=rf"'never-made' at {kafka_broker}: .*waited 0.3 s"):
        source.wait(SECONDS)
    assert time.monotonic() - began >= 0.3
    assert source.health.status.startswith("died: LiveError: topic 'never-made'")


def test_while_it_waits_for_a_topic_it_can_be_stopped(kafka_broker: str) -> None:
    source = reader(kafka_broker, "never-made", wait_for_topic=float("inf"))
    source.start()
    wait_until(lambda: source.health.status == "waiting for topic 'never-made'")
    source.stop()
    assert source.wait(SECONDS)


def test_every_emit_into_a_sink_without_a_broker_raises() -> None:
    frames = Stream()
    frames.to_kafka_frames("nowhere", NOWHERE)
    for _ in range(2):
        with pytest.raises(LiveError, match=r"topic 'nowhere' at 127.0.0.1:1: .*timed out"):
            frames.emit(ticks(1))


def test_after_a_frame_that_kafka_refused_the_next_is_written(kafka_broker: str) -> None:
    topic = f"small-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": kafka_broker})
    for made in admin.create_topics([NewTopic(topic, 1, config={"max.message.bytes": "500"})]).values():
        made.result(timeout=SECONDS)
    frames = Stream()
    frames.to_kafka_frames(topic, {"bootstrap.servers": kafka_broker})
    with pytest.raises(LiveError, match="too large"):
        frames.emit(ticks(1).assign(symbol="x" * 1_000))
    frames.emit(ticks(1))
    (message,) = consume_all(kafka_broker, topic, 1)
    assert message.value() == encode_json(arrow_table(ticks(1)))[0]


def test_a_source_whose_sink_has_no_broker_stops_and_commits_nothing(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    put(kafka_broker, topic, ticks(10))
    source = reader(kafka_broker, topic)
    source.to_kafka_frames("nowhere", NOWHERE)
    source.start()
    with pytest.raises(LiveError, match=r"topic 'nowhere' at 127.0.0.1:1"):
        source.wait(SECONDS)
    assert committed(kafka_broker, topic, topic) == {}


def test_nothing_is_committed_before_its_dead_letters_are_delivered(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(), f"dead-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": kafka_broker})
    for made in admin.create_topics([NewTopic(dead, 1, config={"max.message.bytes": "100"})]).values():
        made.result(timeout=SECONDS)
    produce(kafka_broker, topic, [*encode_json(arrow_table(ticks(3))), b"x" * 1_000])
    source = reader(kafka_broker, topic, dead_letter_topic=dead, until="latest")
    received = source.sink_to_list()
    source.start()
    with pytest.raises(LiveError, match=rf"topic '{dead}'.*too large"):
        source.wait(SECONDS)
    assert sum(map(len, received)) == 3
    assert committed(kafka_broker, topic, topic) == {}


def test_a_slow_first_frame_is_not_overtaken(
    kafka_broker: str, kafka_topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fintech_toolkit.kafka.sinks.BATCH", 50)
    topic, frame = kafka_topic(), ticks(1_000, symbols=1)
    sink = Stream().to_kafka_frames(topic, {"bootstrap.servers": kafka_broker}, key="symbol")

    async def both() -> None:  # as two parts of a program do that do not wait for each other
        await asyncio.gather(sink.update(frame.iloc[:900]), sink.update(frame.iloc[900:]))

    sync(sink.loop, both)
    values = [message.value() for message in consume_all(kafka_broker, topic, 1_000)]
    assert values == list(encode_json(arrow_table(frame)))


def arrow(frame: pd.DataFrame) -> bytes:
    (message,) = encode_arrow(arrow_table(frame))
    return message


def test_arrow_messages_of_one_batch_may_differ_in_their_schemas_and_be_empty() -> None:
    frame = ticks(9)
    empty = pa.BufferOutputStream()
    with pa.ipc.new_stream(empty, arrow_table(frame).schema) as writer:
        writer.write_table(arrow_table(frame.iloc[:0]))
    values = [
        arrow(frame.iloc[:2]),
        empty.getvalue().to_pybytes(),
        arrow(frame.iloc[2:5].astype({"symbol": "category"})[["id", "bid", "ts", "symbol"]]),
        arrow(frame.iloc[5:6].drop(columns="bid")),
        None,
        arrow(frame.iloc[6:8].assign(more="x", id=lambda rows: rows["id"].astype("uint64"))),
        b"not Arrow",
        arrow(frame.iloc[8:]),
    ]
    decoded = ArrowDecoder(message_schema(SCHEMA)).decode(values)
    expected = frame.drop(5).reset_index(drop=True)
    same(to_frame(decoded.table), expected)
    np.testing.assert_array_equal(decoded.message, [0, 0, 2, 2, 2, 5, 5, 7])
    assert [position for position, _ in decoded.rejected] == [3, 4, 6]


def test_a_row_of_the_second_arrow_message_is_put_aside_as_that(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(), kafka_topic()
    frame = ticks(30, symbols=1)
    disordered = [*range(10, 15), 12, *range(15, 20)]  # a row of the second message goes backwards
    produce(kafka_broker, topic, [arrow(frame.iloc[:10]), arrow(frame.iloc[disordered]), arrow(frame.iloc[20:])])
    source = reader(kafka_broker, topic, format="arrow", dead_letter_topic=dead, until="latest")
    import fintech_toolkit as ft

    table = ft.Pipeline(ft.ewma("bid", halflife=5)).live(source).to_table()
    source.start()
    assert source.wait(SECONDS)
    np.testing.assert_array_equal(table.snapshot()["id"], frame["id"])
    (letter,) = consume_all(kafka_broker, dead, 1)
    headers = dict(letter.headers() or [])
    assert (headers["offset"], headers["row"]) == (b"1", b"5")
    refused = to_frame(ArrowDecoder(message_schema(SCHEMA)).decode([letter.value()]).table)
    same(refused, frame.iloc[[12]].reset_index(drop=True))
    assert (source.counts.received, source.counts.emitted, source.counts.rejected) == (31, 30, 1)
