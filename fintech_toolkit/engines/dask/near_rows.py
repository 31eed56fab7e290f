"""Joins of Dask frames with all rows near each row: rows of left go to the partition of right that has their symbol.

Of the left only symbols, times and row numbers travel; it keeps its partitions, order and index, whatever they are.
"""

# Dask's expressions are not typed.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

import operator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from dask._task_spec import List, Task, TaskRef
from dask.dataframe.dispatch import concat

from fintech_toolkit.engines.dask import evidence, routing
from fintech_toolkit.engines.dask.asof import FeedJoinExpr, Route, finished_rows
from fintech_toolkit.engines.dask.shuffle import partitioned
from fintech_toolkit.engines.memory.horizon import known_later
from fintech_toolkit.engines.memory.keys import symbols_of
from fintech_toolkit.engines.memory.near_rows import aggregated, paired, pairs
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.window_joins import Interval, WindowOptions
from fintech_toolkit.frames.times import times
from fintech_toolkit.frames.views import PandasFrame, is_dask
from fintech_toolkit.schema import Array


def route_of(right: Any, sides: AsOf) -> Route:
    """Return how rows near rows of left are found: right whole, or by symbol, which times alone cannot tell."""
    if not is_dask(right):
        return Route("whole right", "right is in memory", right)
    if right.npartitions == 1:
        return Route("whole right", "right is one partition", right.expr)
    if sides.by is None:
        return Route("whole right", "all rows are of one symbol", right.repartition(npartitions=1).expr)
    apart = evidence.by_symbol(right.expr, sides.by)
    if apart.holds:
        return Route("by symbol", apart.why, right.expr)
    there = finished_rows(right.expr, sides)
    shuffled = partitioned(there, sides.by, sides.time("right"), right.npartitions, side="right")
    return Route("shuffle", apart.why, shuffled)


def answer(
    right: pd.DataFrame, pieces: list[pd.DataFrame], options: WindowOptions | Interval, partition: int
) -> list[pd.DataFrame]:
    """Return for every piece what is appended to its rows, with the numbers of these as index.

    Raises
    ------
    DataError
        If right cannot be used.
    """
    asked = concat(pieces)
    ts, _ = times(PandasFrame(asked), options.sides.time("left"), options.sides.unit)
    order = np.argsort(ts, kind="stable")
    try:
        rows, found = _found(asked.iloc[order], right, options)
    except DataError as error:
        raise DataError(f"{error} (Partition {partition} of right.)") from error
    rows = order[rows]
    again = np.argsort(rows, kind="stable")
    numbers = asked.index.to_numpy()[rows[again]]
    ends = np.searchsorted(rows[again], np.cumsum([0, *map(len, pieces)]))
    found = found.iloc[again].set_axis(numbers)
    return [found.iloc[start:end] for start, end in pairwise(ends)]


def _found(asked: pd.DataFrame, right: pd.DataFrame, options: WindowOptions | Interval) -> tuple[Array, pd.DataFrame]:
    """Return what is found for rows that ask, and which of them each row of it is for."""
    here, there = PandasFrame(asked), PandasFrame(right)
    if isinstance(options, Interval):
        rows, theirs = pairs(here, there, options)
        return rows, right.iloc[theirs]
    rows = np.arange(len(asked))
    return rows, pd.DataFrame(aggregated(here, there, options), index=rows)  # of no aggregates there are as many rows


def assemble(
    left: pd.DataFrame, answers: list[pd.DataFrame], like: pd.DataFrame, options: WindowOptions | Interval
) -> Any:
    """Put the answers beside the rows of left that they belong to."""
    there = concat([rows for rows in answers if len(rows)] or answers[:1])
    if isinstance(options, WindowOptions):
        lacks = np.setdiff1d(np.arange(len(left)), there.index)  # no row of right has their symbol
        if len(lacks):
            nothing = pd.DataFrame(aggregated(PandasFrame(left.iloc[lacks]), PandasFrame(like), options), index=lacks)
            there = concat([there, nothing]) if len(there) else nothing
    numbers = there.index.to_numpy()
    order = np.argsort(numbers, kind="stable")
    view = PandasFrame(left)
    if isinstance(options, Interval):
        return paired(view, PandasFrame(there), numbers[order], order, options)
    taken = {one.name: there[one.name].array[order] for one in options.aggregates}
    return known_later(view, view.append(taken), options.sides, options.after)


class NearRows(FeedJoinExpr):
    """Rows of left go to the partition of right that has their symbol, and answers come back."""

    _parameters = ["left", "right", "options"]  # noqa: RUF012

    def _layer(self) -> dict[Any, Any]:
        layer: dict[Any, Any] = {}

        def task(what: str, at: Any, function: Any, *arguments: Any) -> TaskRef:
            key = (f"{what}-{self._name}", *at)
            layer[key] = Task(key, function, *arguments)
            return TaskRef(key)

        options, sides, like = self.options, self.options.sides, self.right._meta
        here = [TaskRef((self.left._name, i)) for i in range(self.left.npartitions)]
        there = [TaskRef((self.right._name, j)) for j in range(self.right.npartitions)]
        symbols = [task("symbols", (j,), symbols_of, part, sides.by) for j, part in enumerate(there)]
        address = task("address", (), routing.symbol_address, List(*symbols))
        routes = [task("route", (i,), routing.route, p, address, len(there), sides, i) for i, p in enumerate(here)]
        answers = []
        for j, part in enumerate(there):
            pieces = [task("piece", (i, j), operator.itemgetter(j), routes[i]) for i in range(len(here))]
            answers.append(task("answer", (j,), answer, part, List(*pieces), options, j))
        for i, part in enumerate(here):
            found = [task("found", (i, j), operator.itemgetter(i), answers[j]) for j in range(len(there))]
            layer[self._name, i] = Task((self._name, i), assemble, part, List(*found), like, options)
        return layer
