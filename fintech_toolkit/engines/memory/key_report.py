"""Why keys of two frames do not match: what was found, and what would match if it were written otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.engines.memory.hash_table import build
from fintech_toolkit.engines.memory.lookup import check_as_many
from fintech_toolkit.engines.memory.wavefront import MORSEL, cut, run_wavefront
from fintech_toolkit.frames.key_bytes import KeyColumns
from fintech_toolkit.frames.views import Frame, wrap
from fintech_toolkit.schema import Array

LOOKED_AT = 10_000
"""Distinct keys of the left that are tried in other writings; the right is looked at whole."""
SHOWN = 5
PREFIX = 2

Rewrite = Callable[[pa.ChunkedArray], pa.ChunkedArray]


def _as_it_is(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return texts


def _without_last(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Of texts as long as identifiers: of shorter ones the rest would match by chance."""
    return pc.if_else(pc.greater_equal(pc.utf8_length(texts), 7), pc.utf8_slice_codeunits(texts, 0, -1), None)


def _cusip_of_isin(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(pc.utf8_length(texts), 12), pc.utf8_slice_codeunits(texts, 2, 11), None)


def _without_zeros(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_ltrim(texts, "0")


# What may be wrong, how either side is written otherwise, and how a sentence on it begins.
REWRITES: tuple[tuple[str, Rewrite, Rewrite, str], ...] = (
    ("white space", pc.utf8_trim_whitespace, pc.utf8_trim_whitespace, "without white space around them"),
    ("case", pc.utf8_upper, pc.utf8_upper, "with case ignored"),
    ("leading zeros", _without_zeros, _without_zeros, "without leading zeros"),
    ("check digit", _without_last, _as_it_is, "without the last character of the left's"),
    ("check digit", _as_it_is, _without_last, "without the last character of the right's"),
    ("identifiers", _cusip_of_isin, _as_it_is, "with characters 3 to 11 of the left's (the CUSIP of an ISIN)"),
    ("identifiers", _as_it_is, _cusip_of_isin, "with characters 3 to 11 of the right's (the CUSIP of an ISIN)"),
)


@dataclass(frozen=True)
class KeyReport:
    """How keys of two frames match, and why some may not. Prints itself.

    Attributes
    ----------
    rows, matched : int
        Rows of the left, and those of which the key is on the right.
    findings : dict of str to str
        What was found, a sentence each, by what it is about: types, nulls, duplicates, texts, white space, case,
        leading zeros, check digit, identifiers, prefixes.
    left, right : list of str
        Some keys of the left that are not on the right (any, if all are), and some of the right.
    """

    rows: int
    matched: int
    findings: dict[str, str]
    left: list[str]
    right: list[str]

    @property
    def share(self) -> float:
        """The part of rows that matched, NaN without rows."""
        return self.matched / self.rows if self.rows else float("nan")

    def _lines(self) -> tuple[str, list[str], list[str]]:
        share = f" ({self.share:.2%})".replace("%", " %") if self.rows else ""
        head = f"{self.matched:,} of {self.rows:,} rows of the left have a key of the right{share}."
        samples = [f"Left:  {', '.join(self.left)}", f"Right: {', '.join(self.right)}"]
        return head, [f"{name}: {sentence}" for name, sentence in self.findings.items()], samples

    def __repr__(self) -> str:
        head, findings, samples = self._lines()
        return "\n".join([head, *(f"- {finding}" for finding in findings), *samples])

    def _repr_html_(self) -> str:
        head, findings, samples = self._lines()
        items = "".join(f"<li>{escape(finding)}</li>" for finding in findings)
        return f"<p>{escape(head)}</p><ul>{items}</ul><p>{'<br>'.join(map(escape, samples))}</p>"


def report(left: Frame, left_on: Sequence[str], right: Frame, right_on: Sequence[str]) -> KeyReport:
    """Return how keys of two frames match, and why some may not."""
    check_as_many(left_on, right_on)
    here, there = KeyColumns(left, left_on, " on the left"), KeyColumns(right, right_on, " on the right")
    findings = {}
    comparable = all(mine.compares(theirs) for mine, theirs in zip(here.kinds, there.kinds, strict=True))
    if not comparable:
        findings["types"] = "; ".join(
            f"{a!r} holds {mine.family} ({mine.called}) on the left, {b!r} {theirs.family} ({theirs.called}) on "
            "the right; convert one of them"
            for a, b, mine, theirs in zip(here.names, there.names, here.kinds, there.kinds, strict=True)
            if not mine.compares(theirs)
        )
    hit = shared(here, there) if comparable else np.zeros(here.rows, np.bool_)
    nulls = [int(np.count_nonzero(_missing(side))) for side in (here, there)]
    if any(nulls):
        findings["nulls"] = (
            f"{nulls[0]:,} rows of the left and {nulls[1]:,} of the right have no key, and match nothing."
        )
    _, first = build(there.read(there.kinds))
    double = np.flatnonzero((first >= 0) & (first < np.arange(there.rows)))
    if len(double):
        findings["duplicates"] = (
            f"{len(double):,} rows of the right repeat a key; the first is {there.show(int(double[0]))} at row "
            f"{double[0]}, which is at row {first[double[0]]} too."
        )
    missed = np.flatnonzero(~hit & ~_missing(here))
    if len(missed) and there.rows:
        findings |= _guesses(_texts(here).take(pa.array(missed)), _texts(there))
    shown = missed if len(missed) else np.arange(here.rows)
    return KeyReport(
        here.rows, int(np.count_nonzero(hit)), findings, _sample(here, shown), _sample(there, np.arange(there.rows))
    )


def shared(here: KeyColumns, there: KeyColumns) -> Array:
    """Return which rows of the left have a key of the right, which may be there several times."""
    table, first = build(here.read(there.kinds))
    chunks = cut(there.rows, MORSEL)
    hit = np.zeros(here.rows + 1, np.bool_)

    def look(c: int) -> None:
        at = chunks[c]
        hit[table.find(there.read(there.kinds, at.start, at.stop - at.start))] = True

    run_wavefront(len(chunks), [(False, look)])
    hit[-1] = False  # where there was nothing, and for keys that are missing
    return hit[first]


def _missing(side: KeyColumns) -> Array:
    """Which rows have no key."""
    missing = np.zeros(side.rows, np.bool_)
    for column in side.columns:
        if column.null_count:
            missing |= column.is_null().to_numpy()
    return missing


def _texts(side: KeyColumns) -> pa.Table:
    """Return the keys of a side as texts."""
    return pa.table({str(n): column.cast(pa.large_string()) for n, column in enumerate(side.columns)})


def _distinct(table: pa.Table) -> pa.Table:
    """Return the keys to look at, each once."""
    columns = _keys(table)
    _, first = build(columns.read(columns.kinds))
    return table.take(pa.array(np.flatnonzero(first == np.arange(len(first)))[:LOOKED_AT]))


def _keys(table: pa.Table) -> KeyColumns:
    return KeyColumns(wrap(table), table.column_names)


def _rewritten(table: pa.Table, rewrite: Rewrite) -> pa.Table:
    return pa.table([rewrite(column) for column in table.columns], names=table.column_names)


def _guesses(ours: pa.Table, theirs: pa.Table) -> dict[str, str]:
    """Return what would match if it were written otherwise, of some keys of the left, all of the right."""
    found = {}
    ours = _distinct(ours)
    looked_at = f"of {ours.num_rows:,} different keys looked at are on the right"
    explained = shared(_keys(ours), _keys(theirs))
    if explained.any():
        found["texts"] = f"as texts {np.count_nonzero(explained):,} {looked_at}."
    for about, rewrite, other, how in REWRITES:
        if explained.all():
            break
        hit = shared(_keys(_rewritten(ours, rewrite)), _keys(_rewritten(theirs, other))) & ~explained
        if hit.any():
            found[about] = f"{how} {np.count_nonzero(hit):,} more {looked_at}."
            explained |= hit
    ours = ours.filter(pa.array(~explained))
    if ours.num_rows and ours.num_columns == 1:
        found |= _prefixes(ours.column(0), theirs.column(0))
    return found


def _prefixes(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> dict[str, str]:
    """Return that keys of one side begin as none of the other does, where they go on after that."""
    if pc.max(pc.utf8_length(ours)).as_py() <= PREFIX:
        return {}
    here, there = (pc.utf8_slice_codeunits(side, 0, PREFIX).unique().drop_null() for side in (ours, theirs))
    if pc.any(pc.is_in(here, there)).as_py():
        return {}
    listed = [", ".join(map(repr, side[:SHOWN].to_pylist())) for side in (here, there)]
    return {"prefixes": f"those of the left begin with {listed[0]}, none of the right does; they with {listed[1]}."}


def _sample(side: KeyColumns, rows: Array) -> list[str]:
    shown = (side.show(row) for row in rows[: 100 * SHOWN].tolist() if all(c[row].is_valid for c in side.columns))
    return list(islice(dict.fromkeys(shown), SHOWN))
