"""How two feeds are to be joined, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fintech_toolkit.errors import ColumnError, ParameterError, did_you_mean
from fintech_toolkit.schema import KNOWN_AT, check_unit, nanoseconds

DIRECTIONS = ("backward", "forward", "nearest")
COMPLETE = "complete"
"""The column in which event steps say whether a row is finished."""


@dataclass(frozen=True)
class AsOf:
    """The options of an as-of join; see `fintech_toolkit.asof_join`. `tolerance` is in nanoseconds.

    `left_on` and `right_on` are None until the columns of the frames are known; see `resolved`.
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

    @classmethod
    def checked(
        cls,
        by: str | None,
        on: str,
        left_on: str | None,
        right_on: str | None,
        direction: str,
        tolerance: Any,
        exact: bool,
        suffixes: Sequence[str],
        unfinished: bool,
        unit: str | None,
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
        if not (by is None or isinstance(by, str)) or not isinstance(on, str) or by == on:
            raise ParameterError(f"by={by!r} and on={on!r} must name one column of symbols (or None) and one of times.")
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

    def names(self, left: Sequence[str], right: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return what left's columns, and those of right that are appended, are called in the result.

        Raises
        ------
        ColumnError
            If two columns of the result would have one name, or right's `known_at` would pass for that of the result.
        """
        dropped = self.dropped
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


def free_name(names: Iterable[Any], what: str) -> str:
    """Return a name for a column that none of these is, nor begins like."""
    return "_" * (1 + max((len(str(name)) for name in names), default=0)) + what
