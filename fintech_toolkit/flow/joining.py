"""The methods of a dataflow that join it with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.conditions import Conditions
from fintech_toolkit.flow.feed_joins import Horizon
from fintech_toolkit.flow.nodes import Node, names_of_columns
from fintech_toolkit.flow.operations import AsOfJoin, Filter, HorizonJoin, IntervalJoin, Join, WindowJoin
from fintech_toolkit.flow.window_joins import Interval, WindowOptions


class JoinMethods:
    """What a flow can be joined with, and how."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def join(
        self,
        reference: JoinMethods,
        on: str | Sequence[str] | None = None,
        *,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        how: str = "inner",
        select: Sequence[str] | None = None,
        where: Any = None,
    ) -> Self:
        """Append columns of the one row of a reference that has the same key.

        Parameters
        ----------
        reference : Flow
            Its keys are unique: two rows with one key that is asked for are an error.
        on : str or list of str
            The columns that are equal. A missing value equals nothing.
        left_on, right_on : str or list of str, optional
            Instead of `on`, where they are called differently.
        how : {"inner", "left"}
            Whether rows that meet none are dropped, or kept with missing values.
        select : list of str, optional
            The columns that are appended; all but the key, if left out.
        where : conditions, optional
            Conditions on rows of the reference, as for `filter`.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.
        """
        ours, theirs = _keys(on, left_on, right_on)
        if how not in ("inner", "left"):
            raise ParameterError(f"how={how!r} must be 'inner' or 'left'.")
        there = _flow(reference, "join").node
        if where is not None:
            there = Filter(there, Conditions.checked(where))
        columns = None if select is None else names_of_columns(select, "select=")
        return type(self)(Join(self.node, there, ours, theirs, how, columns))

    def asof_join(
        self,
        right: JoinMethods,
        symbol: str | None = "symbol",
        time: str = "ts",
        left_on: str | None = None,
        right_on: str | None = None,
        direction: str = "backward",
        tolerance: Any = None,
        allow_exact_matches: bool = True,
        suffixes: Sequence[str] = ("", "_right"),
        unfinished: bool = False,
        unit: str | None = None,
        columns: Mapping[str, str] | None = None,
        *,
        by: Any = ...,
        on: Any = ...,
    ) -> Self:
        """Append the columns of the row of another feed that held as of each row's time.

        The arguments are those of `fintech_toolkit.asof_join`.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.
        """
        options = AsOf.checked(
            symbol,
            time,
            left_on,
            right_on,
            direction,
            tolerance,
            allow_exact_matches,
            suffixes,
            unfinished,
            unit,
            columns,
            by,
            on,
        )
        return type(self)(AsOfJoin(self.node, _flow(right, "asof_join").node, options))

    def horizon_join(
        self,
        right: JoinMethods,
        offsets: Sequence[str],
        select: Sequence[str] | None = None,
        symbol: str | None = "symbol",
        time: str = "ts",
        left_on: str | None = None,
        right_on: str | None = None,
        tolerance: Any = None,
        allow_exact_matches: bool = True,
        unit: str | None = None,
        columns: Mapping[str, str] | None = None,
        *,
        by: Any = ...,
        on: Any = ...,
    ) -> Self:
        """Append the columns of the rows of another feed that held so long before or after each row.

        The arguments are those of `fintech_toolkit.horizon_join`.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.
        """
        names = (symbol, time, left_on, right_on)
        sides = AsOf.of(*names, unit, columns, by, on, tolerance=tolerance, exact=allow_exact_matches)
        options = Horizon.checked(sides, offsets, select)
        return type(self)(HorizonJoin(self.node, _flow(right, "horizon_join").node, options))

    def window_join(
        self,
        right: JoinMethods,
        before: Any,
        after: Any = "0s",
        *,
        agg: Mapping[str, Sequence[str]],
        symbol: str | None = "symbol",
        time: str = "ts",
        left_on: str | None = None,
        right_on: str | None = None,
        unit: str | None = None,
        columns: Mapping[str, str] | None = None,
        by: Any = ...,
        on: Any = ...,
    ) -> Self:
        """Append what the rows of another feed come to within a window around each row.

        The arguments are those of `fintech_toolkit.window_join`.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.
        """
        sides = AsOf.of(symbol, time, left_on, right_on, unit, columns, by, on)
        options = WindowOptions.checked(sides, before, after, agg)
        return type(self)(WindowJoin(self.node, _flow(right, "window_join").node, options))

    def interval_join(
        self,
        right: JoinMethods,
        within: Any,
        symbol: str | None = "symbol",
        time: str = "ts",
        left_on: str | None = None,
        right_on: str | None = None,
        suffixes: Sequence[str] = ("", "_right"),
        unit: str | None = None,
        columns: Mapping[str, str] | None = None,
        *,
        by: Any = ...,
        on: Any = ...,
    ) -> Self:
        """Join each row with each row of another feed that is near it.

        The arguments are those of `fintech_toolkit.interval_join`.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.
        """
        sides = AsOf.of(symbol, time, left_on, right_on, unit, columns, by, on, suffixes=suffixes)
        options = Interval.checked(sides, within)
        return type(self)(IntervalJoin(self.node, _flow(right, "interval_join").node, options))


def _flow(value: Any, what: str) -> JoinMethods:
    if not isinstance(value, JoinMethods):
        raise ParameterError(f"{what} takes a flow, such as ft.source('quotes'), not {type(value).__name__}.")
    return value


def _keys(on: Any, left_on: Any, right_on: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if (on is None) == (left_on is None and right_on is None) or (left_on is None) != (right_on is None):
        raise ParameterError("A join needs on=…, or left_on=… and right_on=…, to say which columns are equal.")
    ours, theirs = (
        (names_of_columns(on, "on="),) * 2
        if on is not None
        else (names_of_columns(left_on, "left_on="), names_of_columns(right_on, "right_on="))
    )
    if not ours or len(ours) != len(theirs):
        raise ParameterError(f"left_on={left_on!r} and right_on={right_on!r} must name as many columns.")
    return ours, theirs
