"""What is measured on the recorded feed: each number agrees with a slow definition, and stays what it was.

The definitions know neither kernels nor pipelines; those that would take minutes go over the first seconds only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import linregress

import fintech_toolkit as ft

PERP, SPOT = "BTCUSDT.PERP", "BTCUSDT.SPOT"
SECOND = 1_000_000_000


def recorded(*numbers: float) -> Any:
    return pytest.approx(numbers, rel=1e-4)


@pytest.fixture(scope="module")
def ticks(real_data: Path) -> pd.DataFrame:
    """Quotes and trades of Bitcoin's perpetual future and spot in order of time; sides by the aggressor."""
    quotes, trades = (pd.read_parquet(real_data / "market_ticks" / f"{name}.parquet") for name in ("quotes", "trades"))
    trades["side"] = np.where(trades["aggressor"] == "BUY", 1.0, -1.0)
    names = {"received_at": "ts", "bid_price": "bid", "ask_price": "ask"}
    both = pd.concat([quotes, trades]).rename(columns=names)
    both = both[both["symbol"].isin([PERP, SPOT])].sort_values("ts", kind="stable", ignore_index=True)
    columns = ["symbol", "ts", "bid", "ask", "bid_size", "ask_size", "price", "size", "side"]
    return ft.Pipeline(ft.midprice())(both[columns])


def of(ticks: pd.DataFrame, symbol: str, what: str) -> pd.DataFrame:
    own = ticks[ticks["symbol"] == symbol]
    return own[own["price"].isna() if what == "quotes" else own["price"].notna()].reset_index(drop=True)


@pytest.fixture(scope="module")
def quotes(ticks: pd.DataFrame) -> pd.DataFrame:
    return of(ticks, PERP, "quotes")


@pytest.fixture(scope="module")
def trades(ticks: pd.DataFrame, quotes: pd.DataFrame) -> pd.DataFrame:
    """Trades of the perpetual future, each with the last quote before it."""
    own = of(ticks, PERP, "trades").drop(columns=["bid", "ask", "bid_size", "ask_size", "mid"])
    before = quotes[["ts", "bid", "ask", "mid"]]
    return pd.merge_asof(own, before, on="ts", allow_exact_matches=False).dropna(subset="mid")


def times(frame: pd.DataFrame) -> Any:
    return frame["ts"].astype("int64").to_numpy()


def standing(ts: Any, values: Any, at: Any) -> Any:
    """The last value at each time."""
    return np.asarray(values)[np.searchsorted(ts, at, side="right") - 1]


def sampled(quotes: pd.DataFrame, seconds: float) -> Any:
    """The mid every so many seconds."""
    ts = times(quotes)
    return standing(ts, quotes["mid"], np.arange(ts[0], ts[-1], int(seconds * SECOND)))


def test_order_flow_imbalance_goes_with_the_mid_and_says_a_little_of_its_next_move(quotes: pd.DataFrame) -> None:
    ofi = ft.ofi(*(quotes[name].to_numpy() for name in ("bid", "ask", "bid_size", "ask_size")))
    bid, ask, bids, asks = (quotes[name].to_numpy() for name in ("bid", "ask", "bid_size", "ask_size"))
    demand = np.where(bid[1:] >= bid[:-1], bids[1:], 0) - np.where(bid[1:] <= bid[:-1], bids[:-1], 0)
    supply = np.where(ask[1:] <= ask[:-1], asks[1:], 0) - np.where(ask[1:] >= ask[:-1], asks[:-1], 0)
    assert_allclose(ofi[1:], demand - supply, rtol=0, atol=1e-9)

    second = times(quotes) // SECOND
    flow = pd.Series(ofi).groupby(second).sum()
    mid = quotes["mid"].groupby(second).last()
    moved = mid.diff()
    same, following = linregress(flow[1:], moved[1:]), linregress(flow[1:-1], moved[2:])
    # In dollars per Bitcoin that came; 39 % of what the mid does in a second, 0.6 % of its next.
    assert (same.slope, same.rvalue**2) == recorded(0.181680, 0.394222)
    assert (following.slope, following.rvalue**2) == recorded(0.0215371, 0.00553990)


