"""Which dealer finds the price first."""

from __future__ import annotations

from typing import Any

import pandas as pd

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_quote import quotes
from fintech_toolkit.enrichment.windowed import windows_by
from fintech_toolkit.errors import DataError, ParameterError, did_you_mean


def dealer_mids(every: str = "1s", over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of the mid that each dealer quotes last of each instrument in windows of time.

    Parameters
    ----------
    every : str
        How long a window is: the shorter, the narrower the bounds of `price_discovery`.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities")}
    >>> mids = enrichment.dealer_mids()(**market)
    >>> list(mids.columns)
    ['symbol', 'dealer', 'ts', 'window_end', 'mid', 'known_at']
    """
    return windows_by(("symbol", "dealer"), every, quotes() if over is None else over, {"mid": ("mid", "last")})


def price_discovery(mids: pd.DataFrame, symbol: str, *, lags: int = 5) -> pd.DataFrame:
    """Return the share that each dealer of an instrument has in the discovery of its price, the leader first.

    Each dealer is measured against each other one, on the times from when both had quoted; a mid stands until the
    dealer's next one.

    Parameters
    ----------
    mids : pandas.DataFrame
        What `dealer_mids` gives.
    symbol : str
        The instrument.
    lags : int
        How many windows back the model of the two prices reaches.

    Returns
    -------
    pandas.DataFrame
        A row for each dealer: ``dealer``, ``information_share`` (Hasbrouck; the middle of its bounds) and
        ``component_share`` (Gonzalo and Granger), each the mean over the other dealers, and ``leads``, over how many of
        them its information share is above one half.

    Raises
    ------
    ParameterError
        If nobody quotes the instrument.
    DataError
        If only one dealer does.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=5_000) for name in ("quotes", "securities")}
    >>> mids = enrichment.dealer_mids()(**market)
    >>> shares = enrichment.price_discovery(mids, "B000000002")
    >>> list(shares.columns), bool(shares["information_share"].is_monotonic_decreasing)
    (['dealer', 'information_share', 'component_share', 'leads'], True)
    """
    own = mids[mids["symbol"] == symbol]
    if own.empty:
        raise ParameterError(f"Nobody quotes {symbol!r}. {did_you_mean(symbol, mids['symbol'].unique())}")
    grid = own.pivot(index="ts", columns="dealer", values="mid").sort_index().ffill()
    if grid.shape[1] < 2:
        raise DataError(f"Of {symbol!r} there is one dealer, {grid.columns[0]}; price discovery needs two.")
    rows = [_against_others(grid, dealer, lags) for dealer in grid.columns]
    return pd.DataFrame(rows).sort_values("information_share", ascending=False, ignore_index=True)


def _against_others(grid: pd.DataFrame, dealer: str, lags: int) -> dict[str, Any]:
    pairs = [grid[[dealer, other]].dropna().to_numpy().T for other in grid.columns if other != dealer]
    information = pd.Series([ft.information_share(*pair, lags=lags).mid[0] for pair in pairs])
    component = pd.Series([ft.component_share(*pair, lags=lags)[0] for pair in pairs])
    return {
        "dealer": dealer,
        "information_share": information.mean(),
        "component_share": component.mean(),
        "leads": int((information > 0.5).sum()),
    }
