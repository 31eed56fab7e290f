"""Partitions that change their owners: members join, leave, freeze and are killed, and brokers too; by value."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamz import Stream

from tests.kafka import KafkaBroker, create_topic
from tests.live.topics import FEATURES, SCHEMA, SECONDS, Topic, committed, ticks, wait_until
from tests.live.workers import Folder, Worker, assert_values, put


class Member:
    """A member of the group in this process, and what it has made."""

    def __init__(self, servers: str, topic: str, member: str = "first", **options: Any) -> None:
        options = {"schema": SCHEMA, "group": topic, "member": member} | options
        self.source = Stream.from_kafka_frames(topic, {"bootstrap.servers": servers}, **options)
        self.enriched = FEATURES.live(self.source)
        self.frames: list[pd.DataFrame] = []
        self.ids: set[int] = set()
        self.enriched.sink(self._keep)

    def _keep(self, frame: pd.DataFrame) -> None:
        self.frames.append(frame)
        self.ids.update(frame["id"].tolist())

    def __enter__(self) -> Member:
        self.source.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.stop()
        self.source.wait(SECONDS)


def test_a_second_member_joins_and_leaves_while_ticks_come(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path
) -> None:
    topic, frame = kafka_topic(partitions=4), ticks(300_000, symbols=40)
    folder, joined, left = Folder(tmp_path), threading.Event(), threading.Event()

    def produce() -> None:
        for start in range(0, 300_000, 10_000):
            if start == 150_000:
                assert joined.wait(SECONDS)
            if start == 250_000:
                assert left.wait(SECONDS)
            put(kafka_broker, topic, frame.iloc[start : start + 10_000], 4)

    producer = threading.Thread(target=produce)
    with Member(kafka_broker, topic, replay=True) as first:
        producer.start()
        wait_until(lambda: first.source.counts.emitted > 20_000)
        second = Worker(tmp_path, servers=kafka_broker, topic=topic, member="second", replay=True)
        wait_until(lambda: len(first.source.lag) == 2, lambda: second.error)
        joined.set()
        wait_until(lambda: len(folder.ids()) > 10_000, lambda: second.error)
        assert second.end() == 0, second.error
        left.set()
        producer.join(SECONDS)
        wait_until(lambda: len(first.ids | folder.ids()) == 300_000, lambda: first.source.health)
    assert_values(pd.concat([*first.frames, folder.rows()]), FEATURES(frame))


def test_without_a_state_the_second_member_stops_and_the_first_goes_on(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path
) -> None:
    topic, frame = kafka_topic(partitions=4), ticks(20_000, symbols=40)
    with Member(kafka_broker, topic) as first:
        put(kafka_broker, topic, frame.iloc[:10_000], 4)
        wait_until(lambda: sum(committed(kafka_broker, topic, topic).values()) == 10_000)
        second = Worker(tmp_path, servers=kafka_broker, topic=topic, member="second")
        assert second.process.wait(SECONDS) == 1
        assert "StateError: topic" in second.error
        assert second.end() == 1
        put(kafka_broker, topic, frame.iloc[10_000:], 4)
        wait_until(lambda: len(first.ids) == 20_000, lambda: first.source.health)
    assert not Folder(tmp_path).ids()
    assert_values(pd.concat(first.frames), FEATURES(frame))


# Of a worker, at random moments, for each way to go on; KILLS=100 python -m pytest … tries harder.
KILLS = int(os.environ.get("KILLS", "5"))


@pytest.mark.parametrize("form", ["state", "replay"])
def test_a_worker_killed_at_random_moments_gives_the_values_of_the_batch(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path, form: str
) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(10_000 * (KILLS + 1), symbols=20)
    rng = np.random.default_rng(8)
    options: dict[str, Any] = {"servers": kafka_broker, "topic": topic, "member": "worker", "batch_size": 1_000}
    options |= {"replay": True} | ({"state": str(tmp_path / "state.parquet")} if form == "state" else {})
    times = []
    for start in range(0, len(frame), 10_000):
        put(kafka_broker, topic, frame.iloc[start : start + 5_000], 2)
        worker = Worker(tmp_path, **options)
        times.append(worker.first_frame())
        producer = threading.Thread(
            target=put, args=(kafka_broker, topic, frame.iloc[start + 5_000 : start + 10_000], 2)
        )
        producer.start()
        if start < len(frame) - 10_000:
            moment = time.monotonic() + rng.uniform(0, 0.5)
            wait_until(lambda: time.monotonic() > moment)  # noqa: B023
            worker.end(signal.SIGKILL)
        producer.join(SECONDS)
    folder = Folder(tmp_path)
    wait_until(lambda: len(folder.ids()) == len(frame), lambda: worker.error)
    assert worker.end() == 0, worker.error
    said = ", ".join(f"{imports:.1f} + {live:.1f}" for imports, live in times)
    print(f"{form}: seconds from a start to the source, and from there to the first frame: {said}")
    assert max(live for _, live in times) < 10
    assert_values(folder.rows(), FEATURES(frame))


def test_a_member_frozen_past_its_session_gives_no_wrong_value_and_holds_nobody_up(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path
) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(30_000, symbols=20)
    put(kafka_broker, topic, frame.iloc[:10_000], 2)
    folder = Folder(tmp_path)
    frozen = Worker(
        tmp_path, servers=kafka_broker, topic=topic, member="frozen", replay=True, batch_size=500,
        settings={"max.poll.interval.ms": 6_000},
    )  # fmt: skip
    frozen.first_frame()
    frozen.send(signal.SIGSTOP)
    with Member(kafka_broker, topic, "second", replay=True) as second:
        put(kafka_broker, topic, frame.iloc[10_000:20_000], 2)
        wait_until(lambda: len(second.source.lag) == 2 and second.source.lag == {0: 0, 1: 0})
        frozen.send(signal.SIGCONT)
        put(kafka_broker, topic, frame.iloc[20_000:], 2)
        woken = time.monotonic()
        wait_until(lambda: len(second.ids | folder.ids()) == 30_000, lambda: second.source.health, 30)
        wait_until(lambda: len(second.source.lag) == 1, lambda: frozen.error, 30)  # it has its share again
        print(f"after it was woken, all was there within {time.monotonic() - woken:.1f} s")
        assert frozen.end() == 0, frozen.error
    assert_values(pd.concat([*second.frames, folder.rows()]), FEATURES(frame))


def test_a_member_whose_name_another_took_while_it_was_frozen_stops_and_says_so(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path
) -> None:
    """Before its session has run out, however slow the machine: after that it would join again, and the other stop."""
    topic, frame, folder = kafka_topic(partitions=2), ticks(9_000, symbols=20), Folder(tmp_path)
    options: dict[str, Any] = {"servers": kafka_broker, "topic": topic, "member": "same", "replay": True}
    options["settings"] = {"session.timeout.ms": 120_000}
    put(kafka_broker, topic, frame.iloc[:3_000], 2)
    frozen = Worker(tmp_path, **options)
    frozen.first_frame()
    frozen.send(signal.SIGSTOP)
    other = Worker(tmp_path, **options)
    put(kafka_broker, topic, frame.iloc[3_000:6_000], 2)
    wait_until(lambda: len(folder.ids()) == 6_000, lambda: other.error)
    frozen.send(signal.SIGCONT)
    assert frozen.process.wait(SECONDS) == 1
    assert "another consumer of group" in frozen.error
    assert frozen.end() == 1
    put(kafka_broker, topic, frame.iloc[6_000:], 2)
    wait_until(lambda: len(folder.ids()) == 9_000, lambda: other.error)
    assert other.end() == 0, other.error
    assert_values(folder.rows(), FEATURES(frame))


def test_partitions_that_went_while_a_sink_was_slow_are_read_when_they_come_back(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(3_000, symbols=20)
    gate, entered = threading.Event(), threading.Event()

    async def wait_at_the_gate(_: pd.DataFrame) -> None:
        entered.set()
        while not gate.is_set():
            await asyncio.sleep(0.01)

    put(kafka_broker, topic, frame.iloc[:1_000], 2)
    first = Member(kafka_broker, topic, batch_size=100)
    first.enriched.sink(wait_at_the_gate)
    with first:
        assert entered.wait(SECONDS)
        with Member(kafka_broker, topic, "second", replay=True) as second:
            wait_until(lambda: len(second.source.lag) == 1)
            gate.set()
            put(kafka_broker, topic, frame.iloc[1_000:2_000], 2)
            wait_until(lambda: len(first.ids | second.ids) == 2_000)
        put(kafka_broker, topic, frame.iloc[2_000:], 2)
        wait_until(lambda: len(first.ids | second.ids) == 3_000, lambda: first.source.health, 30)
    assert_values(pd.concat([*first.frames, *second.frames]), FEATURES(frame))


def test_a_broker_that_is_killed_and_started_again_changes_no_value(private_broker: KafkaBroker) -> None:
    servers = private_broker.bootstrap_servers
    topic, frame = create_topic(servers, partitions=2), ticks(20_000, symbols=20)
    producer = threading.Thread(
        target=lambda: [put(servers, topic, frame.iloc[at : at + 1_000], 2) for at in range(0, 20_000, 1_000)]
    )
    with Member(servers, topic, batch_size=200) as member:
        producer.start()
        wait_until(lambda: member.source.counts.emitted > 5_000)
        private_broker.kill()
        private_broker.start()
        producer.join(2 * SECONDS)
        wait_until(lambda: len(member.ids) == 20_000, lambda: member.source.health)
    assert_values(pd.concat(member.frames), FEATURES(frame))
