"""The broker that the other tests rest on is a real one."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from tests.kafka import KafkaBroker, create_topic


def test_topics_have_the_partitions_asked_for(kafka_broker: str, kafka_topic: Callable[..., str]) -> None:
    topic = kafka_topic(partitions=3)
    metadata = AdminClient({"bootstrap.servers": kafka_broker}).list_topics(topic, timeout=10)
    assert sorted(metadata.topics[topic].partitions) == [0, 1, 2]


def test_a_killed_broker_comes_back_with_its_data(private_broker: KafkaBroker) -> None:
    topic = create_topic(private_broker.bootstrap_servers)
    producer = Producer({"bootstrap.servers": private_broker.bootstrap_servers})
    producer.produce(topic, b"kept")
    assert producer.flush(10) == 0
    private_broker.kill()
    private_broker.start()
    consumer = Consumer(
        {
            "bootstrap.servers": private_broker.bootstrap_servers,
            "group.id": "test",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.value() == b"kept"
