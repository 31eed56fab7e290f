"""Where a market trades, and where its leveraged positions would have to be closed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fintech_toolkit.authoring import plain_kernel, tick_kernel
from fintech_toolkit.errors import DataError, ParameterError


@tick_kernel(
    reads=["*volume", "*spread"],
    gives="*venue_score",
    source="definition: share of the volume times the narrowest spread over the venue's own",
)
def venue_score(row: Any, volume: Any, spread: Any) -> None:
    """Score of each venue between 0 and 1: its share of the volume, times the narrowest of all spreads over its own.

    First the volumes of all venues, then their spreads, in one unit. A venue that has all of the volume at the
    narrowest spread scores 1. A venue whose volume or spread is missing (NaN or infinite), or negative, or whose spread
    is zero, takes no part and scores NaN; so do all where no venue has any volume.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.venue_score(*(np.array([x]) for x in (300.0, 100.0, 0.02, 0.01)))
    venue_score(venue_score_1=array([0.375]), venue_score_2=array([0.25]))
    """
    total, narrowest = 0.0, np.inf
    for j in range(len(volume)):
        row.venue_score[j] = np.nan
        if np.isfinite(volume[j]) and np.isfinite(spread[j]) and volume[j] >= 0.0 and spread[j] > 0.0:
            row.venue_score[j] = volume[j]
            total += volume[j]
            narrowest = min(narrowest, spread[j])
    for j in range(len(volume)):
        if not total > 0.0:
            row.venue_score[j] = np.nan
        elif np.isfinite(row.venue_score[j]):
            row.venue_score[j] = volume[j] / total * (narrowest / spread[j])


@venue_score.oracle
def _(*columns: Any) -> Any:
    volume, spread = np.reshape(columns, (2, len(columns) // 2, -1))
    known = np.isfinite(volume) & np.isfinite(spread) & (volume >= 0) & (spread > 0)
    share = np.where(known, volume, np.nan) / np.where(known, volume, 0).sum(axis=0)
    narrowest = np.where(known, spread, np.inf).min(axis=0)
    score = share * narrowest / np.where(known, spread, np.nan)
    return tuple(np.where(np.isfinite(score), score, np.nan))


@tick_kernel(
    reads="*volume",
    gives="dominance",
    source="Herfindahl (1950), Concentration in the Steel Industry; Hirschman (1964), American Economic Review 54",
)
def dominance_index(volume: Any) -> float:
    """How concentrated a market is: the Herfindahl index of the volumes of its venues, ``Σ (volume / total)²``.

    1 where one venue has it all, 1 / n where n share it equally. A venue whose volume is missing (NaN or infinite) or
    negative takes no part; NaN where there is no volume.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.dominance_index(np.array([50.0, 9.0]), np.array([50.0, 0.0]))
    array([0.5, 1. ])
    """
    total, squares = 0.0, 0.0
    for j in range(len(volume)):
        if np.isfinite(volume[j]) and volume[j] > 0.0:
            total += volume[j]
    if not total > 0.0:
        return np.nan
    for j in range(len(volume)):
        if np.isfinite(volume[j]) and volume[j] > 0.0:
            squares += (volume[j] / total) * (volume[j] / total)
    return squares


@dominance_index.oracle
def _(*columns: Any) -> Any:
    volume = np.where(np.isfinite(columns) & (np.array(columns) > 0), columns, 0.0)
    return np.square(volume / volume.sum(axis=0)).sum(axis=0)


class LiquidationDensity(NamedTuple):
    """What would have to be closed between the prices of a grid.

    Attributes
    ----------
    density : ndarray
        Units per unit of price in each cell of the grid.
    below, above : float
        Units whose price is outside the grid.
    """

    density: np.ndarray[Any, Any]
    below: float
    above: float


@plain_kernel(
    kind="plan",
    reads=["entry", "size", "leverage", "grid"],
    gives=["density", "below", "above"],
    source="Binance and Bybit, liquidation price of an isolated position",
)
def liquidation_density(
    entry: Any, size: Any, leverage: Any, grid: Any, *, maintenance: float = 0.005
) -> LiquidationDensity:
    """How many units of leveraged positions would be liquidated at which price.

    A long position is liquidated at ``entry (1 - 1 / leverage + maintenance)``, a short one at ``entry (1 + 1 /
    leverage - maintenance)``: isolated margin, without fees. A cell holds its lower price but not its upper one, only
    the last one holds both. What is missing is an error.

    Parameters
    ----------
    entry, size, leverage : array_like of float, shape (n,)
        Price at which each position was opened, its units (negative if short), and its leverage, at least 1.
    grid : array_like of float, shape (m,)
        Rising prices, the edges of m - 1 cells.
    maintenance : float, default 0.005
        Maintenance margin, as a share of the position.

    Returns
    -------
    LiquidationDensity
        Units per unit of price in each cell, and the units below and above the grid. The density times the widths of
        the cells, and what is outside, add up to all units.

    Raises
    ------
    DataError
        If arrays differ in length, a value is missing, or one is out of bounds; the message names the first row.
    ParameterError
        If `maintenance` is not a share.

    Examples
    --------
    >>> import fintech_toolkit as ft
    >>> ft.liquidation_density([100.0, 100.0], [2.0, -1.0], [10, 10], [90, 92, 108, 112], maintenance=0.0).density
    array([1.  , 0.  , 0.25])
    """
    if not 0.0 <= maintenance < 1.0:
        raise ParameterError(f"maintenance={maintenance!r} must be at least 0 and less than 1.")
    price, units, times = (np.asarray(column, float) for column in (entry, size, leverage))
    edges = np.asarray(grid, float)
    if price.ndim != 1 or not price.shape == units.shape == times.shape:
        raise DataError("entry, size and leverage must be arrays of one dimension and one length.")
    if edges.ndim != 1 or len(edges) < 2 or not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        raise DataError("grid must be at least two finite prices that rise.")
    for name, good in (
        ("entry", np.isfinite(price) & (price > 0)),
        ("size", np.isfinite(units)),
        ("leverage", np.isfinite(times) & (times >= 1)),
    ):
        if not good.all():
            raise DataError(f"{name} is missing or out of bounds at row {int(np.argmin(good))}.")
    at = price * (1 - np.sign(units) * (1 / times - maintenance))
    held = np.abs(units)
    inside, _ = np.histogram(at, edges, weights=held)
    return LiquidationDensity(
        inside / np.diff(edges), float(held[at < edges[0]].sum()), float(held[at > edges[-1]].sum())
    )


@liquidation_density.oracle
def _(entry: Any, size: Any, leverage: Any, grid: Any, maintenance: float = 0.005) -> Any:
    density, below, above = np.zeros(len(grid) - 1), 0.0, 0.0
    for price, units, times in zip(entry, size, leverage, strict=True):
        margin = 1 / times - maintenance
        at = price * (1 - margin) if units > 0 else price * (1 + margin)
        if at < grid[0]:
            below += abs(units)
        elif at > grid[-1]:
            above += abs(units)
        else:
            cell = next((j for j in range(len(density)) if at < grid[j + 1]), len(density) - 1)
            density[cell] += abs(units) / (grid[cell + 1] - grid[cell])
    return density, below, above
