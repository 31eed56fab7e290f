"""From a kernel's plain functions to its compiled loop over the ticks of many symbols.

The loop is generated as source, because a loop that captures the kernel in a closure is compiled again in every
process, while one that is compiled under the kernel's own file name is found in Numba's cache. Its name carries a
digest of all that it uses, so that a change in a shared helper or constant is never answered from an old cache.

All loops have one form: ``loop(codes, session, ts, state, slots, used, *inputs, *parameters, *outputs)``. `codes` says
which row of `state` a tick belongs to; `slots` is one pool for the rings and tables of all symbols, in which a symbol
owns the stretch ``start : start + capacity`` and moves to one twice as long when it is full. It returns the pool, and
for event kernels the rows that were emitted.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from textwrap import indent
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError, UnsupportedBytecodeError

from fintech_toolkit.errors import KernelError
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.diagnosis import diagnosed
from fintech_toolkit.scan.fingerprint import fingerprint
from fintech_toolkit.scan.parameters import Window
from fintech_toolkit.scan.slots import (
    advance,
    earlier,
    grow_ring,
    grow_rows,
    helper,
    nth_slot,
    slot_dtype,
    state_dtype,
)
from fintech_toolkit.scan.templates import (
    EMIT,
    EVENT_LOOP,
    FULL,
    LOOP,
    LOOP_WITH_SLOTS,
    PUSH,
    REBUILD,
    REFRESH,
    ROOM,
    SERIES,
    STALE_BY_ROWS,
    STALE_BY_TIME,
    UNBOUNDED,
    WINDOW_BY_ROWS,
    WINDOW_BY_TIME,
)
from fintech_toolkit.scan.values import MISSING

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel

_compiled: dict[str, Any] = {}

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


class _Source:
    """The pieces of a kernel's loop, as text."""

    def __init__(self, kernel: Kernel, width: int, *, session: bool, by_time: bool) -> None:
        self.kernel, self.session, self.by_time = kernel, session, by_time
        self.inputs = [f"x{j}" for j in range(kernel.input_count(width))]
        self.parameters = [f"p_{name}" for name in kernel.loop_parameters]
        self.outputs = [] if kernel.emits else [f"o{j}" for j in range(kernel.output_count(width))]
        self.named = {name: f"p_{name}" for name in kernel.loop_parameters}
        self.named |= {
            "ts": "ts[i]",
            "slots": "slots[s.start : s.start + s.capacity]",
            "slot": "k - s.start",
            "again": "again",
            "ended": "ended",
        }
        values = [f"{x}[i]" for x in self.inputs]
        fixed = len(kernel.reads) - kernel.variadic
        # A trailing comma keeps a single column a tuple.
        self.values = values[:fixed] + ([f"({', '.join(values[fixed:])},)"] if kernel.variadic else [])

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

    def store(self, result: str) -> str:
        return f"{', '.join(f'{o}[i]' for o in self.outputs)} = {result}"

    def tick(self) -> str:
        kernel = self.kernel
        if kernel.stateless:
            return self.store(self.call(kernel.function, "tick", self.values))
        room = FULL if kernel.has_slots else ""
        store = self.store(self.call(kernel.function, "tick", ["s", *self.values]))
        return "s = state[codes[i]]\n" + self.on_new_session("") + room + store

    def event(self) -> str:
        ended = self.flush("True")
        return (
            "s = state[codes[i]]\n"
            + self.on_new_session(ended)
            + self.emit(
                self.call(self.kernel.function, "tick", ["s", "rows[k]", *self.values]),
                room=ROOM if self.kernel.has_slots else "",
            )
        )

    def flush(self, ended: str) -> str:
        assert self.kernel.flush is not None
        call = self.call(self.kernel.flush, "flush", ["s", "rows[k]"])
        return f"ended = {ended}\n" + self.emit(call)

    @staticmethod
    def emit(call: str, room: str = "") -> str:
        return EMIT.format(call=call, room=indent(room, "    "))

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
        if self.by_time:
            write += "\nslots[k].ts = ts[i]"
        push = PUSH.format(values=values, write=write, enter=enter)
        if self.by_time:
            move = WINDOW_BY_TIME.format(leave=indent(f"{read}\n{leave}", "    "), push=push)
            stale = STALE_BY_TIME
        else:
            swap = f"{leave}\n{enter}"
            if kernel.slide is not None:
                slide = self.call(kernel.slide, "slide", ["s", *leaving, *entering])
                # A change is finite where both values are; where it is too large for float64, they leave and enter.
                changes = [f"{new} - {old}" for new, old in zip(entering, leaving, strict=True)]
                swap = f"if {self.finite(changes)}:\n    {slide}\nelse:\n{indent(swap, '    ')}"
            move = WINDOW_BY_ROWS.format(
                push=indent(push, "    "),
                swap=indent(f"{read}\n{values}\n{write}\n{swap}", "    "),
            )
            if any(isinstance(p, Window) and p.default is None for p in kernel.parameters):
                move = UNBOUNDED.format(values=values, enter=indent(enter, "    "), move=indent(move, "    "))
            stale = STALE_BY_ROWS
        refresh = REFRESH.format(stale=stale, rebuild=indent(self.rebuild(), "    ")) if kernel.drifts else ""
        result = self.store(self.call(kernel.function, "tick", ["s", *self.values]))
        return f"s = state[codes[i]]\n{self.on_new_session('')}{move}{refresh}{result}"

    @property
    def stored(self) -> list[str]:
        return [f"slots[k].v{j}" for j in range(len(self.kernel.enters))]

    def rebuild(self) -> str:
        assert self.kernel.enter is not None
        enter = self.guarded(self.call(self.kernel.enter, "enter", ["s", *self.stored]), self.stored)
        return REBUILD.format(clear=self.clear(self.kernel.rebuilt), enter=indent(enter, "    "))

    def finite(self, names: list[str]) -> str:
        test = "{} != MISSING" if self.kernel.integers else "np.isfinite({})"
        return " and ".join(test.format(name) for name in names)

    def guarded(self, call: str, names: list[str]) -> str:
        """Calls a window's function only with finite values: anything else is missing, as in pandas' rolling."""
        return f"if {self.finite(names)}:\n    {call}" if self.kernel.skips_missing else call

    def render(self, name: str) -> str:
        header = ", ".join(["codes, session, ts, state, slots, used", *self.inputs, *self.parameters, *self.outputs])
        if not self.kernel.emits:
            body = self.window() if self.kernel.enter is not None else self.tick()
            if not self.kernel.has_slots:
                return LOOP.format(name=name, header=header, body=indent(body, " " * 8))
            capacity = "max(16, 2 * s.capacity)"
            if self.kernel.enter is not None and not self.by_time:
                capacity = f"min(p_window, {capacity})"
            regrown = self.rebuild() if self.kernel.slots and self.kernel.enter is not None else ""
            return LOOP_WITH_SLOTS.format(
                name=name,
                header=header,
                body=indent(body, " " * 12),
                capacity=capacity,
                regrown=indent(regrown, " " * 8),
            )
        flush_body = "s = state[codes[i]]\n" + self.flush("False")
        loop = EVENT_LOOP.format(
            name=name,
            header=header,
            body=indent(self.event(), " " * 12),
            flush=indent(flush_body, " " * 12),
        )
        return loop


