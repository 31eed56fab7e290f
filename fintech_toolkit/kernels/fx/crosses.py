"""Crosses of currencies, what goes around in them, and what a pip is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Choice, Number, tick_kernel, window_kernel
from fintech_toolkit.kernels.statistics.comoments import COMOMENTS, over_windows, slope

NEITHER, FORTH, BACK = 0, 1, -1


@tick_kernel(
    reads=["ab_bid", "ab_ask", "bc_bid", "bc_ask", "ac_bid", "ac_ask"],
    gives=["edge_bps", "route:i8"],
    parameters=[Number("fee_bps", "cost of each of the three trades, in basis points", 0.0, at_least=0, below=1e4)],
    source="definition; Aiba et al. (2002), Physica A 310",
    cases=[{}, {"fee_bps": 50}],
)
def triangular_arbitrage(
    ab_bid: float, ab_ask: float, bc_bid: float, bc_ask: float, ac_bid: float, ac_ask: float, fee_bps: float
) -> tuple[float, int]:
    """What is left over, in basis points, of going around three currencies A, B and C at the quotes, and which way.

    ``ab`` is the price of one A in B. Route 1 sells A for B, B for C, and buys A back: ``ab_bid bc_bid / ac_ask``;
    route -1 goes the other way, ``ac_bid / (bc_ask ab_ask)``. Each trade leaves ``1 - fee_bps 10⁻⁴``. The edge is that
    of the better route, minus 1, and negative as a rule; the route is 0 unless it is positive. Where there are mids
    only, give them twice. NaN and 0 where a price is missing (NaN or infinite) or not positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ab, bc, ac = np.array([1.10]), np.array([150.0]), np.array([164.8])
    >>> ft.triangular_arbitrage(ab, ab, bc, bc, ac, ac, fee_bps=1).edge_bps.round(3)
    array([9.133])
    """
    ab = np.isfinite(ab_bid) and np.isfinite(ab_ask) and ab_bid > 0.0 and ab_ask > 0.0
    bc = np.isfinite(bc_bid) and np.isfinite(bc_ask) and bc_bid > 0.0 and bc_ask > 0.0
    ac = np.isfinite(ac_bid) and np.isfinite(ac_ask) and ac_bid > 0.0 and ac_ask > 0.0
    if not (ab and bc and ac):
        return np.nan, NEITHER
    forth = ab_bid * bc_bid / ac_ask
    back = ac_bid / (bc_ask * ab_ask)
    kept = 1.0 - fee_bps * 1e-4
    edge = max(forth, back) * (kept * kept * kept) - 1.0
    if not edge > 0.0:
        return edge * 1e4, NEITHER
    return edge * 1e4, FORTH if forth >= back else BACK


@triangular_arbitrage.oracle
def _(ab_bid: Any, ab_ask: Any, bc_bid: Any, bc_ask: Any, ac_bid: Any, ac_ask: Any, fee_bps: float = 0.0) -> Any:
    """An amount of A, led around."""
    quotes = np.array([ab_bid, ab_ask, bc_bid, bc_ask, ac_bid, ac_ask])
    known = (np.isfinite(quotes) & (quotes > 0)).all(axis=0)
    forth, back = np.ones((2, len(ab_bid)))
    for rate in (ab_bid, bc_bid, 1 / ac_ask):
        forth = forth * rate * (1 - fee_bps / 10_000)
    for rate in (ac_bid, 1 / bc_ask, 1 / ab_ask):
        back = back * rate * (1 - fee_bps / 10_000)
    best = np.maximum(forth, back)
    route = np.where(known & (best > 1), np.where(forth >= back, 1, -1), 0)
    return np.where(known, 10_000 * (best - 1), np.nan), route


VIA = Choice(
    "via",
    "how the common currency stands in the two: 'product' for A/B and B/C, of which EUR/USD and USD/JPY make EUR/JPY; "
    "'quotient' for A/B and C/B, of which EUR/USD and GBP/USD make EUR/GBP; 'inverse' for B/A and B/C, of which "
    "USD/CHF and USD/JPY make CHF/JPY",
    "product",
    options=("product", "quotient", "inverse"),
)
PRODUCT, QUOTIENT = VIA["product"], VIA["quotient"]


@tick_kernel(
    reads=["bid_1", "ask_1", "bid_2", "ask_2"],
    gives=["cross_bid", "cross_ask"],
    parameters=[VIA],
    source="definition; ACI Model Code, on crosses",
    cases=[{}, {"via": "quotient"}, {"via": "inverse"}],
)
def fx_cross_price(bid_1: float, ask_1: float, bid_2: float, ask_2: float, via: int) -> tuple[float, float]:
    """Bid and ask of A/C by way of a common currency, each at the side that whoever trades both has to take.

    ``bid_1 bid_2`` and ``ask_1 ask_2`` for 'product', ``bid_1 / ask_2`` and ``ask_1 / bid_2`` for 'quotient', ``bid_2 /
    ask_1`` and ``ask_2 / bid_1`` for 'inverse'. Quotes in yen need nothing of their own: prices are numbers of
    currency, not of pips. NaN where a price is missing (NaN or infinite) or not positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> quotes = [np.array([x]) for x in (1.1000, 1.1002, 150.00, 150.02)]
    >>> ft.fx_cross_price(*quotes).cross_ask.round(3)
    array([165.052])
    """
    first = np.isfinite(bid_1) and np.isfinite(ask_1) and bid_1 > 0.0 and ask_1 > 0.0
    second = np.isfinite(bid_2) and np.isfinite(ask_2) and bid_2 > 0.0 and ask_2 > 0.0
    if not (first and second):
        return np.nan, np.nan
    if via == PRODUCT:
        return bid_1 * bid_2, ask_1 * ask_2
    if via == QUOTIENT:
        return bid_1 / ask_2, ask_1 / bid_2
    return bid_2 / ask_1, ask_2 / bid_1


@fx_cross_price.oracle
def _(bid_1: Any, ask_1: Any, bid_2: Any, ask_2: Any, via: str = "product") -> Any:
    quotes = np.array([bid_1, ask_1, bid_2, ask_2])
    quotes = np.where((np.isfinite(quotes) & (quotes > 0)).all(axis=0), quotes, np.nan)
    first, second = quotes[:2], quotes[2:]
    # The price of the other currency is one over this one's, and its bid is one over the ask.
    if via == "inverse":
        first = 1 / first[::-1]
    if via == "quotient":
        second = 1 / second[::-1]
    return tuple(first * second)


HUNDREDTHS = ("JPY", "HUF", "THB")
# Their keys: reckoned here, they would load compiled code wherever a kernel is looked up.
YEN, FORINT, BAHT = -304994367781145618, -7826275688500098802, -5430563435944979146


@tick_kernel(
    reads=["size", "quote_currency:O", "rate"],
    gives="pip_value",
    source="market convention: 0.0001, and 0.01 for quotes in yen, forint and baht",
)
def pip_value(size: float, quote_currency: int, rate: float) -> float:
    """What a move of one pip is worth to a position, in the currency of the account: ``size pip rate``.

    The pip is 0.01 of a price in JPY, HUF or THB, and 0.0001 in any other currency. `size` is in units of the base
    currency, negative if short; `rate` is what one unit of the quote currency is worth in that of the account, 1 where
    they are the same. NaN where a value is missing (NaN or infinite) or the rate is not positive; a currency without a
    name has a pip of 0.0001.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.pip_value(np.array([1e5, 1e5]), np.array(["USD", "JPY"]), np.array([1.0, 1 / 150])).round(4)
    array([10.    ,  6.6667])
    """
    if not (np.isfinite(size) and np.isfinite(rate) and rate > 0.0):
        return np.nan
    hundredths = quote_currency == YEN or quote_currency == FORINT or quote_currency == BAHT  # noqa: PLR1714
    return size * (0.01 if hundredths else 0.0001) * rate


@pip_value.oracle
def _(size: Any, quote_currency: Any, rate: Any) -> Any:
    pip = np.array([0.01 if name in HUNDREDTHS else 0.0001 for name in quote_currency])
    return np.where(np.isfinite(size) & np.isfinite(rate) & (rate > 0), pip * rate * size, np.nan)


@window_kernel(
    gives="fx_beta",
    source="Adler and Dumas (1984), Financial Management 13: exposure to a currency as a regression's slope",
    **COMOMENTS | {"reads": ["r", "fx_return"]},
)
def fx_beta(s: Any, r: float, fx_return: float, min_periods: int) -> Any:
    """Exposure to a currency: the slope of the regression of an asset's returns on the currency's in the window.

    With a constant, as `rolling_beta`. Rows in which either return is missing (NaN or infinite) take a place in the
    window but no part in the result. NaN where the currency does not move; exactly 0 where the asset does not.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.fx_beta(np.array([0.01, -0.02, 0.01]), np.array([0.005, -0.01, 0.005]), window=3).round(6)
    array([nan, nan,  2.])
    """
    return slope(s) if s.n >= min_periods else np.nan


@fx_beta.oracle
def _(r: Any, fx_return: Any, ts: Any, window: Any, min_periods: int | None = None) -> Any:
    """By NumPy's matrix of covariances."""

    def regressed(a: Any, b: Any) -> Any:
        if np.ptp(b) == 0:
            return np.nan
        (_, between), (_, variance) = np.cov(a, b)
        return between / variance

    return over_windows(regressed, r, fx_return, ts, window, min_periods)


