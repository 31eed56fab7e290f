"""The Kafka side of a source: a consumer in a thread, from the first message to the last commit."""

from __future__ import annotations

import concurrent.futures
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.live.batch import Batch, Counter
from fintech_toolkit.live.codecs import ArrowDecoder, JsonDecoder
from fintech_toolkit.live.dead_letters import DeadLetters
from fintech_toolkit.live.schema import to_frame
from fintech_toolkit.live.writer import LiveError, logger

_DEFAULTS = {
    "isolation.level": "read_committed",
    "session.timeout.ms": 20_000,  # outlasts the restart of a broker; a killed consumer's place is kept as long
    "auto.commit.interval.ms": 500,
    "fetch.queue.backoff.ms": 5,  # the default of a second costs four fifths of the throughput
}
# What at-least-once rests on.
_FIXED = {
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
}
_LOOK_AGAIN_SECONDS = 0.1  # for a topic that is not there yet
_MEMBERSHIP_SECONDS = 1.0  # how often a consumer that waits for its sinks shows that it is alive
_FAREWELL_SECONDS = 0.3  # what a stopped source leaves to sinks that are still at work
_SETTLE_SECONDS = 5.0  # what a consumer that must join again leaves to nodes that hold frames back
# librdkafka goes on by itself after these.
_TRANSIENT = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE}
# A topic that was made a moment ago has no leader yet.
_TOPIC_TO_COME = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE}
# A commit that fails otherwise is made up for by the next one.
_COMMIT_REFUSED = {
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.FENCED_INSTANCE_ID,
}


def consumer_settings(settings: dict[str, Any], group: str | None) -> dict[str, Any]:
    """Return the settings of a source's consumer.

    Raises
    ------
    ParameterError
        If no group is named, or the settings contradict what at-least-once rests on.
    """
    if fixed := sorted(_FIXED.keys() & settings):
        raise ParameterError(f"a source sets {', '.join(map(repr, fixed))} itself: leave it out")
    if group is not None:
        settings = {**settings, "group.id": group}
    if not settings.get("group.id"):
        raise ParameterError("no consumer group: give group=…, or 'group.id' in the configuration")
    return _DEFAULTS | settings | _FIXED


