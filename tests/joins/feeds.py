"""Two small feeds with ties, and slow readable answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from tests.frames import ticks

Options = dict[str, Any]

options = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(["backward", "forward", "nearest"]),
        "tolerance": st.sampled_from([None, "1ns", "3ns"]),
        "allow_exact_matches": st.booleans(),
    }
)


def feed(rng: np.random.Generator, rows: int, symbols: int, instants: int = 20) -> pd.DataFrame:
    """Return interleaved rows in time order, many at one instant; the index counts down."""
    return ticks(rows, symbols, rng, instants=instants, step="1ns")[["symbol", "ts", "id", "price"]]


@st.composite
def feeds(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trades and quotes; some symbols are on one side only."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    left = feed(rng, draw(st.integers(0, 40)), draw(st.integers(1, 4)))
    right = feed(rng, draw(st.integers(0, 40)), draw(st.integers(1, 4)))
    return left, right.assign(flag=rng.random(len(right)) < 0.5, note=pd.array(["x"] * len(right), dtype="str"))


def best(left: pd.DataFrame, right: pd.DataFrame, how: Options) -> list[int | None]:
    """Return the position of the right row for every left row, by looking at all of them."""
    limit = np.inf if how["tolerance"] is None else pd.Timedelta(how["tolerance"]).value
    answers: list[int | None] = []
    there = [(symbol, ts.value) for symbol, ts in zip(right["symbol"], right["ts"], strict=True)]
    for symbol, ts in zip(left["symbol"], left["ts"], strict=True):
        now, candidates = ts.value, []
        for position, (other, then) in enumerate(there):
            apart = now - then
            if other != symbol or abs(apart) > limit or (apart == 0 and not how["allow_exact_matches"]):
                continue
            # Nearest first; of two equally near the earlier; of one instant the last before, the first after.
            if apart >= 0 and how["direction"] != "forward":
                candidates.append((apart, 0, -position, position))
            if apart <= 0 and how["direction"] != "backward":
                candidates.append((-apart, 1, position, position))
        answers.append(min(candidates)[-1] if candidates else None)
    return answers
