"""Kernels on arrays: each is a Numba gufunc, so that a list of parameter values is a sweep.

| input | parameters | result |
|---|---|---|
| ``(n,)`` | numbers | ``(n,)`` |
| ``(n, k)``, a frame of k series | numbers | ``(n, k)``, each series along `axis` (default: the first) |
| ``(n, k)`` and ``(n,)`` | numbers | ``(n, k)``: the second goes with each series of the first |
| ``(n,)`` | of shape ``p`` | ``(*p, n)``: a sweep |
| ``(n, k)`` | of shape ``p`` | ``(*p, n, k)`` |

Parameters of several values broadcast among each other, as NumPy has it. Series and frames keep their index and labels,
unless swept.
"""

from __future__ import annotations

import operator
from collections import namedtuple
from functools import cache
from typing import Any

import numba
import numpy as np
import pandas as pd

from fintech_toolkit.errors import DataError, ParameterError, PipelineError
from fintech_toolkit.scan.columns import TypedColumn
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.loops import compile_series
from fintech_toolkit.scan.parameters import sweep_shape
from fintech_toolkit.scan.scan import NO_SESSION, Scan
from fintech_toolkit.scan.values import MISSING, as_instants, as_values
from fintech_toolkit.schema import Array, check_domain, check_unit

INT64 = np.dtype("i8")


@cache
def gufunc(kernel: Kernel, width: int, by_time: bool) -> Any:
    """Return the kernel as a NumPy generalised ufunc over the last axis: ``(n),…,(),…->(n),…``.

    Caching gufuncs corrupts Numba's cache when processes start together; so what is cached is `series`, a loop over one
    symbol, and the gufunc around it is too thin to need it.
    """
    inputs = [f"x{j}" for j in range(kernel.input_count(width))]
    parameters = [f"p_{name}" for name in kernel.loop_parameters]
    outputs = [f"o{j}" for j in range(kernel.output_count(width))]
    dtypes = [INT64, *(column.dtype for column in kernel.input_columns(width))]
    types = [f"{numba.from_dtype(dtype)}[:]" for dtype in dtypes]
    types += [str(numba.from_dtype(np.dtype(kind))) for kind in kernel.loop_parameters.values()]
    types += [f"{numba.from_dtype(dtype)}[:]" for dtype in kernel.output_dtypes(width)]
    arguments = ", ".join(["ts", *inputs, *parameters, *outputs])
    layout = ",".join(["(n)"] * (1 + len(inputs)) + ["()"] * len(parameters)) + "->" + ",".join(["(n)"] * len(outputs))
    namespace = {"series": compile_series(kernel, width, by_time=by_time)}
    exec(f"def {kernel.name}({arguments}):\n    series({arguments})\n", namespace)  # noqa: S102
    build: Any = numba.guvectorize
    return build([f"void({', '.join(types)})"], layout, nopython=True)(namespace[kernel.name])


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


def values_of(column: Any, kernel: Kernel, read: TypedColumn, what: str) -> Array:
    """Return a column as the kernel sees it, or a frame of such columns."""
    dtype, role = read.dtype, read.name
    if not isinstance(column, pd.DataFrame):
        values = as_values(column, dtype, what, nullable=kernel.integers)
        check_domain(values, role, what)
        return values
    result = np.empty(column.shape, dtype)
    for j, label in enumerate(column.columns):
        name = f"Column {label!r}"
        result[:, j] = as_values(column.iloc[:, j], dtype, name, nullable=kernel.integers)
        check_domain(result[:, j], role, name)
    return result


def default_times(kernel: Kernel, keywords: dict[str, Any], index: Any) -> Any:
    """Return what a kernel takes for event times if none are given: an index of times, or None if it needs none.

    Raises
    ------
    DataError
        If it needs some.
    """
    if "ts" in kernel.reads or not (kernel.asks_for_time or kernel.by_time(keywords)):
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
    keywords = dict(keywords)
    kernel = kernel.variant(keywords)
    axis, unit, _ = keywords.pop("axis", 0), keywords.pop("unit", None), keywords.pop("symbol", None)
    ts = keywords.pop("ts", None) if "ts" not in kernel.reads else None
    bound = kernel.bind_columns(columns, keywords)
    width = len(bound) - len(kernel.reads) + 1 if kernel.variadic else 0
    resolved = kernel.resolve(keywords)
    by_time = kernel.by_time(keywords)
    names = unique(kernel.input_names(width))
    index, labels = labels_of(dict(zip(names, bound, strict=True)), ts=ts)
    inputs = {n: values_of(c, kernel, r, n) for n, c, r in zip(names, bound, kernel.input_columns(width), strict=True)}
    check_unit(unit)
    ts = default_times(kernel, keywords, index) if ts is None else ts
    times = None if ts is None else as_instants(ts, "ts", unit)
    if kernel.emits:
        return _emit(kernel, inputs, keywords, times)
    dimensions = max(values.ndim for values in inputs.values())
    axis = check_axis(axis, dimensions)
    inputs, times = along(kernel, inputs, times, axis, dimensions)
    swept = sweep_shape(resolved)
    parameters = [resolved[name] for name in kernel.loop_parameters]
    if swept and dimensions > 1:
        parameters = [np.reshape(value, np.shape(value) + (1,) * (dimensions - 1)) for value in parameters]
    # What a kernel gives for NaN, infinities and zero divisors is its documented result, not something to warn of.
    with np.errstate(all="ignore"):
        results = gufunc(kernel, width, by_time)(times, *inputs.values(), *parameters)
    arrays = [results] if kernel.output_count(width) == 1 else list(results)
    if dimensions == 0:
        arrays = [array[..., 0] for array in arrays]
    elif dimensions > 1:
        arrays = [np.moveaxis(array, -1, len(swept) + axis) for array in arrays]
    outputs = kernel.output_names(width)
    if index is not None and not swept:
        arrays = [labelled(kernel, a, name, index, labels) for a, name in zip(arrays, outputs, strict=True)]
    return arrays[0] if len(arrays) == 1 else result_type(kernel.name, tuple(outputs))(*arrays)


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
        return moved, np.broadcast_to(np.int64(0), (rows,))
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
    codes = np.zeros(len(times), np.uint32)
    emitted = scan.run(state, 1, codes, NO_SESSION, times, list(inputs.values()))
    rows = np.concatenate([emitted.rows, scan.flush(state).rows])  # type: ignore[union-attr]
    return result_type(kernel.name, tuple(rows.dtype.names or ()))(
        *(rows[name].copy() for name in rows.dtype.names or ())
    )
