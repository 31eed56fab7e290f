"""Orders at scale: from order states and trades to classified orders, a simulated dark pool and reports."""

from fintech_toolkit.orders.book import book, depth
from fintech_toolkit.orders.classify import final_states
from fintech_toolkit.orders.language import NULL, ORDERS, QUOTES, TRADES, canonical
from fintech_toolkit.orders.matching import match_trades
from fintech_toolkit.orders.nbbo import mid_at, national_best
from fintech_toolkit.orders.settings import Market, Simulation
from fintech_toolkit.orders.simulation import SCENARIOS, Simulated, simulate

__all__ = [
    "NULL",
    "ORDERS",
    "QUOTES",
    "SCENARIOS",
    "TRADES",
    "Market",
    "Simulated",
    "Simulation",
    "book",
    "canonical",
    "depth",
    "final_states",
    "match_trades",
    "mid_at",
    "national_best",
    "simulate",
]
