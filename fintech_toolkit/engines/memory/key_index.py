"""Which row of a reference has a key: one large table that never changes, and small ones of what came later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from fintech_toolkit.engines.memory.hash_table import HashTable, build
from fintech_toolkit.engines.memory.wavefront import MORSEL, cut, run_wavefront
from fintech_toolkit.frames.key_bytes import KeyBytes, KeyColumns, KeyKind
from fintech_toolkit.schema import Array

GONE = -2
"""The row of a key that was deleted."""


class Segment(NamedTuple):
    """Keys that came together, and the row of each: by default that of its own number."""

    table: HashTable
    rows: Array | None

    def numbers(self) -> Array:
        """Return a copy of the rows."""
        return np.arange(self.table.keys.rows) if self.rows is None else self.rows.copy()

    def find(self, keys: KeyBytes) -> Array:
        """Return the row of each key, `GONE` if it was deleted, -1 if it is not here."""
        place = self.table.find(keys)
        return place if self.rows is None else np.append(self.rows, -1)[place]


@dataclass
class KeyIndex:
    """The rows of keys.

    A segment of later keys is merged with the one before as soon as that is not twice as large: so there are few, and
    each key is moved a few times only.

    Attributes
    ----------
    kinds : list of KeyKind
        What the columns of keys hold.
    base : HashTable
        The keys of rows 0, 1, ….
    later : list of Segment
        What was put, the newest last.
    """

    kinds: list[KeyKind]
    base: HashTable
    later: list[Segment] = field(default_factory=list)

    def find(self, columns: KeyColumns) -> Array:
        """Return the row of each key, negative if there is none."""
        found = np.empty(columns.rows, np.int64)
        chunks = cut(columns.rows, MORSEL)
        segments = [Segment(self.base, None), *self.later]

        def look(c: int) -> None:
            at = chunks[c]
            keys = columns.read(self.kinds, at.start, at.stop - at.start)
            rows = segments[0].find(keys)
            for segment in segments[1:]:  # the newer, the stronger
                newer = segment.find(keys)
                rows = np.where(newer == -1, rows, newer)
            found[at] = rows

        run_wavefront(len(chunks), [(False, look)])
        return found

    def rows(self, base: bool = True) -> Array:
        """Return the rows that keys have, in order; without `base` those only that were put."""
        segments = [Segment(self.base, None), *self.later]
        rows = [np.empty(0, np.int64)]
        for n in range(0 if base else 1, len(segments)):
            keys = segments[n].table.keys.rows
            alive = np.ones(keys + 1, np.bool_)
            for newer in segments[n + 1 :]:
                alive[segments[n].table.find(newer.table.keys)] = False  # the last place is for those not here
            rows.append(segments[n].numbers()[alive[:keys]])
        found: Array = np.sort(np.concatenate(rows))
        return found[found >= 0]

    def put(self, table: HashTable, rows: Array) -> None:
        """Give keys, each there once, other rows from now on; `GONE` deletes one."""
        self.later.append(Segment(table, rows))
        while len(self.later) > 1 and 2 * self.later[-1].table.keys.rows > self.later[-2].table.keys.rows:
            newer, older = self.later.pop(), self.later.pop()
            self.later.append(_merged(newer, older))


def _merged(newer: Segment, older: Segment) -> Segment:
    assert newer.rows is not None
    assert older.rows is not None
    keys = pa.concat_arrays([newer.table.keys.arrow(), older.table.keys.arrow()])
    rows = np.concatenate([newer.rows, older.rows])
    _, first = build(KeyBytes.of_arrow(keys))
    kept = np.flatnonzero(first == np.arange(len(first)))  # of two rows of a key the newer comes first
    table, _ = build(KeyBytes.of_arrow(keys.take(pa.array(kept))))
    return Segment(table, rows[kept])
