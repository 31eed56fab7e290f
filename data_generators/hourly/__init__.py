"""Contracts, the S&P 500 and the VIX, hour by hour of New York's trading days, with the betas that were planted."""

from data_generators.hourly.market import HourlyMarket, hourly_market
from data_generators.hourly.writing import FILES, write_hourly

__all__ = ["FILES", "HourlyMarket", "hourly_market", "write_hourly"]