@tick_kernel(
    reads=["*pnl", "*rate"],
    gives="base_pnl",
    source="IAS 21.21: translation at the rate of the time",
)
def pnl_fx(pnl: Any, rate: Any) -> float:
    """Profit in the base currency, of profits in several currencies: ``Σ pnl rate``.

    First the profits, then as many rates, each the price of one unit of that currency in the base currency. A currency
    with a profit of zero needs no rate. NaN where any other value is missing (NaN or infinite) or a rate is not
    positive: a sum without one of its parts would be wrong without saying so.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.pnl_fx(np.array([100.0]), np.array([-1500.0]), np.array([1.25]), np.array([0.01]))
    array([110.])
    """
    total = 0.0
    for j in range(len(pnl)):
        if pnl[j] == 0.0:
            continue
        if not (np.isfinite(pnl[j]) and np.isfinite(rate[j]) and rate[j] > 0.0):
            return np.nan
        total += pnl[j] * rate[j]
    return total


@pnl_fx.oracle
def _(*columns: Any) -> Any:
    pnl, rate = np.reshape(columns, (2, len(columns) // 2, -1))
    parts = np.where(np.isfinite(pnl) & np.isfinite(rate) & (rate > 0), pnl * rate, np.nan)
    return np.where(pnl == 0, 0.0, parts).sum(axis=0)
