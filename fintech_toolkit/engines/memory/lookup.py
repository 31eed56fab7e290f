"""Rows of a frame that meet at most one row of another by their keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fintech_toolkit.engines.memory.hash_table import HashTable, Sieve, build
from fintech_toolkit.engines.memory.wavefront import MORSEL, cut, run_wavefront
from fintech_toolkit.errors import DataError, ParameterError
from fintech_toolkit.frames.key_bytes import KeyColumns, KeyKind, check_comparable
from fintech_toolkit.frames.views import Frame
from fintech_toolkit.schema import Array


def match_keys(
    left: Frame, left_on: Sequence[str], right: Frame, right_on: Sequence[str], numbers: Array | None = None
) -> Array:
    """Return for each row of the left the row of the right that has its key, -1 if none has.

    Keys are compared exactly, in all their bytes; times as instants, whatever their units. A key of which a column is
    null equals nothing. The table is built of the smaller side, and probed by the other on all threads.

    Parameters
    ----------
    left, right : Frame
        The frames.
    left_on, right_on : sequence of str
        Their columns of keys, as many on the left as on the right.
    numbers : ndarray of int64, optional
        What the rows of the right are called in errors, where they are a part of a frame.

    Raises
    ------
    ColumnError
        If there is no such column.
    DataError
        If keys do not compare, or several rows of the right have a key that a row of the left has too. Those that
        nobody asks for are no error: no result depends on them.
    """
    here, there = key_sides(left, left_on, right, right_on)
    if here.rows <= there.rows:
        return _by_left(here, there, numbers)
    table, first = build(there.read(there.kinds))
    found = find(table, here, there.kinds)
    double = np.flatnonzero((first >= 0) & (first < np.arange(there.rows)))
    if len(double):
        asked = np.zeros(there.rows, np.bool_)
        asked[found[found >= 0]] = True
        double = double[asked[first[double]]]
    if len(double):
        raise doubled(there, int(first[double[0]]), int(double[0]), numbers=numbers)
    return found


def key_sides(
    left: Frame, left_on: Sequence[str], right: Frame, right_on: Sequence[str]
) -> tuple[KeyColumns, KeyColumns]:
    """Return the columns of keys of two frames, which compare.

    Raises
    ------
    ParameterError
        If there are not as many on the left as on the right, or none.
    ColumnError, DataError
        As `match_keys`.
    """
    check_as_many(left_on, right_on)
    here, there = KeyColumns(left, left_on, " on the left"), KeyColumns(right, right_on, " on the right")
    check_comparable(here, there)
    return here, there


def check_as_many(left_on: Sequence[str], right_on: Sequence[str]) -> None:
    """Raise unless keys are as many columns on both sides.

    Raises
    ------
    ParameterError
        If not, or if there are none.
    """
    if len(left_on) != len(right_on) or not left_on:
        raise ParameterError(
            f"Keys are as many columns on the left as on the right, at least one; not {list(left_on)} and "
            f"{list(right_on)}."
        )


def find(table: HashTable, columns: KeyColumns, kinds: Sequence[KeyKind]) -> Array:
    """Return for each row the row of a table that has its key, -1 if none has."""
    found = np.empty(columns.rows, np.int64)
    chunks = cut(columns.rows, MORSEL)

    def look(c: int) -> None:
        at = chunks[c]
        found[at] = table.find(columns.read(kinds, at.start, at.stop - at.start))

    run_wavefront(len(chunks), [(False, look)])
    return found


def _by_left(here: KeyColumns, there: KeyColumns, numbers: Array | None) -> Array:
    table, first = build(here.read(there.kinds))
    sieve = Sieve(table)
    found = np.full(here.rows + 1, -1, np.int64)  # by the first row that has the key; the last is for nulls
    chunks = cut(there.rows, MORSEL)
    matches: list[tuple[Array, Array]] = [(found[:0], found[:0])] * len(chunks)

    def look(c: int) -> None:
        at = chunks[c]
        rows, places = sieve.find(there.read(there.kinds, at.start, at.stop - at.start))
        matches[c] = rows + at.start, places

    def note(c: int) -> None:
        rows, place = matches[c]
        before = found[place]
        found[place] = rows
        if (before >= 0).any() or (found[place] != rows).any():
            _, firsts, groups = np.unique(place, return_index=True, return_inverse=True)
            earlier = np.where(before >= 0, before, rows[firsts][groups])
            second = int(np.argmax(earlier < rows))
            raise doubled(there, int(earlier[second]), int(rows[second]), numbers=numbers)

    run_wavefront(len(chunks), [(False, look), (True, note)])
    return found[first]


def doubled(
    columns: KeyColumns, first: int, second: int, where: str = " on the right", numbers: Array | None = None
) -> DataError:
    """Return the error of a key that two rows have."""
    named = ", ".join(map(repr, columns.names))
    rows = (first, second) if numbers is None else (numbers[first], numbers[second])
    return DataError(
        f"Key {columns.show(first)} of {named} is there twice{where}, at rows {rows[0]} and {rows[1]}: a reference has "
        "one row a key. Drop one, as with drop_duplicates, or add a column to the key."
    )
