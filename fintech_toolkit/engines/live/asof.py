"""An as-of join as a node of two streams of frames."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from streamz import Stream

from fintech_toolkit.engines.live.batch import Batch, Feed, Stand, batch_of, of_no_batch, with_batch
from fintech_toolkit.engines.live.join_partition import Partition, Seen, by_replay
from fintech_toolkit.engines.live.join_sides import JoinSides
from fintech_toolkit.engines.live.partition_states import followers
from fintech_toolkit.engines.live.states import (
    KeepsState,
    Kept,
    LiveState,
    Place,
    adopt_states,
    checked,
    load,
    pass_on,
)
from fintech_toolkit.engines.memory.resumable_asof import AsofJoin
from fintech_toolkit.engines.memory.waiting_join import WaitingJoin
from fintech_toolkit.errors import LiveError, PipelineError, StateError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions
from fintech_toolkit.schema import nanoseconds


class AsofJoinNode(KeepsState):
    """Answers the frames of one stream with those of another, as soon as they can be answered.

    Of two Kafka sources, each partition is joined by itself, and one batch after the other: when all sinks have what it
    answers, the join goes on. Rows that cannot be used (no symbol, no time, later than what the feed had reached) go to
    the dead letters of their source. A side that is ahead by 100,000 rows of a partition is read no further there,
    until the other has come on. References of a batch of the left are held until its rows are answered.

    The states of nodes after it are tied to how many rows it has answered, which is part of its own state: both go on
    together, or not at all. A join after it takes along the references of what it answers, so that nothing is committed
    before that one has answered it, too. If both sides come of one source, a batch has been seen when it has come
    through on both. Records that come again, because a node beside this one has failed, are passed over.

    Attributes
    ----------
    join : WaitingJoin
        The join in progress over frames that come from no Kafka source: ``join.pending``, ``join.save``.
    """

    needs_state = True
    one_topic = False
    passes_over = True

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
        self.sides = JoinSides(left, right)
        self.described += f" after {self.sides.before.described}" if self.sides.before is not None else ""
        self._left = left
        self._idle = None if idle is None else nanoseconds(idle, "idle") / 1e9
        self._ahead = None if ahead is None else nanoseconds(ahead, "ahead")
        self._held: list[Any] = []
        self._turn = asyncio.Lock()
        self._passing: set[asyncio.Task[None]] = set()
        self._partitions: dict[int, Partition] = {}
        self._answered: dict[int, int] = {}
        self._since: dict[Place, int] = {}
        self._followers: list[KeepsState] = []
        for kept in checked(state, self.identity).kept.values() if state is not None else ():
            offsets = {topic: at for (topic, _), at in kept.offsets.items()}
            number = next(number for _, number in kept.offsets)
            seen = Seen(kept.state, offsets, offsets.pop(self.described, 0))
            self._partitions.setdefault(number, Partition(seen)).seen = seen
        super().__init__(upstreams=(left, right), **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Take a frame of one side and pass on the rows that it answers."""
        side = "left" if who is self._left else "right"
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
            self.sides.check_partitions(self.described)
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
        let_go = [entry for number, _ in answers for entry in self._partitions[number].let_go(after[number])]
        # A join that answers later holds what these rows are of; not what has made them known.
        of_rows = metadata if side == "left" else [{"batch": batch}]
        await self._send(answers, [*of_rows, *let_go], batch)
        answered = {number: len(rows) for number, rows in answers}
        name = batch.stand.topic
        for number, join in after.items():
            partition = self._partitions[number]
            end = max(batch.stand.offsets[number][1], partition.latest.offsets.get(name, 0))
            seen = partition.latest.after(join, answered.get(number, 0), {name: end})
            partition.go_on(batch, number, seen, both=self.sides.one)
            self._note_answered(number)
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
        rows = partition.unseen(batch, number, rows)
        join = partition.latest.join.copy()
        if not len(rows):
            return join
        latest = None if self._ahead is None else batch.latest(rows, self._ahead)
        taken = rows
        if self._followers and side == "left":
            taken = rows.set_axis(batch.places(rows))  # so that answers say which rows they are of
            partition.replay_end = batch.stand.offsets[number][1] if batch.replayed else partition.replay_end
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
        begins = {number: self._partitions[number].latest.answered for number, _ in answers}
        for again, some in by_replay(answers, self._partitions):
            bounds = {number: (begins[number], begins[number] + len(rows)) for number, rows in some.items()}
            partition = np.repeat(list(some), list(map(len, some.values())))
            rows = np.concatenate([np.arange(*each) for each in bounds.values()])
            of_answers = batch.answered(Stand(self.described, bounds, self._answered), partition, rows, replayed=again)
            whole = pd.concat(some.values(), ignore_index=True)
            await asyncio.gather(*pass_on(self, whole, with_batch(metadata, of_answers), of_answers))
            for node in self._followers:
                node.note(of_answers)
            begins |= {number: end for number, (_, end) in bounds.items()}

    async def _send_late(self, number: int, partition: Partition, join: WaitingJoin, answered: Any) -> None:
        """Pass on answers that no batch has brought about, as those of batches that wait, if any; the join goes on."""
        rows = 0 if answered is None else len(answered)
        if rows:
            metadata = [entry for _, some in reversed(partition.held) for entry in some]
            if not metadata:  # rows out of a saved state
                name, offset = next(iter(partition.seen.offsets.items()))
                feed = self.sides.feed("left") or self.sides.feed("right")
                metadata = [{"batch": of_no_batch(name, {number: offset}, self._answered, feed)}]  # type: ignore[arg-type]
            await self._send([(number, answered)], metadata, batch_of(metadata))  # type: ignore[arg-type]
        partition.latest = partition.latest.after(join, rows, {})
        self._note_answered(number)

    def _note_answered(self, number: int) -> None:
        """Note for the nodes after it how many rows it has answered, as all sinks have them."""
        seen = self._partitions[number].seen
        if self.sides.names.get("left") in seen.offsets:
            self._answered[number] = seen.answered

    def _settle(self, number: int, partition: Partition) -> None:
        """Let go of batches that are answered, and hold the side that is ahead."""
        join = partition.latest.join
        oldest = join.oldest
        while partition.held and (oldest is None or partition.held[0][0] < oldest):
            self._release_refs(partition.held.popleft()[1])
        self.sides.hold(number, {"left": join.pending, "right": join.ahead})
        self._watch(number, partition)

    def _watch(self, number: int, partition: Partition) -> None:
        """Look at a partition again when its right side may have become idle."""
        if self._idle is not None and partition.latest.join.pending and not partition.watched:
            partition.watched = True
            asyncio.get_running_loop().call_later(self._idle, self._look_whether_idle, number, partition)

    def _look_whether_idle(self, number: int, partition: Partition) -> None:
        right, left = self.sides.feed("right"), self.sides.feed("left")
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
                join = partition.latest.join.copy()
                seen = join.watermark("left") + join.options.after
                await self._send_late(number, partition, join, join.advance(right=seen + 1))
                self._settle(number, partition)
            except BaseException as error:
                left.fail(error)

    def flush(self) -> Any:
        """Pass on the rows that still wait, when both feeds have ended."""
        if self.sides.names:
            asyncio.run_coroutine_threadsafe(self._flush(), self.loop.asyncio_loop).result()
            return None
        return self._answer(self.join.flush())

    async def _flush(self) -> None:
        async with self._turn:
            for number, partition in self._partitions.items():
                join = partition.latest.join.copy()
                await self._send_late(number, partition, join, join.flush())
                while partition.held:
                    self._release_refs(partition.held.popleft()[1])

    # What a source asks

    @property
    def waiting(self) -> int:
        """How many rows of the left wait for the right."""
        joins = [self.join, *(partition.latest.join for partition in list(self._partitions.values()))]
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
            kept[self.sides.names.get("left", min(seen.offsets)), number] = Kept(seen.join, offsets)
        return LiveState(self.identity, kept)

    def follow(self, feed: Feed, topic: str) -> None:
        """Learn which source a topic comes from; it is about to start."""
        super().follow(feed, topic)
        self.sides.learn(feed, topic, self.described)
        self._tie_followers()

    def tie(self, join: KeepsState, answered: Mapping[int, int]) -> None:
        """Learn that a side comes of what another join answers."""
        self.sides.learn(join, join.described, self.described)
        self._tie_followers()

    def _tie_followers(self) -> None:
        for number in self._partitions:
            self._note_answered(number)
        self._followers = followers(self, self._answered)
        self.origin, self.begins_from = (
            "+".join(sorted(filter(None, (getattr(node, name) for node in self._followers))))
            for name in ("origin", "begins_from")
        )

    def unfollow(self, topic: str) -> None:
        """Learn that the source of a topic has ended: the other need not wait for it any more."""
        self.sides.let_go(topic, list(self._partitions))

    def note(self, batch: Batch) -> None:
        """Note that a batch has come through, on both sides if both come of its topic."""
        if self.sides.sides_of(batch.stand.topic):
            for number in batch.stand.offsets.keys() & self._partitions.keys():
                self._partitions[number].come_through(batch, number)
                self._note_answered(number)

    def can_go_on_at(self, place: Place) -> set[int]:
        """Return the offset of the first record of a partition that it has not seen."""
        topic, number = place
        offsets = self._partitions[number].seen.offsets if number in self._partitions else {}
        return {offsets[topic]} if topic in offsets else set()

    def goes_on_at(self, place: Place, offset: int) -> bool:
        """Whether it can go on in a partition with the record of an offset."""
        return any(offset <= seen for seen in self.can_go_on_at(place))

    def since(self, place: Place) -> int | None:
        """Return the offset at which its state of a partition began, None if that is not known."""
        return self._since.get(place)

    def begin(self, place: Place, offset: int) -> None:
        """Forget what is known of a partition of one side, and begin with no records before an offset."""
        topic, number = place
        self._since[place] = offset
        partition = self._partitions.setdefault(number, Partition(Seen(self.join.of(self.join.options))))
        partition.coming.clear()
        for side in self.sides.sides_of(topic):
            partition.seen = partition.seen.after(partition.seen.join.forgotten(side), 0, {topic: offset})
        self._note_answered(number)
        if "left" in self.sides.sides_of(topic):
            partition.held.clear()
            partition.replay_end = 0
            for node in self._followers:
                node.begin((self.described, number), partition.seen.answered)

    def adopt(self, other: AsofJoinNode, topic: str) -> None:
        """Go on in one side from what an equal node of an earlier stream knows of it; the other side may still run
        there. The states of nodes after it go with the left.
        """
        sides = self.sides.sides_of(topic)
        for number, theirs in other._partitions.items():
            partition = self._partitions.setdefault(number, Partition(Seen(self.join.of(self.join.options))))
            if topic not in theirs.seen.offsets or topic in partition.seen.offsets:
                continue
            for side in sides:
                answered = theirs.seen.answered if side == "left" else 0
                join = partition.seen.join.with_side(side, theirs.seen.join)
                partition.seen = partition.seen.after(join, answered, {topic: theirs.seen.offsets[topic]})
            self._note_answered(number)
        if "left" in sides:
            adopt_states(self._followers, other._followers, self.described)


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
    if right is left:  # a stream hands a frame to a node once
        right = right.map(lambda frame: frame)
    return AsofJoinNode(left, right, options, state, idle, ahead)
