"""Quotes and trades in windows of time: of each instrument, and of each segment of the market."""

from __future__ import annotations

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_quote import quotes
from fintech_toolkit.enrichment.per_trade import trades


def windows(every: str = "5min", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of each instrument's quotes in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    """
    return (
        (quotes() if over is None else over)
        .window(every)
        .agg(
            quotes=("bid", "count"),
            mid=("mid", "last"),
            mean_spread_bps=("spread_bps", "mean"),
            min_spread_bps=("spread_bps", "min"),
            max_spread_bps=("spread_bps", "max"),
            median_spread_bps=("spread_bps", "median"),
        )
    )


def segments(every: str = "5min", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of the spreads of each segment of the market in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    """
    return (
        (quotes() if over is None else over)
        .window(every, symbol="segment")
        .agg(
            quotes=("bid", "count"),
            mean_spread_bps=("spread_bps", "mean"),
            min_spread_bps=("spread_bps", "min"),
            max_spread_bps=("spread_bps", "max"),
            median_spread_bps=("spread_bps", "median"),
        )
    )


def instruments(every: str = "1D", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of what was traded of each instrument in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched trades; `trades`, if left out.
    """
    return (
        (trades() if over is None else over)
        .window(every)
        .agg(trades=("price", "count"), volume=("size", "sum"), vwap=ft.vwap("price", "size"), last=("price", "last"))
    )
