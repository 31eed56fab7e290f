"""Perpetual futures: what funding costs, what they are worth, and what is open in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Duration, tick_kernel
from fintech_toolkit.scan.arithmetic import add, value_of

YEAR = 365 * 24 * 3_600 * 10**9
INTERVAL = Duration("interval", "time between two fundings, at whole multiples since 1970 UTC", "8h")


@tick_kernel(
    reads="funding_rate",
    gives=["funding_apr", "funding_apy"],
    parameters=[INTERVAL],
    source="definition: simple and compound interest, a year of 365 days",
    cases=[{}, {"interval": "1h"}],
)
def funding_apr(funding_rate: float, interval: int) -> tuple[float, float]:
    """What the funding rate of one interval comes to in a year, without and with compound interest.

    With n intervals a year ``funding_apr = n rate`` and ``funding_apy = (1 + rate)ⁿ - 1``, as shares: 0.1095 is 10.95
    %. NaN where the rate is missing (NaN or infinite), the second also where it is below -1.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.funding_apr(np.array([0.0001])).funding_apr.round(6)
    array([0.1095])
    """
    if not np.isfinite(funding_rate):
        return np.nan, np.nan
    times = YEAR / interval
    compound = np.expm1(times * np.log1p(funding_rate)) if funding_rate > -1.0 else np.nan
    return times * funding_rate, compound if funding_rate != -1.0 else -1.0


@funding_apr.oracle
def _(funding_rate: Any, interval: str = "8h") -> Any:
    import pandas as pd

    rate = np.where(np.isfinite(funding_rate), funding_rate, np.nan)
    times = pd.Timedelta(days=365) / pd.Timedelta(interval)
    return rate * times, np.where(rate >= -1, (1 + rate) ** times - 1, np.nan)


@tick_kernel(
    reads=["funding_rate", "position", "price"],
    gives=["funding_cost", "total_cost"],
    state=[("total", "f8"), ("lost", "f8")],
    source="definition: position times mark price times rate",
)
def funding_cost(s: Any, funding_rate: float, position: float, price: float) -> tuple[float, float]:
    """What a position pays at a funding, ``rate position price``, and what it has paid so far.

    Each row is a funding. A positive rate is paid by who is long (a position above 0) to who is short; what is received
    is negative. The total is a compensated sum, the start of a session begins it anew. A row in which a value is
    missing (NaN or infinite) costs NaN, and leaves the total as it was.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.funding_cost(np.array([1e-4, -2e-4]), np.array([2.0, 2.0]), np.array([5e4, 5e4])).total_cost.round(6)
    array([ 10., -10.])
    """
    cost = np.nan
    if np.isfinite(funding_rate) and np.isfinite(position) and np.isfinite(price):
        cost = funding_rate * position * price
        if np.isfinite(cost):
            s.total, s.lost = add(s.total, s.lost, cost)
    return cost, value_of(s.total, s.lost)


@funding_cost.oracle
def _(funding_rate: Any, position: Any, price: Any) -> Any:
    from math import fsum

    known = np.isfinite([funding_rate, position, price]).all(axis=0)
    cost = np.where(known, funding_rate * position * price, np.nan)
    paid = np.where(known, cost, 0.0)
    return cost, np.array([fsum(paid[: i + 1]) for i in range(len(paid))], float)


@tick_kernel(
    reads=["spot", "funding_rate"],
    gives="fair_price",
    parameters=[INTERVAL],
    source="BitMEX, Fair Price Marking: perpetual contracts",
    cases=[{}, {"interval": "1s"}],
)
def perp_fair_price(spot: float, funding_rate: float, ts: int, interval: int) -> float:
    """Fair price of a perpetual future: the index, and the funding that is due until the next one:
    ``spot (1 + rate · time to the next funding / interval)``.

    Right after a funding all of the rate is due, at the next one nothing. NaN where a value is missing (NaN or
    infinite).

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ts = np.array(["2024-01-01T00:00:01", "2024-01-01T04:00:00", "2024-01-01T08:00:00"], "M8[s]")
    >>> ft.perp_fair_price(np.full(3, 5e4), np.full(3, 1e-3), ts=ts).round(2)
    array([50050., 50025., 50000.])
    """
    if not (np.isfinite(spot) and np.isfinite(funding_rate)):
        return np.nan
    return spot * (1.0 + funding_rate * ((-ts % interval) / interval))


@perp_fair_price.oracle
def _(spot: Any, funding_rate: Any, ts: Any, interval: str = "8h") -> Any:
    import pandas as pd

    times = pd.DatetimeIndex(pd.to_datetime(ts))
    due = (times.ceil(interval) - times) / pd.Timedelta(interval)
    return np.where(np.isfinite(spot) & np.isfinite(funding_rate), spot + spot * funding_rate * due.to_numpy(), np.nan)


@tick_kernel(
    reads="open_interest",
    gives=["oi_delta", "oi_change"],
    state=[("last", "f8"), ("seen", "?")],
    warmup="two valid rows",
    source="pandas, Series.diff() and pct_change()",
)
def open_interest_delta(s: Any, open_interest: float) -> tuple[float, float]:
    """Change of the open interest since the last valid row, in its unit and as a share of what it was.

    A row without an open interest (NaN, infinite or negative) has no change, and is passed over by the next one; the
    share is NaN after a zero.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.open_interest_delta(np.array([100.0, np.nan, 110.0, 99.0])).oi_delta
    array([ nan,  nan,  10., -11.])
    """
    if not (np.isfinite(open_interest) and open_interest >= 0.0):
        return np.nan, np.nan
    before, seen = s.last, s.seen
    s.last = open_interest
    s.seen = True
    if not seen:
        return np.nan, np.nan
    delta = open_interest - before
    return delta, delta / before if before > 0.0 else np.nan


@open_interest_delta.oracle
def _(open_interest: Any) -> Any:
    import pandas as pd

    known = pd.Series(open_interest)[np.isfinite(open_interest) & (open_interest >= 0)]
    rows = np.arange(len(open_interest))
    share = known.pct_change().where(known.shift() > 0)
    return known.diff().reindex(rows).to_numpy(), share.reindex(rows).to_numpy()
