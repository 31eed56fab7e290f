"""Quotes, securities and trades become something to trade on: named dataflows, and all of them at once."""

from fintech_toolkit.enrichment.books import book, depth, last_trades
from fintech_toolkit.enrichment.discovery import dealer_mids, price_discovery
from fintech_toolkit.enrichment.feeds import two_sided
from fintech_toolkit.enrichment.folder import enrich_folder, read_enriched
from fintech_toolkit.enrichment.limits import positions, spread_alerts, volume_alerts
from fintech_toolkit.enrichment.market import Enrichment, dataflows, enrich
from fintech_toolkit.enrichment.per_dealer import dealers, execution, quoting
from fintech_toolkit.enrichment.per_quote import FIELDS, quotes, tight
from fintech_toolkit.enrichment.per_trade import HORIZONS, trades
from fintech_toolkit.enrichment.windowed import instruments, segments, windows

__all__ = [
    "FIELDS",
    "HORIZONS",
    "Enrichment",
    "book",
    "dataflows",
    "dealer_mids",
    "dealers",
    "depth",
    "enrich",
    "enrich_folder",
    "execution",
    "instruments",
    "last_trades",
    "positions",
    "price_discovery",
    "quotes",
    "quoting",
    "read_enriched",
    "segments",
    "spread_alerts",
    "tight",
    "trades",
    "two_sided",
    "volume_alerts",
    "windows",
]
