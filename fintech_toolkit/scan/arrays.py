"""Kernels on arrays of one series each: along an axis, and for each of a sweep's parameters.

| input | parameters | result |
|---|---|---|
| ``(n,)`` | numbers | ``(n,)`` |
| ``(n, k)``, a frame of k series | numbers | ``(n, k)``, each series along `axis` (default: the first) |
| ``(n, k)`` and ``(n,)`` | numbers | ``(n, k)``: the second goes with each series of the first |
| ``(n,)`` | of shape ``p`` | ``(*p, n)``: a sweep |
| ``(n, k)`` | of shape ``p`` | ``(*p, n, k)`` |

Parameters of several values broadcast among each other, as NumPy has it. Series and frames keep their index and labels,
unless swept. Series, and values of a sweep, are shared among threads where that pays.
"""

from __future__ import annotations

import operator
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain, product
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.errors import DataError, ParameterError, PipelineError
from fintech_toolkit.scan.columns import TypedColumn, loop_dtype
from fintech_toolkit.scan.compiled_loops import compile_series
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.loops import LARGE
from fintech_toolkit.scan.names import read_values
from fintech_toolkit.scan.parameters import sweep_shape
from fintech_toolkit.scan.scan import NO_SESSION, Scan, as_taken
from fintech_toolkit.scan.slots import state_dtype
from fintech_toolkit.scan.threads import side_by_side
from fintech_toolkit.scan.values import MISSING, as_instants
from fintech_toolkit.schema import Array, check_domain, check_unit, has_domain

LANES = 5
"""For how many values of a swept parameter at a time a series is run."""

CACHED = 512
"""Rows of a frame that are copied at a time."""

PLAIN = {int, float, bool, str, NoneType}
"""Types of parameters that are looked up as they are."""


@cache
def series_loop(kernel: Kernel, width: int, by_time: bool, lanes: int = 1) -> Any:
    """Return the compiled loop over one series, for so many sets of parameters at a time. It is called without a look
    at what its arguments are, which would take as long as all else of a short call: they must be what it takes.
    """
    loop = compile_series(kernel, width, by_time=by_time, lanes=lanes)
    return loop.get_overload(loop.signatures[0])


def lanes_of(kernel: Kernel, width: int) -> int:
    """Return for how many values of a swept parameter at a time a series is run. A kernel with slots has so much to do
    in a tick that it does not wait for the one before.
    """
    alone = kernel.stateless or kernel.has_slots or kernel.series is not None
    return 1 if alone or state_dtype(kernel, width, session=False).itemsize > LARGE else LANES


@dataclass(frozen=True)
class Call:
    """What a call of a kernel comes to, whatever its arrays hold."""

    names: list[str]
    inputs: list[TypedColumn]
    parameters: list[Any]
    swept: tuple[int, ...]
    by_time: bool
    loop: Any
    outputs: list[str]
    dtypes: list[np.dtype[Any]]
    result: Callable[..., Any]
    taken: list[np.dtype[Any]] | None
    """The dtypes of arrays that can be given to the loop as they are; None if there is more to look at."""


def call_of(kernel: Kernel, width: int, keywords: dict[str, Any]) -> Call:
    """Return what a call comes to; looked up where it was made before with the same plain parameters."""
    if PLAIN.issuperset(map(type, keywords.values())):
        return _known_call(kernel, width, **keywords)
    return _new_call(kernel, width, keywords)


@lru_cache(maxsize=1024, typed=True)  # True, 1 and 1.0 are not always the same parameter
def _known_call(kernel: Kernel, width: int, /, **keywords: Any) -> Call:
    return _new_call(kernel, width, keywords)


def _new_call(kernel: Kernel, width: int, keywords: dict[str, Any]) -> Call:
    resolved, by_time = kernel.resolve(keywords), kernel.by_time(keywords)
    inputs, outputs = kernel.input_columns(width), kernel.output_names(width)
    swept = sweep_shape(resolved)
    looked_at = any(has_domain(column.role) or column.dtype.kind == "O" for column in inputs)
    more = kernel.emits or kernel.asks_for_time or by_time or swept or looked_at
    return Call(
        unique([column.name for column in inputs]),
        inputs,
        [resolved[name] for name in kernel.loop_parameters],
        swept,
        by_time,
        None if kernel.emits else series_loop(kernel, width, by_time),
        outputs,
        [] if kernel.emits else kernel.output_dtypes(width),
        (lambda array: array) if len(outputs) == 1 else result_type(kernel.name, tuple(outputs)),
        None if more else [column.dtype for column in inputs],
    )


