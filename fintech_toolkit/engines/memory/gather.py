"""Rows taken from a table in pieces. Arrow puts all pieces of a column of texts together before it takes a few rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fintech_toolkit.schema import Array


class Gather:
    """Which rows are to be taken, piece by piece: found once, for any number of columns.

    Parameters
    ----------
    pieces : sequence of RecordBatch
        The table, at least one piece of it.
    rows : ndarray of int64
        The rows, counted through all pieces; negative ones are nulls.
    """

    def __init__(self, pieces: Sequence[pa.RecordBatch], rows: Array) -> None:
        self._pieces = pieces
        starts = np.cumsum([0, *(piece.num_rows for piece in pieces)])
        number = np.searchsorted(starts[1:], rows, side="right").astype(np.int32)  # of its piece; 0 for nulls too
        used = np.flatnonzero(np.bincount(number, minlength=len(pieces))[: len(pieces)])
        if len(used) < 2:
            piece = int(used[0]) if len(used) else 0
            self._parts = [(piece, pa.array(rows - starts[piece], mask=rows < 0))]
            self._back = None
            return
        order = np.argsort(number, kind="stable")
        cuts = np.searchsorted(number[order], [*used, len(pieces)])
        self._parts = []
        for piece, begin, end in zip(used.tolist(), cuts[:-1], cuts[1:], strict=True):
            part = rows[order[begin:end]]
            self._parts.append((piece, pa.array(part - starts[piece], mask=part < 0)))
        back = np.empty(len(rows), np.int64)
        back[order] = np.arange(len(rows))
        self._back = pa.array(back)

    def take(self, name: str) -> pa.Array:
        """Return the values of a column."""
        taken = [self._pieces[piece].column(name).take(rows) for piece, rows in self._parts]
        return taken[0] if self._back is None else pa.concat_arrays(taken).take(self._back)
