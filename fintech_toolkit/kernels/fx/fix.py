"""The fix at four in London, and what prices do about it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Duration, helper, tick_kernel

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
FIX_TIME = Duration("fix_time", "local time of the fix in London, since midnight", "16h")
WINDOW = Duration("window", "length of the calculation window, whose middle the fix is; one minute until 2015", "5min")
CASES: list[dict[str, Any]] = [{}, {"fix_time": "10h", "window": "10s"}]


@helper
def _last_sunday(day, to_end):  # type: ignore[no-untyped-def]
    """Return the last Sunday, in days since 1970, of the month that ends so many days after a day."""
    end = day + to_end
    return end - (end + 4) % 7


@helper
def _is_summer(ts):  # type: ignore[no-untyped-def]
    """Return whether British clocks are an hour ahead: from the last Sunday of March to that of October, 01:00 UTC."""
    # Days and months by Hinnant (2021), "chrono-compatible low-level date algorithms": a year begins in March.
    day = (ts - HOUR) // DAY
    since = day + 719_468
    era_day = since % 146_097
    year = (era_day - era_day // 1_460 + era_day // 36_524 - era_day // 146_096) // 365
    year_day = era_day - (365 * year + year // 4 - year // 100)
    month = (5 * year_day + 2) // 153
    month_day = year_day - (153 * month + 2) // 5
    if month == 0:
        return day >= _last_sunday(day, 30 - month_day)
    if month == 7:
        return day < _last_sunday(day, 30 - month_day)
    return month < 7


@helper
def _fix_of(ts, fix_time):  # type: ignore[no-untyped-def]
    """Return the time of the fix on a time's day in London, and whether that is a day from Monday to Friday."""
    ahead = HOUR if _is_summer(ts) else 0
    local = ts + ahead
    midnight = local - local % DAY
    # No fix is at night, so that its clock is that of the day's later part.
    fix = midnight + fix_time
    fix -= HOUR if _is_summer(fix) else 0
    return fix, (midnight // DAY + 3) % 7 < 5


@tick_kernel(
    reads="ts",
    gives=["in_window:?", "fix_ts:i8"],
    parameters=[FIX_TIME, WINDOW],
    source="LSEG, WMR FX Benchmarks: Spot & Forward Rates Methodology Guide; Summer Time Order 2002 (SI 2002/262)",
    cases=CASES,
)
def wmr_schedule(ts: int, fix_time: int, window: int) -> tuple[bool, int]:
    """Whether a time is in the calculation window of the day's fix, and when that fix is, in UTC.

    The window reaches from half its length before 16:00 London time to half its length after, its end included; there
    is none on Saturdays and Sundays, of holidays nothing is known. British clocks change at 01:00 UTC on the last
    Sundays of March and October, as they do since 1996. A row's time cannot be missing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ts = np.array(["2024-03-28T15:01", "2024-03-28T16:01", "2024-04-02T15:01"], "M8[ns]")
    >>> ft.wmr_schedule(ts).in_window
    array([False,  True,  True])
    """
    fix, weekday = _fix_of(ts, fix_time)
    return weekday and fix - window // 2 <= ts <= fix + window // 2, fix


def _london_fix(now: int, fix_time: str) -> tuple[int, bool]:
    """The fix of a time's day, by the zone's own data."""
    import pandas as pd

    day = pd.Timestamp(now, tz="UTC").tz_convert("Europe/London").normalize().tz_localize(None)
    return (day + pd.Timedelta(fix_time)).tz_localize("Europe/London").value, day.day_of_week < 5


@wmr_schedule.oracle
def _(ts: Any, fix_time: str = "16h", window: str = "5min") -> Any:
    import pandas as pd

    half = pd.Timedelta(window).value // 2
    fixes = [_london_fix(int(now), fix_time) for now in ts]
    inside = [weekday and abs(int(now) - fix) <= half for now, (fix, weekday) in zip(ts, fixes, strict=True)]
    return np.array(inside, bool), np.array([fix for fix, _ in fixes], np.int64)


@tick_kernel(
    reads="price",
    gives=["fix", "fix_impact_bps"],
    parameters=[FIX_TIME, WINDOW],
    state=[
        ("sum", "f8"),
        ("n", "i8"),
        ("fix", "f8"),
        ("until", "i8"),
        ("hour", "i8"),
        ("fix_ts", "i8"),
        ("known", "?"),
        ("dated", "?"),
        ("weekday", "?"),
    ],
    warmup="the end of the first window that has a price",
    source="Evans (2018), Review of Finance 22; Krohn, Mueller and Whelan (2024), Journal of Finance 79, on the fix",
    cases=[{"fix_time": "10h", "window": "2s"}],
)
def fix_impact(s: Any, price: float, ts: int, fix_time: int, window: int) -> tuple[float, float]:
    """How far a price is from the last fix, in basis points: ``(price / fix - 1) 10⁴``; and that fix.

    The fix is the mean of the prices in the window of `wmr_schedule`, and known from the first tick after its end;
    until then the one before holds. The official one is a median of samples, one a second; where that is at hand,
    `simple_returns` against it is a subtraction. A row without a price (NaN, infinite or not positive) has no impact,
    and takes no part in a fix.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ts = np.array(["2024-07-01T15:00", "2024-07-01T15:02", "2024-07-01T15:10"], "M8[ns]")
    >>> ft.fix_impact(np.array([99.0, 101.0, 100.5]), ts=ts).fix_impact_bps.round(6)
    array([nan, nan, 50.])
    """
    if s.n > 0 and ts > s.until:
        s.fix = s.sum / s.n
        s.known = True
        s.n = 0
        s.sum = 0.0
    if not (np.isfinite(price) and price > 0.0):
        return (s.fix if s.known else np.nan), np.nan
    # Days in London begin, and its clocks change, at full hours: so long a fix is that of the row before.
    hour = ts // HOUR
    if hour != s.hour or not s.dated:
        s.hour, s.dated = hour, True
        s.fix_ts, s.weekday = _fix_of(ts, fix_time)
    if s.weekday and s.fix_ts - window // 2 <= ts <= s.fix_ts + window // 2:
        s.until = s.fix_ts + window // 2
        s.sum += price
        s.n += 1
    return (s.fix, (price / s.fix - 1.0) * 1e4) if s.known else (np.nan, np.nan)


@fix_impact.oracle
def _(price: Any, ts: Any, fix_time: str = "16h", window: str = "5min") -> Any:
    import pandas as pd

    half = pd.Timedelta(window).value // 2
    good = np.isfinite(price) & (price > 0)
    days = [_london_fix(int(now), fix_time) for now in ts]
    fixes = sorted({fix for fix, weekday in days if weekday})
    means = {fix: price[good & (np.abs(ts - fix) <= half)] for fix in fixes}
    known = [(fix + half, np.mean(prices)) for fix, prices in means.items() if len(prices)]
    last = np.array([next((mean for end, mean in reversed(known) if now > end), np.nan) for now in ts], float)
    return last, np.where(good, price / last - 1, np.nan) * 1e4
