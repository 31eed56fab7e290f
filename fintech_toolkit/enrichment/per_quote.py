"""What is said beside every quote."""

from __future__ import annotations

from collections.abc import Sequence

import fintech_toolkit as ft

FIELDS = ("segment", "sector", "rating", "currency", "coupon", "maturity")
"""What of a security stands beside its quotes and trades, if nothing is said."""


def quotes(
    over: ft.Flow | None = None,
    *,
    fields: Sequence[str] = FIELDS,
    max_age: str | None = None,
    session: str | None = "UTC",
) -> ft.Flow:
    """Return the flow of dealers' quotes with the best bid and offer over all dealers, and fields of their securities.

    Its sources are ``securities`` and those of `over`.

    Parameters
    ----------
    over : Flow, optional
        Two-sided quotes of dealers; the source ``quotes``, if left out. `two_sided` makes them of one-sided ones.
    fields : list of str
        The columns of the securities that are appended; missing where an instrument is none of them.
    max_age : str, optional
        How long a dealer's quote stands that is neither replaced nor withdrawn; for ever, if left out.
    session : str, optional
        The zone of the trading day, as for `Pipeline`: no quote stands for longer than its day.

    Returns
    -------
    Flow
        All rows of quotes come out, in their order, each with the ``mid`` and the spread of its own (``spread``, in
        ``spread_bps`` and ``spread_pct``), and with what stands after it: the columns of
        `fintech_toolkit.best_bid_offer`, ``best_mid``, ``best_spread`` and ``best_spread_bps``.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=100) for name in ("quotes", "securities")}
    >>> enriched = enrichment.quotes()(**market)
    >>> len(enriched), bool((enriched["best_spread"] <= enriched["spread"] + 1e-9).all())
    (100, True)
    """
    priced = (ft.source("quotes") if over is None else over).pipe(
        ft.midprice(),
        ft.quoted_spread(),
        ft.percentage_spread(),
        ft.best_bid_offer(max_age=max_age),
        ft.midprice("best_bid", "best_ask").named("best_mid"),
        ft.quoted_spread("best_bid", "best_ask").named("best_spread", "best_spread_bps"),
        session=session,
    )
    return priced.join(ft.source("securities"), on="symbol", how="left", select=fields)


def tight(below_bps: float = 50.0, over: ft.Flow | None = None) -> ft.Flow:
    """Return the flow of quotes after which the best spread is tight, and not crossed.

    Parameters
    ----------
    below_bps : float
        The spread in basis points of the mid that is not tight any more; 50 are half a percent.
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities")}
    >>> len(enrichment.tight(8.0)(**market)) < len(enrichment.tight()(**market)) <= 500
    True
    """
    enriched = quotes() if over is None else over
    return enriched.filter([("best_spread_bps", "<", below_bps), ("best_spread_bps", ">=", 0.0)])
