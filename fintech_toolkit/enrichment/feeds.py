"""Feeds as they come, made into what the other flows read."""

from __future__ import annotations

from collections.abc import Collection

import fintech_toolkit as ft

ONE_SIDED = frozenset({"action", "side", "price", "size"})
"""By these columns a feed of one-sided quotes is known."""
QUOTE = ("symbol", "ts", "bid", "ask", "bid_size", "ask_size", "dealer")
YIELDS = ("yield_to_maturity", "spread_to_benchmark")
TRADE = ("symbol", "ts", "trade_id", "price", "size", "side", "dealer", "venue", *YIELDS)
"""What is taken of trades as they are reported."""
STAGES = {"contributed_ts": "processed_ts", "processed_ts": "sent_ts", "sent_ts": "ts"}
LATENCIES = ("processing_seconds", "sending_seconds", "transport_seconds", "latency_seconds")


def is_one_sided(columns: Collection[str]) -> bool:
    """Whether quotes with these columns are one-sided, as `two_sided` takes them."""
    return ONE_SIDED.issubset(columns)


def two_sided(over: ft.Flow | None = None, *, session: str | None = "UTC") -> ft.Flow:
    """Return the flow of a dealer's two-sided quote after each row of a one-sided feed.

    Indicative rows are left out. A row replaces what its dealer showed on its side and level, or, where its action is
    DELETE, its size is zero or its price no price (see `fintech_toolkit.two_sided_quotes`), takes it away.

    Parameters
    ----------
    over : Flow, optional
        The feed: ``symbol, ts, action, firm, level, side, price, size, dealer``, and the times ``contributed_ts``,
        ``processed_ts`` and ``sent_ts``. The source ``quotes``, if left out.
    session : str, optional
        The zone of the trading day, as for `quotes`: a day starts without any quote.

    Returns
    -------
    Flow
        ``symbol, ts, bid, ask, bid_size, ask_size, dealer``, and the seconds that each row was under way:
        ``processing_seconds`` from contributed to processed, ``sending_seconds`` to sent, ``transport_seconds`` to
        received (``ts``), and ``latency_seconds`` from the first to the last.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> quotes = enrichment.two_sided()(quotes=data_generators.sample("quotes", rows=100, profile="wide"))
    >>> list(quotes.columns[:7])
    ['symbol', 'ts', 'bid', 'ask', 'bid_size', 'ask_size', 'dealer']
    """
    firm = (ft.source("quotes") if over is None else over).filter(("firm", "==", True))
    took = [ft.latency(start, end).named(name) for (start, end), name in zip(STAGES.items(), LATENCIES, strict=False)]
    whole = ft.latency("contributed_ts", "ts").named(LATENCIES[-1])
    return firm.pipe(ft.two_sided_quotes(), *took, whole, session=session).select(*QUOTE, *LATENCIES)
