"""Whether the prices of a contract are fit to compute on: looked at before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from fintech_toolkit.schema import nanoseconds

Status = Literal["PASS", "WARN", "FAIL"]
_SEVERITY: tuple[Status, ...] = ("PASS", "WARN", "FAIL")
MOST_MISSING = 0.05
"""The share of rows without a price, or without the VIX or the index, above which a contract fails."""
MOST_OUTLIERS = 0.01
"""The share of changes beyond three standard deviations that hours of real markets have."""
FAR = 10.0
"""Standard deviations beyond which a single change is told."""


class Reason(BaseModel):
    """One thing that is wrong with a contract's rows.

    Attributes
    ----------
    status : {"WARN", "FAIL"}
        What it makes of the contract.
    text : str
        What it is, and the first row that has it.
    rows : int
        How many rows have it.
    """

    model_config = ConfigDict(frozen=True)

    status: Status
    text: str
    rows: int


class Verdict(BaseModel):
    """What the gate says of a contract: the worst of its reasons, PASS if there are none."""

    model_config = ConfigDict(frozen=True)

    status: Status
    reasons: tuple[Reason, ...]


def check(
    prices: pd.DataFrame, vix: pd.DataFrame, spx: pd.DataFrame, calendar: str | None = "XNYS", *, max_age: str = "2h"
) -> Verdict:
    """Return whether a contract's prices can be computed on, and all that is wrong with them.

    FAIL: no row, a type that cannot be used, times without a zone, a stamp that is missing or there twice, a price or a
    VIX that is not positive; prices, VIX or index missing at more than 5 % of rows. WARN: these at fewer rows, rows out
    of order, more than 1 % of changes beyond three standard deviations or one beyond ten, sessions of the exchange
    without a row, and rows outside of its sessions.

    Parameters
    ----------
    prices : DataFrame
        ``timestamp`` and ``price`` of one contract.
    vix, spx : DataFrame
        ``timestamp``, and ``vix`` or ``spx``.
    calendar : str, optional
        The exchange, as exchange_calendars names it; sessions are not looked at without.
    max_age : str
        How old the VIX and the index may be beside a price.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> import pandas as pd
    >>> stamps = pd.date_range("2024-01-02 14:30", periods=3, freq="h", tz="UTC")
    >>> prices, vix, spx = (
    ...     pd.DataFrame({"timestamp": stamps, name: values})
    ...     for name, values in {"price": [9.0, 9.1, -1.0], "vix": [15.0] * 3, "spx": [4700.0] * 3}.items()
    ... )
    >>> check(prices, vix, spx).reasons[0].text
    'price -1 is not positive, first in row 2 (2024-01-02 16:30:00+00:00)'
    """
    reasons = list(_unusable(prices, vix, spx))
    if not reasons:
        stamps = _ns(prices)
        reasons = [
            *_order(prices, stamps),
            *_values(prices),
            *_beside(stamps, vix, "vix", max_age),
            *_beside(stamps, spx, "spx", max_age),
            *(() if calendar is None else _sessions(stamps, calendar)),
        ]
    worst = max((_SEVERITY.index(reason.status) for reason in reasons), default=0)
    return Verdict(status=_SEVERITY[worst], reasons=tuple(reasons))


def _ns(frame: pd.DataFrame) -> Any:
    return frame["timestamp"].dt.as_unit("ns").astype("int64").to_numpy()


def _at(stamp: int) -> str:
    return str(pd.Timestamp(stamp, tz="UTC"))


def _unusable(prices: pd.DataFrame, vix: pd.DataFrame, spx: pd.DataFrame) -> Iterator[Reason]:
    """What keeps all else from being looked at."""
    for name, frame, value in (("prices", prices, "price"), ("vix", vix, "vix"), ("spx", spx, "spx")):
        if not len(frame):
            yield Reason(status="FAIL", text=f"{name}: there is no row", rows=0)
            continue
        stamps = frame["timestamp"]
        if not isinstance(stamps.dtype, pd.DatetimeTZDtype):
            text = f"{name}: timestamp is {stamps.dtype}, not a time with a zone; localize it"
            yield Reason(status="FAIL", text=text, rows=len(frame))
        elif stamps.isna().any():
            yield _first("FAIL", f"{name}: timestamp is missing", stamps.isna().to_numpy(), None)
        if not pd.api.types.is_float_dtype(frame[value]) and not pd.api.types.is_integer_dtype(frame[value]):
            yield Reason(status="FAIL", text=f"{name}: {value} is {frame[value].dtype}, not a number", rows=len(frame))


def _first(status: Status, text: str, wrong: Any, stamps: Any) -> Reason:
    row = int(np.argmax(wrong))
    when = "" if stamps is None else f" ({_at(stamps[row])})"
    return Reason(status=status, text=f"{text}, first in row {row}{when}", rows=int(wrong.sum()))


def _order(prices: pd.DataFrame, stamps: Any) -> Iterator[Reason]:
    twice = prices["timestamp"].duplicated().to_numpy()
    if twice.any():
        yield _first("FAIL", "timestamp is there twice", twice, stamps)
    back = np.r_[False, np.diff(stamps) < 0]
    if back.any():
        yield _first("WARN", "timestamp goes back, and rows were put in order", back, stamps)


def _values(prices: pd.DataFrame) -> Iterator[Reason]:
    """Prices that are missing, that are none, and that move as none should."""
    price, stamps = prices["price"].to_numpy("float64", na_value=np.nan), _ns(prices)
    missing = np.isnan(price)
    if missing.any():
        yield _first(_of_share(missing), f"price is missing in {missing.mean():.2%} of rows", missing, stamps)
    wrong = ~missing & ~((price > 0) & np.isfinite(price))
    if wrong.any():
        yield _first("FAIL", f"price {price[np.argmax(wrong)]:g} is not positive", wrong, stamps)
        return
    order = np.argsort(stamps, kind="stable")
    change = pd.Series(price[order]).pct_change(fill_method=None).to_numpy()
    if np.isfinite(change).sum() < 2:
        return
    with np.errstate(invalid="ignore"):  # of prices that do not move, no change is beyond
        distance = np.abs(change - np.nanmean(change)) / np.nanstd(change)
    beyond = distance > 3
    if beyond.mean() > MOST_OUTLIERS or (distance > FAR).any():
        largest = int(np.nanargmax(distance))
        row = order[largest]
        text = (
            f"{beyond.sum()} changes ({beyond.mean():.2%}) lie beyond 3 standard deviations; the largest, "
            f"{change[largest]:+.2%}, at {distance[largest]:.1f}, in row {row} ({_at(stamps[row])})"
        )
        yield Reason(status="WARN", text=text, rows=int(beyond.sum()))


def _of_share(wrong: Any) -> Status:
    return "FAIL" if wrong.mean() > MOST_MISSING else "WARN"


def _beside(stamps: Any, frame: pd.DataFrame, name: str, max_age: str) -> Iterator[Reason]:
    """What is missing, stale or no price of what stands beside a contract's rows."""
    own = frame.sort_values("timestamp", kind="stable")
    known, values = _ns(own), own[name].to_numpy("float64", na_value=np.nan)
    at = np.searchsorted(known, stamps, side="right") - 1
    age = np.where(at >= 0, stamps - known[at], np.iinfo("int64").max)
    stale = (age > nanoseconds(max_age, "max_age")) | np.isnan(values[at])
    if stale.any():
        text = f"{name} is missing, or older than {max_age}, at {stale.mean():.2%} of rows"
        yield _first(_of_share(stale), text, stale, stamps)
    wrong = ~stale & ~(values[at] > 0)
    if wrong.any():
        yield _first("FAIL", f"{name} {values[at][np.argmax(wrong)]:g} is not positive", wrong, stamps)


