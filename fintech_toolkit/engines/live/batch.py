"""One micro-batch of a Kafka topic: where its rows came from, and what becomes of those that cannot be used."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.live.holds import Holds
from fintech_toolkit.errors import LiveError, PipelineError

_MILLISECOND = 1_000_000


class Feed(Protocol):
    """What nodes ask of the source of a batch."""

    topic: str
    stopped: bool
    failure: BaseException | None
    """What a node said that no batch has brought about."""
    passed: dict[int, int]
    """For each partition, where the batches end that have passed all sinks."""
    through: dict[int, int]
    """For each partition, where the batches end that have come through all nodes and sinks; rows may wait in joins."""
    holds: Holds
    """Which partitions nodes have read no further."""
    settled: dict[int, int]
    """The same, as it was when a reader last came to its end in peace, with all dead letters delivered."""

    @property
    def broken(self) -> bool:
        """Whether a batch has failed, so that none after it may begin."""

    @property
    def partitions(self) -> int:
        """How many partitions its topic has, 0 before it is known."""

    def caught_up(self, partition: int) -> bool:
        """Whether all records of a partition have been read."""

    def fail(self, error: BaseException) -> None:
        """Stop because of an error that no batch has brought about."""


class SentRecords(Protocol):
    """What a batch asks of the records that it was made of."""

    @property
    def sent(self) -> npt.NDArray[np.int64]:
        """When each was written, in milliseconds since 1970; not positive if that is not known."""

    def __getitem__(self, place: int) -> Any:
        """Return one of them, as its dead letters take it."""


class PutsAside(Protocol):
    """Where a batch puts what cannot be used."""

    def send(self, record: Any, reason: str, row: int | None = None, rows: pa.Table | None = None) -> None:
        """Put a record aside, or one of its rows with a table of that row alone."""

    def send_row(
        self, topic: str, partition: int, first_offset: int, reason: str, rows: pa.Table | pd.DataFrame | None, row: int
    ) -> None:
        """Put one of several rows aside that no single record stands for; without them, where it came from."""


class Progress:
    """What becomes of a batch."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.waits = False
        """Whether a join keeps rows of it until the other side has passed them."""
        self.undecoded = 0
        """How many messages could not be decoded."""
        self.rejected: set[int] = set()
        """Rows of the emitted frame that were put aside."""


