"""Versions of rows: since when each holds, and which row of its key held before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fintech_toolkit.errors import StateError
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.schema import Array


@dataclass
class Versions:
    """The versions of the rows of a table.

    Attributes
    ----------
    kind : str
        Of the times: aware, naive or int, as `fintech_toolkit.frames.times.times` has it.
    since : ndarray of int64
        The nanosecond from which a row holds, until that of the next version; `NAT` if always. Longer than there are
        rows, so that it seldom has to grow.
    before : ndarray of int64
        The row that held before, -1 if none.
    """

    kind: str
    since: Array
    before: Array

    @classmethod
    def none(cls, kind: str, rows: int) -> Versions:
        """Return that each row always holds."""
        return cls(kind, np.full(rows, NAT), np.full(rows, -1, np.int64))

    def copy(self) -> Versions:
        """Return versions that can be changed without touching these."""
        return Versions(self.kind, self.since.copy(), self.before.copy())

    def grow(self, rows: int) -> None:
        """Have room for so many rows; new ones always hold."""
        more = rows - len(self.since)
        if more > 0:
            more = max(more, len(self.since))
            self.since = np.concatenate([self.since, np.full(more, NAT)])
            self.before = np.concatenate([self.before, np.full(more, -1, np.int64)])

    def put(self, heads: Array, first: int, since: int) -> Array:
        """Let rows that hold from an instant on take their place among the versions of their keys.

        Parameters
        ----------
        heads : ndarray of int64
            The latest version of each key so far; negative if there is none.
        first : int
            The first of the new rows, one a key.
        since : int
            The instant. A version of the same instant is replaced.

        Returns
        -------
        ndarray of int64
            The latest version of each key from now on.
        """
        heads = heads.copy()
        _put(heads, first, since, self.since, self.before)
        return heads

    def as_of(self, heads: Array, ts: Array) -> Array:
        """Return for each row the version that held at its time, -1 if none did or it has no time.

        Raises
        ------
        StateError
            If the versions, read from a file, are damaged.
        """
        found = np.where(ts == NAT, -1, heads)
        if not _walk(found, read_only(ts), self.since, self.before):
            raise StateError("The versions of the table are damaged; make it anew from its rows.")
        return found

    def all_before(self, heads: Array) -> Array:
        """Return the rows of all versions that are not the latest of their key."""
        found = []
        rows = self.before[heads]
        while len(rows := rows[rows >= 0]):
            found.append(rows)
            rows = self.before[rows]
        return np.concatenate([np.empty(0, np.int64), *found])


@compile_cached
def _put(heads, first, since, sinces, before):  # type: ignore[no-untyped-def]
    for i in range(heads.shape[0]):
        new, after, row = first + i, np.int64(-1), heads[i]
        while row >= 0 and sinces[row] > since:
            after, row = row, before[row]
        if row >= 0 and sinces[row] == since:
            row = before[row]
        sinces[new] = since
        before[new] = row
        if after >= 0:
            before[after] = new
        else:
            heads[i] = new


@compile_cached
def _walk(found, ts, sinces, before):  # type: ignore[no-untyped-def]
    """Go back to the version of each row's time. False, and no more is looked at, if the way leads nowhere."""
    for i in range(found.shape[0]):
        row = found[i]
        for _ in range(sinces.shape[0]):
            if row < 0 or sinces[row] <= ts[i]:
                break
            row = before[row]
            if row >= sinces.shape[0]:
                return False
        found[i] = row
    return True
