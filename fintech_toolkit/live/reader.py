"""The Kafka side of a source: a consumer in a thread, from the first message to the last commit."""

from __future__ import annotations

import concurrent.futures
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

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
from fintech_toolkit.live.batch import Batch, Counter, DeadLetters
from fintech_toolkit.live.codecs import ArrowDecoder, JsonDecoder
from fintech_toolkit.live.schema import to_frame
from fintech_toolkit.live.writer import LiveError, logger

_DEFAULTS = {
    "isolation.level": "read_committed",
    "session.timeout.ms": 6000,  # a killed consumer's partitions are free again after this
    "auto.commit.interval.ms": 500,
    "fetch.queue.backoff.ms": 5,  # the default of a second costs four fifths of the throughput
}
# What at-least-once rests on.
_FIXED = {
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
}
_CONNECT_SECONDS = 10.0
_MEMBERSHIP_SECONDS = 1.0  # how often a consumer that waits for its sinks shows that it is alive
_FAREWELL_SECONDS = 0.5  # what a stopped source leaves to sinks that are still at work
_RATE_SECONDS = 5.0
# librdkafka goes on by itself after these.
_TRANSIENT = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE}


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


class InFlight(NamedTuple):
    """A batch on its way through the sinks, and what is committed once it is through."""

    batch: Batch
    to: dict[int, int]


