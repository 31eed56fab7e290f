"""A step's compiled loop, entered for a tick, or a few, with nothing but an address.

What a call of compiled code costs is the unpacking of its arguments, of which a loop has a dozen, and arrays are the
dearest. An entry takes one integer: where the addresses and lengths of the loop's arguments stand. It runs the very
loop that frames run through, so that its bits are those of a frame.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from fintech_toolkit.scan.columns import loop_dtype
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.intrinsics import llvm
from fintech_toolkit.scan.slots import slot_dtype, state_dtype
from fintech_toolkit.schema import Array

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel

STATE, POOL = slice(6, 12), slice(8, 10)
"""Where the addresses and lengths of the arrays of a state stand, and of its pool of slots among them."""

ENTRY = """\
def {name}(place):
    at = array_int64(place, {count})
    rows = at[1]
    codes, session, ts = array_uint32(at[0], rows), array_int64(at[2], at[3]), array_int64(at[4], at[5])
    state, slots, used = array_state(at[6], at[7]), array_slot(at[8], at[9]), array_int64(at[10], at[11])
{room}
    loop(codes, session, ts, state, slots, used, {rest})
    return 0
"""

# Where the pool has no room for a ring to grow, the loop takes a larger one from memory of its own, which an address
# cannot give back. A ring that grows several times has as many ticks that it takes no more than is counted here.
ROOM = """\
    room = slots.shape[0] - used[0]
    for i in range(rows):
        s = state[codes[i]]
        if s.count + rows > s.capacity{grows}:
            room -= max(16, 2 * s.capacity)
    if room < 0:
        return 1
"""


@cache
def _array_at(dtype: np.dtype[Any]) -> Any:
    """Return a function that makes an array of the memory at an address."""
    element: Any = numba.from_dtype(dtype)

    @intrinsic
    def make(typing_context: Any, address: Any, size: Any) -> Any:
        array_type = types.Array(element, 1, "C")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = context.get_data_type(element)
            itemsize = context.get_constant(types.intp, context.get_abi_sizeof(kind))
            array = context.make_array(array_type)(context, builder)
            context.populate_array(
                array,
                data=builder.inttoptr(arguments[0], kind.as_pointer()),
                shape=[arguments[1]],
                strides=[itemsize],
                itemsize=itemsize,
                meminfo=None,
            )
            return array._getvalue()

        return array_type(types.int64, types.int64), generate

    return make


integers = _array_at(np.dtype("i8"))


@cache
def _digest() -> bytes:
    return hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).digest()


def compile_entry(kernel: Kernel, width: int, loop: Any, *, session: bool, by_time: bool) -> Any:
    """Return what runs a kernel's compiled loop over a few ticks, as many as there are codes: ``entry(place)``, where
    `place` is the address of what `addresses` gives of the loop's arguments, those that are numbers as arrays.

    It returns 1, and has done nothing, if the pool might have no room for the rings of the ticks' symbols to grow; else
    0. An error that a kernel raises would be lost.
    """
    arrays = {
        "int64": np.dtype("i8"),
        "uint32": np.dtype("u4"),
        "state": state_dtype(kernel, width, session=session),
        "slot": slot_dtype(kernel, by_time=by_time),
    }
    grows = ""
    namespace: dict[str, Any] = {"loop": loop, "__name__": kernel.function.__module__}
    columns = [loop_dtype(column.dtype) for column in kernel.input_columns(width)]
    numbers = {name: np.dtype(kind) for name, kind in kernel.loop_parameters.items()}
    dtypes = [*columns, *numbers.values(), *kernel.output_dtypes(width)]
    namespace |= {f"array_{name}": _array_at(dtype) for name, dtype in arrays.items()}
    namespace |= {f"array_{dtype}": _array_at(dtype) for dtype in dtypes}
    rest = [f"array_{dtype}(at[{12 + 2 * j}], rows)" for j, dtype in enumerate(dtypes)]
    for j, number in enumerate(numbers, start=len(columns)):
        rest[j] += "[0]"
        if number == "window" and kernel.enter is not None and not by_time:
            grows = f" and s.capacity != {rest[j]}"  # that of a window of so many rows, which is all that it needs
    room = ROOM.format(grows=grows) if kernel.has_slots else ""
    # The loop's name stands for all that it is made of.
    name = f"{loop.py_func.__name__}_{hashlib.sha256(_digest() + room.encode()).hexdigest()[:8]}"
    source = ENTRY.format(name=name, count=12 + 2 * len(dtypes), room=room, rest=", ".join(rest))
    exec(compile(source, inspect.getfile(kernel.function), "exec"), namespace)  # noqa: S102
    return compile_cached(namespace[name], types.int64(types.int64), by_address=True)


@intrinsic
def _enter(typing_context: Any, entry: Any, place: Any) -> Any:
    """Call the entry at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = context.get_value_type(types.int64)
        function = builder.inttoptr(arguments[0], llvm.ir.FunctionType(word, [word]).as_pointer())
        return builder.call(function, [arguments[1]])

    return types.int64(types.int64, types.int64), generate


enter: Any = _enter


def _enter_all(table, first, last):  # type: ignore[no-untyped-def]
    at = integers(table, 2 * last)
    for j in range(first, last):
        if at[2 * j] == 0 or enter(at[2 * j], at[2 * j + 1]):
            return j
    return -1


@cache
def enter_all() -> Any:
    """Return what enters one step after the other: ``enter(table, first, last)``, where `table` is the address of pairs
    of addresses, of a step's entry and of its arguments. It returns -1, or the step that was not run: one without an
    entry, or that might not have room.
    """
    compiled = compile_cached(_enter_all, (types.int64,) * 3)
    return compiled.get_overload(compiled.signatures[0])  # which does not look at the types of three integers


def addresses(arrays: Iterable[Array]) -> list[int]:
    """Return the address and the length of each array, one after the other."""
    return [number for array in arrays for number in (array.ctypes.data, len(array))]
