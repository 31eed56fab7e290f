"""Real fills against those of the simulated dark pool, order by order, over equal quantities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fintech_toolkit.orders.language import Side
from fintech_toolkit.orders.measures import ABOUT, MEASURES, Met, beside_market, measured, part_of
from fintech_toolkit.orders.settings import Market

WHOLE = ("fill_ratio", "shortfall_bps")
"""Measures in which what was not filled counts: of all fills on both sides, not of equal quantities."""


def compare(
    final: pd.DataFrame,
    trades: pd.DataFrame,
    simulated: Mapping[str, pd.DataFrame],
    nbbo: pd.DataFrame,
    market: Market,
    to_fill: pd.Series,
) -> pd.DataFrame:
    """Measure real and simulated fills of the same orders, over equal quantities.

    What an order traded on arrival is passed over on the real side: only what came after could have been filled in the
    pool. Of that, and of what the pool filled, the first units count, as many as both have. `WHOLE` names the measures
    that are of all fills.

    Parameters
    ----------
    final : pandas.DataFrame
        Final states.
    trades : pandas.DataFrame
        Real fills: sides of trades.
    simulated : mapping of str to pandas.DataFrame
        By scenario, simulated fills.
    nbbo : pandas.DataFrame
        Best bid and offer over time.
    market : Market
        As of `measure`.
    to_fill : pandas.Series of int64
        By order id, the quantity that was still to fill after arrival. Orders without, or with nothing, are left out.

    Returns
    -------
    pandas.DataFrame
        A row for each scenario and order: what is known of the order (`ABOUT`), ``scenario``, ``to_fill``, ``filled``
        (by the pool), ``quantity`` (in which both sides are measured; 0 where the pool filled nothing),
        ``arrival_mid``, ``arrival_spread_bps``, each of `MEASURES` as ``real_…`` and as ``simulated_…``, and
        ``saving``: s·(real vwap - simulated vwap)·quantity in price units, above 0 where the pool was cheaper.

    Raises
    ------
    DataError
        If real or simulated fills come to more than there was to fill.
    """
    asked = to_fill[to_fill > 0]
    orders = final[final["order_id"].isin(asked.index)].reset_index(drop=True)
    rows = pd.Index(orders["order_id"])
    asked = asked.reindex(rows)
    traded = trades[trades["order_id"].isin(rows)].groupby("order_id")["quantity"].sum().reindex(rows, fill_value=0)
    on_arrival = (traded - asked).clip(lower=0)
    met = Met.by(orders, nbbo, market)
    real = beside_market(part_of(trades, on_arrival, traded), nbbo, market)
    whole_real = measured(met, real, asked)
    parts = []
    for scenario, fills in simulated.items():
        known = beside_market(fills, nbbo, market)
        whole = measured(met, known, asked)
        both = pd.Series(np.minimum(whole["filled"].to_numpy(), whole_real["filled"].to_numpy()), index=rows)
        none = both * 0
        sides = {
            "real": (whole_real, measured(met, part_of(real, none, both), asked)),
            "simulated": (whole, measured(met, part_of(known, none, both), asked)),
        }
        part = orders[["order_id", *ABOUT]].assign(scenario=scenario, to_fill=asked.to_numpy())
        part = part.assign(filled=whole["filled"], quantity=both.to_numpy())
        part = part.join(whole_real[["arrival_mid", "arrival_spread_bps"]])
        for side, (every, equal) in sides.items():
            kept = equal.assign(**{name: every[name] for name in WHOLE})[list(MEASURES)]
            part = part.join(kept.add_prefix(f"{side}_"))
        sign = np.where(part["side"] == Side.BUY, 1, -1)
        part["saving"] = (sign * (part["real_vwap"] - part["simulated_vwap"]) * part["quantity"]).fillna(0.0)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
