"""What an order cost against the prices at which it was decided on, and at which it arrived."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import helper, tick_kernel
from fintech_toolkit.scan.arithmetic import add, value_of


@helper
def _is_side(side):  # type: ignore[no-untyped-def]
    return side == 1.0 or side == -1.0  # noqa: PLR1714


@tick_kernel(
    reads=["price", "arrival", "side"],
    gives="impact_bps",
    source="Perold (1988), Journal of Portfolio Management 14; Kissell (2013), ch. 3",
)
def arrival_price_impact(price: float, arrival: float, side: float) -> float:
    """Cost of a fill against the mid at which its order arrived, ``side (price - arrival) / arrival · 10⁴``, in basis
    points; below zero where it was better.

    NaN where a price is missing (NaN or infinite), the arrival is not positive, or the side is unknown (NaN or 0).

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.arrival_price_impact(np.array([100.1, 100.1]), np.array([100.0, 100.0]), np.array([1.0, -1.0])).round(6)
    array([ 10., -10.])
    """
    if not (np.isfinite(price) and np.isfinite(arrival) and arrival > 0.0 and _is_side(side)):
        return np.nan
    return side * (price - arrival) / arrival * 1e4


@arrival_price_impact.oracle
def _(price: Any, arrival: Any, side: Any) -> Any:
    known = np.isfinite(price) & np.isfinite(arrival) & (arrival > 0) & np.isin(side, [-1, 1])
    return np.where(known, side * (price / arrival - 1) * 1e4, np.nan)


@tick_kernel(
    reads=["price", "size", "side", "arrival"],
    gives="shortfall_bps",
    state=[("cost", "f8"), ("cost_lost", "f8"), ("paper", "f8"), ("paper_lost", "f8")],
    warmup="one fill",
    source="Perold (1988), Journal of Portfolio Management 14",
)
def implementation_shortfall(s: Any, price: float, size: float, side: float, arrival: float) -> Any:
    """Implementation shortfall of all fills so far, ``Σ side size (price - arrival) / Σ size arrival · 10⁴``, in basis
    points of what the trades would have cost on paper, at the prices at which their orders arrived.

    Of what was not traded see `slippage_decomposition`. A row that is no fill (a price, size or arrival missing, NaN or
    infinite, or not positive; the side unknown, NaN or 0) gives what the last one gave and does not count.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.implementation_shortfall(
    ...     np.array([100.1, 100.3]), np.array([100.0, 300.0]), np.array([1.0, 1.0]), np.array([100.0, 100.0])).round(6)
    array([10., 25.])
    """
    if price > 0.0 and size > 0.0 and arrival > 0.0 and _is_side(side):
        cost, cost_lost = add(s.cost, s.cost_lost, side * size * (price - arrival))
        paper, paper_lost = add(s.paper, s.paper_lost, size * arrival)
        if np.isfinite(cost) and np.isfinite(paper):
            s.cost, s.cost_lost, s.paper, s.paper_lost = cost, cost_lost, paper, paper_lost
    paper = value_of(s.paper, s.paper_lost)
    return value_of(s.cost, s.cost_lost) / paper * 1e4 if paper > 0.0 else np.nan


@implementation_shortfall.oracle
def _(price: Any, size: Any, side: Any, arrival: Any) -> Any:
    columns = np.array([price, size, arrival])
    fill = np.isfinite(columns).all(axis=0) & (columns > 0).all(axis=0) & np.isin(side, [-1, 1])
    real = np.cumsum(np.where(fill, side * size * price, 0))
    paper = np.cumsum(np.where(fill, side * size * arrival, 0))
    notional = np.cumsum(np.where(fill, size * arrival, 0))
    return (real - paper) / np.where(notional > 0, notional, np.nan) * 1e4


@tick_kernel(
    reads=["price", "size", "side", "decision", "arrival", "close", "order_size"],
    gives=["delay", "trading", "opportunity"],
    state=[("filled", "f8"), ("filled_lost", "f8"), ("paid", "f8"), ("paid_lost", "f8")],
    source="Perold (1988), Journal of Portfolio Management 14; Wagner and Edwards (1993), Financial Analysts J. 49",
)
def slippage_decomposition(
    s: Any, price: float, size: float, side: float, decision: float, arrival: float, close: float, order_size: float
) -> tuple[float, float, float]:
    """Where an order lost money so far, against having traded all of it at once at the price of the decision.

    With F filled of Q, at a mean price p: ``delay = side F (arrival - decision)``, ``trading = side F (p - arrival)``,
    ``opportunity = side (Q - F) (close - decision)``, in the unit of price times size; losses are positive. They add up
    to the shortfall, ``side (F p + (Q - F) close - Q decision)``. The symbol is the order's; `close` is the price at
    which the rest is valued, the last one while it is being traded. A row whose price and size are finite, the size
    above zero, is a fill. NaN where one of the other columns is missing (NaN or infinite), or the side is unknown (0);
    a fill of that row counts all the same. Where more is filled than was ordered, nothing is left.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> parts = ft.slippage_decomposition(
    ...     price=np.array([10.2, np.nan]), size=np.array([60.0, np.nan]), side=np.ones(2), decision=np.full(2, 10.0),
    ...     arrival=np.full(2, 10.1), close=np.array([10.2, 10.5]), order_size=np.full(2, 100.0))
    >>> parts.delay.round(6), parts.trading.round(6), parts.opportunity.round(6)
    (array([6., 6.]), array([6., 6.]), array([ 8., 20.]))
    """
    if np.isfinite(price) and np.isfinite(size) and size > 0.0:
        filled, filled_lost = add(s.filled, s.filled_lost, size)
        paid, paid_lost = add(s.paid, s.paid_lost, size * price)
        if np.isfinite(filled) and np.isfinite(paid):
            s.filled, s.filled_lost, s.paid, s.paid_lost = filled, filled_lost, paid, paid_lost
    known = np.isfinite(decision) and np.isfinite(arrival) and np.isfinite(close) and np.isfinite(order_size)
    if not (known and _is_side(side)):
        return np.nan, np.nan, np.nan
    filled = value_of(s.filled, s.filled_lost)
    rest = max(order_size - filled, 0.0)
    trading = value_of(s.paid, s.paid_lost) - filled * arrival
    return side * filled * (arrival - decision), side * trading, side * rest * (close - decision)


@slippage_decomposition.oracle
def _(
    price: Any, size: Any, side: Any, decision: Any, arrival: Any, close: Any, order_size: Any
) -> tuple[Any, Any, Any]:
    fill = np.isfinite(price) & np.isfinite(size) & (size > 0)
    known = np.isfinite([decision, arrival, close, order_size]).all(axis=0) & np.isin(side, [-1, 1])
    result = np.full((3, len(price)), np.nan)
    for i in np.flatnonzero(known):
        sizes, prices = size[: i + 1][fill[: i + 1]], price[: i + 1][fill[: i + 1]]
        rest = max(order_size[i] - sizes.sum(), 0)
        delay = np.sum(sizes * (arrival[i] - decision[i]))
        trading = np.sum(sizes * (prices - arrival[i]))
        result[:, i] = side[i] * np.array([delay, trading, rest * (close[i] - decision[i])])
    return result[0], result[1], result[2]
