"""The hourly market: New York's calendar, what was planted is found, and no rule wins by what comes later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

import data_generators
from data_generators.cli import app
from data_generators.errors import GeneratorError
from data_generators.hourly import FILES, HourlyMarket, hourly_market
from data_generators.hourly.market import PREMIUM
from data_generators.hourly.trading_hours import HOURS_PER_YEAR, trading_hours
from fintech_toolkit.signals import SignalSettings, performance, signals
from fintech_toolkit.signals.performance import Performance


@pytest.fixture(scope="module")
def market() -> HourlyMarket:
    return hourly_market(contracts=12, days=1_000, seed=3)


def test_new_yorks_calendar() -> None:
    """The exchange's own list for 2024: 252 days, three half days, Good Friday; the clock changed twice."""
    stamps, hours = trading_hours("2024-01-01", days=252)
    local = stamps.tz_convert("America/New_York")
    days = local.normalize().tz_localize(None)
    counts = pd.Series(days).value_counts()
    assert sorted(str(day.date()) for day in counts.index[counts == 5]) == ["2024-07-03", "2024-11-29", "2024-12-24"]
    assert len(counts) == 252
    assert set(counts) == {5, 8}
    assert days.max() == pd.Timestamp("2024-12-31")
    holidays = {"2024-01-01", "2024-03-29", "2024-06-19", "2024-07-04", "2024-11-28", "2024-12-25"}
    assert not holidays & set(days.strftime("%Y-%m-%d"))
    assert set(local.strftime("%H:%M")[days == "2024-07-05"]) == {
        *("09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30", "16:00")
    }
    opens = stamps[np.append(True, np.diff(days) > pd.Timedelta(0))]
    assert opens.strftime("%H:%M")[opens.strftime("%m-%d").isin(["03-08", "03-11", "11-01", "11-04"])].tolist() == [
        *("14:30", "13:30", "13:30", "14:30")
    ]
    assert hours[days == "2024-07-05"].tolist() == [2, 1, 1, 1, 1, 1, 1, 0.5]


def test_what_was_planted_is_found(market: HourlyMarket) -> None:
    """Betas within four standard errors of a robust regression, volatilities within four of theirs."""
    _, hours = trading_hours("2011-01-03", 1_000)
    root = np.sqrt(hours[1:] / HOURS_PER_YEAR)
    index = market.spx["spx"].pct_change().to_numpy()[1:]
    distances = []
    for contract, beta, volatility in market.truth.itertuples(index=False):
        change = market.prices.loc[market.prices["contract"] == contract, "price"].pct_change().to_numpy()[1:]
        fitted = sm.OLS(change, sm.add_constant(index)).fit(cov_type="HC1")
        distances.append((fitted.params[1] - beta) / fitted.bse[1])
        own = (change - beta * index) / root
        assert abs(100 * own.std() / volatility - 1) < 4 / np.sqrt(2 * len(own))
    assert np.abs(distances).max() < 4
    assert 0.4 < np.std(distances) < 1.8


def test_the_vix_follows_the_index(market: HourlyMarket) -> None:
    logs = np.log(market.vix["vix"].to_numpy())
    index = market.spx["spx"].pct_change().to_numpy()[1:]
    assert -0.85 < np.corrcoef(np.diff(logs), index)[0, 1] < -0.6
    pulled = sm.OLS(np.diff(logs), sm.add_constant(logs[:-1])).fit()
    assert pulled.params[1] < -3 * pulled.bse[1]
    assert 14 < np.exp(logs.mean()) < 20
    _, hours = trading_hours("2011-01-03", 1_000)
    scaled = 100 * index / np.sqrt(hours[1:] / HOURS_PER_YEAR) / market.vix["vix"].to_numpy()[:-1]
    assert abs(scaled.std() / PREMIUM - 1) < 4 / np.sqrt(2 * len(scaled))


def earned(prices: pd.DataFrame, market: HourlyMarket) -> Performance:
    settings = SignalSettings(base=0.2)
    return performance(signals(prices, market.vix, market.spx, settings), settings)


def test_no_rule_wins_by_what_comes_later(market: HourlyMarket) -> None:
    """Half of the trades are good; of hours drawn as a line to the day's close nearly all are: the known mistake."""
    honest = earned(market.prices, market)
    assert honest.trades > 20_000
    assert honest.win_rate_low < 50 < honest.win_rate_high
    assert not honest.edge
    days = market.prices["timestamp"].dt.date
    closes = market.prices.assign(price=market.prices["price"].where(days != days.shift(-12)))
    lines = closes.assign(price=closes.groupby("contract")["price"].transform(lambda price: price.interpolate()))
    assert earned(lines, market).win_rate > 90
    assert earned(lines, market).edge


def test_more_of_it_leaves_the_rest_as_it_is() -> None:
    small, large = hourly_market(3, 10, seed=5), hourly_market(25, 40, seed=5)
    wanted = large.prices[large.prices["contract"].isin(small.truth["contract"])].head(len(small.prices))
    assert_frame_equal(small.prices, wanted.reset_index(drop=True), check_exact=True)
    assert_frame_equal(small.vix, large.vix.head(len(small.vix)), check_exact=True)
    assert large.truth["contract"].is_unique
    assert not hourly_market(3, 10, seed=6).prices["price"].equals(small.prices["price"])


def test_files(tmp_path: Path) -> None:
    """The same bytes for the same seed; the command writes them, and nothing is overwritten unless asked."""
    command = ["hourly", "--out", str(tmp_path / "a"), "--contracts", "3", "--days", "10", "--seed", "5"]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0
    files = data_generators.write_hourly(tmp_path / "b", 3, 10, 5)
    for name in FILES.values():
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    market = hourly_market(3, 10, 5)
    for part, path in files.items():
        assert_frame_equal(pd.read_parquet(path), getattr(market, part), check_exact=True)
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 1
    assert "is there already" in ran.stderr
    assert CliRunner().invoke(app, [*command, "--overwrite"]).exit_code == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [({"contracts": 0}, "contracts must"), ({"seed": -1}, "seed must"), ({"start": "soon"}, "no calendar .*'soon'")],
)
def test_what_cannot_be_met(asked: dict[str, object], message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        hourly_market(**{"days": 5} | asked)  # type: ignore[arg-type]
