"""Orders at scale: from order states and trades to classified orders, a simulated dark pool and reports."""

from fintech_toolkit.orders.ingest import Ingested, ingest
from fintech_toolkit.orders.intake import Selection, Taken
from fintech_toolkit.orders.reading import read_orders, read_quotes, read_trades
from fintech_toolkit.orders.store import SecurityDay, Store

__all__ = [
    "Ingested",
    "SecurityDay",
    "Selection",
    "Store",
    "Taken",
    "ingest",
    "read_orders",
    "read_quotes",
    "read_trades",
]
