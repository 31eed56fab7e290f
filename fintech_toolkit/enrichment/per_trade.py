"""What is said beside every trade."""

from __future__ import annotations

from collections.abc import Sequence

import fintech_toolkit as ft
from fintech_toolkit.enrichment.per_quote import FIELDS, quotes

STANDING = ("best_bid", "best_ask", "best_bid_size", "best_ask_size", "best_mid", "best_spread_bps")
HORIZONS = ("1s", "10s", "1min", "5min")
NIGHT = "12h"
"""What was quoted longer ago does not stand, if nothing is said: it is of another day."""


def trades(
    over: ft.Flow | None = None,
    done: ft.Flow | None = None,
    *,
    fields: Sequence[str] = FIELDS,
    horizons: Sequence[str] = HORIZONS,
    max_age: str | None = None,
) -> ft.Flow:
    """Return the flow of trades with the best quotes that stood when they were done, and with what became of them.

    Its sources are ``securities`` and those of `over` and `done`.

    Parameters
    ----------
    over : Flow, optional
        The enriched quotes; `quotes`, if left out.
    done : Flow, optional
        The trades; the source ``trades``, if left out.
    fields : list of str
        The columns of the securities that are appended; missing where an instrument is none of them.
    horizons : list of str
        How long after a trade the mid is looked at.
    max_age : str, optional
        How old the best quotes of an instrument may be; half a day, if left out.

    Returns
    -------
    Flow
        All rows of trades come out, in their order, with the best quotes as of the trade (those at the very time of it
        included); ``improvement``, ``place`` (1 inside the spread, 2 at a best quote, 3 outside), ``cost_bps`` (what
        it cost against the mid: half the effective spread), the instrument's ``trade_velocity`` (trades per second in
        the last minute), and for each horizon the ``best_mid_…`` then and the ``markout_bps_…`` (half the realised
        spread, with a minus). ``known_at`` is when the last of these is known.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities", "trades")}
    >>> traded = enrichment.trades(horizons=["10s"])(**market)
    >>> inside = traded[traded["place"] == 1]
    >>> len(traded), bool((inside["improvement"] > 0).all())
    (500, True)
    """
    if over is None:
        over = quotes(max_age=max_age)
    tolerance = NIGHT if max_age is None else max_age
    standing = over.select("symbol", "ts", *STANDING)
    against_best = [
        ft.price_improvement(),
        ft.inside_spread(),
        ft.markout("price", "best_mid", "side").named("markout_0s", "markout_bps_0s"),
        ft.trade_velocity("ts", window="1min"),
    ]
    later = [
        ft.markout("price", f"best_mid_{after}", "side").named(f"markout_{after}", f"markout_bps_{after}")
        for after in horizons
    ]
    return (
        (ft.source("trades") if done is None else done)
        .asof_join(standing, tolerance=tolerance)
        .horizon_join(standing, offsets=list(horizons), select=["best_mid"], left_on="ts", tolerance=tolerance)
        .pipe(*against_best, *later)
        .join(ft.source("securities"), on="symbol", how="left", select=list(fields))
    )
