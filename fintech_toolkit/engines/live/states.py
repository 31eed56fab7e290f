"""What the stateful nodes of a live stream know, by partition of a topic, tied to the offsets that they have seen."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from streamz import Stream

from fintech_toolkit.engines.live.batch import Batch, Feed
from fintech_toolkit.engines.memory.refusals import declared_anew
from fintech_toolkit.engines.memory.resumable_asof import AsofJoin
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.engines.memory.state_file import read_state_file, write_state_file
from fintech_toolkit.engines.memory.waiting_join import WaitingJoin
from fintech_toolkit.engines.memory.window_run import WindowRows
from fintech_toolkit.errors import StateError

Place = tuple[str, int]
"""A topic, and the number of one of its partitions."""

KIND = b"fintech_toolkit.live_state"
IDENTITY, ORIGIN = b"fintech_toolkit.live_state.of", b"fintech_toolkit.live_state.from"
_KINDS: dict[str, Any] = {"State": State, "AsofJoin": AsofJoin, "WaitingJoin": WaitingJoin, "WindowRows": WindowRows}


@dataclass(frozen=True)
class Kept:
    """A state, and for each partition that went into it the offset of the first record that it has not seen.

    `since` is the offset at which it began, None if that is not known.
    """

    state: Any
    offsets: Mapping[Place, int]
    since: int | None = None


class LiveState(Mapping[Place, Any]):
    """The states of a live node by topic and partition, each tied to the offsets from which it goes on.

    A node's ``state`` gives it at any time, also while the stream runs: for every partition the state after the last
    batch that all sinks have finished with. A stream that starts from it goes on exactly there.

    Parameters
    ----------
    identity : str
        The pipeline or join that it belongs to, as JSON; another one refuses it.
    kept : mapping
        The states.
    origin : str
        The digest of the `State` that they began from; empty if there was none.

    Attributes
    ----------
    offsets : dict of (str, int) to int
        For each topic and partition, the offset of the first record that its state has not seen.
    """

    def __init__(self, identity: str, kept: Mapping[Place, Kept], origin: str = "") -> None:
        self.identity = identity
        self.origin = origin
        self.kept = dict(kept)
        self.offsets = {place: at for kept in self.kept.values() for place, at in kept.offsets.items()}

    def __getitem__(self, place: Place) -> Any:
        return self.kept[place].state

    def __iter__(self) -> Iterator[Place]:
        return iter(self.kept)

    def __len__(self) -> int:
        return len(self.kept)

    def __repr__(self) -> str:
        offsets = (f"{topic}[{number}] up to {at}" for (topic, number), at in sorted(self.offsets.items()))
        return f"<LiveState: {', '.join(offsets) or 'nothing seen'}>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the states and their offsets to one file, sealed as `State.save` does: all of it, or nothing.

        Raises
        ------
        StateError
            If there is no such folder, or the package that a URL needs is not installed.
        """
        rows = [
            {
                "topic": topic,
                "partition": number,
                "offsets": json.dumps([[*place, at] for place, at in sorted(kept.offsets.items())]),
                "since": kept.since,
                "kind": type(kept.state).__name__,
                "state": kept.state.to_bytes(),
            }
            for (topic, number), kept in sorted(self.kept.items())
        ]
        strings = [pa.field(name, pa.string()) for name in ("topic", "offsets", "kind")]
        numbers = [pa.field(name, pa.int64()) for name in ("partition", "since")]
        schema = pa.schema([*strings, *numbers, pa.field("state", pa.large_binary())])
        metadata = {KIND: b"1", IDENTITY: self.identity.encode(), ORIGIN: self.origin.encode()}
        write_state_file(path, pa.Table.from_pylist(rows, schema), metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LiveState:
        """Read what `save` wrote.

        Raises
        ------
        StateError
            If the file is damaged, cut short, or not a saved live state.
        """
        return read_state_file(path, "saved live state", cls.from_file)

    @classmethod
    def from_file(cls, table: pa.Table, metadata: Mapping[bytes, bytes]) -> LiveState:
        """Return what the table and metadata of such a file hold."""
        kept = {}
        for row in table.to_pylist():
            offsets = {(topic, number): at for topic, number, at in json.loads(row["offsets"])}
            state = _KINDS[row["kind"]].from_bytes(row["state"])
            kept[row["topic"], row["partition"]] = Kept(state, offsets, row["since"])
        return cls(metadata[IDENTITY].decode(), kept, metadata[ORIGIN].decode())


class KeepsState(Stream):  # type: ignore[misc]
    """A node whose results depend on the records before.

    A source asks it before a partition is read where it can go on, and begins there.
    """

    identity: str
    described: str
    needs_state: bool
    """Whether its numbers are others without the records before."""
    origin = ""
    """The digest of the `State` that its states began from; empty if there was none."""
    begins_from = ""
    """The digest of the `State` from which it would begin now."""
    one_topic = True
    """Whether what it passes on is tied to the offsets of one topic, as what comes to it is."""
    whole = False
    """Whether its state is of all partitions of the topic together, so that one process must read them all."""
    passes_over = False
    """Whether it passes over records that it has seen, if they come again."""
    rejected = 0
    """How many rows it could not use and has put aside."""
    feeds: dict[str, Feed]
    """The source of each topic that has started."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """How many rows wait in it for others."""

    @property
    @abstractmethod
    def state(self) -> LiveState:
        """The states by partition, each after the last batch that all sinks have finished with."""

    @abstractmethod
    def can_go_on_at(self, place: Place) -> set[int]:
        """Return the offsets of a partition at which it has a state."""

    def goes_on_at(self, place: Place, offset: int) -> bool:
        """Whether it can go on in a partition with the record of an offset."""
        return offset in self.can_go_on_at(place)

    def since(self, place: Place) -> int | None:
        """Return the offset at which its state of a partition began, None if that is not known."""
        return None

    @abstractmethod
    def begin(self, place: Place, offset: int) -> None:
        """Forget what is known of a partition, and begin with no records before an offset."""

    def go_on(self, place: Place, offset: int) -> None:
        """Learn that a partition is read again from an offset, at which it has a state: what it knows of records after
        that is of batches that failed.
        """

    def note(self, batch: Batch) -> None:
        """Note that a batch has been through the stream, whether a node before has let its rows come here or not."""

    @abstractmethod
    def adopt(self, other: Any, topic: str) -> None:
        """Go on from what an equal node of an earlier stream knows of a topic, which is read there no more."""

    def follow(self, feed: Feed, topic: str) -> None:
        """Learn which source a topic comes from; it is about to start.

        Raises
        ------
        PipelineError
            If a node after this one cannot keep a state of what comes out of it.
        """
        self.feeds[topic] = feed

    @abstractmethod
    def tie(self, join: Any, answered: Mapping[int, int]) -> None:
        """Learn that what comes here is what a join answers, of which there were so many rows by partition.

        Raises
        ------
        PipelineError
            If it cannot tell it from what another join answers.
        """

    def unfollow(self, topic: str) -> None:
        """Learn that the source of a topic has ended."""


def load(path: str | os.PathLike[str]) -> State | LiveState:
    """Read a state that was saved, with or without offsets.

    Raises
    ------
    StateError
        If the file is damaged, cut short, or neither.
    """
    return read_state_file(
        path,
        "saved state",
        lambda table, metadata: (
            LiveState.from_file(table, metadata) if KIND in metadata else State.from_file(table, metadata)
        ),
    )


def version_at(offsets: Collection[int], passed: int | None) -> int:
    """Return the offset of the last state that is not ahead of the sinks, of several; the first, if all are."""
    return max((offset for offset in offsets if passed is not None and offset <= passed), default=min(offsets))


def children(node: Stream) -> list[Stream]:
    """Return the nodes that a node feeds, from its side output too."""
    late = getattr(node, "late", None)
    return [*node.downstreams, *(late.downstreams if isinstance(late, Stream) else ())]


def downstream(node: Stream) -> Iterator[Stream]:
    """Walk over all nodes that a node feeds."""
    for child in children(node):
        yield child
        yield from downstream(child)


def upstream(node: Stream) -> Iterator[Stream]:
    """Walk over a node and all that feed it."""
    yield node
    for before in node.upstreams:
        yield from upstream(before)


def states_of(node: Stream) -> list[KeepsState]:
    """Return the nodes whose states are tied to what a node passes on; those after a join are tied to the join."""
    found: dict[KeepsState, None] = {}
    for child in children(node):
        if isinstance(child, KeepsState):
            found[child] = None
        if not isinstance(child, KeepsState) or child.one_topic:
            found |= dict.fromkeys(states_of(child))
    return list(found)


def adopt_states(nodes: Iterable[KeepsState], others: Iterable[KeepsState], topic: str) -> None:
    """Have nodes go on from what equal ones of an earlier stream know of a topic."""
    there = list(others)
    for node in nodes:
        for other in there:
            if other.identity == node.identity:
                node.adopt(other, topic)
                there.remove(other)
                break


def pass_on(node: Stream, frame: Any, metadata: Any, batch: Batch | None) -> Any:
    """Emit a frame to all nodes after this one; one without rows, or whose records are replayed, to states only."""
    if batch is None or (len(frame) and not batch.replayed):
        return node._emit(frame, metadata=metadata)
    results: list[Any] = []
    for child in list(node.downstreams):
        if any(isinstance(after, KeepsState) for after in (child, *downstream(child))):
            result = child.update(frame, who=node, metadata=metadata)
            results += result if isinstance(result, list) else [result]
    return [result for result in results if result is not None]


def checked(state: LiveState, identity: str) -> LiveState:
    """Return a state, if it belongs to what is to go on from it.

    Raises
    ------
    StateError
        If not.
    """
    if state.identity != identity:
        why = declared_anew(state.identity, identity)
        raise StateError(f"This state belongs to another stream:\n  {state.identity}\nnot to\n  {identity}\n{why}")
    return state
