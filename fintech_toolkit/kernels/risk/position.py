"""A ledger of fills."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import tick_kernel

ROUNDING = 1e-12


@tick_kernel(
    reads=["side", "size", "price"],
    gives=["position", "average_cost", "realized_pnl", "unrealized_pnl"],
    state=[("position", "f8"), ("cost", "f8"), ("realized", "f8"), ("mark", "f8")],
    source="average-cost method, IAS 2.25 and 2.27, for long and short positions",
)
def position(s: Any, side: float, size: float, price: float) -> tuple[float, float, float, float]:
    """Position by average cost: signed quantity, cost of a unit, profit realised so far, and unrealised at the last
    price.

    A fill that adds to the position averages its price into the cost, ``(|q| cost + size price) / (|q| +
    size)``; one that reduces it realises ``(price - cost)`` a unit closed, times the position's sign, and
    leaves the cost; one that crosses zero closes all and opens the rest at its own price. Unrealised:
    ``position (price - cost)``. Pnl is in the unit of price times size. A fill needs a side, a positive
    size and a price, all finite; any other tick with a finite price only marks, and one without changes
    nothing. The average cost of no position is NaN. What a fill leaves below 10⁻¹² of the quantities is
    rounding error and counts as flat.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> side, size = np.array([1.0, 1.0, -1.0]), np.array([10.0, 10.0, 25.0])
    >>> held = ft.position(side, size, np.array([5.0, 7.0, 8.0]))
    >>> held.position, held.average_cost, held.realized_pnl
    (array([10., 20., -5.]), array([5., 6., 8.]), array([ 0.,  0., 40.]))
    """
    if np.isfinite(price):
        s.mark = price
        if np.isfinite(size) and size > 0.0 and (side > 0.0 or side < 0.0) and np.isfinite(side):
            fill = size if side > 0.0 else -size
            held = s.position
            if held * fill >= 0.0:
                s.position = held + fill
                s.cost = (abs(held) * s.cost + size * price) / (abs(held) + size)
            else:
                closed = min(abs(held), size)
                s.realized += closed * (price - s.cost) * np.sign(held)
                s.position = held + fill
                if abs(s.position) <= ROUNDING * closed:
                    s.position = 0.0
                if s.position * fill > 0.0:
                    s.cost = price
    if s.position == 0.0:
        return 0.0, np.nan, s.realized, 0.0
    return s.position, s.cost, s.realized, s.position * (s.mark - s.cost)


@position.oracle
def _(side: Any, size: Any, price: Any) -> Any:
    """In exact decimal arithmetic, on the total cost of the position instead of its average."""
    from fractions import Fraction

    held = basis = realized = mark = Fraction(0)
    rows: list[tuple[float, ...]] = []
    for sign, quantity, at in zip(np.sign(np.where(np.isfinite(side), side, 0)), size, price, strict=True):
        if np.isfinite(at):
            mark = Fraction(repr(float(at)))
            if np.isfinite(quantity) and quantity > 0 and sign in (-1, 1):
                fill = int(sign) * Fraction(repr(float(quantity)))
                if held * fill < 0:
                    share = min(abs(fill / held), Fraction(1))
                    realized += share * (held * mark - basis)
                    basis -= share * basis
                    fill += share * held
                    held -= share * held
                held += fill
                basis += fill * mark
        cost = float(basis / held) if held else np.nan
        rows.append((float(held), cost, float(realized), float(held * mark - basis)))
    return tuple(np.array(rows).reshape(-1, 4).T)
