"""What is said beside every trade."""

from __future__ import annotations

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_quote import quotes

QUOTED = ("symbol", "ts", "mid", "spread", "spread_bps", "segment", "sector", "rating", "currency")


def trades(over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of trades with the quotes that stood when they were done.

    Its sources are ``trades`` and those of `over`.

    Parameters
    ----------
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.

    Returns
    -------
    Flow
        All rows of trades come out, in their order.
    """
    standing = (quotes() if over is None else over).select(*QUOTED)
    return ft.source("trades").asof_join(standing, suffixes=("", "_quoted"))
