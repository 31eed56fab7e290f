"""What a join of two streams knows of one partition of both topics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.engines.live.batch import Batch, Progress
from fintech_toolkit.engines.memory.waiting_join import WaitingJoin
from fintech_toolkit.errors import StateError


@dataclass(frozen=True)
class Seen:
    """A join, by topic the offset of the first record that it has not seen, and how many rows it has answered. Of what
    another join answers it has seen so many rows.

    None of these is ever changed, a batch makes new ones: whoever looks meanwhile sees all before it, or all after.
    """

    join: WaitingJoin
    offsets: Mapping[str, int] = field(default_factory=dict)
    answered: int = 0

    def after(self, join: WaitingJoin, answered: int, offsets: Mapping[str, int]) -> Seen:
        """Return what there is when the join has gone on: some rows were answered, and some offsets are others."""
        return Seen(join, {**self.offsets, **offsets}, self.answered + answered)


@dataclass
class Partition:
    """What is known of one partition of both topics.

    Attributes
    ----------
    seen : Seen
        The join as all sinks have it, and what it has seen.
    coming : list of ((Progress, int), Seen)
        Of a join whose sides both come of one topic, which has seen a batch when it has seen the rows of both: what it
        comes to with batches that are on their way, and which they are and where they end.
    held : deque
        For batches of the left of which rows wait: their latest time, and their references, so that nothing is
        committed before it is answered.
    quiet_since : float
        When the right was last heard of.
    watched : bool
        Whether it will be looked at when the right may have become idle.
    replay_end : int
        The offset of the left before which rows were answered before: they are answered again for states only.
    """

    seen: Seen
    coming: list[tuple[tuple[Progress, int], Seen]] = field(default_factory=list)
    held: deque[tuple[int, Any]] = field(default_factory=deque)
    quiet_since: float = field(default_factory=time.monotonic)
    watched: bool = False
    replay_end: int = 0

    @property
    def latest(self) -> Seen:
        """The join with all that it was given."""
        return self.coming[-1][1] if self.coming else self.seen

    @latest.setter
    def latest(self, seen: Seen) -> None:
        if self.coming:
            self.coming[-1] = (self.coming[-1][0], seen)
        else:
            self.seen = seen

    def unseen(self, batch: Batch, number: int, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a batch that the join has not seen, which comes again if a node beside it has failed.

        Raises
        ------
        StateError
            If that cannot be told of rows that a node made.
        """
        stand = batch.stand
        start, end = stand.offsets[number]
        again = bool(self.coming) and self.coming[-1][0] == (batch.progress, end)  # with the rows of the other side
        if self.coming and not again and self.latest.offsets[stand.topic] > start:
            self.coming.clear()  # of batches that failed
        before = [self.seen, *(seen for _, seen in self.coming)][-2 if again else -1]
        seen = before.offsets.get(stand.topic, start)
        if batch.made and start < seen < end:
            raise StateError(
                f"topic {stand.topic!r}, partition {number}: a batch begins at offset {start}, and the join has seen "
                f"the records before {seen}, of which a node before has made rows: start with replay=True"
            )
        return rows[batch.places(rows) >= seen] if seen > start else rows

    def go_on(self, batch: Batch, number: int, seen: Seen, *, both: bool) -> None:
        """Note what a batch makes of it, at once or when `both` sides have come through."""
        if not both:
            self.seen = seen
            return
        key = (batch.progress, batch.stand.offsets[number][1])
        if self.coming and self.coming[-1][0] == key:
            self.coming.pop()
        self.coming.append((key, seen))

    def come_through(self, batch: Batch, number: int) -> None:
        """Note that a batch has come through, of which there may have been no row here."""
        stand = batch.stand
        _, end = stand.offsets[number]
        for place, (key, seen) in enumerate(self.coming):
            if key == (batch.progress, end):
                self.seen = seen
                del self.coming[: place + 1]
                return
        offsets = {stand.topic: max(end, self.seen.offsets.get(stand.topic, end))}
        self.seen = self.seen.after(self.seen.join, 0, offsets)

    def let_go(self, join: WaitingJoin) -> list[Any]:
        """Return the references of batches of the left that are all answered when the join has come so far."""
        oldest = join.oldest
        return [entry for latest, some in self.held if oldest is None or latest < oldest for entry in some]


Answers = Sequence[tuple[int, pd.DataFrame]]
"""Rows that a join answers, and the partition that they are of."""


def by_replay(answers: Answers, partitions: Mapping[int, Partition]) -> Iterator[tuple[bool, dict[int, pd.DataFrame]]]:
    """Yield the answers that are only replayed, those to rows, told by their offset, that were answered before; then
    the others. Of each there are some.
    """
    for again in (True, False):
        some = {}
        for number, rows in answers:
            end = partitions[number].replay_end
            earlier = rows.index.to_numpy() < end if end else np.zeros(len(rows), np.bool_)
            if (earlier == again).any():
                some[number] = rows[earlier == again]
        if some:
            yield again, some
