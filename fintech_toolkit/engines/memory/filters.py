"""Which rows meet conditions: on columns in memory and, in the same words, in the scan of a file."""

from __future__ import annotations

import datetime
import decimal
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.conditions import MEMBERSHIPS, Condition, Conditions
from fintech_toolkit.frames.dtypes import plain
from fintech_toolkit.frames.views import Joinable
from fintech_toolkit.schema import Array

FUNCTIONS = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def rows_that_meet(view: Joinable, where: Conditions) -> Array:
    """Return which rows of a frame meet conditions.

    Raises
    ------
    DataError
        If a column cannot be compared with a value.
    """
    columns = {name: _arrow(view.column(name), name) for name in where.columns}
    met = _tested(where, columns.__getitem__, lambda name: columns[name].type)
    rows: Array = np.flatnonzero(pc.fill_null(met, False).to_numpy(zero_copy_only=False))
    return rows


def filtered(view: Joinable, where: Conditions) -> Any:
    """Return the rows of a frame that meet conditions."""
    rows = rows_that_meet(view, where)
    return view.frame if len(rows) == view.rows else view.take(rows)


def scan_filter(where: Conditions, schema: pa.Schema) -> pc.Expression:
    """Return conditions as the scan of a file with this schema takes them.

    Raises
    ------
    DataError
        If a column cannot be compared with a value.
    """
    return _tested(where, pc.field, lambda name: schema.field(name).type)


def _arrow(column: Any, name: str) -> Any:
    if isinstance(column, pd.Series):
        numbers = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
        return pa.array(column.to_numpy()) if numbers else plain(column, name)
    return column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column


def _tested(where: Conditions, column: Callable[[str], Any], kind: Callable[[str], pa.DataType]) -> Any:
    def holds(condition: Condition) -> Any:
        return _test(condition, column(condition.column), kind(condition.column))

    groups = [functools.reduce(pc.and_kleene, map(holds, group)) for group in where.groups]
    return functools.reduce(pc.or_kleene, groups)


def _test(condition: Condition, column: Any, kind: pa.DataType) -> Any:
    """Return whether a condition holds, null or false where a value is missing (a NaN is)."""
    if pa.types.is_null(kind):
        return pc.is_valid(column)
    kind = _plain_type(kind)
    operator, number = condition.operator, pa.types.is_integer(kind) or pa.types.is_floating(kind)
    there = pc.invert(pc.is_null(column, nan_is_null=True))
    if operator in MEMBERSHIPS:
        values = [_checked(condition, value, kind) for value in condition.value]
        if number:
            nearest = [_nearest(value, kind) for value in values]
            values = [value for value, apart in nearest if not apart]
            values += [-value for value in values if value == 0 and pa.types.is_floating(kind)]  # -0.0 is 0.0
        among = pc.is_in(column, value_set=pa.array(values, kind))
        return among if operator == "in" else pc.and_kleene(pc.invert(among), there)
    value = _checked(condition, condition.value, kind)
    if number:
        value, apart = _nearest(value, kind)
        if apart and operator in ("==", "!="):
            return pc.is_in(column, value_set=pa.array([], kind)) if operator == "==" else there
        if apart:  # no value lies between the two, so that it is one side or the other
            operator = {(-1, "<"): "<=", (-1, ">"): ">", (1, "<"): "<", (1, ">"): ">="}[apart, operator[0]]
    scalar = pa.scalar(value) if pa.types.is_decimal(kind) else pa.scalar(value, kind)
    found = FUNCTIONS[operator](column, scalar)
    return pc.and_kleene(found, there) if operator == "!=" else found


def _nearest(value: Any, kind: pa.DataType) -> tuple[Any, int]:
    """Return a number of a column's type next to a value, and whether it is below (-1), above (1) or the very same:
    no id is compared as float64, and no price as float32.
    """
    dtype = np.dtype(kind.to_pandas_dtype())
    if dtype.kind == "f":
        try:
            with np.errstate(over="ignore"):
                near = float(dtype.type(value))
        except OverflowError:
            near = math.inf if value > 0 else -math.inf
    else:
        least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        near = most if value > most else least if value < least else math.floor(value)
    return near, int(near > value) - int(near < value)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.large_string() if pa.types.is_string_view(kind) else kind


def _checked(condition: Condition, value: Any, kind: pa.DataType) -> Any:
    """Return a value, if it compares with a column's.

    Raises
    ------
    DataError
        If it does not; the message says with what it would.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    time = isinstance(value, pd.Timestamp)
    if pa.types.is_timestamp(kind):
        fits = time and (value.tz is None) == (kind.tz is None)
        aware, zone = ("naive", "") if kind.tz is None else ("aware", ", tz='UTC'")
        needs = f"{aware} times, such as pd.Timestamp('2024-01-02 09:30'{zone})"
    elif pa.types.is_date(kind):
        fits, needs = not time and isinstance(value, datetime.date), "dates, such as datetime.date(2024, 1, 2)"
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        fits, needs = isinstance(value, str), "texts"
    elif pa.types.is_boolean(kind):
        fits, needs = isinstance(value, bool), "True or False"
    elif pa.types.is_decimal(kind):
        fits, needs = whole or isinstance(value, decimal.Decimal), "whole numbers or decimals"
        value = decimal.Decimal(value) if fits else value
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        fits, needs = whole or isinstance(value, float), "numbers"
    else:
        fits, needs = False, "no value that a condition can have"
    if not fits:
        raise DataError(
            f"Column {condition.column!r} holds {kind}, so the condition {condition} must compare with {needs}."
        )
    return value
