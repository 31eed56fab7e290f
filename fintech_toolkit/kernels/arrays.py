"""Kernels on plain arrays: each is a Numba gufunc, so shapes broadcast and a list of parameter values is a sweep."""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import Any

import numba
import numpy as np
import pandas as pd

from fintech_toolkit.errors import DataError, PipelineError
from fintech_toolkit.kernels.declare import Kernel
from fintech_toolkit.kernels.loops import compile_series
from fintech_toolkit.kernels.scan import NO_SESSION, Scan
from fintech_toolkit.schema import Array


@cache
def gufunc(kernel: Kernel, width: int, by_time: bool) -> Any:
    """Return the kernel as a NumPy generalised ufunc over the last axis: ``(n),…,(),…->(n),…``.

    Caching gufuncs corrupts Numba's cache when processes start together; so what is cached is `series`, a loop over one
    symbol, and the gufunc around it is too thin to need it.
    """
    inputs = [f"x{j}" for j in range(kernel.input_count(width))]
    parameters = [f"p_{name}" for name in kernel.loop_parameters]
    outputs = [f"o{j}" for j in range(kernel.output_count(width))]
    dtypes = [np.dtype("i8"), *(kernel.input_dtype(name) for name in kernel.read_names(width))]
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


def as_values(column: Any, dtype: np.dtype[Any], what: str) -> Array:
    """Return a column as the array that kernels see, or say why that cannot be.

    Raises
    ------
    DataError
        If the values are not numbers (or times, where a time is read).
    """
    if isinstance(getattr(column, "dtype", None), pd.DatetimeTZDtype):
        column = column.to_numpy("M8[ns]")
    values = np.asarray(column)
    if values.dtype.kind == "M":
        if dtype != np.dtype("i8"):
            raise DataError(f"{what} holds times; it must hold numbers.")
        values = values.astype("M8[ns]").view("i8")
        if np.any(values == np.iinfo(np.int64).min):
            row = int(np.argmax(values == np.iinfo(np.int64).min))
            raise DataError(f"{what} has no time (NaT) at row {row}; drop or fill it.")
        return values
    if values.dtype.kind not in "biuf":
        raise DataError(f"{what} must hold numbers, not {values.dtype}.")
    if dtype.kind == "b" and values.dtype.kind != "b":
        raise DataError(f"{what} must hold True or False, not {values.dtype}.")
    if dtype.kind == "i" and values.dtype.kind == "f":
        raise DataError(f"{what} must hold whole numbers (float64 cannot keep nanoseconds or ids exact).")
    return values.astype(dtype, copy=False)


def compute(kernel: Kernel, columns: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Run a kernel on arrays: along `axis` (default: the last), broadcasting parameters."""
    keywords = dict(keywords)
    axis = keywords.pop("axis", -1)
    by_time = kernel.by_time(keywords)
    needs_ts = (by_time or kernel.asks_for_time) and "ts" not in kernel.reads
    ts = keywords.pop("ts", None) if "ts" not in kernel.reads else None
    bound = kernel.bind_columns(columns, keywords)
    width = len(bound) - len(kernel.reads) + 1 if kernel.variadic else 0
    names = kernel.input_names(width)
    resolved = kernel.resolve(keywords)
    index = next((c.index for c in bound if isinstance(c, pd.Series)), None)
    inputs = [
        as_values(c, kernel.input_dtype(r), n) for c, r, n in zip(bound, kernel.read_names(width), names, strict=True)
    ]
    if needs_ts and ts is None:
        raise DataError(f"{kernel.name} needs event times here: pass ts=, int64 nanoseconds or datetime64.")
    if any(values.ndim == 0 for values in inputs):
        if not kernel.stateless:
            raise DataError(f"{kernel.name} needs arrays, not single numbers.")
        inputs = list(np.broadcast_arrays(*inputs))
    times = as_values(ts, np.dtype("i8"), "ts") if ts is not None else np.zeros(1, np.int64)
    if kernel.emits:
        return _emit(kernel, names, bound, inputs, keywords, times)
    scalar = inputs[0].ndim == 0
    inputs = [np.atleast_1d(values) for values in inputs]
    inputs = [np.moveaxis(values, axis, -1) if values.ndim > 1 else values for values in inputs]
    if len({values.shape[-1] for values in inputs}) > 1:
        raise DataError(f"{kernel.name}: columns differ in length: {[values.shape[-1] for values in inputs]}.")
    if ts is None:
        times = np.broadcast_to(times, inputs[0].shape[-1:])
    # What a kernel gives for NaN, infinities and zero divisors is its documented result, not something to warn of.
    with np.errstate(all="ignore"):
        results = gufunc(kernel, width, by_time)(times, *inputs, *(resolved[name] for name in kernel.loop_parameters))
    arrays = [results] if kernel.output_count(width) == 1 else list(results)
    if scalar:
        arrays = [array[0] for array in arrays]
    else:
        arrays = [np.moveaxis(array, -1, axis) if array.ndim == inputs[0].ndim > 1 else array for array in arrays]
    if index is not None and arrays[0].ndim == 1:
        outputs = kernel.output_names(width)
        arrays = [pd.Series(array, index=index, name=name) for array, name in zip(arrays, outputs, strict=True)]
    return arrays[0] if len(arrays) == 1 else result_type(kernel.name, tuple(kernel.output_names(width)))(*arrays)


def _emit(
    kernel: Kernel,
    names: list[str],
    bound: list[Any],
    inputs: list[Array],
    keywords: dict[str, Any],
    times: Array,
) -> Any:
    """Run an event kernel over one series and return its rows, the unfinished ones last, as arrays by name."""
    if any(values.ndim != 1 for values in inputs):
        raise PipelineError(f"{kernel.name} emits rows of its own: it takes one-dimensional arrays.")
    scan = Scan(kernel.step(*names, **keywords))
    state = scan.fresh(1)
    if "ts" in names:
        times = inputs[names.index("ts")]
    codes = np.zeros(len(inputs[0]), np.uint32)
    emitted = scan.run(state, 1, codes, NO_SESSION, times, inputs)
    rows = np.concatenate([emitted.rows, scan.flush(state).rows])  # type: ignore[union-attr]
    return result_type(kernel.name, tuple(rows.dtype.names or ()))(
        *(rows[name].copy() for name in rows.dtype.names or ())
    )
