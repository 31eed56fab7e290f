"""A source's place in its consumer group: which partitions it has, where it stands in each, and what it commits.

All calls of the consumer happen in the reader's thread. Callbacks of the client only take notes, because what blocks in
them blocks the group; what is to be done is done when the reader asks for messages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from fintech_toolkit.engines.live.states import KeepsState
from fintech_toolkit.errors import LiveError, ParameterError
from fintech_toolkit.kafka.records import Records, collector_paused
from fintech_toolkit.kafka.resumption import Committed, Resumption, commit_metadata, resume
from fintech_toolkit.kafka.writer import logger

_DEFAULTS = {
    "isolation.level": "read_committed",
    "session.timeout.ms": 6_000,  # how long the partitions of a member stay with it that is not heard of
    "heartbeat.interval.ms": 2_000,
    "fetch.queue.backoff.ms": 5,  # the default of a second costs four fifths of the throughput
}
# What at-least-once rests on.
_FIXED = {
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.auto.offset.store": False,
    "enable.auto.commit": False,
    "enable.partition.eof": True,
}
_LOOK_AGAIN_SECONDS = 0.1  # for a topic that is not there yet
_ANSWER_SECONDS = 1.0  # one try of a request to Kafka; between tries it is seen whether to go on
_CLOSE_SECONDS = 5.0
_AWAY_SECONDS = 0.3
# librdkafka goes on by itself after these.
_TRANSIENT = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE}
_TRY_AGAIN = _TRANSIENT | {
    KafkaError._WAIT_COORD,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
}
# A topic that was made a moment ago has no leader yet.
_TOPIC_TO_COME = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE}
# A commit that fails otherwise is made up for by the next one.
_COMMIT_REFUSED = {KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED}
_FENCED = {KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED}


def _is_fenced(error: KafkaError) -> bool:
    """Whether another consumer has taken this one's name; as a fatal error it says so in words only."""
    return error.code() in _FENCED or (error.code() == KafkaError._FATAL and "fenced" in error.str().lower())


def consumer_settings(settings: Mapping[str, Any], group: str | None, member: str) -> dict[str, Any]:
    """Return the settings of a source's consumer.

    Raises
    ------
    ParameterError
        If no group is named, or the settings contradict what at-least-once rests on.
    """
    if fixed := sorted(_FIXED.keys() & settings):
        raise ParameterError(f"a source sets {', '.join(map(repr, fixed))} itself: leave it out")
    settings = {"group.instance.id": member, **settings}
    if group is not None:
        settings["group.id"] = group
    if not settings.get("group.id"):
        raise ParameterError("no consumer group: give group=…, or 'group.id' in the configuration")
    return _DEFAULTS | settings | _FIXED


@dataclass
class Position:
    """Where a source stands in a partition that it has.

    Attributes
    ----------
    replay_end : int
        The offset before which records are only replayed.
    since : int or None
        Where the states of the nodes began; None if it is not known.
    next : int
        Where the next batch begins; the consumer's own position skips over gaps.
    reached : int
        The end of what was seen, gaps included.
    target : int or None
        Where to stop.
    cuts : tuple of int
        Offsets that no batch goes across, because nodes have seen what is before.
    """

    replay_end: int
    since: int | None
    next: int
    reached: int
    target: int | None = None
    cuts: tuple[int, ...] = ()


