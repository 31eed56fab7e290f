"""What an as-of join matched: how many rows, how old the matches were, and why others did not match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.frames import NAT, is_dask, times, wrap
from fintech_toolkit.joins.asof import asof_join, same_sort
from fintech_toolkit.joins.options import AsOf
from fintech_toolkit.schema import Array

OUTCOMES = ("matched", "symbol never on right", "no row yet", "only an exact one", "beyond tolerance")
QUANTILES = {"min": 0.0, "median": 0.5, "p95": 0.95, "max": 1.0}
CANDIDATE, INSTANT, ANY = "__candidate", "__same_instant", "__any"


@dataclass(frozen=True)
class AsofSummary:
    """What an as-of join matched. Prints itself.

    Attributes
    ----------
    direction : str
    tolerance : Timedelta or None
    counts : dict of str to int
        Rows of the left by outcome; they add up to `rows`. A row without a match has one reason: its symbol is never on
        the right; no row is on the side that `direction` looks at; the only one there is at the very same instant, and
        exact matches are not allowed; the row found is beyond the tolerance.
    ages : dict of str to Timedelta
        Between a row and its match: min, median, p95 and max, each an age that occurs. Empty if nothing matched.
    """

    direction: str
    tolerance: pd.Timedelta | None
    counts: dict[str, int]
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
        within = "" if self.tolerance is None else f", tolerance {self.tolerance}"
        share = f" ({self.share:.2%})".replace("%", " %") if self.rows else ""
        ages = ", ".join(f"{name} {age}" for name, age in self.ages.items())
        return (
            f"As-of join, {self.direction}{within}: {self.matched:,} of {self.rows:,} rows matched{share}.",
            f"Age of matches: {ages}." if ages else "",
        )

    def __repr__(self) -> str:
        head, foot = self._lines()
        return "\n".join(line for line in (head, self.frame().to_string(), foot) if line)

    def _repr_html_(self) -> str:
        head, foot = map(escape, self._lines())
        return f"<p>{head}</p>{self.frame().to_html()}<p>{foot}</p>"


def asof_summary(
    left: Any,
    right: Any,
    by: str | None = "symbol",
    on: str = "ts",
    direction: str = "backward",
    tolerance: Any = None,
    allow_exact_matches: bool = True,
) -> Any:
    """Return what `asof_join` with these arguments matches, and why other rows do not.

    Parameters
    ----------
    left, right, by, on, direction, tolerance, allow_exact_matches
        As for `asof_join`; pandas, Arrow or Dask. Columns other than `by` and `on` are not looked at.

    Returns
    -------
    AsofSummary
        For Dask frames lazy: ``.compute()`` gives it. All ages come together then, 8 bytes for each row that matched.

    Raises
    ------
    ParameterError, ColumnError, DataError, PipelineError
        As `asof_join` does.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> quotes = pd.DataFrame({"symbol": ["A", "A"], "ts": [10, 20], "bid": [10.0, 10.1]})
    >>> trades = pd.DataFrame({"symbol": ["A", "A", "B"], "ts": [0, 30, 0]})
    >>> summary = ft.asof_summary(trades, quotes)
    >>> summary.counts
    {'matched': 1, 'symbol never on right': 1, 'no row yet': 1, 'only an exact one': 0, 'beyond tolerance': 0}
    >>> summary.ages["max"]
    Timedelta('0 days 00:00:00.000000010')
    """
    options = AsOf.checked(by, on, direction, tolerance, allow_exact_matches, ("", "_right"))
    if not is_dask(left) and not is_dask(right):
        same_sort(left, right)
    wide = replace(options, tolerance=None)
    # Three joins tell all: what would match were no age too old, were exact ones allowed, and in any direction.
    joined = _keys(left, options)
    there = _keys(right, options)
    for name, search in (
        (CANDIDATE, wide),
        (INSTANT, replace(wide, exact=True)),
        (ANY, replace(wide, exact=True, direction="nearest")),
    ):
        named = there.assign(**{name: there[on]}) if on in there.columns else there
        joined = asof_join(joined, named, by, on, search.direction, None, search.exact)
    if is_dask(joined):
        from dask.delayed import delayed

        parts = [delayed(_count)(part, options) for part in joined.to_delayed()]
        return delayed(_summarise)(options, parts)
    return _summarise(options, [_count(joined, options)])


def _keys(frame: Any, options: AsOf) -> Any:
    """Return the key columns of a frame; those that are missing are for the join to complain about."""
    if isinstance(frame, pa.Table | pa.RecordBatch):
        return frame.select([name for name in options.keys if name in frame.schema.names]).to_pandas()
    return frame[[name for name in options.keys if name in frame.columns]]


def _count(joined: pd.DataFrame, options: AsOf) -> tuple[Array, Array]:
    """Return the rows of a joined frame by outcome, and the ages of those that matched."""
    view = wrap(joined)
    ts, candidate, instant, anything = (times(view, name)[0] for name in (options.on, CANDIDATE, INSTANT, ANY))
    found = candidate != NAT
    ages = np.abs(ts[found] - candidate[found])
    near = np.ones(len(ages), np.bool_) if options.tolerance is None else ages <= options.tolerance
    never = anything == NAT
    counts = [
        np.count_nonzero(near),
        np.count_nonzero(never),
        np.count_nonzero(~never & (instant == NAT)),
        np.count_nonzero(~found & (instant != NAT)),
        np.count_nonzero(~near),
    ]
    return np.array(counts), ages[near]


def _summarise(options: AsOf, parts: Sequence[tuple[Array, Array]]) -> AsofSummary:
    counts = np.sum([counts for counts, _ in parts], axis=0)
    ages = np.sort(np.concatenate([ages for _, ages in parts]))
    quantiles = {}
    if len(ages):
        places = {name: max(int(np.ceil(q * len(ages))) - 1, 0) for name, q in QUANTILES.items()}
        quantiles = {name: pd.Timedelta(int(ages[place]), unit="ns") for name, place in places.items()}
    tolerance = None if options.tolerance is None else pd.Timedelta(options.tolerance, unit="ns")
    named = dict(zip(OUTCOMES, map(int, counts), strict=True))
    return AsofSummary(options.direction, tolerance, named, quantiles)
