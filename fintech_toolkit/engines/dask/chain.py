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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
from dask._task_spec import Alias, DataNode, List, Task, TaskRef, convert_legacy_graph
from dask.dataframe.dask_expr._cumulative import CumulativeAggregations
from dask.dataframe.dask_expr._expr import Blockwise, Expr, Partitions, Projection, determine_column_projection
from dask.dataframe.dask_expr._util import _convert_to_list
from dask.dataframe.dispatch import meta_nonempty
from dask.sizeof import sizeof

from fintech_toolkit.engines.dask.backpressure import hold_back, read_ahead
from fintech_toolkit.engines.memory.run import Run
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.engines.memory.wavefront import one_thread
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.frames.symbols import Symbol, encode
from fintech_toolkit.schema import KNOWN_AT

BYTES_A_SYMBOL = 150
"""A short string, and its places in a list and a dict."""


CHAIN_ADVICE = " If it is the partitions that are not in order of time, plan='shuffle' merges them."


def result_meta(pipeline: Description, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the empty frame that has the columns and dtypes of a result."""
    if not pipeline.emits:
        return Run(pipeline).whole(frame)
    # Of a row that is made up, because an empty frame does not say whether its times are aware.
    ticks = meta_nonempty(frame[[name for name in frame.columns if name in pipeline.reads]]).iloc[[0]]
    rows: pd.DataFrame = Run(pipeline).whole(ticks).iloc[:0]
    if pipeline.symbol is not None and pd.api.types.is_integer_dtype(frame[pipeline.symbol].dtype):
        rows = rows.astype({pipeline.symbol: "int64"})
    return rows


def enrich(frame: pd.DataFrame, pipeline: Description, partition: int) -> pd.DataFrame:
    """Run stateless steps."""
    with one_thread(), in_partition(partition):
        return Run(pipeline).whole(frame)


@contextmanager
def in_partition(number: int, advice: str = "") -> Iterator[None]:
    """Say in errors which partition they are about, and what may be done about times that go backwards."""
    try:
        yield
    except DataError as error:
        raise DataError(f"Partition {number}: {error}{advice if 'backwards' in str(error) else ''}") from error


def scan_partition(
    frame: pd.DataFrame, state: State | None, pipeline: Description, like: pd.DataFrame, partition: int, *, flush: bool
) -> tuple[pd.DataFrame, State]:
    """Advance the state over a partition; return what it gives, and the state after it."""
    run = Run(pipeline, state)
    with one_thread(), in_partition(partition, CHAIN_ADVICE if state is not None else ""):
        result = run(frame)
    if flush:
        unfinished = Run(pipeline, run.state).flush()
        result = pd.concat([result, unfinished], ignore_index=True)
    if pipeline.emits and not len(result):
        result = like  # rows that are not there cannot say of what type their symbols are
    return result, run.state


def scan_own_symbols(
    frame: pd.DataFrame, state: State | None, pipeline: Description, like: pd.DataFrame, partition: int, *, flush: bool
) -> tuple[pd.DataFrame, State]:
    """Advance the states of a partition's own symbols over it."""
    if state is not None:
        state = state.select(symbols_of(frame, pipeline.symbol))
    return scan_partition(frame, state, pipeline, like, partition, flush=flush)


def symbols_of(frame: pd.DataFrame, symbol: str | None) -> list[Symbol]:
    """Return the symbols of a frame."""
    if symbol is None:
        return [""]
    local = encode(frame[symbol], symbol)
    used = set(local.codes.tolist()) - {-1}
    return [local.values[code] for code in used if local.values[code] is not None]


def check_apart(*symbols: list[Symbol]) -> None:
    """Raise if a symbol is in two partitions."""
    home: dict[Symbol, int] = {}
    for partition, names in enumerate(symbols):
        for name in names:
            first = home.setdefault(name, partition)
            if first != partition:
                raise DataError(
                    f"Symbol {name!r} is in partition {first} and in partition {partition}, so the partitions are not "
                    "by symbol; use plan='shuffle', or plan='chain' if they are in time order."
                )


def merge_states(before: State | None, states: list[State], apart: None = None) -> State:
    """Return the state after all partitions: each symbol's from the one that had it, or as it was before."""
    if before is not None:
        seen = {symbol for state in states for symbol in state.symbols}
        states = [before.select([symbol for symbol in before.symbols if symbol not in seen]), *states]
    return State.merge(states)


def take_frame(scanned: tuple[pd.DataFrame, State], apart: None = None) -> pd.DataFrame:
    """Return what a scan gave. `apart` is waited for, so that a whole result stands or falls with that check."""
    return scanned[0]


def list_symbols(scanned: tuple[pd.DataFrame, State]) -> list[Symbol]:
    """Return the symbols that a partition had."""
    return scanned[1].symbols


def scanned(result: tuple[pd.DataFrame, State]) -> None:
    """Say nothing but that a partition is scanned, to whoever waits for that."""


@sizeof.register(State)  # type: ignore[untyped-decorator]
def state_size(state: State) -> int:
    """Return the bytes of a state, by which Dask decides whether it travels to the frame or the frame to it."""
    arrays = [state.last, *(array for step in state.steps for array in (step.records, step.slots))]
    return sum(array.nbytes for array in arrays) + BYTES_A_SYMBOL * len(state.table)


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
        return time == KNOWN_AT or (time, "ts") in zip(step.outputs, step.kernel.row_dtype.names or (), strict=True)

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

    def tasks(self) -> tuple[dict[Any, Any], list[Any]]:
        """Return the graph of the expression, and the keys of its partitions."""
        expr = self.inner.simplify().lower_completely().simplify().fuse()
        return convert_legacy_graph(expr.__dask_graph__()), expr.__dask_keys__()


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
        last = len(frames) - 1
        if self.chained:
            graph, frames = hold_back(graph, frames, [self.gate(i) for i in range(last + 1)], self._name)
        layer, before = dict(graph), self.before()
        scan = scan_partition if self.chained else scan_own_symbols
        for i, frame in enumerate(frames):
            key, after = (self._name, i), self.key("state", i)
            flush = self.flush and (i == last or not self.chained)
            layer[key] = Task(key, scan, TaskRef(frame), before, self.pipeline, self._meta, i, flush=flush)
            # Apart from the frame, so that a state travels to another worker without it.
            layer[after] = Task(after, operator.getitem, TaskRef(key), 1)
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