@lru_cache(maxsize=1024, typed=True)
def _plain_call(kernel: Kernel, columns: int, /, **keywords: Any) -> Call | None:
    """Return what a call comes to that has parameters only and needs no times; None if there is more to look at."""
    kernel = kernel.variant(keywords)
    if not columns or not keywords.keys() <= kernel.keywords.keys() or "ts" in kernel.reads:
        return None
    call = call_of(kernel, kernel.width(columns, keywords), keywords)
    return call if call.taken is not None and len(call.taken) == columns else None


def at_once(kernel: Kernel, columns: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Return the result for arrays that are as the loop takes them, where all else is plain; None if it is not."""
    try:
        call = _plain_call(kernel, len(columns), **keywords)
    except TypeError:
        call = None  # of what cannot be looked up
    if call is None:
        return None
    for column, dtype in zip(columns, call.taken):  # type: ignore[arg-type] # noqa: B905 - they are as many
        if type(column) is not np.ndarray or column.ndim != 1 or len(column) != len(columns[0]):
            return None
        if column.dtype != dtype or not ((flags := column.flags).c_contiguous and flags.aligned):
            return None
    outputs = [np.empty(len(columns[0]), dtype) for dtype in call.dtypes]
    call.loop(NO_SESSION, *columns, *call.parameters, *outputs)
    return call.result(*outputs)


@cache
def result_type(name: str, fields: tuple[str, ...]) -> type[Any]:
    """Return the named tuple in which a kernel with several outputs gives its arrays."""
    made: type[Any] = namedtuple(name, fields)  # type: ignore[misc]
    return made


def labels_of(columns: dict[str, Any], **others: Any) -> tuple[Any, Any]:
    """Return the index of the Series and frames among some columns, and the labels of the frames; None if there are
    none. `others` (times, symbols) must have that index too, if they have one.

    Raises
    ------
    DataError
        If they differ: rows are computed by position, so that different indexes would mix rows.
    """
    index = labels = None
    first = first_frame = ""
    for name, column in (columns | others).items():
        if not isinstance(column, pd.Series | pd.DataFrame):
            continue
        if index is None:
            index, first = column.index, name
        elif column.index is not index and not column.index.equals(index):
            raise DataError(
                f"{name} and {first} have different indexes; align them first (pandas: {first}.align({name})), or give "
                "arrays to compute by position."
            )
        if isinstance(column, pd.DataFrame):
            if labels is None:
                labels, first_frame = column.columns, name
            elif not column.columns.equals(labels):
                raise DataError(f"The frames {name} and {first_frame} have different columns; align them first.")
    labelled = any(isinstance(column, pd.Series | pd.DataFrame) for column in columns.values())
    return (index, labels) if labelled else (None, None)


def values_of(column: Any, kernel: Kernel, read: TypedColumn, what: str, unit: str | None = None) -> Array:
    """Return a column as the kernel sees it, or a frame of such columns; times that are integers are in `unit`."""
    if read.role == "ts":
        return as_instants(column, what, unit)
    if not isinstance(column, pd.DataFrame):
        values = read_values(column, read.dtype, what, nullable=kernel.integers)
        check_domain(values, read.role, what)
        return values
    result = np.empty(column.shape, loop_dtype(read.dtype))
    for j, label in enumerate(column.columns):
        name = f"Column {label!r}"
        result[:, j] = read_values(column.iloc[:, j], read.dtype, name, nullable=kernel.integers)
        check_domain(result[:, j], read.role, name)
    return result


def default_times(kernel: Kernel, by_time: bool, index: Any) -> Any:
    """Return what a kernel takes for event times if none are given: an index of times, or None if it needs none.

    Raises
    ------
    DataError
        If it needs some.
    """
    if "ts" in kernel.reads or not (kernel.asks_for_time or by_time):
        return None
    if isinstance(index, pd.DatetimeIndex):
        return index
    raise DataError(
        f"{kernel.name} needs event times here: pass ts=, datetime64 or int64 nanoseconds, or columns with an index of "
        "times."
    )


def check_order(times: Array) -> None:
    """Raise unless times go forward along their last axis.

    Raises
    ------
    DataError
        If one is missing or earlier than the one before; the message names the row.
    """
    wrong = times[..., 1:] < times[..., :-1]
    if not wrong.any() and not (times.size and times[..., 0].min() == MISSING):
        return
    none = times == MISSING
    if none.any():
        raise DataError(f"ts has no time at row {int(np.argwhere(none)[0][-1])}; drop or fill it.")
    row = int(np.argwhere(wrong)[0][-1]) + 1
    raise DataError(f"ts goes backwards at row {row}; sort the rows by time, or give symbol= if they are of several.")


def compute(kernel: Kernel, columns: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Run a kernel on arrays: each series along `axis`, a sweep for parameters of several values."""
    if (result := at_once(kernel, columns, keywords)) is not None:
        return result
    kernel, keywords = kernel.variant(keywords), dict(keywords)
    axis, unit, _ = keywords.pop("axis", 0), keywords.pop("unit", None), keywords.pop("symbol", None)
    ts = keywords.pop("ts", None) if "ts" not in kernel.reads else None
    bound = kernel.bind_columns(columns, keywords)
    width = kernel.width(len(bound), keywords)
    call = call_of(kernel, width, keywords)
    index, labels = labels_of(dict(zip(call.names, bound, strict=True)), ts=ts)
    check_unit(unit)
    inputs = {n: values_of(c, kernel, r, n, unit) for n, c, r in zip(call.names, bound, call.inputs, strict=True)}
    ts = default_times(kernel, call.by_time, index) if ts is None else ts
    times = None if ts is None else as_instants(ts, "ts", unit)
    if kernel.emits:
        return _emit(kernel, inputs, keywords, times)
    dimensions = max(values.ndim for values in inputs.values())
    axis = check_axis(axis, dimensions)
    inputs, times = along(kernel, inputs, times, axis, dimensions)
    arrays = run_series(kernel, width, call, times, list(inputs.values()))
    if dimensions == 0:
        arrays = [array[..., 0] for array in arrays]
    elif dimensions > 1:
        arrays = [np.moveaxis(array, -1, len(call.swept) + axis) for array in arrays]
    if index is not None and not call.swept:
        arrays = [labelled(kernel, a, name, index, labels) for a, name in zip(arrays, call.outputs, strict=True)]
    return call.result(*arrays)


def run_series(kernel: Kernel, width: int, call: Call, times: Array, inputs: list[Array]) -> list[Array]:
    """Run the loop over each series along the last axis, once for every value of a sweep."""
    columns = [series_of(values) for values in (times, *inputs)]
    rows = columns[1].shape[-1]
    if not call.swept and all(values.ndim == 1 for values in columns):
        outputs = [np.empty(rows, dtype) for dtype in call.dtypes]
        call.loop(*columns, *call.parameters, *outputs)
        return outputs
    several = np.broadcast_shapes(*(values.shape[:-1] for values in columns))
    outputs = [np.empty((*call.swept, *several, rows), dtype) for dtype in call.dtypes]
    columns = [np.broadcast_to(values, (*several, values.shape[-1])) for values in columns]
    parameters = [np.broadcast_to(parameter, call.swept) for parameter in call.parameters]
    sweep, lanes = list(np.ndindex(call.swept)), lanes_of(kernel, width) if call.swept else 1
    at_a_time = [sweep[j : j + lanes] for j in range(0, len(sweep) - lanes + 1, lanes)]
    at_a_time += [[swept] for swept in sweep[len(at_a_time) * lanes :]]

    def run(job: tuple[list[tuple[int, ...]], tuple[int, ...]]) -> None:
        swepts, at = job
        loop = call.loop if len(swepts) == 1 else series_loop(kernel, width, call.by_time, lanes)
        own = ((*(p[swept] for p in parameters), *(output[swept + at] for output in outputs)) for swept in swepts)
        loop(*(values[at] for values in columns), *chain.from_iterable(own))

    side_by_side(run, list(product(at_a_time, np.ndindex(several))), rows * len(sweep))
    return outputs


def series_of(values: Array) -> Array:
    """Return series along the last axis as the loop takes them. Of a frame, whose rows lie together, some hundred rows
    at a time are copied, which stay in the cache until all of its series have theirs.
    """
    if values.ndim == 1 or values.flags.c_contiguous:
        return as_taken(values, values.dtype)
    taken = np.empty(values.shape, values.dtype)
    for row in range(0, values.shape[-1], CACHED):
        taken[..., row : row + CACHED] = values[..., row : row + CACHED]
    return taken


def unique(names: list[str]) -> list[str]:
    """Return names under which columns are told apart, where several stand for one read."""
    return names if len(set(names)) == len(names) else [f"{name}_{j}" for j, name in enumerate(names)]


def check_axis(axis: Any, dimensions: int) -> int:
    """Return the axis along which series run as a number that is not negative.

    Raises
    ------
    ParameterError
        If the arrays have none such.
    """
    try:
        number = operator.index(axis)
    except TypeError:
        number = -dimensions - 1
    most = max(dimensions, 1)
    if isinstance(axis, bool) or not -most <= number < most:
        raise ParameterError(f"axis={axis!r} is none of arrays with {dimensions} dimensions.")
    return number % most


def along(
    kernel: Kernel, inputs: dict[str, Array], times: Array | None, axis: int, dimensions: int
) -> tuple[dict[str, Array], Array]:
    """Return inputs and times with the series along the last axis; what has one dimension goes with each series.

    Raises
    ------
    DataError
        If shapes do not fit, or times go backwards.
    """
    given = inputs if times is None else inputs | {"ts": times}
    longest = next(values for values in inputs.values() if values.ndim == dimensions)
    rows = longest.shape[axis] if dimensions else 1
    moved: dict[str, Array] = {}
    for name, values in given.items():
        if values.ndim == 0 and not (kernel.stateless and name != "ts"):
            raise DataError(f"{kernel.name} needs arrays, not single numbers: {name} is one.")
        if values.ndim == 0:
            moved[name] = np.broadcast_to(values, (rows,))
        elif values.ndim == 1:
            moved[name] = values
        elif values.ndim == dimensions:
            moved[name] = np.moveaxis(values, axis, -1)
    if len(moved) < len(given) or any(values.shape[-1] != rows for values in moved.values()):
        raise DataError(_misfit(kernel, given))
    if dimensions > 1:
        try:
            np.broadcast_shapes(*(values.shape for values in moved.values()))
        except ValueError:
            raise DataError(_misfit(kernel, given)) from None
    if "ts" not in moved:
        return moved, np.empty(0, np.int64)
    check_order(moved["ts"])
    return {name: moved[name] for name in inputs}, moved["ts"]


def _misfit(kernel: Kernel, given: dict[str, Array]) -> str:
    if all(values.ndim == 1 for values in given.values()):
        lengths = ", ".join(f"{name} {len(values)}" for name, values in given.items())
        return f"{kernel.name}: columns differ in length: {lengths}."
    shapes = ", ".join(f"{name} {values.shape}" for name, values in given.items())
    return (
        f"{kernel.name}: the shapes of its columns do not fit together: {shapes}. What has one dimension must be as "
        "long as the axis along which series run (axis=)."
    )


def labelled(kernel: Kernel, array: Array, name: str, index: Any, labels: Any = None) -> Any:
    """Return a result as a Series or frame like the input, whole numbers as nullable ones."""

    def column(values: Array) -> Any:
        return pd.arrays.IntegerArray(values.copy(), values == MISSING) if kernel.integers else values

    if array.shape == (len(index),):
        return pd.Series(column(array), index=index, name=name)
    if labels is None or array.shape != (len(index), len(labels)):
        return array
    if not kernel.integers:
        return pd.DataFrame(array, index=index, columns=labels, copy=False)
    return pd.DataFrame({j: column(values) for j, values in enumerate(array.T)}, index=index).set_axis(labels, axis=1)


def _emit(kernel: Kernel, inputs: dict[str, Array], keywords: dict[str, Any], times: Array | None) -> Any:
    """Run an event kernel over one series and return its rows, the unfinished ones last, as arrays by name."""
    if any(values.ndim > 1 for values in inputs.values()):
        raise PipelineError(f"{kernel.name} emits rows of its own: it takes one-dimensional arrays.")
    scan = Scan(kernel.step(*inputs, **keywords))
    state = scan.fresh(1)
    inputs, times = along(kernel, inputs, times, 0, 1)
    codes = np.zeros(len(next(iter(inputs.values()))), np.uint32)
    emitted = scan.room(len(codes))
    scan.emit(state, 1, codes, NO_SESSION, times, list(inputs.values()), emitted)
    scan.flush(state, emitted)
    emitted.cut()
    return result_type(kernel.name, tuple(kernel.output_names(scan.step.width)))(*emitted.columns)
