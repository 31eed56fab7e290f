"""The canonical columns of market data: their names, types and meaning.

Kernels, joins and partitions read columns by these names unless told otherwise. A frame that uses other names is mapped
with ``columns={"symbol": "ticker", "ts": "time", "bid": "best_bid"}``, the same wherever it goes: each takes from it
what it reads. ``symbol="ticker", time="time"`` says the same of the two that tell whose and when a row is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from fintech_toolkit.errors import DataError, ParameterError

Array = npt.NDArray[Any]

UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds in a unit of integer times."""

AHEAD = "24h"
"""How far a live row's time may be ahead of when its record was written, if nothing is said."""

KNOWN_AT = "known_at"
"""The column in which event steps say when each of their rows became known."""

_CALLED = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_SINCE, _UNTIL = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds

NANOSECONDS_ALONE = _UNTIL * 1_000_000
"""From here on an integer is no plausible time in any unit but nanoseconds."""


@dataclass(frozen=True)
class Column:
    """A canonical column: its name, the NumPy dtype kernels see it as (object: a name, for which they see an integer),
    what it holds, and the only values that it may have (besides none) where these are few.
    """

    name: str
    dtype: str
    doc: str
    domain: tuple[int, ...] = ()


CANONICAL: dict[str, Column] = {
    column.name: column
    for column in (
        Column("symbol", "O", "instrument identifier, a string"),
        Column("ts", "i8", "event time, UTC nanoseconds since 1970"),
        Column("price", "f8", "trade price"),
        Column("size", "f8", "trade quantity"),
        Column("side", "f8", "+1 buyer-initiated, -1 seller-initiated, NaN or 0 unknown", (-1, 0, 1)),
        Column("trade_id", "i8", "trade identifier, kept exact"),
        Column("bid", "f8", "best bid price"),
        Column("ask", "f8", "best ask price"),
        Column("bid_size", "f8", "size at the best bid"),
        Column("ask_size", "f8", "size at the best ask"),
        Column("best_bid", "f8", "best bid price of all dealers"),
        Column("best_ask", "f8", "best ask price of all dealers"),
        Column("dealer", "O", "dealer or market maker, a string or an integer"),
        Column("venue", "O", "place of execution, a string or an integer"),
        Column("action", "O", "what becomes of a one-sided quote: UPDATE or DELETE"),
        Column("level", "f8", "how far from the best price a dealer's one-sided quote is, from 1"),
        Column("open", "f8", "first price of a bar"),
        Column("high", "f8", "highest price of a bar"),
        Column("low", "f8", "lowest price of a bar"),
        Column("close", "f8", "last price of a bar"),
        Column("volume", "f8", "quantity traded in a bar"),
        Column("leg", "i8", "the symbol of its pair, 0 the first and 1 the second (see to_pairs)", (0, 1)),
    )
}


def dtype_of(column: str) -> np.dtype[np.generic]:
    """Return the dtype in which kernels see a column; float64 unless the schema says otherwise, object for names."""
    known = CANONICAL.get(column)
    return np.dtype(known.dtype if known else "f8")


