"""The recorded day from orders to the answer, in both modes: all orders are accounted for, and all units."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from fintech_toolkit import orders
from fintech_toolkit.orders.report import Report
from fintech_toolkit.orders.simulation import left_out
from tests.orders.worlds import recorded


@pytest.mark.parametrize("mode", ["exchange", "legacy"])
def test_the_recorded_day_is_accounted_for(real_data: Path, mode: Literal["exchange", "legacy"]) -> None:
    market, simulation = orders.Market(), orders.Simulation(mode=mode)
    states, trades = recorded(real_data)
    final = orders.match_trades(orders.final_states(states, market), trades)
    nbbo = orders.national_best(states, trades, pd.DataFrame())
    simulated = orders.simulate(states, final, trades, nbbo, simulation, market)
    sweeps = simulated.sweeps.set_index("order_id")
    to_fill = sweeps["quantity_to_fill"]
    metrics = orders.compare(final, trades, simulated.fills, nbbo, market, to_fill)
    missed = orders.unmatched(final, simulated.sweeps, nbbo, simulation, market)

    assert final["traded"].sum() == 2_755_413
    assert len(sweeps) == final["qualifies"].sum()
    others = sum((Counter(left_out(part, simulated.sweeps)) for _, part in final.groupby("participantid")), Counter())
    assert others == Counter(simulated.left_out)
    assert others.total() + (to_fill > 0).sum() == (final["order_type"] == "sweep").sum()
    mid = metrics[metrics["scenario"] == "mid"].set_index("order_id")
    assert mid.index.tolist() == to_fill.index[to_fill > 0].tolist()
    whole = to_fill.index[(to_fill > 0) & (sweeps["filled_mid"] == to_fill)]
    assert set(missed["order_id"]) == set(to_fill.index.difference(whole))
    assert (missed["reason"] == "instantly filled").sum() == (to_fill == 0).sum()
    assert missed["missing"].sum() == (to_fill - sweeps["filled_mid"]).sum()
    assert mid["filled"].sum() == simulated.matches["quantity"].sum() > 0
    assert mid["quantity"].equals(mid["filled"])  # all that was left was really traded
    assert metrics[["real_fill_ratio", "simulated_fill_ratio"]].stack().between(0, 1).all()

    # Of what an order traded after its arrival the first units, one by one.
    sign = np.where(mid["side"] == 1, 1, -1)
    for kind, fills in (("real", trades), ("simulated", simulated.matches)):
        vwap = []
        for order_id, quantity in mid["quantity"].items():
            mine = fills[fills["order_id"] == order_id]
            units = np.repeat(mine["price"].to_numpy("float64"), mine["quantity"])
            if kind == "real":
                units = units[len(units) - to_fill[order_id] :]
            vwap.append(units[:quantity].mean() if quantity else np.nan)
        np.testing.assert_allclose(mid[f"{kind}_vwap"], vwap, rtol=1e-12)
        cost = sign * (vwap - mid["arrival_mid"]) / mid["arrival_mid"] * 1e4
        np.testing.assert_allclose(mid[f"{kind}_cost_bps"], cost, rtol=1e-9, atol=1e-9)
    if mode == "exchange":
        known = mid["simulated_weighted_cost_bps"].dropna()
        np.testing.assert_allclose(known, 0, atol=1e-9)  # at the mid there is nothing to pay
        assert len(known) == (mid["quantity"] > 0).sum()

    aggregates = orders.Aggregates(market)
    aggregates.add(orders.summarise(final, metrics, missed, simulated.left_out))
    total = aggregates.tables()["global_summary"].iloc[0]
    assert (total["orders"], total["traded"]) == (len(final), 2_755_413)
    assert total["mid_saving"] == pytest.approx(mid["saving"].sum() / 1000, abs=0.01)
    lead = Report(aggregates).lead[0]
    assert f"{(mid['quantity'] > 0).sum():,} of the {len(mid):,} orders" in lead
