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
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from dask._task_spec import DataNode, List, Task, TaskRef
from dask.base import tokenize
from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._expr import Expr, Partitions, Projection, determine_column_projection
from dask.dataframe.dask_expr._util import _convert_to_list
from dask.delayed import delayed

from fintech_toolkit.engines.dask import evidence, routing
from fintech_toolkit.engines.dask.shuffle import partitioned
from fintech_toolkit.engines.memory.asof_summary import count, gather, left_out, searches
from fintech_toolkit.engines.memory.feed_joins import join_feeds
from fintech_toolkit.engines.memory.keys import symbols_of
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.flow.asof import AsOf, free_name
from fintech_toolkit.flow.plan import AS_THEY_WERE, Plan, how_many
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import PandasFrame, is_dask, require, sort_of
from fintech_toolkit.schema import KNOWN_AT, Array

_ROUTED = "each row of left travels to the partition of right that can answer it, and the answer back"
ROUTES = {
    "whole right": "every partition of left by itself, with all of right",
    "by time": f"{_ROUTED}; right stays where it is, a partition starts from the last rows of those before",
    "by symbol": f"{_ROUTED}; right stays where it is",
    "shuffle": f"right is shuffled by symbol; then {_ROUTED}",
}


class Route(NamedTuple):
    """By which route rows are answered, why, and right with partitions that can be addressed so."""

    name: str
    reason: str
    right: Any


def join(left: Any, right: Any, options: AsOf) -> Any:
    """Return the lazy join of a Dask frame with a Dask or pandas frame.

    Raises
    ------
    PipelineError
        If they are something else.
    """
    check_frames(left, right)
    here = left.expr
    options = options.resolved(list(left.columns), list(right.columns))
    if not is_dask(right):
        return new_collection(JoinFrame(here, right, options))
    # Complains at once about what is wrong.
    meta = join_feeds(PandasFrame(left._meta), PandasFrame(right._meta), options)
    route = route_of(right, options)
    if route.name == "whole right":
        return new_collection(JoinFrame(here, route.right, options))
    there, by_time = route.right, route.name == "by time"
    if options.direction != "nearest":
        return new_collection(RoutedJoin(here, there, options, by_time))
    matched_at = free_name([*left.columns, *right.columns, *meta.columns], "matched_at")
    there = new_collection(there)
    there = there.assign(**{matched_at: there[options.time("right")]}).expr
    sides = [RoutedJoin(here, there, replace(options, direction=d), by_time) for d in ("backward", "forward")]
    time = options.names(list(left.columns), list(right.columns))[0][options.time("left")]
    return new_collection(Nearer(*sides, options, time, matched_at))


def explain(left: Any, right: Any, options: AsOf, find_route: Callable[[Any, AsOf], Any]) -> Plan:
    """Return by which route a Dask frame would be joined with a Dask or pandas frame; nothing is computed."""
    check_frames(left, right)
    options = options.resolved(list(left.columns), list(right.columns))
    for side, frame in (("left", left), ("right", right)):
        for name in options.keys(side):
            require(PandasFrame(getattr(frame, "_meta", frame)), name, f" on the {side}")
    route = find_route(right, options)
    theirs = how_many(right.npartitions, "partition") if is_dask(right) else "one frame"
    chunks = f"left {how_many(left.npartitions, 'partition')}, right {theirs}"
    return Plan(route.name, route.reason, ROUTES[route.name], chunks, AS_THEY_WERE)


def check_frames(left: Any, right: Any) -> None:
    if not is_dask(left) or getattr(left, "ndim", 0) != 2:
        raise PipelineError(
            f"Where right is a Dask DataFrame left must be one too, not {type(left).__name__}; "
            "see dask.dataframe.from_pandas(left, npartitions=…)."
        )
    if sort_of(right) != "pandas" and (not is_dask(right) or getattr(right, "ndim", 0) != 2):
        raise PipelineError(f"right must be a Dask or pandas DataFrame, as left is; not {type(right).__name__}.")


