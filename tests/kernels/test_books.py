"""Books of dealers' quotes and of levels, beyond what every kernel must pass: worked out by hand, and many dealers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft

NAN = np.nan


def quotes(*rows: tuple[object, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["ts", "dealer", "bid", "ask", "bid_size", "ask_size"])
    return frame.assign(symbol="S", ts=pd.to_datetime(frame["ts"], unit="s", utc=True))


BOOK = quotes(
    (0, "A", 99.0, 101.0, 5, 5),  # alone
    (1, "B", 99.5, 101.0, 2, 3),  # the better bid, the same ask
    (2, "C", 99.5, 100.5, 4, 1),  # joins the bid, the better ask
    (3, "B", 98.0, 99.5, 2, 2),  # leaves the bid, and offers where C bids: locked
    (4, "A", 99.75, 101.0, 1, 5),  # bids above B's ask: crossed
    (5, "B", NAN, 101.0, 2, 0),  # withdraws its bid (no price) and its ask (no size)
    (6, None, 120.0, 80.0, 9, 9),  # nobody's
    (14, "A", 99.0, 101.0, 5, 5),  # C's is older than ten seconds by now
)
BEST = {
    "best_bid": [99.0, 99.5, 99.5, 99.5, 99.75, 99.75, 99.75, 99.0],
    "best_ask": [101.0, 101.0, 100.5, 99.5, 99.5, 100.5, 100.5, 101.0],
    "best_bid_size": [5.0, 2.0, 6.0, 4.0, 1.0, 1.0, 1.0, 5.0],
    "best_ask_size": [5.0, 8.0, 1.0, 2.0, 2.0, 1.0, 1.0, 5.0],
    "best_bid_dealers": [1, 1, 2, 1, 1, 1, 1, 1],
    "best_ask_dealers": [1, 2, 1, 1, 1, 1, 1, 1],
    "is_best_bid": [True, True, True, False, True, False, False, True],
    "is_best_ask": [True, True, True, True, False, False, False, True],
    "locked": [False, False, False, True, False, False, False, False],
    "crossed": [False, False, False, False, True, False, False, False],
}
DEPTH = {
    "bid_1": [99.0, 99.5, 99.5, 99.5, 99.75, 99.75, 99.75, 99.0],
    "bid_2": [NAN, 99.0, 99.0, 99.0, 99.5, 99.5, 99.5, NAN],
    "ask_1": [101.0, 101.0, 100.5, 99.5, 99.5, 100.5, 100.5, 101.0],
    "ask_2": [NAN, NAN, 101.0, 100.5, 100.5, 101.0, 101.0, NAN],
    "bid_size_2": [0.0, 5.0, 5.0, 5.0, 4.0, 4.0, 4.0, 0.0],
    "ask_size_2": [0.0, 0.0, 8.0, 1.0, 1.0, 5.0, 5.0, 0.0],
    "ask_dealers_2": [0, 0, 2, 1, 1, 1, 1, 0],
    "bid_mean_3": [99.0, 99.25, 99.25, 99.25, 99.625, 99.625, 99.625, 99.0],
}


def test_a_book_of_three_dealers_worked_out_by_hand() -> None:
    best, depth = ft.best_bid_offer(max_age="10s"), ft.book_depth(levels=2, max_age="10s").named("level")
    result = ft.Pipeline(best, depth)(BOOK)
    for name, expected in BEST.items():
        assert_array_equal(result[name], expected, err_msg=name)
    for name, expected in DEPTH.items():
        assert_array_equal(result[f"level_{name}"], expected, err_msg=name)


@pytest.mark.parametrize("names", ["texts", "integers that share buckets"])
def test_hundreds_of_dealers_have_a_slot_each(names: str) -> None:
    """Slots and their hash table grow with them, and after a new session there are none."""
    random = np.random.default_rng(0)
    rows = 6_000
    ids = random.integers(0, 300, rows)
    dealers = np.array([f"dealer {j}" for j in range(300)], object)[ids] if names == "texts" else ids * 2**32
    days = np.repeat(np.arange(2), rows // 2) * 24 * 3600 * 10**9
    frame = pd.DataFrame(
        {
            "symbol": "S",
            "ts": pd.to_datetime(days + np.tile(np.arange(rows // 2), 2), utc=True),
            "dealer": dealers,
            "bid": random.integers(0, 50, rows) * 1.0,
            "ask": random.integers(50, 100, rows) * 1.0,
            "bid_size": random.integers(0, 5, rows) * 1.0,
            "ask_size": random.integers(0, 5, rows) * 1.0,
        }
    )
    both = ft.Pipeline(ft.best_bid_offer(), ft.book_depth(levels=3).named("level"), session="UTC")(frame)
    last: dict[object, tuple[float, float]] = {}
    for i, (dealer, bid, size) in enumerate(zip(frame["dealer"], frame["bid"], frame["bid_size"], strict=True)):
        if i == rows // 2:
            last.clear()
        last[dealer] = (bid, size)
        if i % 101 == 0 or i == rows - 1:
            levels = sorted({bid for bid, size in last.values() if size > 0}, reverse=True)[:3]
            sizes = [sum(size for bid, size in last.values() if bid == level) for level in levels]
            levels, sizes = levels + [NAN] * (3 - len(levels)), sizes + [0.0] * (3 - len(sizes))
            row = both.iloc[i]
            assert_array_equal([row["best_bid"], row["best_bid_size"]], [levels[0], sizes[0]])
            assert_array_equal(row[["level_bid_1", "level_bid_2", "level_bid_3"]].to_numpy(float), levels)
            assert_array_equal(row[["level_bid_size_1", "level_bid_size_2", "level_bid_size_3"]].to_numpy(float), sizes)


def test_a_number_of_levels_is_one_number_and_says_which_columns_there_are() -> None:
    step = ft.book_depth(levels=3)
    assert [name for name in step.outputs if name.startswith("bid_")] == [
        *("bid_1", "bid_2", "bid_3"),
        *("bid_size_1", "bid_size_2", "bid_size_3"),
        *("bid_dealers_1", "bid_dealers_2", "bid_dealers_3"),
        *("bid_mean_3", "bid_mean_5"),
    ]
    pipeline = ft.Pipeline(step)
    again = ft.Pipeline.from_json(pipeline.to_json())
    assert again.gives == pipeline.gives
    pd.testing.assert_frame_equal(again(BOOK), pipeline(BOOK))
    for wrong in ([1, 2], 0, 101, 2.5):
        with pytest.raises(ft.ParameterError, match="levels"):
            ft.book_depth(levels=wrong)


def test_levels_on_arrays_have_names_and_every_number_of_them_its_own_loop() -> None:
    side, price = np.array(["BID", "BID", "ASK"]), np.array([99.0, 98.0, 101.0])
    for levels in (1, 3, 1):
        book = ft.order_book(side, price, np.ones(3), levels=levels)
        assert [name for name in book._fields if name.startswith("ask_size")] == [
            f"ask_size_{j}" for j in range(1, levels + 1)
        ]
    several = ft.order_book(side, price, np.ones(3), levels=2, symbol=np.array(["S", "T", "S"]))
    assert_array_equal(several.bid_1, [99.0, 98.0, 99.0])
    assert_array_equal(several.ask_1, [NAN, NAN, 101.0])


def test_a_feed_of_one_side_a_row_becomes_the_quotes_it_was_made_of() -> None:
    feed = pd.DataFrame(
        [
            ("UPDATE", "BID", 99.0, 5.0, "A", 1),
            ("UPDATE", "ASK", 101.0, 5.0, "A", 1),
            ("UPDATE", "ASK", 100.0, 9.0, "A", 2),  # another level
            ("UPDATE", "BID", 98.0, 2.0, "B", 1),
            ("UPDATE", "BID", 1000.0, 2.0, "B", 1),  # a sentinel
            ("UPDATE", "BID", 97.0, 2.0, "B", 1),
            ("DELETE", "BID", 99.0, 5.0, "A", 1),
            ("UPDATE", "ASK", 100.5, 0.0, "A", 1),  # no size
        ],
        columns=["action", "side", "price", "size", "dealer", "level"],
    ).assign(symbol="S", ts=pd.date_range("2024-01-02", periods=8, freq="s", tz="UTC"))
    result = ft.Pipeline(ft.two_sided_quotes(), ft.best_bid_offer())(feed)
    assert_array_equal(result["bid"], [99.0, 99.0, 99.0, 98.0, NAN, 97.0, NAN, NAN])
    assert_array_equal(result["ask"], [NAN, 101.0, 101.0, NAN, NAN, NAN, 101.0, NAN])
    assert_array_equal(result["best_bid"], [99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 97.0, 97.0])
    assert_array_equal(result["best_ask"], [NAN, *[101.0] * 6, NAN])


def test_what_dealers_do_begins_anew_with_a_window() -> None:
    """A stands alone from 0 s, B is better from 20 s on; at 60 s a minute begins."""
    frame = quotes(
        (0, "A", 99.0, 101.0, 1, 1),
        (20, "B", 99.5, 100.5, 1, 1),
        (30, "A", 99.5, 100.5, 1, 1),  # responds after 10 s
        (50, "B", 99.0, 101.0, 1, 1),
        (70, "A", 99.5, 100.5, 1, 1),
    )
    a = ft.Pipeline(ft.dealer_activity(window="1min"))(frame)[lambda rows: rows["dealer"] == "A"]
    assert_array_equal(a["quotes_per_second"], [NAN, 2 / 30, 1 / 10])
    assert_array_equal(a["time_at_best"], [NAN, 20 / 30, 1.0])
    assert_array_equal(a["quotes_at_best"], [1.0, 1.0, 1.0])
    assert_array_equal(a["mean_spread"], [2.0, 1.5, 1.0])
    assert_array_equal(a["response_time"], [NAN, 10.0, NAN])
