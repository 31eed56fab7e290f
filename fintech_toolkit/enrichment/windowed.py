"""Quotes and trades in windows of time: of each instrument, and of each segment of the market."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_quote import quotes
from fintech_toolkit.enrichment.per_trade import trades

SPREADS: dict[str, Any] = {
    "quotes": ("bid", "count"),
    "mean_spread_bps": ("spread_bps", "mean"),
    "min_spread_bps": ("spread_bps", "min"),
    "max_spread_bps": ("spread_bps", "max"),
    "median_spread_bps": ("spread_bps", "median"),
}
"""What quotes come to in a window."""


def windows_by(keys: Sequence[str], every: str, over: ft.Flow, aggregates: dict[str, Any]) -> ft.Flow:
    """Return the flow of windows of time for each combination of some columns, which come first in the result."""
    said = {name: (name, "first") for name in keys}
    rows = over.pipe(ft.joint_key(*keys)).window(every, symbol="joint_key").agg(**said, **aggregates)
    return rows.select(*keys, "ts", "window_end", *aggregates, "known_at")


def windows(every: str = "5min", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of each instrument's quotes in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    """
    return (quotes() if over is None else over).window(every).agg(mid=("mid", "last"), **SPREADS)


def segments(every: str = "5min", over: ft.Flow | None = None, *, by: Sequence[str] = ("segment", "sector")) -> ft.Flow:
    """Return the flow of the spreads of each segment of the market in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    by : list of str
        The columns that tell segments apart.
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
    """
    return (
        (trades() if over is None else over)
        .window(every)
        .agg(trades=("price", "count"), volume=("size", "sum"), vwap=ft.vwap("price", "size"), last=("price", "last"))
    )