class Membership:
    """One member of a consumer group that reads one topic.

    Parameters
    ----------
    topic, settings : str, dict
        What to read, and the settings from `consumer_settings`.
    nodes : sequence of KeepsState
        The nodes of the stream that keep states.
    passed, settled : dict of int to int
        For each partition, where all sinks have come to, and where they had when the last reader ended in peace, joins
        perhaps keeping rows of it; the source's own, and not changed here.
    replay, fresh : bool
        What to do about states that are missing.
    until_latest : bool
        Whether partitions have a target: what is their end when they are assigned.
    stopped : callable
        Says whether to stop.
    drain : callable
        Called with partitions that are about to go to another member.
    """

    def __init__(
        self,
        topic: str,
        settings: Mapping[str, Any],
        *,
        nodes: Sequence[KeepsState],
        passed: Mapping[int, int],
        settled: Mapping[int, int],
        replay: bool,
        fresh: bool,
        until_latest: bool,
        stopped: Callable[[], bool],
        drain: Callable[[set[int]], None],
    ) -> None:
        self.positions: dict[int, Position] = {}
        self.partitions = 0
        self.lost = False
        self.away = False  # whether Kafka was last seen going, not coming
        self.whole = any(node.whole for node in nodes)  # whether all partitions go on together
        self._topic = topic
        self._nodes = nodes
        self._passed, self._settled = passed, settled
        self._replay, self._fresh, self._until_latest = replay, fresh, until_latest
        self._stopped = stopped
        self._drain = drain
        self._error: Exception | None = None
        self._to_come: dict[int, None] = {}  # assigned, and not yet begun
        self._paused: set[int] = set()
        self._group = settings["group.id"]
        self._member = settings["group.instance.id"]
        reset = settings.get("auto.offset.reset", "earliest")
        self._from_start = reset in ("earliest", "beginning", "smallest")
        self.servers = settings.get("bootstrap.servers", settings.get("metadata.broker.list"))
        # Where a group starts that has committed nothing is said when a partition begins. Committed offsets whose
        # records have expired are an error, or their loss would go unnoticed.
        callbacks = {"error_cb": self._on_error, "on_commit": self._on_commit}
        self._consumer = Consumer({**settings, "auto.offset.reset": "error", **callbacks}, logger=logger)

    def connect(self, patience: float, wait_for_topic: float, doing: Callable[[str], None]) -> None:
        """Find the topic and join the group, or say why not: librdkafka alone would wait for it without a word."""
        deadline = time.monotonic() + patience
        topic_deadline: float | None = None
        doing(f"waiting for Kafka at {self.servers}")
        while not self._stopped():
            try:
                found = self._consumer.list_topics(self._topic, timeout=0.5).topics[self._topic]
            except KafkaException as failure:
                self.check()
                if time.monotonic() > deadline:
                    raise LiveError(
                        f"Kafka at {self.servers} did not answer within {patience:.0f} s: {failure.args[0].str()}"
                    ) from failure
                continue
            if found.error is None:
                self.partitions = len(found.partitions)
                self._consumer.subscribe(
                    [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
                )
                doing("running")
                return
            if found.error.code() not in _TOPIC_TO_COME:
                raise LiveError(f"topic {self._topic!r}: {found.error.str()}")
            if topic_deadline is None:
                topic_deadline = time.monotonic() + wait_for_topic
                doing(f"waiting for topic {self._topic!r}")
                logger.warning("no topic %r at %s yet: waiting for it", self._topic, self.servers)
            if time.monotonic() >= topic_deadline:
                waited = f"waited {wait_for_topic:g} s for it, see wait_for_topic"
                raise LiveError(f"topic {self._topic!r} at {self.servers}: {found.error.str()} ({waited})")
            time.sleep(_LOOK_AGAIN_SECONDS)

    # Callbacks of the client: what they raise it garbles, and what blocks in them blocks the group.

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _TRANSIENT:  # librdkafka has logged it
            self.away = True
        else:
            self._error = KafkaException(error)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        if error is not None and error.code() in _COMMIT_REFUSED | _FENCED:
            self._error = KafkaException(error)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._to_come |= dict.fromkeys(assigned.partition for assigned in partitions)
        consumer.incremental_assign([])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            begun = {revoked.partition for revoked in partitions} & self.positions.keys()
            self._drain(begun)
            # The client keeps a pause until it is lifted, whoever has had the partition meanwhile.
            consumer.resume([revoked for revoked in partitions if revoked.partition in self._paused])
            for revoked in partitions:
                self._to_come.pop(revoked.partition, None)
                self.positions.pop(revoked.partition, None)
                self._paused.discard(revoked.partition)
            consumer.incremental_unassign([revoked for revoked in partitions if revoked.partition in begun])
        except Exception as error:
            self._error = error

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.lost = True
        self.positions.clear()
        self._to_come.clear()

    def check(self) -> None:
        """Raise what has gone wrong in a callback."""
        error = self._error
        if error is None:
            return
        if isinstance(error, KafkaException) and _is_fenced(error.args[0]):
            if self.lost:  # by its own joining again, under way while commits of its place before were
                return
            raise LiveError(
                f"topic {self._topic!r}: another consumer of group {self._group!r} has started under the same name, "
                f"{self._member!r}, and has taken over; two members of a group need two names, see member="
            ) from error
        raise LiveError(f"topic {self._topic!r}: {error}") from error

    # What the reader does

    def poll(self, most: int, timeout: float) -> Records:
        """Return the next records, in order of offset within each partition."""
        self._begin_partitions()
        with collector_paused:
            messages = self._consumer.consume(most, timeout)
            found = [message for message in messages if message.error() is None]
            if len(found) < len(messages):
                for message in messages:
                    self._heed(message)
            records = Records.of(self._topic, found)
            del messages, found
        if len(records):
            self.away = False
        self.check()
        return records

    def _heed(self, message: Message) -> None:
        """Note what a message says that is no record, or raise it."""
        error = message.error()
        if error is None:
            return
        if error.code() == KafkaError._PARTITION_EOF:
            self.away = False
            if position := self.positions.get(message.partition()):  # type: ignore[arg-type]
                position.reached = message.offset()  # type: ignore[assignment]
        elif _is_fenced(error):
            self._error = KafkaException(error)
        elif error.code() == KafkaError._MAX_POLL_EXCEEDED:  # this process was frozen
            self._on_lost(self._consumer, [])
        elif error.code() not in _TRANSIENT:  # a fatal error, too, arrives like this
            self.check()
            raise LiveError(f"topic {self._topic!r}, partition {message.partition()}: {error.str()}")

    def _begin_partitions(self) -> None:
        """Find out where to go on in partitions that were assigned, and begin to read them."""
        if not self._to_come or self.lost:
            return
        wanted = [TopicPartition(self._topic, number) for number in self._to_come]
        try:
            found = self._consumer.committed(wanted, timeout=_ANSWER_SECONDS)
            for entry in found:
                if entry.error is not None:
                    raise KafkaException(entry.error)
            begun = [(entry, self._resume(entry)) for entry in found]
        except KafkaException as failure:
            if failure.args[0].code() in _TRY_AGAIN:
                return  # when the next messages are asked for
            raise LiveError(f"topic {self._topic!r}: {failure.args[0].str()}") from failure
        not_said = {}
        for entry, (where, high) in begun:
            passed = self._passed.get(entry.partition, -1)
            if passed > entry.offset >= 0:
                not_said[entry.partition] = passed
            elif entry.offset < 0 and not self._from_start:
                not_said[entry.partition] = where.start
            place = (self._topic, entry.partition)
            for node in self._nodes:
                if where.begin or not node.goes_on_at(place, where.start):
                    node.begin(place, where.start)
                else:
                    node.go_on(place, where.start)
            seen = {offset for node in self._nodes if node.passes_over for offset in node.can_go_on_at(place)}
            target = high if self._until_latest else None
            self.positions[entry.partition] = Position(
                where.replay_end, where.since, where.start, where.start, target, tuple(sorted(seen))
            )
        self._to_come.clear()
        self._consumer.incremental_assign([TopicPartition(self._topic, e.partition, w.start) for e, (w, _) in begun])
        # A commit may have been lost; and a group that begins at the end must find that place again.
        self.commit(not_said)

    def _resume(self, entry: TopicPartition) -> tuple[Resumption, int]:
        bounds = self._consumer.get_watermark_offsets(entry, timeout=_ANSWER_SECONDS)
        if bounds is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        low, high = bounds
        known = [each[entry.partition] for each in (self._passed, self._settled) if entry.partition in each]
        resumption = resume(
            (self._topic, entry.partition),
            self._nodes,
            Committed.read(entry.offset, entry.metadata),
            max(known, default=None),
            low if self._from_start else high,
            low,
            replay=self._replay,
            fresh=self._fresh,
            group=self._group,
        )
        return resumption, high

    def pause(self, partitions: set[int]) -> None:
        """Read from these partitions no further, and from all others again."""
        partitions = partitions & self.positions.keys()
        for change, numbers in (
            (self._consumer.pause, partitions - self._paused),
            (self._consumer.resume, self._paused - partitions),
        ):
            if numbers and not self.lost:
                change([TopicPartition(self._topic, number) for number in numbers])
        self._paused = partitions

    def at_end(self) -> bool:
        """Whether all partitions have come to their target."""
        return (
            self._until_latest
            and bool(self.positions)
            and not self._to_come
            and all(position.reached >= (position.target or 0) for position in self.positions.values())
        )

    def commit(self, to: Mapping[int, int]) -> None:
        """Commit offsets of partitions that are still ours, without waiting for the answer."""
        mine = [
            TopicPartition(self._topic, number, end, commit_metadata(self.positions[number].since, self._nodes))
            for number, end in to.items()
            if number in self.positions
        ]
        if mine and not self.lost:
            self._consumer.commit(offsets=mine, asynchronous=True)

    def lag(self) -> dict[int, int]:
        """Return for each partition how far what was seen is from its end, in offsets."""
        lag = {}
        for number, position in self.positions.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), cached=True)
            if high >= 0:
                lag[number] = max(0, high - position.reached)
        return lag

    def close(self) -> None:
        """Leave the group, when the commits that were asked for are through."""
        closing = threading.Thread(target=self._consumer.close, name=f"close-{self._topic}", daemon=True)
        closing.start()
        # Without a broker, closing waits for as long as the session would have lasted. But who is about to join again
        # must not be fenced by what this consumer has asked of the group.
        again = self.lost and not self._stopped()
        closing.join(_AWAY_SECONDS if self.away and not again else _CLOSE_SECONDS)
