"""How a feed is joined with all rows of another near each of its own: what they come to, or each pair."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

from fintech_toolkit.errors import ColumnError, ParameterError, did_you_mean
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions, Horizon, with_known_at
from fintech_toolkit.schema import KNOWN_AT, nanoseconds

AGGREGATES = ("count", "sum", "mean", "min", "max", "first", "last")


class Aggregate(NamedTuple):
    """A column of the result: what a column of right comes to within a window, a mean weighted by another if so."""

    name: str
    column: str
    what: str
    weight: str | None = None

    @property
    def reads(self) -> set[str]:
        """The columns of right that it reads."""
        return {self.column} if self.weight is None else {self.column, self.weight}


@dataclass(frozen=True)
class WindowOptions:
    """The options of a join with windows; see `fintech_toolkit.window_join`. Durations are in nanoseconds."""

    sides: AsOf
    before: int
    after: int
    aggregates: tuple[Aggregate, ...]

    called: ClassVar[str] = "window join"

    @classmethod
    def checked(cls, sides: AsOf, before: Any, after: Any, agg: Any) -> WindowOptions:
        """Return the options as a user gives them.

        Raises
        ------
        ParameterError
            If one of them is not what it must be.
        """
        if not isinstance(agg, Mapping) or not agg:
            raise ParameterError(f"agg={agg!r} must say what columns come to: {{'n': ('price', 'count')}}.")
        found = []
        for name, how in agg.items():
            pair = tuple(how) if isinstance(how, Sequence) and not isinstance(how, str) else ()
            if len(pair) not in (2, 3) or not all(isinstance(text, str) for text in (name, *pair)):
                raise ParameterError(
                    f"agg={{{name!r}: {how!r}}} must be a column and what it comes to, such as ('price', 'max'), or "
                    "('price', 'mean', 'size') for a mean weighted by another column."
                )
            one = Aggregate(name, *pair)
            if one.what not in AGGREGATES:
                raise ParameterError(
                    f"agg={{{name!r}: {how!r}}} must be one of {', '.join(AGGREGATES)}. "
                    f"{did_you_mean(one.what, AGGREGATES)}"
                )
            if one.weight is not None and one.what != "mean":
                raise ParameterError(f"agg={{{name!r}: {how!r}}}: only a mean is weighted by another column.")
            found.append(one)
        durations = (nanoseconds(before, "before", zero=True), nanoseconds(after, "after", zero=True))
        return cls(sides, *durations, tuple(found))

    def gives(self, left: Sequence[str], right: Sequence[str]) -> list[str]:
        """Return the columns of the result.

        Raises
        ------
        ColumnError
            If one is missing, or two would have one name.
        """
        for one in self.aggregates:
            for name in sorted(one.reads):
                if name not in right:
                    raise ColumnError(f"there is no column {name!r} on the right. {did_you_mean(name, right)}")
        return with_known_at(left, [one.name for one in self.aggregates])

    def carries(self, column: str, left: Sequence[str], right: Sequence[str]) -> tuple[int, str] | None:
        """Return of which side a column of the result comes as it is, row by row, and its name there."""
        return (0, column) if column in left and column != KNOWN_AT else None

    def needs(self, wanted: Collection[str], left: Sequence[str], right: Sequence[str]) -> list[set[str]]:
        """Return which columns of each side are read, if so many of the result are wanted."""
        sides = self.sides.resolved(left, right)
        theirs = set[str]().union(*(one.reads for one in self.aggregates if one.name in wanted))
        return [
            {name for name in left if name in wanted}.union(sides.reads("left", left)),
            theirs.union(sides.reads("right", right)),
        ]

    def narrowed(self, wanted: Collection[str]) -> Self:
        """Return the options of a join of which no more is wanted."""
        return replace(self, aggregates=tuple(one for one in self.aggregates if one.name in wanted))

    def to_data(self) -> dict[str, Any]:
        """Return the options as plain values."""
        agg = [[text for text in one if text is not None] for one in self.aggregates]
        return {"sides": self.sides.to_data(), "before": self.before, "after": self.after, "agg": agg}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the options that `to_data` gave."""
        agg = tuple(Aggregate(*texts) for texts in data["agg"])
        return cls(AsOf.from_data(data["sides"]), data["before"], data["after"], agg)

    def __str__(self) -> str:
        told = ", ".join(f"{one.name} = {one.what} of {one.column}" for one in self.aggregates)
        return f"{self.called} {self.sides.by_what}, {_span(self.before)} before to {_span(self.after)} after: {told}"


@dataclass(frozen=True)
class Interval:
    """The options of a join of all pairs within an interval; see `fintech_toolkit.interval_join`."""

    sides: AsOf
    within: int

    called: ClassVar[str] = "interval join"

    @classmethod
    def checked(cls, sides: AsOf, within: Any) -> Interval:
        """Return the options as a user gives them.

        Raises
        ------
        ParameterError
            If one of them is not what it must be.
        """
        return cls(sides, nanoseconds(within, "within", zero=True))

    @property
    def before(self) -> int:
        """How far before a row of left its rows of right may lie."""
        return self.within

    @property
    def after(self) -> int:
        """How far after a row of left they may lie."""
        return self.within

    def names(self, left: Sequence[str], right: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return what left's columns, and right's, are called in the result: right's times are others than left's."""
        sides = self.sides.resolved(left, right)
        return sides.names(left, right, dropped={sides.by})

    def gives(self, left: Sequence[str], right: Sequence[str]) -> list[str]:
        """Return the columns of the result.

        Raises
        ------
        ColumnError
            If two would have one name.
        """
        ours, theirs = self.names(left, right)
        result = [*ours.values(), *theirs.values()]
        return result if KNOWN_AT in left else [*result, KNOWN_AT]

    def carries(self, column: str, left: Sequence[str], right: Sequence[str]) -> tuple[int, str] | None:
        """Return of which side a column of the result comes as it is, row by row, and its name there."""
        for side, names in enumerate(self.names(left, right)):
            for old, new in names.items():
                if new == column != KNOWN_AT:
                    return side, old
        return None

    def needs(self, wanted: Collection[str], left: Sequence[str], right: Sequence[str]) -> list[set[str]]:
        """Return which columns of each side are read, if so many of the result are wanted.

        What is called alike on both sides is kept on both, so that it goes on being told apart by its suffix.
        """
        sides = self.sides.resolved(left, right)
        needed = {n for names in self.names(left, right) for n, called in names.items() if called in wanted}
        return [
            needed.intersection(there).union(sides.reads(side, there))
            for side, there in (("left", left), ("right", right))
        ]

    def narrowed(self, wanted: Collection[str]) -> Self:
        """Return the options of a join of which no more is wanted."""
        return self

    def to_data(self) -> dict[str, Any]:
        """Return the options as plain values."""
        return {"sides": self.sides.to_data(), "within": self.within}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the options that `to_data` gave."""
        return cls(AsOf.from_data(data["sides"]), data["within"])

    def __str__(self) -> str:
        return f"{self.called} {self.sides.by_what}, within {_span(self.within)}"


def _span(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{nanoseconds}ns" if rest else f"{seconds}s"


FEED_OPTIONS: dict[str, type[FeedOptions]] = {
    "AsOf": AsOf,
    "Horizon": Horizon,
    "WindowOptions": WindowOptions,
    "Interval": Interval,
}
"""The options of joins of two feeds, by their names in files."""
