"""Windows over rows that come frame by frame: what may still be needed is kept, windows that are over come out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.memory.feed import check_same_columns, concat
from fintech_toolkit.engines.memory.state_file import table_to_bytes
from fintech_toolkit.engines.memory.window_columns import WindowColumns
from fintech_toolkit.engines.memory.windows import (
    EVER,
    NEVER,
    WindowKeys,
    aggregated,
    first_end,
    grouped,
    last_end,
    read_keys,
    sift_keys,
)
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.nodes import Node
from fintech_toolkit.flow.windows import Windows
from fintech_toolkit.frames.times import times
from fintech_toolkit.frames.views import Joinable, joinable, sort_of
from fintech_toolkit.schema import Array

ABOUT = b"fintech_toolkit.window_rows"


@dataclass(frozen=True)
class WindowRows:
    """The rows of windows that are not over. It is not changed; what goes on is another one.

    Attributes
    ----------
    frames : tuple of frame
        As they came; there is one from the first that comes on, if only without rows.
    due : tuple of int
        For each the time at which a window of its rows may be over; `NEVER` without rows.
    seen : int
        The latest time that has come.
    closed : int
        The time up to which windows have come out.
    time_kind : str
        The kind of times.
    """

    frames: tuple[Any, ...] = ()
    due: tuple[int, ...] = ()
    seen: int = EVER
    closed: int = EVER
    time_kind: str = ""

    def __len__(self) -> int:
        return sum(map(len, self.frames))

    def copy(self) -> WindowRows:
        """Return the same: it is not changed."""
        return self

    def to_bytes(self) -> bytes:
        """Return it as an Arrow stream."""
        whole = concat(self.frames) if self.frames else None
        about = {
            "pandas": sort_of(whole) == "pandas",
            "due": min(self.due, default=NEVER),
            "seen": self.seen,
            "closed": self.closed,
            "time_kind": self.time_kind,
        }
        stream = None if whole is None else table_to_bytes(joinable(whole).to_arrow())
        table = pa.table({"rows": pa.array([stream], pa.large_binary())})
        return table_to_bytes(table.replace_schema_metadata({ABOUT: json.dumps(about).encode()}))

    @classmethod
    def from_bytes(cls, data: bytes) -> WindowRows:
        """Return what `to_bytes` wrote."""
        table = pa.ipc.open_stream(data).read_all()
        about: Mapping[str, Any] = json.loads(table.schema.metadata[ABOUT])
        frames: tuple[Any, ...] = ()
        if table["rows"][0].is_valid:
            rows = pa.ipc.open_stream(table["rows"][0].as_buffer()).read_all()
            frames = (rows.to_pandas() if about["pandas"] else rows,)
        due = (about["due"],) * len(frames)
        return cls(frames, due, about["seen"], about["closed"], about["time_kind"])


class WindowOperator:
    """Windows of rows that come frame by frame; or what else is made of rows by time (see `CrossOperator`).

    A window is over once the latest time that any row has had, less the lateness, has reached its end. A row is late
    when a window that it belongs to is over before it comes, or, as windows with a gap have no end before their rows
    are known, when it lies before that time. It is in no window then, but in `late`. Each row is judged by those before
    it, so that it does not matter how they are cut into frames; where none is late, all windows together are those of
    the rows as a whole.

    Attributes
    ----------
    late : frame or None
        The late rows among the last that came.
    """

    def __init__(self, node: Node, state: WindowRows | None) -> None:
        self._node: Any = node
        self._rows = WindowRows() if state is None else state
        self.late: Any = None

    def advance(self, frame: Any) -> Any:
        """Take a frame, and return the windows that are over, or None.

        Raises
        ------
        ColumnError, DataError
            If the frame cannot be used; nothing has changed then.
        """
        self.late = None
        return None if frame is None else self._advance(*self._whole(frame))

    def accept(self, frame: Any, latest: Array | None = None) -> tuple[Any, dict[int, str]]:
        """Do the same with the rows of a frame that can be used; return the others too, by their position, and why not.

        `latest` says for each row the latest time that it may have, in nanoseconds: one beyond would make all that
        follow late.
        """
        self.late = None
        view, keys, refused = self._read(frame, latest)
        ts = keys.ts
        if refused:
            good = np.delete(np.arange(view.rows), list(refused))
            view, ts = joinable(view.take(good)), ts[good]
        return self._advance(view, ts, keys.time_kind), refused

    def _advance(self, view: Joinable, ts: Array, time_kind: str) -> Any:
        windows = self._node.windows
        before = np.maximum.accumulate(np.append(self._rows.seen, ts))
        # Of times that can be used neither side leaves int64.
        ends = first_end(windows, ts)
        late = (ends + windows.lateness <= before[:-1]) | (ends <= self._rows.closed)
        if late.any():
            self.late = view.take(np.flatnonzero(late))
            on_time = np.flatnonzero(~late)
            view, ts = joinable(view.take(on_time)), ts[on_time]
        seen = int(before[-1])
        return self._go_on(view, ts, time_kind, seen, self._until(seen))

    def _until(self, seen: int) -> int:
        """Return the time up to which windows are over when such a time has been seen."""
        return seen - self._node.windows.lateness if seen > EVER else EVER

    def advance_in_order(self, frame: Any) -> Any:
        """Do the same for a frame that has no row before the latest of those that came: what comes then is known, so
        that nothing is late, whatever the order within the frame.

        Raises
        ------
        DataError
            If it has.
        """
        view, ts, time_kind = self._whole(frame)
        early = ts < self._rows.seen
        if early.any():
            row = int(np.argmax(early))
            raise DataError(
                f"Column {self._node.windows.time!r} goes backwards at row {row}: {pd.Timestamp(int(ts[row]))} is "
                f"before {pd.Timestamp(self._rows.seen)}, the latest time of the partitions before."
            )
        seen = int(ts.max(initial=self._rows.seen))
        return self._go_on(view, ts, time_kind, seen, seen)

    def flush(self) -> Any:
        """Return the windows that are not over yet, or None if no frame has come."""
        rows = self._rows
        return self._made(joinable(concat(rows.frames)), rows.closed) if rows.frames else None

    @property
    def waiting(self) -> int:
        """How many rows are in windows that are not over."""
        return len(self._rows)

    @property
    def state(self) -> WindowRows:
        """The rows of windows that are not over."""
        return self._rows

    def _check(self, view: Joinable) -> None:
        WindowColumns(view, self._node.aggregates)

    def _made(self, view: Joinable, after: int, until: int = NEVER) -> Any:
        """Return the windows that end in time."""
        return aggregated(self._node, view, after, until)

    def _split(self, view: Joinable, until: int) -> tuple[Array, Array, int]:
        """Return the rows of windows that end until some time, those that are kept, and when one may be over."""
        return _split(self._node.windows, view, until)

    def _whole(self, frame: Any) -> tuple[Joinable, Array, str]:
        """Return a frame of which all rows can be used, its times and their kind."""
        view, keys, refused = self._read(frame)
        for reason in refused.values():
            raise DataError(reason)
        return view, keys.ts, keys.time_kind

    def _read(self, frame: Any, latest: Array | None = None) -> tuple[Joinable, WindowKeys, dict[int, str]]:
        """Return a frame, its keys, and which of its rows cannot be used, and why."""
        view, rows = joinable(frame).kept(), self._rows
        if rows.frames:
            check_same_columns("next", view, joinable(rows.frames[0]))
        keys, refused = sift_keys(view, self._node.windows, latest)
        self._check(view)  # complains of a frame when it comes, not when a window is over
        if rows.time_kind not in ("", keys.time_kind):
            raise DataError(
                f"Column {self._node.windows.time!r} has {keys.time_kind} times, the frames before had "
                f"{rows.time_kind} ones."
            )
        return view, keys, refused

    def _go_on(self, view: Joinable, ts: Array, time_kind: str, seen: int, until: int) -> Any:
        """Keep a frame, and return the windows that end until some time."""
        windows, old = self._node.windows, self._rows
        frames, due = [*old.frames], [*old.due]
        if view.rows or not frames:
            frames.append(view.frame)
            due.append(_due(windows, ts))
        rows = WindowRows(tuple(frames), tuple(due), seen, max(until, old.closed), time_kind)
        if min(due) > until:
            self._rows = rows
            return None
        whole = joinable(concat(frames))
        over, kept, next_due = self._split(whole, until)
        answer = self._made(joinable(whole.take(over)), old.closed, until)
        self._rows = replace(rows, frames=(whole.take(kept),), due=(next_due,))
        return answer


def _due(windows: Windows, ts: Array) -> int:
    """Return the time at which a window of rows at these times may be over, at the earliest."""
    if windows.gap is not None:
        return int(ts.min(initial=NEVER - windows.gap)) + windows.gap
    return int(first_end(windows, ts).min(initial=NEVER))


def _split(windows: Windows, view: Joinable, until: int) -> tuple[Array, Array, int]:
    """Return the rows of windows that end until some time, those of others, and when one of these may be over."""
    if windows.gap is None:
        ts = times(view, windows.time, windows.unit)[0]
        over, kept = np.flatnonzero(first_end(windows, ts) <= until), np.flatnonzero(last_end(windows, ts) > until)
        assert windows.size is not None
        every = windows.every or windows.size
        next_end = (until - windows.size) // every * every + every + windows.size
        return over, kept, max(int(first_end(windows, ts[kept]).min(initial=NEVER)), next_end)
    keys = read_keys(view, windows)
    (session,), order = grouped(windows, keys)
    ended = session.end[session.of] <= until
    rows = np.arange(view.rows) if order is None else order
    return np.sort(rows[ended]), np.sort(rows[~ended]), int(session.end[session.end > until].min(initial=NEVER))
