"""Dataflows on Dask frames: each node as an expression of Dask, so that what is known of partitions goes on."""

# Dask is typed in part only, and its expressions declare their operands in a mutable class attribute.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"
# ruff: noqa: RUF012

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import pandas as pd
from dask._task_spec import Task, TaskRef
from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._expr import Blockwise, Expr, Projection, determine_column_projection
from dask.dataframe.dask_expr._util import _convert_to_list

from fintech_toolkit.engines.dask import cross_sections, feed_joins, partitions, plans, references, versions, windows
from fintech_toolkit.engines.dask.scans import in_partition
from fintech_toolkit.engines.memory.files import PandasFiles
from fintech_toolkit.engines.memory.inputs import FrameInput
from fintech_toolkit.engines.memory.reference_table import ReferenceRows
from fintech_toolkit.engines.memory.relational import OPERATIONS, naming
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.flow import flow_plan
from fintech_toolkit.flow.conditions import Conditions
from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.flow.flow_plan import FlowPlan
from fintech_toolkit.flow.nodes import Node, Source, walk
from fintech_toolkit.flow.operations import (
    AsOfJoin,
    FeedJoin,
    Filter,
    HorizonJoin,
    IntervalJoin,
    Join,
    Pipe,
    Rename,
    Select,
    WindowJoin,
)
from fintech_toolkit.flow.plan import Plan
from fintech_toolkit.flow.rules import optimised
from fintech_toolkit.flow.windows import Window
from fintech_toolkit.frames.views import is_dask, sort_of
from fintech_toolkit.scan.threads import one_thread


