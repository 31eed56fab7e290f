"""Conditions on rows, in the tuples that pandas, Arrow and Dask take as filters of Parquet files."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.errors import ParameterError, did_you_mean

COMPARISONS = {"=": "==", "==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
MEMBERSHIPS = ("in", "not in")


@dataclass(frozen=True)
class Condition:
    """A column, how it compares, and with what: a value, or of a membership a tuple of values."""

    column: str
    operator: str
    value: Any

    def __str__(self) -> str:
        value = list(self.value) if self.operator in MEMBERSHIPS else self.value
        return f"{self.column} {self.operator} {value!r}"


@dataclass(frozen=True)
class Conditions:
    """Rows of which all the conditions of one of the groups hold."""

    groups: tuple[tuple[Condition, ...], ...]

    @classmethod
    def checked(cls, given: Any) -> Conditions:
        """Return conditions as a user gives them: one tuple, a list of tuples that must all hold, or a list of such
        lists of which one must.

        Raises
        ------
        ParameterError
            If they are none.
        """
        if isinstance(given, Conditions):
            return given
        if _is_condition(given):
            given = [given]
        if not isinstance(given, list | tuple) or not given:
            raise ParameterError(f"{_called(given)} is no filter: {_FORM}")
        groups = [given] if all(map(_is_condition, given)) else given
        for group in groups:
            if not isinstance(group, list | tuple) or not group or not all(map(_is_condition, group)):
                raise ParameterError(f"{_called(group)} is no group of conditions: {_FORM}")
        return cls(tuple(tuple(_checked(*condition) for condition in group) for group in groups))

    @property
    def columns(self) -> list[str]:
        """The columns that they look at."""
        return list(dict.fromkeys(condition.column for group in self.groups for condition in group))

    def parts(self) -> list[Conditions]:
        """Return conditions that must all hold, each for itself; only one group can be taken apart."""
        if len(self.groups) > 1:
            return [self]
        return [Conditions(((condition,),)) for condition in self.groups[0]]

    def also(self, other: Conditions) -> Conditions:
        """Return the conditions of rows that meet these and others."""
        both = [tuple(dict.fromkeys([*mine, *theirs])) for mine in self.groups for theirs in other.groups]
        return Conditions(tuple(both))

    def renamed(self, names: dict[str, str]) -> Conditions:
        """Return the same of columns by other names."""
        return Conditions(
            tuple(tuple(Condition(names[c.column], c.operator, c.value) for c in group) for group in self.groups)
        )

    def tuples(self) -> list[list[tuple[str, str, Any]]]:
        """Return them as readers of Parquet take them."""
        return [
            [(c.column, c.operator, list(c.value) if c.operator in MEMBERSHIPS else c.value) for c in group]
            for group in self.groups
        ]

    def to_data(self) -> list[list[list[Any]]]:
        """Return them as JSON can hold them."""
        return [
            [
                [
                    c.column,
                    c.operator,
                    [_to_data(v) for v in c.value] if c.operator in MEMBERSHIPS else _to_data(c.value),
                ]
                for c in group
            ]
            for group in self.groups
        ]

    @classmethod
    def from_data(cls, data: Any) -> Conditions:
        """Return what `to_data` wrote."""
        return cls.checked(
            [
                [(name, op, [_from_data(v) for v in value] if isinstance(value, list) else _from_data(value))
                 for name, op, value in group]
                for group in data
            ]
        )  # fmt: skip

    def __str__(self) -> str:
        groups = [" and ".join(map(str, group)) for group in self.groups]
        return groups[0] if len(groups) == 1 else " or ".join(f"({group})" for group in groups)


_FORM = (
    "give tuples such as ('price', '>', 100), a list of which all must hold, or a list of such lists of which one must."
)


def _is_condition(given: Any) -> bool:
    return isinstance(given, tuple) and bool(given) and isinstance(given[0], str)


def _checked(*given: Any) -> Condition:
    if len(given) != 3:
        raise ParameterError(f"{given!r} is no condition: give a column, how it compares, and a value.")
    column, operator, value = given
    known = [*COMPARISONS, *MEMBERSHIPS]
    if operator not in known:
        hint = did_you_mean(operator, known) if isinstance(operator, str) else f"Known: {', '.join(known)}."
        raise ParameterError(f"{given!r}: a condition cannot compare by {operator!r}. {hint}")
    if operator in COMPARISONS:
        return Condition(column, COMPARISONS[operator], _value(value, given))
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ParameterError(f"{given!r}: {operator!r} takes a list of values.")
    values = tuple(dict.fromkeys(_value(v, given) for v in value))
    if not values:
        raise ParameterError(f"{given!r}: the list of values is empty, so that the condition tells nothing apart.")
    return Condition(column, operator, values)


def _value(value: Any, given: Sequence[Any]) -> Any:
    """Return a value as plain Python or pandas has it, so that equal conditions are equal."""
    if isinstance(value, np.datetime64 | datetime.datetime) and not pd.isna(value):
        return pd.Timestamp(value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        raise ParameterError(
            f"{tuple(given)!r}: a missing value compares with nothing, and rows that miss one meet no condition."
        )
    if not isinstance(value, str | bool | int | float | datetime.date | decimal.Decimal):
        raise ParameterError(
            f"{tuple(given)!r}: a condition compares with a text, a number, a truth value, a date or a time, not with "
            f"{type(value).__name__}."
        )
    return value


def _to_data(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return {"time": value.tz_localize(None).isoformat(), "zone": None if value.tz is None else str(value.tz)}
    if isinstance(value, datetime.date):
        return {"date": value.isoformat()}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    return {"number": repr(value)} if isinstance(value, float) and math.isinf(value) else value


def _from_data(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "time" in value:
        return pd.Timestamp(value["time"], tz=value["zone"])
    if "date" in value:
        return datetime.date.fromisoformat(value["date"])
    return decimal.Decimal(value["decimal"]) if "decimal" in value else float(value["number"])


def _called(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 80 else f"{text[:77]}..."
