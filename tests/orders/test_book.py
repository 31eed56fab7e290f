"""The lit book and the best bid and offer: by hand, and against a book that is kept order by order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from fintech_toolkit import orders
from fintech_toolkit.orders import NULL, Market
from tests.orders.worlds import BUY, OFF, ON, OPEN, SECURITY, SELL, SWEEP, frame, recorded, state, states, trade, trades


def at(ns: int) -> pd.Timestamp:
    return pd.Timestamp(OPEN + ns, tz="UTC")


def lit(order_id: int, ns: int, price: int, quantity: int, side: int = BUY, **fields: Any) -> dict[str, Any]:
    fields = {"exchangeordertype": 0, "price": price, "leavesquantity": quantity, "side": side} | fields
    return state(order_id, ns, **fields)


def rows(found: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return list(found[[*names]].itertuples(index=False, name=None))


def test_levels_queues_and_places() -> None:
    records = states(
        lit(1, 0, 3330, 100),
        lit(2, 1, 3330, 50),
        lit(3, 2, 3330, 60),
        lit(4, 3, 3320, 10),
        lit(5, 3, 3350, 70, SELL),
        lit(6, 3, 3340, 80, SELL, exchangeordertype=SWEEP),
        lit(7, 3, 3335, 90, SELL, exchangeordertype=64),
        lit(8, 3, 0, 90, SELL),
        lit(1, 4, 3330, 120),
        lit(2, 4, 3330, 40),
        lit(3, 5, 3330, 20, totalmatchedquantity=40),
        lit(5, 6, 3350, 70, SELL, orderstatus=OFF),
    )
    names = ("side", "level", "price", "position", "order_id", "quantity")
    assert rows(orders.book(records, at(3)), *names) == [
        (BUY, 1, 3330, 1, 1, 100),
        (BUY, 1, 3330, 2, 2, 50),
        (BUY, 1, 3330, 3, 3, 60),
        (BUY, 2, 3320, 1, 4, 10),
        (SELL, 1, 3340, 1, 6, 80),
        (SELL, 2, 3350, 1, 5, 70),
    ]
    # More of the first costs its place; less of the second, and a fill of the third, do not.
    later = orders.book(records, at(6))
    assert rows(later, "order_id", "position", "quantity") == [
        (2, 1, 40),
        (3, 2, 20),
        (1, 3, 120),
        (4, 1, 10),
        (6, 1, 80),
    ]
    assert (later["since"].astype("int64") - OPEN).tolist() == [1, 2, 4, 3, 3]
    assert rows(orders.depth(records, at(6)), "side", "level", "price", "quantity", "orders") == [
        (BUY, 1, 3330, 180, 3),
        (BUY, 2, 3320, 10, 1),
        (SELL, 1, 3340, 80, 1),
    ]
    assert orders.depth(records, at(-1)).empty


@pytest.mark.parametrize("seed", range(5))
def test_the_book_is_that_which_is_kept_record_by_record(seed: int) -> None:
    rng = np.random.default_rng(seed)
    records = states(
        *(
            lit(
                2**60 + int(rng.integers(30)),
                i // 3,
                3300 + 10 * int(rng.integers(6)),
                int(rng.integers(0, 4)) * 10,
                orderstatus=ON if rng.random() < 0.8 else OFF,
                totalmatchedquantity=int(rng.integers(0, 3)) * 10,
            )
            for i in range(200)
        )
    )
    kept: list[dict[str, Any]] = []
    for record in records[records["timestamp"] <= at(50)].to_dict("records"):
        record["size"] = record["totalmatchedquantity"] + record["leavesquantity"]
        old = next((one for one in kept if one["order_id"] == record["order_id"]), None)
        same = old is not None and old["price"] == record["price"] and record["size"] <= old["size"]
        if record["orderstatus"] == ON and old is not None and same:
            old.update(record)
            continue
        kept = [one for one in kept if one is not old]
        if record["orderstatus"] == ON:
            kept.append(record)
    shown = sorted((one for one in kept if one["leavesquantity"]), key=lambda one: -one["price"])
    found = orders.book(records, at(50))
    assert rows(found, "order_id", "price", "quantity") == [
        (one["order_id"], one["price"], one["leavesquantity"]) for one in shown
    ]


def test_best_bid_and_offer_of_snapshots_and_of_quotes() -> None:
    told = {"national_bid": 3330, "national_offer": 3340}
    records = states(state(1, 0, **told), state(2, 1), state(3, 2, national_bid=3340, national_offer=3335))
    sides = trades([side | {"national_bid": 3340, "national_offer": 3340} for side in trade(1, 2, 1, 9, 5, 3340, 1)])
    found = orders.national_best(records, sides, pd.DataFrame())
    assert rows(found, "bid", "offer", "mid", "locked", "crossed") == [
        (3330, 3340, 3335.0, False, False),
        (3340, 3340, 3340.0, True, False),
    ]
    assert (found["timestamp"].astype("int64") - OPEN).tolist() == [0, 2]
    quotes = frame(
        [
            {"timestamp": OPEN + 7, "security_code": SECURITY, "national_bid": bid, "national_offer": offer}
            for bid, offer in [(1, 2), (3335, 3330)]
        ],
        orders.QUOTES,
    )
    assert rows(orders.national_best(records, sides, quotes), "bid", "offer", "crossed") == [(3335, 3330, True)]
    one_sided = quotes.assign(national_bid=0)
    found = orders.national_best(records, sides, one_sided)
    assert rows(found, "bid", "offer", "crossed") == [(NULL, 3330, False)]
    assert found["mid"].isna().all()


def test_mids_as_of_times_in_any_order() -> None:
    """Sixty seconds old is not stale, a nanosecond more is."""
    minute = 60 * 10**9
    quotes = frame(
        [
            {"timestamp": OPEN + ns, "security_code": SECURITY, "national_bid": 3330 + ns, "national_offer": 3335 + ns}
            for ns in (0, 10)
        ],
        orders.QUOTES,
    )
    nbbo = orders.national_best(states(state(1, 0)), trades(), quotes)
    times = pd.Series([at(10 + minute), at(9), at(-1), at(11 + minute), at(10)], index=list("abcde"))
    found = orders.mid_at(times, nbbo, Market())
    assert found.index.tolist() == list("abcde")
    assert found["bid"].tolist() == [3340, 3330, NULL, 3340, 3340]
    assert_array_equal(found["mid"], [3342.5, 3332.5, np.nan, 3342.5, 3342.5])
    assert found["stale"].tolist() == [False, False, False, True, False]
    assert not found[["locked", "crossed"]].any(axis=None)


def test_the_recorded_trades_are_at_the_mid_that_stood(real_data: Path) -> None:
    """Nine of ten centre-point trades; the others are of limits within the spread, or printed with other quotes."""
    records, sides = recorded(real_data)
    nbbo = orders.national_best(records, sides, pd.DataFrame())
    dark = sides[sides["dealsource"] == 47]
    found = orders.mid_at(dark["timestamp"], nbbo, Market())
    assert not found["stale"].any()
    assert 0.9 < (found["mid"] == dark["price"]).mean() < 1
