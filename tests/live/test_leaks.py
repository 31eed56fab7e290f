"""Sources that are made and dropped leave nothing behind: no thread, no file."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

from streamz import Stream

from tests.live.topics import SCHEMA, SECONDS, Topic, produce, ticks
from tests.live.workers import features, put

ROUNDS = 40
FIRST_ROUNDS = 5  # in which what is made once for all is made


def test_rounds_of_sources_leave_threads_and_files_as_they_were(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, target, dead = kafka_topic(partitions=2), kafka_topic(), kafka_topic()
    put(kafka_broker, topic, ticks(100), 2)
    produce(kafka_broker, topic, [b"{oops"])
    threads, tasks, files = [], [], []
    for number in range(ROUNDS):
        source = Stream.from_kafka_frames(
            topic,
            {"bootstrap.servers": kafka_broker},
            schema=SCHEMA,
            group=f"{topic}-{number}",
            dead_letter_topic=dead,
            until="latest",
        )
        enriched = features().live(source)
        enriched.to_kafka_frames(target, {"bootstrap.servers": kafka_broker}, key="symbol")
        received = enriched.sink_to_list()
        source.start()
        assert source.wait(SECONDS)
        assert sum(map(len, received)) == 100
        del source, enriched, received
        gc.collect()
        threads.append(len(threading.enumerate()))
        tasks.append(len(list(Path("/proc/self/task").iterdir())))
        files.append(len(os.listdir("/proc/self/fd")))
    for counts in (threads, tasks, files):
        # What ends by itself may still be there for a moment; what leaks is there at the end.
        assert min(counts[-FIRST_ROUNDS:]) <= counts[FIRST_ROUNDS], counts
