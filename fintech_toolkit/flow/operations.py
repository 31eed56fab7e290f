"""The operations of a dataflow: what each reads, gives and does to rows. Engines read it all from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fintech_toolkit.errors import ColumnError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.conditions import Conditions
from fintech_toolkit.flow.feed_joins import FeedOptions, Horizon
from fintech_toolkit.flow.nodes import Effect, Node, listed, require_column
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.flow.window_joins import Interval, WindowOptions


@dataclass(frozen=True)
class Filter(Node):
    """Rows that meet conditions."""

    frame: Node
    where: Conditions

    inputs: ClassVar[tuple[str, ...]] = ("frame",)

    @property
    def effect(self) -> Effect:
        return Effect("drops")

    def gives(self, *columns: list[str]) -> list[str]:
        for name in self.where.columns:
            require_column(name, columns[0])
        return columns[0]

    def __str__(self) -> str:
        return f"filter {self.where}"


@dataclass(frozen=True)
class Select(Node):
    """Some columns, in this order."""

    frame: Node
    columns: tuple[str, ...]

    inputs: ClassVar[tuple[str, ...]] = ("frame",)

    @property
    def effect(self) -> Effect:
        return Effect("keeps")

    def gives(self, *columns: list[str]) -> list[str]:
        for name in self.columns:
            require_column(name, columns[0])
        return list(self.columns)

    def carries(self, column: str, *columns: list[str]) -> tuple[int, str] | None:
        return (0, column) if column in self.columns else None

    def __str__(self) -> str:
        return f"select {listed(self.columns)}"


@dataclass(frozen=True)
class Rename(Node):
    """Columns by other names; each pair is the old and the new one."""

    frame: Node
    names: tuple[tuple[str, str], ...]

    inputs: ClassVar[tuple[str, ...]] = ("frame",)

    @property
    def effect(self) -> Effect:
        return Effect("keeps")

    def gives(self, *columns: list[str]) -> list[str]:
        for name, _ in self.names:
            require_column(name, columns[0])
        names = dict(self.names)
        return _distinct([names.get(name, name) for name in columns[0]])

    def carries(self, column: str, *columns: list[str]) -> tuple[int, str] | None:
        names = dict(self.names)
        old = next((name for name in columns[0] if names.get(name, name) == column), None)
        return None if old is None else (0, old)

    def __str__(self) -> str:
        return "rename " + ", ".join(f"{old} to {new}" for old, new in self.names)


@dataclass(frozen=True)
class Pipe(Node):
    """The steps of a pipeline."""

    frame: Node
    pipeline: Description

    inputs: ClassVar[tuple[str, ...]] = ("frame",)

    @property
    def effect(self) -> Effect:
        if self.pipeline.emits:
            return Effect("replaces", "order within the symbol")
        return Effect("keeps") if self.pipeline.stateless else Effect("keeps", "order within the symbol")

    def gives(self, *columns: list[str]) -> list[str]:
        for name in self.pipeline.reads:
            require_column(name, columns[0])
        return self.pipeline.gives if self.pipeline.emits else _distinct([*columns[0], *self.pipeline.gives])

    def carries(self, column: str, *columns: list[str]) -> tuple[int, str] | None:
        return None if self.pipeline.emits or column not in columns[0] else (0, column)

    def __str__(self) -> str:
        return "pipe " + " | ".join(map(repr, self.pipeline.steps))


@dataclass(frozen=True)
class Join(Node):
    """Beside each row the columns of the one row of a reference that has the same key."""

    left: Node
    reference: Node
    left_on: tuple[str, ...]
    right_on: tuple[str, ...]
    how: str = "inner"
    columns: tuple[str, ...] | None = None

    inputs: ClassVar[tuple[str, ...]] = ("left", "reference")

    @property
    def effect(self) -> Effect:
        return Effect("drops" if self.how == "inner" else "keeps")

    def taken(self, reference: Sequence[str]) -> list[str]:
        """Return the columns of the reference that are appended."""
        return [name for name in (reference if self.columns is None else self.columns) if name not in self.right_on]

    def gives(self, *columns: list[str]) -> list[str]:
        left, reference = columns
        for name in self.left_on:
            require_column(name, left, " on the left")
        for name in [*self.right_on, *(self.columns or ())]:
            require_column(name, reference, " of the reference")
        return _distinct([*left, *self.taken(reference)])

    def carries(self, column: str, *columns: list[str]) -> tuple[int, str] | None:
        left, reference = columns
        if column in left:
            return (0, column)
        return (1, column) if column in self.taken(reference) else None

    def __str__(self) -> str:
        pairs = zip(self.left_on, self.right_on, strict=True)
        on = ", ".join(left if left == right else f"{left} = {right}" for left, right in pairs)
        return f"join on {on}, {self.how}" + ("" if self.columns is None else f", takes {listed(self.columns)}")


@dataclass(frozen=True)
class FeedJoin(Node):
    """Rows of a feed with rows of another of the same symbol, as their times stand to each other."""

    left: Node
    right: Node
    options: FeedOptions

    inputs: ClassVar[tuple[str, ...]] = ("left", "right")

    @property
    def effect(self) -> Effect:
        return Effect("keeps", "order within the symbol")

    def gives(self, *columns: list[str]) -> list[str]:
        sides = self.options.sides.resolved(*columns)
        for side, there in zip(("left", "right"), columns, strict=True):
            for name in sides.keys(side):
                require_column(name, there, f" on the {side}")
        return self.options.gives(*columns)

    def carries(self, column: str, *columns: list[str]) -> tuple[int, str] | None:
        return self.options.carries(column, *columns)

    def __str__(self) -> str:
        return str(self.options)


@dataclass(frozen=True)
class AsOfJoin(FeedJoin):
    """Beside each row the columns of the row of another feed that held as of its time."""

    options: AsOf


@dataclass(frozen=True)
class HorizonJoin(FeedJoin):
    """Beside each row the columns of the rows of another feed that held so long before or after it."""

    options: Horizon


@dataclass(frozen=True)
class WindowJoin(FeedJoin):
    """Beside each row what the rows of another feed near it come to."""

    options: WindowOptions


@dataclass(frozen=True)
class IntervalJoin(FeedJoin):
    """Each row with each row of another feed that is near it."""

    options: Interval

    @property
    def effect(self) -> Effect:
        return Effect("replaces", "order within the symbol")


def _distinct(names: list[str]) -> list[str]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ColumnError(f"two columns would be called {twice!r}; rename or select before it.")
    return names
