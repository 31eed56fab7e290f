"""An as-of join of two feeds that come frame by frame."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.frames import NAT, Frame, times, wrap
from fintech_toolkit.engines.state_file import read_state_file, write_state_file
from fintech_toolkit.engines.symbols import SymbolTable
from fintech_toolkit.errors import DataError, ParameterError, PipelineError
from fintech_toolkit.joins.asof import join_frames, same_sort
from fintech_toolkit.joins.keys import check_kinds, read_keys
from fintech_toolkit.joins.options import AsOf
from fintech_toolkit.schema import Array

IDENTITY = b"fintech_toolkit.asof_join"
FEW = 10_000
"""Rows of the right that are kept without looking whether some can be forgotten."""


@dataclass(frozen=True)
class _Feed:
    """What is kept of one side, and the time before which nothing more will come from it."""

    frames: tuple[Any, ...] = ()
    watermark: int = int(NAT)

    @property
    def rows(self) -> int:
        return sum(map(len, self.frames))

    def whole(self) -> Any:
        """Return what is kept as one frame."""
        if len(self.frames) == 1:
            return self.frames[0]
        if isinstance(self.frames[0], pa.Table):
            return pa.concat_tables(self.frames)
        import dask.dataframe as dd

        # As pandas does, and categories that differ from frame to frame become their union.
        return dd.dispatch.concat(list(self.frames))  # type: ignore[no-untyped-call]


class AsofJoin:
    """`asof_join`, resumable: rows of the left wait until the right has passed their time, then they are answered.

    Both feeds must be in time order from frame to frame; within a frame, each symbol's rows. A row of the left is
    answered once the right's watermark, the latest time that it has reached, is past the row (or at it, if exact
    matches are not allowed), because only then no better match can come. Rows of the right are kept as long as they may
    be needed: each symbol's last one before the left's watermark, and all since. The answers together, in the left's
    order if that is in time order, are those of `asof_join` on the whole, to the last bit.

    Parameters
    ----------
    by, on, tolerance, allow_exact_matches, suffixes
        As for `asof_join`.
    direction : {"backward"}
        Matches forward are in the future of a live feed: join them when it has ended, with `asof_join`.

    Raises
    ------
    ParameterError
        If an option is not what it must be.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> def at(*seconds): return pd.to_datetime(seconds, unit="s", utc=True)
    >>> join = ft.AsofJoin()
    >>> join.right(pd.DataFrame({"symbol": ["A", "A"], "ts": at(0, 5), "bid": [10.0, 10.1]}))
    >>> join.left(pd.DataFrame({"symbol": ["A", "A"], "ts": at(3, 6), "price": [10.0, 10.2]}))[["price", "bid"]]
       price   bid
    0   10.0  10.0
    >>> join.pending
    1
    >>> join.right(pd.DataFrame({"symbol": ["A"], "ts": at(8), "bid": [10.3]}))[["price", "bid"]]
       price   bid
    1   10.2  10.1
    """

    def __init__(
        self,
        by: str | None = "symbol",
        on: str = "ts",
        direction: str = "backward",
        tolerance: Any = None,
        allow_exact_matches: bool = True,
        suffixes: Sequence[str] = ("", "_right"),
    ) -> None:
        self.options = AsOf.checked(by, on, direction, tolerance, allow_exact_matches, suffixes)
        if direction != "backward":
            raise ParameterError(
                f"direction={direction!r} looks into the future, which a live feed does not have; "
                "use asof_join when it has ended."
            )
        self._left, self._right = _Feed(), _Feed()
        self._enough = FEW

    @property
    def pending(self) -> int:
        """How many rows of the left wait for the right."""
        return self._left.rows

    def left(self, frame: Any) -> Any:
        """Take a frame of the left; return the rows that can be answered now, or None.

        Raises
        ------
        ColumnError, DataError, PipelineError
            If the frame cannot be used; nothing has changed then.
        """
        self._left = self._grown("left", self._left, frame, self._right)
        return self._answer()

    def right(self, frame: Any) -> Any:
        """Take a frame of the right; return the rows of the left that can be answered now, or None.

        Raises
        ------
        ColumnError, DataError, PipelineError
            If the frame cannot be used; nothing has changed then.
        """
        self._right = self._grown("right", self._right, frame, self._left)
        return self._answer()

    def advance(self, *, left: Any = None, right: Any = None) -> Any:
        """Promise that a quiet side brings no row before this time (int: nanoseconds); return what `left` does."""
        self._left = replace(self._left, watermark=max(self._left.watermark, _nanoseconds(left)))
        self._right = replace(self._right, watermark=max(self._right.watermark, _nanoseconds(right)))
        return self._answer()

    def flush(self) -> Any:
        """Return the rows that still wait, as if both feeds had ended, or None; and start afresh."""
        rows = self._answer(ended=True)
        self._left, self._right = _Feed(), _Feed()
        return rows

    def _grown(self, side: str, feed: _Feed, frame: Any, other: _Feed) -> _Feed:
        if isinstance(frame, pa.RecordBatch):
            frame = pa.Table.from_batches([frame])
        table = SymbolTable()
        like = [*feed.frames[:1], *other.frames[:1], frame][0]
        view, _ = same_sort(frame, like)
        keys = read_keys(view, self.options, table, side)
        if other.frames:
            there = wrap(other.frames[-1])
            seen = read_keys(wrap(there.take(np.arange(min(there.rows, 1)))), self.options, table, "other")
            self.options.names(*((view.names, there.names) if side == "left" else (there.names, view.names)))
            check_kinds(self.options, *((keys, seen) if side == "left" else (seen, keys)))
        late = np.flatnonzero(keys.ts < feed.watermark)
        if len(late):
            row = int(late[0])
            now = pd.Timestamp(int(keys.ts[row]))
            who = "" if self.options.by is None else f" of symbol {table.symbols[keys.codes[row]]!r}"
            raise DataError(
                f"In the {side} frame: column {self.options.on!r}{who} at row {row} is {now}, "
                f"but the feed had reached {pd.Timestamp(feed.watermark)}; frames must come in time order."
            )
        watermark = max(feed.watermark, int(keys.ts.max())) if len(keys.ts) else feed.watermark
        return _Feed((*feed.frames, frame), watermark)

    def _answer(self, *, ended: bool = False) -> Any:
        answered = None
        if self.pending and (ended or self._right.frames):
            waiting = self._left.whole()
            self._left = replace(self._left, frames=(waiting,))
            passed = self._passed(waiting) if not ended else np.ones(len(waiting), np.bool_)
            if passed.any():
                answered = self._join(wrap(waiting), passed)
        if self._right.rows >= self._enough:
            self._forget()
        return answered

    def _passed(self, waiting: Any) -> Array:
        """Return which rows the right's watermark has passed."""
        ts, _ = times(wrap(waiting), self.options.on)
        passed: Array = ts < self._right.watermark if self.options.exact else ts <= self._right.watermark
        return passed

    def _join(self, waiting: Frame, passed: Array) -> Any:
        if not self._right.frames:
            raise PipelineError(
                "No frame of the right has come, so the columns to append are not known; give it an empty one."
            )
        there = self._right.whole()
        answered = join_frames(wrap(waiting.take(np.flatnonzero(passed))), wrap(there), self.options)
        self._left = replace(self._left, frames=(waiting.take(np.flatnonzero(~passed)),))
        self._right = replace(self._right, frames=(there,))
        return answered

    def _forget(self) -> None:
        """Drop the rows of the right that no row of the left can match any more."""
        view = wrap(self._right.whole())
        table = SymbolTable()
        keys = read_keys(view, self.options, table, "right")
        since = self._left.watermark
        if self.pending:
            since = min(since, int(times(wrap(self._left.whole()), self.options.on)[0].min()))
        old = np.flatnonzero(keys.ts < since)
        last = np.full(len(table), -1, np.int64)
        np.maximum.at(last, keys.codes[old], old)
        kept = np.sort(np.concatenate([last[last >= 0], np.flatnonzero(keys.ts >= since)]))
        self._right = replace(self._right, frames=(view.take(kept),))
        self._enough = max(FEW, 2 * len(kept))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what is kept to a Parquet file, both sides as Arrow streams: aside first, synced, then renamed."""
        identity: dict[str, Any] = {"options": asdict(self.options)}
        streams = {}
        for side, feed in (("left", self._left), ("right", self._right)):
            whole = feed.whole() if feed.frames else None
            pandas = isinstance(whole, pd.DataFrame)
            identity[side] = {"pandas": pandas, "watermark": feed.watermark}
            stream = None if whole is None else _to_stream(pa.Table.from_pandas(whole) if pandas else whole)
            streams[side] = pa.array([stream], pa.large_binary())
        write_state_file(path, pa.table(streams), {IDENTITY: json.dumps(identity).encode()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AsofJoin:
        """Return the join that `save` wrote.

        Raises
        ------
        StateError
            If the file is damaged, cut short, or not a saved join.
        """
        return read_state_file(path, "saved join", cls._from_file)

    @classmethod
    def _from_file(cls, table: pa.Table, metadata: Mapping[bytes, bytes]) -> AsofJoin:
        identity = json.loads(metadata[IDENTITY])
        options = identity["options"]
        join = cls(options["by"], options["on"])
        join.options = AsOf(**{**options, "suffixes": tuple(options["suffixes"])})
        join._left, join._right = (_from_stream(table[side][0], identity[side]) for side in ("left", "right"))
        return join


def _nanoseconds(time: Any) -> int:
    if time is None:
        return int(NAT)
    return time if isinstance(time, int) else int(pd.Timestamp(time).as_unit("ns").value)


def _to_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _from_stream(stream: Any, identity: dict[str, Any]) -> _Feed:
    if not stream.is_valid:
        return _Feed((), identity["watermark"])
    table = pa.ipc.open_stream(stream.as_buffer()).read_all()
    return _Feed((table.to_pandas() if identity["pandas"] else table,), identity["watermark"])
