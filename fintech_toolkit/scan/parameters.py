"""What a kernel's parameters may be: declared once, checked once, documented from the declaration.

A parameter takes what the user wrote (its `keywords`) and gives the numbers that the compiled loop takes (`resolve`),
and the one spelling in which equal things are equal (`spelled`). On arrays a parameter may itself be an array (a
sweep); in a pipeline it is one value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.scan.names import as_keys
from fintech_toolkit.schema import nanoseconds

REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "<required>"})()


@dataclass(frozen=True)
class Parameter:
    """A named value of a kernel; subclasses say which values are allowed.

    Attributes
    ----------
    name : str
        The name under which the kernel's function receives it.
    doc : str
        What it means, with its unit.
    default : object
        What the user gets by leaving it out; `REQUIRED` if that is not allowed.
    """

    name: str
    doc: str
    default: Any = REQUIRED
    dtype: ClassVar[str] = "f8"

    @property
    def keywords(self) -> Mapping[str, Any]:
        """The user's keywords and their defaults."""
        return {self.name: self.default}

    @property
    def documentation(self) -> list[tuple[str, str]]:
        """Pairs of (numpydoc parameter line, description)."""
        optional = "" if self.default is REQUIRED else f", default {self.default!r}"
        return [(f"{self.name} : {self.type_name}{optional}", self.doc)]

    @property
    def type_name(self) -> str:
        return {"f8": "float", "i8": "int", "b1": "bool"}[self.dtype]

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check what the user gave and return the values for the compiled loop, by name."""
        value = given[self.name]
        if value is REQUIRED:
            raise ParameterError(f"{self.name} is required: {self.doc}.")
        return {self.name: self.check(value)}

    def check(self, value: Any) -> Any:
        raise NotImplementedError

    def spelled(self, value: Any) -> Any:
        """Return a value that was checked in plain Python, the same for all ways to write it."""
        return _plain(value)


def duration_text(ns: int) -> str:
    """Return nanoseconds as pandas writes a duration, in the largest unit of which they are a whole number.

    Examples
    --------
    >>> duration_text(90_000_000_000), duration_text(3_600_000_000_000)
    ('90s', '1h')
    """
    for unit, size in (("D", 24 * 3600 * 10**9), ("h", 3600 * 10**9), ("min", 60 * 10**9), ("s", 10**9), ("ms", 10**6)):
        if ns % size == 0:
            return f"{ns // size}{unit}"
    return f"{ns // 1000}us" if ns % 1000 == 0 else f"{ns}ns"


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _array(name: str, value: Any, kinds: str, wanted: str) -> Any:
    """Return a value, or a sweep of values, as an array of one of some kinds of dtypes."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        array = np.empty(0, object)
    mixed = isinstance(value, list | tuple) and any(isinstance(v, bool | np.bool_) for v in value)
    if array.dtype.kind not in kinds or (mixed and "b" not in kinds):
        raise ParameterError(f"{name}={value!r} must be {wanted}.")
    if not array.size:
        raise ParameterError(f"{name}={value!r} holds no value.")
    return array


