"""How two feeds are joined otherwise than as of a time: so long before and after each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from fintech_toolkit.errors import ColumnError, ParameterError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.schema import KNOWN_AT, nanoseconds


@runtime_checkable
class FeedOptions(Protocol):
    """What the options of every join of two feeds say of it."""

    @property
    def called(self) -> str:
        """What it is called in words."""

    @property
    def sides(self) -> AsOf:
        """Which columns are symbols and times, and which rows take part."""

    @property
    def before(self) -> int:
        """How far before a row of left its rows of right may lie, in nanoseconds, but for the last one before these."""

    @property
    def after(self) -> int:
        """How far after a row of left they may lie."""

    def gives(self, left: Sequence[str], right: Sequence[str]) -> list[str]:
        """Return the columns of the result, or raise a ColumnError if there cannot be one."""

    def carries(self, column: str, left: Sequence[str], right: Sequence[str]) -> tuple[int, str] | None:
        """Return of which side a column of the result comes as it is, row by row, and its name there."""

    def needs(self, wanted: Collection[str], left: Sequence[str], right: Sequence[str]) -> list[set[str]]:
        """Return which columns of each side are read, if so many of the result are wanted."""

    def narrowed(self, wanted: Collection[str]) -> Self:
        """Return the options of a join of which no more is wanted."""

    def to_data(self) -> dict[str, Any]:
        """Return the options as plain values."""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the options that `to_data` gave."""


@dataclass(frozen=True)
class Horizon:
    """The options of a join at horizons; see `fintech_toolkit.horizon_join`.

    Attributes
    ----------
    sides : AsOf
        Its own shift is 0.
    offsets : tuple of (str, int)
        As they were written, and in nanoseconds.
    select : tuple of str, optional
        The columns of right that are appended.
    """

    sides: AsOf
    offsets: tuple[tuple[str, int], ...]
    select: tuple[str, ...] | None = None

    called: ClassVar[str] = "horizon join"

    @classmethod
    def checked(cls, sides: AsOf, offsets: Any, select: Any) -> Horizon:
        """Return the options as a user gives them.

        Raises
        ------
        ParameterError
            If one of them is not what it must be.
        """
        if isinstance(offsets, str) or not isinstance(offsets, Sequence) or not offsets:
            raise ParameterError(f"offsets={offsets!r} must be a list of one duration or more, such as ['1s', '5min'].")
        found: dict[int, str] = {}
        for text in offsets:
            if not isinstance(text, str):
                raise ParameterError(
                    f"offsets={offsets!r} holds {text!r}: write durations as text, such as '1s' or '-1s', because "
                    "columns are called by it."
                )
            shift = nanoseconds(text.removeprefix("-"), "an offset", zero=True) * (-1 if text[:1] == "-" else 1)
            if shift in found:
                raise ParameterError(f"offsets={offsets!r} holds {found[shift]!r} and {text!r}, which are the same.")
            found[shift] = text
        if select is not None:
            names = (select,) if isinstance(select, str) else tuple(select)
            if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
                raise ParameterError(f"select={select!r} must name columns of right, each once.")
            select = names
        return cls(sides, tuple((text, shift) for shift, text in found.items()), select)

    @property
    def before(self) -> int:
        """How far before a row of left its rows of right may lie, but for the last one before these."""
        return max(0, *(-shift for _, shift in self.offsets))

    @property
    def after(self) -> int:
        """How far after a row of left they may lie: so much later a row of the result is known."""
        return max(0, *(shift for _, shift in self.offsets))

    def taken(self, right: Sequence[str]) -> list[str]:
        """Return the columns of right that are appended.

        Raises
        ------
        ColumnError
            If one is not there.
        """
        if self.select is None:
            sides = self.sides.resolved(right=right)
            return [name for name in right if name not in {*sides.keys("right"), KNOWN_AT}]
        for name in self.select:
            if name not in right:
                raise ColumnError(f"there is no column {name!r} on the right, which select= names.")
        return list(self.select)

    def appended(self, right: Sequence[str]) -> list[tuple[str, str, int]]:
        """Return for each column that is appended its name in right, its name in the result, and the offset."""
        taken = self.taken(right)
        return [(name, f"{name}_{text}", shift) for text, shift in self.offsets for name in taken]

    def gives(self, left: Sequence[str], right: Sequence[str]) -> list[str]:
        """Return the columns of the result.

        Raises
        ------
        ColumnError
            If two would have one name, or one is missing.
        """
        return with_known_at(left, [called for _, called, _ in self.appended(right)])

    def carries(self, column: str, left: Sequence[str], right: Sequence[str]) -> tuple[int, str] | None:
        """Return of which side a column of the result comes as it is, row by row, and its name there."""
        return (0, column) if column in left and column != KNOWN_AT else None

    def needs(self, wanted: Collection[str], left: Sequence[str], right: Sequence[str]) -> list[set[str]]:
        """Return which columns of each side are read, if so many of the result are wanted."""
        sides = self.sides.resolved(left, right)
        theirs = {name for name, called, _ in self.appended(right) if called in wanted}
        return [
            {name for name in left if name in wanted}.union(sides.reads("left", left)),
            theirs.union(sides.reads("right", right)),
        ]

    def narrowed(self, wanted: Collection[str]) -> Self:
        """Return the options of a join of which no more is wanted."""
        if self.select is None:
            return self
        kept = tuple(n for n in self.select if any(f"{n}_{text}" in wanted for text, _ in self.offsets))
        return replace(self, select=kept)

    def to_data(self) -> dict[str, Any]:
        """Return the options as plain values."""
        select = None if self.select is None else list(self.select)
        return {"sides": self.sides.to_data(), "offsets": [text for text, _ in self.offsets], "select": select}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the options that `to_data` gave."""
        checked = cls.checked(AsOf.from_data(data["sides"]), data["offsets"], data["select"] or None)
        return cls(checked.sides, checked.offsets, None if data["select"] is None else tuple(data["select"]))

    def __str__(self) -> str:
        return f"{self.called} {self.sides.by_what}, at {', '.join(text for text, _ in self.offsets)}"


def with_known_at(left: Sequence[str], added: Sequence[str]) -> list[str]:
    """Return the columns of left, some more, and when the rows are known.

    Raises
    ------
    ColumnError
        If two would have one name.
    """
    result = [*left, *added]
    for name in added:
        if name == KNOWN_AT or result.count(name) > 1:
            raise ColumnError(f"The result would have two columns called {name!r}; rename the one of left.")
    return result if KNOWN_AT in left else [*result, KNOWN_AT]
