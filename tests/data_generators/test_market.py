"""What must hold for every row of a market: identities, order, prices, sides, sizes."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_generators import GeneratorError, sample, securities
from data_generators.market import CLOSE, OPEN, QUOTES_PER_DAY, TRADES_PER_DAY, Market, trading_date
from data_generators.simulation import MAX_SPREAD_BP, MIN_SPREAD_BP
from data_generators.statistics import against_best, best_quotes

MARKETS = st.builds(Market, st.integers(0, 2**64 - 1), st.sampled_from([1, 2, 8, 100, 1_000]))


def day_of(market: Market, day: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    quotes, trades = market.day(day)
    return quotes.to_pandas(), trades.to_pandas()


def standing(quotes: pd.DataFrame, trades: pd.DataFrame) -> pd.DataFrame:
    """Find the best standing quotes of each trade by a slow and readable walk through both."""
    quotes, trades = quotes.assign(trade=False), trades.assign(trade=True)
    both = pd.concat([quotes, trades]).sort_values("ts", kind="stable")
    book: dict[str, dict[str, tuple[float, float, float, float]]] = {}
    found = []
    for row in both.itertuples():
        if row.trade:
            own = book[row.symbol].values()
            bid, ask = max(quote[0] for quote in own), min(quote[1] for quote in own)
            bid_sizes = [quote[2] for quote in own if quote[0] == bid]
            ask_sizes = [quote[3] for quote in own if quote[1] == ask]
            found.append((bid, ask, bid_sizes, ask_sizes))
        else:
            book.setdefault(row.symbol, {})[row.dealer] = (row.bid, row.ask, row.bid_size, row.ask_size)
    return pd.DataFrame(found, columns=["bid", "ask", "bid_sizes", "ask_sizes"], index=trades.index)


def every_trade_was_quoted_before_and_its_instrument_exists(
    quotes: pd.DataFrame, trades: pd.DataFrame, master: pd.DataFrame
) -> None:
    assert (len(quotes), len(trades)) == (QUOTES_PER_DAY, TRADES_PER_DAY)
    first_quote = quotes.groupby("symbol")["ts"].min()
    assert (trades["symbol"].map(first_quote) < trades["ts"]).all()
    assert set(trades["symbol"]) <= set(quotes["symbol"]) <= set(master["symbol"])


def times_increase_strictly_within_the_session(quotes: pd.DataFrame, trades: pd.DataFrame, day: int) -> None:
    times = np.sort(np.r_[quotes["ts"].array.asi8, trades["ts"].array.asi8])
    assert (np.diff(times) >= 1_000).all(), "no two records tie, not even a quote and a trade"
    for frame in (quotes, trades):
        assert frame["ts"].is_monotonic_increasing
        assert (frame["ts"].dt.date == trading_date(day).astype(object)).all()
        passed = frame["ts"] - frame["ts"].dt.normalize()
        # The last records of a day may be pushed past the close by the microseconds that keep them apart.
        assert passed.min() >= pd.Timedelta(OPEN)
        assert passed.max() < pd.Timedelta(CLOSE) + pd.Timedelta("1s")
    assert trading_date(day).astype(object).weekday() < 5


def spreads_lie_within_5_to_50_basis_points(quotes: pd.DataFrame) -> None:
    basis_points = (quotes["ask"] - quotes["bid"]) / ((quotes["ask"] + quotes["bid"]) / 2) * 1e4
    assert basis_points.min() >= MIN_SPREAD_BP
    assert basis_points.max() <= MAX_SPREAD_BP
    assert quotes["bid"].between(5, 400).all()


def dealers_never_cross_each_other(quotes: pd.DataFrame) -> None:
    best = best_quotes(quotes)
    assert (best["bid"] < best["ask"]).all()
    # One price for all: a new quote is never further from the one before than the two spreads reach.
    quotes = quotes.assign(mid=(quotes["bid"] + quotes["ask"]) / 2, spread=quotes["ask"] - quotes["bid"])
    by_symbol = quotes.groupby("symbol")
    jump = by_symbol["mid"].diff().abs()
    other_dealer = quotes["dealer"] != by_symbol["dealer"].shift()
    reach = (quotes["spread"] + by_symbol["spread"].shift()) / 2
    assert (jump < reach)[other_dealer & jump.notna()].all()


def sizes_are_whole_denominations(quotes: pd.DataFrame, trades: pd.DataFrame, master: pd.DataFrame) -> None:
    denominations = master.set_index("symbol")["min_denomination"]
    for frame, columns in ((quotes, ["bid_size", "ask_size"]), (trades, ["size"])):
        denomination = frame["symbol"].map(denominations)
        for column in columns:
            assert (frame[column] % denomination == 0).all()
            assert (frame[column] >= denomination).all()


@settings(max_examples=8, deadline=None)
@given(MARKETS, st.integers(0, 500))
def test_what_holds_on_every_day_of_every_market(market: Market, day: int) -> None:
    quotes, trades = day_of(market, day)
    master = sample("securities", market.universe.master_rows, seed=market.seed)
    every_trade_was_quoted_before_and_its_instrument_exists(quotes, trades, master)
    times_increase_strictly_within_the_session(quotes, trades, day)
    spreads_lie_within_5_to_50_basis_points(quotes)
    dealers_never_cross_each_other(quotes)
    sizes_are_whole_denominations(quotes, trades, master)


@pytest.mark.parametrize("seed", [0, 1])
def test_trades_against_the_quotes_that_stood(seed: int) -> None:
    quotes, trades = sample("quotes", 24_000, seed=seed), sample("trades", 20_000, seed=seed)
    trades = trades[trades["ts"] <= quotes["ts"].iloc[-1]]
    stood = standing(quotes, trades)
    buys = trades["side"] == 1
    middle = (stood["bid"] + stood["ask"]) / 2
    slack = 1e-9
    assert ((trades["price"] - middle) * trades["side"] >= -slack).all(), "a side can be told from its price"
    touch = stood["ask"].where(buys, stood["bid"])
    through = (trades["price"] - touch) * trades["side"] > slack
    assert 0.03 < through.mean() < 0.09
    spread = stood["ask"] - stood["bid"]
    assert ((trades["price"] - touch) * trades["side"] <= 0.5 * spread + 0.0015).all()
    sizes = stood["ask_sizes"].where(buys, stood["bid_sizes"])
    fits = [size <= sum(offered) for size, offered in zip(trades["size"], sizes, strict=True)]
    assert np.array_equal(np.array(fits), ~through.to_numpy()), (
        "what is larger than all at the best price goes through it"
    )
    # The vectorised statistics of the package agree with this walk.
    joined = against_best(trades, best_quotes(quotes))
    assert np.array_equal(joined["bid"], stood["bid"])
    assert np.array_equal(joined["ask"], stood["ask"])
    assert np.array_equal(joined["where"] == "through", through)


def test_prices_are_exact_thousandths() -> None:
    quotes, trades = sample("quotes", 50_000), sample("trades", 50_000)
    for column in (quotes["bid"], quotes["ask"], trades["price"]):
        assert np.array_equal(column, np.round(column, 3))


def test_a_day_opens_where_the_day_before_closed() -> None:
    market = Market(4, 8)
    days = [best_quotes(day_of(market, day)[0]) for day in range(4)]
    for before, after in itertools.pairwise(days):
        middles = [(frame["bid"] + frame["ask"]) / 2 for frame in (before, after)]
        close = middles[0].groupby(before["symbol"]).last()
        opening = middles[1].groupby(after["symbol"]).first()
        assert (np.log(opening / close).abs() < 0.008).all()


def test_many_days_keep_prices_in_range() -> None:
    market = Market(4, 200)
    levels = np.array([market.levels(day) for day in range(0, 1_000, 10)])
    assert np.exp(levels - market.universe.log_price).min() > 0.9
    assert np.exp(levels - market.universe.log_price).max() < 1.1


def test_the_largest_market_finds_a_quote_for_every_trade() -> None:
    quotes, trades = day_of(Market(0, 50_000), 0)
    assert set(trades["symbol"]) <= set(quotes["symbol"])
    assert len(trades) == TRADES_PER_DAY


def test_terms_of_securities_are_consistent() -> None:
    master = sample("securities", 60_000, seed=5)
    assert master.notna().all().all()
    assert (master["issue_date"] < master["maturity"]).all()
    matured = master["maturity"] <= pd.Timestamp(securities.AS_OF)
    assert ((master["status"] == "MATURED") == matured).all()
    assert ((master["status"] == "DEFAULTED") == (master["rating"] == "D")).all()
    assert set(master["status"]) == set(securities.STATUSES)
    assert set(master["segment"]) == set(securities.SEGMENTS)
    assert set(master["rating"]) == set(securities.RATINGS)
    assert (master["coupon"] % 0.125 == 0).all()
    assert (master["coupon"] >= 0).all()
    of_issuer = master[master["status"] != "DEFAULTED"].groupby(master["cusip"].str[:6])
    assert (of_issuer[["issuer", "segment", "sector", "rating", "country"]].nunique() == 1).all().all()
    assert master["cusip"].str[:6].groupby(master["issuer"]).nunique().max() == 1
    assert of_issuer.size().max() > 20
    assert (master["isin"].str[:2] == np.where(master["country"] == "CA", "CA", "US")).all()
    worse = master[master["status"] == "ACTIVE"].groupby("segment")["coupon"].mean()
    assert worse["GOVT"] < worse["IG"] < worse["HY"]


def test_quoted_instruments_are_active_and_live_on() -> None:
    market = Market(5, 1_000)
    master = sample("securities", market.universe.master_rows, seed=5).set_index("symbol")
    quoted = master.loc[market.universe.symbol.to_pylist()]
    assert (quoted["status"] == "ACTIVE").all()
    assert (quoted["maturity"] > pd.Timestamp(securities.AS_OF) + pd.Timedelta(days=730)).all()


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "7"])
def test_a_seed_that_is_none_is_an_error(seed: object) -> None:
    with pytest.raises(GeneratorError, match="seed must be a whole number"):
        Market(seed, 8)


@pytest.mark.parametrize("symbols", [0, -1, 50_001, 1.5, True])
def test_a_number_of_symbols_out_of_range_is_an_error(symbols: object) -> None:
    with pytest.raises(GeneratorError, match="symbols must be a whole number"):
        Market(0, symbols)
