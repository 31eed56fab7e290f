"""The national best bid and offer: from quotes, or from what orders and trades say of it; and as of a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.orders.language import NULL
from fintech_toolkit.orders.settings import Market


def national_best(orders: pd.DataFrame, trades: pd.DataFrame, quotes: pd.DataFrame) -> pd.DataFrame:
    """Return the national best bid and offer of a security over a day.

    They are those of the quotes. Where there are none, they are the snapshots that order states and trades carry; of
    several at one nanosecond the last holds, trades after orders. A row without a snapshot says nothing of them.

    Parameters
    ----------
    orders, trades, quotes : DataFrame
        Canonical frames of one security and day; the quotes may be empty.

    Returns
    -------
    DataFrame
        A row for each nanosecond at which something is said of it, in time order:

        * ``timestamp``: datetime64[ns, UTC];
        * ``bid``, ``offer``: int64 in price units, `NULL` on a side without a price above 0;
        * ``mid``: float64 in price units, half ticks kept; NaN if a side is absent;
        * ``locked``, ``crossed``: the bid is equal to the offer, or above it.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> quote = {"timestamp": pd.Timestamp("2024-09-05T01:00:00Z"), "security_code": 110621}
    >>> quotes = orders.canonical(pd.DataFrame([quote | {"national_bid": 3330, "national_offer": 3335}]), orders.QUOTES)
    >>> none = pd.DataFrame()
    >>> orders.national_best(none, none, quotes)[["bid", "offer", "mid", "crossed"]]
        bid  offer     mid  crossed
    0  3330   3335  3332.5    False
    """
    frames = [quotes] if len(quotes) else [orders, trades]
    time, bid, offer = (
        np.concatenate([frame[name].to_numpy(dtype).view("int64") for frame in frames])
        for name, dtype in (("timestamp", "datetime64[ns]"), ("national_bid", "int64"), ("national_offer", "int64"))
    )
    said = np.flatnonzero((bid != NULL) | (offer != NULL)) if frames[0] is not quotes else np.arange(len(time))
    said = said[np.argsort(time[said], kind="stable")]
    said = said[np.append(time[said[1:]] != time[said[:-1]], True)] if len(said) else said
    time, bid, offer = (
        time[said],
        np.where(bid[said] > 0, bid[said], NULL),
        np.where(offer[said] > 0, offer[said], NULL),
    )
    whole = (bid != NULL) & (offer != NULL)
    return pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(time.view("datetime64[ns]"), tz="UTC"),
            "bid": bid,
            "offer": offer,
            "mid": np.where(whole, (np.where(whole, bid, 0) + np.where(whole, offer, 0)) / 2, np.nan),
            "locked": whole & (bid == offer),
            "crossed": whole & (bid > offer),
        }
    )


def mid_at(times: pd.Series, nbbo: pd.DataFrame, market: Market) -> pd.DataFrame:
    """Return the best bid and offer that stood at given times, and whether it was good to use.

    Parameters
    ----------
    times : Series of datetime64[ns, UTC]
        In any order. What is said at the very nanosecond counts.
    nbbo : DataFrame
        As `national_best` gives it.
    market : Market
        How old it may be.

    Returns
    -------
    DataFrame
        With the index of `times`: ``bid``, ``offer``, ``mid``, ``locked`` and ``crossed`` as in `nbbo`, where nothing
        stood yet `NULL`, NaN and False; ``age_seconds``, float64, since it was last said, NaN if never; ``stale``:
        whether this is more than ``market.stale_seconds``.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> times = pd.Series(pd.to_datetime(["2024-09-05T01:00:00Z", "2024-09-05T02:00:00Z"]))
    >>> quotes = pd.DataFrame({"timestamp": times[:1], "bid": 3330, "offer": 3335, "mid": 3332.5, "locked": False,
    ...                        "crossed": False})
    >>> orders.mid_at(times, quotes, orders.Market())[["mid", "age_seconds", "stale"]]
          mid  age_seconds  stale
    0  3332.5          0.0  False
    1  3332.5       3600.0   True
    """
    asked, told = (each.to_numpy("datetime64[ns]").view("int64") for each in (times, nbbo["timestamp"]))
    stood = np.searchsorted(told, asked, side="right")  # 0: nothing yet

    def of(name: str, absent: Any) -> np.ndarray:
        return np.append(absent, nbbo[name].to_numpy())[stood]

    age = np.where(stood > 0, (asked - np.append(0, told)[stood]) / 1e9, np.nan)
    return pd.DataFrame(
        {
            "bid": of("bid", NULL),
            "offer": of("offer", NULL),
            "mid": of("mid", np.nan),
            "locked": of("locked", False),
            "crossed": of("crossed", False),
            "age_seconds": age,
            "stale": age > market.stale_seconds,
        },
        times.index,
    )
