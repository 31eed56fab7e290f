"""A pipeline as a node of a stream: each frame continues from the state that the last one left."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fintech_toolkit.engines.live.batch import batch_of, with_batch
from fintech_toolkit.engines.live.partition_states import PartitionStates
from fintech_toolkit.engines.live.states import LiveState, Place, pass_on
from fintech_toolkit.engines.memory.run import Run, accept_parts
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.errors import DataError
from fintech_toolkit.schema import nanoseconds

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description


class PipelineNode(PartitionStates):
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
        self.symbol = pipeline.symbol
        self.needs_state = not pipeline.stateless
        self._ahead = None if ahead is None else nanoseconds(ahead, "ahead")
        self.described = ", ".join(map(repr, pipeline.steps))
        self.feeds = {}
        self._first = state if isinstance(state, State) else None
        if self._first is not None:
            self.origin = self.begins_from = hashlib.sha256(self._first.to_bytes()).hexdigest()[:16]
        self.run = Run(pipeline, self._first)
        super().__init__(upstream, state if isinstance(state, LiveState) else None, **kwargs)
        self._shared = self._first is not None  # whether several partitions have a state of the same symbol
        for place, known in self.state.items():
            self._shared |= any(symbol in self._homes for symbol in known.symbols)
            self._homes |= dict.fromkeys(known.symbols, place)
        if self._shared:  # as they did not all come in this partition, rows are to say which did
            self._homes.clear()

    def update(self, x: Any, who: Any = None, metadata: Any = None) -> Any:
        """Enrich a frame and pass it on."""
        batch = batch_of(metadata)
        if batch is None:
            enriched, wrong = self.run.accept(x)
            if len(wrong):
                raise DataError(f"row {wrong['row'].iloc[0]}: {wrong['reason'].iloc[0]}")
            return self._emit(enriched, metadata=metadata)
        frame, counts = batch.parts(x)
        before = self.before(batch)
        with_rows = [number for number, count in counts.items() if count] or list(counts)[:1]
        limited = self._ahead is not None and self.pipeline.time is not None
        latest = batch.latest(frame, self._ahead or 0) if limited else None
        parts = [(before[number], counts[number]) for number in with_rows]
        result, rows, states, rejected = accept_parts(self.pipeline, frame, parts, latest)
        if rejected:
            refused = frame.iloc[list(rejected)]
            self.rejected += 0 if batch.replayed else len(refused)
            batch.reject(refused.index.tolist(), rejected.values(), refused)
        start = 0
        for number, after in zip(with_rows, states, strict=True):
            end = start + counts[number]
            self.check_homes(batch, number, self._symbols(before[number], after, frame.iloc[start:end]))
            start = end
        self.keep(batch, before | dict(zip(with_rows, states, strict=True)))
        if self.pipeline.emits:
            batch = batch.derived(np.repeat(with_rows, rows))
            metadata = with_batch(metadata, batch)
        return pass_on(self, result, metadata, batch)

    def _symbols(self, before: State, after: State, rows: pd.DataFrame) -> list[Any]:
        """Return the symbols that have come in some rows of a partition, as far as that may not be known."""
        if self.symbol is not None and self._shared:
            return list(rows[self.symbol].dropna().unique().tolist())
        return after.symbols if self.symbol is None else after.symbols[len(before.table) :]

    def flush(self) -> Any:
        """Return the rows that are still unfinished, of all partitions, and start afresh.

        Raises
        ------
        PipelineError
            If the pipeline gives a value for every row, so that nothing is ever unfinished.
        """
        runs = [Run(self.pipeline, state) for state in self._by_home()] or [self.run]
        rows = [run.flush() for run in runs]
        self.begin_again()
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

    waiting = 0

    def unfinished(self, state: State) -> Any:
        """Return the rows that are still unfinished in the state of a partition."""
        return Run(self.pipeline, state).flush()

    def fresh(self) -> State:
        """Return the state of a partition of which nothing has been seen."""
        return Run(self.pipeline, self._first).state

    def adopt(self, other: PipelineNode, topic: str) -> None:
        """Go on from what an equal node of an earlier stream knows."""
        if not self._versions:
            self._shared = other._shared
        super().adopt(other, topic)
