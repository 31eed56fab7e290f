"""Joins of Dask frames at horizons: an as-of join for each offset, and its columns put beside left's rows."""

# Dask's expressions are not typed.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import pandas as pd
from dask._task_spec import List, Task, TaskRef
from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._expr import Expr

from fintech_toolkit.engines.dask.asof import FeedJoinExpr, RoutedJoin
from fintech_toolkit.engines.memory.horizon import known_later
from fintech_toolkit.flow.asof import free_name
from fintech_toolkit.flow.feed_joins import Horizon
from fintech_toolkit.frames.views import PandasFrame


def put_beside(left: pd.DataFrame, answers: list[pd.DataFrame], options: Horizon, names: dict[str, str]) -> Any:
    """Put the answers for each offset beside the rows of left; `names` says what each column of right is called."""
    view = PandasFrame(left)
    taken = {
        f"{name}_{text}": answer[called].array
        for (text, _), answer in zip(options.offsets, answers, strict=True)
        for name, called in names.items()
    }
    return known_later(view, view.append(taken), options.sides, options.after)


class HorizonJoin(FeedJoinExpr):
    """Rows of left with those of right at several offsets; operands are those of `RoutedJoin`."""

    _parameters = ["left", "right", "options", "by_time"]  # noqa: RUF012

    def _lower(self) -> Expr:
        options, sides = self.options, self.options.sides
        free = functools.partial(free_name, [*self.left.columns, *self.right.columns])
        there = new_collection(self.right)
        names = {name: f"{free('taken')}{j}" for j, name in enumerate(options.taken(list(self.right.columns)))}
        there = there.assign(**{called: there[name] for name, called in names.items()})
        there = there[[*sides.reads("right", list(self.right.columns)), *names.values()]].expr
        here = self.left[sides.keys("left")]
        shifts = [replace(sides, shift=shift, suffixes=("", free("right"))) for _, shift in options.offsets]
        answers = [RoutedJoin(here, there, each, self.by_time) for each in shifts]
        return PutBeside(self.left, options, names, *answers)


class PutBeside(Expr):
    """The answers for each offset, which are operands too, beside the rows of left."""

    _parameters = ["left", "options", "names"]  # noqa: RUF012

    @property
    def answers(self) -> list[Expr]:
        """The joins whose columns are put beside left's rows."""
        return self.operands[len(self._parameters) :]

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return put_beside(self.left._meta, [each._meta for each in self.answers], self.options, self.operand("names"))

    def _divisions(self) -> tuple[Any, ...]:
        return self.left.divisions

    def _layer(self) -> dict[Any, Any]:
        layer = {}
        for i in range(self.left.npartitions):
            found = List(*(TaskRef((each._name, i)) for each in self.answers))
            here = TaskRef((self.left._name, i))
            layer[self._name, i] = Task((self._name, i), put_beside, here, found, self.options, self.operand("names"))
        return layer
