"""Values, not offsets: after errors, restarts and gaps a live stream gives the numbers of the batch, or stops."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.errors import StateError
from fintech_toolkit.kafka.codecs import encode_json
from fintech_toolkit.kafka.message_schema import arrow_table
from fintech_toolkit.live import Counts, LiveError
from fintech_toolkit.pipeline import Pipeline
from tests.live.topics import FEATURES, SCHEMA, SECONDS, Topic, committed, consume_all, produce, ticks, wait_until
from tests.live.workers import assert_values, home, put


def reader(servers: str, topic: str, **options: Any) -> Any:
    options = {"batch_size": 70, "until": "latest", "group": topic} | options
    return Stream.from_kafka_frames(topic, {"bootstrap.servers": servers}, schema=SCHEMA, **options)


def run(source: Any) -> None:
    source.start()
    assert source.wait(SECONDS)


def later_ticks() -> pd.DataFrame:
    return ticks(600).assign(ts=lambda f: f["ts"] + pd.Timedelta("1s"), id=lambda f: f["id"] + 600)


def first_half(servers: str, topic: str, path: Path | None = None) -> pd.DataFrame:
    """Enrich the first 300 of 600 ticks in two partitions, save the state, and return what came out."""
    put(servers, topic, ticks(600).iloc[:300], 2)
    source = reader(servers, topic)
    enriched = FEATURES.live(source)
    table = enriched.to_table()
    run(source)
    if path is not None:
        enriched.state.save(path)
    put(servers, topic, ticks(600).iloc[300:], 2)
    return table.snapshot()


@pytest.mark.parametrize("fails_at", [1, 3])
@pytest.mark.parametrize("kind", ["sink", "awaited", "before"])
def test_after_a_sink_that_failed_once_all_values_are_right(
    kafka_broker: str, kafka_topic: Topic, kind: str, fails_at: int
) -> None:
    topic, dead, frame = kafka_topic(partitions=2), kafka_topic(), ticks(300)
    put(kafka_broker, topic, frame, 2)
    source = reader(kafka_broker, topic, dead_letter_topic=dead)
    calls: list[int] = []
    taken: list[pd.DataFrame] = []

    def fail_once(frame: pd.DataFrame) -> pd.DataFrame:
        calls.append(len(frame))
        if len(calls) == fails_at:
            raise ZeroDivisionError("once")
        taken.append(frame)
        return frame

    async def fail_once_later(frame: pd.DataFrame) -> None:
        fail_once(frame)

    enriched = FEATURES.live(source.map(fail_once) if kind == "before" else source)
    table = enriched.to_table()
    if kind != "before":
        enriched.sink(fail_once if kind == "sink" else fail_once_later)
    source.start()
    with pytest.raises(ZeroDivisionError, match="once"):
        source.wait(SECONDS)
    run(source)
    assert_values(table.snapshot(), FEATURES(frame))
    assert_values(pd.concat(taken), frame if kind == "before" else FEATURES(frame))
    assert source.counts == Counts(300, 300, 0)
    odd = int(frame["symbol"].map(lambda symbol: home(symbol, 2)).sum())
    assert committed(kafka_broker, topic, topic) == {0: 300 - odd, 1: odd}


def test_a_start_without_the_state_of_what_was_committed_is_an_error_with_three_ways_out(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic(partitions=2)
    first_half(kafka_broker, topic)
    before = committed(kafka_broker, topic, topic)
    source = reader(kafka_broker, topic)
    received = FEATURES.live(source).sink_to_list()
    source.start()
    with pytest.raises(StateError) as caught:
        source.wait(SECONDS)
    text = str(caught.value)
    assert any(
        f"topic {topic!r}, partition {number}: " in text and f"offset {at}," in text for number, at in before.items()
    )
    assert all(way in text for way in ("state=", "replay=True", "fresh=True"))
    assert source.health.died
    assert received == []
    assert committed(kafka_broker, topic, topic) == before


def test_with_the_state_that_was_saved_at_the_commit_it_goes_on(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path
) -> None:
    topic, path = kafka_topic(partitions=2), tmp_path / "state.parquet"
    first = first_half(kafka_broker, topic, path)
    source = reader(kafka_broker, topic)
    table = FEATURES.live(source, path).to_table()
    run(source)
    assert len(first) + len(table.snapshot()) == 600  # nothing twice
    assert_values(pd.concat([first, table.snapshot()]), FEATURES(ticks(600)))


def test_with_a_state_older_than_the_commit_what_lies_between_is_replayed_and_reaches_no_sink(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path
) -> None:
    topic, path = kafka_topic(partitions=2), tmp_path / "state.parquet"
    received = first_half(kafka_broker, topic, path)
    source = reader(kafka_broker, topic)
    table = FEATURES.live(source, path).to_table()
    run(source)  # and its state is not saved
    received = pd.concat([received, table.snapshot()])
    more = later_ticks()
    put(kafka_broker, topic, more, 2)
    source = reader(kafka_broker, topic)
    table = FEATURES.live(source, path).to_table()
    run(source)
    received = pd.concat([received, table.snapshot()])
    assert len(received) == 1_200
    assert_values(received, FEATURES(pd.concat([ticks(600), more], ignore_index=True)))


def test_with_replay_the_state_is_made_again_and_no_sink_gets_anything_twice(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic(partitions=2)
    first = first_half(kafka_broker, topic)
    source = reader(kafka_broker, topic, replay=True)
    table = FEATURES.live(source).to_table()
    run(source)
    assert len(table.snapshot()) == 300
    assert source.counts == Counts(300, 300, 0)
    assert_values(pd.concat([first, table.snapshot()]), FEATURES(ticks(600)))


def test_fresh_begins_with_no_state_and_a_replay_later_begins_there_too(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic(partitions=2)
    first_half(kafka_broker, topic)
    source = reader(kafka_broker, topic, fresh=True)
    table = FEATURES.live(source).to_table()
    run(source)
    rest = ticks(600).iloc[300:]
    assert_values(table.snapshot(), FEATURES(rest))
    more = later_ticks()
    put(kafka_broker, topic, more, 2)
    source = reader(kafka_broker, topic, replay=True)
    again = FEATURES.live(source).to_table()
    run(source)
    assert_values(pd.concat([table.snapshot(), again.snapshot()]), FEATURES(pd.concat([rest, more])))


def test_a_state_that_was_taken_to_another_group_can_be_made_again_there(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path
) -> None:
    topic, path = kafka_topic(partitions=2), tmp_path / "state.parquet"
    received = [first_half(kafka_broker, topic, path)]
    for options in ({"state": path, "replay": False}, {"state": None, "replay": True}):
        source = reader(kafka_broker, topic, group=f"{topic}-other", replay=options["replay"])
        table = FEATURES.live(source, options["state"]).to_table()
        run(source)
        received.append(table.snapshot())
        if not options["replay"]:
            put(kafka_broker, topic, later_ticks(), 2)
    assert sum(map(len, received)) == 1_200
    assert_values(pd.concat(received), FEATURES(pd.concat([ticks(600), later_ticks()], ignore_index=True)))


def test_the_same_cell_run_twice_stops_the_old_source_and_goes_on_with_its_states(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(600)
    received: list[pd.DataFrame] = []

    def cell() -> Any:
        source = reader(kafka_broker, topic, until=None)
        FEATURES.live(source).sink(received.append)
        return source

    def came(rows: int) -> bool:
        return sum(map(len, received)) >= rows

    old = cell()
    with old:
        put(kafka_broker, topic, frame.iloc[:300], 2)
        wait_until(lambda: came(300))
        with cell() as new:
            assert old.stopped
            assert old.wait(SECONDS)
            put(kafka_broker, topic, frame.iloc[300:], 2)
            wait_until(lambda: came(600) or new.stopped, lambda: new.health)
            assert new.health.status == "running"
    assert new.health.status == "stopped"
    assert old.exception is None
    assert_values(pd.concat(received), FEATURES(frame))


def test_a_source_runs_as_long_as_its_block(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(300)
    source = reader(kafka_broker, topic, until=None)
    enriched = FEATURES.live(source)
    frames = enriched.sink_to_list()
    for part in (frame.iloc[:200], frame.iloc[200:]):
        with source as entered:
            assert entered is source
            put(kafka_broker, topic, part, 2)
            wait_until(lambda: sum(map(len, frames)) == len(part) + (0 if part.index[0] == 0 else 200))  # noqa: B023
            assert source.health.status == "running"
        assert source.health.status == "stopped"
    assert_values(pd.concat(frames), FEATURES(frame))
    broken = FEATURES.live(reader(kafka_broker, topic, member="another"))  # has no state
    with pytest.raises(StateError), broken.upstreams[0]:
        wait_until(lambda: broken.upstreams[0].stopped)


def test_a_pipeline_without_a_memory_needs_no_state(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(600).assign(ask=lambda f: f["bid"] + 1)
    schema = SCHEMA | {"ask": "float64"}
    mid, received = Pipeline(ft.midprice()), []
    for part in (frame.iloc[:300], frame.iloc[300:]):
        put(kafka_broker, topic, part, 2)
        source = Stream.from_kafka_frames(
            topic, {"bootstrap.servers": kafka_broker}, schema=schema, group=topic, until="latest"
        )
        mid.live(source).sink(received.append)
        run(source)
    assert sum(map(len, received)) == 600
    assert_values(pd.concat(received), mid(frame))


def test_a_commit_that_was_lost_is_made_up_for_without_new_data(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, frame = kafka_topic(), ticks(300)
    put(kafka_broker, topic, frame)
    source = reader(kafka_broker, topic)
    received = FEATURES.live(source).sink_to_list()
    run(source)
    admin = AdminClient({"bootstrap.servers": kafka_broker})

    def members() -> int:
        (found,) = admin.describe_consumer_groups([topic]).values()
        return len(found.result(timeout=SECONDS).members)

    wait_until(lambda: members() == 0)  # or the group would not be changed
    lost = ConsumerGroupTopicPartitions(topic, [TopicPartition(topic, 0, 100)])
    for altered in admin.alter_consumer_group_offsets([lost]).values():
        altered.result(timeout=SECONDS)
    assert committed(kafka_broker, topic, topic) == {0: 100}
    run(source)
    assert sum(map(len, received)) == 300
    assert committed(kafka_broker, topic, topic) == {0: 300}


def test_stopping_does_not_wait_for_a_sink_that_hangs(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, entered = kafka_topic(), threading.Event()
    put(kafka_broker, topic, ticks(300))
    source = reader(kafka_broker, topic, until=None)

    async def hang(_: pd.DataFrame) -> None:
        entered.set()
        await asyncio.Event().wait()

    FEATURES.live(source).sink(hang)
    source.start()
    assert entered.wait(SECONDS)
    source.stop()
    assert source.wait(SECONDS)


@pytest.mark.parametrize("way", ["same", "saved", "replay"])
def test_gaps_of_aborted_transactions_do_not_come_between_a_state_and_its_offset(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path, way: str
) -> None:
    topic, frame = kafka_topic(), ticks(300)
    values = encode_json(arrow_table(frame))
    producer = Producer({"bootstrap.servers": kafka_broker, "transactional.id": topic})
    producer.init_transactions(SECONDS)
    path = tmp_path / "state.parquet"
    source = reader(kafka_broker, topic)
    enriched = FEATURES.live(source)
    tables = [enriched.to_table()]
    for part in range(6):  # every second part is taken back and sent again
        for commit in (False, True):
            producer.begin_transaction()
            for value in values[50 * part : 50 * part + 50]:
                producer.produce(topic, value)
            producer.commit_transaction(SECONDS) if commit else producer.abort_transaction(SECONDS)
        if way != "same" and part:
            source = reader(kafka_broker, topic, replay=way == "replay")
            enriched = FEATURES.live(source, path if way == "saved" else None)
            tables.append(enriched.to_table())
        run(source)
        enriched.state.save(path)
    received = pd.concat([table.snapshot() for table in tables])
    assert len(received) == 300
    assert_values(received, FEATURES(frame))


def test_dead_letters_are_delivered_before_the_commit_and_values_after_the_error_are_right(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic, dead, frame = kafka_topic(), f"dead-{kafka_topic()}", ticks(300)
    admin = AdminClient({"bootstrap.servers": kafka_broker})
    for made in admin.create_topics([NewTopic(dead, 1, config={"max.message.bytes": "100"})]).values():
        made.result(timeout=SECONDS)
    values = encode_json(arrow_table(frame))
    produce(kafka_broker, topic, [*values[:100], b"{oops", *values[100:200], b"x" * 1_000, *values[200:]])
    source = reader(kafka_broker, topic, dead_letter_topic=dead, batch_size=50)
    table = FEATURES.live(source).to_table()
    source.start()
    with pytest.raises(LiveError, match=rf"topic '{dead}'.*too large"):
        source.wait(SECONDS)
    assert committed(kafka_broker, topic, topic).get(0, 0) <= 100
    entry = ConfigEntry("max.message.bytes", "100000", incremental_operation=AlterConfigOpType.SET)
    for altered in admin.incremental_alter_configs(
        [ConfigResource("topic", dead, incremental_configs=[entry])]
    ).values():
        altered.result(timeout=SECONDS)
    run(source)
    assert_values(table.snapshot(), FEATURES(frame))
    assert committed(kafka_broker, topic, topic) == {0: 302}
    assert {letter.value() for letter in consume_all(kafka_broker, dead, 2)} == {b"{oops", b"x" * 1_000}


def test_one_time_in_the_far_future_is_rejected_alone(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead, frame = kafka_topic(), kafka_topic(), ticks(300, symbols=2)
    far = frame.iloc[[100]].assign(ts=pd.Timestamp.now("UTC").floor("us") + pd.Timedelta("25h"), id=1)
    put(kafka_broker, topic, pd.concat([frame.iloc[:101], far, frame.iloc[101:]]))
    source = reader(kafka_broker, topic, dead_letter_topic=dead)
    table = FEATURES.live(source).to_table()
    run(source)
    assert_values(table.snapshot(), FEATURES(frame))
    assert source.counts == Counts(301, 300, 1)
    (letter,) = consume_all(kafka_broker, dead, 1)
    headers = dict(letter.headers() or [])
    assert headers["offset"] == b"101"
    assert b"ahead=" in headers["reason"]
