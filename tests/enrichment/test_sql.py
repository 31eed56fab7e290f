"""A second opinion: the same numbers by DuckDB's SQL, on a generated market."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import data_generators
from fintech_toolkit import enrichment

duckdb = pytest.importorskip("duckdb")

BEST = """
WITH numbered AS (SELECT *, row_number() OVER () AS n FROM quotes),
rows AS (SELECT n, symbol FROM numbered),
dealers AS (SELECT DISTINCT symbol, dealer FROM quotes),
standing AS (
    SELECT r.n, q.* EXCLUDE (n, symbol)
    FROM (SELECT n, symbol, dealer FROM rows JOIN dealers USING (symbol)) r
    ASOF JOIN numbered q ON r.symbol = q.symbol AND r.dealer = q.dealer AND r.n >= q.n
),
bids AS (SELECT n, bid, sum(bid_size) AS size, count(*) AS dealers FROM standing WHERE bid_size > 0 GROUP BY n, bid),
asks AS (SELECT n, ask, sum(ask_size) AS size, count(*) AS dealers FROM standing WHERE ask_size > 0 GROUP BY n, ask)
SELECT max(b.bid) AS best_bid, arg_max(b.size, b.bid) AS best_bid_size, arg_max(b.dealers, b.bid) AS best_bid_dealers,
    min(a.ask) AS best_ask, arg_min(a.size, a.ask) AS best_ask_size, arg_min(a.dealers, a.ask) AS best_ask_dealers
FROM rows LEFT JOIN bids b USING (n) LEFT JOIN asks a USING (n) GROUP BY n ORDER BY n
"""


@pytest.fixture(scope="module")
def market() -> dict[str, pd.DataFrame]:
    return {name: data_generators.sample(name, rows=2_000) for name in ("quotes", "securities", "trades")}


def asked(sql: str, **frames: pd.DataFrame) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.execute("SET threads=1; SET TimeZone='UTC'")
        for name, frame in frames.items():
            connection.register(name, frame)
        found: pd.DataFrame = connection.execute(sql).df()
        return found


def agree(got: pd.DataFrame, expected: pd.DataFrame, **close: Any) -> None:
    """Sums are added up in another order by another program: these alone may differ in the last digits."""
    for name in expected.columns:
        left, right = got[name].to_numpy(), expected[name].to_numpy()
        if name in close:
            assert_allclose(left, right, rtol=close[name], err_msg=name)
        else:
            assert_array_equal(left, right, err_msg=name)


def test_best_bid_and_offer(market: dict[str, pd.DataFrame]) -> None:
    got = enrichment.quotes()(quotes=market["quotes"], securities=market["securities"])
    agree(got, asked(BEST, quotes=market["quotes"]))


def test_quotes_as_of_trades(market: dict[str, pd.DataFrame]) -> None:
    quotes = enrichment.quotes()(quotes=market["quotes"], securities=market["securities"])
    got = enrichment.trades()(**market)
    sql = (
        "SELECT q.best_bid, q.best_ask FROM trades t ASOF LEFT JOIN quotes q ON t.symbol = q.symbol AND t.ts >= q.ts "
        "ORDER BY t.trade_id"
    )
    agree(got.sort_values("trade_id"), asked(sql, trades=market["trades"], quotes=quotes))


def test_windows_and_segments(market: dict[str, pd.DataFrame]) -> None:
    quotes = enrichment.quotes()(quotes=market["quotes"], securities=market["securities"])
    for flow, keys in ((enrichment.windows(), ["symbol"]), (enrichment.segments(), ["segment", "sector"])):
        got = flow(**{name: market[name] for name in flow.sources}).sort_values([*keys, "ts"])
        by = ", ".join(keys)
        sql = (
            f"SELECT {by}, time_bucket(INTERVAL '5 minutes', ts) AS ts, count(*) AS quotes, "
            "avg(best_spread_bps) AS mean_spread_bps, min(best_spread_bps) AS min_spread_bps, "
            "max(best_spread_bps) AS max_spread_bps, median(best_spread_bps) AS median_spread_bps, "
            "sum(best_bid_size) AS total_bid_size, arg_max(best_mid, ts) AS best_mid "
            f"FROM quotes GROUP BY ALL ORDER BY {by}, 3"
        )
        expected = asked(sql, quotes=quotes).drop(columns=["ts"] + ["best_mid"] * (keys != ["symbol"]))
        agree(got, expected, mean_spread_bps=1e-12, median_spread_bps=1e-12)


def test_trades_of_dealers_and_venues(market: dict[str, pd.DataFrame]) -> None:
    trades = enrichment.trades()(**market)
    got = enrichment.execution()(**market).sort_values(["dealer", "venue"])
    sql = (
        "SELECT dealer, venue, count(*) AS trades, sum(size) AS volume, avg(markout_bps_1min) AS markout_bps_1min "
        "FROM trades GROUP BY ALL ORDER BY ALL"
    )
    agree(got, asked(sql, trades=trades), markout_bps_1min=1e-9)
