"""Quotes, trades, liquidity and costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import fintech_toolkit as ft
from benchmarks.parity.pair import Pair
from benchmarks.parity.peers import candles, matrix, pl, screamer, talipp, values, wickra

UPDATES = "sums are updated as rows come and go, and what rounding leaves stays in them"
TRADE = ("traded", "mid", "side")
TOUCH = ("bid", "ask", "bid_size", "ask_size")


def _snapshots(bid: Any, ask: Any, bid_size: Any, ask_size: Any) -> Any:
    return [([b], [p], [a], [q]) for b, p, a, q in zip(bid, bid_size, ask, ask_size, strict=True)]


def _known(ts: Any, rows: Any) -> Any:
    """Return the last of the rows known at each time."""
    last = np.searchsorted(rows.ts[rows.complete], ts, side="right") - 1
    return np.where(last >= 0, rows.vpin[rows.complete][last], np.nan)


def _resampled(price: Any, size: Any, ts: Any) -> Any:
    bars = pd.DataFrame({"price": price, "size": size}, index=pd.to_datetime(ts, utc=True)).resample("1min")
    table = bars["price"].ohlc().assign(volume=bars["size"].sum()).dropna()
    return table.to_numpy()


def _dynamic(price: Any, size: Any, ts: Any) -> Any:
    ticks = pl.DataFrame({"ts": ts.view("M8[ns]"), "price": price, "size": size}).set_sorted("ts")
    x = pl.col("price")
    bars = ticks.group_by_dynamic("ts", every="1m").agg(
        x.first().alias("open"),
        x.max().alias("high"),
        x.min().alias("low"),
        x.last().alias("close"),
        pl.col("size").sum(),
    )
    return bars.drop("ts").to_numpy()


def _amihud(price: Any, notional: Any) -> Any:
    return wickra.AmihudIlliquidity(20).batch(price, notional / price, np.ones(len(price), bool))


BOOKS = (
    Pair("midprice", {}, ("bid", "ask"), "pandas", "(bid + ask) / 2", lambda b, a: (pd.Series(b) + pd.Series(a)) / 2),
    Pair("microprice", {}, TOUCH, "screamer", "MicroPrice", lambda b, a, p, q: screamer.MicroPrice()(b, a, p, q)),
    Pair("microprice", {}, TOUCH, "wickra", "Microprice", lambda *c: wickra.Microprice().batch(_snapshots(*c))),
    Pair(
        "quoted_spread",
        {},
        ("bid", "ask"),
        "wickra",
        "QuotedSpread",
        lambda b, a: wickra.QuotedSpread().batch(_snapshots(b, a, np.ones_like(b), np.ones_like(a))),
        outputs=("spread_bps",),
    ),
    Pair(
        "effective_spread",
        {"signed": False},
        TRADE,
        "screamer",
        "EffectiveSpread",
        lambda p, m, s: screamer.EffectiveSpread()(p, m),
        outputs=("effective",),
    ),
    Pair(
        "effective_spread",
        {},
        TRADE,
        "wickra",
        "EffectiveSpread",
        lambda p, m, s: wickra.EffectiveSpread().batch(p, np.ones_like(p), s > 0, m),
        outputs=("effective_bps",),
    ),
    Pair(
        "l1_imbalance",
        {},
        ("bid_size", "ask_size"),
        "screamer",
        "QueueImbalance",
        lambda b, a: screamer.QueueImbalance()(b, a),
    ),
    Pair(
        "l1_imbalance",
        {},
        TOUCH[2:],
        "wickra",
        "OrderBookImbalanceTop1",
        lambda b, a: wickra.OrderBookImbalanceTop1().batch(
            _snapshots(np.full_like(b, 1.0), np.full_like(b, 2.0), b, a)
        ),
    ),
    Pair("ofi", {}, TOUCH, "screamer", "ContOFI", lambda b, a, p, q: screamer.ContOFI()(b, a, p, q)),
    Pair(
        "trade_sign",
        {"rule": "lee_ready"},
        ("traded", "bid", "ask"),
        "screamer",
        "LeeReadySign",
        lambda p, b, a: screamer.LeeReadySign()(p, (a + b) / 2),
    ),
    Pair("signed_volume", {}, ("side", "size"), "screamer", "SignedVolume", lambda s, q: screamer.SignedVolume()(s, q)),
    Pair(
        "signed_volume",
        {},
        ("side", "size"),
        "wickra",
        "SignedVolume",
        lambda s, q: wickra.SignedVolume().batch(np.ones_like(q), q, s > 0),
    ),
    Pair(
        "bulk_volume_classification",
        {"window": 20},
        ("price", "size"),
        "screamer",
        "BulkVolumeClassifier",
        lambda p, q: screamer.BulkVolumeClassifier(20)(np.diff(p, prepend=np.nan)),
        outputs=("buy",),
        reason="a share of the volume, of changes of the price",
        mend=lambda share, p, q: share * q,
    ),
    Pair(
        "amihud_illiquidity",
        {"window": 20},
        ("r", "notional"),
        "pandas",
        "rolling.mean",
        lambda r, n: pd.Series(abs(r) / n).rolling(20).mean(),
    ),
    Pair(
        "amihud_illiquidity",
        {"window": 20},
        ("r", "notional"),
        "screamer",
        "AmihudIlliquidity",
        lambda r, n: screamer.AmihudIlliquidity(20)(r, n),
    ),
    Pair(
        "roll_spread",
        {"window": 20},
        ("price",),
        "screamer",
        "RollSpread",
        lambda p: screamer.RollSpread(20)(p),
        reason="NaN where successive changes go together, ours 0",
        mend=lambda spread, p: np.nan_to_num(spread),
        skip=21,
        digits=10,
    ),
    Pair(
        "roll_spread",
        {"window": 20},
        ("price",),
        "wickra",
        "RollMeasure",
        lambda p: wickra.RollMeasure(20).batch(p, np.ones_like(p), np.ones(len(p), bool)),
        reason="one mean for both of two successive changes",
        digits=0,
    ),
    Pair(
        "kyle_lambda",
        {"window": 20},
        ("r", "signed"),
        "screamer",
        "RollingKyleLambda",
        lambda r, v: screamer.RollingKyleLambda(20)(v, r),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "amihud_illiquidity",
        {"window": 20},
        ("r", "notional"),
        "wickra",
        "AmihudIlliquidity",
        lambda r, n: _amihud(np.exp(np.cumsum(r)), n),
        reason="reads prices, whose log returns it takes",
        digits=10,
    ),
    Pair(
        "kyle_lambda",
        {"window": 20},
        ("mid", "signed"),
        "wickra",
        "KylesLambda",
        lambda m, v: wickra.KylesLambda(20).batch(m, abs(v), v > 0, m),
        ours=lambda m, v: ft.kyle_lambda(np.diff(m, prepend=np.nan), v, window=20),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "ofi",
        {},
        TOUCH,
        "wickra",
        "OrderFlowImbalance",
        lambda b, a, p, q: wickra.OrderFlowImbalance(1).batch(_snapshots(b, a, p, q)),
    ),
    Pair(
        "vpin",
        {"bucket": 200, "window": 10},
        ("size", "side", "ts"),
        "wickra",
        "Vpin",
        lambda q, s, _: wickra.Vpin(200, 10).batch(np.ones_like(q), q, s > 0),
        ours=lambda q, s, t: _known(t, ft.vpin(q, s, ts=t, bucket=200, window=10)),
    ),
    Pair(
        "vpin",
        {"bucket": 200, "window": 10},
        ("size", "side", "ts"),
        "screamer",
        "VPIN",
        lambda q, s, _: screamer.VPIN(200, 10)(s, q),
        ours=lambda q, s, t: _known(t, ft.vpin(q, s, ts=t, bucket=200, window=10)),
        reason="buckets are not cut at their edges",
        digits=0,
    ),
    Pair(
        "time_bars",
        {"frequency": "1min"},
        ("price", "size", "ts"),
        "pandas",
        "resample",
        lambda p, q, t: _resampled(p, q, t),
        ours=lambda p, q, t: ft.time_bars(p, q, ts=t, frequency="1min")[1:6],
    ),
    Pair(
        "time_bars",
        {"frequency": "1min"},
        ("price", "size", "ts"),
        "Polars",
        "group_by_dynamic",
        lambda p, q, t: _dynamic(p, q, t),
        ours=lambda p, q, t: ft.time_bars(p, q, ts=t, frequency="1min")[1:6],
    ),
    Pair(
        "vwap",
        {"window": 20},
        ("price", "size"),
        "screamer",
        "RollingVWAP",
        lambda p, q: screamer.RollingVWAP(20)(p, p, p, q),
    ),
    Pair(
        "vwap",
        {"window": 20},
        ("price", "size"),
        "wickra",
        "RollingVWAP",
        lambda p, q: wickra.RollingVWAP(20).batch(p, p, p, q),
    ),
    Pair(
        "vwap",
        {"window": 20},
        ("price", "size"),
        "pandas",
        "rolling.sum",
        lambda p, q: pd.Series(p * q).rolling(20).sum() / pd.Series(q).rolling(20).sum(),
    ),
    Pair(
        "vwap",
        {},
        ("price", "size"),
        "pandas",
        "cumsum",
        lambda p, q: pd.Series(p * q).cumsum() / pd.Series(q).cumsum(),
    ),
    Pair("vwap", {}, ("price", "size"), "wickra", "VWAP", lambda p, q: wickra.VWAP().batch(p, p, p, q)),
    Pair(
        "vwap",
        {},
        ("price", "size"),
        "talipp",
        "VWAP",
        lambda p, q: values(talipp.VWAP(candles(high=p, low=p, close=p, volume=q))),
    ),
    Pair(
        "funding_apr",
        {"interval": "8h"},
        ("rate",),
        "wickra",
        "FundingImpliedApr",
        lambda x: wickra.FundingImpliedApr(3 * 365).batch(x),
        outputs=("funding_apr",),
    ),
    Pair(
        "open_interest_delta",
        {},
        ("interest",),
        "wickra",
        "OpenInterestDelta",
        lambda x: wickra.OpenInterestDelta().batch(x),
        outputs=("oi_delta",),
    ),
    Pair(
        "kalman_hedge_ratio",
        {},
        ("price", "benchmark"),
        "wickra",
        "KalmanHedgeRatio",
        lambda a, b: matrix(wickra.KalmanHedgeRatio().batch(a, b)),
        outputs=("beta", "alpha", "spread"),
        reason="starts without any variance, ours with one of 1; coefficients wander by δ/(1 − δ)",
        digits=0,
    ),
    Pair(
        "dedupe_trades",
        {"window": 1_000_000},
        ("trade_id",),
        "pandas",
        "duplicated",
        lambda x: pd.Series(x).duplicated(),
    ),
)
