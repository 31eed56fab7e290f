"""The spread as a share of the price."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import tick_kernel


@tick_kernel(
    reads=["bid", "ask"],
    gives="spread_pct",
    source="Harris (2003), Trading and Exchanges, ch. 14",
)
def percentage_spread(bid: float, ask: float) -> float:
    """Quoted spread in percent of the mid, ``(ask - bid) / mid · 100``.

    Negative where the quote is crossed. NaN where either side is missing (NaN or infinite) or the mid is not positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.percentage_spread(np.array([99.0, np.nan]), np.array([101.0, 101.0]))
    array([ 2., nan])
    """
    if not (np.isfinite(bid) and np.isfinite(ask)) or bid + ask <= 0.0:
        return np.nan
    return (ask - bid) / ((bid + ask) / 2.0) * 100.0


@percentage_spread.oracle
def _(bid: Any, ask: Any) -> Any:
    known = np.isfinite(bid) & np.isfinite(ask)
    total = np.where(known & (np.add(bid, ask) > 0), np.add(bid, ask), np.nan)
    return 200.0 * (np.subtract(ask, bid) / total)
