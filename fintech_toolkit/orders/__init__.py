"""Orders at scale: from order states and trades to classified orders, a simulated dark pool and reports."""

from fintech_toolkit.orders.classify import final_states
from fintech_toolkit.orders.config import OrdersConfig
from fintech_toolkit.orders.ingest import Ingested, ingest
from fintech_toolkit.orders.intake import Selection, Taken
from fintech_toolkit.orders.language import NULL, ORDERS, QUOTES, TRADES, canonical
from fintech_toolkit.orders.matching import match_trades
from fintech_toolkit.orders.nbbo import mid_at, national_best
from fintech_toolkit.orders.reading import read_orders, read_quotes, read_trades
from fintech_toolkit.orders.settings import Market, Simulation
from fintech_toolkit.orders.simulation import SCENARIOS, Simulated, simulate
from fintech_toolkit.orders.store import SecurityDay, Store

__all__ = [
    "NULL",
    "ORDERS",
    "QUOTES",
    "SCENARIOS",
    "TRADES",
    "Ingested",
    "Market",
    "OrdersConfig",
    "SecurityDay",
    "Selection",
    "Simulated",
    "Simulation",
    "Store",
    "Taken",
    "canonical",
    "final_states",
    "ingest",
    "match_trades",
    "mid_at",
    "national_best",
    "read_orders",
    "read_quotes",
    "read_trades",
    "simulate",
]
