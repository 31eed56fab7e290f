"""Windows of time over the rows of each symbol, and what is computed of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from fintech_toolkit.errors import ParameterError, did_you_mean
from fintech_toolkit.flow.nodes import Effect, Node, listed, require_column
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.scan.steps import Step
from fintech_toolkit.schema import KNOWN_AT, UNITS, check_unit, column_names, key_columns, nanoseconds

WINDOW_END = "window_end"
"""The column in which windows say when they end."""

OF_ANY_TYPE = ("count", "first", "last", "nunique")
OF_NUMBERS = ("sum", "mean", "min", "max", "std", "var", "median")


@dataclass(frozen=True)
class Windows:
    """Which rows make a window; durations are in nanoseconds.

    A window is a stretch of time ``[start, end)``. It starts at a whole multiple of `every` since 1970 UTC and is
    `size` long; or, with a `gap`, it goes from a row of a symbol until nothing has come of the symbol for so long.
    """

    symbol: str | None = None
    time: str = "ts"
    size: int | None = None
    every: int | None = None
    gap: int | None = None
    lateness: int = 0
    unit: str | None = None

    @classmethod
    def checked(
        cls,
        symbol: str | None,
        time: str,
        columns: Mapping[str, str] | None,
        unit: str | None,
        durations: Mapping[str, Any],
        needed: str,
    ) -> Windows:
        """Return windows as a user describes them.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.
        """
        symbol, time = key_columns(symbol, time, columns)
        if not (symbol is None or isinstance(symbol, str)) or not isinstance(time, str) or symbol == time:
            raise ParameterError(
                f"symbol={symbol!r} and time={time!r} must name one column of symbols (or None) and one of times."
            )
        check_unit(unit)
        if durations[needed] is None:
            raise ParameterError(f"{needed}=None must be a duration, such as '1min'.")
        spans = {n: nanoseconds(v, n, zero=n == "lateness") for n, v in durations.items() if v is not None}
        for name, span in spans.items():
            if span % UNITS[unit or "ns"]:
                raise ParameterError(f"{name}={durations[name]!r} is no whole number of unit={unit!r}.")
        made = cls(symbol, time, unit=unit, **spans)
        if made.size is not None and made.every is not None and made.every > made.size:
            raise ParameterError(
                f"every={durations['every']!r} is longer than size={durations['size']!r}, so that rows between two "
                "windows would be in none."
            )
        return made

    @property
    def keys(self) -> list[str]:
        """The columns that say whose and when a row is."""
        return [*([] if self.symbol is None else [self.symbol]), self.time]

    def __str__(self) -> str:
        if self.gap is not None:
            said = f"session window until a gap of {_text(self.gap)}"
        else:
            assert self.size is not None
            said = f"window of {_text(self.size)}"
            said += "" if self.every is None else f" every {_text(self.every)}"
        said += f", lateness {_text(self.lateness)}" if self.lateness else ""
        return said + ("" if self.symbol is None else f", by {self.symbol}")


@dataclass(frozen=True)
class Aggregate:
    """A column of the result: a column of the rows and how it becomes one value, or the one step of a pipeline."""

    name: str
    column: str | None = None
    how: str | None = None
    pipeline: Description | None = None

    @classmethod
    def checked(cls, name: str, given: Any, columns: Mapping[str, str]) -> Aggregate:
        """Return what a user gives as ``name=given``.

        Raises
        ------
        ParameterError
            If it is neither a column and the name of an aggregation nor a step that gives one column.
        """
        if isinstance(given, Step):
            if given.kernel.emits or given.sets or len(given.outputs) != 1:
                gives = "rows of its own" if given.kernel.emits else f"columns {', '.join(given.outputs)}"
                raise ParameterError(f"{name}={given!r} gives {gives}; of a window a step must give one column.")
            step = replace(given, columns=tuple(columns.get(column, column) for column in given.columns))
            return cls(name, pipeline=Description(step))
        if not isinstance(given, tuple | list) or len(given) != 2 or not isinstance(given[0], str):
            raise ParameterError(
                f"{name}={given!r} is no aggregation: give a column and how, such as ('price', 'max'), or a step, such "
                "as ft.vwap('price', 'size')."
            )
        column, how = given
        known = (*OF_NUMBERS, *OF_ANY_TYPE)
        if not isinstance(how, str) or how not in known:
            hint = did_you_mean(how, known) if isinstance(how, str) else f"Known: {', '.join(sorted(known))}."
            raise ParameterError(f"{name}={given!r}: there is no aggregation {how!r}. {hint}")
        return cls(name, columns.get(column, column), how)

    @property
    def step(self) -> Step | None:
        """The step, if it is one."""
        return None if self.pipeline is None else self.pipeline.steps[0]

    @property
    def reads(self) -> list[str]:
        """The columns that it reads."""
        return list(self.step.columns) if self.step is not None else [str(self.column)]

    def __str__(self) -> str:
        return f"{self.name} = {self.step if self.step is not None else f'{self.how} of {self.column}'}"


@dataclass(frozen=True)
class Window(Node):
    """A row for each window of each symbol that has rows."""

    frame: Node
    windows: Windows
    aggregates: tuple[Aggregate, ...]

    inputs: ClassVar[tuple[str, ...]] = ("frame",)

    @property
    def effect(self) -> Effect:
        return Effect("replaces", "all of a time")

    @property
    def reads(self) -> list[str]:
        """The columns that it reads."""
        return list(dict.fromkeys([*self.windows.keys, *(name for each in self.aggregates for name in each.reads)]))

    def gives(self, *columns: list[str]) -> list[str]:
        for name in self.reads:
            require_column(name, columns[0])
        return [*self.windows.keys, WINDOW_END, *(each.name for each in self.aggregates), KNOWN_AT]

    def carries(self, column: str, *columns: list[str]) -> tuple[int, str] | None:
        return None

    def __str__(self) -> str:
        return f"{self.windows}: {listed(list(map(str, self.aggregates)))}"


F = TypeVar("F")


class Windowed(Generic[F]):
    """Windows of which it is yet to be said what is computed of each; `Flow.window` and `Flow.session_window` give it.

    Attributes
    ----------
    windows : Windows
        Which rows make a window.
    """

    def __init__(
        self, flow: Callable[[Node], F], node: Node, windows: Windows, columns: Mapping[str, str] | None
    ) -> None:
        self._flow, self._node, self._columns = flow, node, column_names(columns)
        self.windows = windows

    def agg(self, **aggregates: Any) -> F:
        """Say what is computed of each window.

        Rows are taken in order of time, ties in the order in which they came.

        Parameters
        ----------
        **aggregates : (column, how) or step
            The columns of the result. `how` is one of pandas' names: count, sum, mean, min, max, std, var or median of
            a column of numbers; count, first, last or nunique of any. Missing values (null, NaN) are left out. Whole
            numbers are exact in sum, min, max, first and last. A step, such as ``ft.vwap("price", "size")``, gives its
            value at the window's last row, begun afresh at the first.

        Returns
        -------
        Flow
            Its rows are windows: the symbol, the start under the name of the column of times, ``window_end``, the
            aggregates, and ``known_at``, the end and the lateness after it (or when the last of its rows became known,
            if they say so and it is later). They come by their end, then by the time of their first row.

        Raises
        ------
        ParameterError
            If there is none, one is no aggregation, or has the name of another column of the result.
        """
        if not aggregates:
            raise ParameterError("agg() needs what is computed of a window, such as high=('price', 'max').")
        taken = [*self.windows.keys, WINDOW_END, KNOWN_AT]
        for name in [*aggregates, *self.windows.keys]:
            if [*taken, *aggregates].count(name) > 1:
                raise ParameterError(f"The rows of windows would have two columns called {name!r}; rename one.")
        made = tuple(Aggregate.checked(name, given, self._columns) for name, given in aggregates.items())
        return self._flow(Window(self._node, self.windows, made))

    def __repr__(self) -> str:
        return f"<{self.windows}; .agg(…) says what is computed>"


def _text(ns: int) -> str:
    for name, unit in (("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("min", 60_000_000_000), *UNITS.items()):
        if ns % unit == 0:
            return f"{ns // unit}{name}"
    raise AssertionError
