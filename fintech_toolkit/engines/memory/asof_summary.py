"""What an as-of join matched: how many rows, how old the matches were, and why others did not match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd

from fintech_toolkit.engines.memory.search import ages, match, read_both
from fintech_toolkit.engines.memory.sides import finished
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.frames.views import Frame, wrap
from fintech_toolkit.schema import Array

OUTCOMES = (
    "matched",
    "symbol never on right",
    "no row yet",
    "only an exact one",
    "beyond tolerance",
    "left row not finished",
)
QUANTILES = {"min": 0.0, "median": 0.5, "p95": 0.95, "max": 1.0}


@dataclass(frozen=True)
class AsofSummary:
    """What an as-of join matched. Prints itself.

    Attributes
    ----------
    left_on, right_on : str
        The columns of times: ``known_at`` where a frame has it and no other was asked for.
    direction : str
    tolerance : Timedelta or None
    counts : dict of str to int
        Rows of the left by outcome; they add up to `rows`. A row without a match has one reason: its symbol is never on
        the right; no row is on the side that `direction` looks at; the only one there is at the very same instant, and
        exact matches are not allowed; the row found is beyond the tolerance; or it is not finished itself, so that
        there is no time at which it was known.
    unfinished : int
        Rows of the right that were left out because they are not finished.
    ages : dict of str to Timedelta
        Between a row and its match: min, median, p95 and max, each an age that occurs (in whole microseconds where it
        is more than 292 years). Empty if nothing matched.
    """

    left_on: str
    right_on: str
    direction: str
    tolerance: pd.Timedelta | None
    counts: dict[str, int]
    unfinished: int
    ages: dict[str, pd.Timedelta]

    @property
    def rows(self) -> int:
        """Rows of the left."""
        return sum(self.counts.values())

    @property
    def matched(self) -> int:
        """Rows of the left that found one on the right."""
        return self.counts["matched"]

    @property
    def share(self) -> float:
        """The part of rows that matched, NaN without rows."""
        return self.matched / self.rows if self.rows else float("nan")

    def frame(self) -> pd.DataFrame:
        """Return the outcomes as a frame: rows, and their share of all."""
        rows = pd.Series(self.counts, name="rows", dtype="int64")
        return pd.DataFrame({"rows": rows, "share": rows / self.rows if self.rows else np.nan})

    def _lines(self) -> tuple[str, str]:
        by = repr(self.left_on) if self.left_on == self.right_on else f"{self.left_on!r} and right's {self.right_on!r}"
        within = "" if self.tolerance is None else f", tolerance {self.tolerance}"
        share = f" ({self.share:.2%})".replace("%", " %") if self.rows else ""
        ages = ", ".join(f"{name} {age}" for name, age in self.ages.items())
        feet = [f"Age of matches: {ages}."] if ages else []
        if self.unfinished:
            feet.append(f"Of right {self.unfinished:,} rows were left out that are not finished.")
        return (
            f"As-of join by {by}, {self.direction}{within}: {self.matched:,} of {self.rows:,} rows matched{share}.",
            " ".join(feet),
        )

    def __repr__(self) -> str:
        head, foot = self._lines()
        return "\n".join(line for line in (head, self.frame().to_string(), foot) if line)

    def _repr_html_(self) -> str:
        head, foot = map(escape, self._lines())
        return f"<p>{head}</p>{self.frame().to_html()}<p>{foot}</p>"


def searches(options: AsOf) -> tuple[AsOf, AsOf, AsOf]:
    """Return three joins that tell all: what would match were no age too old, were exact ones allowed, and in any
    direction.
    """
    wide = replace(options, tolerance=None)
    instant = replace(wide, exact=True)
    return wide, instant, replace(instant, direction="nearest")


def summarise(left: Frame, right: Frame, options: AsOf) -> AsofSummary:
    """Return what a join of two frames in memory matches."""
    options = options.resolved(left.names, right.names)
    return gather(options, [_outcomes(left, right, options)], [left_out(right, options)])


def _outcomes(left: Frame, right: Frame, options: AsOf) -> tuple[Array, Array]:
    here, there, symbols = read_both(left, right, options)
    ts = np.append(there.ts, NAT)
    found = [ts[match(here, there, symbols, search)] for search in searches(options)]
    return count(here.ts, found, left.rows - len(here.ts), options)


def left_out(right: Frame | pd.DataFrame, options: AsOf) -> int:
    """Return how many rows of right take no part."""
    known = finished(wrap(right), options, "right")
    return 0 if known is None else int(np.count_nonzero(~known))


def count(ts: Array, matches: list[Array], waiting: int, options: AsOf) -> tuple[Array, Array]:
    """Return rows by outcome, and the ages of those that matched, from the times of what the three joins found."""
    candidate, instant, anything = matches
    found = candidate != NAT
    age = ages(ts[found], candidate[found], np.arange(np.count_nonzero(found)))
    near = np.ones(len(age), np.bool_) if options.tolerance is None else age <= np.uint64(options.tolerance)
    never = anything == NAT
    counts = [
        np.count_nonzero(near),
        np.count_nonzero(never),
        np.count_nonzero(~never & (instant == NAT)),
        np.count_nonzero(~found & (instant != NAT)),
        np.count_nonzero(~near),
        waiting,
    ]
    return np.array(counts), age[near]


def gather(options: AsOf, parts: Sequence[tuple[Array, Array]], left_out: Sequence[int]) -> AsofSummary:
    """Return the summary of what was counted part by part."""
    counts = np.sum([counts for counts, _ in parts], axis=0)
    age = np.sort(np.concatenate([ages for _, ages in parts]))
    quantiles = {}
    if len(age):
        places = {name: max(int(np.ceil(q * len(age))) - 1, 0) for name, q in QUANTILES.items()}
        quantiles = {name: _timedelta(int(age[place])) for name, place in places.items()}
    tolerance = None if options.tolerance is None else pd.Timedelta(options.tolerance, unit="ns")
    named = dict(zip(OUTCOMES, map(int, counts), strict=True))
    return AsofSummary(
        options.time("left"), options.time("right"), options.direction, tolerance, named, sum(left_out), quantiles
    )


def _timedelta(age: int) -> pd.Timedelta:
    if age <= np.iinfo(np.int64).max:
        return pd.Timedelta(age, unit="ns")
    return pd.Timedelta(np.timedelta64(age // 1_000, "us"))
