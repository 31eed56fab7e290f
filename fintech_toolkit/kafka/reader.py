"""The thread of a source: messages to frames to sinks, three stages at a time, and the commit at the end."""

from __future__ import annotations

import concurrent.futures
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fintech_toolkit.engines.live.batch import Batch, Feed
from fintech_toolkit.kafka.codecs import ArrowDecoder, JsonDecoder
from fintech_toolkit.kafka.counts import Counter
from fintech_toolkit.kafka.dead_letters import DeadLetters
from fintech_toolkit.kafka.membership import Membership, Position
from fintech_toolkit.kafka.message_schema import to_frame
from fintech_toolkit.kafka.records import Records

_DEPTH = 2  # batches on their way through nodes and sinks while the next is read and decoded
_FEW = 1_000  # records, before it is known how large they are
_MEMBERSHIP_SECONDS = 1.0  # how often a consumer that waits for its sinks shows that it is alive
_FAREWELL_SECONDS = 0.3  # what a stopped source leaves to sinks that are still at work
_DRAIN_SECONDS = 5.0  # what sinks are left before partitions go to another member, or the group has given this one up


@dataclass
class _OnItsWay:
    """A batch that the sinks have not finished with."""

    batch: Batch
    received: int
    delivered: concurrent.futures.Future[None]

    @property
    def passed(self) -> bool:
        """Whether nodes and sinks have taken it; a join may still keep rows of it."""
        return self.delivered.done()

    @property
    def done(self) -> bool:
        return self.passed and self.batch.progress.done.is_set()


