"""An as-of join as a node of two streams of frames."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from streamz import Stream

from fintech_toolkit.engines.live.batch import Batch, Feed, Stand, batch_of, of_no_batch, with_batch
from fintech_toolkit.engines.live.join_partition import Partition, Seen, by_replay
from fintech_toolkit.engines.live.partition_states import PartitionStates, followers
from fintech_toolkit.engines.live.states import (
    KeepsState,
    Kept,
    LiveState,
    Place,
    adopt_states,
    checked,
    load,
    pass_on,
    upstream,
)
from fintech_toolkit.engines.memory.resumable_asof import AsofJoin
from fintech_toolkit.engines.memory.waiting_join import WaitingJoin
from fintech_toolkit.errors import LiveError, PipelineError, StateError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions
from fintech_toolkit.schema import nanoseconds

_MOST_WAITING = 100_000
"""Rows of a side that wait for the other in one partition, before it is read no further."""


class AsofJoinNode(KeepsState):
    """Answers the frames of one stream with those of another, as soon as they can be answered.

    Of two Kafka sources, each partition is joined by itself, and one batch after the other: when all sinks have what it
    answers, the join goes on. Rows that cannot be used (no symbol, no time, later than what the feed had reached) go to
    the dead letters of their source. A side that is ahead by 100,000 rows of a partition is read no further there,
    until the other has come on. References of a batch of the left are held until its rows are answered.

    The states of nodes after it are tied to how many rows it has answered, which is part of its own state: both go on
    together, or not at all.

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
        self._partitions: dict[int, Partition] = {}
        self._answered: dict[int, int] = {}
        self._followers: list[PartitionStates] = []
        for kept in checked(state, self.identity).kept.values() if state is not None else ():
            offsets = {topic: at for (topic, _), at in kept.offsets.items()}
            number = next(number for _, number in kept.offsets)
            seen = Seen(kept.state, offsets, offsets.pop(self.described, 0))
            self._go_on(number, self._partitions.setdefault(number, Partition(seen)), seen)
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
            try:
                await self._advance(side, frame, metadata, batch)
            except BaseException as error:
                batch.feed.fail(error)  # at once: the next batch is waiting for its turn, and must not have it
                raise

    async def _advance(self, side: str, frame: Any, metadata: Any, batch: Batch) -> None:
        after: dict[int, WaitingJoin] = {}
        answers: list[tuple[int, Any]] = []
        frame, counts = batch.parts(frame)
        start = 0
        for number, count in counts.items():
            after[number] = self._taken(side, number, frame.iloc[start : start + count], batch, answers)
            start += count
        await self._send(answers, metadata, batch)
        answered = {number: len(rows) for number, rows in answers}
        for number, join in after.items():
            partition, offset = self._partitions[number], batch.offsets[number][1]
            seen = partition.seen.after(join, answered.get(number, 0), {batch.topic: offset})
            self._go_on(number, partition, seen)
            if side == "right":
                partition.quiet_since = time.monotonic()
            elif join.pending and not batch.replayed:
                batch.progress.waits = True
                self._retain_refs(metadata)
                partition.held.append((join.watermark("left"), metadata))
            self._settle(number, partition)
        self._release_refs(metadata)

    def _taken(
        self, side: str, number: int, rows: pd.DataFrame, batch: Batch, answers: list[tuple[int, pd.DataFrame]]
    ) -> WaitingJoin:
        """Return the join after the rows of a partition, and add what they answer."""
        partition = self._partitions[number]
        start, end = batch.offsets[number]
        seen = partition.seen.offsets.get(batch.topic, start)
        if seen > start:
            raise StateError(
                f"topic {batch.topic!r}, partition {number}: a batch begins at offset {start}, and the join has seen "
                f"the records before {seen}"
            )
        join = partition.seen.join.copy()
        if not len(rows):
            return join
        latest = None if self._ahead is None else batch.latest(rows, self._ahead)
        taken = rows
        if self._followers and side == "left":
            taken = rows.set_axis(batch.offset[rows.index.to_numpy()])  # so that answers say which rows they are of
            partition.replay_end = end if batch.replayed else partition.replay_end
        # Of a batch that is replayed all were answered, or they would not have been committed.
        answered, refused = join.accept(side, taken, latest, answered=batch.replayed and not self._followers)
        if refused:
            wrong = rows.iloc[list(refused)]
            self.rejected += 0 if side == "right" or batch.replayed else len(wrong)
            batch.reject(wrong.index.tolist(), list(refused.values()), wrong)
        if answered is not None and len(answered):
            answers.append((number, answered))
        return join

    async def _send(self, answers: list[tuple[int, pd.DataFrame]], metadata: Any, batch: Batch) -> None:
        """Pass answers on, with the partition of each, and return when all sinks have them: first those that are only
        replayed.
        """
        begins = {number: self._partitions[number].seen.answered for number, _ in answers}
        for again, some in by_replay(answers, self._partitions):
            counts = {number: len(rows) for number, rows in some.items()}
            places = {number: (begins[number], begins[number] + count) for number, count in counts.items()}
            of_answers = replace(
                batch,
                replayed=again,
                offsets={number: batch.offsets[number] for number in some},
                answers=Stand(self.described, places, self._answered),
            ).derived(np.repeat(list(counts), list(counts.values())))
            whole = pd.concat(some.values(), ignore_index=True)
            await asyncio.gather(*pass_on(self, whole, with_batch(metadata, of_answers), of_answers))
            for node in self._followers:
                node.note(of_answers)
            begins |= {number: end for number, (_, end) in places.items()}

    async def _send_late(self, number: int, partition: Partition, join: WaitingJoin, answered: Any) -> None:
        """Pass on answers that no batch has brought about, as those of the last one of the left that waits, if any; the
        join goes on then.
        """
        rows = 0 if answered is None else len(answered)
        if rows:
            offsets = partition.seen.offsets
            topic, feed = next(item for item in self.feeds.items() if item[0] in offsets)
            no_batch = of_no_batch(topic, number, offsets[topic], feed.passed, feed)  # rows out of a saved state
            metadata = partition.held[-1][1] if partition.held else [{"batch": no_batch}]
            await self._send([(number, answered)], metadata, batch_of(metadata))  # type: ignore[arg-type]
        self._go_on(number, partition, partition.seen.after(join, rows, {}))

    def _go_on(self, number: int, partition: Partition, seen: Seen) -> None:
        partition.seen = seen
        if self._topics.get("left") in seen.offsets:
            self._answered[number] = seen.answered

    def _settle(self, number: int, partition: Partition) -> None:
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

    def _watch(self, number: int, partition: Partition) -> None:
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

    def _look_whether_idle(self, number: int, partition: Partition) -> None:
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

    async def _pass_idle(self, number: int, partition: Partition, left: Feed) -> None:
        """Answer what waits for a side that is idle."""
        async with self._turn:
            if left.broken:
                return
            try:
                join = partition.seen.join.copy()
                seen = join.watermark("left") + join.options.after
                await self._send_late(number, partition, join, join.advance(right=seen + 1))
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
                await self._send_late(number, partition, join, join.flush())
                while partition.held:
                    self._release_refs(partition.held.popleft()[1])

    # What a source asks

    @property
    def waiting(self) -> int:
        """How many rows of the left wait for the right."""
        joins = [self.join, *(partition.seen.join for partition in list(self._partitions.values()))]
        return sum(join.pending for join in joins)

    @property
    def state(self) -> LiveState:
        """The joins by partition, each after the last batch of either side that all sinks have finished with."""
        kept = {}
        for number, partition in list(self._partitions.items()):
            seen = partition.seen
            offsets = {(topic, number): at for topic, at in seen.offsets.items()}
            if self._followers:
                offsets[self.described, number] = seen.answered
            kept[self._topics.get("left", min(seen.offsets)), number] = Kept(seen.join, offsets)
        return LiveState(self.identity, kept)

    def follow(self, feed: Feed, topic: str) -> None:
        """Learn which source a topic comes from; it is about to start."""
        sides = [side for side, stream in self._streams.items() if feed in upstream(stream)]
        if len(sides) != 1 or any(self._topics.get(side) == topic for side in self._streams if side not in sides):
            raise PipelineError(f"Both sides of {self.described} come from topic {topic!r}; it takes two topics.")
        self._topics[sides[0]] = topic
        super().follow(feed, topic)
        for number, partition in self._partitions.items():
            self._go_on(number, partition, partition.seen)
        self._followers = followers(self, self.described, self._answered)
        self.origin, self.begins_from = (
            "+".join(sorted(filter(None, (getattr(node, name) for node in self._followers))))
            for name in ("origin", "begins_from")
        )

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
        partition = self._partitions.setdefault(number, Partition(Seen(self.join.of(self.join.options))))
        side = "left" if self._topics.get("left") == topic else "right"
        seen = partition.seen.after(partition.seen.join.forgotten(side), 0, {topic: offset})
        self._go_on(number, partition, seen)
        if side == "left":
            partition.held.clear()
            partition.replay_end = 0
            for node in self._followers:
                node.begin((self.described, number), seen.answered)

    def adopt(self, other: AsofJoinNode, topic: str) -> None:
        """Go on in one side from what an equal node of an earlier stream knows of it; the other side may still run
        there. The states of nodes after it go with the left.
        """
        side = "left" if self._topics.get("left") == topic else "right"
        for number, theirs in other._partitions.items():
            partition = self._partitions.setdefault(number, Partition(Seen(self.join.of(self.join.options))))
            if topic in theirs.seen.offsets and topic not in partition.seen.offsets:
                join = partition.seen.join.with_side(side, theirs.seen.join)
                answered = theirs.seen.answered if side == "left" else 0
                seen = partition.seen.after(join, answered, {topic: theirs.seen.offsets[topic]})
                self._go_on(number, partition, seen)
        if side == "left":
            adopt_states(self._followers, other._followers, topic)


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
