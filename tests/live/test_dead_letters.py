"""Dead letters: always there, with where they are from and why, however large the record was."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient, NewTopic

from fintech_toolkit.kafka.codecs import encode_arrow
from fintech_toolkit.kafka.dead_letters import DeadLetters
from fintech_toolkit.kafka.records import Record, Records
from fintech_toolkit.live import KafkaConfig, LiveError
from tests.live.topics import SECONDS, Topic, consume_all, produce, wait_until
from tests.processes import python

ROOT = Path(__file__).parents[2]


def narrow_topic(servers: str, largest: int) -> str:
    """A topic that takes no batches of more bytes than this."""
    topic = f"narrow-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": servers})
    new = NewTopic(topic, 1, config={"max.message.bytes": str(largest)})
    for made in admin.create_topics([new]).values():
        made.result(timeout=SECONDS)
    return topic


def records(servers: str, topic: str, values: list[bytes | None]) -> list[Message]:
    produce(servers, topic, values)
    return consume_all(servers, topic, len(values))


def record(message: Message) -> Record:
    return Records.of(str(message.topic()), [message])[0]


def headers(letter: Message) -> dict[str, str]:
    return {name: text.decode() for name, text in letter.headers() or []}


def flush(letters: DeadLetters) -> None:
    wait_until(lambda: letters.flush(0.05))


def test_a_letter_larger_than_a_message_may_be_is_cut_to_fit(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(), kafka_topic()
    values = [b"a", b"b" * 1_500, b"c" * 3_000]
    messages = records(kafka_broker, topic, values)
    letters = DeadLetters(dead, KafkaConfig({"bootstrap.servers": kafka_broker, "message.max.bytes": 2_000}))
    for message in messages:
        letters.send(record(message), "too far " * 1_000 if message.value() == b"a" else "why not")
    flush(letters)
    small, fitting, cut = consume_all(kafka_broker, dead, 3)
    assert small.value() == b"a"
    assert headers(small)["reason"] == ("too far " * 125) + "…"
    assert fitting.value() == values[1]
    assert headers(fitting) == {"topic": topic, "partition": "0", "offset": "1", "reason": "why not"}
    assert values[2].startswith(cut.value())
    assert 1_750 < len(cut.value()) < 2_000
    assert cut.key() == b"key"
    assert headers(cut) == {"topic": topic, "partition": "0", "offset": "2", "reason": "why not", "length": "3000"}
    letters.close()


def test_a_letter_that_the_broker_refuses_is_cut_to_fit(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(), narrow_topic(kafka_broker, 1_000)
    # Together they are too large for the broker, and only the last one is by itself.
    values = [b"%d" % number * 300 for number in range(5)] + [b"x" * 10_000]
    messages = records(kafka_broker, topic, values)
    letters = DeadLetters(dead, KafkaConfig({"bootstrap.servers": kafka_broker}))
    for message in messages:
        letters.send(record(message), "why not")
    flush(letters)
    found = {letter.value(): headers(letter) for letter in consume_all(kafka_broker, dead, 6)}
    for number, value in enumerate(values[:5]):
        assert found.pop(value) == {"topic": topic, "partition": "0", "offset": str(number), "reason": "why not"}
    ((value, said),) = found.items()
    assert values[5].startswith(value)
    assert len(value) > 200
    assert said == {"topic": topic, "partition": "0", "offset": "5", "reason": "why not", "length": "10000"}
    letters.send(record(messages[5]), "once more")  # what the broker takes is known by now
    flush(letters)
    (again,) = consume_all(kafka_broker, dead, 1)
    assert len(again.value()) >= len(value) - len("once more")
    letters.close()


def test_a_key_that_leaves_no_room_is_cut_too(kafka_broker: str, kafka_topic: Topic) -> None:
    from confluent_kafka import Producer

    topic, dead = kafka_topic(), kafka_topic()
    producer = Producer({"bootstrap.servers": kafka_broker})
    producer.produce(topic, b"value", b"k" * 5_000)
    assert producer.flush(SECONDS) == 0
    (message,) = consume_all(kafka_broker, topic, 1)
    letters = DeadLetters(dead, KafkaConfig({"bootstrap.servers": kafka_broker, "message.max.bytes": 1_000}))
    letters.send(record(message), "why not")
    flush(letters)
    (letter,) = consume_all(kafka_broker, dead, 1)
    assert 700 < len(letter.key() or b"") < 1_000
    assert set(letter.key() or b"") == set(b"k")
    assert (headers(letter)["length"], headers(letter)["key_length"]) == ("5", "5000")
    letters.close()


def test_a_topic_that_takes_no_letter_at_all_is_an_error(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(), narrow_topic(kafka_broker, 100)
    (message,) = records(kafka_broker, topic, [b"x" * 1_000])
    letters = DeadLetters(dead, KafkaConfig({"bootstrap.servers": kafka_broker}))
    letters.send(record(message), "why not")
    with pytest.raises(LiveError, match=rf"topic '{dead}': a dead letter is too large.*max.message.bytes"):
        flush(letters)
    letters.close()


def test_a_row_of_a_message_and_a_row_of_none_have_values_of_their_own(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(), kafka_topic()
    (message,) = records(kafka_broker, topic, [b"many rows"])
    table = pa.table({"id": [6, 7]})
    (row,) = encode_arrow(table.slice(1, 1))
    letters = DeadLetters(dead, KafkaConfig({"bootstrap.servers": kafka_broker}))
    letters.send(record(message), "not wanted", 3, table.slice(1, 1))
    letters.send_row(topic, 2, 40, "of a window", table, 1)
    flush(letters)
    of_message, of_none = consume_all(kafka_broker, dead, 2)
    assert (of_message.key(), of_message.value()) == (b"key", row)
    assert headers(of_message) == {
        "topic": topic, "partition": "0", "offset": "0", "row": "3", "reason": "not wanted",
    }  # fmt: skip
    assert (of_none.key(), of_none.value()) == (None, row)
    assert headers(of_none) == {"topic": topic, "partition": "2", "offset": "40", "reason": "of a window"}
    letters.close()


def test_without_a_topic_the_caller_gets_the_error_of_a_row_as_well() -> None:
    letters = DeadLetters(None, KafkaConfig({"bootstrap.servers": "127.0.0.1:1"}))
    with pytest.raises(LiveError, match=r"topic t, partition 2, offset 40: of a window; with dead_letter_topic="):
        letters.send_row("t", 2, 40, "of a window", pa.table({"id": [7]}), 0)
    assert letters.flush(0)


ROUNDS = """
import os, sys
from fintech_toolkit.kafka.dead_letters import DeadLetters
from fintech_toolkit.live import KafkaConfig
from tests.live.test_dead_letters import consume_all, flush, record

def held():
    return [len(os.listdir(f"/proc/self/{what}")) for what in ("task", "fd")]

servers, topic, dead = sys.argv[1:]
(message,) = consume_all(servers, topic, 1)
letters, before = DeadLetters(dead, KafkaConfig({"bootstrap.servers": servers})), held()
for _ in range(3):
    letters.send(record(message), "why not")
    flush(letters)
    letters.close()
    letters.close()
    print(held() == before)
"""


def test_closing_frees_what_it_held_and_the_next_letter_goes_out(kafka_broker: str, kafka_topic: Topic) -> None:
    """In a process of its own: here others open and close files too."""
    topic, dead = kafka_topic(), kafka_topic()
    produce(kafka_broker, topic, [b"value"])
    done = python(ROOT, "-c", ROUNDS, kafka_broker, topic, dead)
    assert done.stdout.split() == ["True"] * 3, done.stderr[-3000:]
    assert len(consume_all(kafka_broker, dead, 3)) == 3
