"""What loops need and Numba has no word for, said in the code that it generates."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic

llvm: Any = cgutils


@intrinsic
def own_slots(typing_context: Any, slots: Any, start: Any, capacity: Any) -> Any:
    """Return a stretch of the pool as an array that does not count as a reference to it: counting costs more than most
    ticks, and the loop around holds the pool.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pool_type, start_type, size_type = signature.args
        pool = context.make_array(pool_type)(context, builder, arguments[0])
        first = context.cast(builder, arguments[1], start_type, types.intp)
        size = context.cast(builder, arguments[2], size_type, types.intp)
        itemsize = context.get_constant(types.intp, pool_type.dtype.size)
        stretch = context.make_array(signature.return_type)(context, builder)
        context.populate_array(
            stretch,
            data=builder.gep(pool.data, [first]),
            shape=[size],
            strides=[itemsize],
            itemsize=itemsize,
            meminfo=None,
        )
        return stretch._getvalue()

    return types.Array(slots.dtype, 1, "C")(slots, start, capacity), generate


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Have the memory of an element fetched that will soon be written to; of a long one its beginning and its end."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type, index_type = signature.args
        values = context.make_array(array_type)(context, builder, arguments[0])
        place = context.cast(builder, arguments[1], index_type, types.intp)
        first = builder.bitcast(builder.gep(values.data, [place]), llvm.voidptr_t)
        flag = llvm.int32_t
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [llvm.voidptr_t], llvm.ir.FunctionType(llvm.ir.VoidType(), [llvm.voidptr_t, *[flag] * 3])
        )
        for offset in {0, array_type.dtype.size - 1 if array_type.dtype.size > 8 else 0}:
            builder.call(function, [builder.gep(first, [llvm.intp_t(offset)]), flag(1), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


def record_on_stack(dtype: np.dtype[Any]) -> Any:
    """Return a function that makes a record of zeros, which lives as long as the call around it."""
    record: Any = numba.from_dtype(dtype)

    @intrinsic
    def make(typing_context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = llvm.alloca_once(builder, llvm.ir.ArrayType(llvm.int8_t, record.size))
            pointer.align = 16
            llvm.memset(builder, pointer, llvm.intp_t(record.size), 0)
            return pointer

        return record(), generate

    return make


def array_of_none(dtype: np.dtype[Any]) -> Any:
    """Return a function that makes an array without an element."""
    kind = types.Array(numba.from_dtype(dtype), 1, "C")

    @intrinsic
    def make(typing_context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(kind)(context, builder)
            itemsize = context.get_constant(types.intp, kind.dtype.size)
            nothing = llvm.get_null_value(array.data.type)
            size = {"shape": [llvm.intp_t(0)], "strides": [itemsize], "itemsize": itemsize}
            context.populate_array(array, data=nothing, **size, meminfo=None)
            return array._getvalue()

        return kind(), generate

    return make


def _enlarged(typing_context: Any, array: Any, size: Any) -> Any:
    """Return a copy of an array with more elements, which are zeros. NumPy's words for it are compiled anew for each
    record, which would be a fifth of a loop's compilation.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type, size_type = signature.args
        old = context.make_array(array_type)(context, builder, arguments[0])
        length = context.cast(builder, arguments[1], size_type, types.intp)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(array_type.dtype)))
        bytes_ = builder.mul(length, itemsize)
        held = builder.mul(old.nitems, itemsize)
        memory = context.nrt.meminfo_alloc_aligned(builder, size=bytes_, align=32)
        data = context.nrt.meminfo_data(builder, memory)
        llvm.raw_memcpy(builder, data, builder.bitcast(old.data, llvm.voidptr_t), held, 1)
        llvm.memset(builder, builder.gep(data, [held]), builder.sub(bytes_, held), 0)
        new = context.make_array(signature.return_type)(context, builder)
        context.populate_array(
            new,
            data=builder.bitcast(data, new.data.type),
            shape=[length],
            strides=[itemsize],
            itemsize=itemsize,
            meminfo=memory,
        )
        return new._getvalue()

    return types.Array(array.dtype, 1, "C")(array, size), generate


def _word_at(typing_context: Any, data: Any, at: Any) -> Any:
    """Return the eight bytes from a place on as one integer, wherever in an array of bytes that is."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        word = builder.load(builder.bitcast(place, llvm.ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(data, at), generate


def _turned(typing_context: Any, word: Any) -> Any:
    """Return an integer of eight bytes with these in the other order."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bswap(arguments[0])

    return types.uint64(types.uint64), generate


def _fetch_soon(typing_context: Any, array: Any, at: Any) -> Any:
    """Have the processor fetch what is at a place of an array, and go on: it will be needed soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), llvm.voidptr_t)
        kind = llvm.ir.FunctionType(llvm.ir.VoidType(), [llvm.voidptr_t, *[llvm.int32_t] * 3])
        function = llvm.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, *map(llvm.int32_t, (0, 3, 1))])  # to read, to be kept, of data
        return context.get_dummy_value()

    return types.void(array, at), generate


def _count_until(typing_context: Any, array: Any, at: Any, number: Any, most: Any) -> Any:
    """Return how many of some elements of int64, a literal number of them from a place on, are not above a value: all
    are compared at once, however many are.
    """
    if not isinstance(number, types.IntegerLiteral):
        return None
    wide = number.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        ir = llvm.ir
        vector = ir.VectorType(ir.IntType(64), wide)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        values = builder.load(builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer()))
        values.align = 8
        nothing = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(nothing, arguments[3], llvm.int32_t(0))
        everywhere = ir.Constant(ir.VectorType(llvm.int32_t, wide), [0] * wide)
        bits = builder.icmp_signed("<=", values, builder.shuffle_vector(first, nothing, everywhere))
        return builder.zext(builder.ctpop(builder.bitcast(bits, ir.IntType(wide))), ir.IntType(64))

    return types.int64(array, types.int64, number, types.int64), generate


# Numba itself gives the first argument, which types do not know.
enlarged: Any = intrinsic(_enlarged)
word_at: Any = intrinsic(_word_at)
turned: Any = intrinsic(_turned)
fetch_soon: Any = intrinsic(_fetch_soon)
count_until: Any = intrinsic(_count_until)
