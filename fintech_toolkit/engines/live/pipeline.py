"""A pipeline as a node of a stream: each frame continues from the state that the last one left."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fintech_toolkit.engines.live.batch import Batch, batch_of, with_batch
from fintech_toolkit.engines.live.states import KeepsState, Kept, LiveState, Place, checked, pass_on, version_at
from fintech_toolkit.engines.memory.run import Run, accept_parts
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.errors import DataError, StateError
from fintech_toolkit.schema import nanoseconds

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description


class PipelineNode(KeepsState):
    """Runs a pipeline over the frames of a stream, each partition of a Kafka topic by itself.

    Rows that the pipeline's checks refuse (a null symbol, time going backwards or far ahead of the record's own) go to
    the dead letters of the Kafka source that they came from, and the stream goes on. Without such a source they are an
    error.

    A symbol's rows must all come in one partition, as they do if the symbol is the key of the messages.

    Attributes
    ----------
    run : Run
        The pipeline in progress over frames that come from no Kafka source: ``run.state``, ``run.peek``.
    """

    def __init__(
        self,
        upstream: Any,
        pipeline: Description,
        state: State | LiveState | None,
        ahead: str | None,
        **kwargs: Any,
    ) -> None:
        self.pipeline = pipeline
        self.identity = pipeline.identity
        self.needs_state = not pipeline.stateless
        self._ahead = None if ahead is None else nanoseconds(ahead, "ahead")
        self.described = ", ".join(map(repr, pipeline.steps))
        self.feeds = {}
        self._first = state if isinstance(state, State) else None
        if self._first is not None:
            self.origin = self.begins_from = hashlib.sha256(self._first.to_bytes()).hexdigest()[:16]
        self.run = Run(pipeline, self._first)
        self._versions: dict[Place, dict[int, State]] = {}
        self._since: dict[Place, int | None] = {}
        self._homes: dict[Any, Place] = {}  # the partition of each symbol
        self._shared = self._first is not None  # whether several partitions have a state of the same symbol
        if isinstance(state, LiveState):
            self.origin = state.origin
            for place, kept in checked(state, self.identity).kept.items():
                self._versions[place] = {kept.offsets[place]: kept.state}
                self._since[place] = kept.since
                self._shared |= any(symbol in self._homes for symbol in kept.state.symbols)
                self._homes |= dict.fromkeys(kept.state.symbols, place)
        if self._shared:  # as they did not all come in this partition, rows are to say which did
            self._homes.clear()
        super().__init__(upstream, **kwargs)

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Enrich a frame and pass it on."""
        batch = batch_of(metadata)
        if batch is None:
            enriched, wrong = self.run.accept(x)
            if len(wrong):
                raise DataError(f"row {wrong['row'].iloc[0]}: {wrong['reason'].iloc[0]}")
            return self._emit(enriched, metadata=metadata)
        frame, counts = batch.parts(x)
        before = {number: self._before(batch, number) for number in counts}
        with_rows = [number for number, count in counts.items() if count] or list(counts)[:1]
        limited = self._ahead is not None and self.pipeline.time is not None
        latest = batch.latest(frame, self._ahead or 0) if limited else None
        parts = [(before[number], counts[number]) for number in with_rows]
        result, rows, states, rejected = accept_parts(self.pipeline, frame, parts, latest)
        if rejected:
            refused = frame.iloc[list(rejected)]
            batch.reject(refused.index.tolist(), rejected.values(), refused)
        start = 0
        for number, after in zip(with_rows, states, strict=True):
            end = start + counts[number]
            self._check_homes((batch.topic, number), before[number], after, frame, slice(start, end))
            start = end
        for number, after in (before | dict(zip(with_rows, states, strict=True))).items():
            self._keep(batch, (batch.topic, number), batch.offsets[number][1], after)
        if self.pipeline.emits:
            batch = batch.derived(np.repeat(with_rows, rows))
            metadata = with_batch(metadata, batch)
        return pass_on(self, result, metadata, batch)

    def _before(self, batch: Batch, partition: int) -> State:
        """Return the state of a partition before a batch."""
        start, _ = batch.offsets[partition]
        versions = self._versions.get((batch.topic, partition), {})
        # A node before may drop the frame of a batch that is still on its way; otherwise it is the very offset.
        at = max((offset for offset in versions if offset <= start), default=None)
        if at is not None:
            return versions[at]
        if not self.needs_state:
            return self._fresh()
        raise StateError(
            f"topic {batch.topic!r}, partition {partition}: a batch begins at offset {start}, and the states at "
            f"hand have seen the records before {sorted(versions)}"
        )

    def _keep(self, batch: Batch, place: Place, end: int, state: State) -> None:
        """Keep the state at an offset beside those that may still be needed."""
        versions = self._versions.get(place, {})
        oldest = version_at(versions, batch.feed.passed.get(place[1])) if versions else end
        self._versions[place] = {at: known for at, known in versions.items() if at >= oldest} | {end: state}

    def note(self, batch: Batch) -> None:
        """Note that a batch has been through the stream: of partitions without rows here, the state is as it was."""
        for partition, (_, end) in batch.offsets.items():
            place = (batch.topic, partition)
            versions = self._versions.get(place, {})
            if versions and end not in versions:
                self._keep(batch, place, end, versions[version_at(versions, end)])

    def _check_homes(self, place: Place, before: State, after: State, frame: pd.DataFrame, rows: slice) -> None:
        """Raise if a symbol of some rows comes in two partitions: each would have half of its ticks."""
        if self.pipeline.symbol is None:
            found = after.symbols
        elif self._shared:
            found = frame[self.pipeline.symbol].iloc[rows].dropna().unique().tolist()
        else:
            found = after.symbols[len(before.table) :]
        for symbol in found:
            home = self._homes.setdefault(symbol, place)
            if home != place:
                who = "Rows" if self.pipeline.symbol is None else f"Rows of symbol {symbol!r}"
                raise DataError(
                    f"{who} come in partition {home[1]} of topic {home[0]!r} and in partition {place[1]} of "
                    f"{place[0]!r}, and no order is kept between them; produce them with the symbol as the key."
                )

    def flush(self) -> Any:
        """Return the rows that are still unfinished, of all partitions, and start afresh.

        Raises
        ------
        PipelineError
            If the pipeline gives a value for every row, so that nothing is ever unfinished.
        """
        runs = [Run(self.pipeline, state) for state in self._by_home()] or [self.run]
        rows = [run.flush() for run in runs]
        for place, versions in self._versions.items():
            self._versions[place] = {at: self._fresh() for at in versions}
        return rows[0] if len(rows) == 1 else pd.concat(rows, ignore_index=True)

    def _by_home(self) -> list[State]:
        """Return the states of the partitions, each symbol only where its rows came last."""
        states = dict(self.state)
        if not self._shared:
            return list(states.values())
        latest: dict[Any, tuple[bool, int]] = {}
        homes: dict[Any, Place] = {}
        for place, state in states.items():
            for symbol, last in zip(state.symbols, state.last.tolist(), strict=True):
                known = (self._homes.get(symbol) == place, last)
                if symbol not in latest or known > latest[symbol]:
                    latest[symbol], homes[symbol] = known, place
        return [
            state.select(symbol for symbol in state.symbols if homes[symbol] == place)
            for place, state in states.items()
        ]

    # What a source asks

    @property
    def state(self) -> LiveState:
        """The states by partition, each after the last batch that all sinks have finished with."""
        return LiveState(self.identity, {place: self._kept(place) for place in list(self._versions)}, self.origin)

    def _kept(self, place: Place) -> Kept:
        versions = self._versions[place]  # before what has passed, which may go on meanwhile
        passed = self.feeds[place[0]].passed.get(place[1]) if place[0] in self.feeds else None
        offset = version_at(versions, passed)
        return Kept(versions[offset], {place: offset}, self._since.get(place))

    def can_go_on_at(self, place: Place) -> set[int]:
        """Return the offsets of a partition at which it has a state."""
        return set(self._versions.get(place, ()))

    def since(self, place: Place) -> int | None:
        """Return the offset at which its state of a partition began, None if that is not known."""
        return self._since.get(place)

    def begin(self, place: Place, offset: int) -> None:
        """Forget what is known of a partition, and begin with no records before an offset."""
        self._homes = {symbol: home for symbol, home in self._homes.items() if home != place}
        self._versions[place] = {offset: self._fresh()}
        self._since[place] = offset

    def _fresh(self) -> State:
        return Run(self.pipeline, self._first).state

    def adopt(self, other: PipelineNode) -> None:
        """Go on from what an equal node of an earlier stream knows."""
        if not self._versions:
            self._versions, self._since = dict(other._versions), dict(other._since)
            self._homes, self._shared, self.origin = dict(other._homes), other._shared, other.origin
