"""Books of dealers kept slowly, in dicts that are looked through from end to end; and markets drawn at random."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fintech_toolkit import enrichment

START = 1_723_161_240


def securities(*symbols: str) -> pd.DataFrame:
    """A master of which only the symbols matter."""
    return pd.DataFrame({"symbol": symbols}).assign(**dict.fromkeys(enrichment.FIELDS, "?"))


class Level(NamedTuple):
    """A price, what is there in all, and how many dealers offer it."""

    price: float
    size: float
    dealers: int


NONE = Level(np.nan, 0.0, 0)


def levels(side: dict[str, tuple[float, float]], best_first: Any) -> list[Level]:
    """The levels of a side of a book, given as each dealer's price and size."""
    found = []
    for price, members in groupby(sorted(side.values(), key=lambda quote: best_first(quote[0])), lambda q: q[0]):
        sizes = [size for _, size in members]
        found.append(Level(price, sum(sizes), len(sizes)))
    return found


def replayed(quotes: pd.DataFrame, max_age: pd.Timedelta | None = None) -> list[tuple[list[Level], list[Level]]]:
    """The levels of bids and offers, the best first, of each row's instrument right after it."""
    books: dict[str, dict[str, dict[str, tuple[Any, float, float]]]] = {}
    after = []
    for row in quotes.itertuples():
        book = books.setdefault(row.symbol, {"bid": {}, "ask": {}})
        for name, side in book.items():
            price, size = getattr(row, name), getattr(row, f"{name}_size")
            side.pop(row.dealer, None)
            if np.isfinite(price) and np.isfinite(size) and size > 0:
                side[row.dealer] = (row.ts, price, size)
        stand = {
            name: {d: (p, s) for d, (at, p, s) in side.items() if max_age is None or row.ts - at <= max_age}
            for name, side in book.items()
        }
        after.append((levels(stand["bid"], lambda price: -price), levels(stand["ask"], lambda price: price)))
    return after


def dealer_quotes(rows: int, seed: int, symbols: int = 2, dealers: int = 3) -> pd.DataFrame:
    """Quotes on a coarse grid, so that times and prices tie, lock and cross; some are withdrawn, on a side or both."""
    rng = np.random.default_rng(seed)
    middle = 100 + np.cumsum(rng.integers(-1, 2, rows)) / 8
    half = rng.integers(0, 4, (2, rows)) / 8
    gone = rng.random((2, rows)) < 0.12
    size = rng.integers(1, 9, (2, rows)) * 100.0
    size[rng.random((2, rows)) < 0.06] = 0.0
    steps = rng.integers(0, 4, rows)
    return pd.DataFrame(
        {
            "symbol": pd.array([f"B{j}" for j in rng.integers(0, symbols, rows)], dtype="str"),
            "ts": pd.to_datetime(START + np.cumsum(steps), unit="s", utc=True).as_unit("ns"),
            "bid": np.where(gone[0], np.nan, middle - half[0]),
            "ask": np.where(gone[1], np.nan, middle + half[1]),
            "bid_size": np.where(gone[0], np.nan, size[0]),
            "ask_size": np.where(gone[1], np.nan, size[1]),
            "dealer": pd.array([f"D{j}" for j in rng.integers(0, dealers, rows)], dtype="str"),
        }
    )
