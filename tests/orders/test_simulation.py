"""The simulated dark pool: worlds worked out by hand, one per rule, which both simulators see alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fintech_toolkit import orders
from fintech_toolkit.orders import Simulation
from tests.orders import slow_simulator
from tests.orders.markets import AUCTION, DARK, END, LIT, MARKET, Record, World, matches
from tests.orders.worlds import (
    BLOCK,
    BUY,
    CANCELLED,
    NEW,
    OFF,
    OPEN,
    SELL,
    SWEEP,
    TRADED,
    recorded,
    state,
    trade,
)


def test_limits_of_both_must_reach_the_mid() -> None:
    world = World().rests(2, 0, 30, price=3340).rests(3, 0, 40, price=3335).sweeps(1, 5, 100)
    assert world.matched() == [(1, 3, 5, 40, 3335.0)]
    assert World().rests(2, 0, 30).sweeps(1, 5, 100, price=3334).matched() == []
    assert World().rests(2, 0, 30, side=BUY, price=3340).sweeps(1, 5, 100, side=SELL, price=3336).matched() == []


def test_an_order_without_a_price_has_no_limit() -> None:
    world = World().rests(2, 0, 30, price=0).sweeps(1, 5, 100, price=orders.NULL)
    assert world.matched() == [(1, 2, 5, 30, 3335.0)]


def test_half_ticks_are_kept_and_a_midtick_moves_the_limit_by_one() -> None:
    assert World((-9, 3330, 3335)).rests(2, 0, 30).sweeps(1, 5, 100).matched() == [(1, 2, 5, 30, 3332.5)]
    world = World().rests(2, 0, 30, price=3340, midtick=1).rests(3, 0, 30, price=3340, midtick=2)
    assert world.sweeps(1, 5, 100).matched() == [(1, 2, 5, 30, 3335.0)]
    assert World().rests(2, 0, 30).sweeps(1, 5, 100, price=3330, midtick=4).matched() == [(1, 2, 5, 30, 3335.0)]


def test_price_then_time() -> None:
    world = World().rests(2, 0, 10, price=3335).rests(3, 1, 20, price=3330).rests(4, 2, 30, price=3330)
    assert world.sweeps(1, 5, 50).matched() == [(1, 3, 5, 20, 3335.0), (1, 4, 5, 30, 3335.0)]
    # A sweep that rests has its place among the others.
    world = World().rests(2, 0, 10).sweeps(3, 1, 20, side=SELL, price=3330).rests(4, 2, 30).sweeps(1, 5, 30)
    assert world.matched() == [(1, 2, 5, 10, 3335.0), (1, 3, 5, 20, 3335.0), (3, 1, 5, 20, 3335.0)]


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"leavesquantity": 20}, 2),
        ({"leavesquantity": 30}, 2),
        ({"leavesquantity": 31}, 3),
        ({"leavesquantity": 30, "price": 3320}, 2),
        ({"leavesquantity": 30, "price": 3331}, 3),
        ({"leavesquantity": 30, "minimumquantity": 5}, 3),
        ({"leavesquantity": 30, "singlefillminimumquantity": 1}, 3),
    ],
)
def test_an_amendment_keeps_the_place_if_only_the_quantity_falls(change: Record, first: int) -> None:
    world = World().rests(2, 0, 30).rests(3, 1, 30).says(state(2, 3, **{"price": 3330} | change)).sweeps(1, 5, 15)
    assert world.matched() == [(1, first, 5, 15, 3335.0)]


def test_a_fill_keeps_the_place() -> None:
    """Its quantity open falls by what it traded, and what it is in all stays."""
    world = World().rests(2, 0, 30).rests(3, 1, 30)
    world.says(state(2, 3, price=3330, leavesquantity=20, totalmatchedquantity=10, changereason=TRADED))
    assert world.traded(3, 2, 90, 10, side=SELL).sweeps(1, 5, 25).matched() == [
        (1, 2, 5, 20, 3335.0),
        (1, 3, 5, 5, 3335.0),
    ]


def test_a_minimum_quantity_is_met_or_nothing_is_traded() -> None:
    assert World().rests(2, 0, 150, minimumquantity=101).sweeps(1, 5, 100).matched() == []
    assert World().rests(2, 0, 150, minimumquantity=100).sweeps(1, 5, 100).matched() == [(1, 2, 5, 100, 3335.0)]
    assert World().rests(2, 0, 100, minimumquantity=100).sweeps(1, 5, 99).matched() == []
    # An order of which less than the minimum is left has none: 50 of 150 are left for the second sweep.
    world = World().rests(2, 0, 150, minimumquantity=100).sweeps(1, 5, 100).sweeps(6, 6, 20)
    assert world.matched() == [(1, 2, 5, 100, 3335.0), (6, 2, 6, 20, 3335.0)]
    world = World().rests(2, 0, 40).rests(3, 0, 50)
    assert world.sweeps(1, 5, 100, minimumquantity=91).matched() == []
    world = World().rests(2, 0, 40).rests(3, 0, 51)
    assert world.sweeps(1, 5, 100, minimumquantity=91).matched() == [(1, 2, 5, 40, 3335.0), (1, 3, 5, 51, 3335.0)]


def test_a_single_fill_minimum_comes_from_one_contra() -> None:
    world = World().rests(2, 0, 40).rests(3, 0, 60).rests(4, 0, 40)
    world.sweeps(1, 5, 100, minimumquantity=50, singlefillminimumquantity=1)
    # After the 60 less than the minimum is left, and so none is asked.
    assert world.matched() == [(1, 3, 5, 60, 3335.0), (1, 4, 5, 40, 3335.0)]


def test_a_participant_does_not_trade_with_itself_unless_told() -> None:
    def world() -> World:
        return World().rests(2, 0, 30, participantid=1).rests(3, 1, 30).sweeps(1, 5, 40)

    assert world().matched() == [(1, 3, 5, 30, 3335.0)]
    assert world().matched(own_participant=True) == [(1, 2, 5, 30, 3335.0), (1, 3, 5, 10, 3335.0)]
    unknown = World().rests(2, 0, 30, participantid=orders.NULL).sweeps(1, 5, 40, participantid=orders.NULL)
    assert unknown.matched() == [(1, 2, 5, 30, 3335.0)]


def test_two_sweeps_of_one_nanosecond_have_the_order_of_their_records_and_share_a_contra() -> None:
    world = World().rests(2, 0, 150).sweeps(7, 5, 100).sweeps(1, 5, 100)
    assert world.matched() == [(7, 2, 5, 100, 3335.0), (1, 2, 5, 50, 3335.0)]


def test_an_order_is_used_by_two_sweeps_and_never_beyond_its_quantity() -> None:
    world = World().sweeps(1, 0, 100).sweeps(7, 1, 100).rests(2, 5, 130).rests(3, 6, 30)
    assert world.matched() == [(1, 2, 5, 100, 3335.0), (7, 2, 5, 30, 3335.0), (7, 3, 6, 30, 3335.0)]


def test_a_sweep_with_a_fill_of_an_auction_is_not_simulated_but_is_a_contra() -> None:
    def world(deal: int) -> World:
        made = World().says(
            state(1, 0, exchangeordertype=SWEEP, side=BUY, leavesquantity=100, changereason=NEW),
            state(
                1, 9, exchangeordertype=SWEEP, side=BUY, leavesquantity=0, totalmatchedquantity=100, changereason=TRADED
            )
            | {"orderstatus": OFF},
        )
        return made.traded(9, 1, 90, 100, deal).rests(2, 3, 40)

    assert world(AUCTION).matched() == []
    assert world(AUCTION).simulated().left_out == {"filled in an auction": 1}
    assert world(LIT).matched() == [(1, 2, 3, 40, 3335.0)]


def test_what_was_really_traded_elsewhere_is_not_there_and_what_the_sweep_traded_is() -> None:
    world = World().rests(2, 0, 100).sweeps(1, 5, 80)
    world.says(state(2, 500, price=3330, leavesquantity=30, totalmatchedquantity=70, changereason=TRADED))
    assert world.traded(500, 90, 2, 70).matched() == [(1, 2, 5, 30, 3335.0)]
    # The sweep's own dark trade with the same order is taken back, and made anew at once.
    world = World().rests(2, 0, 100)
    world.sweeps(1, 5, 80).says(
        state(2, END, price=3330, leavesquantity=20, totalmatchedquantity=80, changereason=TRADED)
    )
    world.trades[0] = trade(1, END, 1, 2, 80, 3335, DARK)
    assert world.matched() == [(1, 2, 5, 80, 3335.0)]


def test_what_is_filled_on_arrival_is_not_asked_of_the_pool() -> None:
    common = {"exchangeordertype": SWEEP, "side": BUY, "quantity": 100}
    world = (
        World()
        .rests(2, 0, 500)
        .says(
            state(1, 5, orderstatus=OFF, changereason=NEW, leavesquantity=100, **common),
            state(1, 5, changereason=TRADED, leavesquantity=40, totalmatchedquantity=60, **common),
            state(1, 9, orderstatus=OFF, changereason=TRADED, leavesquantity=0, totalmatchedquantity=100, **common),
        )
    )
    world.traded(5, 1, 90, 60).traded(9, 1, 91, 40)
    assert world.matched() == [(1, 2, 5, 40, 3335.0)]
    at_once = (
        World()
        .rests(2, 0, 500)
        .says(
            state(1, 5, orderstatus=OFF, changereason=NEW, leavesquantity=100, **common),
            state(1, 5, orderstatus=OFF, changereason=TRADED, leavesquantity=0, totalmatchedquantity=100, **common),
        )
    )
    simulated = at_once.traded(5, 1, 90, 100).simulated()
    assert simulated.sweeps["quantity_to_fill"].tolist() == [0]
    assert (len(simulated.matches), simulated.left_out) == (0, {"filled on arrival": 1})


def test_an_order_is_there_to_the_end_of_its_last_nanosecond() -> None:
    gone = state(2, 5, price=3330, leavesquantity=30, changereason=CANCELLED, orderstatus=OFF)
    assert World().rests(2, 0, 30).says(gone).sweeps(1, 5, 100).matched() == [(1, 2, 5, 30, 3335.0)]
    assert World().rests(2, 0, 30).says(gone).sweeps(1, 6, 100).matched() == []
    fill_or_kill = state(2, 7, price=3330, leavesquantity=30, changereason=NEW, orderstatus=OFF)
    assert World().sweeps(1, 6, 100).says(fill_or_kill).matched() == [(1, 2, 7, 30, 3335.0)]
    assert World().says(fill_or_kill).sweeps(1, 8, 100).matched() == []
    assert World().sweeps(1, 0, 100, until=9).rests(2, 9, 30).matched() == [(1, 2, 9, 30, 3335.0)]
    assert World().sweeps(1, 0, 100, until=9).rests(2, 10, 30).matched() == []


def test_a_sweep_looks_again_when_the_mid_changes() -> None:
    world = World((-9, 3340, 3350), (50, 3330, 3340)).rests(2, 0, 30).sweeps(1, 5, 100)
    assert world.matched() == [(1, 2, 50, 30, 3335.0)]


@pytest.mark.parametrize("quote", [(3341, 3340), (orders.NULL, 3340), (3330, orders.NULL), (0, 3340)])
def test_without_a_mid_or_with_a_crossed_one_nothing_is_matched(quote: tuple[int, int]) -> None:
    world = World((-9, *quote), (50, 3330, 3340)).rests(2, 0, 30).sweeps(1, 5, 100)
    assert world.matched() == [(1, 2, 50, 30, 3335.0)]


def test_matches_at_locked_and_at_stale_prices_are_marked() -> None:
    minute = 60 * 10**9
    world = World((0, 3335, 3335)).rests(2, 0, 30).rests(3, minute + 1, 30).sweeps(1, 5, 100, until=minute + 9)
    found = world.simulated().matches
    assert found["locked"].tolist() == [True, True]
    assert found["stale"].tolist() == [False, True]


def test_orders_wait_for_the_opening_and_do_not_trade_after_the_close() -> None:
    world = World((-99, 3330, 3340)).rests(2, -9, 30).sweeps(1, -5, 100)
    assert world.matched() == [(1, 2, 0, 30, 3335.0)]
    close = 6 * 3_600 * 10**9
    world = World().sweeps(1, close - 5, 100, until=close + 9).rests(2, close - 1, 30).rests(3, close, 30)
    assert world.matched() == [(1, 2, close - 1, 30, 3335.0)]
    world = World((-9, 3340, 3350), (close, 3330, 3340)).rests(2, 0, 30).sweeps(1, 5, 100, until=close + 9)
    assert world.matched() == []


def test_two_sweeps_fill_each_other() -> None:
    world = World().sweeps(1, 5, 100).sweeps(7, 9, 60, side=SELL, price=3330)
    assert world.matched() == [(7, 1, 9, 60, 3335.0), (1, 7, 9, 60, 3335.0)]
    assert world.simulated().sweeps["filled_mid"].tolist() == [60, 60]


def test_an_amendment_down_takes_away_and_one_up_brings_more() -> None:
    world = World().rests(2, 0, 100).says(state(2, 3, price=3330, leavesquantity=40)).sweeps(1, 5, 100)
    assert world.matched() == [(1, 2, 5, 40, 3335.0)]
    world = World().rests(2, 0, 20).sweeps(1, 5, 100).says(state(2, 8, price=3330, leavesquantity=70))
    assert world.matched() == [(1, 2, 5, 20, 3335.0), (1, 2, 8, 50, 3335.0)]
    # It really never was more than forty: the sixty that an amendment took away later were nobody's.
    world = World().rests(2, 0, 100).sweeps(1, 5, 100).says(state(2, 8, price=3330, leavesquantity=40))
    assert world.matched() == [(1, 2, 5, 40, 3335.0)]


def test_a_block_and_a_lit_order() -> None:
    world = World().rests(2, 0, 30, exchangeordertype=0).rests(3, 1, 40, exchangeordertype=BLOCK + 2)
    assert world.sweeps(1, 5, 100).matched() == [(1, 3, 5, 40, 3335.0)]


@pytest.mark.parametrize(("side", "worse"), [(BUY, 3345.0), (SELL, 3325.0)])
def test_scenarios(side: int, worse: float) -> None:
    """Of 101 the half is 51: all 40 of the first fill and 11 of the second."""
    other, price = (SELL, 3330) if side == BUY else (BUY, 3340)
    world = World().rests(2, 0, 40, side=other, price=price).rests(3, 8, 50, side=other, price=price)
    simulated = world.sweeps(1, 5, 101, side=side, price=3335).simulated(impact_ticks=1.0)
    row = simulated.sweeps.iloc[0]
    assert row[["quantity_to_fill", "filled_mid", "filled_half", "filled_impact"]].tolist() == [101, 90, 51, 51]
    assert row[["vwap_mid", "vwap_half", "vwap_impact"]].tolist() == [3335.0, 3335.0, worse]
    assert [row["first_half"].value - OPEN, row["last_half"].value - OPEN] == [5, 8]
    assert simulated.fills["half"]["quantity"].tolist() == [40, 11]
    assert simulated.fills["impact"]["price"].tolist() == [worse, worse]


def test_latency_is_seeded_and_makes_a_sweep_late() -> None:
    world = World()
    for i in range(20):
        world.sweeps(10 + i, i, 10)
    world.rests(2, 30, 200).says(state(2, 31, price=3330, leavesquantity=200, orderstatus=OFF, changereason=CANCELLED))
    in_time = [len(world.simulated(latency_ns=latency, seed=3).matches) for latency in (0, 30, 10**6)]
    assert in_time[0] == 20 > in_time[1] > in_time[2] == 0
    one, same, other = (matches(world.simulated(latency_ns=30, seed=seed)) for seed in (3, 3, 4))
    assert one == same != other


def test_legacy_asks_for_no_limit_and_takes_arrivals_within_the_life_at_their_own_mids() -> None:
    told = {"national_bid": 3350, "national_offer": 3365}
    world = World((-9, 3330, 3340), (6, 3340, 3350)).rests(2, 4, 10).sweeps(1, 5, 100, until=9)
    world.rests(3, 5, 20, price=9_999).rests(4, 9, 30, **told).rests(5, 10, 40)
    simulated = world.simulated(mode="legacy")
    assert matches(simulated) == [(1, 3, OPEN + 5, 20, 3335.0), (1, 4, OPEN + 9, 30, 3357.5)]
    # The mid told within the life is 3345; it really traded 100 at 3340.
    row = simulated.sweeps.iloc[0]
    assert row["legacy_mid"] == 3345.0
    assert row[[f"legacy_cost{end}" for end in ("", "_mid", "_half", "_impact")]].tolist() == [
        334_000,
        334_500,
        334_250,
        334_750,
    ]
    assert row[[f"legacy_difference_{name}" for name in ("mid", "half", "impact")]].tolist() == [-500, -250, -750]


def test_legacy_shares_inventories() -> None:
    world = World().sweeps(1, 0, 30).sweeps(7, 1, 30).rests(2, 5, 50).sweeps(8, 6, 100, side=SELL, price=3330)
    assert [match[:4] for match in matches(world.simulated(mode="legacy"))] == [
        (1, 2, OPEN + 5, 30),
        (7, 2, OPEN + 5, 20),
        (7, 8, OPEN + 6, 10),
        (8, 7, OPEN + 6, 10),
    ]


def test_the_recorded_day_in_both_modes(real_data: Path) -> None:
    records, sides = recorded(real_data)
    final = orders.match_trades(orders.final_states(records, MARKET), sides)
    nbbo = orders.national_best(records, sides, pd.DataFrame())
    exchange, legacy = (
        orders.simulate(records, final, sides, nbbo, Simulation(mode=mode), MARKET) for mode in ("exchange", "legacy")
    )
    quotes = nbbo.rename(columns={"bid": "national_bid", "offer": "national_offer"})
    told = records.assign(changereason=reasons(records))
    assert matches(exchange) == slow_simulator.exchange(told, sides, quotes, MARKET, False)
    for simulated in (exchange, legacy):
        assert (simulated.sweeps["quantity_to_fill"] > 0).sum() == 996
        assert simulated.sweeps["quantity_to_fill"].sum() == 649_344
        assert simulated.left_out["filled on arrival"] == 582
        assert (simulated.sweeps["filled_mid"] <= simulated.sweeps["quantity_to_fill"]).all()
        assert simulated.matches["quantity"].sum() == simulated.sweeps["filled_mid"].sum() > 0
    assert (exchange.sweeps["filled_mid"] > 0).sum() < (legacy.sweeps["filled_mid"] > 0).sum()


def reasons(records: pd.DataFrame) -> np.ndarray:
    """Return what the recorded states lack and the slow simulator asks for: new at first, and traded at last."""
    first, last = ~records["order_id"].duplicated(), ~records["order_id"].duplicated(keep="last")
    new = first & (records["orderstatus"] == OFF) & (records["totalmatchedquantity"] == 0)
    return np.select([last & (records["leavesquantity"] == 0), new], [TRADED, NEW], default=5)
