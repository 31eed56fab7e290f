"""A broker that dies in mid-stream: nothing is lost, and an absent one is an error."""

from __future__ import annotations

import threading

import pandas as pd
import pytest
from streamz import Stream

import fintech_toolkit.live  # noqa: F401  # registers the nodes
from fintech_toolkit.live import Counts, LiveError
from tests.frames import same
from tests.kafka import KafkaBroker, create_topic
from tests.live.topics import SCHEMA, SECONDS, ticks, wait_until


def test_a_broker_killed_in_mid_stream_loses_nothing(private_broker: KafkaBroker) -> None:
    # A session so short that the consumer loses its place in the group as well.
    config = {"bootstrap.servers": private_broker.bootstrap_servers, "session.timeout.ms": 6000}
    topic, target = (create_topic(private_broker.bootstrap_servers, partitions=2) for _ in range(2))
    frame = ticks(20_000)
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group="g", batch_size=500)
    source.to_kafka_frames(target, config, key="symbol")
    flowing = threading.Event()
    source.sink(lambda _: source.counts.emitted > 5_000 and flowing.set())
    source.start()

    frames = Stream()
    frames.to_kafka_frames(topic, config, key="symbol")
    producer = threading.Thread(
        target=lambda: [frames.emit(frame.iloc[start : start + 1_000]) for start in range(0, 20_000, 1_000)]
    )
    producer.start()
    assert flowing.wait(SECONDS)
    private_broker.kill()
    private_broker.start()
    producer.join(SECONDS)
    assert not producer.is_alive()

    # What reached the target, from its beginning until all is there: at least once, in order within a symbol.
    check = Stream.from_kafka_frames(target, config, schema=SCHEMA, group="check")
    seen: list[pd.DataFrame] = []
    missing = set(frame["id"])
    complete = threading.Event()

    def tick_off(part: pd.DataFrame) -> None:
        seen.append(part)
        missing.difference_update(part["id"])
        if not missing:
            complete.set()

    check.sink(tick_off)
    check.start()
    assert complete.wait(SECONDS), f"{len(missing)} ticks are missing"
    for stream in (source, check):
        stream.stop()
        assert stream.wait(SECONDS)
    assert source.counts == Counts(received=20_000, emitted=20_000, rejected=0)  # what it had, it did not read again
    received = pd.concat(seen).drop_duplicates("id")
    for symbol, expected in frame.groupby("symbol"):
        mine = received[received["symbol"] == symbol].reset_index(drop=True)
        same(mine, expected.reset_index(drop=True))


def test_stopping_does_not_wait_for_a_broker_that_is_gone(
    private_broker: KafkaBroker, caplog: pytest.LogCaptureFixture
) -> None:
    # Leaving the group would take as long as the session.
    config = {"bootstrap.servers": private_broker.bootstrap_servers, "session.timeout.ms": 2 * SECONDS * 1000}
    topic = create_topic(private_broker.bootstrap_servers)
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group="g")
    source.sink(lambda _: None)
    source.start()
    wait_until(lambda: bool(source.lag))
    private_broker.kill()
    wait_until(lambda: "Connection refused" in caplog.text)
    source.stop()
    assert source.wait(SECONDS)


def test_no_broker_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fintech_toolkit.kafka.source._CONNECT_SECONDS", 1.0)
    config = {"bootstrap.servers": "127.0.0.1:1"}
    source = Stream.from_kafka_frames("topic", config, schema=SCHEMA, group="g")
    source.start()
    with pytest.raises(LiveError, match="did not answer"):
        source.wait(SECONDS)
