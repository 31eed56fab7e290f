"""From a kernel's plain functions to its compiled loop over the ticks of many symbols.

The loop is generated as source, because a loop that captures the kernel in a closure is compiled again in every
process, while one that is compiled under the kernel's own file name is found in Numba's cache. Its name carries a
digest of all that it uses, so that a change in a shared helper or constant is never answered from an old cache.

All loops have one form: ``loop(codes, session, ts, state, slots, used, *inputs, *parameters, *outputs)``. `codes` says
which row of `state` a tick belongs to; `slots` is one pool for the rings and tables of all symbols, in which a symbol
owns the stretch ``start : start + capacity`` and moves to one twice as long when it is full. It returns the pool. The
loop of an event kernel adds rows to columns; it returns where these are full as well, and says from where to go on.

Arrays of one series have a form of their own, ``series(ts, *inputs, *parameters, *outputs)``: the same statements a
tick, but the state is in registers, and the values in a window are those of the input where they entered as they are.
It gives the same bits, in a fraction of the time. Where a sweep asks for several lanes, each has a state of its own.
A kernel may have a way of its own to do a whole series (`series`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from textwrap import indent
from typing import TYPE_CHECKING, Any

import numpy as np

from fintech_toolkit.errors import KernelError
from fintech_toolkit.scan.parameters import Window
from fintech_toolkit.scan.slots import (
    state_dtype,
)
from fintech_toolkit.scan.templates import (
    AHEAD,
    AHEAD_WITH_SLOTS,
    EMIT,
    EVENT_LOOP,
    EVENT_LOOP_WITH_SLOTS,
    EVENT_ROOM,
    FAR,
    FULL,
    LARGE_RECORD,
    LOOP,
    LOOP_WITH_SLOTS,
    PUSH,
    REBUILD,
    RECORD,
    REFRESH,
    SERIES,
    SERIES_WITH_SLOTS,
    STALE_BY_ROWS,
    STALE_BY_TIME,
    UNBOUNDED,
    WHOLE,
    WINDOW_BY_ROWS,
    WINDOW_BY_TIME,
    WRITE,
    in_lanes,
)

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel

LARGE = 1024
"""Bytes of a record from which on registers are no place for it."""

NEAR = 1 << 19
"""Bytes of all symbols' records up to which they are in a core's cache anyway."""

DISTANCE = 8
"""Rows for which memory that is asked for has time to come."""

REBUILD_AFTER = 8
"""Windows after which running sums are summed afresh, so that rounding errors and spikes do not stay for ever."""


def _arguments(function: Callable[..., Any], positional: Iterable[str], named: dict[str, str]) -> str:
    """Return the argument list of a call: the positional ones, then those that the function asks for by name."""
    given = list(positional)
    names = list(inspect.signature(function).parameters)
    rest = names[len(given) :]
    if len(names) < len(given):
        raise KernelError(
            f"{function.__qualname__} takes ({', '.join(names)}), and is called with {len(given)} arguments."
        )
    unknown = [name for name in rest if name not in named]
    if unknown:
        raise KernelError(f"{function.__qualname__} asks for {unknown}; the engine offers {sorted(named)}.")
    return ", ".join([*given, *(named[name] for name in rest)])


class LoopSource:
    """The pieces of a kernel's loop, as text."""

    def __init__(
        self, kernel: Kernel, width: int, *, session: bool, by_time: bool, series: bool = False, lanes: int = 1
    ) -> None:
        self.kernel, self.session, self.by_time, self.series = kernel, session, by_time, series
        self.lanes = lanes
        self.state = "" if series else "s = state[codes[i]]\n"
        # What enters a window of a series as it is read is found again in the input.
        plain = kernel.prepare is None and kernel.enters == kernel.inputs and not kernel.variadic
        self.keeps_values = not (series and plain and not kernel.slots)
        self.whole = None if by_time or not series else kernel.series
        self.large = state_dtype(kernel, width, session=session).itemsize > LARGE
        self.few = NEAR // max(state_dtype(kernel, width, session=session).itemsize, 1)
        self.inputs = [f"x{j}" for j in range(kernel.input_count(width))]
        self.parameters = [f"p_{name}" for name in kernel.loop_parameters]
        self.outputs = [f"o{j}" for j in range(len(kernel.output_columns(width)))]
        self.named = {name: f"p_{name}" for name in kernel.loop_parameters}
        self.named |= {
            "ts": "ts[i]",
            "slots": "own_slots(slots, s.start, s.capacity)",
            "slot": "k - s.start",
            "again": "again",
            "ended": "ended",
            "by_time": str(by_time),
        }
        values = [f"{x}[i]" for x in self.inputs]
        fixed = len(kernel.reads) - kernel.groups
        self.filled = [
            f"row.{column.name}[{j}]" if column.variadic else f"row.{column.name}"
            for column in (kernel.outputs if kernel.fills else ())
            for j in range(width if column.variadic else 1)
        ]
        self.row = "    row = new_row()\n" if self.filled else ""
        # A trailing comma keeps a single column a tuple.
        self.values = values[:fixed]
        for j in range(fixed, len(values), max(width, 1)):
            self.values.append(f"({', '.join(values[j : j + width])},)")

    def call(self, function: Callable[..., Any], role: str, positional: Iterable[str]) -> str:
        return f"{role}({_arguments(function, positional, self.named)})"

    def clear(self, names: Iterable[str]) -> str:
        lines = [
            f"s.{name}[:] = 0" if shape or np.dtype(kind).shape else f"s.{name} = 0"
            for name, kind, *shape in self.kernel.state
            if name in names
        ]
        return "\n".join(lines) or "pass"

    def on_new_session(self, before: str) -> str:
        if not self.session:
            return ""
        all_fields = [field[0] for field in self.kernel.state]
        ring = "s.head = 0\ns.count = 0\ns.age = 0\n" if self.kernel.has_slots else ""
        body = f"{before}s.session = session[i]\n{ring}{self.clear(all_fields)}"
        return f"if s.session != session[i]:\n{indent(body, '    ')}\n"

    def store(self, state: list[str]) -> str:
        """Have a row's results stored: what the function returns, or what it fills a row with."""
        row = ["row"] if self.filled else []
        result = self.call(self.kernel.function, "tick", [*state, *row, *self.values])
        if self.filled:
            stored = [f"{o}[i] = {value}" for o, value in zip(self.outputs, self.filled, strict=True)]
            return "\n".join([result, *stored])
        return f"{', '.join(f'{o}[i]' for o in self.outputs)} = {result}"

    def tick(self) -> str:
        kernel = self.kernel
        if kernel.stateless:
            return self.store([])
        room = FULL if kernel.has_slots else ""
        return self.state + self.on_new_session("") + room + self.store(["s"])

    def event(self) -> str:
        ended = self.flush("True") + "again = False\n"
        call = self.call(self.kernel.function, "tick", ["s", "row", *self.values])
        room = EVENT_ROOM if self.kernel.has_slots else ""
        return self.state + self.on_new_session(ended) + self.emit(call, room)

    def flush(self, ended: str) -> str:
        assert self.kernel.flush is not None
        call = self.call(self.kernel.flush, "flush", ["s", "row"])
        return f"ended = {ended}\n" + self.emit(call)

    def emit(self, call: str, room: str = "") -> str:
        store = "\n".join(f"{o}[k] = {value}" for o, value in zip(self.outputs, self.filled, strict=True))
        return EMIT.format(call=call, room=indent(room, "    "), store=indent(store, "    "))

    def window(self) -> str:
        kernel = self.kernel
        assert kernel.enter is not None
        entering = [f"v{j}" for j in range(len(kernel.enters))]
        stored = self.stored
        values = ", ".join(self.values)
        if kernel.prepare is not None:
            values = self.call(kernel.prepare, "prepare", ["s", *self.values])
        values = f"{', '.join(entering)} = {values}"
        enter = self.guarded(self.call(kernel.enter, "enter", ["s", *entering]), entering)
        leaving = [f"w{j}" for j in range(len(entering))]
        leave = self.call(kernel.leave, "leave", ["s", *leaving]) if kernel.leave else "pass"
        leave = self.guarded(leave, leaving)
        read = f"{', '.join(leaving)} = {', '.join(stored)}"
        write = "\n".join(f"{slot} = {value}" for slot, value in zip(stored, entering, strict=True))
        if not self.keeps_values:
            write = ""
        elif self.by_time:
            write += "\nslots[k].ts = ts[i]"
        push = PUSH.format(
            room=FULL if self.keeps_values else "",
            values=values,
            write=WRITE.format(write=write) if self.keeps_values else "",
            enter=enter,
        )
        oldest = "s.start + s.head" if self.keeps_values else "i - np.uint64(s.count)"
        if self.by_time:
            move = WINDOW_BY_TIME.format(
                oldest=oldest,
                ts="slots[k].ts" if self.keeps_values else "ts[k]",
                advance="advance(s)" if self.keeps_values else "pass",
                leave=indent(f"{read}\n{leave}", "    "),
                push=push,
            )
            stale = STALE_BY_TIME
        else:
            swap = f"{leave}\n{enter}"
            if kernel.slide is not None:
                slide = self.call(kernel.slide, "slide", ["s", *leaving, *entering])
                # A change is finite where both values are; where it is too large for float64, they leave and enter.
                changes = [f"{new} - {old}" for new, old in zip(entering, leaving, strict=True)]
                swap = f"if {self.finite(changes)}:\n    {slide}\nelse:\n{indent(swap, '    ')}"
            move = WINDOW_BY_ROWS.format(
                oldest=oldest,
                push=indent(push, "    "),
                swap=indent(f"{read}\n{values}\n{write}\n{swap}", "    "),
            )
            if any(isinstance(p, Window) and p.default is None for p in kernel.parameters):
                move = UNBOUNDED.format(values=values, enter=indent(enter, "    "), move=indent(move, "    "))
            stale = STALE_BY_ROWS
        refresh = REFRESH.format(stale=stale, rebuild=indent(self.rebuild(), "    ")) if kernel.drifts else ""
        return f"{self.state}{self.on_new_session('')}{move}{refresh}{self.store(['s'])}"

    @property
    def stored(self) -> list[str]:
        return [f"slots[k].v{j}" if self.keeps_values else f"x{j}[k]" for j in range(len(self.kernel.enters))]

    def rebuild(self) -> str:
        assert self.kernel.enter is not None
        enter = self.guarded(self.call(self.kernel.enter, "enter", ["s", *self.stored]), self.stored)
        nth = "nth_slot(s, j)" if self.keeps_values else "i + 1 - s.count + j"
        return REBUILD.format(nth=nth, clear=self.clear(self.kernel.rebuilt), enter=indent(enter, "    "))

    def finite(self, names: list[str]) -> str:
        test = "{} != MISSING" if self.kernel.integers else "np.isfinite({})"
        return " and ".join(test.format(name) for name in names)

    def guarded(self, call: str, names: list[str]) -> str:
        """Calls a window's function only with finite values: anything else is missing, as in pandas' rolling."""
        return f"if {self.finite(names)}:\n    {call}" if self.kernel.skips_missing else call

    def ahead(self, template: str) -> str:
        return "" if self.kernel.stateless else template.format(distance=DISTANCE)

    def render(self, name: str) -> str:
        kernel = self.kernel
        arguments = ["ts"] if self.series else ["codes, session, ts, state, slots, used"]
        own = in_lanes(", ".join([*self.parameters, *self.outputs]), self.lanes, ", ")
        header = ", ".join([*arguments, *self.inputs, own])
        if not kernel.emits:
            body = self.window() if kernel.enter is not None else self.tick()
            far = "" if kernel.stateless else FAR.format(few=self.few)
            record = LARGE_RECORD if self.large else RECORD
            if self.whole is not None:
                record = WHOLE.format(call=self.call(self.whole, "series", [*self.inputs, *self.outputs])) + record
            end = "    return state.shape[0]" if self.large and not kernel.stateless else "    return 0"
            if not kernel.has_slots or not self.keeps_values:
                record = "" if kernel.stateless else record
                record, far = self.row + record, self.row + far
                if kernel.has_slots and not self.by_time:
                    record += "    s.capacity = p_window"
                loop = SERIES if self.series else LOOP
                ahead = indent(self.ahead(AHEAD), " " * 8)
                record, body = in_lanes(record, self.lanes), indent(in_lanes(body, self.lanes), " " * 8)
                return loop.format(name=name, header=header, record=record, far=far, ahead=ahead, body=body, end=end)
            record, far = self.row + record, self.row + far
            capacity = "max(16, 2 * s.capacity)"
            if kernel.enter is not None and not self.by_time:
                capacity = f"min(p_window, {capacity})"
            regrown = self.rebuild() if kernel.slots and kernel.enter is not None and kernel.rebuilt else ""
            loop = SERIES_WITH_SLOTS if self.series else LOOP_WITH_SLOTS
            return loop.format(
                name=name,
                header=header,
                record=record,
                far=far,
                ahead=indent(self.ahead(AHEAD_WITH_SLOTS), " " * 12),
                body=indent(body, " " * 12),
                capacity=capacity,
                regrown=indent(regrown, " " * 8),
                end=indent(end, " " * 8),
            )
        loop, inner = (EVENT_LOOP_WITH_SLOTS, " " * 16) if kernel.has_slots else (EVENT_LOOP, " " * 12)
        flush = self.state + self.flush("False")
        return loop.format(name=name, header=header, body=indent(self.event(), inner), flush=indent(flush, inner))


def loop_text(kernel: Kernel) -> str:
    """Return the text of the loop that is compiled around a kernel's functions: without sessions, windows in rows."""
    return LoopSource(kernel, 1, session=False, by_time=False).render(kernel.name)


def check_functions(kernel: Kernel) -> None:
    """Raise unless a kernel's functions take what they are called with.

    Raises
    ------
    KernelError
        If not.
    """
    LoopSource(kernel, 1, session=False, by_time=False).render("loop")
