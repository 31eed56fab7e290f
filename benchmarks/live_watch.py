"""What `bench_live` looks through: the processes that it starts, and the topics that they read and write."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from benchmarks.live_processes import PARTITIONS, Settings
from tests.kafka import create_topic

PROCESSES = Path(__file__).with_name("live_processes.py")
PATIENCE = 120.0  # seconds; what takes longer has failed
STILL = 0.3  # seconds without output, after which it is worth counting
NO_LEADER_YET = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}  # of a topic that is new
Message = tuple[bytes, bytes]


class Process:
    """A process of `live_processes`, from its start until it is killed."""

    def __init__(self, process: str, settings: Settings, python: str = sys.executable) -> None:
        self._name = process
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # open for as long as the process runs
        command = [python, str(PROCESSES), process, json.dumps(settings)]
        if setpriv := shutil.which("setpriv"):  # a benchmark that is killed leaves nobody behind
            command = [setpriv, "--pdeathsig", "KILL", *command]
        self._child = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        self._seen = psutil.Process(self._child.pid)

    def cpu(self) -> float:
        """Return the seconds of CPU so far.

        Raises
        ------
        RuntimeError
            If the process has ended, with what it wrote.
        """
        if self._child.poll() is not None:
            raise RuntimeError(f"{self._name} ended by itself: {self._written()}")
        times = self._seen.cpu_times()
        return times.user + times.system

    def result(self) -> str:
        """Return the last line that the process writes, which it does when its work is done."""
        if self._child.wait(PATIENCE):
            raise RuntimeError(f"{self._name} failed: {self._written()}")
        return self._written().splitlines()[-1]

    def _written(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def kill(self) -> None:
        """End the process as a crash does."""
        self._child.kill()
        self._child.wait()
        self._log.close()


@contextmanager
def running(process: str, settings: Settings, python: str = sys.executable) -> Iterator[Process]:
    """Run a process for as long as the block lasts."""
    child = Process(process, settings, python)
    try:
        yield child
    finally:
        child.kill()


class Topic:
    """A topic that is written before, and looked at while a contestant writes it."""

    def __init__(self, servers: str) -> None:
        self.name = create_topic(servers, PARTITIONS, f"bench-{uuid.uuid4().hex[:12]}")
        self._servers = {"bootstrap.servers": servers, "log_level": 0}
        self._admin = AdminClient(self._servers)
        self._latest = {TopicPartition(self.name, number): OffsetSpec.latest() for number in range(PARTITIONS)}

    def ends(self) -> dict[int, int]:
        """Return the end of each partition."""
        while True:
            found = self._admin.list_offsets(self._latest)
            try:
                return {partition.partition: future.result(PATIENCE).offset for partition, future in found.items()}
            except KafkaException as failure:
                if failure.args[0].code() not in NO_LEADER_YET:
                    raise
                time.sleep(0.01)

    def delete(self) -> None:
        """Delete the topic."""
        for deleted in self._admin.delete_topics([self.name]).values():
            deleted.result(PATIENCE)

    def write(self, messages: list[Message]) -> None:
        """Write messages, to be read at once."""
        # Idempotent, as a transaction is: a retry must not change the order.
        idempotent = {"enable.idempotence": True, "queue.buffering.max.messages": 1_000_000}
        self._send(Producer(self._servers | idempotent), messages)

    def hold_back(self, messages: list[Message]) -> Producer:
        """Write messages that appear all at once when the producer that is returned commits."""
        transaction = {"transactional.id": self.name, "transaction.timeout.ms": 600_000}
        producer = Producer(self._servers | transaction | {"queue.buffering.max.messages": 1_000_000})
        producer.init_transactions()
        producer.begin_transaction()
        self._send(producer, messages)
        return producer

    def _send(self, producer: Producer, messages: list[Message]) -> None:
        for start in range(0, len(messages), 20_000):
            some = [{"key": key, "value": value} for key, value in messages[start : start + 20_000]]
            assert producer.produce_batch(self.name, some) == len(some)
            assert producer.flush(PATIENCE) == 0

    def read(self, begin: dict[int, int], end: dict[int, int]) -> list[bytes]:
        """Return the values of the messages from one place to another."""
        consumer = Consumer(self._servers | {"group.id": "reader", "enable.auto.commit": False})
        consumer.assign([TopicPartition(self.name, number, begin[number]) for number in begin if end[number]])
        values: list[bytes] = []
        left = {number: end[number] - begin[number] for number in begin}
        while sum(left.values()):
            for found in consumer.consume(min(10_000, sum(left.values())), PATIENCE):
                if found.offset() < end[found.partition()]:
                    values.append(found.value())
                    left[found.partition()] -= 1
        consumer.close()
        return values

    def wait_for(
        self, rows: int, process: Process, rows_of: Callable[[bytes], int] | None = None, seconds: float = PATIENCE
    ) -> tuple[int, float, float]:
        """Wait until a process has put out so many rows, or time is up.

        Return the rows there are, when the last ones came (or time was up: silence counts, too), and the CPU of the
        process by then. Where a message is a row, none is read.
        """
        counted, known = dict.fromkeys(range(PARTITIONS), 0), 0
        ends, at, cpu = counted, time.perf_counter(), 0.0
        deadline = at + seconds
        while True:
            now, used, seen = time.perf_counter(), process.cpu(), self.ends()
            if seen != ends:
                ends, at, cpu = seen, now, used
            if rows_of is None:
                known = sum(ends.values())
            elif ends != counted and (now - at > STILL or now > deadline):
                known += sum(map(rows_of, self.read(counted, ends)))
                counted = ends
            if known >= rows:
                return known, at, cpu
            if now > deadline:
                return known, now, used
            time.sleep(0.01)
