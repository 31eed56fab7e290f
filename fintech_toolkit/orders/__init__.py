"""Orders at scale: from order states and trades to classified orders, a simulated dark pool and reports."""

from fintech_toolkit.orders.aggregates import Aggregates, Summary, summarise
from fintech_toolkit.orders.book import book, depth
from fintech_toolkit.orders.classify import final_states
from fintech_toolkit.orders.comparison import compare
from fintech_toolkit.orders.config import OrdersConfig
from fintech_toolkit.orders.day import Day, analyse
from fintech_toolkit.orders.inference import (
    Anova,
    Paired,
    Trend,
    adjusted,
    anova,
    anova_tests,
    paired,
    paired_tests,
    trend,
)
from fintech_toolkit.orders.ingest import Ingested, ingest
from fintech_toolkit.orders.intake import Selection, Taken
from fintech_toolkit.orders.language import NULL, ORDERS, QUOTES, TRADES, canonical
from fintech_toolkit.orders.matching import match_trades
from fintech_toolkit.orders.measures import MEASURES, measure
from fintech_toolkit.orders.nbbo import mid_at, national_best
from fintech_toolkit.orders.reading import read_orders, read_quotes, read_trades
from fintech_toolkit.orders.run import Ran, run_orders
from fintech_toolkit.orders.settings import SCENARIOS, Market, Simulation
from fintech_toolkit.orders.simulation import Simulated, simulate
from fintech_toolkit.orders.store import SecurityDay, Store
from fintech_toolkit.orders.unmatched import unmatched

__all__ = [
    "MEASURES",
    "NULL",
    "ORDERS",
    "QUOTES",
    "SCENARIOS",
    "TRADES",
    "Aggregates",
    "Anova",
    "Day",
    "Ingested",
    "Market",
    "OrdersConfig",
    "Paired",
    "Ran",
    "SecurityDay",
    "Selection",
    "Simulated",
    "Simulation",
    "Store",
    "Summary",
    "Taken",
    "Trend",
    "adjusted",
    "analyse",
    "anova",
    "anova_tests",
    "book",
    "canonical",
    "compare",
    "depth",
    "final_states",
    "ingest",
    "match_trades",
    "measure",
    "mid_at",
    "national_best",
    "paired",
    "paired_tests",
    "read_orders",
    "read_quotes",
    "read_trades",
    "run_orders",
    "simulate",
    "summarise",
    "trend",
    "unmatched",
]
