"""Trades against the quotes of two dealers, and what dealers did, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit import enrichment
from tests.enrichment.books import securities

NO = np.nan


def at(*seconds: float) -> pd.DatetimeIndex:
    return pd.to_datetime([round(1e9 * s) for s in seconds], unit="ns", utc=True)


def world() -> dict[str, pd.DataFrame]:
    quotes = {
        "symbol": "X",
        "ts": at(10, 11, 20, 40, 70),
        "bid": [99.0, 99.5, 99.0, 100.0, 101.0],
        "ask": [101.0, 101.5, 100.0, 101.0, 102.0],
        "bid_size": 10.0,
        "ask_size": 10.0,
        "dealer": ["A", "B", "A", "B", "A"],
    }
    # The best: 10 s 99 to 101, 11 s 99.5 to 101, 20 s 99.5 to 100, 40 s 100 to 100 (locked), 70 s 101 to 101 (locked).
    trades = {
        "symbol": ["X", "X", "X", "X", "Y"],
        "ts": at(9, 11, 25, 30, 30),
        "trade_id": [1, 2, 3, 4, 5],
        "price": [100.0, 100.5, 99.5, 102.0, 50.0],
        "size": [1.0, 2.0, 4.0, 8.0, 16.0],
        "side": np.array([1, 1, -1, 1, -1], np.int8),
        "dealer": ["A", "B", "A", "B", "A"],
        "venue": ["V", "V", "W", "V", "V"],
    }
    return {"quotes": pd.DataFrame(quotes), "trades": pd.DataFrame(trades), "securities": securities("X")}


def given(flow: ft.Flow, frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    made: pd.DataFrame = flow(**{name: frames[name] for name in flow.sources})
    return made


def test_trades_by_hand() -> None:
    got = given(enrichment.trades(horizons=["10s", "1min"]), world())
    assert got["trade_id"].tolist() == [1, 2, 3, 4, 5]  # none is lost, that before all quotes and that of no security
    assert got["segment"].isna().tolist() == [False] * 4 + [True]
    expected = {
        "best_bid": [NO, 99.5, 99.5, 99.5, NO],  # the quote at the very time of the trade counts
        "best_ask": [NO, 101.0, 100.0, 100.0, NO],
        "improvement": [NO, 0.5, 0.0, -2.0, NO],
        "place": [0, 1, 2, 3, 0],
        "effective_spread": [NO, 0.5, 0.5, 4.5, NO],
        "best_mid_10s": [100.25, 99.75, 99.75, 100.0, NO],
        "realized_10s": [-0.5, 1.5, 0.5, 4.0, NO],
        "markout_10s": [0.25, -0.75, -0.25, -2.0, NO],
        "markout_1min": [0.0, 0.5, -1.5, -1.0, NO],
    }
    for name, values in expected.items():
        assert_array_equal(got[name].to_numpy(), values, err_msg=name)
    assert_allclose(got["improvement_bps"].to_numpy()[1:4], [0.5 / 100.25 * 1e4, 0, -2 / 99.75 * 1e4])
    assert_allclose(got["markout_bps_1min"].to_numpy()[1:4], [0.5 / 100.5 * 1e4, -1.5 / 99.5 * 1e4, -1 / 102 * 1e4])
    assert_array_equal(got["trade_velocity"].to_numpy() * 60, [1, 2, 3, 4, 1])
    assert (got["known_at"] - got["ts"] == pd.Timedelta("60s")).all()


def test_quotes_of_the_day_before_do_not_stand() -> None:
    frames = world()
    frames["trades"]["ts"] += pd.Timedelta("13h")
    assert enrichment.trades()(**frames)["best_bid"].isna().all()
    frames = world()
    recent = enrichment.trades(max_age="5s")(**frames)
    assert recent["best_bid"].isna().tolist() == [True, False, False, True, True]


def test_execution_by_dealer_and_venue() -> None:
    got = enrichment.execution()(**world()).set_index(["dealer", "venue"])
    assert got["trades"].to_dict() == {("A", "V"): 2, ("B", "V"): 2, ("A", "W"): 1}
    assert got["volume"].to_dict() == {("A", "V"): 17, ("B", "V"): 10, ("A", "W"): 4}
    both = (0.5 / 100.25 + 4.5 / 99.75) * 1e4 / 2
    costs = got["effective_spread_bps"].loc[[("A", "V"), ("B", "V"), ("A", "W")]]
    assert_allclose(costs, [NO, both, 0.5 / 99.75 * 1e4])


def test_what_was_traded_and_last() -> None:
    frames = world()
    traded = enrichment.instruments()(**frames).set_index("symbol")
    assert traded["trades"].to_dict() == {"X": 4, "Y": 1}
    assert traded["net_volume"].to_dict() == {"X": 1 + 2 - 4 + 8, "Y": -16}
    assert traded.loc["X", "vwap"] == (100 + 2 * 100.5 + 4 * 99.5 + 8 * 102) / 15
    market = enrichment.last_trades(enrichment.windows("30s"))(**frames)
    assert market["window_end"].tolist() == list(at(30, 60, 90))
    # At 30 s begins another window: what is done then is not in the one that ends.
    assert market["last_trade_id"].tolist() == [3, 4, 4]
    assert market["best_mid"].tolist() == [99.75, 100.0, 101.0]


def test_dealers_by_hand() -> None:
    frames = world()
    frames["quotes"] = pd.concat([frames["quotes"], frames["quotes"].iloc[[4]].assign(symbol="Y")], ignore_index=True)
    quoting = given(enrichment.quoting(), frames).set_index(["symbol", "dealer"])
    # A of X, from 10 to 70 s: at the best ask all the time.
    assert quoting["quotes"].to_dict() == {("X", "A"): 3, ("X", "B"): 2, ("Y", "A"): 1}
    assert_allclose(quoting.loc[("X", "A"), "quotes_per_second"], 3 / 60)
    assert_allclose(quoting.loc[("X", "A"), ["time_at_best", "quotes_at_best", "uptime"]].astype(float), [1, 1, 1])
    # B responds at 40 s to A's move of 20 s, A at 20 s to B's of 11 s and at 70 s to that of 40 s.
    assert_allclose(quoting["response_time"].loc[[("X", "A"), ("X", "B")]], [(9 + 30) / 2, 20])
    dealers = given(enrichment.dealers(), frames).set_index("dealer")
    assert dealers["instruments"].to_dict() == {"A": 2, "B": 1}
    assert dealers["quotes"].to_dict() == {"A": 4, "B": 2}
    assert_allclose(dealers.loc["B", "mean_spread_bps"], (2 / 100.5 + 1 / 100.5) * 1e4 / 2)


def test_with_each_day_the_figures_of_dealers_begin_anew() -> None:
    frames = world()
    next_day = frames["quotes"].iloc[[0, 2]].assign(ts=at(86_400 + 10, 86_400 + 14))
    frames["quotes"] = pd.concat([frames["quotes"], next_day], ignore_index=True)
    found = given(enrichment.quoting(), frames).query("dealer == 'A'")
    assert_allclose(found["quotes_per_second"], [3 / 60, 2 / 4])