def name_loop(kernel: Kernel, width: int, *, session: bool, by_time: bool) -> tuple[str, _Source, dict[str, Any]]:
    """Return a loop's name, which stands for all that it uses, its source, and what the source refers to."""
    source = _Source(kernel, width, session=session, by_time=by_time)
    functions = {role: getattr(kernel, role) for role in ("prepare", "enter", "leave", "slide", "flush")}
    functions = {role: function for role, function in functions.items() if function is not None}
    functions["tick"] = kernel.function
    namespace = {
        "np": np,
        "earlier": earlier,
        "grow_ring": grow_ring,
        "nth_slot": nth_slot,
        "advance": advance,
        "grow_rows": grow_rows,
        "REBUILD_AFTER": REBUILD_AFTER,
        "MISSING": MISSING,
        **{role: f if isinstance(f, Dispatcher) else helper(f) for role, f in functions.items()},
    }
    # What is in the namespace is what the source can use; the records are what it can be given.
    digest = hashlib.sha256((source.render("loop") + SERIES).encode())
    digest.update(repr((state_dtype(kernel, width, session=session), slot_dtype(kernel, by_time=by_time))).encode())
    seen: set[int] = set()
    for key, value in namespace.items():
        fingerprint(key, value, seen, digest)
    return f"{kernel.name}_{digest.hexdigest()[:12]}", source, namespace


