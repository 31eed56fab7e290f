"""Quotes, securities and trades become something to trade on: named dataflows, and all of them at once."""

from fintech_toolkit.enrichment.market import Enrichment, dataflows, enrich
from fintech_toolkit.enrichment.per_dealer import dealers, execution
from fintech_toolkit.enrichment.per_quote import quotes
from fintech_toolkit.enrichment.per_trade import trades
from fintech_toolkit.enrichment.windowed import instruments, segments, windows

__all__ = [
    "Enrichment",
    "dataflows",
    "dealers",
    "enrich",
    "execution",
    "instruments",
    "quotes",
    "segments",
    "trades",
    "windows",
]
