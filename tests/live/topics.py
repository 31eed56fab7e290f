"""What the tests of live feeds share: ticks, and topics written and read without the toolkit."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

import fintech_toolkit.live  # noqa: F401  # registers the nodes
from tests import frames

SCHEMA = {"symbol": "str", "ts": "datetime64[ns, UTC]", "bid": "float64", "id": "int64"}
FEATURES = frames.features(ask="bid")
SECONDS = 60  # no test waits this long unless it fails

Topic = Callable[..., str]


def ticks(rows: int, symbols: int = 7) -> pd.DataFrame:
    """Ticks of interleaved symbols whose ids say their order, in the columns of the schema."""
    frame = frames.ticks(rows, symbols, seed=rows, instants=1_000 * rows, step="1ns")
    return frame[list(SCHEMA)].reset_index(drop=True)


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
    try:
        while len(messages) < count:
            message = consumer.poll(SECONDS)
            assert message is not None, f"{len(messages)} of {count} messages"
            assert message.error() is None
            messages.append(message)
    finally:
        consumer.close()  # or the next who looks waits for this one to leave the group
    return messages


def committed(servers: str, group: str, topic: str) -> dict[int, int]:
    """The offsets that a group has committed."""
    request = [ConsumerGroupTopicPartitions(group)]
    admin = AdminClient({"bootstrap.servers": servers})
    (future,) = admin.list_consumer_group_offsets(request).values()
    found = future.result(timeout=SECONDS).topic_partitions
    return {entry.partition: entry.offset for entry in found if entry.topic == topic and entry.offset >= 0}


def ends(servers: str, topic: str) -> dict[tuple[str, int], int]:
    """Where each partition of a topic ends that holds records, as the broker says it."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "ends"})
    found = {}
    for number in consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=SECONDS)
        if end:
            found[topic, number] = end
    consumer.close()
    return found


def wait_until(condition: Callable[[], bool], what: Callable[[], Any] = lambda: "", seconds: float = SECONDS) -> None:
    """Return once the condition holds, or fail and say what there is instead."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)


def held() -> tuple[int, int]:
    """Threads and open files of this process."""
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def held_when_settled() -> tuple[int, int]:
    """The same, once what earlier tests left has ended."""
    looks = [held()]

    def settled() -> bool:
        looks.append(held())
        return len(looks) > 50 and len(set(looks[-50:])) == 1

    gc.collect()
    wait_until(settled)
    return looks[-1]


def by_symbol(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("symbol", kind="stable").reset_index(drop=True)
