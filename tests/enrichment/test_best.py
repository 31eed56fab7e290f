"""Best bid and offer and depth: a book of three dealers worked out by hand, and random markets against slow books."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit import enrichment
from tests.enrichment.books import NONE, Level, dealer_quotes, replayed, securities

NO, LEVELS = np.nan, 5
BY_HAND = """
      dealer    bid  size    ask  size |  best  size  of   mine |   best  size  of  mine | said
1s    A        99.0    10  101.0    10 |  99.0    10   1   yes  |  101.0    10   1   yes |
2s    B        99.5     5  101.0    20 |  99.5     5   1   yes  |  101.0    30   2   yes |
3s    C        99.5     7  100.5     3 |  99.5    12   2   yes  |  100.5     3   1   yes |
4s    C          no    no  100.5     3 |  99.5     5   1    no  |  100.5     3   1   yes |
5s    B       100.5     4  102.0     8 | 100.5     4   1   yes  |  100.5     3   1    no | locked
6s    A        99.0    10  100.0     2 | 100.5     4   1    no  |  100.0     2   1   yes | crossed
7s    C        99.0     1   99.5     0 | 100.5     4   1    no  |  100.0     2   1    no | crossed
8s    B          no    no     no    no |  99.0    11   2    no  |  100.0     2   1    no |
9s    A          no    no     no    no |  99.0     1   1    no  |     no     0   0    no |
10s   C          no    no     no    no |    no     0   0    no  |     no     0   0    no |
11s   B        98.0     6   99.0     6 |  98.0     6   1   yes  |   99.0     6   1   yes |
"""
"""Each event: what a dealer says, and the best bid and offer then: price, size, of how many dealers, and whether this
one is among them."""

BOOKS_BY_HAND = [
    # bids, offers: price, size and dealers of each level, after each of the events
    ([(99, 10, 1)], [(101, 10, 1)]),
    ([(99.5, 5, 1), (99, 10, 1)], [(101, 30, 2)]),
    ([(99.5, 12, 2), (99, 10, 1)], [(100.5, 3, 1), (101, 30, 2)]),
    ([(99.5, 5, 1), (99, 10, 1)], [(100.5, 3, 1), (101, 30, 2)]),
    ([(100.5, 4, 1), (99, 10, 1)], [(100.5, 3, 1), (101, 10, 1), (102, 8, 1)]),
    ([(100.5, 4, 1), (99, 10, 1)], [(100, 2, 1), (100.5, 3, 1), (102, 8, 1)]),
    ([(100.5, 4, 1), (99, 11, 2)], [(100, 2, 1), (102, 8, 1)]),
    ([(99, 11, 2)], [(100, 2, 1)]),
    ([(99, 1, 1)], []),
    ([], []),
    ([(98, 6, 1)], [(99, 6, 1)]),
]


def number(text: str) -> float:
    return NO if text == "no" else float(text)


def by_hand() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The quotes, and what they come to."""
    said, expected = [], []
    for line in BY_HAND.strip().splitlines()[1:]:
        quote, bid, ask, flag = (part.split() for part in line.split("|"))
        at, dealer, *values = quote
        said.append(["X", pd.Timestamp(int(at[:-1]), unit="s", tz="UTC"), dealer, *map(number, values)])
        sides = [[number(side[0]), number(side[1]), int(side[2]), side[3] == "yes"] for side in (bid, ask)]
        expected.append([*sides[0], *sides[1], "locked" in flag, "crossed" in flag])
    quotes = pd.DataFrame(said, columns=["symbol", "ts", "dealer", "bid", "bid_size", "ask", "ask_size"])
    sides = [[f"best_{s}", f"best_{s}_size", f"best_{s}_dealers", f"is_best_{s}"] for s in ("bid", "ask")]
    return quotes, pd.DataFrame(expected, columns=[*sides[0], *sides[1], "locked", "crossed"])


SECURITIES = securities("X", "B0", "B1")


def enriched(quotes: pd.DataFrame, **options: str | None) -> pd.DataFrame:
    made: pd.DataFrame = enrichment.quotes(**options)(quotes=quotes, securities=SECURITIES)
    return made


def test_three_dealers_by_hand() -> None:
    quotes, expected = by_hand()
    got = enriched(quotes)
    for name in expected.columns:
        assert_array_equal(got[name].to_numpy(), expected[name].to_numpy(), err_msg=name)
    assert_array_equal(got["best_mid"].to_numpy()[:6], [100, 100.25, 100, 100, 100.5, 100.25])
    assert_array_equal(got["best_spread"].to_numpy()[4:9], [0, -0.5, -0.5, 1, NO])


