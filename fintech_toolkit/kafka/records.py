"""Records of a topic by column, which is how all but the consumer sees them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message

Numbers = npt.NDArray[np.int64]


class Record(NamedTuple):
    """One record, and where it is from."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, eq=False)
class Records:
    """Records of a topic, in order of offset within each partition.

    Attributes
    ----------
    topic : str
        The topic of all.
    partition, offset : ndarray of int64
        Where each is from.
    sent : ndarray of int64
        When each was written, in milliseconds since 1970; not positive if Kafka does not say.
    keys, values : list of bytes or None
        What each holds.
    """

    topic: str
    partition: Numbers
    offset: Numbers
    sent: Numbers
    keys: list[bytes | None]
    values: list[bytes | None]

    @classmethod
    def of(cls, topic: str, messages: Sequence[Message]) -> Records:
        """Return the records that messages of a topic are."""
        return cls(
            topic,
            np.fromiter(map(Message.partition, messages), np.int64, len(messages)),
            np.fromiter(map(Message.offset, messages), np.int64, len(messages)),
            np.fromiter((sent for _, sent in map(Message.timestamp, messages)), np.int64, len(messages)),
            list(map(Message.key, messages)),
            list(map(Message.value, messages)),
        )

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: int) -> Record:
        where = int(self.partition[place]), int(self.offset[place])
        return Record(self.topic, *where, self.keys[place], self.values[place])

    def __add__(self, other: Records) -> Records:
        if not len(self) or not len(other):
            return self if len(self) else other
        return Records(
            self.topic,
            np.concatenate([self.partition, other.partition]),
            np.concatenate([self.offset, other.offset]),
            np.concatenate([self.sent, other.sent]),
            self.keys + other.keys,
            self.values + other.values,
        )

    def cut(self, start: int, stop: int | None = None) -> Records:
        """Return those from one place to another."""
        at = slice(start, stop)
        numbers = self.partition[at], self.offset[at], self.sent[at]
        return Records(self.topic, *numbers, self.keys[at], self.values[at])

    def take(self, which: npt.NDArray[np.bool_]) -> Records:
        """Return some of them."""
        if which.all():
            return self
        places = np.flatnonzero(which)
        return self._at(places)

    def by_partition(self) -> Records:
        """Return them by partition; within each they are in order already."""
        if (self.partition[1:] >= self.partition[:-1]).all():
            return self
        return self._at(np.argsort(self.partition, kind="stable"))

    def sizes(self) -> Numbers:
        """Return how many bytes the values have."""
        return np.fromiter(map(len, [value or b"" for value in self.values]), np.int64, len(self))

    def _at(self, places: npt.NDArray[np.intp]) -> Records:
        order = places.tolist()
        keys, values = [self.keys[place] for place in order], [self.values[place] for place in order]
        return Records(self.topic, self.partition[places], self.offset[places], self.sent[places], keys, values)


class _CollectorPause:
    """Keeps Python's cyclic garbage collector from running, in whatever thread, unless it is off anyway.

    The messages of a batch are 20,000 objects that it tracks and that live for a moment. It would take them for
    long-lived and look through all objects of the process after every few batches: a third of a record's CPU time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._was_on = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._holders:
                self._was_on = gc.isenabled()
                gc.disable()
            self._holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            if not self._holders and self._was_on:
                gc.enable()


collector_paused = _CollectorPause()
