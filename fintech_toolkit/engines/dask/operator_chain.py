"""A node of a dataflow that remembers, as expressions of Dask: along a chain of partitions in time order, each of which
goes on from what the one before has left, or every partition, with its own symbols, by itself.
"""

# Dask is typed in part only, and its expressions declare their operands in a mutable class attribute.
# mypy: disable-error-code="no-untyped-call,no-any-return"
# ruff: noqa: RUF012

from __future__ import annotations

import functools
import operator
from typing import Any, NamedTuple

import pandas as pd
from dask._task_spec import Task, TaskRef
from dask.dataframe.dask_expr._expr import Expr

from fintech_toolkit.engines.dask.backpressure import hold_back
from fintech_toolkit.engines.dask.scans import check_apart, in_partition, scanned, take_frame
from fintech_toolkit.engines.memory.flow_run import OPERATORS, together
from fintech_toolkit.engines.memory.keys import symbols_of
from fintech_toolkit.engines.memory.relational import OPERATIONS
from fintech_toolkit.flow.nodes import Node
from fintech_toolkit.scan.threads import one_thread


class Advanced(NamedTuple):
    """What a partition gives, and what the node knows after it."""

    result: pd.DataFrame
    state: Any


def advance_partition(
    frame: pd.DataFrame, state: Any, node: Node, like: pd.DataFrame, partition: int, *, flush: bool
) -> Advanced:
    """Go on over a partition, all of whose rows come after those of the partitions before."""
    make, _ = OPERATORS[type(node)]
    running: Any = make(node, state)
    with one_thread(), in_partition(partition):
        rows = [running.advance_in_order(frame), running.flush() if flush else None]
    made = together(rows)
    return Advanced(like if made is None else made, running.state)


def run_partition(frame: pd.DataFrame, node: Node, partition: int) -> Advanced:
    """Run a node over a partition by itself."""
    with one_thread(), in_partition(partition):
        return Advanced(OPERATIONS[type(node)](node, frame), None)


class OperatorTasks(Expr):
    """The tasks of a node: of each partition what it gives, together with what the node knows after it.

    Operands
    --------
    sealed : Sealed
        The frame.
    node : Node
        Its operator has ``advance_in_order``.
    symbol : str or None
        The column of symbols.
    chained : bool
        Whether partitions go on from each other.
    like : DataFrame
        An empty result.
    ahead : int
        Along the chain, how many partitions may be read before one has been gone over.
    """

    _parameters = ["sealed", "node", "symbol", "chained", "like", "ahead"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.operand("like")

    def _divisions(self) -> tuple[None, ...]:
        return (None,) * (self.sealed.inner.npartitions + 1)

    def key(self, what: str, partition: int) -> tuple[str, int]:
        """Return the key of a task beside these."""
        return (f"{what}-{self._name}", partition)

    def _layer(self) -> dict[Any, Any]:
        graph, frames = self.sealed.tasks()
        return self._chain(graph, frames) if self.chained else self._apart(graph, frames)

    def _chain(self, graph: dict[Any, Any], frames: list[Any]) -> dict[Any, Any]:
        places = range(len(frames))
        gates = [TaskRef(self.key("done", i - self.ahead)) if i >= self.ahead else None for i in places]
        graph, frames = hold_back(graph, frames, gates, self._name)
        layer, before = dict(graph), None
        for i, frame in enumerate(frames):
            key, after, done = (self._name, i), self.key("state", i), self.key("done", i)
            flush = i == len(frames) - 1
            layer[key] = Task(key, advance_partition, TaskRef(frame), before, self.node, self._meta, i, flush=flush)
            # Apart from the rows, so that the state travels to another worker without them.
            layer[after] = Task(after, operator.attrgetter("state"), TaskRef(key))
            layer[done] = Task(done, scanned, TaskRef(key))
            before = TaskRef(after)
        return layer

    def _apart(self, graph: dict[Any, Any], frames: list[Any]) -> dict[Any, Any]:
        layer, symbols = dict(graph), []
        for i, frame in enumerate(frames):
            key, names = (self._name, i), self.key("symbols", i)
            layer[key] = Task(key, run_partition, TaskRef(frame), self.node, i)
            layer[names] = Task(names, symbols_of, TaskRef(frame), self.symbol)
            symbols.append(TaskRef(names))
        apart = self.key("apart", 0)
        layer[apart] = Task(apart, check_apart, *symbols)
        return layer


class TakeResult(Expr):
    """What a node gives: a task of its own, so that what it knows does not travel with it."""

    _parameters = ["tasks"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.tasks._meta

    def _divisions(self) -> tuple[Any, ...]:
        return self.tasks.divisions

    def _task(self, name: Any, index: int) -> Task:
        tasks = self.tasks
        waits = not tasks.chained and index == tasks.npartitions - 1
        return Task(
            name, take_frame, TaskRef((tasks._name, index)), *([TaskRef(tasks.key("apart", 0))] if waits else [])
        )
