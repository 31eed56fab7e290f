"""What is said beside every quote."""

from __future__ import annotations

from collections.abc import Sequence

import fintech_toolkit as ft

FIELDS = ("segment", "sector", "rating", "currency", "coupon", "maturity")
"""What of a security stands beside its quotes and trades, if nothing is said."""


def quotes(*, fields: Sequence[str] = FIELDS) -> ft.Flow:
    """Return the flow of quotes with their mid and spread, and fields of their securities.

    Its sources are ``quotes``, two-sided ones of dealers, and ``securities``.

    Parameters
    ----------
    fields : list of str
        The columns of the securities that are appended; missing where an instrument is none of them.

    Returns
    -------
    Flow
        All rows of quotes come out, in their order.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=100) for name in ("quotes", "securities")}
    >>> enrichment.quotes()(**market)[["bid", "ask", "mid", "segment"]].shape
    (100, 4)
    """
    priced = ft.source("quotes").pipe(ft.midprice(), ft.quoted_spread())
    return priced.join(ft.source("securities"), on="symbol", how="left", select=list(fields))
