"""Joins of two feeds that come frame by frame, in which rows of the left wait for what the right still brings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.memory.asof import same_sort
from fintech_toolkit.engines.memory.feed import NEVER, Feed, check_same_columns, check_symbols, concat
from fintech_toolkit.engines.memory.feed_joins import join_feeds
from fintech_toolkit.engines.memory.join_keys import shifted
from fintech_toolkit.engines.memory.keys import symbols_of
from fintech_toolkit.engines.memory.last_rows import LastRows
from fintech_toolkit.engines.memory.sides import check_time_kinds, read_side, sift_side
from fintech_toolkit.engines.memory.state_file import read_state_file, table_to_bytes, write_state_file
from fintech_toolkit.errors import DataError, ParameterError, PipelineError
from fintech_toolkit.flow.window_joins import FEED_OPTIONS
from fintech_toolkit.frames.symbol_table import SymbolTable
from fintech_toolkit.frames.symbols import check_same_kind
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import joinable, sort_of
from fintech_toolkit.schema import Array

IDENTITY = b"fintech_toolkit.asof_join"
FEW = 1_000
"""Rows of the right that are kept as they came, without looking which of them others have replaced."""


class WaitingJoin:
    """A join of two feeds, resumable: a row of the left waits until the right has passed all that it looks at.

    Both feeds must be in time order from frame to frame; within a frame, each symbol's rows. A row of the left is
    answered once the right's watermark, the latest time that it has reached, is past the row's time and what the
    options say that it looks at after it, because only then nothing more can come for it. Rows of the right are kept
    as long as they may be needed: all since the time that the oldest row that waits, or may come, looks back to, and
    each symbol's last one before. The answers are given by the function that joins whole frames, and together, in the
    left's order if that is in time order, they are those of the whole, to the last bit.
    """

    joins: ClassVar[Mapping[str, Any]] = FEED_OPTIONS
    """The options that it may have, by the names under which they are saved."""

    @classmethod
    def of(cls, options: Any) -> Self:
        """Return a join with options that were checked before."""
        join = cls.__new__(cls)
        join._start(options)
        return join

    def _start(self, options: Any) -> None:
        self.options = options
        self._left, self._right = Feed(), Feed()
        self._last = LastRows()  # of the right

    @property
    def pending(self) -> int:
        """How many rows of the left wait for the right."""
        return self._left.rows

    @property
    def ahead(self) -> int:
        """How many rows of the right came that the left does not look at yet."""
        seen = _clipped(self._left.watermark + self.options.after)
        return sum(int((self._times("right", frame) >= seen).sum()) for frame in self._right.frames)

    @property
    def oldest(self) -> int | None:
        """The earliest time of a row of the left that waits, in nanoseconds; None if none does."""
        return min(self._left.first) if self.pending else None

    def watermark(self, side: str) -> int:
        """Return the latest time that a side has reached, in nanoseconds; the least int64 before its first row."""
        return (self._left if side == "left" else self._right).watermark

    def forgotten(self, side: str) -> Self:
        """Return a join that has seen nothing of a side."""
        return self.with_side(side, self.of(self.options))

    def with_side(self, side: str, other: Self) -> Self:
        """Return a join that has seen of a side what another join has."""
        join = self.copy()
        if side == "left":
            join._left = other._left
        else:
            join._right, join._last = other._right, other._last
        return join

    def left(self, frame: Any) -> Any:
        """Take a frame of the left; return the rows that can be answered now, or None.

        Raises
        ------
        ColumnError, DataError, PipelineError
            If the frame cannot be used; nothing has changed then.
        """
        self._left, _ = self._grown("left", self._left, frame, self._right)
        return self._answer()

    def right(self, frame: Any) -> Any:
        """Take a frame of the right; return the rows of the left that can be answered now, or None.

        Raises
        ------
        ColumnError, DataError, PipelineError
            If the frame cannot be used; nothing has changed then.
        """
        self._right, _ = self._grown("right", self._right, frame, self._left)
        return self._answer()

    def accept(
        self, side: str, frame: Any, latest: Array | None = None, *, answered: bool = False
    ) -> tuple[Any, dict[int, str]]:
        """Take the rows of a side's frame that can be used, as `left` and `right` do, and return what they do; and the
        others by their position, with the reason why not.

        `latest` says for each row the latest time that it may have, in nanoseconds: one beyond would make all that
        follow late. Rows of the left that were `answered` before only tell how far it has come.
        """
        feed, other = (self._left, self._right) if side == "left" else (self._right, self._left)
        grown, refused = self._grown(side, feed, frame, other, sift=True, latest=latest)
        if len(refused) == len(frame):
            return None, refused
        if side == "right":
            self._right = grown
        else:
            self._left = replace(feed, watermark=grown.watermark) if answered else grown
        return self._answer(), refused

    def advance(self, *, left: Any = None, right: Any = None) -> Any:
        """Promise that a quiet side brings no row before this time (int: nanoseconds); return what `left` does.

        Raises
        ------
        ParameterError
            If it is not a time; nothing has changed then.
        """
        promised = _nanoseconds(left, "left"), _nanoseconds(right, "right")
        self._left = replace(self._left, watermark=max(self._left.watermark, promised[0]))
        self._right = replace(self._right, watermark=max(self._right.watermark, promised[1]))
        return self._answer()

    def flush(self) -> Any:
        """Return the rows that still wait, as if both feeds had ended, or None; and start afresh.

        Raises
        ------
        PipelineError
            If rows wait and the columns to append are not known, because the right brought no frame. They still wait.
        """
        rows = self._answer(ended=True)
        self._start(self.options)
        return rows

    def _grown(
        self, side: str, feed: Feed, frame: Any, other: Feed, *, sift: bool = False, latest: Array | None = None
    ) -> tuple[Feed, dict[int, str]]:
        """Return a feed with a frame more, and which of its rows are not in it, and why: none, unless it is to sift."""
        view, _ = same_sort(frame, [*feed.frames[:1], *other.frames[:1], frame][0])
        view = view.kept()
        symbols = SymbolTable()
        if feed.frames:
            check_same_columns(side, view, joinable(feed.frames[0]))
        there = joinable(other.frames[0]) if other.frames else None
        columns = [view.names, None if there is None else there.names]
        options = self.options.sides.resolved(*(columns if side == "left" else columns[::-1]))
        refused: dict[int, str] = {}
        if sift:
            keys, refused = sift_side(view, options, symbols, side, feed.watermark, latest)
        else:
            keys = read_side(view, options, symbols, side)
        if feed.time_kind not in ("", keys.time_kind):
            raise DataError(
                f"In the {side} frame: column {options.time(side)!r} has {keys.time_kind} times, the frames before had "
                f"{feed.time_kind} ones."
            )
        if there is not None:
            self.options.gives(*((view.names, there.names) if side == "left" else (there.names, view.names)))
            of_times = (keys.time_kind, other.time_kind)
            check_time_kinds(options, *(of_times if side == "left" else of_times[::-1]))
            for symbol in symbols.symbols[:1]:
                check_symbols(options, there, symbol)
                for known in self._last.symbols[:1]:
                    check_same_kind(symbol, known)
        late = np.flatnonzero(keys.ts < feed.watermark)
        if len(late):
            place = int(late[0])
            row = place if keys.rows is None else int(keys.rows[place])
            now = pd.Timestamp(int(keys.ts[place]))
            who = "" if options.by is None else f" of symbol {symbols.symbols[keys.codes[place]]!r}"
            raise DataError(
                f"In the {side} frame: column {options.time(side)!r}{who} at row {row} is {now}, "
                f"but the feed had reached {pd.Timestamp(feed.watermark)}; frames must come in time order."
            )
        watermark = max(feed.watermark, int(keys.ts.max())) if len(keys.ts) else feed.watermark
        ts, stay = keys.ts, keys.rows
        if stay is not None and side == "left":  # rows that are not finished wait too
            stay = np.delete(np.arange(view.rows), list(refused))
            ts = np.full(view.rows, NAT)
            ts[keys.rows] = keys.ts
            ts = ts[stay]
        if stay is not None:
            view = joinable(view.take(stay))
        if not view.rows and feed.frames:
            return replace(feed, time_kind=keys.time_kind), refused
        return feed.grown(view, ts, FEW if keys.in_time_order else view.rows, watermark, keys.time_kind), refused

    def _answer(self, *, ended: bool = False) -> Any:
        answered = None
        if self.pending and (ended or self._right.frames):
            first = np.array(self._left.first)
            due = np.flatnonzero((first < NEVER) if ended else self._passed(first))
            if len(due):
                answered = self._join(int(due[-1]) + 1, ended=ended)
        self._forget()
        return answered

    def _passed(self, ts: Array) -> Array:
        """Return which rows, by their times, need not wait any more; those that are not finished wait for nothing."""
        watermark, end = self._right.watermark, shifted(ts, self.options.after)
        passed: Array = (end < watermark if self.options.sides.exact else end <= watermark) | (ts == NAT)
        return passed

    def _times(self, side: str, frame: Any) -> Array:
        view = joinable(frame)
        return times(view, self.options.sides.resolved(**{side: view.names}).time(side), self.options.sides.unit)[0]

    def _join(self, frames: int, *, ended: bool) -> Any:
        """Answer the rows of the first frames of the left that the right's watermark has passed, or all of them."""
        if not self._right.frames:
            raise PipelineError(
                "No frame of the right has come, so the columns to append are not known; give it an empty one."
            )
        waiting, left = joinable(concat(self._left.frames[:frames])), self._left
        ts = self._times("left", waiting.frame)
        passed = np.ones(len(ts), np.bool_) if ended else self._passed(ts)
        here = joinable(waiting.take(np.flatnonzero(passed)))
        until = _clipped(int(ts[passed].max(initial=NAT)) + self.options.after)
        recent = int(np.searchsorted(self._right.first[1:], until, side="right"))
        there = joinable(
            concat([*self._last.of(symbols_of(here, self.options.sides.by)), *self._right.frames[: 1 + recent]])
        )
        answered = join_feeds(here, there, self.options)
        kept, first = left.frames[frames:], left.first[frames:]
        if not passed.all() or not kept:
            kept = (waiting.take(np.flatnonzero(~passed)), *kept)
            first = (int(ts[~passed].min(initial=NEVER)), *first)
        self._left = replace(left, frames=kept, first=first)
        return answered

    def _forget(self) -> None:
        """Of old rows of the right keep only each symbol's last, when there are more than a few."""
        oldest = min(self._left.first) if self.pending else NEVER
        since, right = _clipped(min(oldest, self._left.watermark) - self.options.before), self._right
        followed_by = (*right.first[1:], right.watermark)
        old = next((place for place, time in enumerate(followed_by) if time >= since), len(right.frames))
        if sum(map(len, right.frames[:old])) < FEW:
            return
        view, table = joinable(concat(right.frames[:old])), SymbolTable()
        keys = read_side(view, self.options.sides.resolved(right=view.names), table, "right")
        last = np.zeros(len(table), np.int64)
        last[keys.codes] = np.arange(view.rows)
        self._last = self._last.updated(joinable(view.take(last)), table.symbols)
        frames, first = right.frames[old:], right.first[old:]
        if not frames:
            frames, first = (view.take(last[:0]),), (NEVER,)
        self._right = replace(right, frames=frames, first=first)

    def copy(self) -> Self:
        """Return a join that can be advanced without touching this one."""
        join = self.of(self.options)
        join._left, join._right, join._last = self._left, self._right, self._last
        return join

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what is kept to a Parquet file, both sides as Arrow streams: aside first, synced, then renamed."""
        table = self._to_table()
        write_state_file(path, table, table.schema.metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the join that `save` wrote.

        Raises
        ------
        StateError
            If the file is damaged, cut short, or not a saved join.
        """
        return read_state_file(path, "saved join", cls._from_file)

    def to_bytes(self) -> bytes:
        """Return what is kept as an Arrow stream, for a file that holds several."""
        return table_to_bytes(self._to_table())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the join that `to_bytes` wrote."""
        table = pa.ipc.open_stream(data).read_all()
        return cls._from_file(table, table.schema.metadata)

    def _to_table(self) -> pa.Table:
        identity: dict[str, Any] = {"join": type(self.options).__name__, "options": self.options.to_data()}
        streams = {}
        for side, feed in (("left", self._left), ("right", self._right)):
            frames = [*(self._last.all() if side == "right" else ()), *feed.frames]
            whole = concat(frames) if frames else None
            identity[side] = {"pandas": sort_of(whole) == "pandas", "watermark": feed.watermark, "kind": feed.time_kind}
            stream = None if whole is None else table_to_bytes(joinable(whole).to_arrow())
            streams[side] = pa.array([stream], pa.large_binary())
        return pa.table(streams).replace_schema_metadata({IDENTITY: json.dumps(identity).encode()})

    @classmethod
    def _from_file(cls, table: pa.Table, metadata: Mapping[bytes, bytes]) -> Self:
        identity = json.loads(metadata[IDENTITY])
        join = cls.of(cls.joins[identity["join"]].from_data(identity["options"]))
        join._left = join._from_stream("left", table["left"][0], identity["left"])
        join._right = join._from_stream("right", table["right"][0], identity["right"])
        return join

    def _from_stream(self, side: str, stream: Any, identity: dict[str, Any]) -> Feed:
        if not stream.is_valid:
            return Feed((), (), identity["watermark"], identity["kind"])
        table = pa.ipc.open_stream(stream.as_buffer()).read_all()
        frame = table.to_pandas() if identity["pandas"] else table
        first = int(self._times(side, frame).min(initial=NEVER))
        return Feed((frame,), (first,), identity["watermark"], identity["kind"])


def _clipped(time: int) -> int:
    """Return the time that int64 holds which is nearest."""
    return min(max(time, int(NAT)), NEVER)


def _nanoseconds(time: Any, side: str) -> int:
    if time is None:
        return int(NAT)
    try:
        value = pd.Timestamp(time)
        if isinstance(time, bool) or pd.isna(value):
            raise ValueError("it is none")
        return int(value.as_unit("ns").value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ParameterError(
            f"{side}={time!r} is not a time ({error}); give a Timestamp, or int nanoseconds since 1970."
        ) from error
