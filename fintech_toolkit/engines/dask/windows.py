"""Windows on Dask frames: which of three plans, and why."""

# Dask is typed in part only, and its expressions declare their operands in a mutable class attribute.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"
# ruff: noqa: RUF012

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import pandas as pd
from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._expr import ClearDivisions, Expr, Partitions

from fintech_toolkit.engines.dask import evidence
from fintech_toolkit.engines.dask.backpressure import read_ahead
from fintech_toolkit.engines.dask.chain import Sealed
from fintech_toolkit.engines.dask.operator_chain import OperatorTasks, TakeResult
from fintech_toolkit.engines.dask.shuffle import partitioned
from fintech_toolkit.engines.memory.relational import OPERATIONS
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.flow.nodes import Source
from fintech_toolkit.flow.plan import Plan, how_many
from fintech_toolkit.flow.windows import WINDOW_END, Window
from fintech_toolkit.schema import KNOWN_AT

PLANS = {
    "by_symbol": "every partition by itself",
    "chain": (
        "along the chain: rows of windows that are not over go from a partition to the next, and reading runs ahead by "
        "a few partitions"
    ),
    "shuffle": "after a shuffle by symbol, every partition by itself",
}
ORDER = {
    "by_symbol": "by partitions that hold symbols whole, within a partition by the end of windows",
    "chain": "by the end of windows",
    "shuffle": "by partitions that hold symbols whole, within a partition by the end of windows",
}


def apply(node: Window, frame: Any) -> Any:
    """Return the lazy frame of the windows of a Dask frame.

    Raises
    ------
    PipelineError
        If partitions are not in time order and there are no symbols to shuffle them by.
    """
    choice, windows = _choose(node, frame.expr), node.windows
    expr = frame.expr[[name for name in frame.columns if name in {*node.reads, KNOWN_AT}]]
    if choice.name == "shuffle":
        expr = partitioned(expr, windows.symbol, windows.time, expr.npartitions, sort=True)
    elif choice.order not in (None, list(range(expr.npartitions))):
        expr = ClearDivisions(Partitions(expr, choice.order))
    alone = node.over(Source("frame"))  # a worker needs not know what stands before
    return new_collection(WindowsOf(expr, alone, choice.name == "chain"))


def explain(node: Window, frame: Any) -> Plan:
    """Return how windows of a Dask frame would be found; nothing is computed."""
    choice = _choose(node, frame.expr)
    chunks = how_many(frame.npartitions, "partition")
    return Plan(choice.name, choice.reason, PLANS[choice.name], chunks, ORDER[choice.name])


@dataclass(frozen=True)
class _Choice:
    name: str
    reason: str
    order: list[int] | None = None


def _choose(node: Window, frame: Expr) -> _Choice:
    windows = node.windows
    apart = evidence.by_symbol(frame, windows.symbol)
    if apart.holds:
        return _Choice("by_symbol", apart.why)
    in_time = evidence.time_order(frame, windows.time)
    if in_time.order is not None:
        return _Choice("chain", in_time.why, in_time.order)
    if windows.symbol is None:
        raise PipelineError(
            f"The partitions are not known to be in time order: {in_time.why}. With symbol=None there is no other way "
            "to find windows; sort the frame by time."
        )
    return _Choice("shuffle", f"{in_time.why}; {apart.why}")


class WindowsOf(Expr):
    """The windows of partitions in time order (`chained`), or of each partition by itself."""

    _parameters = ["frame", "node", "chained"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return OPERATIONS[type(self.node)](self.node, self.frame._meta)

    def _divisions(self) -> tuple[None, ...]:
        return (None,) * (self.frame.npartitions + 1)

    def keeps(self, column: str) -> tuple[Expr, str] | None:
        """Return the expression that has a column as it is here, partition by partition, and its name there."""
        return (self.frame, column) if not self.chained and column == self.node.windows.symbol else None

    def in_time_order(self, time: str) -> bool:
        """Whether no time of a partition is before one of the partition before."""
        aligned = self.node.windows.gap is None
        return self.chained and time in self._ends() + ([self.node.windows.time] if aligned else [])

    def emits_in_order(self, symbol: str, time: str) -> bool:
        """Whether the rows of a symbol come in order of a time, from partition to partition."""
        windows = self.node.windows
        return self.chained and symbol == windows.symbol and time in [windows.time, *self._ends()]

    def _ends(self) -> list[str]:
        return [WINDOW_END] if KNOWN_AT in self.frame.columns else [WINDOW_END, KNOWN_AT]

    @functools.cached_property
    def unique_partition_mapping_columns_from_shuffle(self) -> set[Any]:
        """Return by which columns the partitions hold rows together, as Dask asks it."""
        found = self.frame.unique_partition_mapping_columns_from_shuffle
        return {columns for columns in found if all(map(self.keeps, columns))}

    def _simplify_up(self, parent: Expr, dependents: Any) -> Any:
        if isinstance(parent, Partitions):
            # Before Dask reads several files as one partition: these are numbers of the partitions as they are now.
            return Partitions(self._lower(), parent.partitions)
        return None

    def _lower(self) -> Expr:
        symbol = self.node.windows.symbol
        return TakeResult(OperatorTasks(Sealed(self.frame), self.node, symbol, self.chained, self._meta, read_ahead()))
