"""When New York trades: the stamps of days, holidays, half days and clock changes as the exchange has them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_generators.errors import GeneratorError

NIGHT_HOURS = 2.0
"""Hours of trading to which a night or a weekend comes in how far prices move."""
HOURS_PER_YEAR = 252 * (6.5 + NIGHT_HOURS)


def trading_hours(start: str, days: int) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """Return the stamps of trading days, and the hours of trading since the one before.

    A day has the stamps 09:30, 10:30 … 15:30 and 16:00 in New York, eight in all; a half day ends at 13:00, with five.

    Parameters
    ----------
    start : str
        The first day, if there is trading on it, else the next one on which there is.
    days : int
        Trading days.

    Returns
    -------
    DatetimeIndex, float64
        In UTC; the first stamp has the hours of a night before it.

    Raises
    ------
    GeneratorError
        If the start is no date, or the calendar does not reach so far.

    Examples
    --------
    >>> stamps, hours = trading_hours("2024-03-08", days=2)
    >>> stamps[[0, 7, 8]].strftime("%d %H:%M").tolist()
    ['08 14:30', '08 21:00', '11 13:30']
    """
    import exchange_calendars

    try:
        first = pd.Timestamp(start).normalize().tz_localize(None)
        last = first + pd.Timedelta(days=days * 7 // 5 + days // 20 + 10)
        calendar = exchange_calendars.get_calendar("XNYS", start=first, end=last)
    except (ValueError, OverflowError) as error:
        raise GeneratorError(f"no calendar of New York for {days:,} days from {start!r}: {error}") from error
    schedule = calendar.schedule.iloc[:days]
    opens, closes = (pd.DatetimeIndex(schedule[name]).as_unit("ns").asi8 for name in ("open", "close"))
    hour = pd.Timedelta("1h").value
    stamps = opens[:, None] + hour * np.arange(7)
    trading = stamps < closes[:, None]
    whole = np.sort(np.concatenate([stamps[trading], closes]))
    since = np.diff(whole, prepend=whole[0]) / hour
    since[np.isin(whole, opens)] = NIGHT_HOURS
    return pd.DatetimeIndex(whole, tz="UTC"), since
