"""What the simulated dark pool is given: what there is to fill and to trade, and the day's states, mids and hours."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from fintech_toolkit.orders.language import Side, Status
from fintech_toolkit.orders.settings import Market, Simulation
from fintech_toolkit.orders.simulation_loop import EVENT, MID, last_states

MIDTICKS = (1, 4, 6)
"""Codes of ``midtick`` that make a limit half a tick better for the other side."""
SINGLE_FILL = 1
"""The code of ``singlefillminimumquantity`` by which one contra must bring the minimum."""
UNLIMITED = 2**62
TERMS = (
    "price",
    "midtick",
    "leavesquantity",
    "totalmatchedquantity",
    "minimumquantity",
    "singlefillminimumquantity",
    "orderstatus",
)


def nanoseconds(times: pd.Series) -> np.ndarray:
    return times.to_numpy("datetime64[ns]").view("int64")


class Sides(NamedTuple):
    """Sides of trades that orders of the pool have: whose each is, and whether it came after that order's arrival."""

    order: np.ndarray
    quantity: np.ndarray
    group: np.ndarray
    later: np.ndarray


def sides_of(pool: pd.DataFrame, trades: pd.DataFrame) -> Sides:
    at = pd.Index(pool["order_id"]).get_indexer(trades["order_id"])
    ours = at >= 0
    order, time = at[ours], nanoseconds(trades["timestamp"])[ours]
    quantity, group = (trades[name].to_numpy()[ours] for name in ("quantity", "matchgroupid"))
    return Sides(order, quantity, group, time > nanoseconds(pool["arrival"])[order])


def quantity_to_fill(pool: pd.DataFrame, sides: Sides) -> np.ndarray:
    """Return what each qualifying order traded after the nanosecond of its arrival; 0 of others."""
    sums = np.zeros(len(pool), np.int64)
    np.add.at(sums, sides.order[sides.later], sides.quantity[sides.later])
    return np.where(pool["qualifies"], sums, 0)


def elsewhere(pool: pd.DataFrame, to_fill: np.ndarray, sides: Sides) -> np.ndarray:
    """Return what each order traded in trades that are not taken back."""
    taken_back = sides.group[(to_fill > 0)[sides.order] & sides.later]
    stays = ~np.isin(sides.group, taken_back)
    sums = pool["matched_before"].to_numpy().copy()
    np.add.at(sums, sides.order[stays], sides.quantity[stays])
    return np.where(to_fill > 0, pool["quantity"].to_numpy() - to_fill, sums)


def session(pool: pd.DataFrame, market: Market) -> tuple[int, int]:
    """Return when continuous trading begins and ends on the day of the orders."""
    day = date.fromisoformat(pool["day"].iloc[0])
    opens, closes = (
        pd.Timestamp(datetime.combine(day, at)).tz_localize(market.zone).value for at in (market.opens, market.closes)
    )
    return opens, closes


def mids(nbbo: pd.DataFrame, opens: int) -> np.ndarray:
    """Return the changes of the mid over time; what stands when continuous trading begins is told anew then."""
    usable = nbbo["mid"].notna().to_numpy() & ~nbbo["crossed"].to_numpy()
    every = np.zeros(len(nbbo), MID)
    every["time"] = nanoseconds(nbbo["timestamp"])
    every["mid"][usable] = nbbo["bid"].to_numpy()[usable] + nbbo["offer"].to_numpy()[usable]
    changes: np.ndarray = every[np.diff(every["mid"], prepend=-1) != 0]
    at = int(np.searchsorted(changes["time"], opens, side="right"))
    if at == 0 or changes["time"][at - 1] == opens:
        return changes
    return np.insert(changes, at, np.array((opens, changes["mid"][at - 1]), MID))


def events(orders: pd.DataFrame, pool: pd.DataFrame, market: Market) -> np.ndarray:
    """Return the last state of each order at each time; those of one time in the order of their first records."""
    at = pd.Index(pool["order_id"]).get_indexer(orders["order_id"])
    rows = np.flatnonzero(at >= 0)
    of, when = at[rows], nanoseconds(orders["timestamp"])[rows]
    last = np.empty(len(rows), np.int64)
    last = last[: last_states(of, when, np.full(len(pool), -1), last)]
    order, time, rows = of[last], when[last], rows[last]
    taken = {name: orders[name].to_numpy()[rows] for name in TERMS}
    buy = (pool["side"] == Side.BUY).to_numpy()[order]
    towards = np.where(np.isin(taken["midtick"], MIDTICKS), market.tick, 0)
    # On either side the smaller is the better: the limits of buys are negative, and half a tick more.
    limit = np.where(buy, -2 * taken["price"], 2 * taken["price"]) - towards
    made = np.zeros(len(order), EVENT)
    made["time"], made["order"] = time, order
    made["size"] = taken["totalmatchedquantity"] + taken["leavesquantity"]
    made["limit"] = np.where(taken["price"] > 0, limit, -UNLIMITED)
    made["minimum"] = taken["minimumquantity"]
    made["single"] = taken["singlefillminimumquantity"] == SINGLE_FILL
    made["on_book"] = taken["orderstatus"] == Status.ON_BOOK
    made["arrives"] = time == nanoseconds(pool["arrival"])[order]
    return made


def delayed(events: np.ndarray, pool: pd.DataFrame, to_fill: np.ndarray, simulation: Simulation) -> np.ndarray:
    """Return the events as the pool sees them: those of simulated orders late, unless they are over by then."""
    simulated = np.flatnonzero(to_fill)
    day = date.fromisoformat(pool["day"].iloc[0]).toordinal()
    drawn = np.random.default_rng([simulation.seed, int(pool["security_code"].iloc[0]), day]).exponential(
        simulation.latency_ns, len(simulated)
    )
    late = np.zeros(len(pool), np.int64)
    late[simulated] = drawn.astype(np.int64)
    last = nanoseconds(pool["last"])[events["order"]]
    ends = events["time"] == last
    seen = np.where(ends, events["time"], events["time"] + late[events["order"]])
    kept = ends | (seen < last) | (to_fill[events["order"]] == 0)
    moved = events.copy()
    moved["time"] = seen
    moved = moved[kept]
    sooner: np.ndarray = moved[np.argsort(moved["time"], kind="stable")]
    return sooner
