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
        included). In the unit of the prices and, as ``…_bps``, in basis points: ``improvement`` and
        ``effective_spread``; for each horizon, such as 1s, ``best_mid_1s``, the best mid then, ``realized_1s``, the
        spread that was left with that mid instead of the one at the trade, and ``markout_1s``, by how much it proved
        whoever started the trade right. Besides, ``place`` (1 inside the spread, 2 at a best quote, 3 outside),
        ``signed_volume`` (bought positive, sold negative) and ``trade_velocity``, the instrument's trades per second in
        the last minute. ``known_at`` is when the last of all this is known.

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
        ft.effective_spread("price", "best_mid", "side").named("effective_spread", "effective_spread_bps"),
        ft.signed_volume().named("signed_volume"),
        ft.trade_velocity("ts", window="1min"),
    ]
    later = []
    for after in horizons:
        mid = f"best_mid_{after}"
        realized = ft.effective_spread("price", mid, "side").named(f"realized_{after}", f"realized_bps_{after}")
        later += [realized, ft.markout("price", mid, "side").named(f"markout_{after}", f"markout_bps_{after}")]
    return (
        (ft.source("trades") if done is None else done)
        .asof_join(standing, tolerance=tolerance)
        .horizon_join(standing, offsets=horizons, select=["best_mid"], tolerance=tolerance)
        .pipe(*against_best, *later)
        .join(ft.source("securities"), on="symbol", how="left", select=fields)
    )
