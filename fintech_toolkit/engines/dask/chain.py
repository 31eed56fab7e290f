"""A pipeline as expressions of Dask: partition by partition, or along the chain of state.

Along the chain, the scan of a partition needs the state that the scan before it left, and nothing else of it. Reading
comes before the chain and writing after it, as tasks of their own that run side by side; only the scans wait.
"""

# Dask is typed in part only, and its expressions declare their operands in a mutable class attribute.
# mypy: disable-error-code="no-untyped-call,no-any-return"
# ruff: noqa: RUF012

from __future__ import annotations

import functools
import operator
from typing import Any

import pandas as pd
from dask._task_spec import Alias, DataNode, List, Task, TaskRef, convert_legacy_graph
from dask.dataframe.dask_expr._cumulative import CumulativeAggregations
from dask.dataframe.dask_expr._expr import Blockwise, Expr, Partitions, Projection, determine_column_projection
from dask.dataframe.dask_expr._util import _convert_to_list

from fintech_toolkit.engines.dask.backpressure import hold_back, read_ahead
from fintech_toolkit.engines.dask.scans import (
    check_apart,
    enrich,
    list_symbols,
    merge_states,
    result_meta,
    scan_partition,
    scanned,
    take_frame,
)
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.schema import KNOWN_AT


class Enrich(Blockwise):
    """Stateless steps, where the data is."""

    _parameters = ["frame", "pipeline"]
    operation = staticmethod(enrich)

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return result_meta(self.pipeline, self.frame._meta)

    def keeps(self, column: str) -> tuple[Expr, str] | None:
        """Return the expression that has a column as it is here, partition by partition, and its name there."""
        return (self.frame, column) if column in self.frame.columns else None

    @functools.cached_property
    def unique_partition_mapping_columns_from_shuffle(self) -> set[Any]:
        """Return by which columns the partitions hold rows together, as Dask asks it."""
        return self.frame.unique_partition_mapping_columns_from_shuffle

    def _task(self, name: Any, index: int) -> Task:
        return Task(name, enrich, TaskRef((self.frame._name, index)), self.pipeline, index)

    def _simplify_up(self, parent: Expr, dependents: Any) -> Any:
        return _project(self, parent, dependents)


