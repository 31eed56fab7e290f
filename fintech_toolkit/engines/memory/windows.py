"""Windows over the rows of a frame: which there are, and a row of aggregates for each. All engines come here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from fintech_toolkit.engines.memory import window_loops as loops
from fintech_toolkit.engines.memory.keys import Keys
from fintech_toolkit.engines.memory.window_columns import Groups, WindowColumns
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.windows import WINDOW_END, Window, Windows
from fintech_toolkit.frames.symbol_table import SymbolTable
from fintech_toolkit.frames.symbols import NULL, Symbol
from fintech_toolkit.frames.times import NAT, as_times, times
from fintech_toolkit.frames.views import Joinable, require
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.schema import KNOWN_AT, Array

EVER, NEVER = int(NAT), int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class WindowKeys:
    """Whose and when the rows of a frame are, all of which have a symbol and a time."""

    codes: Array
    ts: Array
    names: list[Symbol]
    time_kind: str

    @property
    def symbols(self) -> int:
        """How many symbols there are, at least 1."""
        return max(len(self.names), 1)


def read_keys(view: Joinable, windows: Windows) -> WindowKeys:
    """Return the keys of a frame.

    Raises
    ------
    ColumnError, DataError
        If a column is missing or of the wrong type, a row has no symbol or no time, or int64 does not hold its window.
    """
    keys, refused = sift_keys(view, windows)
    for reason in refused.values():
        raise DataError(reason)
    return keys


def sift_keys(view: Joinable, windows: Windows, latest: Array | None = None) -> tuple[WindowKeys, dict[int, str]]:
    """Return the keys of a frame, and which of its rows can be in no window, and why.

    `latest` says for each row the latest time that it may have, in nanoseconds.

    Raises
    ------
    ColumnError, DataError
        If a column is missing or of the wrong type.
    """
    for name in windows.keys:
        require(view, name)
    keys, table = Keys(view, windows.symbol, windows.time, windows.unit), SymbolTable()
    keys.read(table)
    keys.refuse_after(latest)
    room = 2 * ((windows.size or 0) + (windows.gap or 0)) + windows.lateness
    far = (keys.ts > NEVER - room) | (keys.ts < room - NEVER)
    refused = {
        row: keys.lack(row, f"at row {row}")
        or f"Column {windows.time!r} at row {row} is too far off for int64 to hold its window."
        for row in np.flatnonzero((keys.codes == NULL) | ~keys.ok | far).tolist()  # NaT is far off too
    }
    assert keys.time_kind is not None
    return WindowKeys(read_only(keys.codes), read_only(keys.ts), table.symbols, keys.time_kind), refused


def aggregated(node: Window, view: Joinable, after: int = EVER, until: int = NEVER) -> Any:
    """Return a row for each window of a frame that ends after `after` and not after `until`.

    Rows are taken in order of time, ties in the order in which they lie. So the result depends on no other order, and
    the order of its rows does not either: by the end of windows, then by the time of their first row.

    Raises
    ------
    ColumnError, DataError
        If a column is missing or of the wrong type, or a row cannot be used.
    """
    windows = node.windows
    keys, columns = read_keys(view, windows), WindowColumns(view, node.aggregates)
    known_at = times(view, KNOWN_AT, windows.unit)[0] if KNOWN_AT in view.names else None
    groups, order = grouped(windows, keys, after, until)
    if order is not None:
        columns.sort(order)
        known_at = None if known_at is None else known_at[order]
    parts = [
        (
            each.end,
            each.ts[each.first],
            each.first,
            each.start,
            _known(each, windows.lateness, known_at),
            *columns.of(each),
        )
        for each in groups
    ]
    joined = [part[0] if len(part) == 1 else np.concatenate(part) for part in zip(*parts, strict=True)]
    in_order = _order(*joined[:2])
    end, _, first, start, known, *found = joined if in_order is None else [values[in_order] for values in joined]
    form = keys.time_kind, windows.unit
    result: dict[str, Any] = {} if windows.symbol is None else {windows.symbol: columns.taken(windows.symbol, first)}
    result[windows.time] = as_times(start, *form, nullable=False)
    result[WINDOW_END] = as_times(end, *form, nullable=False)
    for each, values in zip(node.aggregates, found, strict=True):
        result[each.name] = columns.finished(each, values)
    result[KNOWN_AT] = as_times(known, *form)
    return view.build(result)


def _order(end: Array, began: Array) -> Array | None:
    """Return the order of windows by end and the time of their first row, None if they are in it.

    Windows of one end lie in the order of their first rows.
    """
    if np.all((end[:-1] < end[1:]) | ((end[:-1] == end[1:]) & (began[:-1] <= began[1:]))):
        return None
    order = np.argsort(end, kind="stable")
    end, began = end[order], began[order]
    if np.all((end[:-1] < end[1:]) | (began[:-1] <= began[1:])):
        return order
    return order[np.lexsort((began, end))]


def grouped(
    windows: Windows, keys: WindowKeys, after: int = EVER, until: int = NEVER
) -> tuple[Iterator[Groups], Array | None]:
    """Return the windows of rows, in sets of which no two overlap, and the order in which the rows are taken, None if
    that is the order in which they lie.
    """
    lanes, order = _lanes(windows, keys.ts, after, until), None
    groups = _grouped(windows, keys, lanes[0], after, until)
    if groups is None:
        order = np.argsort(keys.ts, kind="stable")
        keys = replace(keys, codes=read_only(keys.codes[order]), ts=read_only(keys.ts[order]))
        groups = _grouped(windows, keys, lanes[0], after, until)
    others = (_grouped(windows, keys, lane, after, until) for lane in lanes[1:])
    return (each for each in chain([groups], others) if each is not None), order


def _lanes(windows: Windows, ts: Array, after: int, until: int) -> list[int]:
    """Return which sets of windows have some that end in time; at least one."""
    if windows.size is None:
        return [0]
    every = windows.every or windows.size
    lanes = -(-windows.size // every)
    if not len(ts):
        return [0]
    least = max((after - windows.size) // every, (int(ts.min()) - windows.size) // every) + 1
    most = min((until - windows.size) // every, int(ts.max()) // every)
    return sorted({number % lanes for number in range(least, min(most + 1, least + lanes))}) or [0]


def _grouped(windows: Windows, keys: WindowKeys, lane: int, after: int, until: int) -> Groups | None:
    """Return the windows of one set; None if a symbol goes back in time."""
    codes, ts, rows = keys.codes, keys.ts, len(keys.ts)
    window, reached = np.full(keys.symbols, -1), np.full(keys.symbols, NAT)
    of = np.empty(rows, np.int32)
    first, last, start = (np.empty(rows, np.int64) for _ in range(3))
    if windows.gap is not None:
        count = loops.sessions(codes, ts, windows.gap, window, reached, of, first, last, start)
    else:
        assert windows.size is not None
        every = windows.every or windows.size
        lanes = -(-windows.size // every)
        begun = np.empty(keys.symbols, np.int64)
        count = loops.aligned(
            codes, ts, windows.size, every, lanes, lane, after, until, window, begun, reached, of, first, last, start
        )
    if count < 0:
        return None
    first, last, start = first[:count], last[:count], start[:count]
    end = start + windows.size if windows.size is not None else ts[last] + windows.gap
    return Groups(codes, ts, keys.symbols, of, first, last, start, end)


def _known(groups: Groups, lateness: int, known_at: Array | None) -> Array:
    """Return when each window is known: after its end, and when its last row is; never, if one of them is not yet."""
    known: Array = groups.end + lateness
    if known_at is not None:
        loops.last_known(groups.of, read_only(known_at), known)
    return known


def first_end(windows: Windows, ts: Array) -> Array:
    """Return when the first window of a row at each of these times ends, at the earliest."""
    if windows.size is None:
        return ts + 1
    every = windows.every or windows.size
    ends: Array = (ts - windows.size) // every * every + every + windows.size
    return ends


def last_end(windows: Windows, ts: Array) -> Array:
    """Return when the last window of a row at each of these times ends."""
    assert windows.size is not None
    every = windows.every or windows.size
    ends: Array = ts // every * every + windows.size
    return ends
