"""Pipelines that people know by a name, each made of kernels alone.

A recipe is a starting point: it returns a `fintech_toolkit.Pipeline`, whose steps can be looked at, extended
(``recipe | ft.rsi("mid")``), saved, and run on any kind of frame and live.
"""

from __future__ import annotations

from typing import Any

import fintech_toolkit as ft

__all__ = [
    "crypto_basis_monitor",
    "data_quality_guard",
    "execution_report",
    "fx_carry_monitor",
    "market_making_features",
    "momentum_features",
    "risk_monitor",
    "volatility_features",
]


def market_making_features(*, halflife: float = 50, window: int = 200, **options: Any) -> ft.Pipeline:
    """What a quoter looks at: fair price, spread, pressure on either side, and how much the market moves.

    Parameters
    ----------
    halflife : float
        Of the averaged order flow, in rows.
    window : int
        Rows of the z-score, of the volatility and of the stability of quotes.
    **options
        Of `fintech_toolkit.Pipeline`: ``symbol``, ``time``, ``columns``…

    Returns
    -------
    Pipeline
        Reads bid, ask, bid_size, ask_size; gives mid, microprice, spread, spread_bps, imbalance, ofi, ofi_ewma,
        ofi_zscore, log_return, volatility (per row), changes_per_second and mean_life.

    Examples
    --------
    >>> import data_generators, fintech_toolkit as ft
    >>> quotes = data_generators.sample("quotes", 1_000, symbols=3)
    >>> features = ft.recipes.market_making_features()(quotes)
    >>> features[["mid", "microprice", "ofi_zscore"]].shape
    (1000, 3)
    """
    return ft.Pipeline(
        ft.midprice(),
        ft.microprice(),
        ft.quoted_spread(),
        ft.l1_imbalance(),
        ft.ofi(),
        ft.ewma("ofi", halflife=halflife).named("ofi_ewma"),
        ft.rolling_zscore("ofi", window=window).named("ofi_zscore"),
        ft.log_returns("mid"),
        ft.rolling_std("log_return", window=window).named("volatility"),
        ft.quote_stability(window=window),
        **options,
    )


def momentum_features(
    price: str = "price", *, fast: int = 12, slow: int = 26, window: int = 20, **options: Any
) -> ft.Pipeline:
    """How far and how steadily a price has moved: returns, averages, oscillators and bands.

    Parameters
    ----------
    price : str
        The column of prices.
    fast, slow : int
        Spans of the averages, in rows.
    window : int
        Rows of the bands, the channel and the z-score.
    **options
        Of `fintech_toolkit.Pipeline`.

    Returns
    -------
    Pipeline
        Gives return, ema_fast, ema_slow, macd, macd_signal, macd_hist, rsi, band_mid, band_upper, band_lower, pct_b,
        channel_high, channel_low and zscore.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> bars = pd.DataFrame({"price": [100.0, 101.0, 103.0]})
    >>> ft.recipes.momentum_features(symbol=None, time=None)(bars)["ema_fast"].round(3).tolist()
    [100.0, 100.154, 100.592]
    """
    return ft.Pipeline(
        ft.simple_returns(price),
        ft.ema(price, span=fast, seed="first").named("ema_fast"),
        ft.ema(price, span=slow, seed="first").named("ema_slow"),
        ft.macd(price, fast=fast, slow=slow).named("macd", "macd_signal", "macd_hist"),
        ft.rsi(price),
        ft.bollinger_bands(price, window=window).named("band_mid", "band_upper", "band_lower", "pct_b"),
        ft.rolling_max(price, window=window).named("channel_high"),
        ft.rolling_min(price, window=window).named("channel_low"),
        ft.rolling_zscore(price, window=window),
        **options,
    )


