"""Cross-sections: what is computed of all symbols of a time, or of a bar of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from fintech_toolkit.errors import ColumnError, ParameterError
from fintech_toolkit.flow.nodes import Effect, Node, require_column
from fintech_toolkit.flow.windows import Windows
from fintech_toolkit.scan.across import further_columns
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.parameters import duration_text
from fintech_toolkit.scan.steps import Step
from fintech_toolkit.schema import KNOWN_AT


@dataclass(frozen=True)
class CrossSection(Node):
    """Kernels across the symbols of each time; durations are in nanoseconds.

    Without `every` the rows of a time are those of that very time; with it, those of a bar ``[start, start + every)``,
    of each symbol the last.
    """

    frame: Node
    steps: tuple[Step, ...]
    every: int | None = None
    lateness: int = 0
    symbol: str = "symbol"
    time: str = "ts"
    unit: str | None = None

    inputs: ClassVar[tuple[str, ...]] = ("frame",)

    @property
    def effect(self) -> Effect:
        return Effect("keeps" if self.keeps else "replaces", "all of a time")

    @property
    def keeps(self) -> bool:
        """Whether the rows are those that came, each with more columns."""
        return self.every is None and not self.per_stamp

    @property
    def per_stamp(self) -> bool:
        """Whether it gives a row for each time, and not one for each symbol."""
        return any(step.kernel.per_stamp for step in self.steps)

    @property
    def windows(self) -> Windows:
        """The stretches of time whose rows are taken together: bars, or single nanoseconds."""
        return Windows(self.symbol, self.time, size=self.every or 1, lateness=self.lateness, unit=self.unit)

    @property
    def history(self) -> int:
        """How many times before a time its result depends on."""
        return max((dict(step.resolved).get("window", 1) for step in self.steps), default=1) - 1

    @property
    def outputs(self) -> list[str]:
        """The columns that the steps give."""
        return [name for step in self.steps for name in step.outputs]

    @property
    def reads(self) -> list[str]:
        """The columns that it reads."""
        further = [name for step in self.steps for names in further_columns(step).values() for name in names]
        own = [name for step in self.steps for name in step.columns]
        return list(dict.fromkeys([self.symbol, self.time, *own, *further]))

    def gives(self, *columns: list[str]) -> list[str]:
        (there,) = columns
        for name in self.reads:
            require_column(name, there)
        made = [self.time] if self.per_stamp else list(there)
        for name in self.outputs:
            if name in made or name == KNOWN_AT:
                raise ColumnError(f"two columns would be called {name!r}; rename one, as with .named('…').")
            made.append(name)
        return made if self.keeps or KNOWN_AT in made else [*made, KNOWN_AT]

    def carries(self, column: str, *columns: list[str]) -> tuple[int, str] | None:
        carried = self.keeps and column in columns[0] and column not in (*self.outputs, KNOWN_AT)
        return (0, column) if carried else None

    def __str__(self) -> str:
        of = "of each time" if self.every is None else f"of bars of {duration_text(self.every)}"
        late = f", lateness {duration_text(self.lateness)}" if self.lateness else ""
        return f"cross-section {of}{late}, by {self.symbol}: {', '.join(map(repr, self.steps))}"


def checked(
    steps: tuple[Any, ...], every: Any, lateness: Any, symbol: Any, time: Any, unit: str | None
) -> Callable[[Node], CrossSection]:
    """Return what makes the node that a user describes.

    Raises
    ------
    ParameterError
        If an argument is not what it must be, there is no step, or they do not go together.
    """
    if not isinstance(symbol, str):
        raise ParameterError(f"symbol={symbol!r} must name the column of symbols: a cross-section is one over symbols.")
    if not steps:
        raise ParameterError("A cross-section needs what is computed of it, such as ft.cs_rank('x').")
    for step in steps:
        if isinstance(step, Kernel) or not (isinstance(step, Step) and step.kernel.kind == "cross"):
            given = step.name if isinstance(step, Kernel) else repr(step)
            raise ParameterError(
                f"{given} is no step across symbols, such as ft.cs_rank('x'); ft.catalogue(search='cross') lists them."
            )
    steps = tuple(part for step in steps for part in step.parts)
    rows = [step for step in steps if not step.kernel.per_stamp]
    stamps = [step for step in steps if step.kernel.per_stamp]
    if rows and stamps:
        raise ParameterError(
            f"{rows[0]!r} gives a value for each row, and {stamps[0]!r} one row for each time; make two cross-sections."
        )
    names = [name for step in steps for name in step.outputs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ParameterError(f"Two steps give {twice!r}; rename one with .named('…').")
    durations = {"every": f"1{unit or 'ns'}" if every is None else every, "lateness": lateness}
    windows = Windows.checked(symbol, time, None, unit, durations, "every")
    bar = None if every is None else windows.every
    return lambda node: CrossSection(node, steps, bar, windows.lateness, symbol, time, unit)