def sweep_shape(values: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the shape to which parameters broadcast: () unless one of them is a sweep.

    Raises
    ------
    ParameterError
        If they do not.
    """
    shapes = {name: value.shape for name, value in values.items() if isinstance(value, np.ndarray)}
    if not shapes:
        return ()
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ParameterError(f"The shapes of these sweeps do not fit together: {listed}.") from None


def _numbers(name: str, value: Any, *, whole: bool) -> Any:
    array = _array(name, value, "iuf", "a whole number" if whole else "a number")
    if not np.all(np.isfinite(array)):
        raise ParameterError(f"{name}={value!r} must be finite.")
    if whole and array.dtype.kind == "f" and not np.all(array == np.floor(array)):
        raise ParameterError(f"{name}={value!r} must be a whole number.")
    if whole and np.any(np.abs(array.astype("f8")) >= 2.0**63):
        raise ParameterError(f"{name}={value!r} must be less than 2**63.")
    result = array.astype("i8" if whole else "f8")
    return result if result.ndim else result.item()


def _durations(name: str, value: Any) -> Any:
    """Return a duration, or a sweep of durations, in nanoseconds."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, list | tuple | np.ndarray):
        return nanoseconds(value, name)
    array = np.array(value, dtype=object)
    if not array.size or not all(Window.is_duration(v) for v in array.reshape(-1)):
        raise ParameterError(f"{name}={value!r} is not a duration, nor a list of such; write '5s', '250ms', '1min'.")
    return np.reshape([nanoseconds(v, name) for v in array.reshape(-1)], array.shape)


@dataclass(frozen=True)
class Number(Parameter):
    """A float within bounds; `above` and `below` are strict, `at_least` and `at_most` are not."""

    above: float | None = None
    below: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    def check(self, value: Any) -> Any:
        checked = _numbers(self.name, value, whole=self.dtype == "i8")
        for bound, holds, words in (
            (self.above, np.greater, "greater than"),
            (self.below, np.less, "less than"),
            (self.at_least, np.greater_equal, "at least"),
            (self.at_most, np.less_equal, "at most"),
        ):
            if bound is not None and not np.all(holds(checked, bound)):
                raise ParameterError(f"{self.name}={value!r} must be {words} {bound:g}.")
        return checked


@dataclass(frozen=True)
class Count(Number):
    """A whole number, at least 1 unless told otherwise."""

    dtype: ClassVar[str] = "i8"
    at_least: float | None = 1


@dataclass(frozen=True)
class Levels(Count):
    """How many columns each starred output of a kernel stands for: one number, never a sweep."""

    at_most: float | None = 100

    def check(self, value: Any) -> Any:
        checked = super().check(value)
        if np.ndim(checked):
            raise ParameterError(f"{self.name}={value!r} must be one number: it says which columns there are.")
        return checked


@dataclass(frozen=True)
class Flag(Parameter):
    """True or False."""

    dtype: ClassVar[str] = "b1"

    def check(self, value: Any) -> Any:
        array = _array(self.name, value, "b", "True or False")
        return array if array.ndim else bool(array)


@dataclass(frozen=True)
class Choice(Parameter):
    """One of a few names; the loop receives a number for it, which a kernel compares with that of ``choice[name]``."""

    dtype: ClassVar[str] = "i8"
    options: tuple[str, ...] = ()

    @property
    def type_name(self) -> str:
        return "{" + ", ".join(repr(option) for option in self.options) + "}"

    def __getitem__(self, option: str) -> int:
        """Return what the loop receives for an option, for a constant of the kernel's module.

        Raises
        ------
        ParameterError
            If there is no such option.

        Examples
        --------
        >>> seed = Choice("seed", "where to start", "sma", options=("sma", "first"))
        >>> FIRST = seed["first"]
        >>> seed["frist"]
        Traceback (most recent call last):
            ...
        fintech_toolkit.errors.ParameterError: seed='frist' is not known; one of 'sma', 'first'.
        """
        return int(self.check(option))

    def check(self, value: Any) -> Any:
        if not isinstance(value, str) or value not in self.options:
            listed = ", ".join(map(repr, self.options))
            raise ParameterError(f"{self.name}={value!r} is not known; one of {listed}.")
        return self.options.index(value)


DTYPE = Choice(
    "dtype",
    "'int64' computes whole numbers exactly, those beyond 2**53 too, which float64 cannot hold: ids, nanoseconds. A "
    "missing one is null in frames (pandas: Int64), and the least int64 in arrays, as NaT is among times",
    default="float64",
    options=("float64", "int64"),
)
"""For kernels with a twin for whole numbers (see `Kernel.exact`)."""


@dataclass(frozen=True)
class Name(Parameter):
    """A name, such as a dealer's; the loop receives the key that it has in a column of names (see `names`)."""

    dtype: ClassVar[str] = "i8"

    @property
    def type_name(self) -> str:
        return "str or int"

    def check(self, value: Any) -> Any:
        keys = as_keys(_array(self.name, value, "Ui", "a name, a text or an integer"), self.name)
        return keys if keys.ndim else int(keys)


@dataclass(frozen=True)
class Duration(Parameter):
    """A length of time such as ``"5s"``; the loop receives nanoseconds, and 0 for None where that is the default."""

    dtype: ClassVar[str] = "i8"

    @property
    def type_name(self) -> str:
        return "duration"

    def check(self, value: Any) -> Any:
        return 0 if value is None and self.default is None else _durations(self.name, value)

    def spelled(self, value: Any) -> Any:
        return duration_text(_durations(self.name, value))


@dataclass(frozen=True)
class Decay(Parameter):
    """pandas' four ways to say how fast old values are forgotten; the loop receives alpha."""

    name: str = "alpha"
    doc: str = "smoothing factor, 0 < alpha <= 1"
    default: Any = None

    @property
    def keywords(self) -> Mapping[str, Any]:
        return {"alpha": None, "span": None, "halflife": None, "com": None}

    @property
    def documentation(self) -> list[tuple[str, str]]:
        return [
            (
                "alpha, span, halflife, com : float",
                "exactly one. alpha: smoothing factor, 0 < alpha <= 1. span, in rows, >= 1: alpha = 2 / (span + 1). "
                "halflife, in rows, > 0: alpha = 1 - exp(-ln 2 / halflife). com, centre of mass in rows, >= 0: "
                "alpha = 1 / (1 + com)",
            )
        ]

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        named = {name: given[name] for name in self.keywords if given[name] is not None}
        if len(named) != 1:
            got = " and ".join(named) or "none"
            raise ParameterError(f"Give exactly one of alpha, span, halflife and com; got {got}.")
        ((name, value),) = named.items()
        number = Number(
            name,
            "",
            above=0 if name in ("alpha", "halflife") else None,
            at_least={"span": 1, "com": 0}.get(name),
            at_most=1 if name == "alpha" else None,
        ).check(value)
        alpha = {
            "alpha": lambda v: v,
            "span": lambda v: 2 / (v + 1),
            "halflife": lambda v: 1 - np.exp(-np.log(2) / v),
            "com": lambda v: 1 / (1 + v),
        }[name](number)
        return {"alpha": alpha if np.ndim(alpha) else float(alpha)}


@dataclass(frozen=True)
class Window(Parameter):
    """How far a window reaches back: a number of rows, or a duration; `optional` ones may be left open.

    The loop receives `window` in rows or nanoseconds (0: never evict), and `min_periods`, which is the window
    for rows and 1 for durations unless the user says otherwise. `keyword` is what users call it.
    """

    name: str = "window"
    doc: str = ""
    default: Any = REQUIRED
    min_periods: bool = True
    keyword: str = "window"
    dtype: ClassVar[str] = "i8"

    @property
    def keywords(self) -> Mapping[str, Any]:
        return {self.keyword: self.default} | ({"min_periods": None} if self.min_periods else {})

    @property
    def documentation(self) -> list[tuple[str, str]]:
        open_ended = "; None: all since the start" if self.default is None else ""
        optional = "" if self.default is REQUIRED else f", default {self.default!r}"
        lines = [
            (
                f"{self.keyword} : int or duration{optional}",
                self.doc
                or "the last `window` rows of the symbol, or those of the last duration such as '5s', "
                f"open at its older end{open_ended}",
            )
        ]
        if self.min_periods:
            lines.append(
                (
                    "min_periods : int, optional",
                    "valid rows needed for a result; default: the window if in rows, else 1",
                )
            )
        return lines

    @staticmethod
    def is_duration(window: Any) -> bool:
        """Whether a window is a length of time, not a number of rows."""
        while isinstance(window, list | tuple) and window:
            window = window[0]
        if isinstance(window, np.ndarray):
            return window.dtype.kind in "UmO"
        return isinstance(window, str | timedelta | np.timedelta64) or hasattr(window, "nanos")

    def spelled(self, value: Any) -> Any:
        return duration_text(_durations(self.keyword, value)) if self.is_duration(value) else _plain(value)

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        window = given[self.keyword]
        if window is REQUIRED:
            raise ParameterError(f"{self.keyword} is required: a number of rows (100) or a duration ('5s').")
        if window is None:
            if self.default is not None:
                raise ParameterError(f"{self.keyword}=None is not allowed here: give rows (100) or a duration ('5s').")
            size, least = 0, 1
        elif self.is_duration(window):
            size, least = _durations(self.keyword, window), 1
        else:
            size = least = Count(self.keyword, "").check(window)
        if not self.min_periods:
            return {"window": size}
        if given["min_periods"] is not None:
            least = Count("min_periods", "", at_least=0).check(given["min_periods"])
            sweep_shape({self.keyword: size, "min_periods": least})
            if window is not None and not self.is_duration(window) and np.any(np.greater(least, size)):
                raise ParameterError(f"min_periods={given['min_periods']!r} must be at most window={window!r}.")
        return {"window": size, "min_periods": least}
