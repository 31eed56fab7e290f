"""Kernels called on arrays; and on frames, and arrays of several symbols: a pipeline of one step."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.errors import ColumnError, DataError, ParameterError
from fintech_toolkit.frames.views import is_frame, sort_of
from fintech_toolkit.pipeline import Pipeline
from fintech_toolkit.scan.arrays import PLAIN, compute, default_times, labelled, labels_of, result_type, unique
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.parameters import sweep_shape
from fintech_toolkit.schema import CANONICAL, Array

OPTIONS = [p.name for p in inspect.signature(Pipeline).parameters.values() if p.kind is p.KEYWORD_ONLY]


def call(kernel: Kernel, columns: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Return what a kernel gives for arrays, with or without symbols, or for a frame (see `Kernel` for the rules)."""
    if columns and type(columns[0]) is np.ndarray and keywords.get("symbol") is None:
        return compute(kernel, columns, keywords)
    if all(isinstance(value, str) for value in (*columns, keywords.get("symbol"))):
        return kernel.step(*columns, **keywords)
    if not columns or not is_frame(columns[0]):
        series = keywords.get("symbol") is None
        return compute(kernel, columns, keywords) if series else by_symbol(kernel, columns, dict(keywords))
    frame, names = columns[0], columns[1:]
    named = [keywords[name] for name in kernel.input_names(1) if name in keywords]
    if all(isinstance(name, str) for name in (*names, *named)):
        if _is_frame_of_series(kernel, frame, keywords) and not names and not named:
            try:
                return compute(kernel, columns, keywords)
            except DataError as error:
                raise DataError(
                    f"{error} Without a column 'symbol', each column of a frame is a series; to use one column, name "
                    f"it: {kernel.name}(frame, 'mid', symbol='ticker')."
                ) from None
        return on_frame(kernel, frame, names, keywords)
    if not all(sort_of(column) == "pandas" for column in columns if is_frame(column)):
        raise ColumnError(f"{kernel.name}: with a frame, give the names of its columns: {kernel.name}(frame, 'mid').")
    return by_symbol(kernel, columns, dict(keywords)) if "symbol" in keywords else compute(kernel, columns, keywords)


def _is_frame_of_series(kernel: Kernel, frame: Any, keywords: dict[str, Any]) -> bool:
    """Whether each column of a frame is a series: a pandas frame that has neither symbols nor the kernel's column."""
    if sort_of(frame) != "pandas" or kernel.emits or len(kernel.reads) > 1 or kernel.variadic:
        return False
    own = [name for name in kernel.input_names(0) if name in CANONICAL]
    return (
        not any(name in frame.columns for name in ("symbol", *own))
        and not {"symbol", "time", "columns"} & keywords.keys()
    )


def on_frame(kernel: Kernel, frame: Any, names: tuple[str, ...], keywords: dict[str, Any]) -> Any:
    """Return what a pipeline of one step gives for a frame."""
    plain = PLAIN.issuperset(map(type, keywords.values()))
    return (_known_pipeline if plain else _pipeline)(kernel, names, **keywords)(frame)


def _pipeline(kernel: Kernel, names: tuple[str, ...], /, **keywords: Any) -> Pipeline:
    options = {name: keywords.pop(name) for name in OPTIONS if name in keywords}
    given = {*kernel.input_names(0)[: len(names)], *keywords}
    missing = [name for name in kernel.input_names(0) if name not in given and name not in CANONICAL]
    if missing or (kernel.variadic and not names):
        raise ColumnError(
            f"{kernel.name} needs a column for {(missing or kernel.input_names(1))[0]!r}: say which of the frame's, "
            f"{kernel.name}(frame, 'mid'). Only a pandas frame of numbers without a column 'symbol' is taken as a "
            "series a column."
        )
    return Pipeline(kernel.step(*names, **keywords), **options)


_known_pipeline = lru_cache(maxsize=256, typed=True)(_pipeline)


def by_symbol(kernel: Kernel, columns: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Return what a kernel gives for arrays in which the ticks of several symbols are interleaved."""
    symbol, ts, unit = keywords.pop("symbol"), keywords.pop("ts", None), keywords.pop("unit", None)
    if keywords.pop("axis", 0) not in (0, -1):
        raise ParameterError(f"{kernel.name}: symbol= goes with one-dimensional arrays, whose only axis is 0.")
    bound = kernel.bind_columns(columns, keywords)
    width = kernel.width(len(bound), keywords)
    names = unique(kernel.input_names(width))
    arrays = dict(zip(names, bound, strict=True))
    index, _ = labels_of(arrays, ts=ts, symbol=symbol)
    arrays |= {"symbol": symbol} | ({} if ts is None else {"ts": ts})
    if "ts" not in arrays and (ts := default_times(kernel, kernel.by_time(keywords), index)) is not None:
        arrays["ts"] = ts
    for name, values in arrays.items():
        _check_column(kernel, name, values)
        arrays[name] = pd.Series(values) if isinstance(values, pd.Index | pd.api.extensions.ExtensionArray) else values
    options: dict[str, Any] = {"symbol": "symbol", "time": "ts" if "ts" in arrays else None, "unit": unit}
    swept = sweep_shape(kernel.resolve(keywords))
    results = []
    for at in np.ndindex(swept):
        chosen = {name: _chosen(value, swept, at) for name, value in keywords.items()}
        pipeline = Pipeline(kernel.step(*names, **chosen), **options)
        made = pipeline(arrays)
        results.append([made[name] for name in pipeline.gives])
    if not swept:
        values = results[0]
    elif kernel.emits:
        raise ParameterError(f"{kernel.name} emits rows of its own: it takes one value of each parameter.")
    else:
        values = [np.reshape(rows, (*swept, len(rows[0]))) for rows in zip(*results, strict=True)]
    if index is not None and not swept and not kernel.emits:
        variant = kernel.variant(keywords)
        values = [labelled(variant, v, name, index) for v, name in zip(values, pipeline.gives, strict=True)]
    return values[0] if len(values) == 1 else result_type(kernel.name, tuple(pipeline.gives))(*values)


def _check_column(kernel: Kernel, name: str, values: Any) -> None:
    lazy = hasattr(values, "__dask_graph__")
    if lazy or isinstance(values, str) or not hasattr(values, "__len__") or getattr(values, "ndim", 1) != 1:
        raise DataError(
            f"{kernel.name}: with symbol=, every column is an array of one dimension, a value for each row; {name} is "
            f"{'the name ' + repr(values) if isinstance(values, str) else type(values).__name__}."
        )


def _chosen(value: Any, swept: tuple[int, ...], at: tuple[int, ...]) -> Any:
    """Return one of a sweep's values."""
    if not isinstance(value, list | tuple | np.ndarray | pd.Series):
        return value
    values: Array = np.empty(np.shape(value), object)
    values[...] = value
    return np.broadcast_to(values, swept)[at]
