"""Nodes of a stream that have a state of each partition, and keep those that may still be gone back to."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fintech_toolkit.engines.live.batch import Batch, Feed, of_no_batch
from fintech_toolkit.engines.live.states import (
    KeepsState,
    Kept,
    LiveState,
    Place,
    checked,
    pass_on,
    states_of,
    version_at,
)
from fintech_toolkit.errors import DataError, PipelineError, StateError


class PartitionStates(KeepsState):
    """A node with a state for each partition of a topic, which a batch makes another of.

    Several batches may be on their way, and any may fail: the state after each is kept until all sinks have the next.

    A symbol's rows must all come in one partition, as they do if the symbol is the key of the messages.
    """

    symbol: str | None
    """The column of symbols, None if all rows are of one."""
    passed: dict[str, Mapping[int, int]]
    """By topic, and by what joins are called, where the batches of each partition end that have passed all sinks."""

    def __init__(self, upstream: Any, state: LiveState | None, **kwargs: Any) -> None:
        self.passed = {}
        self._joins: dict[str, Any] = {}  # by what they are called
        self._versions: dict[Place, dict[int, Any]] = {}
        self._since: dict[Place, int | None] = {}
        self._homes: dict[Any, Place] = {}  # the partition of each symbol
        if state is not None:
            self.origin = state.origin
            for place, kept in checked(state, self.identity).kept.items():
                self._versions[place] = {kept.offsets[place]: kept.state}
                self._since[place] = kept.since
        super().__init__(upstream, **kwargs)

    @abstractmethod
    def fresh(self) -> Any:
        """Return the state of a partition of which nothing has been seen."""

    @abstractmethod
    def unfinished(self, state: Any) -> Any:
        """Return the rows that are still unfinished in the state of a partition, or None."""

    @abstractmethod
    def flush(self) -> Any:
        """Return the rows that are still unfinished, of all partitions, or None; and start afresh."""

    def before(self, batch: Batch, partition: int) -> Any:
        """Return the state of a partition before a batch."""
        stand = batch.stand
        place, (start, _) = (stand.topic, partition), stand.offsets[partition]
        # Those after its start are of batches that failed: what comes of a join may be cut in another way now.
        there = self._versions.get(place, {})
        versions = {at: known for at, known in there.items() if at <= start}
        # A node before may drop the frame of a batch that is still on its way; otherwise it is the very offset.
        if versions:
            self._versions[place] = versions
            return versions[max(versions)]
        if not self.needs_state:
            return self.fresh()
        raise StateError(
            f"topic {stand.topic!r}, partition {partition}: a batch begins at offset {start}, and the states at "
            f"hand have seen the records before {sorted(there)}"
        )

    def keep(self, batch: Batch, partition: int, state: Any) -> None:
        """Keep the state after a batch beside those that may still be needed."""
        stand = batch.stand
        place, (_, end) = (stand.topic, partition), stand.offsets[partition]
        versions = self._versions.get(place, {})
        oldest = version_at(versions, stand.passed.get(partition)) if versions else end
        self._versions[place] = {at: known for at, known in versions.items() if at >= oldest} | {end: state}

    def note(self, batch: Batch) -> None:
        """Note that a batch has been through the stream: of partitions without rows here, the state is as it was."""
        stand = batch.stand
        for partition, (_, end) in stand.offsets.items():
            versions = self._versions.get((stand.topic, partition), {})
            if versions and end not in versions:
                self.keep(batch, partition, versions[version_at(versions, end)])

    def check_homes(self, batch: Batch, partition: int, symbols: Iterable[Any]) -> None:
        """Raise if one of these symbols has come in another partition: each would have half of its rows."""
        place = (batch.stand.topic, partition)
        for symbol in symbols:
            home = self._homes.setdefault(symbol, place)
            if home != place:
                who = "Rows" if self.symbol is None else f"Rows of symbol {symbol!r}"
                raise DataError(
                    f"{who} come in partition {home[1]} of topic {home[0]!r} and in partition {place[1]} of "
                    f"{place[0]!r}, and no order is kept between them; produce them with the symbol as the key."
                )

    # What a source asks, and a join of what follows it

    @property
    def state(self) -> LiveState:
        """The states by partition, each after the last batch that all sinks have finished with."""
        return LiveState(self.identity, {place: self._kept(place) for place in list(self._versions)}, self.origin)

    def _kept(self, place: Place) -> Kept:
        versions = self._versions[place]  # before what has passed, which may go on meanwhile
        passed = self.passed[place[0]].get(place[1]) if place[0] in self.passed else None
        offset = version_at(versions, passed)
        return Kept(versions[offset], {place: offset}, self._since.get(place))

    def follow(self, feed: Feed, topic: str) -> None:
        """Learn which source a topic comes from; it is about to start."""
        super().follow(feed, topic)
        self.passed[topic] = feed.through

    def tie(self, join: Any, answered: Mapping[int, int]) -> None:
        """Learn that what comes here is what a join answers, of which there were so many rows by partition."""
        if self.passed.get(join.described, answered) is not answered:
            raise PipelineError(
                f"{self.described} follows two joins called {join.described}, which its states cannot tell apart."
            )
        self.passed[join.described], self._joins[join.described] = answered, join

    def can_go_on_at(self, place: Place) -> set[int]:
        """Return the offsets of a partition at which it has a state."""
        return set(self._versions.get(place, ()))

    def since(self, place: Place) -> int | None:
        """Return the offset at which its state of a partition began, None if that is not known."""
        return self._since.get(place)

    def begin(self, place: Place, offset: int) -> None:
        """Forget what is known of a partition, and begin with no records before an offset."""
        self._homes = {symbol: home for symbol, home in self._homes.items() if home != place}
        self._versions[place] = {offset: self.fresh()}
        self._since[place] = offset

    def end(self) -> None:
        """Pass on the rows that are still unfinished, as if all that comes here had ended, and begin them anew."""
        if self._versions:
            asyncio.run_coroutine_threadsafe(self._end(), self.loop.asyncio_loop).result()
        elif (rows := self.flush()) is not None:
            self._emit(rows, metadata=[])

    async def _end(self) -> None:
        for place, known in self.state.kept.items():
            rows = self.unfinished(known.state)
            if rows is not None and len(rows):
                topic, number = place
                passed: Any = self.passed.get(topic, {})
                feed: Any = self.feeds.get(topic) or self._joins[topic].sides.feed("left")
                batch = of_no_batch(topic, number, known.offsets[place], passed, feed)
                batch = batch.derived(np.full(len(rows), number))
                await asyncio.gather(*pass_on(self, rows, [{"batch": batch}], batch))
                for node in states_of(self):
                    node.note(batch)
        self.begin_again()

    def begin_again(self) -> None:
        """Forget what is known of all partitions, wherever they stand."""
        for place, versions in self._versions.items():
            self._versions[place] = {at: self.fresh() for at in versions}

    def adopt(self, other: Any, topic: str) -> None:
        """Go on from what an equal node of an earlier stream knows."""
        if not self._versions:
            self._versions, self._since = dict(other._versions), dict(other._since)
            self._homes, self.origin = dict(other._homes), other.origin


def followers(join: KeepsState, answered: Mapping[int, int]) -> list[KeepsState]:
    """Return the nodes whose states are tied to what a join answers, of which there were so many rows by partition.

    Raises
    ------
    PipelineError
        If one of them cannot tell what it follows.
    StateError
        If one of them has no state that goes with that of the join.
    """
    found = states_of(join)
    for node in found:
        node.tie(join, answered)
        for number, rows in answered.items():
            if node.needs_state and not node.goes_on_at((join.described, number), rows):
                raise StateError(
                    f"The state of {join.described} has answered {rows} rows of partition {number}, and "
                    f"{node.described} has none that goes with it: give the states of both as they were saved "
                    "together, when their sources had stopped, or of neither."
                )
    return found
