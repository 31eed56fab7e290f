"""What fills cost: worked out by hand, and by a loop over orders and fills."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fintech_toolkit.errors import DataError
from fintech_toolkit.orders.comparison import compare
from fintech_toolkit.orders.language import NULL
from fintech_toolkit.orders.measures import Fills, measure
from fintech_toolkit.orders.settings import Market
from tests.orders.measured import drawn, fills, final, nbbo

QUOTES = nbbo([(0, 990, 1010), (10, 1000, 1020), (20, 1010, 1040)])


@pytest.mark.parametrize(("side", "sign"), [(1, 1), (2, -1)])
def test_two_fills_by_hand(side: int, sign: int) -> None:
    """Mid 1000 on arrival; 60 at 1010 while the mid is 1010, 20 at 1030 while it is 1025; 20 of 100 are not filled."""
    orders = final([{"order_id": 1, "side": side, "limit_price": 1040, "until": 30}])
    row = measure(orders, fills([(1, 12, 60, 1010), (1, 20, 20, 1030)]), QUOTES, Market(stale_seconds=1)).iloc[0]
    assert (row["ordered"], row["filled"], row["fills"], row["fill_ratio"]) == (100, 80, 2, 0.8)
    assert (row["vwap"], row["arrival_mid"], row["arrival_spread_bps"]) == (1015.0, 1000.0, 200.0)
    by_hand = {
        "cost_bps": sign * 150,
        "weighted_cost_bps": sign * (20 * 5 / 1025 / 80) * 1e4,
        "effective_spread_bps": 300,
        "effective_to_quoted": 1.5,
        "improvement_bps": sign * 25 / 1040 * 1e4,
        "shortfall_bps": sign * (0.8 * 150 + 0.2 * 250),
        "first_fill_seconds": 12,
        "duration_seconds": 8,
        "weighted_seconds": 14,
        "drift_bps": sign * 250,
        "stale_share": 0.75,
        "spread_bps": (60 * 20 / 1010 + 20 * 30 / 1025) / 80 * 1e4,
    }
    for name, value in by_hand.items():
        assert row[name] == pytest.approx(value, rel=1e-12), name


def slow(orders: pd.DataFrame, done: pd.DataFrame, quotes: pd.DataFrame) -> pd.DataFrame:
    """The definitions, an order at a time."""
    rows = []
    for order in orders.itertuples():
        s = 1 if order.side == 1 else -1
        bid, offer = order.arrival_bid, order.arrival_offer
        if NULL in (bid, offer):
            bid, offer = quotes[quotes["timestamp"] <= order.arrival][["bid", "offer"]].iloc[-1]
        m, width = (bid + offer) / 2, offer - bid
        row = {"cost_bps": np.nan, "weighted_cost_bps": np.nan, "drift_bps": np.nan, "spread_deviation_bps": np.nan}
        row |= {"vwap": np.nan, "improvement_bps": np.nan, "weighted_seconds": np.nan, "shortfall_bps": np.nan}
        row |= {"effective_to_quoted": np.nan, "spread_bps": np.nan, "duration_seconds": np.nan}
        mine = done[done["order_id"] == order.order_id]
        standing = [quotes[quotes["timestamp"] <= t].iloc[-1] for t in mine["timestamp"]]
        end = quotes[quotes["timestamp"] <= order.last]["mid"].iloc[-1]
        q = mine["quantity"].tolist()
        missed = (order.quantity - sum(q)) * s * (end - m) / m * 1e4
        row["shortfall_bps"] = missed / order.quantity
        if q:
            p = mine["price"].tolist()
            vwap = sum(x * y for x, y in zip(p, q, strict=True)) / sum(q)
            mids, wide = [x["mid"] for x in standing], [(x["offer"] - x["bid"]) / x["mid"] * 1e4 for x in standing]
            row["vwap"] = vwap
            row["cost_bps"] = s * (vwap - m) / m * 1e4
            row["shortfall_bps"] = (sum(q) * row["cost_bps"] + missed) / order.quantity
            paid = [s * (x - y) / y * 1e4 for x, y in zip(p, mids, strict=True)]
            row["weighted_cost_bps"] = np.average(paid, weights=q)
            row["drift_bps"] = s * (mids[-1] - m) / m * 1e4
            row["spread_bps"] = np.average(wide, weights=q)
            row["spread_deviation_bps"] = np.sqrt(np.average((np.array(wide) - row["spread_bps"]) ** 2, weights=q))
            row["effective_to_quoted"] = 2 * abs(vwap - m) / width
            if order.limit_price != NULL:
                row["improvement_bps"] = s * (order.limit_price - vwap) / order.limit_price * 1e4
            since = [(t - order.arrival).total_seconds() for t in mine["timestamp"]]
            row["weighted_seconds"] = np.average(since, weights=q)
            row["duration_seconds"] = since[-1] - since[0]
        rows.append(row)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seed", range(3))
def test_many_orders_as_the_definitions_say(seed: int) -> None:
    market = drawn(seed)
    for kind in ("real", "simulated"):
        done = market[kind].sample(frac=1, random_state=seed)  # in whatever order they come
        found = measure(market["final"], done, market["nbbo"], Market())
        expected = slow(market["final"], market[kind], market["nbbo"])
        assert found["order_id"].tolist() == market["final"]["order_id"].tolist()
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9, err_msg=name)
        assert found["fill_ratio"].between(0, 1).all()


def test_what_is_not_known_is_nan_and_never_a_crash() -> None:
    orders = final(
        [
            {"order_id": 1, "arrival_bid": NULL, "since": -1},
            {"order_id": 2, "limit_price": NULL},
            {"order_id": 3, "arrival_bid": 1010},  # locked
            {"order_id": 4},
        ]
    )
    done = fills([(1, 5, 100, 1000), (2, 5, 100, 1000), (3, 5, 100, 1000), (9, 5, 1, 1000)])
    found = measure(orders, done, QUOTES, Market()).set_index("order_id")
    assert found.loc[1, ["cost_bps", "drift_bps", "effective_to_quoted"]].isna().all()
    assert found.loc[1, "weighted_cost_bps"] == 0
    assert np.isnan(found.loc[2, "improvement_bps"])
    assert np.isnan(found.loc[3, "effective_to_quoted"])
    assert found.loc[4, ["vwap", "cost_bps", "first_fill_seconds"]].isna().all()
    assert found.loc[4, ["fill_ratio", "fills", "shortfall_bps"]].tolist() == [0, 0, 250.0]
    before = measure(orders.iloc[3:], fills([(4, 5, 100, 1000)]), QUOTES.iloc[2:], Market())
    assert before[["weighted_cost_bps", "spread_bps", "drift_bps"]].isna().all(axis=None)
    assert len(measure(orders.iloc[:0], done, QUOTES, Market())) == 0
    nothing = measure(orders, done.iloc[:0], QUOTES.iloc[:0], Market())
    assert nothing["fills"].tolist() == [0] * 4


def test_crossed_quotes_are_no_quotes() -> None:
    orders = final([{"order_id": 1, "arrival_bid": 1020}])  # above the offer: what stood counts, a mid of 1000
    crossed = nbbo([(0, 990, 1010), (10, 1030, 1020)])
    found = measure(orders, fills([(1, 5, 60, 1000), (1, 12, 40, 1000)]), crossed, Market()).iloc[0]
    assert (found["arrival_mid"], found["arrival_spread_bps"], found["cost_bps"]) == (1000, 200, 0)
    assert found[["weighted_cost_bps", "drift_bps", "spread_bps"]].isna().all()
    early = measure(orders, fills([(1, 5, 60, 1000)]), crossed, Market()).iloc[0]
    assert early["weighted_cost_bps"] == 0


def test_more_than_was_ordered_is_an_error_that_names_the_order() -> None:
    orders = final([{"order_id": 7_904_794_000_124_046_635}])
    with pytest.raises(DataError, match="Order 7904794000124046635: its fills come to 101, above the 100"):
        measure(orders, fills([(7_904_794_000_124_046_635, 1, 101, 1000)]), QUOTES, Market())
    with pytest.raises(DataError, match="Column 'quantity', row 0: a fill of order 7904794000124046635 of 0"):
        measure(orders, fills([(7_904_794_000_124_046_635, 1, 0, 1000)]), QUOTES, Market())


def test_a_part_is_cut_where_it_begins_and_ends() -> None:
    done = fills([(1, 3, 40, 1003), (1, 1, 40, 1001), (2, 1, 10, 1001), (1, 2, 40, 1002), (3, 1, 5, 1)])
    found = Fills.by(pd.Index([1, 2]), done, QUOTES, Market()).part(np.array([30, 10]), np.array([60, 5]))
    assert [found.of.tolist(), found.quantity.tolist(), found.price.tolist()] == [
        [0, 0, 0],
        [10, 40, 10],
        [1001, 1002, 1003],
    ]


def test_real_and_simulated_are_compared_over_equal_quantities() -> None:
    """100 to fill after 20 on arrival; the pool fills 50 at the mid, where the first 50 really cost the offer."""
    orders = final([{"order_id": 1, "quantity": 120}, {"order_id": 2, "quantity": 10, "side": 2}, {"order_id": 3}])
    trades = fills([(1, 0, 20, 1010), (1, 1, 30, 1010), (1, 2, 70, 1020), (2, 1, 10, 990), (3, 0, 100, 1010)])
    pool = fills([(1, 1, 50, 1000), (2, 5, 10, 1000)])
    found = compare(
        orders, trades, {"mid": pool, "none": pool.iloc[:0]}, QUOTES, Market(), pd.Series({1: 100, 2: 10, 3: 0})
    )
    assert found["order_id"].tolist() == [1, 2, 1, 2]
    mid = found[found["scenario"] == "mid"].set_index("order_id")
    assert mid["quantity"].tolist() == [50, 10]
    assert mid["real_vwap"].tolist() == [(30 * 1010 + 20 * 1020) / 50, 990]
    assert mid["simulated_vwap"].tolist() == [1000, 1000]
    assert mid["saving"].tolist() == [700.0, 100.0]
    assert mid["real_cost_bps"].tolist() == [140, 100]
    assert mid["simulated_cost_bps"].tolist() == [0, 0]
    assert mid["simulated_fill_ratio"].tolist() == [0.5, 1]
    assert mid["real_fill_ratio"].tolist() == [1, 1]
    # Of all that was to fill: what the pool left is missed at the mid of the end, 1025.
    assert mid["simulated_shortfall_bps"].tolist() == [125, 0]
    assert mid["real_shortfall_bps"].tolist() == [170, 100]
    none = found[found["scenario"] == "none"]
    assert none["saving"].tolist() == [0, 0]
    assert none["quantity"].tolist() == [0, 0]
    assert none[["real_cost_bps", "simulated_cost_bps"]].isna().all(axis=None)


@pytest.mark.parametrize("seed", range(3))
def test_a_saving_is_what_equal_quantities_really_cost_more(seed: int) -> None:
    market = drawn(seed)
    to_fill = market["final"].set_index("order_id")["quantity"]
    found = compare(market["final"], market["real"], {"mid": market["simulated"]}, market["nbbo"], Market(), to_fill)
    for row in found.itertuples():
        sides = []
        for kind in ("real", "simulated"):
            prices = np.repeat(
                *(market[kind].loc[market[kind]["order_id"] == row.order_id, name] for name in ("price", "quantity"))
            )
            sides.append(prices[: row.quantity].sum())
        expected = (sides[0] - sides[1]) * (1 if row.side == 1 else -1)
        assert row.saving == pytest.approx(expected, abs=1e-6)
    assert (found["quantity"] == 0).sum() == (found["simulated_fills"] == 0).sum() > 0
