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

from fintech_toolkit.engines.memory.lane import Lane, has_lanes
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.engines.memory.ticks import emitted_rows
from fintech_toolkit.errors import ColumnError, DataError, did_you_mean
from fintech_toolkit.frames.order import no_symbol, no_time
from fintech_toolkit.frames.sessions import SECOND, session_ids
from fintech_toolkit.frames.views import DictFrame
from fintech_toolkit.scan.columns import loop_dtype
from fintech_toolkit.scan.names import key_of
from fintech_toolkit.scan.values import EXACT, MISSING
from fintech_toolkit.schema import CANONICAL, KNOWN_AT, NANOSECONDS_ALONE, UNITS, Array

if TYPE_CHECKING:
    from fintech_toolkit.flow.pipeline import Description

FORMATS = {"<f8": "d", "<i8": "q", "|b1": "?7x"}
"""What stands in the word of a column."""


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
    DataError
        If a symbol or a time is given that is missing: alone it does not say of what sort it is.
    """
    for name, value, say in ((pipeline.symbol, symbol, no_symbol), (pipeline.time, ts, no_time)):
        if name is not None and value is not None and pd.api.types.is_scalar(value) and pd.isna(value):
            raise DataError(say(name, "at row 0"))
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
        self._reads = pipeline.source_reads
        self._names = [pipeline.source(read.name) for read in self._reads]
        self._columns = len(set(self._names))
        # Of one name an itemgetter gives no tuple.
        self._pick = itemgetter(*self._names) if len(self._names) > 1 else lambda values: (values[self._names[0]],)
        self._floats = all(read.dtype.kind == "f" for read in self._reads)
        domains = [(j, CANONICAL[read.role].domain) for j, read in enumerate(self._reads) if read.role in CANONICAL]
        self._domains = [(j, domain) for j, domain in domains if domain]
        self._factor = UNITS[pipeline.unit or "ns"]
        self._emits = pipeline.emits
        self._timed, self._zone = pipeline.time is not None, pipeline.session
        self._second: int | None = None  # of the session that was found last
        self._session = 0
        self.usable = has_lanes(pipeline) and not self._clashes()
        if self.usable:
            self._lane = Lane(pipeline)
            self._run = self._lane.run
            self._cells = self._lane.cells.data
            made = {name: values.dtype for name, values in self._lane.made.items()}
            cells = "".join(FORMATS[loop_dtype(read.dtype).str] for read in self._reads)
            self._pack = Struct("=I4xqq" + cells).pack_into
            self._unpack = Struct("=" + "".join(FORMATS[dtype.str] for dtype in made.values())).unpack_from
            self._results = 8 * self._lane.given
            self._gives = list(made)
            self._nullable = [name for name in made if name in pipeline.nullable]
            if self._emits:
                self._rows = pipeline.scans[-1].room(1)

    def _clashes(self) -> bool:
        """Whether a column that is read is a key, or one that is given is there already."""
        pipeline = self.pipeline
        keys, reads = {pipeline.symbol, pipeline.time}, set(self._names)
        return bool(keys & reads or (not pipeline.emits and (keys | reads) & set(pipeline.gives)))

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
        self._lane.bind(state)

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
        self._run()
        if self._emits:
            return self._emitted(instant)
        given = dict(zip(self._gives, self._unpack(self._cells, self._results)))  # noqa: B905 - a keyword takes time
        for name in self._nullable:
            given[name] = None if given[name] == MISSING else given[name]
        return given

    def _instant(self, ts: Any) -> int | None:
        """Return a time that is not an int as nanoseconds, if it is of the kind of those before."""
        if ts.__class__ is not pd.Timestamp:
            if isinstance(ts, np.integer):
                ts = int(ts)
                return ts * self._factor if self._first <= ts <= self._last else None
            if not isinstance(ts, datetime | np.datetime64):
                return None
            ts = pd.Timestamp(ts)
            if ts.__class__ is not pd.Timestamp:  # none at all
                return None
        if self._time_kind != ("naive" if ts.tzinfo is None else "aware"):
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
            if kind == "O" and isinstance(value, str):
                converted.append(key_of(value))
            elif kind == "f" and isinstance(value, float | np.float32):
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

    def _emitted(self, instant: int) -> Any:
        state, lane = self._state, self._lane
        event, emitted = self.pipeline.scans[-1], self._rows
        event.emit(state.steps[-1], len(state.table), lane.codes, lane.session, lane.ts, lane.event, emitted)
        if not emitted.count:
            return []
        self._rows = event.room(1)
        return emitted_rows(self.pipeline, state, OneTick({}), emitted, np.full(emitted.count, instant))