class Reader:
    """Reads a topic in batches until it is told to stop, or reaches the end that it was given.

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
    until_latest : bool
        Stop at what was the end of the topic when the partitions were assigned.
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
        until_latest: bool,
        counter: Counter,
        dead_letters: DeadLetters,
        deliver: Callable[[pd.DataFrame, Batch], concurrent.futures.Future[None]],
        stopped: Callable[[], bool],
    ) -> None:
        self.lag: dict[int, int] = {}
        self._topic = topic
        self._decoder = decoder
        self._batch_size = batch_size
        self._batch_time = batch_time
        self._until_latest = until_latest
        self._counter = counter
        self._dead_letters = dead_letters
        self._deliver = deliver
        self._stopped = stopped
        self._error: KafkaError | None = None
        self._batches = 0
        self._in_flight: deque[InFlight] = deque()
        self._held: list[Message] = []
        self._next: dict[int, int] = {}  # where our next batch begins; the consumer's position skips over gaps
        self._reached: dict[int, int] = {}  # the end of what was seen, gaps included
        self._targets: dict[int, int] = {}
        self._recent: deque[tuple[float, int]] = deque()
        # Where a group starts that has committed nothing is said in `_on_assign`. Committed offsets whose records
        # have expired are an error, or their loss would go unnoticed.
        reset = settings.get("auto.offset.reset", "earliest")
        self._first_offset = OFFSET_BEGINNING if reset in ("earliest", "beginning", "smallest") else OFFSET_END
        self._servers = settings.get("bootstrap.servers", settings.get("metadata.broker.list"))
        settings = settings | {"auto.offset.reset": "error", "error_cb": self._on_error}
        self._consumer = Consumer(settings, logger=logger)

    @property
    def rate(self) -> float:
        """Records received per second, over the last five seconds."""
        since = time.monotonic() - _RATE_SECONDS
        return sum(count for at, count in tuple(self._recent) if at > since) / _RATE_SECONDS

    def run(self) -> None:
        """Read, deliver and commit until stopped or at the end.

        Raises
        ------
        Exception
            What a node, a sink or Kafka raised.
        """
        try:
            self._connect()
            self._consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke)
            while not self._stopped() and not self._at_end():
                messages = self._held + self._consumer.consume(self._batch_size, self._batch_time)
                self._held = []
                self._process(self._records(messages))
                self._measure_lag()
                self._commit()
            self._finish()
        finally:
            self._consumer.close()  # commits what was stored and leaves the group

    def _connect(self) -> None:
        """Find the topic, or say why not: librdkafka alone would wait for it without a word."""
        deadline = time.monotonic() + _CONNECT_SECONDS
        while not self._stopped():
            try:
                found = self._consumer.list_topics(self._topic, timeout=0.5).topics[self._topic]
            except KafkaException as failure:
                self._check()
                if time.monotonic() > deadline:
                    raise LiveError(
                        f"Kafka at {self._servers} did not answer within {_CONNECT_SECONDS:.0f} s: "
                        f"{failure.args[0].str()}"
                    ) from failure
                continue
            if found.error is not None:
                raise LiveError(f"topic {self._topic!r}: {found.error.str()}")
            return

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _TRANSIENT:
            logger.warning("topic %r: %s", self._topic, error.str())
        else:
            self._error = error

    def _check(self) -> None:
        if self._error is not None:
            raise LiveError(f"topic {self._topic!r}: {self._error.str()}")

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        starts = consumer.committed(partitions, timeout=30)
        for start in starts:
            if start.error is not None:
                raise KafkaException(start.error)
            self._next.pop(start.partition, None)
            self._reached.pop(start.partition, None)
            if start.offset < 0:
                start.offset = self._first_offset
            if self._until_latest:
                _, self._targets[start.partition] = consumer.get_watermark_offsets(start, timeout=30)
        consumer.incremental_assign(starts)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for lost in partitions:
            self._targets.pop(lost.partition, None)
            for batch in self._in_flight:  # what others commit from here on must not be set back
                batch.to.pop(lost.partition, None)
        consumer.incremental_unassign(partitions)

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
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._reached[message.partition()] = message.offset()  # type: ignore[index, assignment]
            elif error.code() in _TRANSIENT:
                logger.warning("topic %r: %s", self._topic, error.str())
            else:  # a fatal error, too, arrives like this
                raise LiveError(f"topic {self._topic!r}, partition {message.partition()}: {error.str()}")
        return sorted(records, key=lambda message: (message.partition(), message.offset()))

    def _process(self, records: list[Message]) -> None:
        """Decode a batch, put aside what cannot be decoded, and see the frame through the sinks."""
        if not records:
            return
        decoded = self._decoder.decode([record.value() for record in records])
        self._count(len(decoded.message) + len(decoded.rejected), len(decoded.message))
        for position, reason in decoded.rejected:
            self._dead_letters.send(records[position], reason)
        partition = np.array([record.partition() for record in records])
        offset = np.array([record.offset() for record in records])
        batch = Batch(
            id=self._batches,
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
        self._batches += 1
        self._in_flight.append(InFlight(batch, {number: to for number, (_, to) in batch.offsets.items()}))
        if len(decoded.message):
            self._await_sinks(self._deliver(to_frame(decoded.table), batch))
        else:
            batch.done.set()

    def _count(self, received: int, emitted: int) -> None:
        self._counter.add(received=received, emitted=emitted)
        now = time.monotonic()
        self._recent.append((now, received))
        while self._recent[0][0] < now - _RATE_SECONDS:
            self._recent.popleft()

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

    def _await(self, over: Callable[[float], bool]) -> bool:
        """Wait for something and return whether it came, before the source was stopped and its time was up.

        Meanwhile the consumer is polled, or the group would take it for dead; paused, so that nothing comes.
        """
        begun = polled = time.monotonic()
        stopped_at: float | None = None
        paused = False
        while not over(0.05):
            now = time.monotonic()
            if self._stopped():
                stopped_at = stopped_at or now
                if now - stopped_at > _FAREWELL_SECONDS:
                    return False
            if now - polled > _MEMBERSHIP_SECONDS:
                self._consumer.pause(self._consumer.assignment())
                self._held += self._consumer.consume(1000, 0)
                polled, paused = now, True
        if paused:
            logger.debug("topic %r: waited %.1f s for sinks", self._topic, time.monotonic() - begun)
            self._consumer.resume(self._consumer.assignment())
        return True

    def _commit(self) -> None:
        """Let the offsets be committed of batches that all sinks have finished with, in their order."""
        to: dict[int, int] = {}
        while self._in_flight and self._in_flight[0].batch.done.is_set():
            to |= self._in_flight.popleft().to
        if not to:
            return
        if self._await(self._dead_letters.flush):
            self._consumer.store_offsets(
                offsets=[TopicPartition(self._topic, partition, offset) for partition, offset in to.items()]
            )

    def _finish(self) -> None:
        if self._in_flight:
            self._await(self._in_flight[-1].batch.done.wait)
        self._commit()

    def _measure_lag(self) -> None:
        lag = {}
        for assigned in self._consumer.assignment():
            reached = self._reached.get(assigned.partition)
            _, high = self._consumer.get_watermark_offsets(assigned, cached=True)
            if reached is not None and high >= 0:
                lag[assigned.partition] = max(0, high - reached)
        self.lag = lag
