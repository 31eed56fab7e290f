"""A one-sided feed, as wide as feeds are, made two-sided and enriched."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import data_generators
import fintech_toolkit as ft
from fintech_toolkit import enrichment
from tests.frames import same

ROWS = 4_000
Market = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def market() -> Market:
    names = ("quotes", "securities", "trades")
    return {name: data_generators.sample(name, rows=ROWS, profile="wide") for name in names}


def slowly(feed: pd.DataFrame) -> pd.DataFrame:
    """The firm rows, each with what its dealer shows after it, kept in a dict."""
    shown: dict[tuple[object, ...], tuple[float, float]] = {}
    rows = []
    for row in feed[feed["firm"]].itertuples():
        own = (row.ts.date(), row.symbol, row.dealer)
        if row.level == 1:
            stands = row.action != "DELETE" and 1 < row.price < 1000 and row.size > 0
            shown[*own, row.side] = (row.price, row.size) if stands else (np.nan, np.nan)
        (bid, bid_size), (ask, ask_size) = (shown.get((*own, side), (np.nan, np.nan)) for side in ("BID", "ASK"))
        rows.append((row.symbol, row.ts, bid, ask, bid_size, ask_size, row.dealer))
    return pd.DataFrame(rows, columns=["symbol", "ts", "bid", "ask", "bid_size", "ask_size", "dealer"])


def test_two_sides(market: Market) -> None:
    feed = market["quotes"].copy()
    # What spoils prices, of each sort, besides what the feed has of it.
    feed.loc[1_000:1_005, "price"] = [0.0, 1.0, 1000.0, 1003.0, 1005.0, np.nan]
    feed.loc[1_010:1_011, "size"] = [0.0, np.nan]
    feed.loc[1_020:1_025, "action"] = "DELETE"
    feed.loc[1_030:1_035, "level"] = 2
    # Of the next day one side only: what the other one was does not stand any more.
    asks = feed[feed["side"] == "ASK"].tail(50)
    feed = pd.concat([feed, asks.assign(ts=asks["ts"] + pd.Timedelta("24h"))], ignore_index=True)
    got = enrichment.two_sided()(quotes=feed)
    expected = slowly(feed)
    assert 0 < (~feed["firm"]).sum() == len(feed) - len(expected)
    same(got[expected.columns].reset_index(drop=True), expected.astype(got.dtypes[expected.columns].to_dict()))


def test_latency_by_stage(market: Market) -> None:
    got = enrichment.two_sided()(quotes=market["quotes"])
    firm = market["quotes"][market["quotes"]["firm"]]
    stages = [firm[name].astype("int64").to_numpy() for name in ("contributed_ts", "processed_ts", "sent_ts", "ts")]
    names = ("processing_seconds", "sending_seconds", "transport_seconds")
    for name, start, end in zip(names, stages, stages[1:], strict=False):
        assert_array_equal(got[name].to_numpy(), (end - start) / 1e9)
    assert_array_equal(got["latency_seconds"].to_numpy(), (stages[-1] - stages[0]) / 1e9)
    assert (got["latency_seconds"] > 0).all()


def test_the_whole_enrichment_of_a_wide_market(market: Market) -> None:
    enriched = ft.enrich(**market)
    assert len(enriched.quotes) == market["quotes"]["firm"].sum()
    assert len(enriched.trades) == ROWS
    assert {"latency_seconds", "best_bid", "segment"} <= set(enriched.quotes.columns)
    last = enriched.market.iloc[-1]
    trade = market["trades"].set_index("trade_id").loc[last["last_trade_id"]]
    for name in ("price", "size", "yield_to_maturity", "spread_to_benchmark"):
        assert last[f"last_{name}"] == trade[name]
    # Of some 270 columns so many are read.
    flow = enrichment.dataflows(wide=True)["quotes"]
    read = flow.explain(quotes=market["quotes"], securities=market["securities"])
    assert "reads symbol, ts, contributed_ts" in repr(read)