def test_the_microprice_says_where_the_mid_goes_for_a_moment(quotes: pd.DataFrame) -> None:
    bid, ask, bids, asks = (quotes[name].to_numpy() for name in ("bid", "ask", "bid_size", "ask_size"))
    micro = ft.microprice(bid, ask, bids, asks)
    weight = bids / (bids + asks)
    assert_allclose(micro, ask * weight + bid * (1 - weight), rtol=1e-12)
    ts, mid = times(quotes), quotes["mid"].to_numpy()
    found = []
    for horizon in (SECOND // 10, SECOND):
        known = ts + horizon <= ts[-1]
        later = standing(ts, mid, ts[known] + horizon)
        ratio = np.mean((later - micro[known]) ** 2) / np.mean((later - mid[known]) ** 2)
        fit = linregress((micro - mid)[known], later - mid[known])
        found += [ratio, fit.slope, fit.rvalue**2]
    # Its squared error against that of the mid, and the slope and share of the mid's move on its distance from the mid:
    # it is the better forecast for a tenth of a second, and no longer so for a second.
    assert tuple(found) == recorded(0.998454, 0.589087, 0.00304139, 1.002086, -0.198908, 5.88254e-05)


def test_trade_signs_against_the_aggressor(trades: pd.DataFrame) -> None:
    price, bid, ask, true = (trades[name].to_numpy() for name in ("price", "bid", "ask", "side"))
    mid = (bid + ask) / 2
    by_quote = np.sign(price - mid)
    changed = pd.Series(np.sign(np.diff(price, prepend=price[0]))).replace(0, np.nan).ffill().to_numpy()
    slow = {
        "quote": np.where(by_quote == 0, np.nan, by_quote),
        "tick": changed,
        "lee_ready": np.where(by_quote == 0, changed, by_quote),
    }
    shares = []
    for rule, expected in slow.items():
        sign = ft.trade_sign(price, bid, ask, rule=rule)
        np.testing.assert_array_equal(sign, expected)
        known = np.isfinite(sign)
        shares += [np.mean(sign[known] == true[known]), known.mean()]
    # Quotes and trades come on channels of their own: a trade is often told before the quote that it has changed.
    assert tuple(shares) == recorded(0.865568, 0.999249, 0.968697, 0.999812, 0.865575, 1.0)


def test_realised_volatility_by_how_often_one_looks(quotes: pd.DataFrame) -> None:
    signature = []
    for seconds in (0.1, 1, 5, 15, 30):
        mids = sampled(quotes, seconds)
        volatility = np.sqrt(ft.realized_var(mids, window=len(mids), min_periods=1, of="prices")[-1])
        assert volatility == pytest.approx(np.sqrt(np.sum(np.diff(np.log(mids)) ** 2)), rel=1e-9)
        signature.append(volatility * 1e4)
    assert tuple(signature) == recorded(24.4301, 25.9197, 21.1247, 20.0823, 18.7586)  # basis points


def test_two_scales_take_the_noise_of_trades_out(trades: pd.DataFrame) -> None:
    price = trades["price"].to_numpy()
    logs = np.log(price)
    fast = np.sum(np.diff(logs) ** 2)
    every = ft.realized_var(price, window=len(price), min_periods=1, of="prices")[-1]
    assert every == pytest.approx(fast, rel=1e-9)
    K = 100
    two = ft.two_scales_rv(price, window=len(price), min_periods=1, K=K)[-1]
    n, slow = len(logs) - 1, len(logs) - K
    grids = sum(np.sum(np.diff(logs[start::K]) ** 2) for start in range(K))
    plain = grids / K - slow / K / n * fast
    assert two == pytest.approx(plain / (1 - slow / (K * n)), rel=1e-9)
    assert (np.sqrt(every) * 1e4, np.sqrt(two) * 1e4) == recorded(14.6898, 19.4178)


def overlapping(ts_a: Any, a: Any, ts_b: Any, b: Any) -> float:
    """Hayashi-Yoshida correlation as it is defined: every pair of returns whose intervals overlap."""
    ra, rb = np.diff(np.log(a)), np.diff(np.log(b))
    meet = (ts_a[:-1, None] < ts_b[None, 1:]) & (ts_b[None, :-1] < ts_a[1:, None])
    return float(ra @ meet @ rb / np.sqrt(np.sum(ra**2) * np.sum(rb**2)))


def test_the_perpetual_future_goes_with_spot_and_leads_it(ticks: pd.DataFrame) -> None:
    both = ticks[ticks["price"].isna()].drop_duplicates(["symbol", "ts"], keep="last")
    pair = ft.to_pairs(both, [(PERP, SPOT)])
    corr = ft.Pipeline(ft.hayashi_yoshida_corr("leg", "mid"))(pair)["hy_corr"].to_numpy()
    perp, spot = (both[both["symbol"] == symbol] for symbol in (PERP, SPOT))
    lags = range(-SECOND // 10, SECOND // 10 + 1, SECOND // 100)
    lead = ft.xcorr_leadlag(times(perp), perp["mid"].to_numpy(), times(spot), spot["mid"].to_numpy(), lags=lags)
    assert lead.contrast[len(lags) // 2] == pytest.approx(corr[-1], rel=1e-9)  # at no lag
    assert lead.lag == 10_000_000
    assert (corr[-1], lead.corr) == recorded(0.511238, 0.593349)
    rows = 6_000
    first = both.iloc[:rows]
    a, b = (first[first["symbol"] == symbol] for symbol in (PERP, SPOT))
    series = times(a), a["mid"].to_numpy(), times(b), b["mid"].to_numpy()
    assert corr[rows - 1] == pytest.approx(overlapping(*series), rel=1e-9)
    found = ft.xcorr_leadlag(*series, lags=[lead.lag])
    moved = (series[0], series[1], series[2] - lead.lag, series[3])
    assert found.corr == pytest.approx(overlapping(*moved), rel=1e-9)


def test_kyles_lambda_of_seconds(quotes: pd.DataFrame, trades: pd.DataFrame) -> None:
    second = times(trades) // SECOND
    signed = (trades["side"] * trades["size"]).groupby(second).sum()
    mids = pd.Series(np.log(standing(times(quotes), quotes["mid"], (signed.index + 1) * SECOND)), signed.index)
    r, volume = mids.diff().to_numpy()[1:], signed.to_numpy()[1:]
    found = ft.kyle_lambda(r, volume, window=len(r))[-1]
    assert found == pytest.approx(linregress(volume, r).slope, rel=1e-9)
    assert found * 1e4 == pytest.approx(0.0509403, rel=1e-4)  # basis points per Bitcoin bought


def test_vpin_of_buckets_of_twenty_bitcoin(trades: pd.DataFrame) -> None:
    bucket, window = 20.0, 50
    size, side = trades["size"].to_numpy(), trades["side"].to_numpy()
    rows = ft.vpin(size, side, ts=times(trades), bucket=bucket, window=window)
    imbalances, room, bought = [], bucket, 0.0
    for quantity, sign in zip(size, side, strict=True):
        left = quantity
        while left >= room - 1e-9 * bucket:
            bought += sign * room
            left -= room
            imbalances.append(abs(bought) / bucket)
            room, bought = bucket, 0.0
        room -= max(left, 0)
        bought += sign * max(left, 0)
    slow = pd.Series(imbalances).rolling(window).mean()
    done = rows.complete
    assert done.sum() == len(imbalances) == 121
    assert_allclose(rows.vpin[done], slow, rtol=0, atol=1e-6)
    assert (rows.vpin[done][-1], np.nanmean(rows.vpin[done])) == recorded(0.738392, 0.732879)


def test_hawkes_intensity_of_trades(trades: pd.DataFrame) -> None:
    ts = times(trades)
    mu, alpha, beta = 10.0, 20.0, 25.0
    intensity = ft.hawkes_intensity(ts, mu=mu, alpha=alpha, beta=beta)
    for row in range(0, len(ts), 500):
        since = (ts[row] - ts[: row + 1]) / SECOND
        assert intensity[row] == pytest.approx(mu + alpha * np.sum(np.exp(-beta * since)), rel=1e-9)
    # Trades a second: 62 on the clock, but hundreds where most trades are.
    assert (np.median(intensity), intensity.max()) == recorded(451.318, 15968.8)


def test_effective_and_realised_spread(ticks: pd.DataFrame, quotes: pd.DataFrame, trades: pd.DataFrame) -> None:
    price, mid, side = (trades[name].to_numpy() for name in ("price", "mid", "side"))
    effective = ft.effective_spread(price, mid, side).effective_bps
    assert_allclose(effective, 2 * side * (price - mid) / mid * 1e4, rtol=0, atol=1e-9)
    own = ticks[ticks["symbol"] == PERP]
    horizon = 5 * SECOND
    rows = ft.realized_spread(*(own[name].to_numpy() for name in ("price", "mid", "side")), ts=times(own), horizon="5s")
    done = rows.complete
    later = standing(times(quotes), quotes["mid"], rows.ts[done] + horizon)
    assert_allclose(rows.realized_spread[done], 2 * rows.side[done] * (rows.price[done] - later), rtol=0, atol=1e-9)
    realised = rows.realized_spread[done] / later * 1e4
    quoted = np.mean((quotes["ask"] - quotes["bid"]) / quotes["mid"] * 1e4)
    assert (done.sum(), len(price)) == (21_133, 21_313)
    # Basis points: those who provide liquidity lose what they earn to those who know, within five seconds.
    assert (quoted, effective.mean(), realised.mean()) == recorded(0.0331138, 1.246946, -0.285160)


def test_basis_of_the_perpetual_future(ticks: pd.DataFrame, quotes: pd.DataFrame) -> None:
    spot = of(ticks, SPOT, "quotes")
    ts, perp = times(quotes), quotes["mid"].to_numpy()
    known = ts >= times(spot)[0]
    never = np.full(len(perp), np.nan)  # it does not expire
    basis = ft.basis_annualized(perp, standing(times(spot), spot["mid"], ts), never).basis[known] * 1e4
    slow = pd.merge_asof(quotes, spot[["ts", "mid"]], on="ts", suffixes=("", "_spot"))[known]
    assert_allclose(basis, (slow["mid"] - slow["mid_spot"]) / slow["mid_spot"] * 1e4, rtol=0, atol=1e-7)
    assert known.all()
    assert (basis.mean(), basis.std()) == recorded(-3.743893, 0.757725)  # basis points
