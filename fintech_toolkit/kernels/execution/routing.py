"""Where to send an order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fintech_toolkit.authoring import Number, plain_kernel
from fintech_toolkit.errors import DataError, ParameterError


class Routed(NamedTuple):
    """Where the parts of an order go.

    Attributes
    ----------
    allocation : ndarray
        How much to trade at each level of each venue.
    cost : float
        What that costs, or brings, with fees.
    unfilled : float
        What no book has room for.
    """

    allocation: np.ndarray[Any, Any]
    cost: float
    unfilled: float


@plain_kernel(
    kind="plan",
    reads=["price", "size", "quantity"],
    gives=["allocation", "cost", "unfilled"],
    source="definition; Foucault and Menkveld (2008), Journal of Finance 63, on routing by price and fee",
)
def smart_order_router(price: Any, size: Any, quantity: float, *, fee_bps: Any = 0.0, side: int = 1) -> Routed:
    """The cheapest way to fill an order at once from the books of several venues, fees included.

    A unit at a level costs ``price (1 + side fee)``: levels are taken from the cheapest on (to sell: from the dearest),
    the first venue and level first where they cost the same. No other allocation costs less. A level whose price or
    size is missing (NaN or infinite) is none.

    Parameters
    ----------
    price, size : array_like of float, shape (venues, levels)
        The side of each venue's book that is traded against: asks to buy, bids to sell; NaN where there is none.
    quantity : float
        How much is to be traded, above zero.
    fee_bps : float or array_like of float, shape (venues,)
        Fee of each venue, in basis points of the notional; below zero for a rebate.
    side : int, default 1
        1 to buy, -1 to sell.

    Returns
    -------
    Routed
        Allocation (float64, shape (venues, levels)), cost in the unit of price times quantity, and what is unfilled.

    Raises
    ------
    DataError
        If the books are not of two dimensions and one shape, or the fees are not finite or not one for each venue.
    ParameterError
        If the quantity is not above zero, or the side is neither 1 nor -1.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price, size = np.array([[10.0, 10.1], [10.01, 10.02]]), np.array([[50.0, 90.0], [30.0, 40.0]])
    >>> routed = ft.smart_order_router(price, size, 100, fee_bps=[30, 0])
    >>> routed.allocation, round(routed.cost, 6)
    (array([[30.,  0.],
           [30., 40.]]), 1002.0)
    """
    prices, sizes = np.asarray(price, float), np.asarray(size, float)
    if prices.ndim != 2 or prices.shape != sizes.shape:
        raise DataError(
            f"price and size must be arrays (venues, levels) of one shape, not {prices.shape}, {sizes.shape}."
        )
    fees = np.asarray(fee_bps, float)
    if fees.shape not in ((), prices.shape[:1]) or not np.isfinite(fees).all():
        raise DataError(f"fee_bps={fee_bps!r} must be a finite number, or one for each of the {len(prices)} venues.")
    wanted = Number("quantity", "", above=0).check(quantity)
    if side not in (1, -1):
        raise ParameterError(f"side={side!r} must be 1 to buy or -1 to sell.")
    all_in = prices * (1.0 + side * np.broadcast_to(fees, len(prices))[:, None] / 1e4)
    there = np.isfinite(all_in) & np.isfinite(sizes) & (sizes > 0)
    order = np.argsort(np.where(there, side * all_in, np.inf), axis=None, kind="stable")
    room = np.where(there, sizes, 0.0).ravel()[order]
    taken = np.clip(wanted - (np.cumsum(room) - room), 0.0, room)
    allocation = np.zeros(prices.shape)
    allocation.flat[order] = taken
    cost = float(np.sum(allocation[there] * all_in[there]))
    return Routed(allocation, cost, max(wanted - float(taken.sum()), 0.0))


@smart_order_router.oracle
def _(price: Any, size: Any, quantity: float, *, fee_bps: Any = 0.0, side: int = 1) -> Any:
    """Every allocation in whole units, and the cheapest of those that fill as much as can be."""
    from itertools import product

    fees = np.broadcast_to(fee_bps, len(price))
    there = np.isfinite(price) & np.isfinite(size)
    fillable = min(quantity, np.sum(size, where=there))
    all_in = np.nan_to_num(price * (1 + side * fees[:, None] / 1e4))
    ways = product(*(range(int(room) + 1 if known else 1) for room, known in zip(size.flat, there.flat, strict=True)))
    full = np.array([way for way in ways if sum(way) == fillable])
    best = full[np.argmin(side * full @ all_in.ravel())]
    return best.reshape(price.shape), float(best @ all_in.ravel()), quantity - fillable
