"""Prices of contracts that move with an index as much as was planted, and a volatility index that fears its falls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_generators.datasets import whole_number
from data_generators.hourly.trading_hours import HOURS_PER_YEAR, trading_hours
from data_generators.randomness import check_seed, generator

TICKERS = (
    *("AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "BRK.B", "LLY", "JPM", "V"),
    *("UNH", "XOM", "JNJ", "PG", "MA", "HD", "COST", "CVX", "MRK", "KO"),
)

LEVEL = 17.0
"""What the VIX goes back to, in points."""
REVERSION = 12.0
"""How strongly, a year: half of the way in three weeks."""
VOLATILITY = 1.0
"""Of the VIX's logarithm, a year."""
CORRELATION = -0.75
"""Of the VIX's moves with those of the index."""
PREMIUM = 0.85
"""How volatile the index is for what the VIX says."""


@dataclass(frozen=True)
class HourlyMarket:
    """Prices, both indices, and the truth.

    Attributes
    ----------
    prices : DataFrame
        ``timestamp``, ``contract`` and ``price``: each contract at each stamp, in order of time.
    vix, spx : DataFrame
        ``timestamp`` and ``vix`` or ``spx``.
    truth : DataFrame
        ``contract``, its ``beta`` and ``volatility``, that of its own moves, in percent a year.
    """

    prices: pd.DataFrame
    vix: pd.DataFrame
    spx: pd.DataFrame
    truth: pd.DataFrame


def hourly_market(contracts: int = 10, days: int = 252, seed: int = 0, start: str = "2011-01-03") -> HourlyMarket:
    """Return contracts, the VIX and the S&P 500 at eight stamps of each of New York's trading days.

    Every value depends on earlier random numbers alone, none is drawn from a later one: no rule that looks at the past
    wins more often than chance has it. A change of a contract is its beta times that of the index, plus its own, in
    proportion to the price; the index is as volatile as the VIX was at the stamp before, and the VIX rises when the
    index falls, and goes back to its level.

    Parameters
    ----------
    contracts : int
        How many; the first ones have the names of large companies. More of them leave the others as they are.
    days : int
        Trading days; more of them leave the earlier ones as they are. 3,520 are 28,000 stamps.
    seed : int
        The same seed gives the same market.
    start : str
        The first day.

    Returns
    -------
    HourlyMarket

    Raises
    ------
    GeneratorError
        If an argument is out of its range.

    Examples
    --------
    >>> import data_generators
    >>> market = data_generators.hourly_market(contracts=2, days=5)
    >>> len(market.prices), len(market.vix), market.truth["contract"].tolist()
    (80, 40, ['AAPL', 'MSFT'])
    """
    contracts = whole_number(contracts, "contracts", least=1)
    days = whole_number(days, "days", least=1)
    check_seed(seed)
    stamps, hours = trading_hours(start, days)
    years = hours / HOURS_PER_YEAR
    vix, moves = _indices(seed, years)
    names = [*TICKERS[:contracts], *(f"STK{number:04d}" for number in range(len(TICKERS), contracts))]
    prices = np.empty((len(stamps), contracts))
    betas, volatilities = np.empty((2, contracts))
    for number in range(contracts):
        draws = generator(seed, "hourly contract", number)
        betas[number] = np.clip(draws.normal(1.0, 0.35), 0.2, 2.2)
        volatilities[number] = draws.uniform(15.0, 45.0)
        first = draws.uniform(30.0, 400.0)
        own = volatilities[number] / 100 * np.sqrt(years) * draws.standard_normal(len(stamps))
        prices[:, number] = first * np.cumprod(1 + betas[number] * moves + own)
    return HourlyMarket(
        pd.DataFrame(
            {
                "timestamp": np.repeat(stamps, contracts),
                "contract": pd.array(np.tile(names, len(stamps)), dtype="str"),
                "price": prices.round(4).ravel(),
            }
        ),
        pd.DataFrame({"timestamp": stamps, "vix": vix.round(2)}),
        pd.DataFrame({"timestamp": stamps, "spx": (1_270.0 * np.cumprod(1 + moves)).round(2)}),
        pd.DataFrame({"contract": pd.array(names, dtype="str"), "beta": betas, "volatility": volatilities}),
    )


def _indices(seed: int, years: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the VIX, and the changes of the index in proportion to it."""
    shocks = generator(seed, "hourly indices").standard_normal((len(years), 2))
    fear = CORRELATION * shocks[:, 0] + np.sqrt(1 - CORRELATION**2) * shocks[:, 1]
    kept = np.exp(-REVERSION * years)
    shaken = VOLATILITY * np.sqrt(years) * fear
    logs = np.empty(len(years))
    log = 0.0
    for step in range(len(years)):
        log = log * kept[step] + shaken[step]
        logs[step] = log
    vix = LEVEL * np.exp(logs)
    before = np.concatenate([[LEVEL], vix[:-1]])
    return vix, PREMIUM * before / 100 * np.sqrt(years) * shocks[:, 0]
