"""What the tests of values share: ticks by partition, the batch to compare with, and a worker in a process of its own.

As a module it is that worker: it enriches a topic, keeps each frame as a file, and stops in order when it is told to.
"""

from __future__ import annotations

import atexit
import json
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
from confluent_kafka import Producer
from streamz import Stream

from fintech_toolkit.kafka.codecs import encode_json
from fintech_toolkit.kafka.message_schema import arrow_table
from tests.frames import same
from tests.live.topics import FEATURES, SCHEMA, SECONDS

ROOT = Path(__file__).parents[2]


def home(symbol: str, partitions: int) -> int:
    return int(symbol.removeprefix("S")) % partitions


def put(servers: str, topic: str, frame: pd.DataFrame, partitions: int = 1) -> None:
    """Produce ticks, each symbol to its partition, and wait for their delivery."""
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 5})
    for symbol, value in zip(frame["symbol"], encode_json(arrow_table(frame)), strict=True):
        while True:
            try:
                producer.produce(topic, value, key=symbol, partition=home(symbol, partitions))
            except BufferError:
                producer.poll(0.1)
            else:
                break
    assert producer.flush(SECONDS) == 0


def assert_values(received: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Every row is there; at least once, but then with the same numbers; and they are those of the batch."""
    rows = received.drop_duplicates().sort_values("id", ignore_index=True)
    assert not rows["id"].duplicated().any(), rows[rows["id"].duplicated(keep=False)]
    same(rows, expected.reset_index(drop=True))


class Folder:
    """Frames that sinks have taken, one file each: whole or not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: dict[Path, pd.DataFrame] = {}
        self._ids: set[int] = set()

    def keep(self, frame: pd.DataFrame) -> None:
        part = self.path / f"{uuid.uuid4().hex}.part"
        frame.reset_index(drop=True).to_feather(part)
        part.rename(part.with_suffix(".arrow"))

    def rows(self) -> pd.DataFrame:
        self.ids()
        return pd.concat(self._read.values(), ignore_index=True)

    def ids(self) -> set[int]:
        for path in self.path.glob("*.arrow"):
            if path not in self._read:
                self._read[path] = pd.read_feather(path)
                self._ids.update(self._read[path]["id"].tolist())
        return self._ids


class Worker:
    """A worker process; its frames are in a folder, its error in `error`."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.began = time.monotonic()
        self._error_file = folder / f"{uuid.uuid4().hex}.error"
        command = [sys.executable, "-m", "tests.live.workers", json.dumps({"folder": str(folder), **options})]
        with self._error_file.open("wb") as errors:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        atexit.register(self.process.kill)  # a test that fails ends none

    @property
    def error(self) -> str:
        return self._error_file.read_text()

    def first_frame(self) -> tuple[float, float]:
        """Wait for its first frame, and return how many seconds came before its source, and after that."""
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(2)]
        assert all(lines), self.error
        started, first = map(float, lines)
        return started - self.began, first - started

    def send(self, what: signal.Signals) -> None:
        self.process.send_signal(what)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def work(
    folder: str,
    servers: str,
    topic: str,
    member: str,
    state: str | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Enrich a topic until SIGTERM, and save the state now and then."""
    source = Stream.from_kafka_frames(
        topic,
        {"bootstrap.servers": servers, **(settings or {})},
        schema=SCHEMA,
        group=topic,
        member=member,
        **options,
    )
    enriched = FEATURES.live(source, state if state is not None and Path(state).exists() else None)
    frames = Folder(Path(folder))
    said: list[float] = []

    def say_when() -> None:
        said.append(time.monotonic())
        print(said[-1], flush=True)

    def keep(frame: pd.DataFrame) -> None:
        frames.keep(frame)
        if len(said) == 1:
            say_when()

    enriched.sink(keep)
    signal.signal(signal.SIGTERM, lambda *_: source.stop())
    say_when()
    source.start()
    while not source.wait(0.2):
        if state is not None:
            enriched.state.save(state)


if __name__ == "__main__":
    work(**json.loads(sys.argv[1]))