class PartitionScan(Expr):
    """Stateful steps over partitions in time order (`chained`), or each partition's symbols for themselves.

    Operands
    --------
    frame : Expr
    pipeline : Description
    state : Expr or None
        Of the state before the first row.
    chained, flush : bool
        `flush` adds the rows that are unfinished at the end.
    """

    _parameters = ["frame", "pipeline", "state", "chained", "flush"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return result_meta(self.pipeline, self.frame._meta)

    def _divisions(self) -> tuple[Any, ...]:
        return _divisions(self.frame, self.pipeline)

    def keeps(self, column: str) -> tuple[Expr, str] | None:
        """Return the expression that has a column as it is here, partition by partition, and its name there."""
        kept = [self.pipeline.symbol] if self.pipeline.emits else self.frame.columns
        return (self.frame, column) if column in kept else None

    def scans_by(self, symbol: str) -> bool:
        """Whether it holds, and checks as it runs, that each symbol is in one partition."""
        return not self.chained and self.pipeline.symbol == symbol

    def emits_in_order(self, symbol: str, time: str) -> bool:
        """Whether it emits rows, those of a symbol in order of a time, from partition to partition."""
        pipeline = self.pipeline
        if not pipeline.emits or not self.chained or pipeline.symbol != symbol or pipeline.time is None:
            return False
        step = pipeline.scans[-1].step
        return time == KNOWN_AT or (time, "ts") in zip(step.outputs, step.kernel.output_names(step.width), strict=True)

    @functools.cached_property
    def unique_partition_mapping_columns_from_shuffle(self) -> set[Any]:
        """Return by which columns the partitions hold rows together, as Dask asks it."""
        found = self.frame.unique_partition_mapping_columns_from_shuffle
        return {columns for columns in found if all(map(self.keeps, columns))}

    def _simplify_up(self, parent: Expr, dependents: Any) -> Any:
        if isinstance(parent, Partitions):
            # Before Dask reads several files as one partition: these are numbers of the partitions as they are now.
            return Partitions(self._lower(), parent.partitions)
        return _project(self, parent, dependents)

    def _lower(self) -> Expr:
        return TakeFrame(ScanTasks(Sealed(self.frame), *self.operands[1:], self._meta, read_ahead()))


class RowScan(PartitionScan, CumulativeAggregations):
    """A scan that gives a row for a row. To Dask it is a cumulative aggregation, which is aligned with its frame."""

    _is_length_preserving = True


class Sealed:
    """An expression as a value: Dask's optimiser leaves it alone; who has it makes its tasks, and can change them."""

    def __init__(self, expr: Expr) -> None:
        self.inner = expr

    def __dask_tokenize__(self) -> str:
        return self.inner._name

    @functools.cached_property
    def lowered(self) -> Any:
        """The expression as Dask will compute it, but for what is fused."""
        return self.inner.simplify().lower_completely().simplify()

    def tasks(self) -> tuple[dict[Any, Any], list[Any]]:
        """Return the graph of the expression, and the keys of its partitions."""
        expr = self.lowered.fuse()
        return convert_legacy_graph(expr.__dask_graph__()), expr.__dask_keys__()

    def encoded(self, symbol: str | None) -> list[Any]:
        """Return the keys of its partitions' symbols, encoded, if it holds the very rows that a scan has just read."""
        expr = self.lowered
        while isinstance(expr, Projection):
            expr = expr.frame
        if not isinstance(expr, TakeFrame) or expr.scan.pipeline.emits or expr.scan.pipeline.symbol != symbol:
            return []
        return [expr.scan.key("encoded", i) for i in range(expr.npartitions)]


class ScanTasks(Expr):
    """The tasks of a scan: of each partition, what it gives together with the state after it.

    Operands
    --------
    sealed : Sealed
        The frame.
    pipeline, state, chained, flush
        As those of `PartitionScan`.
    like : DataFrame
        An empty result.
    ahead : int
        Along the chain, how many partitions may be read and not yet scanned.
    """

    _parameters = ["sealed", "pipeline", "state", "chained", "flush", "like", "ahead"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.operand("like")

    def _divisions(self) -> tuple[Any, ...]:
        return _divisions(self.sealed.inner, self.pipeline)

    def key(self, what: str, partition: int) -> tuple[str, int]:
        """Return the key of a task beside the scans."""
        return (f"{what}-{self._name}", partition)

    def before(self) -> TaskRef | None:
        """Return the reference to the state before the first row."""
        state = self.operand("state")
        return None if state is None else TaskRef((state._name, 0))

    def gate(self, partition: int) -> TaskRef | None:
        """Return what the reading of a partition waits for: a scan of this chain, or of the frame before it."""
        scanned = partition - self.ahead
        if scanned >= 0:
            return TaskRef(self.key("scanned", scanned)) if self.chained else None
        before = self.operand("state")
        earlier = before.scan if isinstance(before, StateAfter) else None
        return earlier.gate(earlier.npartitions + partition) if isinstance(earlier, ScanTasks) else None

    def _layer(self) -> dict[Any, Any]:
        graph, frames = self.sealed.tasks()
        encoded = self.sealed.encoded(self.pipeline.symbol)
        last = len(frames) - 1
        if self.chained:
            gates = [self.gate(i) for i in range(last + 1)]
            graph, parts = hold_back(graph, [*frames, *encoded], [*gates, *gates], self._name)
            frames, encoded = parts[: last + 1], parts[last + 1 :]
        layer, before = dict(graph), self.before()
        for i, frame in enumerate(frames):
            key, after = (self._name, i), self.key("state", i)
            codes = TaskRef(encoded[i]) if encoded else None
            flush = self.flush and (i == last or not self.chained)
            taken = (TaskRef(frame), before, codes, self.pipeline, self._meta, i)
            layer[key] = Task(key, scan_partition, *taken, flush=flush, alone=not self.chained)
            # Apart from the frame, so that a state travels to another worker without it.
            layer[after] = Task(after, operator.attrgetter("state"), TaskRef(key))
            for_the_next = self.key("encoded", i)
            layer[for_the_next] = Task(for_the_next, operator.attrgetter("encoded"), TaskRef(key))
            if self.chained:
                before = TaskRef(after)
                layer[self.key("scanned", i)] = Task(self.key("scanned", i), scanned, TaskRef(key))
            else:
                names = self.key("symbols", i)
                layer[names] = Task(names, list_symbols, TaskRef(key))
        if not self.chained:
            apart = self.key("apart", 0)
            layer[apart] = Task(apart, check_apart, *(TaskRef(self.key("symbols", i)) for i in range(last + 1)))
        return layer


class TakeFrame(Expr):
    """What a scan gives, without the state: a task of its own, so that the state does not travel with the frame."""

    _parameters = ["scan"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.scan._meta

    def _divisions(self) -> tuple[Any, ...]:
        return self.scan.divisions

    def _task(self, name: Any, index: int) -> Task:
        scan = self.scan
        waits = not scan.chained and index == scan.npartitions - 1
        return Task(name, take_frame, TaskRef((scan._name, index)), *([TaskRef(scan.key("apart", 0))] if waits else []))


class LazyState(Expr):
    """A state among expressions: one that is there already."""

    _parameters = ["state"]

    @functools.cached_property
    def _meta(self) -> Any:
        return None

    def _divisions(self) -> tuple[None, ...]:
        return (None, None)

    def _layer(self) -> dict[Any, Any]:
        key = (self._name, 0)
        return {key: DataNode(key, self.operand("state"))}


class StateAfter(LazyState):
    """The state that a scan leaves."""

    _parameters = ["scan"]

    def _lower(self) -> Expr | None:
        return StateAfter(self.scan.scan) if isinstance(self.scan, TakeFrame) else None

    def _layer(self) -> dict[Any, Any]:
        scan, key = self.scan, (self._name, 0)
        last = scan.npartitions - 1
        if scan.chained:
            return {key: Alias(key, scan.key("state", last))}
        states = List(*(TaskRef(scan.key("state", i)) for i in range(last + 1)))
        return {key: Task(key, merge_states, scan.before(), states, TaskRef(scan.key("apart", 0)))}


def _divisions(frame: Expr, pipeline: Description) -> tuple[Any, ...]:
    return (None,) * (frame.npartitions + 1) if pipeline.emits else frame.divisions


def _project(expr: Any, parent: Expr, dependents: Any) -> Any:
    """Read no more columns than the steps need and the results are asked for, if one scan still serves them all."""
    parents = [found for reference in dependents[expr._name] if (found := reference()) is not None]
    if not all(isinstance(found, Projection | StateAfter) for found in [parent, *parents]):
        return None
    reads = expr.pipeline.reads
    wanted = _convert_to_list(determine_column_projection(expr, parent, dependents, additional_columns=reads))
    if expr.pipeline.emits:
        wanted = [*reads, KNOWN_AT]  # rows that are not known yet make none that are
    columns = [name for name in expr.frame.columns if name in (wanted or ())]
    if columns == expr.frame.columns:
        return None
    return type(parent)(type(expr)(expr.frame[columns], *expr.operands[1:]), *parent.operands[1:])
