"""Loops, compiled: named by all that they use, kept under that name, made once for the types of their arguments."""

from __future__ import annotations

import hashlib
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError, UnsupportedBytecodeError

from fintech_toolkit.scan import intrinsics
from fintech_toolkit.scan.columns import loop_dtype
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.diagnosis import diagnosed
from fintech_toolkit.scan.fingerprint import fingerprint
from fintech_toolkit.scan.intrinsics import array_of_none, own_slots, prefetch, record_on_stack
from fintech_toolkit.scan.loops import REBUILD_AFTER, LoopSource
from fintech_toolkit.scan.slots import (
    advance,
    earlier,
    grow_ring,
    helper,
    nth_slot,
    slot_dtype,
    state_dtype,
)
from fintech_toolkit.scan.values import MISSING

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel

INTRINSICS = inspect.getsource(intrinsics)
"""What generates code has functions within, and is digested as its text."""

_compiled: dict[str, Any] = {}


def name_loop(
    kernel: Kernel, width: int, *, session: bool, by_time: bool, series: bool = False, lanes: int = 1
) -> tuple[str, LoopSource, dict[str, Any]]:
    """Return a loop's name, which stands for all that it uses, its source, and what the source refers to."""
    source = LoopSource(kernel, width, session=session, by_time=by_time, series=series, lanes=lanes)
    functions = {role: getattr(kernel, role) for role in ("prepare", "enter", "leave", "slide", "flush")}
    functions |= {"series": source.whole}
    functions = {role: function for role, function in functions.items() if function is not None}
    functions["tick"] = kernel.function
    namespace = {
        "np": np,
        "earlier": earlier,
        "grow_ring": grow_ring,
        "nth_slot": nth_slot,
        "advance": advance,
        "REBUILD_AFTER": REBUILD_AFTER,
        "MISSING": MISSING,
        **{role: f if isinstance(f, Dispatcher) else helper(f) for role, f in functions.items()},
    }
    # What is in the namespace is what the source can use; the records are what it can be given.
    digest = hashlib.sha256(source.render("loop").encode())
    records = state_dtype(kernel, width, session=session), slot_dtype(kernel, by_time=by_time)
    digest.update(repr(records).encode())
    seen: set[int] = set()
    for key, value in namespace.items():
        fingerprint(key, value, seen, digest)
    digest.update(INTRINSICS.encode())
    namespace |= {
        "own_slots": own_slots,
        "prefetch": prefetch,
        "record": record_on_stack(records[0]),
        "STATE": records[0],
        "no_slots": array_of_none(records[1]),
    }
    if kernel.fills:
        namespace["new_row"] = record_on_stack(kernel.filled_dtype(width))
    return f"{kernel.name}_{digest.hexdigest()[:12]}", source, namespace


def compile_loop(kernel: Kernel, width: int, *, session: bool, by_time: bool) -> Any:
    """Return the compiled loop of a kernel over a keyed stream of ticks."""
    flag, number = numba.types.boolean, numba.types.uint64
    emitted = [flag, flag, number, number, _array("u4"), _array("i8")] if kernel.emits else []
    state = [state_dtype(kernel, width, session=session), slot_dtype(kernel, by_time=by_time), "i8"]
    head = (*emitted, *(_array(dtype, readonly=True) for dtype in ("u4", "i8", "i8")), *map(_array, state))
    return _compile(kernel, width, head, session=session, by_time=by_time)


def compile_series(kernel: Kernel, width: int, *, by_time: bool, lanes: int = 1) -> Any:
    """Return the loop for the ticks of one series, from empty state: ``series(ts, *inputs, *parameters, *outputs)``,
    the last two so many times as there are lanes.
    """
    head = (_array("i8", readonly=True),)
    return _compile(kernel, width, head, lanes, session=False, by_time=by_time, series=True)


def compile_across(kernel: Kernel) -> Any:
    """Return the compiled function of a kernel across symbols, under a name that stands for all that it uses."""
    digest = hashlib.sha256()
    fingerprint(kernel.name, kernel.function, set(), digest)
    name = f"{kernel.name}_{digest.hexdigest()[:12]}"
    if name not in _compiled:
        function = FunctionType(kernel.function.__code__, kernel.function.__globals__, name)
        function.__qualname__ = name
        _compiled[name] = compile_cached(function)
    return _compiled[name]


def _array(dtype: Any, readonly: bool = False) -> Any:
    return numba.types.Array(numba.from_dtype(np.dtype(dtype)), 1, "C", readonly=readonly)


def _compile(kernel: Kernel, width: int, head: tuple[Any, ...], lanes: int = 1, **form: bool) -> Any:
    """Compile a loop for the types of its arguments, of which `head` are the first. Said beforehand, with inputs that
    are read only, they let a loop be compiled once; left to Numba, it would be again for each mixture of read-only
    (pandas', Arrow's) and other arrays.
    """
    kernel.check_unchanged()
    name, source, namespace = name_loop(kernel, width, lanes=lanes, **form)
    if name in _compiled:  # a kernel like this one: its cell was run again, or it has travelled here once more
        return _compiled[name]
    own = [numba.from_dtype(np.dtype(kind)) for kind in kernel.loop_parameters.values()]
    own += map(_array, kernel.output_dtypes(width))
    signature = (
        *head,
        *(_array(loop_dtype(column.dtype), readonly=True) for column in kernel.input_columns(width)),
        *(own * lanes),
    )
    namespace["__name__"] = kernel.function.__module__
    exec(compile(source.render(name), inspect.getfile(kernel.function), "exec"), namespace)  # noqa: S102
    try:
        _compiled[name] = compile_cached(namespace[name], signature)
    except (NumbaError, UnsupportedBytecodeError, LookupError, AttributeError, NameError) as error:
        raise diagnosed(kernel, error) from None
    return _compiled[name]