def loop_text(kernel: Kernel) -> str:
    """Return the text of the loop that is compiled around a kernel's functions: without sessions, windows in rows."""
    return _Source(kernel, 1, session=False, by_time=False).render(kernel.name)


def check_functions(kernel: Kernel) -> None:
    """Raise unless a kernel's functions take what they are called with.

    Raises
    ------
    KernelError
        If not.
    """
    _Source(kernel, 1, session=False, by_time=False).render("loop")


def compile_loop(kernel: Kernel, width: int, *, session: bool, by_time: bool) -> Any:
    """Return the compiled loop of a kernel over a keyed stream of ticks."""
    kernel.check_unchanged()
    name, source, namespace = name_loop(kernel, width, session=session, by_time=by_time)
    return _compile(kernel, name, source.render, namespace, _signature(kernel, width, session, by_time))


def _signature(kernel: Kernel, width: int, session: bool, by_time: bool) -> Any:
    """Return the types of a loop's arguments. Said beforehand, with inputs that are read only, they let a loop be
    compiled once; left to Numba, it would be again for each mixture of read-only (pandas', Arrow's) and other arrays.
    """

    def array(dtype: Any, readonly: bool = False) -> Any:
        return numba.types.Array(numba.from_dtype(np.dtype(dtype)), 1, "C", readonly=readonly)

    emitted = [numba.types.boolean, array(kernel.row_dtype)] if kernel.emits else []
    state = [state_dtype(kernel, width, session=session), slot_dtype(kernel, by_time=by_time), "i8"]
    inputs = [column.dtype for column in kernel.input_columns(width)]
    outputs = [] if kernel.emits else kernel.output_dtypes(width)
    return (
        *emitted,
        *(array(dtype, readonly=True) for dtype in ("u4", "i8", "i8")),
        *map(array, state),
        *(array(dtype, readonly=True) for dtype in inputs),
        *(numba.from_dtype(np.dtype(kind)) for kind in kernel.loop_parameters.values()),
        *map(array, outputs),
    )


def compile_series(kernel: Kernel, width: int, *, by_time: bool) -> Any:
    """Return the same loop for the ticks of one symbol, from empty state: ``series(ts, *inputs, *parameters,
    *outputs)``.
    """
    loop = compile_loop(kernel, width, session=False, by_time=by_time)
    source = _Source(kernel, width, session=False, by_time=by_time)
    parts = {
        "arguments": ", ".join(["ts", *source.inputs, *source.parameters, *source.outputs]),
        "contiguous": ", ".join(f"np.ascontiguousarray({name})" for name in ["ts", *source.inputs]),
        "inputs": ", ".join(["ts", *source.inputs]),
        "buffers": "\n".join(f"    b{name} = np.empty(n, {name}.dtype)" for name in source.outputs),
        "rest": ", ".join([*source.inputs, *source.parameters, *(f"b{name}" for name in source.outputs)]),
        "stored": "\n".join(f"    {name}[:] = b{name}" for name in source.outputs),
    }
    namespace = {
        "np": np,
        "loop": loop,
        "STATE": state_dtype(kernel, width, session=False),
        "SLOT": slot_dtype(kernel, by_time=by_time),
    }
    return _compile(kernel, f"{loop.__name__}_series", lambda name: SERIES.format(name=name, **parts), namespace)


def _compile(
    kernel: Kernel, name: str, render: Callable[[str], str], namespace: dict[str, Any], signature: Any = None
) -> Any:
    if name in _compiled:  # a kernel like this one: its cell was run again, or it has travelled here once more
        return _compiled[name]
    namespace["__name__"] = kernel.function.__module__
    exec(compile(render(name), inspect.getfile(kernel.function), "exec"), namespace)  # noqa: S102
    try:
        _compiled[name] = compile_cached(namespace[name], signature)
    except (NumbaError, UnsupportedBytecodeError, LookupError, AttributeError, NameError) as error:
        raise diagnosed(kernel, error) from None
    return _compiled[name]