def volatility_features(price: str = "price", *, window: int = 100, **options: Any) -> ft.Pipeline:
    """How much a price moves, what of it are jumps, and how the estimates of it differ.

    Parameters
    ----------
    price : str
        The column of prices.
    window : int
        Rows of the windows.
    **options
        Of `fintech_toolkit.Pipeline`.

    Returns
    -------
    Pipeline
        Gives log_return, rv, bv, medrv, jump_z, jump, rs_minus, rs_plus and vol (RiskMetrics, per row).

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> trades = pd.DataFrame({"price": [100.0, 101.0, 100.0]})
    >>> ft.recipes.volatility_features(symbol=None, time=None)(trades).columns.tolist()[:4]
    ['price', 'log_return', 'rv', 'bv']
    """
    return ft.Pipeline(
        ft.log_returns(price),
        ft.realized_var("log_return", window=window),
        ft.bipower_var("log_return", window=window),
        ft.medrv("log_return", window=window),
        ft.jump_test("log_return", window=window).named("jump_z", "jump"),
        ft.realized_semivar("log_return", window=window),
        ft.riskmetrics_vol("log_return"),
        **options,
    )


def execution_report(*, window: int = 1_000, **options: Any) -> ft.Pipeline:
    """What one's own fills have cost: against the arrival price, the mid and the market's own average price.

    Parameters
    ----------
    window : int
        Rows of the market's average price and of the participation.
    **options
        Of `fintech_toolkit.Pipeline`; one of its symbols is an order.

    Returns
    -------
    Pipeline
        Reads price, size, side (+1, -1), arrival (the mid when the order came), mid (now) and market_size (traded by
        all since the fill before); gives shortfall_bps (of all fills so far), impact_bps (of the fill), effective and
        effective_bps, fill_vwap and participation.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> fills = pd.DataFrame({
    ...     "price": [10.01, 10.03], "size": [100.0, 300.0], "side": [1.0, 1.0],
    ...     "arrival": [10.0, 10.0], "mid": [10.0, 10.02], "market_size": [1000.0, 1000.0],
    ... })
    >>> report = ft.recipes.execution_report(symbol=None, time=None)(fills)
    >>> report[["shortfall_bps", "participation"]].round(2).values.tolist()
    [[10.0, 0.1], [25.0, 0.2]]
    """
    return ft.Pipeline(
        ft.implementation_shortfall("price", "size", "side", "arrival"),
        ft.arrival_price_impact("price", "arrival", "side"),
        ft.effective_spread("price", "mid", "side"),
        ft.vwap("price", "size", window=window).named("fill_vwap"),
        ft.pov("market_size", "size", window=window, min_periods=1),
        **options,
    )


def risk_monitor(
    *,
    max_long: float = 1e6,
    max_short: float = 1e6,
    window: int = 250,
    alpha: float = 0.05,
    periods: int = 252,
    **options: Any,
) -> ft.Pipeline:
    """What a book holds and may lose: exposure against its limits, drawdown, tail of its results and reward for risk.

    Parameters
    ----------
    max_long, max_short : float
        Limits of the exposure, in the unit of price times position.
    window : int
        Rows of tails and ratios.
    alpha : float
        Share of results in the tail.
    periods : int
        Rows in a year.
    **options
        Of `fintech_toolkit.Pipeline`.

    Returns
    -------
    Pipeline
        Reads position, price and equity; gives exposure, breach, drawdown, peak, duration, pnl, var, cvar, return,
        rolling_sharpe and rolling_sortino.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> days = pd.DataFrame({"position": [50.0, 60.0], "price": [100.0, 90.0], "equity": [1000.0, 900.0]})
    >>> monitor = ft.recipes.risk_monitor(max_long=5_200, symbol=None, time=None)(days)
    >>> monitor[["exposure", "breach", "drawdown"]].round(3).values.tolist()
    [[5000.0, 0.0, 0.0], [5400.0, 1.0, -0.1]]
    """
    return ft.Pipeline(
        ft.exposure_limits("position", "price", max_long=max_long, max_short=max_short),
        ft.drawdown("equity"),
        ft.diff("equity").named("pnl"),
        ft.historical_var("pnl", window=window, alpha=alpha),
        ft.historical_cvar("pnl", window=window, alpha=alpha),
        ft.simple_returns("equity"),
        ft.rolling_sharpe("return", window=window, periods=periods),
        ft.rolling_sortino("return", window=window, periods=periods),
        **options,
    )


