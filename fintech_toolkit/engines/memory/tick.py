"""One tick through all steps of a pipeline, in the time that a call of Python takes.

A tick is a frame of one row, and what is rare or wrong about one is left to what reads frames: a new symbol, times of
another sort, a missing value, an error. All others, which are plain numbers of a known symbol in time order, are packed
into cells of memory that the steps' compiled loops read, and write, by address.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.memory.keys import NO_TIME
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.engines.memory.ticks import emitted_rows
from fintech_toolkit.errors import ColumnError, did_you_mean
from fintech_toolkit.frames.sessions import SECOND, session_ids
from fintech_toolkit.frames.views import DictFrame
from fintech_toolkit.scan.entry import addresses, enter_all
from fintech_toolkit.scan.scan import NO_SESSION, Scan
from fintech_toolkit.scan.steps import Read
from fintech_toolkit.scan.values import EXACT, MISSING
from fintech_toolkit.schema import CANONICAL, KNOWN_AT, NANOSECONDS_ALONE, UNITS, Array

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description

FORMATS = {"<f8": "d", "<i8": "q", "|b1": "?7x"}
"""What stands in a cell of 8 bytes."""

POOL = slice(8, 10)
"""Where the pool stands among the addresses of a loop's arguments."""


class OneTick(DictFrame):
    """A frame of one row, whose results are plain values."""

    def append(self, columns: dict[str, Array]) -> dict[str, Any]:
        return {name: values.tolist()[0] for name, values in columns.items()}

    def build(self, columns: dict[str, Any]) -> Any:
        return pa.table(columns).to_pylist()


def as_frame(pipeline: Description, symbol: Any, ts: Any, values: dict[str, Any]) -> OneTick:
    """Return a tick as a frame.

    Raises
    ------
    ColumnError
        If a value has the name of no column that the pipeline reads.
    """
    known = [*map(pipeline.source, pipeline.numeric_reads), *([KNOWN_AT] if pipeline.emits and pipeline.time else [])]
    given = {name: value for name, value in ((pipeline.symbol, symbol), (pipeline.time, ts)) if value is not None}
    for option, value, name in (("symbol", symbol, pipeline.symbol), ("ts", ts, pipeline.time)):
        if value is not None and name is None:
            what = "symbols" if option == "symbol" else "times"
            raise ColumnError(f"This pipeline has no {what}, so a tick has no {option}: leave it out.")
    for name in values:
        if name not in known:
            raise ColumnError(f"No step reads {name!r}. {did_you_mean(name, known)}")
    return OneTick({name: _column(value) for name, value in (given | values).items()})


def _column(value: Any) -> Any:
    missing = value is None or value is pd.NA
    return pd.array([None], "Int64") if missing else pd.Series([value])


