"""Best bid and offer and depth: a book of three dealers worked out by hand, and random markets against slow books."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit import enrichment
from tests.enrichment.books import NONE

NO = np.nan
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
        said.append(["X", pd.Timestamp(at.removesuffix("s") + "s", tz="UTC"), dealer, *map(number, values)])
        sides = [[number(side[0]), number(side[1]), int(side[2]), side[3] == "yes"] for side in (bid, ask)]
        expected.append([*sides[0], *sides[1], "locked" in flag, "crossed" in flag])
    quotes = pd.DataFrame(said, columns=["symbol", "ts", "dealer", "bid", "bid_size", "ask", "ask_size"])
    sides = [[f"best_{s}", f"best_{s}_size", f"best_{s}_dealers", f"is_best_{s}"] for s in ("bid", "ask")]
    return quotes, pd.DataFrame(expected, columns=[*sides[0], *sides[1], "locked", "crossed"])


SECURITIES = pd.DataFrame({name: ["?"] for name in ("symbol", *enrichment.FIELDS)})


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


def test_the_depth_of_three_dealers_by_hand() -> None:
    quotes, _ = by_hand()
    got = ft.Pipeline(ft.book_depth(levels=3))(quotes)
    for side, books in zip(("bid", "ask"), zip(*BOOKS_BY_HAND, strict=True), strict=True):
        for level in range(3):
            rows = [book[level] if level < len(book) else NONE for book in books]
            for what, values in zip(("", "_size", "_dealers"), zip(*rows, strict=True), strict=True):
                assert_array_equal(
                    got[f"{side}{what}_{level + 1}"].to_numpy(), values, err_msg=f"{side} {what} {level}"
                )
