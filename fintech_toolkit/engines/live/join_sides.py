"""Where the two sides of a join come from: each of a topic, or of what another join answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from streamz import Stream

from fintech_toolkit.engines.live.batch import Feed
from fintech_toolkit.engines.live.states import KeepsState, upstream
from fintech_toolkit.errors import PipelineError

_MOST_WAITING = 100_000
"""Rows of a side that wait for the other in one partition, before it is read no further."""
_OTHER = {"left": "right", "right": "left"}


def origins(node: Stream) -> Iterator[Stream]:
    """Yield the sources that a node's frames come of; of what is behind a join, the join."""
    if (isinstance(node, KeepsState) and not node.one_topic) or not node.upstreams:
        yield node
    else:
        for before in node.upstreams:
            yield from origins(before)


class JoinSides:
    """Where the sides of a join come from.

    Parameters
    ----------
    left, right : Stream
        Its streams.

    Attributes
    ----------
    names : dict of str to str
        By side its topic, or what the join is called whose answers it takes, as far as they have started.
    """

    def __init__(self, left: Stream, right: Stream) -> None:
        self._streams = {"left": left, "right": right}
        self._origins: dict[str, Any] = {}
        self.names: dict[str, str] = {}

    @property
    def before(self) -> Any:
        """A join that this one is behind, None if it is behind none."""
        found = [origin for stream in self._streams.values() for origin in origins(stream)]
        return next((origin for origin in found if isinstance(origin, KeepsState)), None)

    @property
    def one(self) -> bool:
        """Whether both sides come of the same: a batch brings rows of both."""
        return len(self.names) == 2 and len(set(self.names.values())) == 1

    def learn(self, origin: Stream, name: str, described: str) -> None:
        """Learn what is called so that one side comes of, or both.

        Raises
        ------
        PipelineError
            If something else is called so too.
        """
        mine = [side for side, stream in self._streams.items() if origin in list(origins(stream))]
        for side, known in self._origins.items():
            if self.names[side] == name and known is not origin and side not in mine:
                what = "two joins" if isinstance(origin, KeepsState) else "two sources of topic"
                raise PipelineError(
                    f"The sides of {described} come from {what} {name!r}, which its state cannot tell apart: "
                    "let one feed both."
                )
        for side in mine:
            self.names[side], self._origins[side] = name, origin

    def sides_of(self, name: str) -> list[str]:
        """Return the sides that come of what is called so."""
        return [side for side, known in self.names.items() if known == name]

    def feeds(self, side: str) -> list[Feed]:
        """Return the sources that a side comes of in the end, as far as they have started."""
        origin = self._origins.get(side)
        if isinstance(origin, KeepsState):
            sides: JoinSides = origin.sides
            return [*sides.feeds("left"), *sides.feeds("right")]
        return [] if origin is None else [origin]

    def feed(self, side: str) -> Feed | None:
        """Return the source whose rows a side has, with those of others joined to them; None before it has started."""
        return next(iter(self.feeds(side)), None)

    def check_partitions(self, described: str) -> None:
        """Raise if topics differ in their number of partitions, or the rows of several have become one stream."""
        counts = {feed.topic: feed.partitions for side in _OTHER for feed in self.feeds(side) if feed.partitions}
        if max(counts.values(), default=1) > 1:
            for whole in (node for side in self._streams.values() for node in upstream(side)):
                if isinstance(whole, KeepsState) and whole.whole:
                    raise PipelineError(
                        f"{described} joins partition by partition, and follows {whole.described}, which makes one "
                        f"stream of them: {counts}; give topics of one partition."
                    )
        if len(set(counts.values())) > 1:
            raise PipelineError(
                f"{described} joins partition by partition, and its topics differ in their number: {counts}; "
                "give all as many, and the same key."
            )

    def hold(self, number: int, waiting: Mapping[str, int]) -> None:
        """Have the side of which too many rows of a partition wait for the other read no further, until that has come
        on. A source that both sides need is never held for one of them.
        """
        if not _disjoint(self.feeds("left"), self.feeds("right")):
            return
        for side, other in _OTHER.items():
            feed, behind = self.feed(side), self.feed(other)
            if feed is not None:
                if waiting[side] > _MOST_WAITING and behind is not None and not behind.stopped:
                    feed.holds.hold(self, number, f"waits for topic {self.names.get(other)!r}")
                else:
                    feed.holds.let_go(self, number)

    def let_go(self, name: str, numbers: Iterable[int]) -> None:
        """Have what waits for a topic, whose source has ended, go on."""
        for side in self.sides_of(name):
            feed = self.feed(_OTHER[side])
            if feed is not None:
                for number in numbers:
                    feed.holds.let_go(self, number)


def _disjoint(some: list[Feed], others: list[Feed]) -> bool:
    return not any(one is other for one in some for other in others)
