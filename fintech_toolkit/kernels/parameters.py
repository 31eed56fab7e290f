"""What a kernel's parameters may be: declared once, checked once, documented from the declaration.

A parameter takes what the user wrote (its `keywords`) and gives the numbers that the compiled loop takes (`resolve`).
On arrays a parameter may itself be an array (a sweep); in a pipeline it is one value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fintech_toolkit.errors import ParameterError
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


def _numbers(name: str, value: Any, *, whole: bool) -> Any:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.dtype.kind == "b":
        raise ParameterError(f"{name}={value!r} must be a {'whole ' if whole else ''}number.")
    if whole and array.dtype.kind == "f" and not np.all(array == np.floor(array)):
        raise ParameterError(f"{name}={value!r} must be a whole number.")
    if not np.all(np.isfinite(array)):
        raise ParameterError(f"{name}={value!r} must be finite.")
    result = array.astype("i8" if whole else "f8")
    return result if result.ndim else result.item()


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
class Flag(Parameter):
    """True or False."""

    dtype: ClassVar[str] = "b1"

    def check(self, value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype.kind != "b":
            raise ParameterError(f"{self.name}={value!r} must be True or False.")
        return array if array.ndim else bool(value)


@dataclass(frozen=True)
class Choice(Parameter):
    """One of a few names; the loop receives its position in `options`."""

    dtype: ClassVar[str] = "i8"
    options: tuple[str, ...] = ()

    @property
    def type_name(self) -> str:
        return "{" + ", ".join(repr(option) for option in self.options) + "}"

    def check(self, value: Any) -> Any:
        if value not in self.options:
            listed = ", ".join(map(repr, self.options))
            raise ParameterError(f"{self.name}={value!r} is not known; one of {listed}.")
        return self.options.index(value)


@dataclass(frozen=True)
class Duration(Parameter):
    """A length of time such as ``"5s"``; the loop receives nanoseconds."""

    dtype: ClassVar[str] = "i8"

    @property
    def type_name(self) -> str:
        return "duration"

    def check(self, value: Any) -> Any:
        return nanoseconds(value, self.name)


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
        return {"alpha": alpha}


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
        return window is not None and np.asarray(window).dtype.kind not in "iuf"

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        window = given[self.keyword]
        if window is REQUIRED:
            raise ParameterError(f"{self.keyword} is required: a number of rows (100) or a duration ('5s').")
        if window is None:
            if self.default is not None:
                raise ParameterError(f"{self.keyword}=None is not allowed here: give rows (100) or a duration ('5s').")
            size, least = 0, 1
        elif self.is_duration(window):
            size, least = nanoseconds(window, self.keyword), 1
        else:
            size = least = Count(self.keyword, "").check(window)
        if not self.min_periods:
            return {"window": size}
        if given["min_periods"] is not None:
            least = Count("min_periods", "", at_least=0).check(given["min_periods"])
            if window is not None and not self.is_duration(window) and np.any(np.greater(least, size)):
                raise ParameterError(f"min_periods={given['min_periods']!r} must be at most window={window!r}.")
        return {"window": size, "min_periods": least}
