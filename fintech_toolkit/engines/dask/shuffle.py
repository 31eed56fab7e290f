"""Every symbol whole in one partition: one shuffle by Dask, balanced by rows, with the order of rows restored after it.

What travels is a symbol's integer code, not its name: codes are small, and categories that differ from partition to
partition cannot get into each other's way. Columns travel under their numbers, so that none of a user's is taken for
one of the two that are added.
"""

# Dask is typed in part only, and its expressions declare their operands in a mutable class attribute.
# mypy: disable-error-code="no-untyped-call,no-any-return"
# ruff: noqa: RUF012

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import dask
import numpy as np
import pandas as pd
from dask._task_spec import Task, TaskRef
from dask.dataframe.dask_expr._expr import Blockwise, Expr, Projection, plain_column_projection
from dask.dataframe.dask_expr._shuffle import Shuffle
from dask.utils import get_default_shuffle_method

from fintech_toolkit.engines.dask.assignment import Assignment, Rule, count_symbols
from fintech_toolkit.errors import DataError, PipelineError
from fintech_toolkit.frames.order import mark_disorder
from fintech_toolkit.frames.symbols import Symbol, encode
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import PandasFrame
from fintech_toolkit.schema import Array

TARGET = "_partitions"  # the name under which Dask's shuffles expect the number of the partition to go to
ORDER = "order"
ROW_BITS = 40


def address(
    frame: pd.DataFrame,
    assignment: Assignment,
    symbol: str,
    time: str | None,
    partition: int,
    *,
    sort: bool,
    side: str | None,
) -> pd.DataFrame:
    """Replace symbols by codes, and add where each row goes and its place in the order of all rows.

    Raises
    ------
    DataError
        If a row has no symbol; or, unless rows are to be sorted, no time, or goes back in time within its symbol.
    """
    local = encode(frame[symbol], symbol)
    place = f"of partition {partition}" + (f" of {side}" if side else "")
    if len(local.codes) and local.codes.min() < 0:
        row = int(np.argmin(local.codes))
        raise DataError(f"Column {symbol!r} has no symbol at row {row} {place}; drop such rows or fill them.")
    rank = {name: j for j, name in enumerate(assignment.symbols)}
    codes = np.array([rank.get(name, -1) for name in local.values], np.int32)[local.codes]
    if time is not None and not sort:
        _check_order(frame, codes, assignment.symbols, time, place)
    order = np.arange(len(frame), dtype=np.int64) + (partition << ROW_BITS)
    columns = _numbered(frame)
    number = str(frame.columns.get_loc(symbol))
    return columns.assign(**{number: codes, TARGET: assignment.targets[codes], ORDER: order})


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis([str(j) for j in range(frame.shape[1])], axis=1)


def _check_order(frame: pd.DataFrame, codes: Array, symbols: list[Symbol], time: str, place: str) -> None:
    ts, _ = times(PandasFrame(frame), time, "ns")  # the order is that of any unit
    ok = np.ones(len(frame), np.bool_)
    mark_disorder(codes.astype(np.uint32), ts, np.full(len(symbols), NAT), ok)
    if ok.all():
        return
    row = int(np.argmin(ok))
    where = f"at row {row} {place}"
    if ts[row] == NAT:
        raise DataError(f"Column {time!r} has no time {where}; drop such rows or fill them.")
    raise DataError(
        f"Column {time!r} goes backwards for symbol {symbols[codes[row]]!r} {where} ({frame[time].iloc[row]}); sort "
        "the rows of a symbol by time within each partition, or let partition_by_symbol sort them."
    )


def restore(
    frame: pd.DataFrame, assignment: Assignment, symbol: str, time: str | None, unit: str | None, like: Any
) -> pd.DataFrame:
    """Put rows into the order of time, ties in their original order, and symbols back in place of their codes."""
    order = frame[ORDER].to_numpy()
    if np.any(order[1:] < order[:-1]):
        frame = frame.iloc[np.argsort(order, kind="stable")]
    frame = frame[list(_numbered(like).columns)].set_axis(like.columns, axis=1)
    if time is not None:
        ts, _ = times(PandasFrame(frame), time, unit)
        if np.any(ts[1:] < ts[:-1]):
            frame = frame.iloc[np.argsort(ts, kind="stable")]
    symbols = decode(frame[symbol].to_numpy(), assignment.symbols, like.dtypes[symbol])
    return frame.assign(**{symbol: pd.Series(symbols, index=frame.index)})


def decode(codes: Array, symbols: list[Symbol], dtype: Any) -> Any:
    """Return the symbols of codes as a pandas array of a dtype."""
    if isinstance(dtype, pd.CategoricalDtype):
        if dask.dataframe.utils.has_known_categories(pd.Series([], dtype=dtype)):
            places = dtype.categories.get_indexer(pd.Index(symbols, dtype=dtype.categories.dtype))
            return pd.Categorical.from_codes(places[codes] if len(places) else codes, dtype=dtype)
        return pd.Categorical.from_codes(codes, pd.Index(symbols))
    return pd.array(symbols, dtype=dtype).take(codes)


class SymbolCounts(Blockwise):
    """How many rows each symbol has, by partition."""

    _parameters = ["frame", "symbol"]

    @functools.cached_property
    def _meta(self) -> Any:
        return None

    def _divisions(self) -> tuple[None, ...]:
        return (None,) * (self.frame.npartitions + 1)

    @staticmethod
    def operation(frame: pd.DataFrame, symbol: str) -> Counter[Symbol]:
        return count_symbols(frame[symbol])


