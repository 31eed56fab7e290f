"""Returns from one row to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import tick_kernel

# `known`: whether the row before had a price; zeroed state must not read as a price of zero.
STATE = [("last", "f8"), ("known", "?")]


@tick_kernel(
    reads="price",
    gives="log_return",
    state=STATE,
    warmup="one row",
    source="Campbell, Lo and MacKinlay (1997), The Econometrics of Financial Markets, 1.4",
)
def log_returns(s: Any, price: float) -> float:
    """Log return, ``ln(p_t / p_{t-1})``.

    A price that is missing (NaN, infinite) or not positive has no return, and neither has the row that follows it.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.log_returns(np.array([100.0, 101.0, np.nan, 100.0, 99.0])).round(6)
    array([     nan,  0.00995,      nan,      nan, -0.01005])
    """
    valid = np.isfinite(price) and price > 0
    result = np.log(price / s.last) if valid and s.known else np.nan
    s.last = price
    s.known = valid
    return result


@log_returns.oracle
def _(price: Any) -> Any:
    logs = np.log(np.where(np.isfinite(price) & (price > 0), price, np.nan))
    return np.concatenate([[np.nan], np.diff(logs)])[: len(price)]


@tick_kernel(
    reads="price",
    gives="return",
    state=STATE,
    warmup="one row",
    source="pandas, Series.pct_change()",
)
def simple_returns(s: Any, price: float) -> float:
    """Simple return, ``p_t / p_{t-1} - 1``.

    A missing price (NaN, infinite) has no return, and neither has the row that follows it, nor one that follows a
    price of zero.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.simple_returns(np.array([100.0, 101.0, np.nan, 100.0, 99.0])).round(6)
    array([  nan,  0.01,   nan,   nan, -0.01])
    """
    valid = np.isfinite(price)
    result = price / s.last - 1.0 if valid and s.known else np.nan
    s.last = price
    s.known = valid and price != 0
    return result


@simple_returns.oracle
def _(price: Any) -> Any:
    import pandas as pd

    returns = pd.Series(np.where(np.isfinite(price), price, np.nan)).pct_change().to_numpy()
    return np.where(np.isfinite(returns), returns, np.nan)


@tick_kernel(
    reads="price",
    gives=["price_change", "price_change_pct"],
    state=STATE,
    warmup="one row",
    source="pandas, Series.diff() and 100 · Series.pct_change()",
)
def price_change(s: Any, price: float) -> tuple[float, float]:
    """Change from the row before: in the unit of the price, and in percent, ``100 (p_t / p_{t-1} - 1)``.

    A price that is missing (NaN, infinite) or not positive has no change, and neither has the row that follows it.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.price_change(np.array([100.0, 101.0, np.nan, 100.0])).price_change_pct.round(6)
    array([nan,  1., nan, nan])
    """
    valid = np.isfinite(price) and price > 0
    change = ratio = np.nan
    if valid and s.known:
        change = price - s.last
        ratio = 100.0 * (price / s.last - 1.0)
    s.last = price
    s.known = valid
    return change, ratio


@price_change.oracle
def _(price: Any) -> Any:
    import pandas as pd

    prices = pd.Series(np.where(np.isfinite(price) & (price > 0), price, np.nan))
    return prices.diff().to_numpy(), 100 * prices.pct_change().to_numpy()
