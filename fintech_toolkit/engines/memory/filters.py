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
    condition = _exact(condition, kind)
    there = pc.invert(pc.is_null(column, nan_is_null=True))
    if condition.operator in MEMBERSHIPS:
        values = pa.array([_scalar(condition, v, kind) for v in condition.value], _plain_type(kind))
        among = pc.is_in(column, value_set=values)
        return among if condition.operator == "in" else pc.and_kleene(pc.invert(among), there)
    scalar = pa.scalar(_scalar(condition, condition.value, kind), _plain_type(kind))
    found = FUNCTIONS[condition.operator](column, scalar)
    return pc.and_kleene(found, there) if condition.operator == "!=" else found


def _exact(condition: Condition, kind: pa.DataType) -> Condition:
    """Return a condition on whole numbers that compares with whole numbers: no id goes through float64."""
    if not pa.types.is_integer(kind):
        return condition
    column, operator, value = condition.column, condition.operator, condition.value
    if operator in MEMBERSHIPS:
        whole = tuple(int(v) if _is_whole(v) else v for v in value)
        return Condition(column, operator, tuple(v for v in whole if not isinstance(v, float) and _fits(v, kind)))
    if isinstance(value, float) and not _is_whole(value) and operator in ("==", "!="):
        return Condition(column, "in" if operator == "==" else "not in", ())
    if isinstance(value, float) and math.isfinite(value):
        # Between two whole numbers: above it means above the lower one, below it below the upper one.
        value = int(value) if value.is_integer() else (math.floor(value) if operator[0] == ">" else math.ceil(value))
        operator = operator if condition.value == value else operator[0]
    if isinstance(value, int | float) and not isinstance(value, bool) and not _fits(value, kind):
        below = value < 0
        everywhere = operator == "!=" or (operator[0] == (">" if below else "<"))
        return Condition(column, "not in" if everywhere else "in", ())
    return Condition(column, operator, value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _fits(value: Any, kind: pa.DataType) -> bool:
    if isinstance(value, str | bool | datetime.date | decimal.Decimal):
        return True  # of another type, which is said elsewhere
    info = np.iinfo(kind.to_pandas_dtype())
    return bool(info.min <= value <= info.max)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.large_string() if pa.types.is_string_view(kind) else kind


def _scalar(condition: Condition, value: Any, kind: pa.DataType) -> Any:
    """Return a value that compares with a column's.

    Raises
    ------
    DataError
        If it does not; the message says with what it would.
    """
    kind = _plain_type(kind)
    text, number = isinstance(value, str), isinstance(value, int | float) and not isinstance(value, bool)
    time, day = isinstance(value, pd.Timestamp), type(value) is datetime.date
    if pa.types.is_timestamp(kind):
        if time and (value.tz is None) == (kind.tz is None):
            return value
        aware = "naive" if kind.tz is None else "aware"
        zone = "" if kind.tz is None else ", tz='UTC'"
        needs = f"{aware} times, such as pd.Timestamp('2024-01-02 09:30'{zone})"
    elif pa.types.is_date(kind):
        if day:
            return value
        needs = "dates, such as datetime.date(2024, 1, 2)"
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if text:
            return value
        needs = "texts"
    elif pa.types.is_boolean(kind):
        if isinstance(value, bool):
            return value
        needs = "True or False"
    elif pa.types.is_decimal(kind):
        if number or isinstance(value, decimal.Decimal):
            return decimal.Decimal(value)
        needs = "numbers"
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if number:
            return _float(value) if pa.types.is_floating(kind) else value
        needs = "numbers"
    else:
        needs = "no value that a condition can have"
    raise DataError(
        f"Column {condition.column!r} holds {kind}, so the condition {condition} must compare with {needs}."
    )


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
