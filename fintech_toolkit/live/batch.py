"""One micro-batch of a Kafka topic: where its rows came from, and what becomes of those that cannot be used."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import Message

from fintech_toolkit.live.codecs import encode_arrow
from fintech_toolkit.live.dead_letters import DeadLetters

_RATE_SECONDS = 5.0


@dataclass(frozen=True)
class Counts:
    """Records of a source so far.

    Attributes
    ----------
    received : int
        Records read from the topic (rows, where a message holds many).
    emitted : int
        Records that went down the stream.
    rejected : int
        Records that could not be decoded, or that a pipeline's checks refused. ``received == emitted + rejected``
        whenever no batch is on its way.
    """

    received: int = 0
    emitted: int = 0
    rejected: int = 0


class Counter:
    """The counts, kept from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, int]] = deque()
        self.counts = Counts()

    def add(self, received: int = 0, emitted: int = 0, rejected: int = 0) -> None:
        """Add to the counts."""
        with self._lock:
            now = self.counts
            self.counts = Counts(now.received + received, now.emitted + emitted, now.rejected + rejected)
            if received:
                self._recent.append((time.monotonic(), received))
                while self._recent[0][0] < time.monotonic() - _RATE_SECONDS:
                    self._recent.popleft()

    @property
    def rate(self) -> float:
        """Records received per second, over the last five seconds."""
        with self._lock:
            since = time.monotonic() - _RATE_SECONDS
            return sum(count for at, count in self._recent if at > since) / _RATE_SECONDS


@dataclass(frozen=True)
class Batch:
    """Where the rows of a frame came from; it travels with the frame in streamz' metadata, as ``"batch"``.

    Attributes
    ----------
    id : int
        Number of the batch within its source, from 0.
    topic : str
        Topic of all rows.
    offsets : dict of int to (int, int)
        For each partition the batch read from: offset of its first record, and the offset to go on from. Offsets
        have gaps: ``to - from`` is no number of records.
    partition, offset : ndarray of int64
        For each row of the frame as it was emitted. The frame's index says which row is which, also after rows were
        dropped or moved.
    replayed : bool
        Whether the frame is replayed to rebuild state, and the sinks have had it before.
    """

    id: int
    topic: str
    offsets: dict[int, tuple[int, int]]
    partition: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    _table: pa.Table = field(repr=False)
    _row_message: npt.NDArray[np.int64] = field(repr=False)
    _messages: Sequence[Message] = field(repr=False)
    _dead_letters: DeadLetters = field(repr=False)
    _counter: Counter = field(repr=False)
    replayed: bool = False
    done: threading.Event = field(default_factory=threading.Event, repr=False)

    def reject(self, rows: Iterable[int], reasons: Iterable[str], frame: pa.Table | None = None) -> None:
        """Put rows aside as dead letters that were emitted and turned out to be of no use.

        Parameters
        ----------
        rows : iterable of int
            Labels of the rows in the index of the emitted frame.
        reasons : iterable of str
            Why, for each.
        frame : pyarrow.Table, optional
            These rows as a sink wanted to write them.

        Raises
        ------
        LiveError
            If the source has no topic for dead letters.
        """
        for row, reason in zip(rows, reasons, strict=True):
            position = self._row_message[row]
            first, last = np.searchsorted(self._row_message, [position, position + 1])
            if last - first == 1:
                self._dead_letters.send(self._messages[position], reason)
            else:
                (value,) = encode_arrow(self._table.slice(row, 1))
                self._dead_letters.send(self._messages[position], reason, int(row - first), value)
            self._counter.add(emitted=-1, rejected=1)
