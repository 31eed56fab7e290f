"""Price discovery: a dealer who leads is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fintech_toolkit import enrichment
from fintech_toolkit.errors import DataError, ParameterError
from tests.enrichment.books import securities

SECONDS = 4_000
SECURITIES = securities("X")


def quotes(lags: dict[str, int], seed: int = 0) -> pd.DataFrame:
    """Each dealer quotes every second around what the price was so many seconds ago, give or take a little."""
    rng = np.random.default_rng(seed)
    price = 100 + np.cumsum(rng.normal(0, 0.01, SECONDS))
    seconds = pd.date_range("2024-01-08 14:00", periods=SECONDS, freq="1s", tz="UTC").as_unit("ns")
    frames = []
    for number, (dealer, lag) in enumerate(lags.items()):
        mid = np.concatenate([np.full(lag, price[0]), price[: SECONDS - lag]]) + rng.normal(0, 0.003, SECONDS)
        ts = seconds + pd.Timedelta(milliseconds=10 * number)
        frames.append(pd.DataFrame({"symbol": "X", "ts": ts, "bid": mid - 0.05, "ask": mid + 0.05, "dealer": dealer}))
    return pd.concat(frames).sort_values("ts", ignore_index=True).assign(bid_size=1.0, ask_size=1.0)


@pytest.mark.parametrize("leader", ["A", "B", "C"])
def test_the_leader_is_found(leader: str) -> None:
    lags = {dealer: 0 if dealer == leader else 2 for dealer in "ABC"}
    mids = enrichment.dealer_mids()(quotes=quotes(lags), securities=SECURITIES)
    assert len(mids) == 3 * SECONDS
    shares = enrichment.price_discovery(mids, "X")
    assert shares["dealer"].iloc[0] == leader
    assert shares["information_share"].iloc[0] > 0.9
    assert shares["component_share"].iloc[0] > 0.9
    assert shares["leads"].iloc[0] == 2
    # Each pair of a leader and a follower shares all there is; followers share among each other what they follow.
    assert shares["information_share"].iloc[1:].max() < 0.5


def test_nobody_and_one_alone() -> None:
    mids = enrichment.dealer_mids()(quotes=quotes({"A": 0}).head(100), securities=SECURITIES)
    with pytest.raises(ParameterError, match="Nobody quotes 'Y'"):
        enrichment.price_discovery(mids, "Y")
    with pytest.raises(DataError, match="Of 'X' there is one dealer, A; price discovery needs two"):
        enrichment.price_discovery(mids, "X")
