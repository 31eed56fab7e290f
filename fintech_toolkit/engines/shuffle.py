"""Every symbol whole in one partition: one shuffle by Dask, balanced by rows, with the order of rows restored after it.

What travels is a symbol's integer code, not its name: codes are small, and categories that differ from partition to
partition cannot get into each other's way.
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
import pyarrow as pa
from dask._task_spec import Task, TaskRef
from dask.dataframe.dask_expr._expr import Blockwise, Expr, Projection, plain_column_projection
from dask.dataframe.dask_expr._shuffle import Shuffle
from dask.utils import get_default_shuffle_method

from fintech_toolkit.engines.assignment import Assignment, Rule, count_symbols
from fintech_toolkit.engines.frames import PandasFrame, times
from fintech_toolkit.engines.symbols import Symbol, encode
from fintech_toolkit.errors import DataError, PipelineError
from fintech_toolkit.schema import Array

TARGET = "_partitions"  # the name under which Dask's shuffles expect the number of the partition to go to
ORDER = "__fintech_toolkit_order"
ROW_BITS = 40


def address(frame: pd.DataFrame, assignment: Assignment, symbol: str, partition: int) -> pd.DataFrame:
    """Replace symbols by codes, and add where each row goes and its place in the order of all rows."""
    local = encode(frame[symbol], symbol)
    if len(local.codes) and local.codes.min() < 0:
        raise DataError(
            f"Column {symbol!r} has no symbol at row {int(np.argmin(local.codes))} of partition {partition}; "
            "drop such rows or fill them."
        )
    rank = {name: j for j, name in enumerate(assignment.symbols)}
    codes = np.array([rank.get(name, -1) for name in local.values], np.int32)[local.codes]
    order = np.arange(len(frame), dtype=np.int64) + (partition << ROW_BITS)
    return frame.assign(**{symbol: codes, TARGET: assignment.targets[codes], ORDER: order})


def restore(
    frame: pd.DataFrame, assignment: Assignment, symbol: str, time: str | None, unit: str | None, like: Any
) -> pd.DataFrame:
    """Put rows into the order of time, ties in their original order, and symbols back in place of their codes."""
    order = frame[ORDER].to_numpy()
    if np.any(order[1:] < order[:-1]):
        frame = frame.iloc[np.argsort(order, kind="stable")]
    if time is not None:
        ts, _ = times(PandasFrame(frame), time, unit)
        if np.any(ts[1:] < ts[:-1]):
            frame = frame.iloc[np.argsort(ts, kind="stable")]
    symbols = decode(frame[symbol].to_numpy(), assignment.symbols, like.dtypes[symbol])
    frame = frame.assign(**{symbol: pd.Series(symbols, index=frame.index)})
    return frame[list(like.columns)]


def decode(codes: Array, symbols: list[Symbol], dtype: Any) -> Any:
    """Return the symbols of codes as a pandas array of a dtype."""
    if isinstance(dtype, pd.CategoricalDtype):
        if dask.dataframe.utils.has_known_categories(pd.Series([], dtype=dtype)):
            places = dtype.categories.get_indexer(pd.Index(symbols, dtype=dtype.categories.dtype))
            return pd.Categorical.from_codes(places[codes] if len(places) else codes, dtype=dtype)
        return pd.Categorical.from_codes(codes, pd.Index(symbols))
    if isinstance(dtype, pd.StringDtype):
        names = pa.array(symbols, pa.large_string() if dtype.na_value is not pd.NA else pa.string())
        return pd.array(names.take(pa.array(codes)), dtype=dtype)
    return pd.Series(symbols, dtype=dtype).to_numpy()[codes] if symbols else pd.Series([], dtype=dtype).array


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

    _parameters = ["frame", "assignment", "symbol"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        nobody = Assignment([], np.zeros(0, np.int32))
        return address(self.frame._meta, nobody, self.symbol, 0)

    def _divisions(self) -> tuple[None, ...]:
        return (None,) * (self.frame.npartitions + 1)

    def _broadcast_dep(self, dep: Expr) -> bool:
        return bool(dep._name == self.assignment._name)

    def _task(self, name: Any, index: int) -> Task:
        frame, assignment = TaskRef((self.frame._name, index)), TaskRef((self.assignment._name, 0))
        return Task(name, address, frame, assignment, self.symbol, index)


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
    """A frame with every symbol whole in one partition, in time order, ties in their original order."""

    _parameters = ["frame", "symbol", "time", "unit", "rule", "counts"]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.frame._meta

    def _divisions(self) -> tuple[None, ...]:
        return (None,) * (self.rule.npartitions + 1)

    def _simplify_up(self, parent: Expr, dependents: Any) -> Any:
        if isinstance(parent, Projection):
            needed = [name for name in (self.symbol, self.time) if name is not None]
            return plain_column_projection(self, parent, dependents, additional_columns=needed)
        return None

    def _lower(self) -> Expr:
        assignment = Balance(self.counts, self.rule)
        addressed = Address(self.frame, assignment, self.symbol)
        method = dask.config.get("dataframe.shuffle.method", None)
        if method is None:
            # Dask's default without a cluster goes through files, though the result stays in memory anyway.
            method = "p2p" if get_default_shuffle_method() == "p2p" else "tasks"
        shuffled = Shuffle(addressed, TARGET, self.rule.npartitions, False, method)
        return Restore(shuffled, assignment, self.symbol, self.time, self.unit, self._meta)


def partitioned(
    frame: Expr, symbol: str | None, time: str | None, rule: int | Rule, unit: str | None = "ns"
) -> PartitionBySymbol:
    """Return the expression of a frame partitioned by symbol; by default times are of whatever unit: only their order
    counts. `rule` may be a number of partitions.
    """
    if symbol is None:
        raise PipelineError(
            "Rows of one symbol (symbol=None) cannot be shuffled by symbol; bring the partitions into time order."
        )
    # Optimised apart from the frame itself, so that counting reads the column of symbols alone, and reads it first:
    # the frame need not be held in memory until the counts are known.
    counts = SymbolCounts(frame[[symbol]].simplify(), symbol)
    return PartitionBySymbol(frame, symbol, time, unit, Rule(rule) if isinstance(rule, int) else rule, counts)