class DaskInput:
    """A Dask frame as an input."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.names = list(frame.columns)

    def read(self, columns: Any, where: Conditions | None) -> Any:
        """Return the lazy frame of some columns of the rows that meet conditions."""
        frame = self._frame if where is None else _filter(where, self._frame)
        return frame if columns is None else frame[list(columns)]


class DaskFiles(PandasFiles):
    """Files that are read lazily: Parquet as Dask does, CSV a file a partition."""

    def read(self, columns: Any = None, where: Conditions | None = None) -> Any:
        """Return the lazy frame of some columns of the rows that meet conditions."""
        names = None if columns is None else list(dict.fromkeys([*columns, *(where.columns if where else ())]))
        if self.format == "csv":
            frame = dd.from_map(_read_csv, self.paths, columns=names, meta=_empty(self))
        else:
            filters = None if where is None else where.tuples()
            frame = dd.read_parquet(self.path, columns=names, filters=filters, index=False)
        return DaskInput(frame).read(columns, where)  # rows of which a value is missing meet no condition


def _read_csv(path: str, columns: list[str] | None = None) -> pd.DataFrame:
    frame: pd.DataFrame = PandasFiles(path).read(columns)
    return frame


def _empty(files: DaskFiles) -> pd.DataFrame:
    return files.schema.empty_table().to_pandas(ignore_metadata=True)


def run(tree: Node, given: Mapping[str, Any], without: Collection[str]) -> Any:
    """Return the lazy frame that a flow gives.

    Raises
    ------
    FintechToolkitError
        If something is wrong with columns; with rows, when it is computed.
    """
    inputs = _inputs(given)
    runs, _ = optimised(tree, {name: item.names for name, item in inputs.items()}, without)
    return _lowered(runs, inputs, {})


def explain(tree: Node, given: Mapping[str, Any], without: Collection[str]) -> FlowPlan:
    """Return how a flow would run; nothing is computed."""
    inputs = _inputs(given)
    runs, _ = optimised(tree, {name: item.names for name, item in inputs.items()}, without)
    found: dict[Node, Plan] = {}
    _lowered(runs, inputs, found)
    return flow_plan.explain(tree, inputs, without, found)


def _inputs(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in given.items():
        if is_dask(value):
            found[name] = DaskInput(value)
        elif sort_of(value) == "pandas":
            found[name] = FrameInput(value)
        elif isinstance(value, ReferenceRows):
            found[name] = FrameInput(value.frame(pandas=True))
        elif isinstance(value, str | os.PathLike):
            by_symbol = (Path(value) / versions.POINTER).is_file()
            found[name] = DaskInput(partitions.read_partitioned(value)) if by_symbol else DaskFiles(value)
        else:
            raise PipelineError(
                f"On Dask source {name!r} must be a Dask or pandas frame, a ReferenceTable, or a path, not "
                f"{type(value).__name__}."
            )
    return found


def _lowered(tree: Node, inputs: Mapping[str, Any], found: dict[Node, Plan]) -> Any:
    """Return the lazy frame of a tree, and note in `found` how nodes that remember run."""
    frames: dict[Node, Any] = {}
    for node in walk(tree):
        before = [frames[each] for each in node.before]
        with naming(node, tree):
            if isinstance(node, Source):
                frames[node] = inputs[node.name].read(node.columns, node.where)
            elif not any(map(is_dask, before)):
                frames[node] = OPERATIONS[type(node)](node, *before)
            else:
                frames[node] = LOWERINGS[type(node)](node, *before)
                if type(node) in EXPLANATIONS:
                    found[node] = EXPLANATIONS[type(node)](node, *before)
    return frames[tree]


def _filter(where: Conditions, frame: Any) -> Any:
    return new_collection(RowFilter(frame.expr, where))


def _join_feeds(node: FeedJoin, left: Any, right: Any) -> Any:
    return feed_joins.join(left, right, node.options)


def _explained_feeds(node: FeedJoin, left: Any, right: Any) -> Plan:
    return feed_joins.explain(left, right, node.options)


LOWERINGS: dict[type[Node], Callable[..., Any]] = {
    Filter: lambda node, frame: _filter(node.where, frame),
    Select: lambda node, frame: frame[list(node.columns)],
    Rename: lambda node, frame: frame.rename(columns=dict(node.names)),
    Pipe: lambda node, frame: plans.apply(node.pipeline, frame)[0],
    Join: references.join,
    AsOfJoin: _join_feeds,
    HorizonJoin: _join_feeds,
    WindowJoin: _join_feeds,
    IntervalJoin: _join_feeds,
    Window: windows.apply,
    CrossSection: cross_sections.apply,
}
EXPLANATIONS: dict[type[Node], Callable[..., Plan]] = {
    Pipe: lambda node, frame: plans.explain(node.pipeline, frame),
    Join: references.explain,
    AsOfJoin: _explained_feeds,
    HorizonJoin: _explained_feeds,
    WindowJoin: _explained_feeds,
    IntervalJoin: _explained_feeds,
    Window: windows.explain,
    CrossSection: cross_sections.explain,
}


def keep_rows(frame: pd.DataFrame, where: Conditions, partition: int = 0) -> pd.DataFrame:
    """Return the rows of a partition that meet conditions."""
    with one_thread(), in_partition(partition):
        return FrameInput(frame).read(None, where)


class RowFilter(Blockwise):
    """Rows that meet conditions, where they are."""

    _parameters = ["frame", "conditions"]
    operation = staticmethod(keep_rows)

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return keep_rows(self.frame._meta, self.conditions)

    def keeps(self, column: str) -> tuple[Expr, str] | None:
        """Return the expression that has a column as it is here, partition by partition, and its name there."""
        return self.frame, column

    @functools.cached_property
    def unique_partition_mapping_columns_from_shuffle(self) -> set[Any]:
        """Return by which columns the partitions hold rows together, as Dask asks it."""
        return self.frame.unique_partition_mapping_columns_from_shuffle

    def _task(self, name: Any, index: int) -> Task:
        return Task(name, keep_rows, TaskRef((self.frame._name, index)), self.conditions, index)

    def _simplify_up(self, parent: Expr, dependents: Any) -> Any:
        if not isinstance(parent, Projection):
            return None
        reads = self.conditions.columns
        wanted = _convert_to_list(determine_column_projection(self, parent, dependents, additional_columns=reads)) or ()
        columns = [name for name in self.frame.columns if name in wanted]
        if columns == list(self.frame.columns):
            return None
        return type(parent)(type(self)(self.frame[columns], self.conditions), *parent.operands[1:])
