"""As-of joins of Dask frames: rows of the left travel to the partition of the right that answers them, answers back.

The right, most often the larger side, stays where it is. Which of its partitions answers a row is told by time if its
partitions are in time order (each then starts from the last rows of those before it), or by symbol if each symbol is in
one of them. A right side of which neither is known is first shuffled by symbol. Of the left only symbols, times and row
numbers travel; it keeps its partitions, order and index, whatever they are.
"""
# Dask's expressions are not typed.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

import functools
import operator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd
from dask._task_spec import DataNode, List, Task, TaskRef
from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._expr import Expr

from fintech_toolkit.engines import evidence
from fintech_toolkit.engines.dask_scan import symbols_of
from fintech_toolkit.engines.frames import is_dask, wrap
from fintech_toolkit.engines.shuffle import partitioned
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.joins import routing
from fintech_toolkit.joins.asof import join_frames
from fintech_toolkit.joins.options import AsOf


def join(left: Any, right: Any, options: AsOf) -> Any:
    """Return the lazy join of a Dask frame with a Dask or pandas frame.

    Raises
    ------
    PipelineError
        If they are something else.
    """
    if not is_dask(left) or getattr(left, "ndim", 0) != 2:
        raise PipelineError(
            f"Where right is a Dask DataFrame left must be one too, not {type(left).__name__}; "
            "see dask.dataframe.from_pandas(left, npartitions=…)."
        )
    if isinstance(right, pd.DataFrame):
        return new_collection(JoinFrame(left.expr, right, options))
    if not is_dask(right) or getattr(right, "ndim", 0) != 2:
        raise PipelineError(f"right must be a Dask or pandas DataFrame, as left is; not {type(right).__name__}.")
    join_frames(wrap(left._meta), wrap(right._meta), options)  # complains at once about what is wrong with columns
    if right.npartitions == 1:
        return new_collection(JoinFrame(left.expr, right.expr, options))
    there, order = _routable(right.expr, options)
    if options.direction != "nearest":
        return new_collection(RoutedJoin(left.expr, there, options, order))
    there = new_collection(there)
    there = there.assign(**{routing.MATCHED_AT: there[options.on]}).expr
    sides = [RoutedJoin(left.expr, there, replace(options, direction=d), order) for d in ("backward", "forward")]
    return new_collection(Nearer(left.expr, *sides, options))


def _routable(right: Any, options: AsOf) -> tuple[Any, list[int] | None]:
    """Return right with partitions that can be addressed, and their order in time, or None if they are by symbol."""
    if evidence.by_symbol(right, options.by).holds:
        return right, None
    found = evidence.time_order(right, options.on)
    if found.order is not None:
        return right, found.order
    if options.by is None:
        raise PipelineError(
            f"The partitions of right are not known to be in time order: {found.why}. Without symbols (by=None) they "
            "must be: set_index(…, sorted=True), or write it as Parquet in time order."
        )
    return partitioned(right, options.by, options.on, right.npartitions), None


class _Join(Expr):
    """Rows, order, index and partitions of left."""

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        right = self.operand("right")
        there = right._meta if isinstance(right, Expr) else right.iloc[:0]
        return join_frames(wrap(self.left._meta), wrap(there), self.options)

    def _divisions(self) -> tuple[Any, ...]:
        return self.left.divisions


class JoinFrame(_Join):
    """Every partition of left with a right side that is whole."""

    _parameters = ["left", "right", "options"]  # noqa: RUF012

    def _layer(self) -> dict[Any, Any]:
        right = self.operand("right")
        layer: dict[Any, Any] = {}
        if isinstance(right, Expr):
            there = TaskRef((right._name, 0))
        else:
            key = (f"right-{self._name}", 0)
            layer[key] = DataNode(key, right)
            there = TaskRef(key)
        for i in range(self.left.npartitions):
            here = TaskRef((self.left._name, i))
            layer[self._name, i] = Task((self._name, i), routing.join_partition, here, there, self.options, i)
        return layer


class RoutedJoin(_Join):
    """Rows of left go to the partition of right that can answer them, and answers come back.

    Operands
    --------
    left, right : Expr
    options : AsOf
        Backward or forward.
    order : list of int or None
        Right's partitions in time order; None if each symbol is in one of them.
    """

    _parameters = ["left", "right", "options", "order"]  # noqa: RUF012

    def _layer(self) -> dict[Any, Any]:
        layer: dict[Any, Any] = {}

        def task(what: str, at: Any, function: Any, *arguments: Any) -> TaskRef:
            key = (f"{what}-{self._name}", *at)
            layer[key] = Task(key, function, *arguments)
            return TaskRef(key)

        options, lefts, rights = self.options, range(self.left.npartitions), range(self.right.npartitions)
        here = [TaskRef((self.left._name, i)) for i in lefts]
        there = [TaskRef((self.right._name, j)) for j in rights]
        edges: list[TaskRef | None] = [None for _ in rights]
        order = self.operand("order")
        if order is not None:
            spans = [task("span", (j,), routing.span, there[j], options, j) for j in order]
            address = task("address", (), routing.time_address, List(*spans))
            nearest = [task("edge", (j,), routing.edge_rows, there[j], options) for j in rights]
            for before, j in pairwise(order if options.direction == "backward" else order[::-1]):
                edges[j] = task("edges", (j,), routing.later_edge, edges[before], nearest[before], options)
        else:
            symbols = [task("symbols", (j,), symbols_of, there[j], options.by) for j in rights]
            address = task("address", (), routing.symbol_address, List(*symbols))
        routes = [task("route", (i,), routing.route, here[i], address, len(rights), options, i) for i in lefts]
        answers = []
        for j in rights:
            pieces = [task("piece", (i, j), operator.itemgetter(j), routes[i]) for i in lefts]
            answers.append(task("answer", (j,), routing.answer, there[j], edges[j], List(*pieces), options, j))
        like = self.right._meta
        for i in lefts:
            found = [task("found", (i, j), operator.itemgetter(i), answers[j]) for j in rights]
            layer[self._name, i] = Task((self._name, i), routing.assemble, here[i], List(*found), like, options)
        return layer


class Nearer(Expr):
    """Of the matches backward and forward the nearer one."""

    _parameters = ["left", "backward", "forward", "options"]  # noqa: RUF012

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.backward._meta.drop(columns=routing.MATCHED_AT)

    def _divisions(self) -> tuple[Any, ...]:
        return self.left.divisions

    def _layer(self) -> dict[Any, Any]:
        layer = {}
        for i in range(self.left.npartitions):
            parts = [TaskRef((side._name, i)) for side in (self.backward, self.forward)]
            layer[self._name, i] = Task((self._name, i), routing.nearer, *parts, self.options)
        return layer