def hold_depth(got: pd.DataFrame, books: list[tuple[list[Level], list[Level]]]) -> None:
    for side, own in zip(("bid", "ask"), zip(*books, strict=True), strict=True):
        for level in range(LEVELS):
            rows = [book[level] if level < len(book) else NONE for book in own]
            for what, values in zip(("", "_size", "_dealers"), zip(*rows, strict=True), strict=True):
                name = f"{side}{what}_{level + 1}"
                assert_array_equal(got[name].to_numpy(), values, err_msg=name)
        for most in (3, 5):
            means = [np.mean([price for price, *_ in book[: min(most, LEVELS)]]) if book else NO for book in own]
            assert_array_equal(got[f"{side}_mean_{most}"].to_numpy(), means)


def test_the_depth_of_three_dealers_by_hand() -> None:
    quotes, _ = by_hand()
    books = [tuple([Level(*level) for level in side] for side in sides) for sides in BOOKS_BY_HAND]
    hold_depth(enrichment.book()(quotes=quotes), books)
    at = pd.DataFrame({"symbol": ["X"] * 3, "ts": pd.to_datetime([0, 5, 9], unit="s", utc=True)})
    given_times = ft.source("times").asof_join(enrichment.book())(times=at, quotes=quotes)
    hold_depth(given_times.iloc[1:], [books[4], books[8]])
    assert given_times["bid_1"].isna().tolist() == [True, False, False]


@given(st.integers(0, 10_000), st.sampled_from([None, "3s"]), st.integers(1, 80))
@settings(deadline=None, max_examples=25)
def test_random_markets_against_slow_books(seed: int, max_age: str | None, rows: int) -> None:
    quotes = dealer_quotes(rows, seed)
    books = replayed(quotes, None if max_age is None else pd.Timedelta(max_age))
    hold_depth(enrichment.book(max_age=max_age)(quotes=quotes), books)
    got = enriched(quotes, max_age=max_age)
    best = [[side[0] if side else NONE for side in sides] for sides in books]
    for place, side in enumerate(("bid", "ask")):
        own = [pair[place] for pair in best]
        for what, values in zip(("", "_size", "_dealers"), zip(*own, strict=True), strict=True):
            assert_array_equal(got[f"best_{side}{what}"].to_numpy(), values)
        says = quotes[f"{side}_size"].to_numpy() > 0
        mine = says & (quotes[side].to_numpy() == np.array([level.price for level in own]))
        assert_array_equal(got[f"is_best_{side}"].to_numpy(), mine)
    bid, ask = (np.array([pair[place].price for pair in best]) for place in (0, 1))
    assert_array_equal(got["locked"].to_numpy(), bid == ask)
    assert_array_equal(got["crossed"].to_numpy(), bid > ask)


def test_a_day_starts_without_quotes() -> None:
    quotes, _ = by_hand()
    next_day = quotes.iloc[:1].assign(dealer="Z", bid=90.0, ts=quotes["ts"].iloc[-1] + pd.Timedelta("24h"))
    both = pd.concat([quotes, next_day], ignore_index=True)
    assert enriched(both)["best_bid"].iloc[-1] == 90.0
    assert enriched(both, session=None)["best_bid"].iloc[-1] == 98.0


def test_windows_end_with_what_stands_and_not_with_what_stood() -> None:
    """All quotes were withdrawn before the first window ends; what was said last before is no book."""
    quotes, _ = by_hand()
    found = enrichment.depth("11s")(quotes=quotes)
    assert found["quotes"].tolist() == [10, 1]
    for levels in (found, enrichment.book()(quotes=quotes)):
        assert {name for name in levels if name.startswith("bid_dealers")} == {f"bid_dealers_{n}" for n in range(1, 6)}
    assert_array_equal(found["bid_1"].to_numpy(), [NO, 98])
    assert_array_equal(found["bid_dealers_1"].to_numpy(), [0, 1])
    windows = enrichment.windows("11s")(quotes=quotes, securities=SECURITIES)
    assert_array_equal(windows["best_bid"].to_numpy(), [NO, 98])
    assert (windows["locked"].tolist(), windows["crossed"].tolist()) == ([1, 0], [2, 0])
    # 2, 1.5, 1, 1, 0, -0.5, -0.5, 1 for a second each, and then no complete quote: the last one is taken to stand.
    assert windows["tw_spread"].iloc[0] == pytest.approx((2 + 1.5 + 1 + 1 + 0 - 0.5 - 0.5 + 1 + 1) / 9)


