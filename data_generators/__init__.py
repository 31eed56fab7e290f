"""Synthetic markets, believable, and the same bytes for the same seed: of bonds, and of shares hour by hour.

>>> import data_generators
>>> quotes = data_generators.sample("quotes", rows=1000)
>>> list(quotes.columns)
['symbol', 'ts', 'bid', 'ask', 'bid_size', 'ask_size', 'dealer']
"""

from data_generators.errors import GeneratorError
from data_generators.faults import Faults
from data_generators.hourly import HourlyMarket, hourly_market, write_hourly
from data_generators.sampling import sample, stream
from data_generators.wire import to_wire
from data_generators.writing import Report, write

__all__ = [
    "Faults",
    "GeneratorError",
    "HourlyMarket",
    "Report",
    "hourly_market",
    "sample",
    "stream",
    "to_wire",
    "write",
    "write_hourly",
]
