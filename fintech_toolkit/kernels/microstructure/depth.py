"""Order books of several levels: balance, and flow at each level."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, tick_kernel
from fintech_toolkit.kernels.microstructure.order_flow import flow


@tick_kernel(
    reads=["*bid_size", "*ask_size"],
    gives="depth_imbalance",
    parameters=[Number("decay", "weight of a level, as a share of that of the level before", 1.0, above=0, at_most=1)],
    source="Cao, Hansch and Wang (2009), Journal of Futures Markets 29",
    cases=[{}, {"decay": 0.5}],
)
def depth_imbalance(bid_size: Any, ask_size: Any, decay: float) -> float:
    """Imbalance of the sizes at several levels, ``Σ w (B - A) / Σ w (B + A)``, between -1 (only offers) and 1.

    First the sizes of all bid levels, the best one first, then those of all ask levels. The weight w is 1 at the best
    level and falls by `decay` from level to level. A level that is missing (NaN or infinite) has no size; NaN where a
    size is negative, or all are zero or missing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.depth_imbalance(np.array([3.0]), np.array([2.0]), np.array([1.0]), np.array([2.0]), decay=0.5)
    array([0.33333333])
    """
    difference, total, weight = 0.0, 0.0, 1.0
    for level in range(len(bid_size)):
        bid = bid_size[level] if np.isfinite(bid_size[level]) else 0.0
        ask = ask_size[level] if np.isfinite(ask_size[level]) else 0.0
        if bid < 0.0 or ask < 0.0:
            return np.nan
        difference += weight * (bid - ask)
        total += weight * (bid + ask)
        weight *= decay
    return difference / total if total > 0.0 else np.nan


@depth_imbalance.oracle
def _(*sizes: Any, decay: float = 1.0) -> Any:
    sides = np.where(np.isfinite(sizes), sizes, 0).reshape(2, len(sizes) // 2, -1)
    bid, ask = np.tensordot(sides, decay ** np.arange(sides.shape[1]), (1, 0))
    return np.where((sides >= 0).all(axis=(0, 1)) & (bid + ask > 0), 2 * bid / (bid + ask) - 1, np.nan)


@tick_kernel(
    reads=["*bid", "*ask", "*bid_size", "*ask_size"],
    gives="*ofi",
    state=[
        ("bid", "f8", "width"),
        ("ask", "f8", "width"),
        ("bid_size", "f8", "width"),
        ("ask_size", "f8", "width"),
        ("seen", "i8", "width"),
        ("flow", "f8", "width"),
    ],
    warmup="the second complete quote of a level",
    source="Xu, Gould and Howison (2019), Market Microstructure and Liquidity 4",
)
def multilevel_ofi(s: Any, bid: Any, ask: Any, bid_size: Any, ask_size: Any) -> Any:
    """Order-flow imbalance at each of several levels of the book, in units of size; ``ofi_0`` is that at the best.

    First the bids of all levels, the best one first, then all asks, bid sizes, and ask sizes. Each level's is
    what `ofi` gives of its quote. A level without a complete quote (any of its four NaN or infinite) gives NaN and
    leaves its last quote standing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> best = [np.array(column) for column in ([99.0, 99.0], [101.0, 101.0], [5.0, 8.0], [4.0, 4.0])]
    >>> next_ = [np.array(column) for column in ([98.0, 98.0], [102.0, 103.0], [9.0, 9.0], [7.0, 7.0])]
    >>> ft.multilevel_ofi(*(column for pair in zip(best, next_) for column in pair))
    multilevel_ofi(ofi_0=array([nan,  3.]), ofi_1=array([nan,  7.]))
    """
    for level in range(len(bid)):
        b, a, demand, supply = bid[level], ask[level], bid_size[level], ask_size[level]
        s.flow[level] = np.nan
        if not (np.isfinite(b) and np.isfinite(a) and np.isfinite(demand) and np.isfinite(supply)):
            continue
        if s.seen[level]:
            before = s.bid[level], s.ask[level], s.bid_size[level], s.ask_size[level]
            s.flow[level] = flow((b, a, demand, supply), before)
        s.bid[level], s.ask[level] = b, a
        s.bid_size[level], s.ask_size[level] = demand, supply
        s.seen[level] = 1
    return s.flow


@multilevel_ofi.oracle
def _(*columns: Any) -> Any:
    """Of each level the last quote's sizes, moved to where the new prices are."""
    levels = len(columns) // 4
    results = []
    for level in range(levels):
        b, a, demand, supply = columns[level::levels]
        result = np.full(len(b), np.nan)
        complete = np.flatnonzero(np.isfinite([b, a, demand, supply]).all(axis=0))
        for i, j in pairwise(complete):
            of_bid = demand[j] * (b[j] >= b[i]) - demand[i] * (b[j] <= b[i])
            of_ask = supply[j] * (a[j] <= a[i]) - supply[i] * (a[j] >= a[i])
            result[j] = of_bid - of_ask
        results.append(result)
    return tuple(results)
