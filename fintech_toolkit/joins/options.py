"""How two feeds are to be joined, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fintech_toolkit.errors import ColumnError, ParameterError, did_you_mean
from fintech_toolkit.schema import nanoseconds

DIRECTIONS = ("backward", "forward", "nearest")


@dataclass(frozen=True)
class AsOf:
    """The options of an as-of join; see `fintech_toolkit.asof_join`. `tolerance` is in nanoseconds."""

    by: str | None
    on: str
    direction: str
    tolerance: int | None
    exact: bool
    suffixes: tuple[str, str]

    @classmethod
    def checked(
        cls, by: str | None, on: str, direction: str, tolerance: Any, exact: bool, suffixes: Sequence[str]
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
        if not isinstance(exact, bool):
            raise ParameterError(f"allow_exact_matches={exact!r} must be True or False.")
        if isinstance(suffixes, str) or len(suffixes) != 2 or not all(isinstance(s, str) for s in suffixes):
            raise ParameterError(f"suffixes={suffixes!r} must be two strings, for columns of left and of right.")
        duration = None if tolerance is None else nanoseconds(tolerance, "tolerance")
        return cls(by, on, direction, duration, exact, (suffixes[0], suffixes[1]))

    @property
    def keys(self) -> list[str]:
        """The columns that both sides must have."""
        return [self.on] if self.by is None else [self.by, self.on]

    def names(self, left: Sequence[str], right: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return what left's columns, and those of right that are appended, are called in the result.

        Raises
        ------
        ColumnError
            If two columns of the result would have one name.
        """
        others = [name for name in right if name not in self.keys]
        both = set(left).intersection(others)
        ours = {name: name + self.suffixes[0] if name in both else name for name in left}
        theirs = {name: name + self.suffixes[1] if name in both else name for name in others}
        result = [*ours.values(), *theirs.values()]
        twice = sorted({name for name in result if result.count(name) > 1})
        if twice:
            raise ColumnError(f"The result would have two columns called {twice[0]!r}; choose other suffixes=.")
        return ours, theirs