def summary(left: Any, right: Any, options: AsOf) -> Any:
    """Return the summary of Dask frames, delayed."""
    join(left, right, options)  # complains at once about what is wrong with columns
    options = options.resolved(list(left.columns), list(right.columns))
    joined = left[options.reads("left", list(left.columns))]
    there = right[options.reads("right", list(right.columns))]
    free = functools.partial(free_name, [*joined.columns, *there.columns])
    names = [free(what) for what in ("candidate", "instant", "any")]
    for j, search in enumerate(searches(options)):
        named = there.assign(**{names[j]: there[options.time("right")]})
        joined = join(joined, named, replace(search, suffixes=("", free("right"))))
        joined = joined[[*options.keys("left"), *names[: j + 1]]]
    parts = [delayed(_count_partition)(part, names, options) for part in joined.to_delayed()]
    rights = there.to_delayed() if is_dask(there) else [there]
    return delayed(gather)(options, parts, [delayed(left_out)(part, options) for part in rights])


def _count_partition(joined: pd.DataFrame, names: list[str], options: AsOf) -> tuple[Array, Array]:
    view = PandasFrame(joined)
    ts, *found = (times(view, name, options.unit)[0] for name in (options.time("left"), *names))
    known = ts != NAT
    return count(ts[known], [there[known] for there in found], int(np.count_nonzero(~known)), options)


def route_of(right: Any, options: AsOf) -> Route:
    if not is_dask(right):
        return Route("whole right", "right is in memory", right)
    right = right.expr
    if right.npartitions == 1:
        return Route("whole right", "right is one partition", right)
    apart = evidence.by_symbol(right, options.by)
    if apart.holds:
        return Route("by symbol", apart.why, right)
    time = options.time("right")
    found = evidence.time_order(right, time)
    if found.order is not None:
        ordered = found.order == list(range(right.npartitions))
        return Route("by time", found.why, right if ordered else Partitions(right, found.order))
    if options.by is None:
        raise PipelineError(
            f"The partitions of right are not known to be in time order: {found.why}. Without symbols "
            "(symbol=None) they must be: set_index(…, sorted=True), or write it as Parquet in time order."
        )
    shuffled = partitioned(finished_rows(right, options), options.by, time, right.npartitions, side="right")
    return Route("shuffle", f"{found.why}; {apart.why}", shuffled)


def finished_rows(right: Any, options: AsOf) -> Any:
    """Leave out rows without a time that are not finished: a shuffle could not put them in order."""
    if options.unfinished or KNOWN_AT not in right.columns:
        return right
    frame = new_collection(right)
    return frame[frame[KNOWN_AT].notnull()].expr


class FeedJoinExpr(Expr):
    """Rows, order, index and partitions of left."""

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        right = self.operand("right")
        there = right._meta if isinstance(right, Expr) else right.iloc[:0]
        return join_feeds(PandasFrame(self.left._meta), PandasFrame(there), self.options)

    def _divisions(self) -> tuple[Any, ...]:
        return self.left.divisions

    def keeps(self, column: str) -> tuple[Expr, str] | None:
        """Return left, if it has a column as it is here, and its name there."""
        found = self.options.carries(column, list(self.left.columns), list(self.operand("right").columns))
        return None if found is None or found[0] else (self.left, found[1])

    @functools.cached_property
    def unique_partition_mapping_columns_from_shuffle(self) -> set[Any]:
        """Return by which columns the partitions hold rows together, as Dask asks it."""
        found = self.left.unique_partition_mapping_columns_from_shuffle
        return {columns for columns in found if all(self.keeps(name) == (self.left, name) for name in columns)}

    def _simplify_up(self, parent: Expr, dependents: Any) -> Any:
        """Read no more columns of either side than the result is asked for."""
        if not isinstance(parent, Projection):
            return None
        right = self.operand("right")
        asked = set(_convert_to_list(determine_column_projection(self, parent, dependents)) or ())
        frames = [self.left, right]
        needed = self.options.needs(asked, *(list(frame.columns) for frame in frames))
        sides = [[n for n in frame.columns if n in names] for frame, names in zip(frames, needed, strict=True)]
        if sides == [list(self.left.columns), list(right.columns)]:
            return None
        narrow = type(self)(self.left[sides[0]], right[sides[1]], self.options.narrowed(asked), *self.operands[3:])
        return type(parent)(narrow, *parent.operands[1:])


