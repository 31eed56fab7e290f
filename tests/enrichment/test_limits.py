"""Alerts and limits: what was planted is found, and nothing else; positions against a ledger."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal

import data_generators
from fintech_toolkit import enrichment
from tests.enrichment.books import securities

ROWS = 400


def quiet_market() -> dict[str, pd.DataFrame]:
    """One dealer whose spread is 10 to 11 bp."""
    rng = np.random.default_rng(1)
    half = rng.uniform(0.05, 0.055, ROWS)
    quotes = pd.DataFrame(
        {
            "symbol": "X",
            "ts": pd.date_range("2024-01-08 14:00", periods=ROWS, freq="1s", tz="UTC").as_unit("ns"),
            "bid": 100 - half,
            "ask": 100 + half,
            "bid_size": 1.0,
            "ask_size": 1.0,
            "dealer": "A",
        }
    )
    return {"quotes": quotes, "securities": securities("X")}


def test_unusual_spreads_are_found() -> None:
    market = quiet_market()
    planted = {250: 0.08, 300: 2.0, 350: -0.2}  # unusual, out of the band (which makes all unusual that was), crossed
    for row, half in planted.items():
        market["quotes"].loc[row, ["bid", "ask"]] = [100 - half, 100 + half]
    found = enrichment.spread_alerts()(**market)
    assert found.index.tolist() == list(planted)
    assert found["spread_zscore"].iloc[0] > 3
    assert found["best_spread_bps"].iloc[1] == 400
    assert enrichment.tight(9.0)(**market).empty
    assert len(enrichment.tight()(**market)) == ROWS - 2


def test_unusual_volumes_are_found() -> None:
    rng = np.random.default_rng(2)
    ts = pd.date_range("2024-01-08 14:00", periods=ROWS, freq="1min", tz="UTC").as_unit("ns")
    trades = pd.DataFrame({"symbol": "X", "ts": ts, "price": 100.0, "size": rng.uniform(9, 11, ROWS)})
    trades.loc[333, "size"] = 100.0
    found = enrichment.volume_alerts()(trades=trades)
    assert found["ts"].tolist() == [ts[330]]
    assert found["trades"].tolist() == [5]


def test_positions_and_limits_against_a_ledger() -> None:
    trades = data_generators.sample("trades", rows=2_000)
    limit = 2e9
    got = enrichment.positions(max_long=limit, max_short=limit)(trades=trades)
    held: dict[tuple[str, str], float] = defaultdict(float)
    expected = []
    for row in trades.itertuples():
        held[row.symbol, row.dealer] += row.side * row.size
        expected.append(held[row.symbol, row.dealer])
    assert_allclose(got["position"].to_numpy(), expected)
    exposure = got["position"].to_numpy() * trades["price"].to_numpy()
    assert_array_equal(got["exposure"].to_numpy(), exposure)
    beyond = (exposure > limit).astype(float) - (exposure < -limit)
    assert_array_equal(got["breach"].to_numpy(), beyond)
    assert 0 < np.count_nonzero(beyond) < len(trades)
