"""Where a source goes on in a partition: what its group has committed, and what its nodes have seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fintech_toolkit.engines.live.states import KeepsState, Place, version_at
from fintech_toolkit.errors import StateError

_METADATA = re.compile(r"since=(?P<since>\d+)( from=(?P<origin>\S+))?")


@dataclass(frozen=True)
class Committed:
    """What a group has committed of a partition.

    Attributes
    ----------
    offset : int or None
        Where all sinks have come to; None if nothing was committed.
    since : int or None
        Where the states of the group's nodes began; None if it is not known.
    origin : str
        The digest of the `State` that they began from; empty if there was none.
    """

    offset: int | None = None
    since: int | None = None
    origin: str = ""

    @classmethod
    def read(cls, offset: int, metadata: str | None) -> Committed:
        """Return what Kafka keeps for a group."""
        if offset < 0:
            return cls()
        found = _METADATA.fullmatch(metadata or "")
        return cls(offset, int(found["since"]), found["origin"] or "") if found else cls(offset)


def commit_metadata(since: int | None, nodes: Sequence[KeepsState]) -> str:
    """Return what is committed beside an offset: where the states of the nodes began, and from which `State`."""
    origin = _joined(node.origin for node in nodes)
    return "" if since is None else f"since={since}" + (f" from={origin}" if origin else "")


def _joined(origins: Iterable[str]) -> str:
    return "+".join(sorted(filter(None, origins)))


@dataclass(frozen=True)
class Resumption:
    """Where to go on in a partition.

    Attributes
    ----------
    start : int
        The offset to read from.
    replay_end : int
        The offset before which all sinks have had the records: those are replayed to nodes with a state only.
    since : int or None
        Where the states of the nodes began; None if it is not known.
    begin : bool
        Whether the nodes begin there, with no records before.
    """

    start: int
    replay_end: int
    since: int | None
    begin: bool = False


def resume(
    place: Place,
    nodes: Sequence[KeepsState],
    committed: Committed,
    passed: int | None,
    first: int,
    low: int,
    *,
    replay: bool,
    fresh: bool,
    group: str,
) -> Resumption:
    """Return where to go on in a partition.

    Parameters
    ----------
    place : (str, int)
        The topic and the partition.
    nodes : sequence of KeepsState
        The nodes whose numbers depend on the records before.
    committed : Committed
        What the group has committed.
    passed : int or None
        Where all sinks have come to, as far as this process knows: a commit can be lost.
    first : int
        Where a group begins that has committed nothing.
    low : int
        The offset of the first record that Kafka still has.
    replay, fresh : bool
        What to do if the nodes have no state to go on from.
    group : str
        The name of the group.

    Raises
    ------
    StateError
        If the nodes have none, and nothing was said.
    """
    topic, partition = place
    where = f"topic {topic!r}, partition {partition}"
    nodes = [node for node in nodes if node.needs_state]
    known = [node.can_go_on_at(place) for node in nodes]
    at = max((offset for offset in (committed.offset, passed) if offset is not None), default=None)
    since = committed.since
    began = {node.since(place) for node in nodes} - {None}
    common = _common(nodes, known, min(began, default=None) if at is None else at)  # type: ignore[type-var]
    if common:
        start = version_at(common, at)
        return Resumption(start, max(start, at or 0), began.pop() if len(began) == 1 else since)
    if at is None or at == since or not nodes:
        start = first if at is None else at
        return Resumption(start, start, start if since is None or at is None else since, begin=True)
    if any(known) and not (fresh or replay):
        raise StateError(
            f"{where}: the states of the nodes have seen the records before different offsets "
            f"({', '.join(str(max(offsets, default=None)) for offsets in known)}); save them when the source has "
            "stopped, or start with replay=True, or fresh=True, and no states"
        )
    if fresh:
        return Resumption(at, at, at, begin=True)
    if not replay:
        raise StateError(
            f"{where}: group {group!r} has come to offset {at}, but no state of the records before is at hand, so that "
            f"the numbers of {_called(nodes)} would be wrong. Give the state that was saved with its offsets, as in "
            "pipeline.live(source, state=…); or have it made again from the topic's records (replay=True, sinks get "
            "nothing twice); or begin with none (fresh=True)"
        )
    if committed.origin != _joined(node.begins_from for node in nodes):
        raise StateError(
            f"{where}: the state of group {group!r} began from a State that was given (pipeline.live(source, state)), "
            "and another is given now, or none: the numbers would be others. Give the same, or the state that was "
            "saved with its offsets, or begin anew (fresh=True)"
        )
    begin = 0 if since is None else since
    if low > begin:
        raise StateError(
            f"{where}: Kafka has no records before offset {low} any more, and the state began at {begin}: it cannot be "
            "made again. Give a state that was saved with its offsets, or begin with none (fresh=True)"
        )
    return Resumption(begin, at, begin, begin=True)


def _common(nodes: Sequence[KeepsState], known: Sequence[set[int]], at: int | None) -> set[int]:
    """Return the offsets at which all nodes can go on; those that pass over what they have seen, wherever sinks are."""
    exact = [offsets for node, offsets in zip(nodes, known, strict=True) if not node.passes_over]
    seen = [offsets for node, offsets in zip(nodes, known, strict=True) if node.passes_over]
    if not all(seen):
        return set()
    least = min((offset for offsets in seen for offset in offsets), default=None)
    if exact:
        common = set.intersection(*exact)
        return common if least is None else {offset for offset in common if offset <= least}
    return set() if least is None else {least if at is None else min(least, at)}


def _called(nodes: Sequence[KeepsState]) -> str:
    return " and ".join(sorted({node.described for node in nodes}))
