"""Futures against spot: the basis, its term structure, and what holding both earns."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, tick_kernel
from fintech_toolkit.kernels.fx.forwards import BOTH, COMPOUNDING, SIMPLE


@tick_kernel(
    reads=["price", "spot", "years"],
    gives=["basis", "basis_annualized"],
    parameters=[COMPOUNDING],
    source="definition; Hull (2018), Options, Futures, and Other Derivatives, ch. 5",
    cases=BOTH,
)
def basis_annualized(price: float, spot: float, years: float, compounding: int) -> tuple[float, float]:
    """Basis of a future over spot, ``price / spot - 1``, and what that is a year: over its T years,
    ``(price / spot - 1) / T``, or ``ln(price / spot) / T`` with continuous compounding.

    Shares: 0.05 is 5 %. NaN where a value is missing (NaN or infinite) or a price is not positive; the second also
    where T is not positive, as of a perpetual future.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.basis_annualized(np.array([50_500.0]), np.array([50_000.0]), np.array([0.1])).basis_annualized.round(6)
    array([0.1])
    """
    if not (np.isfinite(price) and np.isfinite(spot) and price > 0.0 and spot > 0.0):
        return np.nan, np.nan
    basis = (price - spot) / spot
    if not (np.isfinite(years) and years > 0.0):
        return basis, np.nan
    return basis, (basis if compounding == SIMPLE else np.log1p(basis)) / years


@basis_annualized.oracle
def _(price: Any, spot: Any, years: Any, compounding: str = "simple") -> Any:
    known = np.isfinite(price) & np.isfinite(spot) & (price > 0) & (spot > 0)
    basis = np.where(known, (price - spot) / spot, np.nan)
    yearly = basis if compounding == "simple" else np.log1p(basis)
    return basis, np.where(np.isfinite(years) & (years > 0), yearly / years, np.nan)


@tick_kernel(
    reads=["spot", "*price", "*maturity"],
    gives=["level", "slope"],
    source="definition: the line through ln(price / spot) / T by least squares",
)
def term_structure(spot: float, price: Any, maturity: Any) -> tuple[float, float]:
    """Term structure of the futures of one underlying: level and slope of the annualised basis by maturity.

    First the spot price, then the prices of the futures, then as many maturities T in years. Of the continuously
    compounded basis a year, ``ln(price / spot) / T``, the mean over the futures (level), and the slope of the line
    through them by least squares, per year of maturity. A positive level is contango, a negative one backwardation. A
    future whose price or maturity is missing (NaN or infinite) or not positive is left out; the slope is NaN unless two
    maturities are left.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> near, far = 100 * np.exp(0.05 * 0.25), 100 * np.exp(0.06 * 0.5)
    >>> curve = ft.term_structure(*(np.array([x]) for x in (100.0, near, far, 0.25, 0.5)))
    >>> curve.level.round(6), curve.slope.round(6)
    (array([0.055]), array([0.04]))
    """
    if not (np.isfinite(spot) and spot > 0.0):
        return np.nan, np.nan
    # Welford's update, as in `rolling_beta`.
    n, mean_t, mean_b, tt, tb = 0, 0.0, 0.0, 0.0, 0.0
    for j in range(len(price)):
        p, t = price[j], maturity[j]
        if not (np.isfinite(p) and np.isfinite(t) and p > 0.0 and t > 0.0):
            continue
        n += 1
        b = np.log(p / spot) / t
        dt = t - mean_t
        mean_t += dt / n
        mean_b += (b - mean_b) / n
        tt += dt * (t - mean_t)
        tb += dt * (b - mean_b)
    if n == 0:
        return np.nan, np.nan
    return mean_b, tb / tt if n > 1 and tt > 0.0 else np.nan


@term_structure.oracle
def _(spot: Any, *columns: Any) -> Any:
    price, years = np.reshape(columns, (2, len(columns) // 2, -1))
    level, slope = np.full((2, len(spot)), np.nan)
    for i in np.flatnonzero(np.isfinite(spot) & (spot > 0)):
        known = np.isfinite(price[:, i]) & np.isfinite(years[:, i]) & (price[:, i] > 0) & (years[:, i] > 0)
        t, basis = years[known, i], np.log(price[known, i] / spot[i]) / years[known, i]
        if len(t):
            level[i] = basis.mean()
        if len(set(t)) > 1:
            slope[i] = np.linalg.lstsq(np.column_stack([t - t.mean(), np.ones(len(t))]), basis, rcond=None)[0][0]
    return level, slope


@tick_kernel(
    reads=["price", "spot", "funding_rate"],
    gives="edge_bps",
    parameters=[
        Number("fee_bps", "cost of all trades, both legs in and out, in basis points of spot", 0.0, at_least=0)
    ],
    source="definition: buy spot, sell the future, hold both until they meet",
    cases=[{}, {"fee_bps": 20}],
)
def cash_and_carry_edge(price: float, spot: float, funding_rate: float, fee_bps: float) -> float:
    """What buying spot and selling the future earns until the two meet, in basis points of spot:
    ``((price - spot) / spot + funding_rate) 10⁴ - fee_bps``.

    `funding_rate` is what the short future receives over the time of holding, as a share: the sum of the fundings to
    come of a perpetual future; of one with a maturity minus what the money costs until then. NaN where a value is
    missing (NaN or infinite) or a price is not positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.cash_and_carry_edge(np.array([50_100.0]), np.array([50_000.0]), np.array([0.0003]), fee_bps=10).round(6)
    array([13.])
    """
    if not (np.isfinite(price) and np.isfinite(spot) and np.isfinite(funding_rate) and price > 0.0 and spot > 0.0):
        return np.nan
    return ((price - spot) / spot + funding_rate) * 1e4 - fee_bps


@cash_and_carry_edge.oracle
def _(price: Any, spot: Any, funding_rate: Any, fee_bps: float = 0.0) -> Any:
    known = np.isfinite([price, spot, funding_rate]).all(axis=0) & (price > 0) & (spot > 0)
    return np.where(known, (price / spot + funding_rate - fee_bps / 10_000 - 1) * 10_000, np.nan)
