"""The broker that the other tests rest on is a real one."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka.admin import AdminClient

from tests.live.topics import SECONDS


def test_topics_have_the_partitions_asked_for(kafka_broker: str, kafka_topic: Callable[..., str]) -> None:
    topic = kafka_topic(partitions=3)
    metadata = AdminClient({"bootstrap.servers": kafka_broker}).list_topics(topic, timeout=SECONDS)
    assert sorted(metadata.topics[topic].partitions) == [0, 1, 2]