class Balance(Expr):
    """The assignment of symbols to partitions: one small task that waits for the counts of all."""

    _parameters = ["counts", "rule"]

    @functools.cached_property
    def _meta(self) -> Any:
        return None

    def _divisions(self) -> tuple[None, ...]:
        return (None, None)

    def _layer(self) -> dict[Any, Any]:
        counts = [TaskRef(key) for key in self.counts.__dask_keys__()]
        return {(self._name, 0): Task((self._name, 0), _assign, self.operand("rule"), *counts)}


def _assign(rule: Rule, *counts: Counter[Symbol]) -> Assignment:
    return rule.assign(counts)


class Address(Blockwise):
    """Rows with codes for symbols, the partition that they go to, and their place in the order of all rows."""

    _parameters = ["frame", "assignment", "symbol", "time", "sort", "side"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        nobody = Assignment([], np.zeros(0, np.int32))
        return address(self.frame._meta, nobody, self.symbol, self.time, 0, sort=self.sort, side=self.side)

    def _divisions(self) -> tuple[None, ...]:
        return (None,) * (self.frame.npartitions + 1)

    def _broadcast_dep(self, dep: Expr) -> bool:
        return bool(dep._name == self.assignment._name)

    def _task(self, name: Any, index: int) -> Task:
        frame, assignment = TaskRef((self.frame._name, index)), TaskRef((self.assignment._name, 0))
        return Task(name, address, frame, assignment, self.symbol, self.time, index, sort=self.sort, side=self.side)


class Restore(Blockwise):
    """The rows that a partition got, in order, with their symbols."""

    _parameters = ["frame", "assignment", "symbol", "time", "unit", "like"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.operand("like")

    def _divisions(self) -> tuple[None, ...]:
        return (None,) * (self.frame.npartitions + 1)

    def _broadcast_dep(self, dep: Expr) -> bool:
        return bool(dep._name == self.assignment._name)

    def _task(self, name: Any, index: int) -> Task:
        frame, assignment = TaskRef((self.frame._name, index)), TaskRef((self.assignment._name, 0))
        return Task(name, restore, frame, assignment, self.symbol, self.time, self.unit, self._meta)


class PartitionBySymbol(Expr):
    """A frame with every symbol whole in one partition, in time order, ties in their original order.

    Operands
    --------
    frame, symbol, time, unit, rule
    sort : bool
        Whether rows of a symbol that go back in time within a partition are sorted; else they are an error.
    side : str, optional
        What the frame is called in errors, where it is one of two.
    counts : SymbolCounts
    """

    _parameters = ["frame", "symbol", "time", "unit", "rule", "sort", "side", "counts"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.frame._meta

    def _divisions(self) -> tuple[None, ...]:
        return (None,) * (self.rule.npartitions + 1)

    def keeps(self, column: str) -> tuple[Expr, str] | None:
        """Return the expression of whose column this one holds the values, and its name there."""
        return self.frame, column

    @functools.cached_property
    def unique_partition_mapping_columns_from_shuffle(self) -> set[tuple[str, ...]]:
        """Return by which columns the partitions hold rows together, so that Dask need not shuffle to group by them.

        The column twice: two frames are not partitioned alike for being both by symbol, as Dask takes for granted when
        it joins frames of exactly the same columns.
        """
        return set() if self.symbol is None else {(self.symbol, self.symbol)}

    def _simplify_up(self, parent: Expr, dependents: Any) -> Any:
        if isinstance(parent, Projection):
            needed = [name for name in (self.symbol, self.time) if name is not None]
            return plain_column_projection(self, parent, dependents, additional_columns=needed)
        return None

    def _lower(self) -> Expr:
        assignment = Balance(self.counts, self.rule)
        addressed = Address(self.frame, assignment, self.symbol, self.time, self.sort, self.side)
        method = dask.config.get("dataframe.shuffle.method", None)
        if method is None:
            # Dask's default without a cluster goes through files, though the result stays in memory anyway.
            method = "p2p" if get_default_shuffle_method() == "p2p" else "tasks"
        shuffled = Shuffle(addressed, TARGET, self.rule.npartitions, False, method)
        return Restore(shuffled, assignment, self.symbol, self.time, self.unit, self._meta)


def partitioned(
    frame: Expr,
    symbol: str | None,
    time: str | None,
    rule: int | Rule,
    unit: str | None = "ns",
    *,
    sort: bool = False,
    side: str | None = None,
) -> PartitionBySymbol:
    """Return the expression of a frame partitioned by symbol; by default times are of whatever unit: only their order
    counts. `rule` may be a number of partitions. Unless it sorts, each partition must be in order.
    """
    if symbol is None:
        raise PipelineError(
            "Rows of one symbol (symbol=None) cannot be shuffled by symbol; bring the partitions into time order."
        )
    # Optimised apart from the frame itself, so that counting reads the column of symbols alone, and reads it first:
    # the frame need not be held in memory until the counts are known.
    counts = SymbolCounts(frame[[symbol]].simplify(), symbol)
    rule = Rule(rule) if isinstance(rule, int) else rule
    return PartitionBySymbol(frame, symbol, time, unit, rule, sort, side, counts)
