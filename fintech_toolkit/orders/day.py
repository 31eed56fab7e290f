"""A security on a day, from order states to what its sweeps would have cost in the dark pool."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from fintech_toolkit.orders.aggregates import Summary, summarise
from fintech_toolkit.orders.classify import final_states
from fintech_toolkit.orders.comparison import compare
from fintech_toolkit.orders.config import OrdersConfig
from fintech_toolkit.orders.matching import match_trades
from fintech_toolkit.orders.nbbo import national_best
from fintech_toolkit.orders.simulation import simulate
from fintech_toolkit.orders.unmatched import unmatched


@dataclass(frozen=True)
class Day:
    """What comes of a security on a day.

    Attributes
    ----------
    frames : dict of str to DataFrame
        ``orders`` (the states), ``classified`` (`match_trades`), ``simulation`` (a row for each match), ``sweeps`` (a
        row for each order that was simulated), ``metrics`` (`compare`) and ``unmatched``.
    summary : Summary
        What of it goes into the figures of all.
    counts : dict of str to int
        Rows of each frame, and the sweeps that were left out, by reason.
    """

    frames: dict[str, pd.DataFrame]
    summary: Summary
    counts: dict[str, int]


def analyse(orders: pd.DataFrame, trades: pd.DataFrame, quotes: pd.DataFrame, config: OrdersConfig) -> Day:
    """Classify orders, match trades with them, simulate the dark pool, and measure it against what really traded.

    Parameters
    ----------
    orders, trades, quotes : DataFrame
        Canonical frames of one security and one local day, sorted; the quotes may be empty.
    config : OrdersConfig
        Market, simulation and participants.

    Returns
    -------
    Day

    Raises
    ------
    DataError
        If rows cannot be used, or orders and trades do not agree.
    """
    final = match_trades(final_states(orders, config.market), trades)
    nbbo = national_best(orders, trades, quotes)
    simulated = simulate(orders, final, trades, nbbo, config.simulation, config.market)
    told = final
    if config.participants != "all":
        told = final[final["participantid"].isin(config.participants)].reset_index(drop=True)
    sweeps = simulated.sweeps[simulated.sweeps["order_id"].isin(told["order_id"])].reset_index(drop=True)
    to_fill = sweeps.set_index("order_id")["quantity_to_fill"]
    metrics = compare(told, trades, simulated.fills, nbbo, config.market, to_fill)
    missed = unmatched(final, sweeps, nbbo, config.simulation, config.market)
    frames = {
        "orders": orders,
        "classified": told,
        "simulation": simulated.matches,
        "sweeps": sweeps,
        "metrics": metrics,
        "unmatched": missed,
    }
    counts = {name: len(frame) for name, frame in frames.items()}
    counts |= {"trades": len(trades), "quotes": len(quotes)}
    counts |= {f"left out: {reason}": count for reason, count in simulated.left_out.items()}
    return Day(frames, summarise(told, metrics, missed, simulated.left_out), counts)