def crypto_basis_monitor(*, fee_bps: float = 5.0, window: int = 200, **options: Any) -> ft.Pipeline:
    """Perpetual against spot: the basis, what funding says it should be, and what a carry trade would earn.

    Parameters
    ----------
    fee_bps : float
        Costs of the carry trade in basis points.
    window : int
        Rows of the z-score.
    **options
        Of `fintech_toolkit.Pipeline`.

    Returns
    -------
    Pipeline
        Reads price (of the perpetual), spot, funding_rate (of an interval) and open_interest; gives basis,
        basis_zscore, fair_price, funding_apr, funding_apy, edge_bps, oi_delta and oi_change.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({
    ...     "ts": pd.date_range("2024-01-02", periods=2, freq="s", tz="UTC"),
    ...     "price": [100.2, 100.1], "spot": [100.0, 100.0], "funding_rate": [1e-4, 1e-4],
    ...     "open_interest": [5000.0, 5100.0],
    ... })
    >>> monitor = ft.recipes.crypto_basis_monitor(symbol=None)(ticks)
    >>> monitor[["basis", "oi_delta"]].round(3).values.tolist()
    [[0.2, nan], [0.1, 100.0]]
    """
    return ft.Pipeline(
        ft.pairs_spread("price", "spot", beta=1.0).named("basis"),
        ft.rolling_zscore("basis", window=window).named("basis_zscore"),
        ft.perp_fair_price("spot", "funding_rate"),
        ft.funding_apr("funding_rate"),
        ft.cash_and_carry_edge("price", "spot", "funding_rate", fee_bps=fee_bps),
        ft.open_interest_delta("open_interest"),
        **options,
    )


def fx_carry_monitor(*, threshold: float = 0.01, window: int = 200, **options: Any) -> ft.Pipeline:
    """A currency pair's carry: what forwards pay, how far they are from parity, and the risk beside it.

    Parameters
    ----------
    threshold : float
        Annual carry above which the signal is on.
    window : int
        Rows of the volatility and of the z-score.
    **options
        Of `fintech_toolkit.Pipeline`.

    Returns
    -------
    Pipeline
        Reads spot, forward, years, quote_rate and base_rate; gives carry, carry_signal, cip_basis_bps, cip_zscore,
        fair_forward, fair_points, log_return and volatility (per row).

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({
    ...     "spot": [1.10], "forward": [1.11], "years": [0.25], "quote_rate": [0.05], "base_rate": [0.03],
    ... })
    >>> ft.recipes.fx_carry_monitor(symbol=None, time=None)(ticks)["fair_forward"].round(4).tolist()
    [1.1055]
    """
    return ft.Pipeline(
        ft.carry_signal("spot", "forward", "years", threshold=threshold),
        ft.cip_basis("spot", "forward", "quote_rate", "base_rate", "years"),
        ft.rolling_zscore("cip_basis_bps", window=window).named("cip_zscore"),
        ft.forward_points("spot", "quote_rate", "base_rate", "years").named("fair_forward", "fair_points"),
        ft.log_returns("spot"),
        ft.rolling_std("log_return", window=window).named("volatility"),
        **options,
    )


def data_quality_guard(*, window: int = 50, k: float = 5.0, band: float = 0.05, **options: Any) -> ft.Pipeline:
    """Whether a quote can be believed: crossed books, outliers, prices far from what was, and quotes without change.

    Parameters
    ----------
    window : int
        Rows that say what is usual.
    k : float
        How many deviations from the median an outlier is away.
    band : float
        How far a mid may be from the filtered one, as a share of it.
    **options
        Of `fintech_toolkit.Pipeline`.

    Returns
    -------
    Pipeline
        Reads bid and ask; gives locked, crossed, mid, outlier, filtered_mid, passes, reason, changes_per_second and
        mean_life.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> quotes = pd.DataFrame({
    ...     "ts": pd.date_range("2024-01-02", periods=3, freq="s", tz="UTC"),
    ...     "bid": [10.0, 10.3, 10.0], "ask": [10.2, 10.2, 10.2],
    ... })
    >>> ft.recipes.data_quality_guard(symbol=None)(quotes)["crossed"].tolist()
    [False, True, False]
    """
    return ft.Pipeline(
        ft.crossed_quote(),
        ft.midprice(),
        ft.outlier_mad("mid", window=window, k=k),
        ft.hampel("mid", window=window, k=k).named("filtered_mid"),
        ft.price_band_guard("mid", "filtered_mid", band=band),
        ft.quote_stability(window=window),
        **options,
    )