class Ticker:
    """The way of one tick after the other through a pipeline.

    Parameters
    ----------
    pipeline : Description
        What to run.

    Attributes
    ----------
    usable : bool
        Whether it is; otherwise each tick is to be read as a frame.
    """

    def __init__(self, pipeline: Description) -> None:
        self.pipeline = pipeline
        self._event: Scan | None = None
        self._reads = pipeline.source_reads
        self._names = [pipeline.source(read.name) for read in self._reads]
        self._columns = len(set(self._names))
        # Of one name an itemgetter gives no tuple.
        self._pick = itemgetter(*self._names) if len(self._names) > 1 else lambda values: (values[self._names[0]],)
        self._floats = all(read.dtype.kind == "f" for read in self._reads)
        domains = [(j, CANONICAL[read.role].domain) for j, read in enumerate(self._reads) if read.role in CANONICAL]
        self._domains = [(j, domain) for j, domain in domains if domain]
        self._factor = UNITS[pipeline.unit or "ns"]
        self._timed, self._zone = pipeline.time is not None, pipeline.session
        self._second: int | None = None  # of the session that was found last
        self._session = 0
        self.usable = self._has_cells()
        if self.usable:
            self._lay_out()

    def _has_cells(self) -> bool:
        """Whether each column has a cell of its own: not where one is read in two ways, or is a key."""
        pipeline = self.pipeline
        keys = {pipeline.symbol, pipeline.time}
        taken = keys | set(self._names)
        types: dict[str, np.dtype[Any]] = {}
        for scan in pipeline.scans:
            for read in scan.step.reads:
                if types.get(read.name, read.dtype) != read.dtype or read.dtype.str not in FORMATS:
                    return False
            if not scan.kernel.emits:
                types |= dict(zip(scan.step.outputs, scan.kernel.output_dtypes(scan.step.width), strict=True))
        plain = all(dtype.str in FORMATS for dtype in types.values())
        return plain and not keys & set(self._names) and (pipeline.emits or not taken & set(types))

    def _lay_out(self) -> None:
        """Lay out the cells: code, session, time, what the steps read, and what they give."""
        pipeline, reads = self.pipeline, self._reads
        scans = [scan for scan in pipeline.scans if not scan.kernel.emits]
        given = [
            (name, dtype)
            for scan in scans
            for name, dtype in zip(scan.step.outputs, scan.kernel.output_dtypes(scan.step.width), strict=True)
        ]
        cells = np.zeros(3 + len(reads) + len(given), np.int64)
        self._cells = cells.data
        self._keys = (
            cells[:1].view(np.uint32)[:1],
            cells[1:2] if pipeline.session else NO_SESSION,
            cells[2:3] if pipeline.time else NO_TIME,
        )
        columns: dict[Read | str, Array] = {read: _cell(cells, 3 + j, read.dtype) for j, read in enumerate(reads)}
        made: dict[str, Array] = {}
        self._arguments: list[list[Array]] = []
        for scan in pipeline.scans:
            inputs = [made[read.name] if read.name in made else columns[read] for read in scan.step.reads]
            if scan.kernel.emits:
                self._event, self._inputs = scan, inputs
                break
            outputs = []
            for name, dtype in given[len(made) : len(made) + len(scan.step.outputs)]:
                made[name] = _cell(cells, 3 + len(reads) + len(made), dtype)
                outputs.append(made[name])
            self._arguments.append([*inputs, *(np.array([number]) for number in scan.parameters), *outputs])
        self._pack = Struct("=I4xqq" + "".join(FORMATS[read.dtype.str] for read in reads)).pack_into
        self._unpack = Struct("=" + "".join(FORMATS[dtype.str] for _, dtype in given)).unpack_from
        self._results = 8 * (3 + len(reads))
        self._gives = list(made)
        self._nullable = [name for name in made if name in pipeline.nullable]

    def bind(self, state: State) -> None:
        """Take the state that ticks are to advance; again after anything else has advanced it."""
        self._state = state
        self._time_kind = state.time_kind
        most = int(np.iinfo(np.int64).max) // self._factor
        least = NANOSECONDS_ALONE if self.pipeline.unit is None else -most
        self._first, self._last = (least, most) if state.time_kind == "int" else (0, -1)  # what an int may be
        known = state.symbols[:1]
        self._kind: type | None = type(known[0]) if known else None
        self._code: Callable[[Any], int | None] = state.table.code
        if self.pipeline.symbol is None:
            self._kind, self._code = type(None), dict.fromkeys([None] * len(known), 0).get
        self._latest = state.last.data
        self._places = []
        entries = []
        for scan, own, arguments in zip(self.pipeline.scans, state.steps, self._arguments, strict=False):
            scan.make_room(own, len(state.table))
            places = np.array(addresses([*self._keys, own.records, own.slots, own.used, *arguments]), np.int64)
            self._places.append(places)
            entries.append((scan.entry().address, places.ctypes.data))
        self._entries, self._steps = np.array(entries, np.int64), len(entries)
        self._table = self._entries.ctypes.data
        self._enter = enter_all()

    def __call__(self, symbol: Any, ts: Any, values: dict[str, Any]) -> Any:
        """Return what the steps give for a tick, or the rows that were emitted; None if it is to be read as a frame."""
        if symbol.__class__ is not self._kind:
            return None
        code = self._code(symbol)
        if code is None or len(values) != self._columns:
            return None
        instant = 0
        if self._timed:
            if ts.__class__ is int and self._first <= ts <= self._last:
                instant = ts * self._factor
            elif (found := self._instant(ts)) is None:
                return None
            else:
                instant = found
            if instant < self._latest[code]:
                return None
        elif ts is not None:
            return None
        try:
            row = self._pick(values)
        except KeyError:
            return None
        for value in row:
            if value.__class__ is not float or not self._floats:
                row = self._converted(row)
                break
        if row is None:
            return None
        for j, domain in self._domains:
            if row[j] not in domain and np.isfinite(row[j]):
                return None
        if self._zone is not None and instant // SECOND != self._second:
            self._second = instant // SECOND
            self._session = int(session_ids(np.array([instant]), self._zone)[0])
        self._pack(self._cells, 0, code, self._session, instant, *row)
        if self._timed:
            self._latest[code] = instant
        if (stopped := self._enter(self._table, 0, self._steps)) >= 0:
            self._go_on(stopped)
        if self._event is not None:
            return self._emitted(self._event, instant)
        given = dict(zip(self._gives, self._unpack(self._cells, self._results)))  # noqa: B905 - a keyword takes time
        for name in self._nullable:
            given[name] = None if given[name] == MISSING else given[name]
        return given

    def _go_on(self, stopped: int) -> None:
        """Make room for the step that has none, and go on with it."""
        while stopped >= 0:
            own = self._state.steps[stopped]
            own.slots = _twice(own.slots)
            self._places[stopped][POOL] = addresses([own.slots])
            stopped = self._enter(self._table, stopped, self._steps)

    def _instant(self, ts: Any) -> int | None:
        """Return a time that is not an int as nanoseconds, if it is of the kind of those before."""
        if isinstance(ts, np.integer):
            ts = int(ts)
            return ts * self._factor if self._first <= ts <= self._last else None
        if isinstance(ts, np.datetime64) or (isinstance(ts, datetime) and not isinstance(ts, pd.Timestamp)):
            ts = pd.Timestamp(ts)
        if not isinstance(ts, pd.Timestamp) or self._time_kind != ("naive" if ts.tzinfo is None else "aware"):
            return None
        try:
            return ts.value
        except OverflowError:
            return None

    def _converted(self, row: tuple[Any, ...]) -> list[Any] | None:
        """Return numbers as what they are read as, if all are plain and none changes by that."""
        converted: list[Any] = []
        for read, value in zip(self._reads, row, strict=True):
            kind = read.dtype.kind
            if kind == "f" and isinstance(value, float | np.float32):
                converted.append(float(value))
            elif kind == "b" and isinstance(value, bool | np.bool_):
                converted.append(bool(value))
            elif kind != "b" and isinstance(value, int | np.integer) and not isinstance(value, bool):
                if not (-EXACT <= value <= EXACT if kind == "f" else MISSING <= value < -MISSING):
                    return None
                converted.append(int(value))
            else:
                return None
        return converted

    def _emitted(self, event: Scan, instant: int) -> Any:
        state = self._state
        found: Any = event.run(state.steps[-1], len(state.table), *self._keys, self._inputs)
        if not len(found.rows):
            return []
        known_at = np.full(len(found.rows), instant)
        return emitted_rows(self.pipeline, state, OneTick({}), found.rows, found.codes, known_at)


def _cell(cells: Array, j: int, dtype: np.dtype[Any]) -> Array:
    """Return a cell as an array of one number."""
    return cells[j : j + 1].view(dtype)[:1]


def _twice(slots: Array) -> Array:
    """Return a pool with twice the room."""
    larger = np.zeros(max(64, 2 * len(slots)), slots.dtype)
    larger[: len(slots)] = slots
    return larger
