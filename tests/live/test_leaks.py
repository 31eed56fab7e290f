"""Sources that are made and dropped leave nothing behind: no thread, no file."""

from __future__ import annotations

import gc
from typing import Any

import pandas as pd
from streamz import Stream

from tests.live.topics import FEATURES, SCHEMA, SECONDS, Topic, held, held_when_settled, produce, ticks, wait_until
from tests.live.workers import put

ROUNDS, SOURCES = 9, 5
FIRST_ROUNDS = 2  # in which what is made once for all is made


def test_rounds_of_sources_leave_no_threads_and_files_behind(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, target, dead = kafka_topic(partitions=2), kafka_topic(), kafka_topic()
    put(kafka_broker, topic, ticks(100), 2)
    produce(kafka_broker, topic, [b"{oops"])

    def use(group: str) -> tuple[Any, list[pd.DataFrame]]:
        source = Stream.from_kafka_frames(
            topic,
            {"bootstrap.servers": kafka_broker},
            schema=SCHEMA,
            group=group,
            dead_letter_topic=dead,
            until="latest",
        )
        enriched = FEATURES.live(source)
        enriched.to_kafka_frames(target, {"bootstrap.servers": kafka_broker}, key="symbol")
        received = enriched.sink_to_list()
        source.start()
        return source, received

    before: tuple[int, int] | None = None
    for number in range(ROUNDS):
        used = [use(f"{topic}-{number}-{which}") for which in range(SOURCES)]
        for source, received in used:
            assert source.wait(SECONDS)
            assert sum(map(len, received)) == 100
        del used, source, received
        gc.collect()
        if number + 1 == FIRST_ROUNDS:
            before = held_when_settled()
        if before is not None:  # what ends by itself may take a moment, also what an earlier test left behind
            wait_until(lambda: all(now <= then for now, then in zip(held(), before, strict=True)), held)  # noqa: B023
    assert before is not None
