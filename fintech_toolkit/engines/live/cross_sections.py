"""Cross-sections as a node of a stream: those of a time come out when all partitions of a topic are past it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fintech_toolkit.engines.live.batch import Batch
from fintech_toolkit.engines.live.windows import WindowNode
from fintech_toolkit.engines.memory.cross_run import CrossOperator, PartOperator, PartsOperator
from fintech_toolkit.engines.memory.window_run import WindowRows
from fintech_toolkit.errors import LiveError, PipelineError

_MOST_WAITING = 100_000
"""Rows of a partition that wait for others, before it is read no further."""


class CrossSectionNode(WindowNode):
    """Passes on the cross-sections of times that are over.

    Of a Kafka topic it needs all partitions in one process. A time is over when each of them is past it, by the latest
    time of its rows that have come here: a partition of which no row has come, be it that it has none or that nodes
    before have dropped them, holds all times back, and the rows of others wait, until `end`. A row is late by the rows
    of its own partition, so that it does not matter in which order partitions are read; one of which 100,000 rows wait
    is read no further while the one behind has more. The states of all are kept together, here and in nodes that
    follow: what comes out is one stream, of the topic's first partition.
    """

    across = True
    alone = CrossOperator
    of_part = PartOperator

    def _of_batch(self, frame: Any, metadata: Any, batch: Batch) -> Any:
        self._check_partitions(batch)
        return super()._of_batch(frame, metadata, batch)

    def _hold(self, states: Mapping[int, WindowRows], batch: Batch) -> None:
        """Have partitions read no further of which too many rows wait for one that is behind."""
        slowest = min(states, key=lambda number: states[number].seen)
        why = f"waits for partition {slowest}, which {self.described} needs"
        for number, rows in states.items():
            if number != slowest and len(rows) > _MOST_WAITING:
                batch.feed.holds.hold(self, number, why, slowest)
            else:
                batch.feed.holds.let_go(self, number)

    def _check_partitions(self, batch: Batch) -> None:
        count = batch.feed.partitions
        if batch.stand.topic != batch.topic and count > 1:
            raise PipelineError(
                f"{self.described} follows a join of topics with {count} partitions, of which it cannot know how far "
                "each has come; make it before the join, or of topics with one partition."
            )
        if count and batch.offsets.keys() != set(range(count)):
            raise LiveError(
                f"topic {batch.topic!r} had {count} partitions when this source started, and the source has "
                f"{sorted(batch.offsets)} now: others have gone to another consumer of its group, or were added. "
                f"{self.described} needs all partitions in one process, or a topic of one partition: let the group "
                "have one consumer, and start it again."
            )

    def _parts(self, states: Mapping[int, WindowRows]) -> PartsOperator:
        first = min(states)
        return PartsOperator(self._node, {first: states[first]} if self.follows_whole else states)

    def close(self, over: dict[int, Any], after: dict[int, WindowRows], batch: Batch) -> dict[int, WindowRows]:
        """Add the cross-sections that are over to what is, as rows of the first partition; return the states then."""
        parts = self._parts(after)
        if (closed := parts.close()) is not None:
            over[min(after)] = closed
        self._hold(parts.parts, batch)
        return after | parts.parts

    def left_over(self, states: Mapping[int, WindowRows]) -> list[Any]:
        """Return the cross-sections that are not over in the states of all partitions."""
        rows = self._parts(states).flush()
        return [] if rows is None else [rows]
