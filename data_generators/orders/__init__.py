"""Order states, trades and best bids and offers of an exchange: lit and dark orders, amendments, auctions, all codes.

>>> import tempfile
>>> from data_generators.orders import write_orders
>>> report = write_orders(tempfile.mkdtemp(), securities=2, days=1, states=1_000)
>>> report.files, report.states > 1_000
(5, True)
"""

from data_generators.orders.writing import Report, write_orders

__all__ = ["Report", "write_orders"]