def test_what_windows_measure_by_hand() -> None:
    """Of 0 to 5, 5 to 10 and 10 to 15 s: the last looks back as far as a window is long, to after 6 s."""
    quotes, _ = by_hand()
    got = enrichment.windows("5s")(quotes=quotes, securities=SECURITIES)
    assert got["quotes"].tolist() == [4, 5, 2]
    assert got["order_flow"].tolist() == [(5 - 20) + (7 - 3) - 7, 4 - 2 + 0 - 4, -11 - 6]
    changes = [[0.25, -0.25, 0], [0.5, -0.25, 0, -0.75], [0, -0.75]]
    assert_allclose(got["volatility"].to_numpy(), [np.std(each, ddof=1) for each in changes])
    # The best quotes of 1, 2, 3, 5, 6, 8 and 11 s replaced others; after 8 s none was whole until 11 s.
    assert_allclose(got["changes_per_second"].to_numpy(), [2 / 5, 3 / 5, 2 / 5])
    assert_allclose(got["mean_life"].to_numpy(), [1, (2 + 1 + 2) / 3, (2 + 3) / 2])
    assert got["total_bid_size"].tolist() == [10 + 5 + 12 + 5, 4 + 4 + 4 + 11 + 1, 6]


def held_alone(quotes: pd.DataFrame, begin: pd.Timestamp) -> float:
    """The Herfindahl index of the time at the best since a time, from what stands after each row."""
    shares: dict[str, float] = {}
    standing: dict[str, dict[str, float]] = {"bid": {}, "ask": {}}
    rows = list(quotes.itertuples())
    for row, until in zip(rows, [*quotes["ts"].iloc[1:], quotes["ts"].iloc[-1]], strict=True):
        for side, better in (("bid", max), ("ask", min)):
            standing[side].pop(row.dealer, None)
            if np.isfinite(getattr(row, side)):
                standing[side][row.dealer] = getattr(row, side)
            best = [d for d, price in standing[side].items() if price == better(standing[side].values())]
            for dealer in best:
                stood = max((until - max(row.ts, begin)).total_seconds(), 0) / len(best)
                shares[dealer] = shares.get(dealer, 0) + stood
    total = sum(shares.values())
    return sum((each / total) ** 2 for each in shares.values()) if total else NO


def test_the_competition_of_a_window_is_that_of_the_window() -> None:
    quotes = dealer_quotes(200, seed=5, symbols=1)
    got = enrichment.windows("1min")(quotes=quotes, securities=securities("B0"))
    expected = [held_alone(quotes[quotes["ts"] < row.window_end], row.ts) for row in got.itertuples()]
    assert len(expected) > 3
    assert_allclose(got["competition"].to_numpy(), expected, rtol=1e-12)


def test_windows_that_slide_and_those_that_a_pause_ends() -> None:
    quotes = dealer_quotes(300, seed=6)
    market = {"quotes": quotes, "securities": securities("B0", "B1")}
    rows = enrichment.quotes()(**market)
    done = {"quotes": ("symbol", "count"), "mean": ("best_spread_bps", "mean"), "size": ("best_bid_size", "sum")}
    slid = enrichment.quotes().window("1min", every="20s").agg(**done)(**market)
    starts = rows["ts"].dt.floor("20s")
    expected = pd.concat([rows.assign(ts=starts - pd.Timedelta(seconds=back)) for back in (0, 20, 40)])
    paused = enrichment.quotes().session_window("4s").agg(**done)(**market)
    pause = rows.groupby("symbol")["ts"].diff() >= pd.Timedelta("4s")
    of_sessions = rows.assign(session=pause.groupby(rows["symbol"]).cumsum())
    firsts = of_sessions.groupby(["symbol", "session"])["ts"].transform("first")
    for got, each in ((slid, expected), (paused, rows.assign(ts=firsts))):
        theirs = each.groupby(["symbol", "ts"], as_index=False).agg(**done)
        mine = got.sort_values(["symbol", "ts"], ignore_index=True)
        assert len(mine) == len(theirs) > 20
        assert_array_equal(mine["quotes"].to_numpy(), theirs["quotes"].to_numpy())
        assert_array_equal(mine["size"].to_numpy(), theirs["size"].to_numpy())
        assert_allclose(mine["mean"].astype(float), theirs["mean"].astype(float), rtol=1e-12)
