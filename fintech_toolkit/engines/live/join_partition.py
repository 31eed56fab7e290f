"""What a join of two streams knows of one partition of both topics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.engines.memory.waiting_join import WaitingJoin


@dataclass(frozen=True)
class Seen:
    """A join as all sinks have it, by topic the offset of the first record that it has not seen, and how many rows it
    has answered.

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
        The join, and what it has seen.
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
    held: deque[tuple[int, Any]] = field(default_factory=deque)
    quiet_since: float = field(default_factory=time.monotonic)
    watched: bool = False
    replay_end: int = 0


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
