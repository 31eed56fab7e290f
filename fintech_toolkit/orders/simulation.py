"""What sweeps would have found in the dark pool: by the exchange's rules, or as older results were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fintech_toolkit.orders.classify import FILLED, POOL_BITS
from fintech_toolkit.orders.language import OrderType, Side
from fintech_toolkit.orders.nbbo import mid_at
from fintech_toolkit.orders.settings import SCENARIOS, Market, Simulation
from fintech_toolkit.orders.simulation_inputs import (
    Sides,
    delayed,
    elsewhere,
    events,
    mids,
    nanoseconds,
    quantity_to_fill,
    session,
    sides_of,
)
from fintech_toolkit.orders.simulation_loop import LEGACY, LEVEL, MATCH, ORDER, run_exchange, run_legacy

_READ = (
    *("order_id", "security_code", "day", "side", "participantid", "exchangeordertype", "arrival", "last", "quantity"),
    *("matched_before", "state", "new_today", "arrival_bid", "arrival_offer"),
    *("traded", "trade_vwap", "trades", "auction_quantity", "qualifies"),
)
"""Columns that are read of `final`."""
_NEVER = np.iinfo(np.int64).min
"""As a time it is none."""


@dataclass(frozen=True)
class Simulated:
    """What a simulation gave.

    Attributes
    ----------
    matches : DataFrame
        ``order_id``, ``contra_order_id``, ``timestamp`` (datetime64[ns, UTC]), ``quantity`` (int64), ``price``
        (float64: the mid at the match in price units, half ticks kept), and whether the national best bid and offer
        were ``locked`` or ``stale`` then; in the order in which they were made. A match of two simulated orders has a
        row for each of them.
    sweeps : DataFrame
        A row for each qualifying order, in the order of arrival: ``order_id``; ``quantity_to_fill``, int64, what was
        left after its arrival, 0 if it was not simulated; and for each of `SCENARIOS` ``filled_…`` (int64), ``vwap_…``
        (float64 in price units, NaN without fills), ``first_…`` and ``last_…`` (datetime64[ns, UTC], NaT without).
        The legacy mode adds averages.
    left_out : dict of str to int
        How many sweeps were not simulated, by reason; with the simulated ones they are all sweeps of the day.
    fills : dict of str to DataFrame
        For each scenario ``order_id``, ``timestamp``, ``quantity`` and ``price`` of the simulated fills.
    """

    matches: pd.DataFrame
    sweeps: pd.DataFrame
    left_out: dict[str, int]
    fills: dict[str, pd.DataFrame]


def simulate(
    orders: pd.DataFrame,
    final: pd.DataFrame,
    trades: pd.DataFrame,
    nbbo: pd.DataFrame,
    simulation: Simulation,
    market: Market,
) -> Simulated:
    """Simulate what the qualifying sweeps of a security and day would have found in the dark pool.

    Each asks for what was still to fill after its arrival, that is for what it really traded at later nanoseconds.
    These trades are taken back; all other trades stay as they were.

    **exchange**, the default:

    - *Orders*. All that may trade in the pool, which their bits tell, rest in it from their first record of the day to
      the end of the nanosecond of the record that takes them off the book; one that never rests is there for the
      nanosecond of its arrival. The state at a time is the last record at it.
    - *Inventory*. One for each order, however often and by whom it is used: its terminal quantity, or what its quantity
      was at the time if that was less, without what it really traded elsewhere: in any trade that is not taken back, on
      the whole day. A simulated sweep has what it had to fill, as a contra too.
    - *Limits*. A buy takes part where the mid is at or below its limit, a sell where it is at or above. A ``midtick``
      of 1, 4 or 6 moves the limit half a tick towards the other side. An order without a price above 0 has no limit.
    - *Price*. The mid of the national best bid and offer at the match, half ticks kept. Of an instant's quotes and
      orders the quotes come first. Without a bid or an offer, or if they are crossed, nothing is matched. Best prices
      hold until others are told; matches at stale ones, and at locked ones, are marked.
    - *Priority*. Price, then time: the better limit first, then who has had its place for longer. An order keeps its
      place while neither its limit nor its minimum changes and its quantity does not rise. Those of one nanosecond
      have the order of their records.
    - *Minimum quantity*. An order trades only if it gets its minimum; with the code 1 of
      ``singlefillminimumquantity`` from a single contra, else from all that it meets at one time. To a resting order
      one that arrives is a single contra. An order of which less than its minimum is left has none.
    - *Participants*. One does not trade with itself, unless `own_participant` says so.
    - *When*. An order looks for contras when it arrives, when it is amended and loses its place, and comes back to the
      book; a resting sweep also whenever the mid changes, sweeps that buy first, the best first. Contras that are
      not simulated meet sweeps only. All within continuous trading: before it orders rest, and look when it opens.
    - *Latency*. A sweep's records, but not the last, reach the pool later, by a random time of the given mean.

    **legacy**, to compare with published results: sweeps in the order of arrival; each takes from the orders of the
    opposite side that arrived within its life, from its arrival to its last record, both included, by
    ``(timestamp, sequence)``, whatever the limits; the price is the mid at the contra's arrival, as its own record
    tells it, else of `nbbo`. Inventories are shared: of a simulated sweep what it had to fill, of others the terminal
    quantity. Contras without a mid are passed over.

    Scenarios, all of one simulation: ``mid``, all its fills; ``half``, only half of the size (an odd one rounded up)
    goes to the pool: the first of its fills, until they are that much; ``impact``, the same half at prices
    `impact_ticks` ticks worse for the trader, on either side.

    The older averages of the legacy mode, regardless of side, for Q = what the order traded, P = its real average
    price, and M = the mean of the mids that were told within its life, without one the mid at its arrival:
    ``legacy_mid`` = M; ``legacy_cost`` = Q·P; ``legacy_cost_mid`` = Q·M; ``legacy_cost_half`` = ½Q·M + ½Q·P;
    ``legacy_cost_impact`` = ½Q·M + ½Q·(M + `impact_ticks` ticks); and ``legacy_difference_…`` = ``legacy_cost`` minus
    each. In price units; NaN where there is no mid.

    Parameters
    ----------
    orders : DataFrame
        Order states of one security and day, canonical and sorted.
    final : DataFrame
        As `match_trades` gives it for them.
    trades : DataFrame
        Sides of trades of the same security and day.
    nbbo : DataFrame
        As `national_best` gives it.
    simulation : Simulation
        Mode, latency, impact and the rule on participants.
    market : Market
        Tick, zone and hours.

    Returns
    -------
    Simulated

    Examples
    --------
    A sweep of 100 that traded on the lit market, while a centre-point order of 60 rested at the mid:

    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> start = pd.Timestamp("2024-09-05T01:00:00Z")
    >>> common = {"security_code": 110621, "price": 3340, "changereason": 6, "national_bid": 3330,
    ...           "national_offer": 3340}
    >>> sweep = common | {"order_id": 7, "side": 1, "quantity": 100, "exchangeordertype": 2048, "participantid": 1}
    >>> dark = common | {"order_id": 8, "side": 2, "quantity": 60, "exchangeordertype": 64, "participantid": 2,
    ...                  "price": 3330, "orderstatus": 1, "leavesquantity": 60, "totalmatchedquantity": 0}
    >>> after = start + pd.Timedelta("1s")
    >>> states = orders.canonical(pd.DataFrame([
    ...     dark | {"sequence": 1, "timestamp": start},
    ...     sweep | {"sequence": 2, "timestamp": start, "orderstatus": 1, "leavesquantity": 100,
    ...              "totalmatchedquantity": 0},
    ...     sweep | {"sequence": 3, "timestamp": after, "orderstatus": 2, "leavesquantity": 0,
    ...              "totalmatchedquantity": 100, "changereason": 3},
    ... ]), orders.ORDERS)
    >>> trades = orders.canonical(pd.DataFrame([
    ...     common | {"order_id": 7, "sequence": 1, "timestamp": after, "side": 1, "quantity": 100, "dealsource": 1,
    ...               "matchgroupid": 1},
    ... ]), orders.TRADES)
    >>> market = orders.Market()
    >>> final = orders.match_trades(orders.final_states(states, market), trades)
    >>> nbbo = orders.national_best(states, trades, pd.DataFrame())
    >>> orders.simulate(states, final, trades, nbbo, orders.Simulation(), market).matches.drop(columns="timestamp")
       order_id  contra_order_id  quantity   price  locked  stale
    0         7                8        60  3335.0   False  False
    """
    in_pool = np.flatnonzero(final["exchangeordertype"].to_numpy() & POOL_BITS)
    pool = final[list(_READ)].take(in_pool).reset_index(drop=True)
    sides = sides_of(pool, trades)
    to_fill = quantity_to_fill(pool, sides)
    if pool.empty:
        matches = np.empty(0, MATCH)
    elif simulation.mode == "exchange":
        matches = _exchange(orders, pool, to_fill, sides, nbbo, simulation, market)
    else:
        matches = _legacy(pool, to_fill, nbbo, market)
    of, found = _both_sides(pool, matches, to_fill)
    then = mid_at(found["timestamp"], nbbo, market)
    found = found.assign(locked=then["locked"], stale=then["stale"])
    made = _scenarios(pool, found, of, to_fill, simulation, market)
    sweeps = _per_order(pool, to_fill, of, nanoseconds(found["timestamp"]), made)
    if simulation.mode == "legacy":
        sweeps = sweeps.join(_averages(pool, nbbo, simulation, market))
    whole = found[["order_id", "timestamp", "quantity", "price"]]
    fills = {
        name: whole.assign(quantity=quantity, price=price)[quantity > 0].reset_index(drop=True)
        for name, (quantity, price) in made.items()
    }
    return Simulated(found, sweeps, left_out(pool, sweeps), fills)


def _times(ns: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(ns.astype("datetime64[ns]"), tz="UTC")


def _exchange(
    orders: pd.DataFrame,
    pool: pd.DataFrame,
    to_fill: np.ndarray,
    sides: Sides,
    nbbo: pd.DataFrame,
    simulation: Simulation,
    market: Market,
) -> np.ndarray:
    entered = np.zeros(len(pool), ORDER)
    entered["participant"] = pool["participantid"]
    entered["most"] = pool["quantity"]
    entered["elsewhere"] = elsewhere(pool, to_fill, sides)
    entered["buy"] = pool["side"] == Side.BUY
    entered["simulated"] = to_fill > 0
    opens, closes = session(pool, market)
    changes = events(orders, pool, market)
    if simulation.latency_ns:
        changes = delayed(changes, pool, to_fill, simulation)
    matches = np.empty(len(entered) + len(changes), MATCH)
    width = len(entered)
    made = run_exchange(
        changes,
        mids(nbbo, opens),
        opens,
        closes,
        simulation.own_participant,
        entered,
        np.empty((4, width), LEVEL),
        np.zeros(4, np.int64),
        np.empty((4, width), np.int64),
        matches,
    )
    return matches[:made]


def _legacy(pool: pd.DataFrame, to_fill: np.ndarray, nbbo: pd.DataFrame, market: Market) -> np.ndarray:
    entered = np.zeros(len(pool), LEGACY)
    entered["time"], entered["last"] = nanoseconds(pool["arrival"]), nanoseconds(pool["last"])
    entered["left"] = np.where(to_fill > 0, to_fill, pool["quantity"])
    entered["buy"] = pool["side"] == Side.BUY
    entered["simulated"] = to_fill > 0
    bid, offer = pool["arrival_bid"].to_numpy(), pool["arrival_offer"].to_numpy()
    then = mid_at(pool["arrival"], nbbo, market)
    own = (bid > 0) & (offer > 0)
    known = ~np.isnan(then["mid"].to_numpy())
    both = np.where(own, bid, 0) + np.where(own, offer, 0)
    entered["mid"] = np.where(
        own, both, np.where(known, then["bid"].where(known, 0) + then["offer"].where(known, 0), 0)
    )
    matches = np.empty(len(entered) + int((to_fill > 0).sum()), MATCH)
    return matches[: run_legacy(entered, matches)]


def _both_sides(pool: pd.DataFrame, matches: np.ndarray, to_fill: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    """Return a row for each simulated order of each match, and which order of the pool it is of."""
    rows = np.repeat(np.arange(len(matches)), 2)
    mine = np.column_stack([matches["order"], matches["contra"]]).ravel()
    other = np.column_stack([matches["contra"], matches["order"]]).ravel()
    kept = to_fill[mine] > 0
    ids, taken = pool["order_id"].to_numpy(), matches[rows[kept]]
    return mine[kept], pd.DataFrame(
        {
            "order_id": ids[mine[kept]],
            "contra_order_id": ids[other[kept]],
            "timestamp": _times(taken["time"]),
            "quantity": taken["quantity"].copy(),
            "price": taken["mid"] / 2,
        }
    )


def _scenarios(
    pool: pd.DataFrame, found: pd.DataFrame, of: np.ndarray, to_fill: np.ndarray, simulation: Simulation, market: Market
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for each scenario the quantity and the price of each match."""
    quantity, price = found["quantity"].to_numpy(), found["price"].to_numpy()
    before = found["quantity"].groupby(of).cumsum().to_numpy() - quantity
    half = np.clip((to_fill[of] + 1) // 2 - before, 0, quantity)
    worse = np.where(pool["side"].to_numpy()[of] == Side.BUY, 1, -1) * simulation.impact_ticks * market.tick
    return {"mid": (quantity, price), "half": (half, price), "impact": (half, price + worse)}


def _per_order(
    pool: pd.DataFrame,
    to_fill: np.ndarray,
    of: np.ndarray,
    time: np.ndarray,
    made: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> pd.DataFrame:
    asked, count = pool["qualifies"].to_numpy(), len(pool)
    sweeps = {"order_id": pool["order_id"].to_numpy()[asked], "quantity_to_fill": to_fill[asked]}
    for scenario in SCENARIOS:
        quantity, price = made[scenario]
        filled, first, last = np.zeros(count, np.int64), np.full(count, np.iinfo(np.int64).max), np.full(count, _NEVER)
        some = quantity > 0
        np.add.at(filled, of, quantity)
        np.minimum.at(first, of[some], time[some])
        np.maximum.at(last, of[some], time[some])
        first[filled == 0] = _NEVER
        with np.errstate(invalid="ignore"):
            vwap = np.bincount(of, quantity * price, count) / filled
        sweeps |= {f"filled_{scenario}": filled[asked], f"vwap_{scenario}": vwap[asked]}
        sweeps |= {f"first_{scenario}": _times(first[asked]), f"last_{scenario}": _times(last[asked])}
    return pd.DataFrame(sweeps)


def _averages(pool: pd.DataFrame, nbbo: pd.DataFrame, simulation: Simulation, market: Market) -> pd.DataFrame:
    asked = pool[pool["qualifies"]]
    usable = nbbo[nbbo["mid"].notna() & ~nbbo["crossed"]]
    told, so_far = nanoseconds(usable["timestamp"]), np.r_[0.0, usable["mid"].to_numpy().cumsum()]
    begin = np.searchsorted(told, nanoseconds(asked["arrival"]), side="left")
    end = np.searchsorted(told, nanoseconds(asked["last"]), side="right")
    at_arrival = mid_at(asked["arrival"], usable, market)["mid"].to_numpy()
    with np.errstate(invalid="ignore"):
        mid = np.where(end > begin, (so_far[end] - so_far[begin]) / (end - begin), at_arrival)
    quantity, actual = asked["traded"].to_numpy(), asked["trade_vwap"].to_numpy()
    cost = quantity * actual
    costs = {
        "mid": quantity * mid,
        "half": quantity * (mid + actual) / 2,
        "impact": quantity * (mid + mid + simulation.impact_ticks * market.tick) / 2,
    }
    return pd.DataFrame(
        {"legacy_mid": mid, "legacy_cost": cost}
        | {f"legacy_cost_{name}": value for name, value in costs.items()}
        | {f"legacy_difference_{name}": cost - value for name, value in costs.items()}
    )


def left_out(final: pd.DataFrame, sweeps: pd.DataFrame) -> dict[str, int]:
    """Count the sweeps among final states that were not simulated, each by the first reason that holds.

    Parameters
    ----------
    final : DataFrame
        As `match_trades` gives it, or some of its rows.
    sweeps : DataFrame
        Those of `Simulated`.

    Returns
    -------
    dict of str to int
    """
    rows = np.flatnonzero(final["exchangeordertype"].to_numpy() & OrderType.SWEEP)
    names = ("order_id", "trades", "state", "new_today", "auction_quantity", "qualifies")
    swept = {name: final[name].to_numpy()[rows] for name in names}
    at = pd.Index(sweeps["order_id"]).get_indexer(swept["order_id"])
    to_fill = np.append(sweeps["quantity_to_fill"].to_numpy(), 0)[at]  # the last where it is none of them
    why = np.select(
        [
            swept["trades"] == 0,
            swept["state"] != FILLED,
            ~swept["new_today"],
            swept["auction_quantity"] > 0,
            swept["qualifies"],
        ],
        ["without trades", "not wholly filled", "from a day before", "filled in an auction", "filled on arrival"],
        default="cancelled at the end",
    )
    reasons, counts = np.unique(why[to_fill == 0], return_counts=True)
    return {str(reason): int(count) for reason, count in zip(reasons, counts, strict=True)}
