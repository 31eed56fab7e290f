"""Quotes and trades in windows of time: of each instrument, and of each segment of the market."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_quote import quotes
from fintech_toolkit.enrichment.per_trade import trades

SPREADS: dict[str, Any] = {
    "quotes": ("symbol", "count"),
    "mean_spread_bps": ("best_spread_bps", "mean"),
    "min_spread_bps": ("best_spread_bps", "min"),
    "max_spread_bps": ("best_spread_bps", "max"),
    "median_spread_bps": ("best_spread_bps", "median"),
    "total_bid_size": ("best_bid_size", "sum"),
    "total_ask_size": ("best_ask_size", "sum"),
}
"""What quotes come to in a window: the best spreads after them, and the sizes at the best, summed."""

AT_END = (
    "best_bid",
    "best_ask",
    "best_mid",
    "volatility",
    "changes_per_second",
    "mean_life",
    "competition",
)
END_OF_WINDOW: dict[str, Any] = {
    "left_on": "window_end",
    "right_on": "ts",
    "allow_exact_matches": False,
    "suffixes": ("", "_last"),
}
"""How the last row of a window is found, missing values included, which an aggregation by "last" would pass over."""


def windows_by(keys: Sequence[str], every: str, over: ft.Flow, aggregates: dict[str, Any]) -> ft.Flow:
    """Return the flow of windows of time for each combination of some columns, which come first in the result."""
    said = {name: (name, "first") for name in keys}
    rows = over.pipe(ft.joint_key(*keys)).window(every, symbol="joint_key").agg(**said, **aggregates)
    return rows.select(*keys, "ts", "window_end", *aggregates, "known_at")


def windows(every: str = "5min", over: ft.Flow | None = None, *, session: str | None = "UTC") -> ft.Flow:
    """Return the flow of each instrument's quotes in windows of time.

    Sliding windows, and those that a pause ends, are as near: ``quotes().window("5min", every="1min").agg(…)`` and
    ``quotes().session_window("1min").agg(…)``.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    session : str, optional
        The zone of the trading day, as for `quotes`.

    Returns
    -------
    Flow
        For each window of an instrument the number of quotes; mean, least, greatest and median best spread after them
        in basis points, and the sums of the sizes at the best; ``order_flow``, the imbalance of what came and went at
        the best (`fintech_toolkit.ofi`); ``tw_spread``, the best spread on average over the time in which it stood; how
        many quotes left the market locked and crossed; and what stood after the last of them:
        ``best_bid``, ``best_ask``, ``best_mid``, and over as long as a window before it ``volatility`` (of the best
        mid, from quote to quote), ``changes_per_second`` and ``mean_life`` of the best quotes, and since the window
        began ``competition`` (the Herfindahl index over dealers of the time at the best; 1: one is alone there), which
        goes by prices: a quote of no size stands there, and one that is old.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities")}
    >>> windows = enrichment.windows("1min")(**market)
    >>> int(windows["quotes"].sum()), bool((windows["best_bid"] < windows["best_ask"]).all())
    (500, True)
    """
    enriched = quotes() if over is None else over
    measured = enriched.pipe(
        ft.quote_volatility("best_mid", window=every).named("volatility"),
        ft.quote_stability("best_bid", "best_ask", window=every),
        ft.best_herfindahl(window=every).named("competition"),
        ft.ofi("best_bid", "best_ask", "best_bid_size", "best_ask_size").named("order_flow"),
        session=session,
    )
    made = measured.window(every).agg(
        **SPREADS,
        order_flow=("order_flow", "sum"),
        tw_spread=ft.time_weighted_spread("best_bid", "best_ask"),
        locked=("locked", "sum"),
        crossed=("crossed", "sum"),
    )
    return made.asof_join(measured.select("symbol", "ts", *AT_END), **END_OF_WINDOW)


def segments(every: str = "5min", over: ft.Flow | None = None, *, by: Sequence[str] = ("segment", "sector")) -> ft.Flow:
    """Return the flow of the best spreads of each segment of the market in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    by : list of str
        The columns that tell segments apart.

    Returns
    -------
    Flow
        For each window of a segment the number of quotes, mean, least, greatest and median best spread in basis points,
        and the sum of the sizes at the best. Instruments that no security says anything of are a segment without name.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities")}
    >>> sorted(enrichment.segments("1h", by=["segment"])(**market)["segment"])
    ['GOVT', 'HG', 'HY', 'IG']
    """
    return windows_by(by, every, quotes() if over is None else over, SPREADS)


def instruments(every: str = "1D", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of what was traded of each instrument in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched trades; `trades`, if left out.

    Returns
    -------
    Flow
        For each window of an instrument the number of trades, volume, ``net_volume`` (bought less sold),
        volume-weighted and last price, and the mean ``improvement_bps``.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities", "trades")}
    >>> int(enrichment.instruments()(**market)["trades"].sum())
    500
    """
    return (
        (trades() if over is None else over)
        .window(every)
        .agg(
            trades=("price", "count"),
            volume=("size", "sum"),
            net_volume=("signed_volume", "sum"),
            vwap=ft.vwap("price", "size"),
            last=("price", "last"),
            improvement_bps=("improvement_bps", "mean"),
        )
    )
