"""The state of a pipeline: a row per symbol, which can be looked at, saved and carried on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.memory.state_file import read_state_file, table_to_bytes, write_state_file
from fintech_toolkit.errors import StateError
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.frames.symbol_table import SymbolTable
from fintech_toolkit.frames.symbols import Symbol, symbol_array
from fintech_toolkit.frames.times import NAT, as_times
from fintech_toolkit.scan.scan import Scan, StepState
from fintech_toolkit.schema import Array

IDENTITY = b"fintech_toolkit.pipeline"
TIME_KIND = b"fintech_toolkit.time_kind"


@dataclass
class State:
    """What a pipeline knows after the ticks so far: for each symbol its last time and a record per step.

    Attributes
    ----------
    identity : str
        The pipeline it belongs to, as JSON; another pipeline refuses it.
    time_kind : str or None
        Whether times came as aware or naive timestamps or as integers; they must not be mixed.
    """

    identity: str
    table: SymbolTable
    last: Array
    steps: list[StepState]
    time_kind: str | None = None

    @property
    def symbols(self) -> list[Symbol]:
        """The symbols seen, in order of arrival."""
        return self.table.symbols

    def copy(self) -> State:
        """Return a state that can be advanced without touching this one."""
        steps = [step.copy() for step in self.steps]
        return State(self.identity, self.table.copy(), self.last.copy(), steps, self.time_kind)

    def select(self, symbols: Iterable[Symbol]) -> State:
        """Return the state of some symbols only; unknown ones are left out."""
        return State.from_rows(self, [(self, self.table.indices_of(dict.fromkeys(symbols)))])

    @staticmethod
    def merge(states: Sequence[State]) -> State:
        """Return the state of all symbols of several states, which must not share any.

        Raises
        ------
        StateError
            If they belong to different pipelines or hold the same symbol twice.
        """
        if len({state.identity for state in states}) != 1:
            raise StateError("These states belong to different pipelines.")
        merged = State.from_rows(states[0], [(state, np.arange(len(state.table))) for state in states])
        twice = merged.table.double()
        if twice is not None:
            raise StateError(f"Two of these states hold symbol {twice!r}.")
        return merged

    @staticmethod
    def from_rows(like: State, parts: list[tuple[State, Array]]) -> State:
        """Return a state made of rows of others."""
        symbols = list(chain.from_iterable(map(state.symbols.__getitem__, rows.tolist()) for state, rows in parts))
        last = np.concatenate([state.last[rows] for state, rows in parts])
        steps = []
        for s, step in enumerate(like.steps):
            if step.records.dtype.names is None or not any(len(state.steps[s].records) for state, _ in parts):
                steps.append(StepState(step.records[:0].copy(), step.slots[:0].copy(), np.zeros(1, np.int64)))
                continue
            chosen = [(state.steps[s], rows[rows < len(state.steps[s].records)], len(rows)) for state, rows in parts]
            steps.append(_gather(chosen))
        kinds = {state.time_kind for state, _ in parts} - {None}
        if len(kinds) > 1:
            raise StateError(f"These states mix kinds of times: {', '.join(sorted(map(str, kinds)))}.")
        return State(like.identity, SymbolTable(symbols), last, steps, next(iter(kinds), None))

    def frame(self) -> pd.DataFrame:
        """Return the state as a frame, one row per symbol, one column per field of each step's record."""
        frame: pd.DataFrame = _to_table(self, slots=False).to_pandas()
        return frame.set_index("symbol")

    def _edges(self, rows: int) -> pd.DataFrame:
        """Return so many rows of the frame, the first and the last, and one more if there are more."""
        symbols = len(self.table)
        if symbols <= rows:
            return self.frame()
        shown = np.concatenate([np.arange(rows // 2 + 1), np.arange(symbols - rows // 2, symbols)])
        return State.from_rows(self, [(self, shown)]).frame()

    def __repr__(self) -> str:
        rows = 60 if len(self.table) <= 60 else 10
        frame = self._edges(rows)
        with pd.option_context("display.max_rows", rows, "display.show_dimensions", False):
            return f"{frame!r}\n\n[{len(self.table)} symbols x {frame.shape[1]} columns]"

    def _repr_html_(self) -> str:
        frame = self._edges(20)
        shape = f"<p>{len(self.table)} symbols × {frame.shape[1]} columns</p>"
        return f"{frame.to_html(max_rows=20, show_dimensions=False)}{shape}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a Parquet file with a digest of its bytes.

        A local file is written aside, synced and then renamed over `path`, with the permissions that the umask leaves.
        A URL (``s3://…``) is written by fsspec; stores take it whole or not at all.

        Raises
        ------
        StateError
            If there is no such folder, or the package that a URL needs is not installed.
        """
        table = self._to_table()
        write_state_file(path, table, table.schema.metadata)

    def _to_table(self) -> pa.Table:
        metadata = {IDENTITY: self.identity.encode(), TIME_KIND: (self.time_kind or "").encode()}
        return _to_table(self, slots=True).replace_schema_metadata(metadata)

    def to_bytes(self) -> bytes:
        """Return the state as an Arrow stream, for a file that holds several."""
        return table_to_bytes(self._to_table())

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """Return the state that `to_bytes` wrote."""
        table = pa.ipc.open_stream(data).read_all()
        return cls.from_file(table, table.schema.metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> State:
        """Read a state that `save` wrote.

        Raises
        ------
        StateError
            If the file is damaged, cut short, or not a saved state, or holds a symbol twice.
        """
        return read_state_file(path, "state file", cls.from_file)

    @classmethod
    def from_file(cls, table: pa.Table, metadata: Mapping[bytes, bytes]) -> State:
        """Return what the table and metadata of such a file hold."""
        identity = metadata[IDENTITY].decode()
        time_kind = metadata[TIME_KIND].decode() or None
        return _from_table(table, identity, time_kind, Description.from_json(identity).scans)


def _gather(parts: list[tuple[StepState, Array, int]]) -> StepState:
    """Collect rows of step states into one, each symbol's slots after the other's."""
    records = np.concatenate(
        [np.concatenate([step.records[rows], np.zeros(n - len(rows), step.records.dtype)]) for step, rows, n in parts]
    )
    first = parts[0][0]
    if "capacity" not in (records.dtype.names or ()):
        return StepState(records, first.slots[:0].copy(), np.zeros(1, np.int64))
    slots = np.concatenate([first.slots[:0], *(_slots(step, step.records[rows]) for step, rows, _ in parts)])
    ends = np.cumsum(records["capacity"].astype(np.int64))
    records["start"] = ends - records["capacity"]
    return StepState(records, slots, np.array([len(slots)], np.int64))


def _slots(step: StepState, records: Array) -> Array:
    """Return the slots of records, each one's after the other's."""
    capacities = records["capacity"].astype(np.int64)
    ends = np.cumsum(capacities)
    shift = np.repeat(records["start"] - (ends - capacities), capacities)
    slots: Array = step.slots[np.arange(len(shift)) + shift]
    return slots


def _prefix(s: int, scan: Scan) -> str:
    return f"{s}.{scan.step.outputs[0] if scan.step.outputs else scan.kernel.name}"


def _to_table(state: State, *, slots: bool) -> pa.Table:
    scans = Description.from_json(state.identity).scans
    rows = len(state.table)
    columns: dict[str, Any] = {
        "symbol": symbol_array(state.symbols),
        "last": as_times(state.last, state.time_kind or "int", nullable=False),
    }
    for s, (scan, step) in enumerate(zip(scans, state.steps, strict=True)):
        prefix = _prefix(s, scan)
        records = step.records[:rows]
        if 0 < len(records) < rows:  # symbols that came after this step had run last
            records = np.concatenate([records, np.zeros(rows - len(records), records.dtype)])
        for name in records.dtype.names or ():
            if name == "start" and scan.kernel.has_slots:
                continue
            if slots or name not in ("capacity", "head", "age", "session"):
                columns[f"{prefix}.{name}"] = _arrow(records[name])
        if slots and scan.kernel.has_slots:
            offsets = pa.array(np.concatenate([[0], np.cumsum(records["capacity"].astype(np.int64))]), pa.int64())
            whole = _slots(step, records)
            for name in whole.dtype.names or ():
                columns[f"{prefix}.slots.{name}"] = pa.LargeListArray.from_arrays(offsets, _arrow(whole[name]))
    return pa.table({name: values if len(values) == rows else pa.nulls(rows) for name, values in columns.items()})


def _arrow(values: Array) -> Any:
    contiguous = np.ascontiguousarray(values)
    if contiguous.ndim == 1:
        return pa.array(contiguous)
    return pa.FixedSizeListArray.from_arrays(pa.array(contiguous.reshape(-1)), contiguous.shape[1])


def _from_table(table: pa.Table, identity: str, time_kind: str | None, scans: list[Scan]) -> State:
    column = table["symbol"]
    if column.null_count or column.type not in (pa.string(), pa.large_string(), pa.int64(), pa.uint64()):
        raise StateError("its symbols are neither all strings nor all integers")
    symbols = SymbolTable(column.to_numpy().tolist())
    twice = symbols.double()
    if twice is not None:
        raise StateError(f"it holds symbol {twice!r} twice")
    last = table["last"].cast(pa.int64()).fill_null(NAT).to_numpy()
    steps = []
    for s, scan in enumerate(scans):
        prefix = _prefix(s, scan)
        step = scan.fresh(len(symbols))
        for name in step.records.dtype.names or ():
            if (name == "start" and scan.kernel.has_slots) or not len(step.records):
                continue
            column = table[f"{prefix}.{name}"].combine_chunks()
            shape = step.records[name].shape
            flat = column.flatten() if len(shape) > 1 else column
            step.records[name] = flat.to_numpy(zero_copy_only=False).reshape(shape)
        if scan.kernel.has_slots and len(step.records):
            capacities = step.records["capacity"].astype(np.int64)
            step.records["start"] = np.cumsum(capacities) - capacities
            step.slots = np.zeros(int(capacities.sum()), scan.slot_dtype)
            for name in step.slots.dtype.names or ():
                step.slots[name] = (
                    table[f"{prefix}.slots.{name}"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
                )
            step.used[0] = len(step.slots)
        steps.append(step)
    return State(identity, symbols, last.copy(), steps, time_kind)
