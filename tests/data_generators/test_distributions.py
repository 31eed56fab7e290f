"""Is it a market? Stated statistics with stated tolerances, and the same of recorded ticks where they exist."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_generators import sample, statistics
from data_generators.market import Market
from data_generators.realism import (
    Ticks,
    generated_ticks,
    markdown,
    market_statistics,
    recorded_ticks,
    tick_statistics,
)

README = Path(__file__).parents[2] / "data_generators" / "README.md"


@pytest.fixture(scope="module", params=[0, 1, 2])
def generated(request: pytest.FixtureRequest) -> dict[str, float]:
    return tick_statistics(generated_ticks(request.param))


@pytest.fixture(scope="module")
def recorded(real_data: Path) -> dict[str, float]:
    return tick_statistics(recorded_ticks(real_data))


@pytest.mark.parametrize("seed", [0, 1])
def test_spreads_by_segment(seed: int) -> None:
    table, _ = market_statistics(seed)
    assert table.min(axis=None) >= 5
    assert table.max(axis=None) <= 50
    median = table[0.5]
    assert median.index.tolist() == ["GOVT", "HG", "IG", "MUNI", "EM", "HY"]
    assert 5 <= median["GOVT"] < 8.5 < median["HG"] < 12 < median["IG"] < 17.5 < median["MUNI"] < 24
    assert median[["EM", "HY"]].between(24, 36).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_worse_ratings_are_quoted_wider(seed: int) -> None:
    market = Market(seed, 1_000)
    universe = pd.DataFrame({"segment": market.universe.segment, "rating": market.universe.rating})
    universe["spread"] = market.universe.spread
    for _, own in universe.groupby("segment"):
        if own["rating"].nunique() > 2:
            assert own["spread"].corr(own["rating"], method="spearman") > 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_activity(seed: int) -> None:
    _, shape = market_statistics(seed)
    assert shape["Zipf exponent"] == pytest.approx(1.0, abs=0.15)
    assert 1.7 < shape["first half hour / median half hour"] < 2.6
    assert 1.7 < shape["last half hour / median half hour"] < 2.6


def test_trades_meet_the_quotes(generated: dict[str, float]) -> None:
    assert generated["trades inside the best spread"] == pytest.approx(0.61, abs=0.04)
    assert generated["trades at the best bid or offer"] == pytest.approx(0.33, abs=0.04)
    assert generated["trades through it"] == pytest.approx(0.06, abs=0.01)
    assert generated["trades on their side of the middle"] > 0.999


def test_signs_remember(generated: dict[str, float]) -> None:
    memory = [generated[f"autocorrelation of trade signs, lag {lag}"] for lag in (1, 10, 100)]
    assert memory == pytest.approx([0.81, 0.55, 0.17], abs=0.04)


def test_arrivals_are_clustered(generated: dict[str, float]) -> None:
    for what in ("quotes", "trades"):
        assert 1.8 < generated[f"variation of the times between {what} (Poisson: 1)"] < 4


def test_returns_have_heavy_tails_and_little_memory(generated: dict[str, float]) -> None:
    assert 2 < generated["tail exponent of returns (Hill, largest 2 %)"] < 5
    assert generated["excess kurtosis of returns (normal: 0)"] > 3
    assert abs(generated["autocorrelation of returns, lag 1"]) < 0.08
    assert 0.03 < generated["autocorrelation of absolute returns, lag 1"] < 0.4


def test_recorded_ticks_have_the_same_traits(recorded: dict[str, float], generated: dict[str, float]) -> None:
    for lag in (1, 10, 100):
        name = f"autocorrelation of trade signs, lag {lag}"
        assert generated[name] == pytest.approx(recorded[name], abs=0.05)
    for what in ("quotes", "trades"):
        name = f"variation of the times between {what} (Poisson: 1)"
        assert generated[name] == pytest.approx(recorded[name], rel=0.5)
    name = "tail exponent of returns (Hill, largest 2 %)"
    assert generated[name] == pytest.approx(recorded[name], rel=0.5)
    name = "autocorrelation of returns, lag 1"
    assert generated[name] == pytest.approx(recorded[name], abs=0.1)


def test_the_documented_tables_are_those_measured(real_data: Path) -> None:
    text = README.read_text()
    missing = [line for line in markdown(recorded_ticks(real_data)).splitlines() if line not in text]
    assert missing == [], "python -m data_generators.realism prints the tables"


def test_without_recorded_ticks_the_table_says_so() -> None:
    assert "| not here |" in markdown(None)


def test_statistics_of_known_distributions() -> None:
    random = np.random.default_rng(5)
    assert statistics.hill_tail_index(random.standard_t(3, 400_000), 0.002) == pytest.approx(3, rel=0.1)
    assert statistics.excess_kurtosis(random.normal(size=200_000)) == pytest.approx(0, abs=0.05)
    assert statistics.excess_kurtosis(random.laplace(size=400_000)) == pytest.approx(3, rel=0.1)
    assert statistics.zipf_exponent(1e6 / np.arange(1, 301) ** 1.3) == pytest.approx(1.3)
    poisson = pd.Series(pd.to_datetime(np.cumsum(random.exponential(1e9, 50_000)).astype("int64"), utc=True))
    assert statistics.gap_variation(poisson) == pytest.approx(1, abs=0.03)
    noise = random.normal(size=100_000)
    series = np.zeros(len(noise))
    for step in range(1, len(noise)):
        series[step] = 0.6 * series[step - 1] + noise[step]
    assert statistics.autocorrelation(series, 1) == pytest.approx(0.6, abs=0.02)
    assert statistics.autocorrelation(series, 3) == pytest.approx(0.216, abs=0.02)


def test_returns_are_those_of_the_last_mid_of_each_interval() -> None:
    ts = pd.to_datetime(["2024-01-08 14:00:00.1", "2024-01-08 14:00:00.9", "2024-01-08 14:00:03.0"], utc=True)
    best = pd.DataFrame({"symbol": "X", "ts": ts, "bid": [99.0, 100.0, 101.0], "ask": [101.0, 102.0, 103.0]})
    returns = statistics.mid_returns(best, "1s")
    np.testing.assert_allclose(returns["log_return"], [0, 0, np.log(102 / 101)])


def test_shares_shift_when_trades_do() -> None:
    quotes, trades = sample("quotes", 6_000), sample("trades", 4_000)
    best = statistics.best_quotes(quotes)
    worse = trades.assign(price=trades["price"] + trades["side"])
    where = statistics.against_best(worse, best)["where"].dropna()
    assert (where == "through").mean() == 1.0
    ticks = Ticks(quotes, trades, "1s")
    assert tick_statistics(ticks)["trades through it"] < 0.1