def with_whole_right(expr: Expr, right: Any, function: Callable[..., Any], how: Any) -> dict[Any, Any]:
    """Return the tasks of an expression that does something with every partition of its left and all of right, which
    is an expression of one partition, or a frame.
    """
    layer: dict[Any, Any] = {}
    if isinstance(right, Expr):
        there = TaskRef((right._name, 0))
    else:
        key = (f"right-{expr._name}", 0)
        layer[key] = DataNode(key, right)
        there = TaskRef(key)
    for i in range(expr.left.npartitions):
        here = TaskRef((expr.left._name, i))
        layer[expr._name, i] = Task((expr._name, i), function, here, there, how, i)
    return layer


class JoinFrame(FeedJoinExpr):
    """Every partition of left with a right side that is whole."""

    _parameters = ["left", "right", "options"]  # noqa: RUF012

    def _layer(self) -> dict[Any, Any]:
        return with_whole_right(self, self.operand("right"), routing.join_partition, self.options)


class RoutedJoin(FeedJoinExpr):
    """Rows of left go to the partition of right that can answer them, and answers come back.

    Operands
    --------
    left, right : Expr
    options : AsOf
        Backward or forward.
    by_time : bool
        Whether right's partitions are in time order; else each symbol is in one of them.
    """

    _parameters = ["left", "right", "options", "by_time"]  # noqa: RUF012

    def _layer(self) -> dict[Any, Any]:
        layer: dict[Any, Any] = {}
        # What is asked of right alone is the same for joins that differ in their shift.
        alone = replace(self.options, shift=0)
        of_right = f"{self.right._name}-{tokenize(alone, self.by_time)}"

        def task(what: str, at: Any, function: Any, *arguments: Any, of: str = self._name) -> TaskRef:
            key = (f"{what}-{of}", *at)
            layer[key] = Task(key, function, *arguments)
            return TaskRef(key)

        options, lefts, rights = self.options, range(self.left.npartitions), range(self.right.npartitions)
        here = [TaskRef((self.left._name, i)) for i in lefts]
        there = [TaskRef((self.right._name, j)) for j in rights]
        edges: list[TaskRef | None] = [None for _ in rights]
        if self.by_time:
            spans = [task("span", (j,), routing.span, there[j], alone, j, of=of_right) for j in rights]
            address = task("address", (), routing.time_address, List(*spans), of=of_right)
            nearest = [task("edge", (j,), routing.edge_rows, there[j], alone, of=of_right) for j in rights]
            for before, j in pairwise(rights if options.direction == "backward" else rights[::-1]):
                edges[j] = task("edges", (j,), routing.later_edge, edges[before], nearest[before], alone, of=of_right)
        else:
            symbols = [task("symbols", (j,), symbols_of, there[j], alone.by, of=of_right) for j in rights]
            address = task("address", (), routing.symbol_address, List(*symbols), of=of_right)
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

    _parameters = ["backward", "forward", "options", "time", "matched_at"]  # noqa: RUF012

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.backward._meta.drop(columns=self.matched_at)

    def _divisions(self) -> tuple[Any, ...]:
        return self.backward.divisions

    def keeps(self, column: str) -> tuple[Expr, str] | None:
        """Return left, if it has a column as it is here, and its name there."""
        return self.backward.keeps(column)

    @functools.cached_property
    def unique_partition_mapping_columns_from_shuffle(self) -> set[Any]:
        """Return by which columns the partitions hold rows together, as Dask asks it."""
        return self.backward.unique_partition_mapping_columns_from_shuffle

    def _layer(self) -> dict[Any, Any]:
        layer = {}
        for i in range(self.backward.npartitions):
            parts = [TaskRef((side._name, i)) for side in (self.backward, self.forward)]
            layer[self._name, i] = Task((self._name, i), routing.nearer, *parts, *self.operands[2:])
        return layer
