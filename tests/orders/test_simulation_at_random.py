"""Small markets at random: the simulated dark pool is that of a slow simulator, and nothing comes from nowhere."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.orders import slow_simulator
from tests.orders.markets import MARKET, Drawn, matches
from tests.orders.worlds import (
    SWEEP,
)

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["sweep", "sweep", "dark", "dark", "amend", "trade", "cancel", "quote"]),
        st.integers(0, 2),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    min_size=3,
    max_size=30,
)


@settings(max_examples=70, deadline=None)
@given(actions=ACTIONS, own=st.booleans())
def test_random_small_markets_are_simulated_as_the_slow_way_does_and_nothing_comes_from_nowhere(
    actions: list[tuple[str, int, int, int, int]], own: bool
) -> None:
    world = Drawn(actions)
    if not world.records:
        return
    records, sides, quotes = world.frames()
    exchange, legacy = world.simulated(own_participant=own), world.simulated(mode="legacy")
    assert matches(exchange) == slow_simulator.exchange(records, sides, quotes, MARKET, own)
    assert matches(legacy) == slow_simulator.legacy(records, sides)

    final = world.read[1].set_index("order_id")
    known = slow_simulator.read(records, sides)
    for simulated in (exchange, legacy):
        sweeps, found = simulated.sweeps, simulated.matches
        assert (sweeps["filled_mid"] <= sweeps["quantity_to_fill"]).all()
        assert (sweeps["quantity_to_fill"] <= final["matched"].reindex(sweeps["order_id"]).to_numpy()).all()
        filled = found.groupby("order_id")["quantity"].sum()
        assert filled.sum() == sweeps["filled_mid"].sum()
        sweeping = np.count_nonzero(final["exchangeordertype"] == SWEEP)
        assert (sweeps["quantity_to_fill"] > 0).sum() + sum(simulated.left_out.values()) == sweeping
        # Every match has two sides, and of no order more is used than it had besides its real trades.
        ids = found["contra_order_id"].isin(sweeps.loc[sweeps["quantity_to_fill"] > 0, "order_id"])
        used = found[~ids].groupby("contra_order_id")["quantity"].sum()
        for contra, quantity in used.items():
            order = known[contra]
            assert quantity <= (order.inventory if simulated is not legacy else order.terminal)
        assert (
            final["side"].reindex(found["order_id"]).to_numpy() != final["side"].reindex(found["contra_order_id"])
        ).all()
