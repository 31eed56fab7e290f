"""A generated day, whose truth is known: final states, trades, the lit book, and the pool by three simulators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal

from data_generators.orders import write_orders
from fintech_toolkit import orders
from tests.orders import slow_simulator
from tests.orders.markets import matches
from tests.orders.worlds import local_days

DAY = "2024-09-02"


def test_a_generated_day(tmp_path: Path) -> None:
    write_orders(tmp_path, securities=1, days=1, states=6_000, seed=3)
    read = {"orders": orders.read_orders, "trades": orders.read_trades, "quotes": orders.read_quotes}
    whole = {kind: reader(tmp_path / kind / f"{kind}-{DAY}.csv") for kind, reader in read.items()}
    records, sides, quotes = (frame[local_days(frame) == DAY].reset_index(drop=True) for frame in whole.values())
    market = orders.Market()
    final = orders.match_trades(orders.final_states(records, market), sides)

    truth = pd.read_parquet(tmp_path / "truth" / f"truth-{DAY}.parquet").set_index("order_id").loc[final["order_id"]]
    names = {"matched": "totalmatchedquantity", "limit_price": "price", "last": "timestamp"}
    for name in ("leavesquantity", "orderstatus", "changereason", *names):
        assert_array_equal(final[name].astype("int64"), truth[names.get(name, name)].astype("int64"), err_msg=name)

    # A quote holds until the next: by then the book, with what came from the evening before, has the same best prices.
    for row in np.linspace(0, len(quotes) - 2, 20).astype(int):
        levels = orders.depth(whole["orders"], quotes["timestamp"][row + 1] - pd.Timedelta(1, "ns"))
        best = levels[levels["level"] == 1].set_index("side")["price"]
        told = (quotes["national_bid"][row], quotes["national_offer"][row])
        assert (best.get(1, orders.NULL), best.get(2, orders.NULL)) == told

    nbbo = orders.national_best(records, sides, quotes)
    exchange, legacy = (
        orders.simulate(records, final, sides, nbbo, orders.Simulation(mode=mode), market)
        for mode in ("exchange", "legacy")
    )
    assert len(exchange.matches) > 20
    told = pd.read_parquet(tmp_path / "matches" / f"matches-{DAY}.parquet")
    assert len(told) == len(exchange.matches)
    for name in ("order_id", "contra_order_id", "timestamp", "quantity", "price"):
        found = exchange.matches[name]
        assert_array_equal(found.astype("int64") if name == "timestamp" else found, told[name], err_msg=name)
    assert matches(exchange) == slow_simulator.exchange(records, sides, quotes, market, False)
    assert matches(legacy) == slow_simulator.legacy(records, sides)
