"""What dealers did."""

from __future__ import annotations

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_quote import quotes
from fintech_toolkit.enrichment.per_trade import trades
from fintech_toolkit.enrichment.windowed import windows_by


def dealers(every: str = "1D", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of what each dealer quoted in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    """
    return (
        (quotes() if over is None else over)
        .window(every, symbol="dealer")
        .agg(instruments=("symbol", "nunique"), quotes=("symbol", "count"), mean_spread_bps=("spread_bps", "mean"))
    )


def execution(every: str = "1D", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of how each dealer traded at each venue in windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The enriched trades; `trades`, if left out.
    """
    done = {"trades": ("price", "count"), "volume": ("size", "sum"), "vwap": ft.vwap("price", "size")}
    return windows_by(("dealer", "venue"), every, trades() if over is None else over, done)
