"""Real fills against those of the simulated dark pool, order by order, over equal quantities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fintech_toolkit.orders.language import Side
from fintech_toolkit.orders.measures import ABOUT, MEASURES, Fills, Met, measured
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

    Examples
    --------
    A sell of 100 that waited for the offer; the pool would have filled 40 of it at the mid:

    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> start = pd.Timestamp("2024-09-05T01:00:00Z").as_unit("ns")
    >>> final = pd.DataFrame({"order_id": [7], "side": 2, "quantity": 100, "limit_price": 3340, "arrival": start,
    ...                       "last": start + pd.Timedelta("1s"), "arrival_bid": 3330, "arrival_offer": 3340,
    ...                       "security_code": 110621, "day": "2024-09-05", "participantid": 5, "arrival_hour": 11,
    ...                       "size": "tiny", "volume_quartile": 1})
    >>> fill = pd.DataFrame({"order_id": [7], "timestamp": start + pd.Timedelta("1s"), "quantity": 100, "price": 3340})
    >>> quotes = pd.DataFrame({"timestamp": [start], "security_code": 110621, "national_bid": 3330,
    ...                        "national_offer": 3340})
    >>> nbbo = orders.national_best(pd.DataFrame(), pd.DataFrame(), orders.canonical(quotes, orders.QUOTES))
    >>> pool = {"mid": fill.assign(quantity=40, price=3335.0)}
    >>> found = orders.compare(final, fill, pool, nbbo, orders.Market(), pd.Series({7: 100}))
    >>> found[["quantity", "real_cost_bps", "simulated_cost_bps", "simulated_fill_ratio", "saving"]].round(2)
       quantity  real_cost_bps  simulated_cost_bps  simulated_fill_ratio  saving
    0        40         -14.99                -0.0                   0.4  -200.0
    """
    asked = to_fill[to_fill > 0]
    orders = final[final["order_id"].isin(asked.index)].reset_index(drop=True)
    rows = pd.Index(orders["order_id"])
    wanted = asked.reindex(rows).to_numpy("int64")
    about = {name: orders[name].array for name in ("order_id", *ABOUT)}
    sign = np.where(orders["side"] == Side.BUY, 1, -1)
    met = Met.by(orders, nbbo, market)
    real = Fills.by(rows, trades, nbbo, market)
    traded = real.filled(len(rows))
    real = real.part(np.maximum(traded - wanted, 0), traded)
    whole_real = measured(met, real, wanted)
    none = np.zeros(len(rows), np.int64)
    parts = []
    for scenario, fills in simulated.items():
        known = Fills.by(rows, fills, nbbo, market)
        whole = measured(met, known, wanted)
        both = np.minimum(whole["filled"], whole_real["filled"])
        part = about | {
            "scenario": pd.array([scenario], dtype="str").take(none),
            "to_fill": wanted,
            "filled": whole["filled"],
            "quantity": both,
            "arrival_mid": met.mid,
            "arrival_spread_bps": whole["arrival_spread_bps"],
        }
        for side, found, of_all in (("real", real, whole_real), ("simulated", known, whole)):
            equal = measured(met, found.part(none, both), wanted)
            part |= {f"{side}_{name}": (of_all if name in WHOLE else equal)[name] for name in MEASURES}
        saving = sign * (part["real_vwap"] - part["simulated_vwap"]) * both
        parts.append(pd.DataFrame(part | {"saving": np.where(np.isnan(saving), 0.0, saving)}, copy=False))
    return pd.concat(parts, ignore_index=True)
