"""How two feeds are to be joined, checked once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

from fintech_toolkit.errors import ColumnError, ParameterError, did_you_mean
from fintech_toolkit.schema import KNOWN_AT, check_unit, column_names, key_columns, nanoseconds

DIRECTIONS = ("backward", "forward", "nearest")
COMPLETE = "complete"
"""The column in which event steps say whether a row is finished."""


@dataclass(frozen=True)
class AsOf:
    """The options of an as-of join; see `fintech_toolkit.asof_join`. `tolerance` is in nanoseconds.

    `left_on` and `right_on` are None until the columns of the frames are known; see `resolved`. `shift` is added to
    left's times, in nanoseconds: what held so long after a row.

    What other joins of two feeds have too (see `flow.feed_joins`) is named as there: `sides`, how far `before` and
    `after` a row of left they look, which columns they give, carry and need.
    """

    by: str | None
    on: str
    left_on: str | None = None
    right_on: str | None = None
    direction: str = "backward"
    tolerance: int | None = None
    exact: bool = True
    suffixes: tuple[str, str] = ("", "_right")
    unfinished: bool = False
    unit: str | None = None
    shift: int = 0

    called: ClassVar[str] = "as-of join"
    before: ClassVar[int] = 0
    after: ClassVar[int] = 0

    @classmethod
    def checked(
        cls,
        symbol: str | None,
        time: str,
        left_on: str | None,
        right_on: str | None,
        direction: str,
        tolerance: Any,
        exact: bool,
        suffixes: Sequence[str],
        unfinished: bool,
        unit: str | None,
        columns: Mapping[str, str] | None = None,
        by: Any = ...,
        on: Any = ...,
    ) -> AsOf:
        """Return the options as a user gives them.

        Raises
        ------
        ParameterError
            If one of them is not what it must be.
        """
        if direction not in DIRECTIONS:
            raise ParameterError(
                f"direction={direction!r} must be 'backward', 'forward' or 'nearest'. "
                f"{did_you_mean(str(direction), DIRECTIONS)}"
            )
        by, on = _keys(symbol, time, columns, by, on)
        if not (by is None or isinstance(by, str)) or not isinstance(on, str) or by == on:
            raise ParameterError(
                f"symbol={by!r} and time={on!r} must name one column of symbols (or None) and one of times."
            )
        for name, column in (("left_on", left_on), ("right_on", right_on)):
            if not (column is None or isinstance(column, str)) or (column is not None and column == by):
                raise ParameterError(f"{name}={column!r} must name a column of times, or be left out.")
        for name, flag in (("allow_exact_matches", exact), ("unfinished", unfinished)):
            if not isinstance(flag, bool):
                raise ParameterError(f"{name}={flag!r} must be True or False.")
        two = isinstance(suffixes, Sequence) and not isinstance(suffixes, str) and len(suffixes) == 2
        if not two or not all(isinstance(suffix, str) for suffix in suffixes):
            raise ParameterError(f"suffixes={suffixes!r} must be two strings, for columns of left and of right.")
        check_unit(unit)
        duration = None if tolerance is None else nanoseconds(tolerance, "tolerance", zero=True)
        pair = (suffixes[0], suffixes[1])
        return cls(by, on, left_on, right_on, direction, duration, exact, pair, unfinished, unit)

    @classmethod
    def of(
        cls,
        symbol: str | None,
        time: str,
        left_on: str | None,
        right_on: str | None,
        unit: str | None,
        columns: Mapping[str, str] | None,
        by: Any,
        on: Any,
        *,
        tolerance: Any = None,
        exact: bool = True,
        suffixes: Sequence[str] = ("", "_right"),
    ) -> AsOf:
        """Return the options, as `checked` does, of a join that looks back from instants of its own."""
        keys = (symbol, time, left_on, right_on)
        return cls.checked(*keys, "backward", tolerance, exact, suffixes, False, unit, columns, by, on)

    def resolved(self, left: Sequence[str] | None = None, right: Sequence[str] | None = None) -> AsOf:
        """Return the options with the column of times that a frame with these columns is joined by.

        That is the one that `left_on` or `right_on` names; else `known_at` where there is one, so that no row is seen
        before it was known; else `on`.

        Raises
        ------
        ParameterError
            If rows that have no `known_at` are to be joined by it.
        """
        left_on, right_on = self.left_on, self.right_on
        if left is not None and left_on is None:
            left_on = KNOWN_AT if KNOWN_AT in left else self.on
        if right is not None and right_on is None:
            right_on = KNOWN_AT if KNOWN_AT in right else self.on
        if self.unfinished and right_on == KNOWN_AT:
            raise ParameterError(
                f"unfinished=True needs right_on=…, such as {self.on!r}: such rows have no {KNOWN_AT!r}."
            )
        return replace(self, left_on=left_on, right_on=right_on)

    @property
    def sides(self) -> AsOf:
        """Which columns are symbols and times."""
        return self

    def time(self, side: str) -> str:
        """Return the column of times of a side whose columns are known."""
        column = self.left_on if side == "left" else self.right_on
        assert column is not None
        return column

    def keys(self, side: str) -> list[str]:
        """Return the columns that a side must have."""
        return [*([] if self.by is None else [self.by]), self.time(side)]

    def reads(self, side: str, names: Sequence[str]) -> list[str]:
        """Return the columns that matches depend on, of those that a side has."""
        extra = [] if side == "left" or self.unfinished or KNOWN_AT not in names else [KNOWN_AT, COMPLETE]
        return [name for name in names if name in {*self.keys(side), *extra}]

    @property
    def dropped(self) -> set[str]:
        """The columns of right that are not in the result, because left's say the same."""
        same = {self.by, self.right_on if self.left_on == self.right_on else None}
        return {name for name in same if name is not None}

    def names(
        self, left: Sequence[str], right: Sequence[str], dropped: Collection[str | None] | None = None
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return what left's columns, and those of right that are appended, are called in the result; some of right
        are not.

        Raises
        ------
        ColumnError
            If two columns of the result would have one name, or right's `known_at` would pass for that of the result.
        """
        dropped = self.dropped if dropped is None else dropped
        others = [name for name in right if name not in dropped]
        both = set(left).intersection(others)
        # A row's `known_at` says when that row became known: left's still does so in the result, right's does not.
        ours = {name: name + self.suffixes[0] if name in both - {KNOWN_AT} else name for name in left}
        theirs = {name: name + self.suffixes[1] if name in both | {KNOWN_AT} else name for name in others}
        result = [*ours.values(), *theirs.values()]
        twice = sorted({name for name in result if result.count(name) > 1})
        if twice:
            raise ColumnError(f"The result would have two columns called {twice[0]!r}; choose other suffixes=.")
        if KNOWN_AT in theirs.values():
            raise ColumnError(
                f"Right's column {KNOWN_AT!r} needs a suffix, because it is not that of the result's rows."
            )
        return ours, theirs

    def gives(self, left: Sequence[str], right: Sequence[str]) -> list[str]:
        """Return the columns of the result.

        Raises
        ------
        ColumnError
            As `names`.
        """
        ours, theirs = self.resolved(left, right).names(left, right)
        return [*ours.values(), *theirs.values()]

    def carries(self, column: str, left: Sequence[str], right: Sequence[str]) -> tuple[int, str] | None:
        """Return of which side a column of the result comes as it is, row by row, and its name there."""
        for side, names in enumerate(self.resolved(left, right).names(left, right)):
            for old, new in names.items():
                if new == column:
                    return side, old
        return None

    def needs(self, wanted: Collection[str], left: Sequence[str], right: Sequence[str]) -> list[set[str]]:
        """Return which columns of each side are read, if so many of the result are wanted.

        What is called alike on both sides is kept on both, so that it goes on being told apart by its suffix.
        """
        options = self.resolved(left, right)
        needed = {n for names in options.names(left, right) for n, called in names.items() if called in wanted}
        sides = zip(("left", "right"), (left, right), strict=True)
        return [needed.intersection(there).union(options.reads(side, there)) for side, there in sides]

    def narrowed(self, wanted: Collection[str]) -> Self:
        """Return the options of a join of which no more is wanted."""
        return self

    def to_data(self) -> dict[str, Any]:
        """Return the options as plain values."""
        return {**asdict(self), "suffixes": list(self.suffixes)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the options that `to_data` gave."""
        return cls(**{**data, "suffixes": tuple(data["suffixes"])})

    def __str__(self) -> str:
        return f"{self.called} {self.by_what}, {self.direction}"

    @property
    def by_what(self) -> str:
        """What rows are joined by, in words."""
        return f"on {self.left_on or self.on}" + ("" if self.by is None else f", by {self.by}")


def _keys(symbol: Any, time: Any, columns: Mapping[str, str] | None, by: Any, on: Any) -> tuple[Any, Any]:
    """Return what the columns of symbols and times are called; `by` and `on` are pandas' names of these options."""
    names = column_names(columns)
    for alias, called, option, given, canonical in (
        ("by", by, "symbol", symbol, "symbol"),
        ("on", on, "time", time, "ts"),
    ):
        if called is not ... and (given != canonical or canonical in names):
            said = f"{option}={given!r}" if given != canonical else f"columns={columns!r}"
            raise ParameterError(f"{alias}={called!r} and {said} say the same thing twice; give one of them.")
    symbol, time = key_columns(symbol, time, columns)
    return symbol if by is ... else by, time if on is ... else on


def free_name(names: Iterable[Any], what: str) -> str:
    """Return a name for a column that none of these is, nor begins like."""
    return "_" * (1 + max((len(str(name)) for name in names), default=0)) + what
