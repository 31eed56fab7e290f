"""Final states and what was traded: on the recorded day, and where equal times, ids and amendments mislead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from fintech_toolkit import orders
from fintech_toolkit.errors import DataError
from tests.orders.worlds import (
    BUY,
    CANCELLED,
    LIT,
    NEW,
    OFF,
    OPEN,
    SELL,
    SWEEP,
    TRADED,
    recorded,
    state,
    states,
    trade,
    trades,
)

HOUR = 3_600_000_000_000
HUGE = 2**62 + 1
"""An id that float64 does not hold."""


@pytest.mark.parametrize(("day", "count"), [("2024-09-04", 21), ("2024-09-05", 8247)])
def test_final_states_of_the_recorded_day(real_data: Path, day: str, count: int) -> None:
    records, _ = recorded(real_data, day)
    mine = orders.final_states(records, orders.Market()).sort_values("order_id")
    theirs = pd.read_parquet(real_data / "asx_day" / "orders_final.parquet")
    theirs = theirs[theirs["date"] == day].sort_values("order_id")
    assert len(mine) == count
    names = {"last": "timestamp", "limit_price": "price", "matched": "totalmatchedquantity"}
    same = ["order_id", "side", "leavesquantity", "participantid", "exchangeordertype", "orderstatus"]
    for name in [*same, *names]:
        ours = mine[name].astype("int64").to_numpy()
        assert_array_equal(ours, theirs[names.get(name, name)].to_numpy(), err_msg=name)


def test_the_recorded_day_agrees_with_its_trades(real_data: Path) -> None:
    records, sides = recorded(real_data)
    final = orders.match_trades(orders.final_states(records, orders.Market()), sides)
    assert final["traded"].sum() == final["matched"].sum() == 2_755_413
    assert_array_equal(final["traded"], final["matched"])
    assert final["qualifies"].sum() == 1_578
    assert (final["traded"] <= final["quantity"]).all()
    # By the slow way: what pandas says of one side's trades at a time.
    ours = sides[sides["order_id"].isin(final["order_id"])]
    groups = ours.assign(value=ours["price"] * ours["quantity"]).groupby("order_id")
    some = final[final["trades"] > 0].set_index("order_id").sort_index()
    assert_array_equal(some["trade_vwap"], groups["value"].sum() / groups["quantity"].sum())
    assert_array_equal(some["trades"], groups.size())
    assert_array_equal(some["first_trade"], groups["timestamp"].min())
    assert_array_equal(some["last_trade"], groups["timestamp"].max())
    dark = ours[ours["dealsource"].isin([47, 48, 49])].groupby("order_id")["quantity"].sum()
    assert_array_equal(some["dark_share"], dark.reindex(some.index, fill_value=0) / some["traded"])
    assert final.loc[final["trades"] == 0, ["trade_vwap", "first_trade", "lit_share"]].isna().all(axis=None)


def test_the_last_of_equal_times_is_the_state_and_an_amendment_does_not_lift_the_fill_ratio() -> None:
    """The second order is the recorded 7904794000124396095: an amendment sets its quantity to the ten still open."""
    records = states(
        state(HUGE, 0, orderstatus=OFF, changereason=NEW, leavesquantity=50),
        state(HUGE + 1, 0, orderstatus=OFF, changereason=NEW, leavesquantity=222),
        state(HUGE, 0, changereason=TRADED, leavesquantity=20, totalmatchedquantity=30),
        state(HUGE + 1, 5, changereason=TRADED, quantity=222, leavesquantity=11, totalmatchedquantity=211),
        state(HUGE + 1, 6, quantity=10, leavesquantity=10, totalmatchedquantity=211),
        state(
            HUGE + 1, 7, orderstatus=OFF, changereason=TRADED, quantity=10, leavesquantity=0, totalmatchedquantity=221
        ),
    )
    final = orders.final_states(records, orders.Market())
    assert final["order_id"].tolist() == [HUGE, HUGE + 1]
    assert final["quantity"].tolist() == [50, 221]
    assert final["matched"].tolist() == [30, 221]
    assert final["state"].tolist() == [2, 1]
    assert final["new_today"].all()


@pytest.mark.parametrize(
    ("bits", "name"),
    [
        (0, "lit"),
        (2, "lit"),
        (64, "centre_point"),
        (256, "crossing"),
        (2048, "sweep"),
        (4096, "block"),
        (4098, "block"),
    ],
)
def test_order_types_by_bits(bits: int, name: str) -> None:
    final = orders.final_states(states(state(1, 0, exchangeordertype=bits)), orders.Market())
    assert (final["order_type"][0], final["short_sell"][0]) == (name, bits in {2, 4098})


@pytest.mark.parametrize(
    ("quantity", "size"),
    [
        (1, "tiny"),
        (100, "tiny"),
        (101, "small"),
        (1_000, "small"),
        (1_001, "medium"),
        (10_000, "medium"),
        (10_001, "large"),
    ],
)
def test_sizes(quantity: int, size: str) -> None:
    final = orders.final_states(states(state(1, 0, leavesquantity=quantity)), orders.Market())
    assert final["size"].tolist() == [size]


def test_volume_quartiles_keep_equal_quantities_together() -> None:
    quantities = [10, 10, 10, 20, 30, 40, 50, 60]
    final = orders.final_states(
        states(*(state(i, i, leavesquantity=quantity) for i, quantity in enumerate(quantities))), orders.Market()
    )
    assert final["volume_quartile"].tolist() == [1, 1, 1, 2, 3, 3, 4, 4]


@pytest.mark.parametrize(
    ("local", "phase"),
    [
        ("2024-09-05 06:59:59", "before open"),
        ("2024-09-05 07:00", "auction"),
        ("2024-09-05 09:59:59.999999999", "auction"),
        ("2024-09-05 10:00", "continuous"),
        ("2024-09-05 15:59:59.999999999", "continuous"),
        ("2024-09-05 16:00", "auction"),
        ("2024-09-05 16:12", "after close"),
        # Clocks went forward at two: ten o'clock came nine hours after midnight.
        ("2024-10-06 09:59:59", "auction"),
        ("2024-10-06 10:00", "continuous"),
        ("2024-04-07 10:00", "continuous"),
    ],
)
def test_phases_are_by_the_clock_on_the_wall(local: str, phase: str) -> None:
    at = pd.Timestamp(local, tz="Australia/Sydney")
    final = orders.final_states(states(state(1, at.value - OPEN)), orders.Market())
    assert (final["phase"][0], final["arrival_hour"][0], final["day"][0]) == (phase, at.hour, local[:10])


def filled(order_id: int, at: int = 1, **fields: Any) -> list[dict[str, Any]]:
    """Return a sweep that rests and is filled later."""
    fields = {"exchangeordertype": SWEEP, "side": BUY} | fields
    return [
        state(order_id, 0, orderstatus=OFF, changereason=NEW, **fields),
        state(order_id, 0, changereason=NEW, **fields),
        state(
            order_id,
            at,
            **{"orderstatus": OFF, "changereason": TRADED, "leavesquantity": 0, "totalmatchedquantity": 100} | fields,
        ),
    ]


def test_which_sweeps_qualify() -> None:
    carried = filled(5)[2:]
    records = states(
        *filled(1),
        *filled(2),
        *filled(3, exchangeordertype=LIT),
        *filled(4)[:2],
        state(4, 2, orderstatus=OFF, changereason=CANCELLED, exchangeordertype=SWEEP, side=BUY),
        *carried,
    )
    sides = trades(
        trade(1, 1, 1, 90, 60, 3340, 1),
        trade(2, 1, 1, 91, 40, 3350, 47),
        trade(3, 1, 2, 92, 100, 3340, 20),
        trade(4, 1, 3, 93, 100, 3340, 1),
        trade(5, 1, 5, 94, 100, 3340, 1),
    )
    final = orders.match_trades(orders.final_states(records, orders.Market()), sides).set_index("order_id")
    assert final["qualifies"].to_dict() == {1: True, 2: False, 3: False, 4: False, 5: False}
    assert final.loc[1, ["traded", "trade_vwap", "lit_share", "dark_share"]].tolist() == [100, 3344.0, 0.6, 0.4]
    assert final["auction_quantity"].to_dict() == {1: 0, 2: 100, 3: 0, 4: 0, 5: 0}


def test_an_order_whose_trades_are_others_is_named() -> None:
    final = orders.final_states(states(*filled(HUGE)), orders.Market())
    with pytest.raises(DataError, match=rf"order {HUGE} matched 100 and its trades are 99\. .*ingest both"):
        orders.match_trades(final, trades(trade(1, 1, HUGE, 90, 99, 3340, 1)))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([state(1, 5), state(2, 4)][::-1], None),
        ([state(1, 0), state(2, 24 * HOUR)], "from 2024-09-05 to 2024-09-06"),
        ([state(1, 0), state(2, 0) | {"security_code": 5}], r"of securities \[5, 110621\]"),
        ([state(1, 0), state(1, 1, side=BUY)], "Order 1 changes its 'side' at .* \\(row 1\\)"),
        ([state(1, 0, exchangeordertype=8192)], r"'exchangeordertype' is 8192 in row 0 \(order 1\)"),
    ],
)
def test_states_that_cannot_be_are_refused(records: list[dict[str, Any]], message: str | None) -> None:
    frame = states(*records)
    if message is None:
        frame, message = frame.iloc[::-1].reset_index(drop=True), r"not sorted by \(timestamp, sequence\): row 1"
    with pytest.raises(DataError, match=message):
        orders.final_states(frame, orders.Market())


def test_an_empty_day_has_no_orders_and_the_same_columns() -> None:
    empty = orders.match_trades(orders.final_states(states(state(1, 0)).iloc[:0], orders.Market()), trades())
    full = orders.match_trades(orders.final_states(states(state(1, 0, side=SELL)), orders.Market()), trades())
    assert len(empty) == 0
    assert empty.dtypes.equals(full.dtypes), np.array([empty.dtypes, full.dtypes])