def column_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return what canonical columns are called, checked.

    Raises
    ------
    ParameterError
        If that is not a mapping of names to names.
    """
    names = dict(columns) if isinstance(columns, Mapping) else {}
    if not isinstance(columns, Mapping | None) or not all(
        isinstance(text, str) for pair in names.items() for text in pair
    ):
        raise ParameterError(f"columns={columns!r} must say what columns are called: {{'bid': 'best_bid'}}.")
    return names


def key_columns(symbol: Any, time: Any, columns: Mapping[str, str] | None) -> tuple[Any, Any]:
    """Return what the columns of symbols and times are called, which `columns` may say as well.

    Raises
    ------
    ParameterError
        If they contradict each other.

    Examples
    --------
    >>> key_columns("symbol", "ts", {"ts": "time", "bid": "best_bid"})
    ('symbol', 'time')
    """
    names, found = column_names(columns), []
    for option, canonical, given in (("symbol", "symbol", symbol), ("time", "ts", time)):
        name = names.get(canonical, given)
        if given not in (canonical, name):
            raise ParameterError(
                f"{option}={given!r} and columns={{{canonical!r}: {name!r}}} contradict each other; give one of them."
            )
        found.append(name)
    return found[0], found[1]


def has_domain(read: str) -> bool:
    """Return whether a column that a kernel reads as `read` may have certain values only."""
    return read in CANONICAL and bool(CANONICAL[read].domain)


def outside_domain(values: Array, read: str) -> Array | None:
    """Return where a column that a kernel reads as `read` has values that such a column may not have; None if nowhere.

    Values that are not finite stand for none, and are never wrong.
    """
    if not has_domain(read):
        return None
    known = CANONICAL[read]
    good = values == known.domain[0]
    for value in known.domain[1:]:
        good |= values == value
    if good.all():
        return None
    outside: Array = ~good & np.isfinite(values)
    return outside if outside.any() else None


def check_domain(values: Array, read: str, what: str, first_row: int = 0) -> None:
    """Raise unless a column that a kernel reads as `read` has only values that such a column may have.

    Raises
    ------
    DataError
        If so; the message names the first row.
    """
    outside = outside_domain(values, read)
    if outside is not None:
        at = tuple(map(int, np.unravel_index(int(np.argmax(outside)), outside.shape)))
        where = f"row {first_row + at[0]}" if len(at) == 1 else f"position {at}"
        known = CANONICAL[read]
        allowed = ", ".join(map(str, known.domain[:-1])) + f" or {known.domain[-1]}"
        raise DataError(f"{what} holds {values[at]} at {where}; {read!r} must be {allowed}: {known.doc}.")


def nanoseconds(duration: str | int | float | np.timedelta64 | object, name: str, *, zero: bool = False) -> int:
    """Return a duration such as ``"5s"`` or ``"1min"`` as whole nanoseconds; numbers are nanoseconds.

    Raises
    ------
    ParameterError
        If it is not a positive duration (or zero, where `zero` may be), or a part of a nanosecond; the message names
        the parameter.

    Examples
    --------
    >>> nanoseconds("250ms", "window")
    250000000
    """
    import pandas as pd

    if isinstance(duration, str) and duration.strip().lstrip("+-").replace(".", "", 1).isdecimal():
        raise ParameterError(f"{name}={duration!r} is a number without a unit; write '5s', '250ms', '1min'.")
    try:
        if isinstance(duration, float | np.floating) and not float(duration).is_integer():
            raise ValueError("it is not whole")
        value = pd.Timedelta(duration).as_unit("ns")  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError) as error:
        raise ParameterError(
            f"{name}={duration!r} is not a duration; write it as pandas does: '5s', '250ms', '1min'."
        ) from error
    if pd.isna(value) or value.value < (0 if zero else 1):
        raise ParameterError(f"{name}={duration!r} must {'not be negative' if zero else 'be longer than zero'}.")
    return int(value.value)


def check_unit(unit: str | None) -> None:
    """Raise unless it is a unit of integer times, or None.

    Raises
    ------
    ParameterError
        If so.
    """
    if unit is not None and not (isinstance(unit, str) and unit in UNITS):
        raise ParameterError(f"unit={unit!r} must be one of {', '.join(map(repr, UNITS))}.")


def whole_nanoseconds(values: Array, what: str, unit: str | None = None) -> Array:
    """Return times as whole nanoseconds; the least int64 is none, as NumPy has it.

    Without a `unit` they are nanoseconds, unless one of them tells otherwise: read as such it lies within weeks of
    1970, read as seconds, milliseconds or microseconds between 1990 and 2100. A unit that is given is taken at its
    word.

    Parameters
    ----------
    values : ndarray of int64
        Times since 1970.
    what : str
        What they are called in errors.
    unit : {"s", "ms", "us", "ns"}, optional
        Their unit.

    Raises
    ------
    DataError
        If they look like another unit than nanoseconds and none is given, or do not fit int64 as nanoseconds; the
        message names the first row.

    Examples
    --------
    >>> whole_nanoseconds(np.array([1_704_189_598_123]), "ts", "ms")
    array([1704189598123000000])
    """
    if unit is None:
        _refuse_other_units(values, what)
        return values
    factor = UNITS[unit]
    if factor == 1 or not len(values):
        return values
    most = np.iinfo(np.int64).max // factor
    missing = values == np.iinfo(np.int64).min
    wrong = ((values > most) | (values < -most)) & ~missing
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"{what} holds times that int64 nanoseconds cannot: {values[row]} {unit} at row {row}.")
    return np.where(missing, values, values * factor)


def _refuse_other_units(values: Array, what: str) -> None:
    for row, unit in other_units(values):
        raise DataError(f"{what} {looks_like(unit, values[row], f' at row {row}')}")


def other_units(values: Array) -> Iterator[tuple[int, str]]:
    """Yield the rows of times that tell themselves not to be nanoseconds, and their unit.

    Examples
    --------
    >>> list(other_units(np.array([1_704_189_598_123, 1_704_189_598_123_000_000])))
    [(0, 'ms')]
    """
    # Real nanoseconds are greater than any other unit's plausible times; only what is not need be looked at closely.
    if not len(values) or values.min() >= NANOSECONDS_ALONE:
        return
    for unit in ("s", "ms", "us"):
        a_second = UNITS["s"] // UNITS[unit]
        for row in np.flatnonzero((values >= _SINCE * a_second) & (values < _UNTIL * a_second)).tolist():
            yield row, unit


def looks_like(unit: str, value: np.int64, where: str = "") -> str:
    """Say of which unit a time seems to be that was to be nanoseconds, and what to do."""
    there = value.astype(f"M8[{unit}]").astype("M8[s]")
    return (
        f"looks like {_CALLED[unit]}: {value}{where} would be {there} UTC; say unit={unit!r}, or unit='ns' if these "
        "are nanoseconds."
    )


def parse_session(session: str) -> tuple[str, int]:
    """Return the zone, and the local time of day (ns) at which a session begins.

    Examples
    --------
    >>> parse_session("America/Chicago 17:00")
    ('America/Chicago', 61200000000000)
    """
    match = re.fullmatch(r"(\S+?)(?: (\d\d):(\d\d))?", session) if isinstance(session, str) else None
    if match is None:
        raise ParameterError(
            f"session={session!r} must be a time zone, with a time if not midnight: 'America/Chicago 17:00'."
        )
    zone, hours, minutes = match.groups()
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ParameterError(f"session={session!r}: there is no time zone {zone!r}.") from None
    return zone, (int(hours or 0) * 60 + int(minutes or 0)) * 60_000_000_000