@lru_cache(maxsize=8)
def _schedule(calendar: str, first: str, last: str) -> Any:
    """When sessions open and close, in nanoseconds."""
    from exchange_calendars import get_calendar

    found = get_calendar(calendar, start=first, end=last).schedule
    return tuple(found[name].dt.as_unit("ns").astype("int64").to_numpy() for name in ("open", "close"))


def _sessions(stamps: Any, calendar: str) -> Iterator[Reason]:
    """Sessions without a row, and rows without a session."""
    ends = [pd.Timestamp(int(stamp)) for stamp in (stamps.min(), stamps.max())]
    # Whole years: contracts share them, and a calendar is not made for each.
    opens, closes = _schedule(calendar, f"{ends[0].year}-01-01", f"{ends[1].year}-12-31")
    at = np.searchsorted(opens, stamps, side="right") - 1
    outside = (at < 0) | (stamps > closes[at])
    if outside.any():
        yield _first("WARN", f"rows lie outside the sessions of {calendar}", outside, stamps)
    met = np.unique(at[~outside])
    if len(met):
        gaps = np.setdiff1d(np.arange(met[0], met[-1] + 1), met)
        if len(gaps):
            text = f"{len(gaps)} sessions of {calendar} have no row, first that of {_at(opens[gaps[0]])[:10]}"
            yield Reason(status="WARN", text=text, rows=0)
