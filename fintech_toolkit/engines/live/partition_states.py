"""Nodes of a stream that have a state of each partition, and keep those that may still be gone back to."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fintech_toolkit.engines.live.batch import Batch, Feed, Stand, of_no_batch
from fintech_toolkit.engines.live.states import (
    KeepsState,
    Kept,
    LiveState,
    Place,
    checked,
    pass_on,
    states_of,
    upstream,
    version_at,
)
from fintech_toolkit.errors import DataError, PipelineError, StateError


@dataclass(frozen=True)
class Version:
    """The states of some partitions at a time, and for each the offset of the first record that it has not seen."""

    offsets: Mapping[int, int]
    states: Mapping[int, Any]


class PartitionStates(KeepsState):
    """A node with a state for each partition of a topic, which a batch makes another of.

    Several batches may be on their way, and any may fail: the states after each are kept until all sinks have the next.
    Each partition goes on by itself; but where rows of several are looked at together, by this node or one before it,
    their states are kept together, and it is to the offsets of all that one goes back.

    A symbol's rows must all come in one partition, as they do if the symbol is the key of the messages.
    """

    across = False
    """Whether it looks at the rows of all partitions together."""

    symbol: str | None
    """The column of symbols, None if all rows are of one."""
    passed: dict[str, Mapping[int, int]]
    """By topic, and by what joins are called, where the batches of each partition end that have passed all sinks."""

    def __init__(self, source: Any, state: LiveState | None, **kwargs: Any) -> None:
        self.passed = {}
        self.follows_whole = any(getattr(node, "whole", False) for node in upstream(source))
        self.whole = self.across or self.follows_whole
        self._joins: dict[str, Any] = {}  # by what they are called
        # By topic and partition, or topic alone if they are kept together; then by the sum of offsets, which grows from
        # batch to batch, so that what is of batches that failed lies beyond where reading begins again.
        self._versions: dict[_Group, dict[int, Version]] = {}
        self._since: dict[Place, int | None] = {}
        self._homes: dict[Any, Place] = {}  # the partition of each symbol
        if state is not None:
            self.origin = state.origin
            for place, kept in checked(state, self.identity).kept.items():
                self._add(place, kept.offsets[place], kept.state)
                self._since[place] = kept.since
        super().__init__(source, **kwargs)

    @abstractmethod
    def fresh(self) -> Any:
        """Return the state of a partition of which nothing has been seen."""

    @abstractmethod
    def unfinished(self, state: Any) -> Any:
        """Return the rows that are still unfinished in the state of a partition, or None."""

    @abstractmethod
    def flush(self) -> Any:
        """Return the rows that are still unfinished, of all partitions, or None; and start afresh."""

    def before(self, batch: Batch) -> dict[int, Any]:
        """Return the states of the partitions of a batch before it."""
        stand, found = batch.stand, dict[int, Any]()
        for group, numbers in self._groups(stand).items():
            starts = [stand.offsets[number][0] for number in numbers]
            # Those after its start are of batches that failed: what comes of a join may be cut in another way now.
            there = self._versions.get(group, {})
            versions = {at: known for at, known in there.items() if at <= sum(starts)}
            # A node before may drop the frame of a batch that is still on its way; otherwise it is the very offset.
            if versions:
                self._versions[group] = versions
                states = versions[max(versions)].states
                found |= {number: states[number] for number in numbers}
            elif not self.needs_state:
                found |= {number: self.fresh() for number in numbers}
            else:
                raise StateError(
                    f"topic {stand.topic!r}, partition {_listed(numbers)}: a batch begins at offset {_listed(starts)}, "
                    "and the states at hand have seen the records before "
                    + (" or ".join(_listed(known.offsets.values()) for known in there.values()) or "none")
                )
        return found

    def keep(self, batch: Batch, states: Mapping[int, Any]) -> None:
        """Keep the states after a batch, of all its partitions, beside those that may still be needed."""
        for group, numbers in self._groups(batch.stand).items():
            self._keep(batch.stand, group, {number: states[number] for number in numbers})

    def _keep(self, stand: Stand, group: _Group, states: Mapping[int, Any]) -> None:
        after = Version({number: stand.offsets[number][1] for number in states}, states)
        end, versions = sum(after.offsets.values()), self._versions.get(group, {})
        oldest = _last_passed(versions, stand.passed) if versions else end
        self._versions[group] = {at: known for at, known in versions.items() if at >= oldest} | {end: after}

    def note(self, batch: Batch) -> None:
        """Note that a batch has been through the stream: of partitions without rows here, the state is as it was."""
        stand = batch.stand
        for group, numbers in self._groups(stand).items():
            end, versions = sum(stand.offsets[number][1] for number in numbers), self._versions.get(group, {})
            if versions and end not in versions:
                self._keep(stand, group, versions[version_at(versions, end)].states)

    def _group(self, place: Place) -> _Group:
        topic, number = place
        return topic, None if self.whole else number

    def _groups(self, stand: Stand) -> dict[_Group, list[int]]:
        """Return the partitions of a batch by what is kept together."""
        groups: dict[_Group, list[int]] = {}
        for number in stand.offsets:
            groups.setdefault(self._group((stand.topic, number)), []).append(number)
        return groups

    def _add(self, place: Place, offset: int, state: Any) -> None:
        """Have a state of a partition, beside those of others that are kept together with it."""
        group, (topic, number) = self._group(place), place
        known = self._restart(topic, group) or Version({}, {})
        offsets = {**known.offsets, number: offset}
        self._versions[group] = {sum(offsets.values()): Version(offsets, {**known.states, number: state})}

    def _restart(self, topic: str, group: _Group) -> Version | None:
        """Return where all partitions that are kept together go on if reading begins again."""
        versions = self._versions.get(group)
        feed = self.feeds.get(topic)
        passed = self.passed.get(topic, {}) if feed is None else feed.passed
        return versions[_last_passed(versions, passed)] if versions else None

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
        kept = {}
        for topic, version in self.at_sinks():
            for number, offset in version.offsets.items():
                place = (topic, number)
                kept[place] = Kept(version.states[number], {place: offset}, self._since.get(place))
        return LiveState(self.identity, kept, self.origin)

    def at_sinks(self) -> list[tuple[str, Version]]:
        """Return by topic what is kept together, as all sinks have it."""
        known = list(self._versions.items())  # before what has passed, which may go on meanwhile
        return [
            (topic, versions[_last_passed(versions, dict(self.passed.get(topic, {})))])
            for (topic, _), versions in known
        ]

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
        (topic, number), group = place, self._group(place)
        if self.whole:  # all partitions go back to the same time
            known = self._restart(topic, group)
            return {known.offsets[number]} if known is not None and number in known.offsets else set()
        return set(self._versions.get(group, ()))

    def since(self, place: Place) -> int | None:
        """Return the offset at which its state of a partition began, None if that is not known."""
        return self._since.get(place)

    def begin(self, place: Place, offset: int) -> None:
        """Forget what is known of a partition, and begin with no records before an offset."""
        self._homes = {symbol: home for symbol, home in self._homes.items() if home != place}
        self._add(place, offset, self.fresh())
        self._since[place] = offset

    def end(self) -> None:
        """Pass on the rows that are still unfinished, as if all that comes here had ended, and begin them anew."""
        if self._versions:
            asyncio.run_coroutine_threadsafe(self._end(), self.loop.asyncio_loop).result()
        elif (rows := self.flush()) is not None:
            self._emit(rows, metadata=[])

    async def _end(self) -> None:
        for topic, version in self.at_sinks():
            for rows in filter(len, self.left_over(version.states)):
                passed: Any = self.passed.get(topic, {})
                feed: Any = self.feeds.get(topic) or self._joins[topic].sides.feed("left")
                batch = of_no_batch(topic, version.offsets, passed, feed)
                batch = batch.derived(np.full(len(rows), min(version.offsets)))
                numbered = rows.reset_index(drop=True)
                await asyncio.gather(*pass_on(self, numbered, [{"batch": batch}], batch))
                for node in states_of(self):
                    node.note(batch)
        self.begin_again()

    def left_over(self, states: Mapping[int, Any]) -> list[Any]:
        """Return the frames of rows that are still unfinished in the states of partitions that are kept together."""
        frames = [self.unfinished(state) for state in states.values()]
        return [rows for rows in frames if rows is not None]

    def go_on(self, place: Place, offset: int) -> None:
        """Forget what is of batches that failed: other batches come now, and the sums of offsets may be the same."""
        group = self._group(place)
        versions = self._versions.get(group, {})
        self._versions[group] = {at: known for at, known in versions.items() if known.offsets[place[1]] <= offset}

    def begin_again(self) -> None:
        """Forget what is known of all partitions, wherever they stand."""
        for group, versions in self._versions.items():
            self._versions[group] = {
                at: Version(known.offsets, dict.fromkeys(known.offsets, self.fresh())) for at, known in versions.items()
            }

    def adopt(self, other: Any, topic: str) -> None:
        """Go on from what an equal node of an earlier stream knows."""
        if not self._versions:
            self._versions, self._since = dict(other._versions), dict(other._since)
            self._homes, self.origin = dict(other._homes), other.origin


_Group = tuple[str, int | None]


def _last_passed(versions: Mapping[int, Version], passed: Mapping[int, int]) -> int:
    """Return the key of the last version that is not ahead of the sinks, of several; the first, if all are."""
    first = versions[min(versions)].offsets
    return version_at(versions, sum(passed.get(number, at) for number, at in first.items()))


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


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
