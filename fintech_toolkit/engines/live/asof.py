"""An as-of join as a node of two streams of frames."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from streamz import Stream

from fintech_toolkit.engines.live.batch import Batch, Feed, batch_of, with_batch
from fintech_toolkit.engines.live.states import KeepsState, Kept, LiveState, Place, checked, load, pass_on
from fintech_toolkit.engines.memory.resumable_asof import AsofJoin
from fintech_toolkit.engines.memory.waiting_join import WaitingJoin
from fintech_toolkit.errors import LiveError, PipelineError, StateError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions
from fintech_toolkit.schema import nanoseconds

_MOST_WAITING = 100_000
"""Rows of a side that wait for the other in one partition, before it is read no further."""


@dataclass(frozen=True)
class _Seen:
    """A join as all sinks have it, and by topic the offset of the first record that it has not seen.

    Neither is ever changed, a batch makes new ones: whoever looks meanwhile sees both before it, or both after.
    """

    join: WaitingJoin
    offsets: dict[str, int] = field(default_factory=dict)

    def after(self, join: WaitingJoin, topic: str, offset: int) -> _Seen:
        return _Seen(join, {**self.offsets, topic: offset})


@dataclass
class _Partition:
    """What is known of one partition of both topics.

    Attributes
    ----------
    seen : _Seen
        The join, and what it has seen.
    held : deque
        For batches of the left of which rows wait: their latest time, and their references, so that nothing is
        committed before it is answered.
    quiet_since : float
        When the right was last heard of.
    watched : bool
        Whether it will be looked at when the right may have become idle.
    """

    seen: _Seen
    held: deque[tuple[int, Any]] = field(default_factory=deque)
    quiet_since: float = field(default_factory=time.monotonic)
    watched: bool = False


class AsofJoinNode(KeepsState):
    """Answers the frames of one stream with those of another, as soon as they can be answered.

    Of two Kafka sources, each partition is joined by itself, and one batch after the other: when all sinks have what it
    answers, the join goes on. Rows that cannot be used (no symbol, no time, later than what the feed had reached) go to
    the dead letters of their source. A side that is ahead by 100,000 rows of a partition is read no further there,
    until the other has come on. References of a batch of the left are held until its rows are answered.

    Attributes
    ----------
    join : WaitingJoin
        The join in progress over frames that come from no Kafka source: ``join.pending``, ``join.save``.
    """

    needs_state = True
    one_topic = False

    def __init__(
        self,
        left: Stream,
        right: Stream,
        options: FeedOptions,
        state: LiveState | None,
        idle: str | None,
        ahead: str | None,
        **kwargs: Any,
    ) -> None:
        self.join: WaitingJoin = (AsofJoin if isinstance(options, AsOf) else WaitingJoin).of(options)
        self.identity = json.dumps({"join": options.called, **options.to_data()}, sort_keys=True)
        self.described = f"the {options.called} by {options.sides.on!r}"
        self.feeds = {}
        self._streams = {"left": left, "right": right}
        self._topics: dict[str, str] = {}
        self._idle = None if idle is None else nanoseconds(idle, "idle") / 1e9
        self._ahead = None if ahead is None else nanoseconds(ahead, "ahead")
        self._held: list[Any] = []
        self._turn = asyncio.Lock()
        self._passing: set[asyncio.Task[None]] = set()
        self._partitions: dict[int, _Partition] = {}
        for kept in checked(state, self.identity).kept.values() if state is not None else ():
            offsets = {topic: at for (topic, _), at in kept.offsets.items()}
            number = next(number for _, number in kept.offsets)
            self._partitions[number] = _Partition(_Seen(kept.state, offsets))
        super().__init__(upstreams=(left, right), **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Take a frame of one side and pass on the rows that it answers."""
        side = "left" if who is self._streams["left"] else "right"
        batch = batch_of(metadata)
        if batch is not None:
            self._retain_refs(metadata)
            return asyncio.ensure_future(self._step(side, x, metadata, batch))
        if side == "left":
            answered = self.join.left(x)
            self._retain_refs(metadata)  # only now: what was refused is not waited for
            self._held.extend(metadata or [])
        else:
            answered = self.join.right(x)
        return self._answer(answered)

    def _answer(self, answered: Any) -> Any:
        held = [] if self.join.pending else self._held
        if not self.join.pending:
            self._held = []
        result = [] if answered is None else self._emit(answered, metadata=held)
        self._release_refs(held)
        return result

    # Frames of Kafka sources

    async def _step(self, side: str, frame: Any, metadata: Any, batch: Batch) -> None:
        """Take a batch of one side; the join goes on when all sinks have what it answers."""
        async with self._turn:
            self._check_partitions()
            if batch.feed.broken:
                raise LiveError(f"topic {batch.topic!r}: batch {batch.id} is not begun, because one before it failed")
            after: dict[int, WaitingJoin] = {}
            answers: list[tuple[int, Any]] = []
            frame, counts = batch.parts(frame)
            start = 0
            for number, count in counts.items():
                after[number] = self._taken(side, number, frame.iloc[start : start + count], batch, answers)
                start += count
            await self._send(answers, metadata, batch)
            for number, join in after.items():
                partition = self._partitions[number]
                partition.seen = partition.seen.after(join, batch.topic, batch.offsets[number][1])
                if side == "right":
                    partition.quiet_since = time.monotonic()
                elif join.pending and not batch.replayed:
                    batch.progress.waits = True
                    self._retain_refs(metadata)
                    partition.held.append((join.watermark("left"), metadata))
                self._settle(number, partition)
            self._release_refs(metadata)

    def _taken(self, side: str, number: int, rows: pd.DataFrame, batch: Batch, answers: list[Any]) -> WaitingJoin:
        """Return the join after the rows of a partition, and add what they answer."""
        seen = self._partitions[number].seen
        start, _ = batch.offsets[number]
        if seen.offsets.get(batch.topic, start) > start:
            raise StateError(
                f"topic {batch.topic!r}, partition {number}: a batch begins at offset {start}, and the join has seen "
                f"the records before {seen.offsets[batch.topic]}"
            )
        join = seen.join.copy()
        if not len(rows):
            return join
        latest = None if self._ahead is None else batch.latest(rows, self._ahead)
        # Of a batch that is replayed all were answered, or they would not have been committed.
        answered, refused = join.accept(side, rows, latest, answered=batch.replayed)
        if refused:
            wrong = rows.iloc[list(refused)]
            batch.reject(wrong.index.tolist(), list(refused.values()), wrong)
        if answered is not None and len(answered):
            answers.append((number, answered))
        return join

    async def _send(self, answers: list[tuple[int, Any]], metadata: Any, batch: Batch | None) -> None:
        """Pass answers on, with the partition of each, and return when all sinks have them."""
        if not answers:
            return
        whole = pd.concat([rows for _, rows in answers], ignore_index=True)
        if batch is not None:
            numbers = np.repeat([number for number, _ in answers], [len(rows) for _, rows in answers])
            batch = replace(batch, replayed=False).derived(numbers)
            metadata = with_batch(metadata, batch)
        await asyncio.gather(*pass_on(self, whole, metadata, batch))

    async def _send_late(self, number: int, partition: _Partition, answered: Any) -> None:
        """Pass on answers that no batch has brought about, as those of the last one of the left that waits, if any."""
        if answered is None or not len(answered):
            return
        metadata = partition.held[-1][1] if partition.held else []  # out of a saved state
        batch = batch_of(metadata)
        if batch is not None:
            batch = replace(batch, offsets={number: batch.offsets[number]})
        await self._send([(number, answered)], metadata, batch)

    def _settle(self, number: int, partition: _Partition) -> None:
        """Let go of batches that are answered, and hold the side that is ahead."""
        join = partition.seen.join
        oldest = join.oldest
        while partition.held and (oldest is None or partition.held[0][0] < oldest):
            self._release_refs(partition.held.popleft()[1])
        for side, other, waiting in (
            ("left", "right", join.pending),
            ("right", "left", join.ahead),
        ):
            feed, behind = self._feed(side), self._feed(other)
            if feed is not None:
                runs = behind is not None and not behind.stopped
                why = f"waits for topic {self._topics.get(other)!r}" if waiting > _MOST_WAITING and runs else None
                feed.hold(number, why)
        self._watch(number, partition)

    def _watch(self, number: int, partition: _Partition) -> None:
        """Look at a partition again when its right side may have become idle."""
        if self._idle is not None and partition.seen.join.pending and not partition.watched:
            partition.watched = True
            asyncio.get_running_loop().call_later(self._idle, self._look_whether_idle, number, partition)

    def _check_partitions(self) -> None:
        counts = {topic: feed.partitions for topic, feed in self.feeds.items() if feed.partitions}
        if len(set(counts.values())) > 1:
            raise PipelineError(
                f"{self.described} joins partition by partition, and its topics differ in their number: {counts}; "
                "give both as many, and the same key."
            )

    def _feed(self, side: str) -> Feed | None:
        return self.feeds.get(self._topics.get(side, ""))

    def _look_whether_idle(self, number: int, partition: _Partition) -> None:
        right, left = self._feed("right"), self._feed("left")
        partition.watched = False
        if right is None or left is None or left.stopped or self._idle is None:
            return
        if time.monotonic() - partition.quiet_since >= self._idle and right.caught_up(number):
            passing = asyncio.ensure_future(self._pass_idle(number, partition, left))
            self._passing.add(passing)
            passing.add_done_callback(self._passing.discard)
        else:
            self._watch(number, partition)

    async def _pass_idle(self, number: int, partition: _Partition, left: Feed) -> None:
        """Answer what waits for a side that is idle."""
        async with self._turn:
            if left.broken:
                return
            try:
                join = partition.seen.join.copy()
                seen = join.watermark("left") + join.options.after
                await self._send_late(number, partition, join.advance(right=seen + 1))
                partition.seen = replace(partition.seen, join=join)
                self._settle(number, partition)
            except BaseException as error:
                left.fail(error)

    def flush(self) -> Any:
        """Pass on the rows that still wait, when both feeds have ended."""
        if self.feeds:
            asyncio.run_coroutine_threadsafe(self._flush(), self.loop.asyncio_loop).result()
            return None
        return self._answer(self.join.flush())

    async def _flush(self) -> None:
        async with self._turn:
            for number, partition in self._partitions.items():
                join = partition.seen.join.copy()
                await self._send_late(number, partition, join.flush())
                partition.seen = replace(partition.seen, join=join)
                while partition.held:
                    self._release_refs(partition.held.popleft()[1])

    # What a source asks

    @property
    def state(self) -> LiveState:
        """The joins by partition, each after the last batch of either side that all sinks have finished with."""
        kept = {}
        for number, partition in list(self._partitions.items()):
            seen = partition.seen
            offsets = {(topic, number): at for topic, at in seen.offsets.items()}
            kept[self._topics.get("left", min(seen.offsets)), number] = Kept(seen.join, offsets)
        return LiveState(self.identity, kept)

    def follow(self, feed: Feed, topic: str) -> None:
        """Learn which source a topic comes from; it is about to start."""
        sides = [side for side, stream in self._streams.items() if feed in _origins(stream)]
        if len(sides) != 1 or any(self._topics.get(side) == topic for side in self._streams if side not in sides):
            raise PipelineError(f"Both sides of {self.described} come from topic {topic!r}; it takes two topics.")
        self._topics[sides[0]] = topic
        super().follow(feed, topic)

    def unfollow(self, topic: str) -> None:
        """Learn that the source of a topic has ended: the other need not wait for it any more."""
        for side, other in (("left", "right"), ("right", "left")):
            feed = self._feed(side)
            if self._topics.get(other) == topic and feed is not None:
                for number in list(self._partitions):
                    feed.hold(number, None)

    def can_go_on_at(self, place: Place) -> set[int]:
        """Return the offsets of a partition at which it has a state."""
        topic, number = place
        offsets = self._partitions[number].seen.offsets if number in self._partitions else {}
        return {offsets[topic]} if topic in offsets else set()

    def begin(self, place: Place, offset: int) -> None:
        """Forget what is known of a partition of one side, and begin with no records before an offset."""
        topic, number = place
        partition = self._partitions.setdefault(number, _Partition(_Seen(self.join.of(self.join.options))))
        side = "left" if self._topics.get("left") == topic else "right"
        partition.seen = partition.seen.after(partition.seen.join.forgotten(side), topic, offset)
        if side == "left":
            partition.held.clear()

    def adopt(self, other: AsofJoinNode) -> None:
        """Go on from what an equal node of an earlier stream knows."""
        if not self._partitions:
            self._partitions = {number: _Partition(partition.seen) for number, partition in other._partitions.items()}


def _origins(stream: Stream) -> Iterator[Stream]:
    """Walk over a node and all that feed it."""
    yield stream
    for upstream in stream.upstreams:
        yield from _origins(upstream)


def join(
    left: Stream,
    right: Any,
    options: FeedOptions,
    state: LiveState | str | os.PathLike[str] | None = None,
    idle: str | None = None,
    ahead: str | None = None,
) -> AsofJoinNode:
    """Return the stream of left's frames with right's columns.

    Raises
    ------
    PipelineError
        If right is not a stream.
    StateError
        If the state belongs to another join, or has no offsets.
    """
    if not isinstance(right, Stream):
        raise PipelineError(f"left is a stream, so right must be one too, not {type(right).__name__}.")
    if isinstance(state, str | os.PathLike):
        state = load(state)  # type: ignore[assignment]
    if not isinstance(state, LiveState | None):
        raise StateError(
            f"A live join goes on from a LiveState or the path of a saved one, not {type(state).__name__}."
        )
    return AsofJoinNode(left, right, options, state, idle, ahead)