class Reader:
    """Reads a topic in batches, as one member of a group with one consumer.

    All calls of the consumer happen in the thread that calls `run`.

    Parameters
    ----------
    topic : str
        Topic to read.
    settings : dict
        From `consumer_settings`.
    decoder : JsonDecoder or ArrowDecoder
        What makes tables of messages.
    batch_size, batch_time : int, float
        Most messages of a batch, and how many seconds it waits for them.
    wait_for_topic : float
        How many seconds to wait for the topic to come into being.
    until_latest : bool
        Stop at what was the end of the topic when the partitions were assigned.
    ids : iterator of int
        Numbers for the batches.
    passed : dict of int to int
        For each partition, where the batches end that have passed all sinks; kept up to date for the next reader.
    counter, dead_letters : Counter, DeadLetters
        Where records are counted, and put aside.
    deliver : callable
        Takes a frame and its batch and returns a future of their having passed all sinks.
    stopped : callable
        Says whether to stop.
    """

    def __init__(
        self,
        topic: str,
        settings: dict[str, Any],
        decoder: JsonDecoder | ArrowDecoder,
        *,
        batch_size: int,
        batch_time: float,
        wait_for_topic: float,
        until_latest: bool,
        ids: Iterator[int],
        passed: dict[int, int],
        counter: Counter,
        dead_letters: DeadLetters,
        deliver: Callable[[pd.DataFrame, Batch], concurrent.futures.Future[None]],
        stopped: Callable[[], bool],
    ) -> None:
        self.lag: dict[int, int] = {}
        self.doing = "starting"
        self._topic = topic
        self._decoder = decoder
        self._batch_size = batch_size
        self._batch_time = batch_time
        self._wait_for_topic = wait_for_topic
        self._until_latest = until_latest
        self._ids = ids
        self._passed = passed
        self._counter = counter
        self._dead_letters = dead_letters
        self._deliver = deliver
        self._stopped = stopped
        self._error: Exception | None = None
        self._lost = False
        self._away = False  # whether Kafka was last seen going, not coming
        self._in_flight: deque[Batch] = deque()
        self._held: list[Message] = []
        self._next: dict[int, int] = {}  # where our next batch begins; the consumer's position skips over gaps
        self._reached: dict[int, int] = {}  # the end of what was seen, gaps included
        self._targets: dict[int, int] = {}
        self._start: dict[int, int] = {}  # where the group stood when we were assigned a partition
        # Where a group starts that has committed nothing is said in `_on_assign`. Committed offsets whose records
        # have expired are an error, or their loss would go unnoticed.
        reset = settings.get("auto.offset.reset", "earliest")
        self._first_offset = OFFSET_BEGINNING if reset in ("earliest", "beginning", "smallest") else OFFSET_END
        self._servers = settings.get("bootstrap.servers", settings.get("metadata.broker.list"))
        settings = settings | {"auto.offset.reset": "error", "error_cb": self._on_error, "on_commit": self._on_commit}
        self._consumer = Consumer(settings, logger=logger)

    def run(self, patience: float) -> bool:
        """Read, deliver and commit until stopped or at the end; return whether the group gave us up before that.

        It does so when it heard nothing of us for too long, as when the broker was away. librdkafka would rejoin,
        but has been seen to wait for ever for commits that were under way at the time; so the reader has come to
        its end, and a new one goes on from what was committed.

        Parameters
        ----------
        patience : float
            How many seconds to wait for Kafka at the beginning.

        Raises
        ------
        Exception
            What a node, a sink or Kafka raised.
        """
        try:
            self._connect(patience)
            self._consumer.subscribe(
                [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            while not (self._lost or self._stopped() or self._at_end()):
                messages = self._held + self._consumer.consume(self._batch_size, self._batch_time)
                self._held = []
                self._process(self._records(messages))
                self._commit()
                self._measure_lag()
            self._finish()
            return self._lost
        finally:
            self._close()

    def _close(self) -> None:
        """Commit what was stored and leave the group."""
        closing = threading.Thread(target=self._consumer.close, name=f"close-{self._topic}", daemon=True)
        closing.start()
        # Without a broker, closing waits for as long as the session would have lasted.
        closing.join(_FAREWELL_SECONDS if self._away else None)

    def _connect(self, patience: float) -> None:
        """Find the topic, or say why not: librdkafka alone would wait for it without a word."""
        deadline = time.monotonic() + patience
        topic_deadline: float | None = None
        self.doing = f"waiting for Kafka at {self._servers}"
        while not self._stopped():
            try:
                found = self._consumer.list_topics(self._topic, timeout=0.5).topics[self._topic]
            except KafkaException as failure:
                self._check()
                if time.monotonic() > deadline:
                    raise LiveError(
                        f"Kafka at {self._servers} did not answer within {patience:.0f} s: {failure.args[0].str()}"
                    ) from failure
                continue
            if found.error is None:
                self.doing = "running"
                return
            if found.error.code() not in _TOPIC_TO_COME:
                raise LiveError(f"topic {self._topic!r}: {found.error.str()}")
            if topic_deadline is None:
                topic_deadline = time.monotonic() + self._wait_for_topic
                self.doing = f"waiting for topic {self._topic!r}"
                logger.warning("no topic %r at %s yet: waiting for it", self._topic, self._servers)
            if time.monotonic() >= topic_deadline:
                waited = f"waited {self._wait_for_topic:g} s for it, see wait_for_topic"
                raise LiveError(f"topic {self._topic!r} at {self._servers}: {found.error.str()} ({waited})")
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _TRANSIENT:  # librdkafka has logged it
            self._away = True
        else:
            self._error = KafkaException(error)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        if error is not None and error.code() in _COMMIT_REFUSED:
            self._error = KafkaException(error)

    def _check(self) -> None:
        if self._error is not None:
            raise LiveError(f"topic {self._topic!r}: {self._error}") from self._error

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._assign(consumer, partitions)
        except Exception as error:  # the client garbles what its callbacks raise
            self._error = error

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        starts = consumer.committed(partitions, timeout=30)
        ahead = []
        for start in starts:
            if start.error is not None:
                raise KafkaException(start.error)
            passed = self._passed.get(start.partition)
            if passed is not None and passed > start.offset:
                # The commit was lost, but not the pipeline's state: it must not see those records again.
                start.offset = passed
                ahead.append(start)
            self._start[start.partition] = start.offset
            if start.offset < 0:
                start.offset = self._first_offset
            if self._until_latest:
                _, self._targets[start.partition] = consumer.get_watermark_offsets(start, timeout=30)
        consumer.incremental_assign(starts)
        if ahead:
            consumer.store_offsets(offsets=ahead)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for revoked in partitions:
            for offsets in (self._start, self._next, self._reached, self._targets):
                offsets.pop(revoked.partition, None)
        try:
            consumer.incremental_unassign(partitions)
        except Exception as error:  # as in `_on_assign`
            self._error = error

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._lost = True
        self._start.clear()

    def _at_end(self) -> bool:
        return bool(self._targets) and all(
            self._reached.get(partition, -1) >= target for partition, target in self._targets.items()
        )

    def _records(self, messages: list[Message]) -> list[Message]:
        """Return the messages that are records, in order of partition and offset; heed the others."""
        self._check()
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                self._away = False
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._reached[message.partition()] = message.offset()  # type: ignore[index, assignment]
            elif error.code() not in _TRANSIENT:  # a fatal error, too, arrives like this
                raise LiveError(f"topic {self._topic!r}, partition {message.partition()}: {error.str()}")
        return sorted(records, key=lambda message: (message.partition(), message.offset()))

    def _process(self, records: list[Message]) -> None:
        """Decode a batch, put aside what cannot be decoded, and see the frame through the sinks."""
        if not records:
            return
        decoded = self._decoder.decode([record.value() for record in records])
        received = len(decoded.message) + len(decoded.rejected)
        self._counter.add(received=received, emitted=len(decoded.message))
        for position, reason in decoded.rejected:
            self._dead_letters.send(records[position], reason)
            self._counter.add(rejected=1)
        partition = np.array([record.partition() for record in records])
        offset = np.array([record.offset() for record in records])
        batch = Batch(
            id=next(self._ids),
            topic=self._topic,
            offsets=self._advance(partition, offset),
            partition=partition[decoded.message],
            offset=offset[decoded.message],
            _table=decoded.table,
            _row_message=decoded.message,
            _messages=records,
            _dead_letters=self._dead_letters,
            _counter=self._counter,
        )
        self._in_flight.append(batch)
        if len(decoded.message):
            self._await_sinks(self._deliver(to_frame(decoded.table), batch))
        else:
            batch.done.set()

    def _advance(self, partition: npt.NDArray[np.int64], offset: npt.NDArray[np.int64]) -> dict[int, tuple[int, int]]:
        """Return where a batch begins and ends in each of its partitions."""
        bounds = {}
        for number in np.unique(partition).tolist():
            mine = offset[partition == number]
            end = int(mine[-1]) + 1
            bounds[number] = (self._next.get(number, int(mine[0])), end)
            self._next[number] = self._reached[number] = end
        return bounds

    def _await_sinks(self, delivered: concurrent.futures.Future[None]) -> None:
        """Wait until a batch has passed all sinks; raise what one of them raised."""
        if self._await(lambda seconds: bool(concurrent.futures.wait([delivered], seconds).done)):
            delivered.result()

    def _await(self, over: Callable[[float], bool], patience: float = math.inf) -> bool:
        """Wait for something and return whether it came in time: a stopped source has little of it left.

        Meanwhile the consumer is polled, or the group would take it for dead; paused, so that nothing comes.
        """
        polled = time.monotonic()
        deadline = polled + patience
        paused = False
        while not over(0.05):
            now = time.monotonic()
            if self._stopped():
                deadline = min(deadline, now + _FAREWELL_SECONDS)
            if now > deadline:
                return False
            if now - polled > _MEMBERSHIP_SECONDS and not self._lost:
                self._consumer.pause(self._consumer.assignment())
                self._held += self._consumer.consume(1000, 0)
                polled, paused = now, True
                if self._lost:  # at once, before the client joins again, to be waited for by the group
                    self._close()
        if paused and not self._lost:
            self._consumer.resume(self._consumer.assignment())
        return True

    def _commit(self) -> None:
        """Let the offsets be committed of batches that all sinks have finished with, in their order."""
        to: dict[int, int] = {}
        while self._in_flight and self._in_flight[0].done.is_set():
            batch = self._in_flight.popleft()
            to |= {partition: end for partition, (_, end) in batch.offsets.items()}
        if not to or not self._await(self._dead_letters.flush):
            return
        self._passed |= to
        # Only what is still ours, and nothing that another consumer has gone beyond since.
        mine = [
            TopicPartition(self._topic, partition, end)
            for partition, end in to.items()
            if end > self._start.get(partition, end)
        ]
        if mine:
            self._consumer.store_offsets(offsets=mine)

    def _finish(self) -> None:
        if self._in_flight:
            self._await(self._in_flight[-1].done.wait, _SETTLE_SECONDS if self._lost else math.inf)
        self._commit()

    def _measure_lag(self) -> None:
        if self._lost:
            return
        lag = {}
        for assigned in self._consumer.assignment():
            reached = self._reached.get(assigned.partition)
            _, high = self._consumer.get_watermark_offsets(assigned, cached=True)
            if reached is not None and high >= 0:
                lag[assigned.partition] = max(0, high - reached)
        self.lag = lag
