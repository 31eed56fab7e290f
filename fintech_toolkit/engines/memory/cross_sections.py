"""Cross-sections of a frame: rows are gathered by time, put in order of names, and given to kernels. All engines come
here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fintech_toolkit.engines.memory import cross_loops as loops
from fintech_toolkit.engines.memory.wavefront import MORSEL, run_wavefront
from fintech_toolkit.engines.memory.window_columns import value_codes
from fintech_toolkit.engines.memory.windows import EVER, WindowKeys, read_keys
from fintech_toolkit.flow.cross_sections import CrossSection
from fintech_toolkit.frames.times import NAT, as_times, times
from fintech_toolkit.frames.views import Joinable, joinable, require
from fintech_toolkit.scan.across import Columns, further_columns
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.compiled_loops import compile_across
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.names import read_values
from fintech_toolkit.scan.steps import Step
from fintech_toolkit.schema import KNOWN_AT, Array


@cache
def loop_of(kernel: Kernel) -> tuple[Callable[..., None], list[str]]:
    """Return a kernel across symbols, compiled at its first call, and the names of its arguments."""
    return compile_across(kernel), list(inspect.signature(kernel.function).parameters)


class CrossColumns:
    """The columns that steps across symbols read, checked.

    Raises
    ------
    ColumnError, DataError
        If one is not there, or is not of numbers where it must be.
    """

    def __init__(self, view: Joinable, node: CrossSection) -> None:
        self.numbers: dict[str, Array] = {}
        self.groups: dict[str, Array] = {}
        for name in node.reads:
            require(view, name)
        for step in node.steps:
            for parameter, names in further_columns(step).items():
                for name in names if parameter.groups else ():
                    self.groups[name] = read_only(value_codes(view.column(name), name).astype(np.int32))
                for name in () if parameter.groups else names:
                    self._read(view, name)
            for name in step.columns:
                self._read(view, name)

    def _read(self, view: Joinable, name: str) -> None:
        values = read_values(view.column(name), np.dtype("f8"), f"Column {name!r}")
        self.numbers[name] = read_only(values)


@dataclass(frozen=True)
class _Stretches:
    """Which rows, taken in order of time, are of one time, or of one bar.

    Attributes
    ----------
    order : ndarray or None
        The rows in order of time; None if they lie in it.
    starts : ndarray
        Where each stretch begins among these, and where the last one ends.
    ends_at : ndarray
        The time that each of them is before.
    """

    order: Array | None
    starts: Array
    ends_at: Array

    @classmethod
    def of(cls, ts: Array, size: int) -> _Stretches:
        """Return those of rows at these times."""
        starts, ends_at = np.empty(len(ts) + 1, np.int64), np.empty(len(ts), np.int64)
        count, order = loops.begin_stamps(ts, size, starts, ends_at), None
        if count < 0:
            order = np.argsort(ts, kind="stable")
            count = loops.begin_stamps(read_only(ts[order]), size, starts, ends_at)
        return cls(order, starts[: count + 1], ends_at[:count])

    def chunks(self, rows: int) -> list[slice]:
        """Return the stretches in pieces of so many rows or a little more."""
        cuts = np.unique(np.searchsorted(self.starts, np.arange(0, self.starts[-1] + rows, rows)))
        cuts = np.minimum(cuts, len(self.ends_at))
        return [slice(a, b) for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True) if b > a]


def crossed(node: CrossSection, view: Joinable, after: int = EVER) -> Any:
    """Return what steps across symbols give of the times of a frame; where there is one row for each, of those that are
    over after `after`.

    Raises
    ------
    ColumnError, DataError
        If a column is missing or of the wrong type, or a row cannot be used.
    """
    keys, columns = read_keys(view, node.windows), CrossColumns(view, node)
    found = _Stretches.of(keys.ts, node.every or 1)
    codes = keys.codes if found.order is None else read_only(keys.codes[found.order])
    results = [np.empty(len(found.ends_at) if node.per_stamp else view.rows) for _ in node.steps]
    counted = _compute(node, found, codes, _ranks(keys), columns, results)
    told = found.ends_at - (node.every is None)
    known = _known(node, view, found, told)
    form = keys.time_kind, node.unit
    named = dict(zip(node.outputs, results, strict=True))
    if node.keeps:
        frame = view.append(named) if named else view.frame
        if known is None:
            return frame
        spread = np.empty(view.rows, np.int64)
        spread[slice(None) if found.order is None else found.order] = np.repeat(known, np.diff(found.starts))
        return joinable(frame).replace({KNOWN_AT: as_times(spread, *form)})
    if node.per_stamp:
        asked = found.ends_at > after
        made = {name: values[asked] for name, values in named.items()}
        stamps = as_times(told[asked], *form, nullable=False)
        return view.build({node.time: stamps, **made, KNOWN_AT: as_times(known[asked], *form)})
    rows, of = counted
    result = joinable(joinable(view.take(rows)).append({name: values[rows] for name, values in named.items()}))
    when = {node.time: as_times(told[of], *form, nullable=False), KNOWN_AT: as_times(known[of], *form)}
    return result.replace(when)


def _ranks(keys: WindowKeys) -> Array:
    """Return for each code where its symbol stands among the names."""
    ranks = np.empty(keys.symbols, np.int32)
    ranks[sorted(range(len(keys.names)), key=keys.names.__getitem__)] = np.arange(len(keys.names), dtype=np.int32)
    return ranks


def _known(node: CrossSection, view: Joinable, found: _Stretches, told: Array) -> Any:
    """Return when each time is known: after it, and when all of its rows are; never, if one of them is not yet."""
    known = told + node.lateness
    if KNOWN_AT not in view.names:
        return None if node.keeps else known
    known_at = times(view, KNOWN_AT, node.unit)[0]
    known_at = known_at if found.order is None else known_at[found.order]
    if not len(known_at):
        return known
    begins = found.starts[:-1]
    never = np.minimum.reduceat(known_at, begins) == NAT
    return np.where(never, NAT, np.maximum(known, np.maximum.reduceat(known_at, begins)))


def _compute(
    node: CrossSection,
    found: _Stretches,
    codes: Array,
    ranks: Array,
    columns: CrossColumns,
    results: list[Array],
) -> tuple[Array, Array]:
    """Fill in what each step gives; return the rows that count, by time and name, and the stretch of each."""
    # What looks back goes over all in one piece.
    pieces = found.chunks(MORSEL) if not node.history else [slice(0, len(found.ends_at))]
    counted: list[Any] = [None] * len(pieces)

    def run(c: int) -> None:
        at = pieces[c]
        starts = found.starts[at.start : at.stop + 1]
        offset, length = int(starts[0]), int(starts[-1] - starts[0])
        rows, names = np.empty(length, np.int64), np.empty(length, np.int32)
        ends = np.empty(at.stop - at.start, np.int64)
        moved, left_out = loops.by_name(starts, codes, ranks, rows, names, ends)
        as_they_lie = found.order is None and not moved
        if found.order is not None:
            rows = found.order[rows]
        if left_out and not node.per_stamp:
            own = slice(offset, offset + length)
            for result in results:
                result[own if found.order is None else found.order[own]] = np.nan
        piece = _Piece(starts[:-1] - offset, ends, rows, names, slice(offset, offset + length) if as_they_lie else None)
        for step, result in zip(node.steps, results, strict=True):
            piece.run(step, columns, result[at] if node.per_stamp else result)
        if not (node.keeps or node.per_stamp):
            counts = ends - piece.starts
            inside = np.repeat(piece.starts - np.append(0, np.cumsum(counts)[:-1]), counts) + np.arange(counts.sum())
            counted[c] = rows[inside], np.repeat(np.arange(at.start, at.stop), counts)

    run_wavefront(len(pieces), [(False, run)])
    some = [part for part in counted if part is not None] or [(np.empty(0, np.int64),) * 2]
    return np.concatenate([rows for rows, _ in some]), np.concatenate([of for _, of in some])


@dataclass(frozen=True)
class _Piece:
    """Some stretches: where each begins and ends among `rows`, and the ranks of the names of these; `at` is where they
    lie if they are taken just so.
    """

    starts: Array
    ends: Array
    rows: Array
    names: Array
    at: slice | None

    def run(self, step: Step, columns: CrossColumns, result: Array) -> None:
        """Put what a step gives into a result: one value for each stretch, or for each row of the frame."""
        loop, wanted = loop_of(step.kernel)
        arguments: dict[str, Any] = {"starts": self.starts, "ends": self.ends, "symbols": self.names}
        for name, column in zip(step.kernel.reads, step.columns, strict=True):
            arguments[name] = self._numbers(columns.numbers[column])
        for parameter, names in further_columns(step).items():
            arguments[parameter.name] = self._further(parameter, names, columns)
        arguments |= dict(step.resolved)
        straight = step.kernel.per_stamp
        if straight or self.at is not None:
            arguments["out"] = result if straight else result[self.at]
            loop(*[arguments[name] for name in wanted])
            return
        arguments["out"] = np.empty(len(self.rows))
        loop(*[arguments[name] for name in wanted])
        loops.scatter(self.starts, self.ends, self.rows, arguments["out"], result)

    def _further(self, parameter: Columns, names: tuple[str, ...], columns: CrossColumns) -> Array:
        if parameter.groups:
            return self._codes(columns.groups[names[0]]) if names else read_only(np.empty(0, np.int32))
        if not parameter.many:
            return self._numbers(columns.numbers[names[0]]) if names else read_only(np.empty(0))
        taken = np.empty((len(names), len(self.rows)))
        for place, name in enumerate(names):
            taken[place] = self._numbers(columns.numbers[name])
        return taken

    def _numbers(self, values: Array) -> Array:
        if self.at is not None:
            return values[self.at]
        taken = np.empty(len(self.rows))
        loops.gather(self.starts, self.ends, self.rows, values, taken)
        return read_only(taken)

    def _codes(self, codes: Array) -> Array:
        if self.at is not None:
            return codes[self.at]
        taken = np.empty(len(self.rows), np.int32)
        loops.gather_codes(self.starts, self.ends, self.rows, codes, taken)
        return read_only(taken)
