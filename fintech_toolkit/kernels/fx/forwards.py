"""Forwards and covered interest parity. A price is in units of the quote currency for one unit of the base currency."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Choice, Number, helper, tick_kernel

COMPOUNDING = Choice(
    "compounding",
    "'simple': rates of the money market, 1 + r T. 'continuous': exp(r T)",
    "simple",
    options=("simple", "continuous"),
)
SIMPLE = COMPOUNDING["simple"]
BOTH: list[dict[str, Any]] = [{}, {"compounding": "continuous"}]


@helper
def _growth(rate, years, compounding):  # type: ignore[no-untyped-def]
    return 1.0 + rate * years if compounding == SIMPLE else np.exp(rate * years)


@tick_kernel(
    reads=["spot", "quote_rate", "base_rate", "years"],
    gives=["forward", "forward_points"],
    parameters=[
        Number("pip", "size of a point: 0.0001, or 0.01 with the yen as quote currency", 1e-4, above=0),
        COMPOUNDING,
    ],
    source="covered interest parity; Hull (2018), Options, Futures, and Other Derivatives, ch. 5.10",
    cases=[{}, {"pip": 0.01, "compounding": "continuous"}],
)
def forward_points(
    spot: float, quote_rate: float, base_rate: float, years: float, pip: float, compounding: int
) -> tuple[float, float]:
    """Forward price by covered interest parity, and how many points (pips) it is from spot.

    ``forward = spot (1 + quote_rate T) / (1 + base_rate T)``, or ``spot exp((quote_rate - base_rate) T)`` with
    continuous compounding; ``forward_points = (forward - spot) / pip``. Rates are per year as shares (0.05 is 5 %), T
    in years by the day count of the rates. NaN where a value is missing (NaN or infinite), T is negative, or a rate
    leaves nothing of its currency.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> one = [np.array([x]) for x in (1.10, 0.05, 0.03, 0.5)]
    >>> ft.forward_points(*one).forward_points.round(2)
    array([108.37])
    """
    known = np.isfinite(spot) and np.isfinite(quote_rate) and np.isfinite(base_rate) and np.isfinite(years)
    if not known or years < 0.0:
        return np.nan, np.nan
    quote, base = _growth(quote_rate, years, compounding), _growth(base_rate, years, compounding)
    if not (quote > 0.0 and base > 0.0):
        return np.nan, np.nan
    forward = spot * (quote / base)
    return forward, (forward - spot) / pip


@forward_points.oracle
def _(spot: Any, quote_rate: Any, base_rate: Any, years: Any, pip: float = 1e-4, compounding: str = "simple") -> Any:
    known = np.isfinite([spot, quote_rate, base_rate, years]).all(axis=0) & (years >= 0)
    if compounding == "simple":
        known &= (quote_rate * years > -1) & (base_rate * years > -1)
        # What is borrowed in one currency, changed and lent in the other.
        forward = np.where(known, (spot + spot * quote_rate * years) / (1 + base_rate * years), np.nan)
    else:
        forward = np.where(known, spot * np.exp(quote_rate * years) / np.exp(base_rate * years), np.nan)
    return forward, forward / pip - np.where(known, spot, np.nan) / pip


@tick_kernel(
    reads=["spot", "forward", "quote_rate", "base_rate", "years"],
    gives="cip_basis_bps",
    parameters=[COMPOUNDING],
    source="Du, Tepper and Verdelhan (2018), Journal of Finance 73, eq. 2 and 3",
    cases=BOTH,
)
def cip_basis(
    spot: float, forward: float, quote_rate: float, base_rate: float, years: float, compounding: int
) -> float:
    """Cross-currency basis: by how much covered interest parity fails, in basis points a year.

    The x of ``1 + base_rate T = (1 + (quote_rate + x) T) spot / forward``, or with continuous compounding ``x =
    base_rate + ln(forward / spot) / T - quote_rate``, times 10⁴. With the dollar as base currency this is the basis of
    the quote currency against the dollar: negative where dollars are dear by way of the swap. Rates are per year as
    shares. NaN where a value is missing (NaN or infinite), or a price or T is not positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> one = [np.array([x]) for x in (150.0, 148.0, 0.001, 0.053, 0.25)]
    >>> ft.cip_basis(*one).round(2)
    array([-20.4])
    """
    known = np.isfinite(quote_rate) and np.isfinite(base_rate) and np.isfinite(years) and years > 0.0
    if not (known and np.isfinite(spot) and np.isfinite(forward) and spot > 0.0 and forward > 0.0):
        return np.nan
    if compounding == SIMPLE:
        implied = ((1.0 + base_rate * years) * (forward / spot) - 1.0) / years
    else:
        implied = base_rate + np.log(forward / spot) / years
    return (implied - quote_rate) * 1e4


@cip_basis.oracle
def _(spot: Any, forward: Any, quote_rate: Any, base_rate: Any, years: Any, compounding: str = "simple") -> Any:
    known = np.isfinite([spot, forward, quote_rate, base_rate, years]).all(axis=0)
    known &= (spot > 0) & (forward > 0) & (years > 0)
    premium = forward / spot
    if compounding == "simple":
        basis = (premium - 1) / years + base_rate * premium - quote_rate
    else:
        basis = base_rate - quote_rate + (np.log(forward) - np.log(spot)) / years
    return np.where(known, 10_000 * basis, np.nan)


@tick_kernel(
    reads=["spot", "forward", "years"],
    gives=["carry", "carry_signal"],
    parameters=[Number("threshold", "carry a year up to which there is no signal, as a share", 0.0, at_least=0)],
    source="Koijen, Moskowitz, Pedersen and Vrugt (2018), Journal of Financial Economics 127, eq. 2",
    cases=[{}, {"threshold": 0.5}],
)
def carry_signal(spot: float, forward: float, years: float, threshold: float) -> tuple[float, float]:
    """Carry of the base currency, what it earns a year if spot does not move, and the side that earns it.

    ``carry = (spot - forward) / forward / T``, as a share a year; the signal is 1 where it is above `threshold` (hold
    the base currency), -1 where it is below ``-threshold``, else 0. NaN where a value is missing (NaN or infinite), or
    a price or T is not positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.carry_signal(np.array([150.0, 1.10]), np.array([148.0, 1.105]), np.array([0.25, 0.25])).carry_signal
    array([ 1., -1.])
    """
    if not (np.isfinite(spot) and np.isfinite(forward) and np.isfinite(years)):
        return np.nan, np.nan
    if not (spot > 0.0 and forward > 0.0 and years > 0.0):
        return np.nan, np.nan
    carry = (spot - forward) / forward / years
    if abs(carry) <= threshold:
        return carry, 0.0
    return carry, 1.0 if carry > 0.0 else -1.0


@carry_signal.oracle
def _(spot: Any, forward: Any, years: Any, threshold: float = 0.0) -> Any:
    known = np.isfinite([spot, forward, years]).all(axis=0) & (np.minimum(np.minimum(spot, forward), years) > 0)
    carry = np.where(known, (spot - forward) / forward / years, np.nan)
    return carry, np.where(known, 1.0 * (carry > threshold) - 1.0 * (carry < -threshold), np.nan)
