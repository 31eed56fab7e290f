"""The recorded feed of six instruments, whole: in memory, on Dask, and replayed through a real broker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client
from numpy.testing import assert_array_equal
from streamz import Stream

import fintech_toolkit as ft
import fintech_toolkit.live

NAMES = {"received_at": "ts", "bid_price": "bid", "ask_price": "ask"}


def features() -> ft.Pipeline:
    return ft.Pipeline(
        ft.midprice(),
        ft.microprice(),
        ft.quoted_spread(),
        ft.l1_imbalance(),
        ft.ofi(),
        ft.log_returns("mid"),
        ft.ewma("mid", halflife=50),
        ft.ewstd("log_return", span=100),
        ft.rolling_zscore("ofi", window=200),
        ft.rolling_median("mid", window=25),
        ft.rolling_max("mid", window="10s"),
        ft.realized_var("log_return", window="30s"),
        ft.time_weighted_spread(),
        ft.rsi("mid", period=14),
    )


@pytest.fixture(scope="module")
def quotes(real_data: Path) -> pd.DataFrame:
    frame = pd.read_parquet(real_data / "market_ticks" / "quotes.parquet").rename(columns=NAMES)
    return frame[["ts", "symbol", "bid", "bid_size", "ask", "ask_size"]]


@pytest.fixture(scope="module")
def batch(quotes: pd.DataFrame) -> pd.DataFrame:
    return features()(quotes)


def assert_same(result: pd.DataFrame, batch: pd.DataFrame) -> None:
    """Compare symbol by symbol, each in its own order: no plan and no broker promises more."""
    assert len(result) == len(batch)
    result, batch = (frame.sort_values("symbol", kind="stable") for frame in (result, batch))
    for name in ["symbol", "ts", *features().gives]:
        assert_array_equal(result[name].to_numpy(), batch[name].to_numpy(), err_msg=name)


@pytest.mark.parametrize("plan", ["chain", "shuffle"])
def test_dask_gives_the_same_bits(
    quotes: pd.DataFrame, batch: pd.DataFrame, client: Client, plan: str, tmp_path: Path
) -> None:
    for j, part in enumerate(np.array_split(np.arange(len(quotes)), 7)):
        quotes.iloc[part].to_parquet(tmp_path / f"{j}.parquet")
    result = features()(dd.read_parquet(tmp_path), plan=plan).compute()
    assert_same(result, batch)


def test_the_replayed_feed_gives_the_same_bits(
    quotes: pd.DataFrame, batch: pd.DataFrame, kafka_broker: str, kafka_topic: Callable[..., str]
) -> None:
    config = {"bootstrap.servers": kafka_broker}
    topic = kafka_topic(3)
    feed = Stream()
    feed.to_kafka_frames(topic, config, key="symbol")
    for start in range(0, len(quotes), 50_000):
        feed.emit(quotes.iloc[start : start + 50_000])
    schema = {"ts": "datetime64[ns, UTC]", "symbol": "str"} | dict.fromkeys(
        ("bid", "bid_size", "ask", "ask_size"), "float64"
    )
    source = Stream.from_kafka_frames(topic, config, schema=schema, group="replay", until="latest")
    frames = features().live(source).sink_to_list()
    source.start()
    assert source.wait(120)
    assert source.counts.received == source.counts.emitted == len(quotes)
    assert_same(pd.concat(frames, ignore_index=True), batch)


def test_trade_signs_agree_with_the_aggressor(
    real_data: Path, quotes: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    trades = pd.read_parquet(real_data / "market_ticks" / "trades.parquet").rename(columns=NAMES)
    joined = ft.asof_join(trades, quotes, direction="backward", allow_exact_matches=False)
    true = np.where(joined["aggressor"] == "BUY", 1.0, -1.0)
    shares = {}
    for rule in ("quote", "tick", "lee_ready"):
        sign = ft.Pipeline(ft.trade_sign(rule=rule).named("sign"))(joined)["sign"].to_numpy()
        known = np.isfinite(sign) & (sign != 0)
        shares[rule] = (np.mean(sign[known] == true[known]), np.mean(known))
    with capsys.disabled():
        for rule, (share, known) in shares.items():
            print(f"\ntrade_sign, {rule}: {share:.1%} of the {known:.1%} it decides agree with the aggressor", end="")
    # A rule that guesses would agree half of the time; the literature finds 75 to 93 %.
    assert shares["lee_ready"][0] > 0.75
    assert shares["lee_ready"][1] > 0.99


def test_the_book_of_the_depth_updates_has_the_recorded_best(
    real_data: Path, quotes: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Updates of the book come every 10 to 100 ms, quotes whenever they change: so most books agree with the quote
    that stands when they come, and fewer quotes with the book that was known by then.
    """
    updates = pd.read_parquet(real_data / "market_ticks" / "depth.parquet").rename(columns=NAMES)
    book = ft.Pipeline(ft.order_book(levels=1))(updates)
    best = book[["symbol", "ts", "bid_1", "ask_1"]].groupby(["symbol", "ts"], sort=False).last().reset_index()

    def share(joined: pd.DataFrame) -> float:
        both = joined[["bid", "ask", "bid_1", "ask_1"]].notna().all(axis=1)
        assert both.mean() > 0.99
        same = (joined["bid_1"] == joined["bid"]) & (joined["ask_1"] == joined["ask"])
        return float(same[both].mean())

    of_books, of_quotes = share(ft.asof_join(best, quotes)), share(ft.asof_join(quotes, best))
    with capsys.disabled():
        print(f"\norder_book: {of_books:.1%} of its states have the best of the last recorded quote,", end=" ")
        print(f"{of_quotes:.1%} of the quotes that of the last state", end="")
    # What they were when a slow book of dicts, as below, had given the same for all updates.
    assert of_books == pytest.approx(0.9979, abs=1e-4)
    assert of_quotes == pytest.approx(0.6258, abs=1e-4)
    sample = updates.iloc[:60_000][["symbol", "side", "price", "size"]]
    slow: dict[tuple[str, str], dict[float, float]] = {}
    for i, (symbol, side, price, size) in enumerate(
        sample[["symbol", "side", "price", "size"]].itertuples(index=False)
    ):
        levels = slow.setdefault((symbol, side), {})
        levels.pop(price, None)
        if size > 0:
            levels[price] = size
        if i % 97 == 0:
            bids, asks = (slow.get((symbol, each)) or {np.nan: 0.0} for each in ("BID", "ASK"))
            row = book[["bid_1", "bid_size_1", "ask_1", "ask_size_1"]].iloc[i]
            assert_array_equal(row, [max(bids), bids[max(bids)], min(asks), asks[min(asks)]])