class Reader:
    """Reads a topic in batches and sees them through the stream.

    Parameters
    ----------
    topic : str
        Topic to read.
    membership : callable
        Makes the `Membership`, given what to call to drain partitions.
    decoder : JsonDecoder or ArrowDecoder
        What makes tables of messages.
    batch_size, batch_bytes, batch_time : int, int, float
        Most rows and bytes of a batch, and how many seconds it waits for them.
    ids : iterator of int
        Numbers for the batches.
    passed : dict of int to int
        For each partition, where the batches end that have passed all sinks; kept up to date.
    counter, dead_letters : Counter, DeadLetters
        Where records are counted, and put aside.
    deliver : callable
        Takes a frame and its batch and returns a future of their having passed all sinks.
    feed : Feed
        The source, for nodes.
    """

    def __init__(
        self,
        topic: str,
        membership: Callable[[Callable[[set[int]], None]], Membership],
        decoder: JsonDecoder | ArrowDecoder,
        *,
        batch_size: int,
        batch_bytes: int,
        batch_time: float,
        ids: Iterator[int],
        passed: dict[int, int],
        counter: Counter,
        dead_letters: DeadLetters,
        deliver: Callable[[pd.DataFrame, Batch], concurrent.futures.Future[None]],
        feed: Feed,
    ) -> None:
        self.doing = "starting"
        self.lag: dict[int, int] = {}
        self.membership = membership(self._drain)
        self._topic = topic
        self._decoder = decoder
        self._batch_size, self._batch_bytes, self._batch_time = batch_size, batch_bytes, batch_time
        self._ids = ids
        self._passed = passed
        self._counter = counter
        self._dead_letters = dead_letters
        self._deliver = deliver
        self._feed = feed
        self._failed = False
        self._on_their_way: deque[_OnItsWay] = deque()
        self._waiting = Records.of(topic, [])  # read, and not yet part of a batch
        self._later = Records.of(topic, [])  # the same, and not to be before all partitions have been replayed
        self._record_bytes = batch_bytes / min(_FEW, batch_size)

    def run(self, patience: float, wait_for_topic: float) -> bool:
        """Read, deliver and commit until stopped or at the end; return whether the group gave us up before that.

        It does so when it heard nothing of us for too long, as when the broker was away. librdkafka would rejoin,
        but has been seen to wait for ever for commits that were under way at the time; so the reader has come to
        its end, and a new one goes on from what was committed.

        Parameters
        ----------
        patience, wait_for_topic : float
            How many seconds to wait at the beginning for Kafka, and for the topic.

        Raises
        ------
        Exception
            What a node, a sink or Kafka raised.
        """
        membership = self.membership
        try:
            membership.connect(patience, wait_for_topic, self._say)
            while not (membership.lost or self._feed.stopped or self._at_end()):
                # What goes on together is replayed to where it stood, whatever waits for what.
                membership.pause(self._replayed() if self._replays() else set(self._feed.holds.now(self.lag)))
                self._process(self._next_records())
                self._commit()
                self.lag = membership.lag() if not membership.lost else {}
            self._finish()
            return membership.lost
        except BaseException:
            self._failed = True
            raise
        finally:
            membership.close()

    def _at_end(self) -> bool:
        return self.membership.at_end() and not len(self._waiting) and not len(self._later)

    def _replayed(self) -> set[int]:
        """Return the partitions of which nothing is to be replayed any more."""
        unsent = np.unique(self._waiting.partition).tolist()
        # Offsets have gaps: the last record that is replayed may lie well before the end.
        return set(self._later.partition.tolist()) | {
            number
            for number, position in self.membership.positions.items()
            if max(position.next, 0 if number in unsent else position.reached) >= position.replay_end
        }

    def _replays(self) -> bool:
        """Whether partitions that go on together wait until all of them have been replayed."""
        return self.membership.whole and not self._replayed() >= self.membership.positions.keys()

    def _say(self, doing: str) -> None:
        self.doing = doing

    def _next_records(self) -> Records:
        """Return the records of the next batch, of no more bytes than it may have."""
        if len(self._later) and not self._replays():
            self._waiting, self._later = self._later + self._waiting, self._later.cut(0, 0)
        most = max(1, min(self._batch_size, round(self._batch_bytes / self._record_bytes)))
        timeout = 0.0 if len(self._waiting) else self._batch_time
        more = self.membership.poll(max(1, most - len(self._waiting)), timeout)
        records = self._waiting + more  # asking may have dropped some that waited
        if not len(records):
            return records
        sizes = np.cumsum(records.sizes())
        self._record_bytes = max(1.0, float(sizes[-1]) / len(records))
        fit = max(1, int(np.searchsorted(sizes, self._batch_bytes, "right")))
        self._waiting = records.cut(fit)
        return records.cut(0, fit)

    def _process(self, records: Records) -> None:
        """Send records down the stream: first those that are only replayed, and none together with others that not
        all nodes have seen.
        """
        if not len(records):
            return
        known = dict(self.membership.positions)
        replayed = np.zeros(len(records), np.bool_)
        cut = np.full(len(records), -1)  # of partitions that have gone since their records came
        for number in np.unique(records.partition).tolist():
            if number in known:
                mine = records.partition == number
                replayed[mine] = records.offset[mine] < known[number].replay_end
                cut[mine] = np.searchsorted(known[number].cuts, records.offset[mine], side="right")
        parts = [
            (again, records.take((replayed == again) & (cut == place)))
            for again in (True, False)
            for place in range(int(cut.max(initial=-1)) + 1)
        ]
        while parts:
            again, some = parts.pop(0)
            if len(some) and not again and self._replays():
                self._later += some
            elif len(some) and len(left := self._send(some.by_partition(), again, known)):
                for _, others in parts:
                    left = left + others
                stayed = [number for number in known if self._has_stayed(number, known)]
                self._waiting = left.take(np.isin(left.partition, stayed)) + self._waiting
                return

    def _has_stayed(self, partition: int, known: Mapping[int, Position]) -> bool:
        """Whether a partition has been ours without a break; one that came back is read anew."""
        return self.membership.positions.get(partition) is known[partition]

    def _send(self, records: Records, replayed: bool, known: Mapping[int, Position]) -> Records:
        """Decode records and send them down the stream when there is room; return those that did not go."""
        decoded = self._decoder.decode(records.values, self._batch_size)
        sent, left = records.cut(0, decoded.taken), records.cut(decoded.taken)
        if not self._await(self._wait_for_room):
            return records.cut(0, 0)
        if not all(self._has_stayed(number, known) for number in np.unique(sent.partition).tolist()):
            return records
        batch = Batch(
            id=next(self._ids),
            topic=self._topic,
            offsets=self._advance(sent.partition, sent.offset),
            partition=sent.partition[decoded.message],
            offset=sent.offset[decoded.message],
            feed=self._feed,
            replayed=replayed,
            _origin=(decoded.table, decoded.message, sent),
            _dead_letters=self._dead_letters,
        )
        if not replayed:
            batch.progress.undecoded = len(decoded.rejected)
            for place, reason in decoded.rejected:
                self._dead_letters.send(sent[place], reason)
        received = len(decoded.message) + len(decoded.rejected)
        self._on_their_way.append(_OnItsWay(batch, received, self._deliver(to_frame(decoded.table), batch)))
        return left

    def _advance(self, partition: npt.NDArray[np.int64], offset: npt.NDArray[np.int64]) -> dict[int, tuple[int, int]]:
        """Return where a batch begins and ends in each of its partitions, or in all if these go on together."""
        positions = self.membership.positions
        bounds = {n: (known.next, known.next) for n, known in positions.items()} if self.membership.whole else {}
        for number in np.unique(partition).tolist():
            position = positions[number]
            end = int(offset[partition == number][-1]) + 1
            bounds[number] = (position.next, end)
            position.next = end
            position.reached = max(position.reached, end)
        return bounds

    def _wait_for_room(self, seconds: float) -> bool:
        """Wait until another batch may go down the stream, and return whether it may; raise what a batch raised."""
        running = [one.delivered for one in self._on_their_way if not one.passed]
        if len(running) >= _DEPTH:
            concurrent.futures.wait(running[:1], seconds)
        self._commit()
        return sum(not one.passed for one in self._on_their_way) < _DEPTH

    def _await(self, over: Callable[[float], bool], patience: float = math.inf) -> bool:
        """Wait for something and return whether it came in time: a stopped source has little of it left.

        Meanwhile the consumer is polled, or the group would take it for dead; paused, so that little comes.
        """
        polled = time.monotonic()
        deadline = polled + patience
        while not over(0.05):
            now = time.monotonic()
            if self._feed.stopped:
                deadline = min(deadline, now + _FAREWELL_SECONDS)
            if now > deadline:
                return False
            if now - polled > _MEMBERSHIP_SECONDS and not self.membership.lost:
                self.membership.pause(set(self.membership.positions))
                more = self.membership.poll(_FEW, 0)
                self._waiting = self._waiting + more  # asking may have dropped some that waited
                polled = now
        return True

    def _commit(self) -> None:
        """Commit the batches that all sinks have finished with, in their order; raise what one of them raised."""
        if self._feed.failure is not None:
            raise self._feed.failure
        for one in self._on_their_way:
            if one.passed:
                one.delivered.result()
        if self._on_their_way and self._on_their_way[0].done and self._await(self._dead_letters.flush):
            self._commit_done()

    def _commit_done(self) -> None:
        to: dict[int, int] = {}
        while self._on_their_way and self._on_their_way[0].done and self._on_their_way[0].delivered.exception() is None:
            one = self._on_their_way.popleft()
            to |= {number: end for number, (_, end) in one.batch.offsets.items()}
            if not one.batch.replayed:
                self._counter.add(one.received, len(one.batch.progress.rejected) + one.batch.progress.undecoded)
        self._passed |= to
        positions = self.membership.positions
        self.membership.commit({n: end for n, end in to.items() if n in positions and end > positions[n].replay_end})

    def _drain(self, partitions: set[int]) -> None:
        """See through what is on its way before partitions go to another member, and drop what has not begun.

        It runs in a callback of the consumer, so nothing here may ask it for messages.
        """
        self._waiting, self._later = (
            records.take(~np.isin(records.partition, list(partitions))) for records in (self._waiting, self._later)
        )
        if self._failed:
            return
        deadline = time.monotonic() + (_FAREWELL_SECONDS if self._feed.stopped else _DRAIN_SECONDS)
        for one in list(self._on_their_way):
            concurrent.futures.wait([one.delivered], max(0.0, deadline - time.monotonic()))
            if one.passed and not one.batch.progress.waits:
                one.batch.progress.done.wait(max(0.0, deadline - time.monotonic()))
        if self._dead_letters.flush(max(0.0, deadline - time.monotonic())):
            self._commit_done()

    def _finish(self) -> None:
        """See through what is on its way; rows that a join keeps come again, or out of its state."""

        def over(seconds: float) -> bool:
            self._commit()
            left = [one for one in self._on_their_way if not (one.done or (one.passed and one.batch.progress.waits))]
            if left:
                concurrent.futures.wait([left[0].delivered], seconds)
                if left[0].passed:
                    left[0].batch.progress.done.wait(seconds)
            return not left

        self._await(over, _DRAIN_SECONDS if self.membership.lost else math.inf)
        self._commit()
        if self._await(self._dead_letters.flush):
            self._feed.settled |= self._feed.through
