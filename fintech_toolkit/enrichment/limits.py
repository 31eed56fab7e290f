"""What somebody should look at: unusual spreads and volumes, and positions beyond their limits."""

from __future__ import annotations

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_quote import quotes


def spread_alerts(
    over: ft.Flow | None = None, *, widest: float = 200.0, deviations: float = 3.0, window: int = 200
) -> ft.Flow:
    """Return the flow of quotes after which the best spread is out of its band, or unusual for its instrument.

    Parameters
    ----------
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    widest : float
        The spread in basis points of the mid that is still within the band; below 0 is out of it, too.
    deviations : float
        From how many standard deviations on, up or down, a spread is unusual.
    window : int
        Over how many quotes of the instrument these are taken.

    Returns
    -------
    Flow
        Quotes, and ``spread_zscore`` beside them.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities")}
    >>> len(enrichment.spread_alerts(widest=10.0)(**market)) > len(enrichment.spread_alerts(widest=20.0)(**market))
    True
    """
    scored = (quotes() if over is None else over).pipe(
        ft.rolling_zscore("best_spread_bps", window=window).named("spread_zscore")
    )
    return scored.filter(
        [
            [("best_spread_bps", ">", widest)],
            [("best_spread_bps", "<", 0.0)],
            [("spread_zscore", ">", deviations)],
            [("spread_zscore", "<", -deviations)],
        ]
    )


def volume_alerts(
    every: str = "5min", over: ft.Flow | None = None, *, deviations: float = 3.0, window: int = 50
) -> ft.Flow:
    """Return the flow of windows of time in which far more of an instrument was traded than before.

    Parameters
    ----------
    every : str
        How long a window is.
    over : Flow, optional
        The trades; the source ``trades``, if left out.
    deviations : float
        From how many standard deviations on a volume is unusual.
    window : int
        Over how many windows in which the instrument was traded these are taken, this one included: of fewer than 12
        none can be 3 standard deviations off.

    Returns
    -------
    Flow
        Windows with ``trades``, ``volume`` and ``volume_zscore``.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> alerts = enrichment.volume_alerts("1s", window=20)(trades=data_generators.sample("trades", rows=2_000))
    >>> len(alerts) > 0, bool((alerts["volume_zscore"] > 3).all())
    (True, True)
    """
    traded = ft.source("trades") if over is None else over
    volumes = traded.window(every).agg(trades=("price", "count"), volume=("size", "sum"))
    scored = volumes.pipe(ft.rolling_zscore("volume", window=window).named("volume_zscore"))
    return scored.filter(("volume_zscore", ">", deviations))


def positions(over: ft.Flow | None = None, *, max_long: float, max_short: float) -> ft.Flow:
    """Return the flow of trades with what the clients of the trade's dealer hold of the instrument after it.

    Parameters
    ----------
    over : Flow, optional
        The trades; the source ``trades``, if left out.
    max_long, max_short : float
        The greatest exposure (position times price) either way; ``breach`` is 1 or -1 beyond it.

    Returns
    -------
    Flow
        Trades with ``position``, ``average_cost``, ``realized_pnl``, ``unrealized_pnl``, ``exposure`` and ``breach``.
        The dealer's own position is the opposite one.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> trades = data_generators.sample("trades", rows=500)
    >>> held = enrichment.positions(max_long=1e9, max_short=1e9)(trades=trades)
    >>> bool(((held["exposure"] > 1e9) == (held["breach"] == 1)).all())
    True
    """
    held = (ft.source("trades") if over is None else over).pipe(ft.joint_key("symbol", "dealer").named("book"))
    return held.pipe(
        ft.position(), ft.exposure_limits("position", max_long=max_long, max_short=max_short), symbol="book"
    )
