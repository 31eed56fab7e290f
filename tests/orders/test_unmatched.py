"""Why the pool did not fill: a world for each reason, and a loop over instants and contras."""

from __future__ import annotations

from datetime import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fintech_toolkit.orders.language import NULL
from fintech_toolkit.orders.settings import Market, Simulation
from fintech_toolkit.orders.unmatched import unmatched
from tests.orders.measured import final, nbbo

QUOTES = nbbo([(0, 990, 1010), (10, 1010, 1030), (20, 980, 1000)])  # mids 1000, 1020, 990
EXCHANGE, MARKET = Simulation(), Market()
SWEEP = {"order_id": 1, "since": 5, "until": 15, "limit_price": 1010, "participantid": 1}


def why(
    others: list[dict[str, Any]],
    filled: int = 0,
    to_fill: int = 100,
    simulation: Simulation = EXCHANGE,
    market: Market = MARKET,
) -> tuple[str, int, int]:
    """Return the reason, the contras and the crossing ones of a buy that is there from 5 to 15 s."""
    orders = final([SWEEP, *({"side": 2, "order_id": 2 + n} | other for n, other in enumerate(others))])
    sweeps = pd.DataFrame({"order_id": [1], "quantity_to_fill": [to_fill], "filled_mid": [filled]})
    row = unmatched(orders, sweeps, QUOTES, simulation, market).iloc[0]
    assert (row["to_fill"], row["filled"], row["missing"]) == (to_fill, filled, to_fill - filled)
    return row["reason"], row["contras"], row["crossing"]


def test_a_world_for_each_reason() -> None:
    near = {"since": 0, "until": 100, "limit_price": 1000}
    assert why([near], to_fill=0)[0] == "instantly filled"
    assert why([]) == ("no contra", 0, 0)
    assert why([near | {"until": 4}]) == ("no contra", 0, 0)
    assert why([near | {"since": 15.1}]) == ("contra only later", 0, 0)
    assert why([near | {"order_type": "lit"}]) == ("no contra", 0, 0)
    assert why([near | {"participantid": 1}]) == ("no contra", 0, 0)
    assert why([near | {"participantid": 1}], simulation=Simulation(own_participant=True))[2] == 1
    assert why([near | {"side": 1}]) == ("no contra", 0, 0)
    assert why([near]) == ("too little quantity", 1, 1)
    assert why([near | {"until": 5}, near | {"since": 9}]) == ("too little quantity", 2, 2)  # ends are included
    # From 10 s on the mid is above the buyer's limit, and before that below what these sellers ask.
    assert why([near | {"limit_price": 1005}, near | {"since": 10}]) == ("limits did not cross", 2, 0)
    assert why([near | {"limit_price": NULL}, near | {"since": 15}]) == ("too little quantity", 2, 1)
    # Trading begins after the order has ended, or is over before it arrives.
    late, early = Market(opens=time(10, 0, 16)), Market(closes=time(10, 0, 4))
    assert why([near], market=late) == why([near], market=early) == ("no contra", 0, 0)
    assert why([near], market=Market(opens=time(10, 0, 12))) == ("limits did not cross", 1, 0)  # the mid is 1020
    legacy = Simulation(mode="legacy")
    own = near | {"since": 15, "limit_price": 2000, "participantid": 1}
    assert why([own, near | {"since": 4}], simulation=legacy) == ("too little quantity", 1, 1)
    assert why([near | {"since": 15.1}], simulation=legacy) == ("contra only later", 0, 0)
    assert why([near | {"since": 10}], filled=40) == ("too little quantity", 1, 0)


def test_what_is_filled_is_not_among_them() -> None:
    orders = final([SWEEP, SWEEP | {"order_id": 3}])
    sweeps = pd.DataFrame({"order_id": [1, 3], "quantity_to_fill": [100, 100], "filled_mid": [100, 99]})
    assert unmatched(orders, sweeps, QUOTES, EXCHANGE, MARKET)["order_id"].tolist() == [3]
    assert len(unmatched(orders, sweeps.iloc[:1], QUOTES.iloc[:0], EXCHANGE, MARKET)) == 0
    assert unmatched(orders, sweeps, QUOTES.iloc[:0], EXCHANGE, MARKET)["reason"].tolist() == ["too little quantity"]


def test_before_the_first_quote_nothing_crosses() -> None:
    orders = final([SWEEP | {"limit_price": 1030}, {"order_id": 2, "side": 2, "until": 8, "limit_price": 1000}])
    sweeps = pd.DataFrame({"order_id": [1], "quantity_to_fill": [100], "filled_mid": [0]})
    row = unmatched(orders, sweeps, QUOTES.iloc[1:], EXCHANGE, MARKET).iloc[0]
    assert (row["reason"], row["contras"], row["crossing"]) == ("limits did not cross", 1, 0)


@pytest.mark.parametrize("seed", range(4))
def test_many_orders_by_looking_at_every_instant(seed: int) -> None:
    rng = np.random.default_rng(seed)
    quotes = nbbo([(s, bid, bid + 10) for s, bid in zip(range(5, 60), rng.integers(98, 103, 55) * 10, strict=True)])
    rows = []
    for number in range(40):
        since = int(rng.integers(0, 50))
        limit = NULL if number % 13 == 0 else int(rng.integers(197, 206) * 5)
        about = {"side": int(rng.integers(1, 3)), "participantid": int(rng.integers(1, 4)), "limit_price": limit}
        rows.append({"order_id": number, "since": since, "until": since + int(rng.integers(0, 12))} | about)
    sweeps = pd.DataFrame({"order_id": range(40), "quantity_to_fill": 100, "filled_mid": 0})
    found = unmatched(final(rows), sweeps, quotes, EXCHANGE, MARKET)
    mids = {int(s): m for s, m in zip(range(5, 60), quotes["mid"], strict=True)}
    kinds = set()
    for row, mine in zip(found.itertuples(), rows, strict=True):
        others = [o for o in rows if o["side"] != mine["side"] and o["participantid"] != mine["participantid"]]
        met = [o for o in others if o["since"] <= mine["until"] and o["until"] >= mine["since"]]
        assert row.contras == len(met)
        crossing = 0
        for other in met:
            buy, sell = (mine, other) if mine["side"] == 1 else (other, mine)
            most = np.inf if buy["limit_price"] == NULL else buy["limit_price"]
            least = 0 if sell["limit_price"] == NULL else sell["limit_price"]
            both = range(max(mine["since"], other["since"]), min(mine["until"], other["until"]) + 1)
            crossing += any(least <= mids[s] <= most for s in both if s in mids)
        assert row.crossing == crossing
        later = any(o["since"] > mine["until"] for o in others)
        reason = "limits did not cross" if met else "contra only later" if later else "no contra"
        assert row.reason == ("too little quantity" if crossing else reason)
        kinds.add(row.reason)
    assert kinds >= {"too little quantity", "limits did not cross"}
