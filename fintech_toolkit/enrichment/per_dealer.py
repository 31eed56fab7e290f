"""What dealers did."""

from __future__ import annotations

from typing import Any

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_quote import quotes
from fintech_toolkit.enrichment.per_trade import trades
from fintech_toolkit.enrichment.windowed import windows_by

COSTS = ("effective_spread_bps", "realized_bps_1min", "markout_bps_1min", "improvement_bps")
FIGURES = ("quotes_per_second", "time_at_best", "quotes_at_best", "uptime", "response_time")


def quoting(every: str = "1D", over: ft.Flow | None = None, *, session: str | None = "UTC") -> ft.Flow:
    """Return the flow of what each dealer quoted of each instrument in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    session : str, optional
        The zone of the trading day, as for `quotes`: with each day, as with each window, the figures begin anew.

    Returns
    -------
    Flow
        For each window of an instrument and a dealer the number of quotes, their mean spread in basis points, and the
        figures of `fintech_toolkit.dealer_activity` after the last of them. These go by prices: a quote of no size
        stands there, and one that is old.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities")}
    >>> quoting = enrichment.quoting()(**market)
    >>> int(quoting["quotes"].sum()), bool(quoting["time_at_best"].dropna().between(0, 1).all())
    (500, True)
    """
    figures = ft.dealer_activity(window=every).named(*FIGURES[:3], "mean_spread", *FIGURES[3:])
    done = {
        "quotes": ("spread_bps", "count"),
        "mean_spread_bps": ("spread_bps", "mean"),
        **{name: (name, "last") for name in FIGURES},
    }
    active = (quotes() if over is None else over).pipe(figures, session=session)
    return windows_by(("symbol", "dealer"), every, active, done)


def dealers(every: str = "1D", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of what each dealer quoted of all instruments in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        What `quoting` gives; that of windows of the same length, if left out.

    Returns
    -------
    Flow
        For each window of a dealer the number of instruments and of quotes, and of the other columns of `quoting` the
        mean over instruments. Quotes without a dealer are those of a dealer without name, who has no figures.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities")}
    >>> int(enrichment.dealers()(**market)["quotes"].sum())
    500
    """
    done: dict[str, Any] = {
        "instruments": ("symbol", "count"),
        "quotes": ("quotes", "sum"),
        **{name: (name, "mean") for name in ("mean_spread_bps", *FIGURES)},
    }
    return windows_by(("dealer",), every, quoting(every) if over is None else over, done)


def execution(every: str = "1D", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of how each dealer traded at each venue in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched trades; `trades`, if left out.

    Returns
    -------
    Flow
        For each window of a dealer and a venue the number of trades, volume, and on average, in basis points,
        ``effective_spread_bps`` (twice what a client paid against the mid), ``realized_bps_1min`` (what was left of it
        a minute later), ``markout_bps_1min`` and ``improvement_bps`` (see `trades`).

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities", "trades")}
    >>> bool((enrichment.execution()(**market)["effective_spread_bps"].dropna() >= 0).all())
    True
    """
    done = {
        "trades": ("price", "count"),
        "volume": ("size", "sum"),
        **{name: (name, "mean") for name in COSTS},
    }
    return windows_by(("dealer", "venue"), every, trades() if over is None else over, done)
