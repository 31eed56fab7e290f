"""Guards before an order is sent: what fails one is to be looked at by a person."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Duration, Number, elapsed, later, tick_kernel

GIVES = ["passes:?", "reason:i8"]
PASSES, SIZE, NOTIONAL, PRICE, UNKNOWN = 0, 1, 2, 3, 4
ABOVE, BELOW = 1, 2


@tick_kernel(
    reads=["price", "reference"],
    gives=GIVES,
    parameters=[Number("band", "greatest distance, as a share of the reference: 0.05 is 5 %", above=0)],
    source="SEC Rule 15c3-5 (17 CFR 240.15c3-5); limit up - limit down plan, section V, on price bands",
    cases=[{"band": 0.0002}],
)
def price_band_guard(price: float, reference: float, band: float) -> tuple[bool, int]:
    """Whether the price of an order is within a band around a reference: ``|price / reference - 1| <= band``.

    The reason is 0 if it passes, 1 if it is above the band, 2 if below, 4 if that cannot be known: a price is missing
    (NaN or infinite) or the reference is not positive. What cannot be checked does not pass.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.price_band_guard(np.array([104.0, 106.0, 94.0, np.nan]), np.full(4, 100.0), band=0.05).reason
    array([0, 1, 2, 4])
    """
    if not (np.isfinite(price) and np.isfinite(reference) and reference > 0.0):
        return False, UNKNOWN
    distance = price / reference - 1.0
    if abs(distance) <= band:
        return True, PASSES
    return False, ABOVE if distance > 0.0 else BELOW


@price_band_guard.oracle
def _(price: Any, reference: Any, band: float) -> Any:
    known = np.isfinite(price) & np.isfinite(reference) & (reference > 0)
    distance = price / reference - 1
    reason = np.select([~known, distance > band, distance < -band], [4, 1, 2], 0)
    return reason == 0, reason


@tick_kernel(
    reads=["price", "size", "reference"],
    gives=GIVES,
    parameters=[
        Number("max_size", "greatest size of an order, in units", above=0),
        Number("max_notional", "greatest price times size, in units of money", above=0),
        Number("max_deviation", "greatest distance of the price, as a share of the reference", above=0),
    ],
    source="SEC Rule 15c3-5 (17 CFR 240.15c3-5), on erroneous orders by price and size",
    cases=[{"max_size": 12, "max_notional": 1000, "max_deviation": 0.0002}],
)
def fat_finger_guard(
    price: float, size: float, reference: float, max_size: float, max_notional: float, max_deviation: float
) -> tuple[bool, int]:
    """Whether an order is within limits of size, notional and price; what it fails first is the reason.

    0 if it passes, 1 if ``size > max_size``, 2 if ``|price| size > max_notional``, 3 if ``|price / reference - 1| >
    max_deviation``, 4 if a value is missing (NaN or infinite), the size is negative, or the reference is not positive.
    What cannot be checked does not pass.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price, size = np.array([100.0, 100.0, 100.0, 125.0]), np.array([10.0, 500.0, 90.0, 10.0])
    >>> ft.fat_finger_guard(
    ...     price, size, np.full(4, 100.0), max_size=100, max_notional=5_000, max_deviation=0.1).reason
    array([0, 1, 2, 3])
    """
    if not (np.isfinite(price) and np.isfinite(size) and np.isfinite(reference) and size >= 0.0 and reference > 0.0):
        return False, UNKNOWN
    if size > max_size:
        return False, SIZE
    if abs(price) * size > max_notional:
        return False, NOTIONAL
    if abs(price / reference - 1.0) > max_deviation:
        return False, PRICE
    return True, PASSES


@fat_finger_guard.oracle
def _(price: Any, size: Any, reference: Any, max_size: float, max_notional: float, max_deviation: float) -> Any:
    unknown = ~np.isfinite([price, size, reference]).all(axis=0) | (size < 0) | (reference <= 0)
    failed = [unknown, size > max_size, np.abs(price * size) > max_notional, abs(price / reference - 1) > max_deviation]
    reason = np.select(failed, [4, 1, 2, 3], 0)
    return reason == 0, reason


@tick_kernel(
    reads=["price", "reference"],
    gives="halted:?",
    parameters=[
        Number("pct", "move at which trading halts, as a share of the reference: 0.05 is 5 %", above=0),
        Duration("cool_off", "how long it stays halted, such as '5min'"),
    ],
    state=[("halted", "?"), ("until", "i8")],
    source="NYSE Rule 7.12, on trading halts due to extraordinary market volatility",
    cases=[{"pct": 0.00025, "cool_off": "1s"}, {"pct": 0.0002, "cool_off": "1ns"}],
)
def circuit_breaker(s: Any, price: float, reference: float, ts: int, pct: float, cool_off: int) -> bool:
    """Whether trading is halted: from a tick with ``|price / reference - 1| >= pct`` on, for the cool-off.

    The first tick at or after its end is judged anew, and may halt again; ticks in between do not make it longer. A row
    in which a price is missing (NaN or infinite) or the reference is not positive halts nothing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price = np.array([100.0, 92.0, 99.0, 99.0])
    >>> ft.circuit_breaker(
    ...     price, np.full(4, 100.0), ts=np.array([0, 1, 2, 6]), unit="s", pct=0.07, cool_off="5s")
    array([False,  True,  True, False])
    """
    if s.halted and ts < s.until:
        return True
    known = np.isfinite(price) and np.isfinite(reference) and reference > 0.0
    s.halted = known and abs(price / reference - 1.0) >= pct
    if s.halted:
        s.until = later(ts, cool_off)
    return bool(s.halted)


@circuit_breaker.oracle
def _(price: Any, reference: Any, ts: Any, pct: float, cool_off: str) -> Any:
    """From halt to halt, in the list of all moves."""
    import pandas as pd

    known = np.isfinite(price) & np.isfinite(reference) & (reference > 0)
    moves = np.flatnonzero(known & (np.abs(price / reference - 1) >= pct))
    halted = np.zeros(len(ts), bool)
    while len(moves):
        end = ts[moves[0]] + pd.Timedelta(cool_off).value
        # At least its own row, and all rows before the end.
        halted[moves[0] : max(np.searchsorted(ts, end), moves[0] + 1)] = True
        moves = moves[ts[moves] >= end]
    return halted


@tick_kernel(
    reads="ts",
    gives="allowed:?",
    parameters=[
        Number("rate", "events allowed per second in the long run", at_least=1e-3, at_most=1e9),
        Count("burst", "events allowed at one instant after a rest", 1, at_most=1_000_000),
    ],
    state=[("credit", "i8"), ("last", "i8"), ("seen", "?")],
    source="token bucket; RFC 2697, section 2",
    cases=[{"rate": 10}, {"rate": 7, "burst": 3}],
)
def throttle(s: Any, ts: int, rate: float, burst: int) -> bool:
    """Whether an event may pass a token bucket: one token each, `rate` new ones a second, room for `burst`.

    The bucket is full at first. An event without a token is not allowed, and takes none. Tokens are counted as whole
    nanoseconds, ``round(10⁹ / rate)`` each, so that no rounding adds up. A row's time cannot be missing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.throttle(np.array([0, 1, 2, 400, 1000]), unit="ms", rate=2, burst=2)
    array([ True,  True, False, False,  True])
    """
    token = np.int64(np.rint(1e9 / rate))
    full = burst * token
    gone = elapsed(s.last, ts) if s.seen else full
    s.credit = full if gone >= full - s.credit else s.credit + gone
    s.last = ts
    s.seen = True
    if s.credit < token:
        return False
    s.credit -= token
    return True


@throttle.oracle
def _(ts: Any, rate: float, burst: int = 1) -> Any:
    """The same by its twin, the generic cell rate algorithm (ITU-T I.371): when is the next one due at the earliest?"""
    token = round(1e9 / rate)
    due, allowed = None, []
    for now in ts.tolist():
        due = now if due is None else max(due, now)
        allowed.append(due - now <= (burst - 1) * token)
        due += token if allowed[-1] else 0
    return np.array(allowed, bool)