@dataclass(frozen=True)
class Stand:
    """What the states of nodes are tied to.

    Attributes
    ----------
    topic : str
        A topic, or what a join is called.
    offsets : dict of int to (int, int)
        For each partition where a batch begins and ends in it: offsets, or how many rows the join had answered.
    passed : mapping of int to int
        For each partition, where the batches end that have passed all sinks.
    rows : ndarray of int64, optional
        For each row of the frame as it was emitted, which it is of the rows that the join has answered.
    """

    topic: str
    offsets: Mapping[int, tuple[int, int]]
    passed: Mapping[int, int]
    rows: npt.NDArray[np.int64] | None = field(default=None, repr=False)


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
        have gaps: ``to - from`` is no number of records. Where a node looks at all partitions together, those that
        it read nothing from are there too.
    partition, offset : ndarray of int64
        For each row of the frame as it was emitted. The frame's index says which row is which, also after rows were
        dropped or moved.
    replayed : bool
        Whether all sinks have had these records before: they are read again to rebuild a state, and go no further
        than to nodes that have one.
    answers : Stand or None
        Where its rows stand among the answers of a join, if they are.
    made : bool
        Whether a node made the rows of all that the batch has, so that none stands for a record or an answer.
    """

    id: int
    topic: str
    offsets: dict[int, tuple[int, int]]
    partition: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    feed: Feed = field(repr=False)
    replayed: bool = False
    answers: Stand | None = field(default=None, repr=False)
    made: bool = field(default=False, repr=False)
    _origin: tuple[pa.Table, npt.NDArray[np.int64], SentRecords] | None = field(default=None, repr=False)
    _dead_letters: PutsAside | None = field(default=None, repr=False)
    progress: Progress = field(default_factory=Progress, repr=False)

    @property
    def stand(self) -> Stand:
        """What the states of nodes are tied to that take its rows."""
        return self.answers or Stand(self.topic, self.offsets, self.feed.passed)

    def places(self, rows: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Return where each row stands: its offset, or which it is of the rows that a join has answered."""
        known = self.offset if self.answers is None or self.answers.rows is None else self.answers.rows
        places: npt.NDArray[np.int64] = known[rows.index.to_numpy()]
        return places

    def parts(self, frame: Any) -> tuple[Any, dict[int, int]]:
        """Return a frame that came of this batch, ordered by partition, and how many of its rows each partition has.

        Raises
        ------
        PipelineError
            If the frame's index does not say which rows they are.
        """
        if len(self.offsets) == 1 and isinstance(frame, pd.DataFrame):
            return frame, dict.fromkeys(self.offsets, len(frame))
        try:
            partition = self.partition[frame.index.to_numpy()]
        except (AttributeError, IndexError, TypeError):
            raise PipelineError(
                f"A {type(frame).__name__} came down the stream whose index does not say which records of topic "
                f"{self.topic!r} its rows are; nodes before a pipeline keep the index of their frames."
            ) from None
        if (partition[1:] < partition[:-1]).any():  # a node has moved rows
            order = np.argsort(partition, kind="stable")
            frame, partition = frame.iloc[order], partition[order]
        numbers = sorted(self.offsets)
        ends = np.searchsorted(partition, numbers, side="right")
        return frame, dict(zip(numbers, np.diff(ends, prepend=0).tolist(), strict=True))

    def latest(self, rows: pd.DataFrame, ahead: int) -> npt.NDArray[np.int64]:
        """Return the latest time that each row may have, `ahead` nanoseconds after its message was written."""
        if self._origin is None:
            return np.full(len(rows), np.iinfo(np.int64).max)
        _, row_message, records = self._origin
        sent = records.sent[row_message[rows.index.to_numpy()]]
        latest: npt.NDArray[np.int64] = np.where(sent > 0, sent * _MILLISECOND + ahead, np.iinfo(np.int64).max)
        return latest

    def derived(self, partition: npt.NDArray[np.int64]) -> Batch:
        """Return what travels with rows that a node made of this batch, a partition for each."""

        def ends(bounds: Mapping[int, tuple[int, int]]) -> npt.NDArray[np.int64]:
            last = {number: max(start, end - 1) for number, (start, end) in bounds.items()}
            return np.array([last[number] for number in partition.tolist()], np.int64)

        answers = None if self.answers is None else replace(self.answers, rows=ends(self.answers.offsets))
        return replace(self, partition=partition, offset=ends(self.offsets), answers=answers, made=True, _origin=None)

    def answered(
        self, stand: Stand, partition: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], *, replayed: bool
    ) -> Batch:
        """Return what travels with rows that a join answers when it has this batch: a partition for each, and which
        they are of all that it has answered.
        """
        offsets = {number: self.offsets[number] for number in stand.offsets}
        batch = replace(self, offsets=offsets, replayed=replayed, answers=stand).derived(partition)
        return replace(batch, answers=replace(stand, rows=rows), made=False)

    def reject(self, rows: Iterable[int], reasons: Iterable[str], frame: pa.Table | pd.DataFrame | None = None) -> None:
        """Put rows aside as dead letters that were emitted and turned out to be of no use.

        Parameters
        ----------
        rows : iterable of int
            Labels of the rows in the index of the emitted frame.
        reasons : iterable of str
            Why, for each.
        frame : Table or DataFrame, optional
            Those rows, for the case that a node made them and no message stands for them.

        Raises
        ------
        LiveError
            If the source has no topic for dead letters.
        """
        if self.replayed:
            return
        if self._dead_letters is None:
            raise LiveError("; ".join(reasons))
        for place, (row, reason) in enumerate(zip(rows, reasons, strict=True)):
            if self._origin is None:
                where = self.topic, int(self.partition[row]), int(self.offset[row])
                self._dead_letters.send_row(*where, reason, frame, place)
                continue
            if row in self.progress.rejected:  # by another sink: it is among the dead letters already
                continue
            self.progress.rejected.add(row)
            table, row_message, records = self._origin
            position = int(row_message[row])
            first, last = np.searchsorted(row_message, [position, position + 1])
            if last - first == 1:
                self._dead_letters.send(records[position], reason)
            else:
                self._dead_letters.send(records[position], reason, int(row - first), table.slice(row, 1))


def batch_of(metadata: Sequence[dict[str, Any]] | None) -> Batch | None:
    """Return the batch that travels in streamz' metadata, None without a Kafka source."""
    return next((entry["batch"] for entry in metadata or () if "batch" in entry), None)


def of_no_batch(topic: str, offsets: Mapping[int, int], passed: Mapping[int, int], feed: Feed) -> Batch:
    """Return what travels with rows that no batch has brought about, after all before an offset of each partition."""
    nothing, bounds = np.empty(0, np.int64), {number: (at, at) for number, at in offsets.items()}
    return Batch(-1, topic, bounds, nothing, nothing, feed, answers=Stand(topic, bounds, passed))


def with_batch(metadata: Sequence[dict[str, Any]], batch: Batch) -> list[dict[str, Any]]:
    """Return metadata in which another batch travels."""
    return [{**entry, "batch": batch} if "batch" in entry else entry for entry in metadata]
