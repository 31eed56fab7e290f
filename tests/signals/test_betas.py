"""Betas of twenty companies against the S&P 500, 2014 to 2018, as statsmodels regresses them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from arch.data import sp500
from arch.data import vix as vix_of_arch
from numpy.testing import assert_allclose
from skfolio.datasets import load_sp500_dataset
from statsmodels.regression.rolling import RollingOLS

from fintech_toolkit.signals import SignalSettings, performance, signals
from tests.signals.worlds import World


@pytest.fixture(scope="module")
def days() -> World:
    """Closes of the days that all three libraries have, at the close of New York."""
    index, fear, shares = sp500.load()["Close"], vix_of_arch.load()["vix"].dropna(), load_sp500_dataset()
    common = index.index.intersection(fear.index).intersection(shares.index)
    at = (common + pd.Timedelta("16h")).tz_localize("America/New_York").tz_convert("UTC").rename("timestamp")
    prices = shares.loc[common].set_axis(at).rename_axis(columns="contract").stack().rename("price").reset_index()
    return {
        "prices": prices,
        "vix": pd.DataFrame({"timestamp": at, "vix": fear.loc[common].to_numpy()}),
        "spx": pd.DataFrame({"timestamp": at, "spx": index.loc[common].to_numpy()}),
    }


def changes(table: pd.DataFrame, contract: str) -> tuple[pd.Series, pd.DataFrame]:
    """Return a company's changes and the index's beside a constant."""
    rows = table[table["contract"] == contract].dropna(subset="price_change_pct").reset_index(drop=True)
    return rows["price_change_pct"], sm.add_constant(rows["spx_change_pct"])


def test_rolling_beta(days: World) -> None:
    """Over windows RollingOLS, over all there is OLS."""
    window = 120
    table = signals(**days, settings=SignalSettings(beta="rolling_beta", window=window))
    assert len(table) > 20 * 1_000
    for contract in ("AAPL", "BBY", "JPM", "XOM"):
        rows = table.loc[table["contract"] == contract, "beta"].to_numpy()[1:]
        change, index = changes(table, contract)
        fitted = RollingOLS(change, index, window=window).fit().params["spx_change_pct"]
        assert_allclose(rows[window - 1 :], fitted[window - 1 :], rtol=1e-8, err_msg=contract)
    everything = len(rows)
    whole = signals(**days, settings=SignalSettings(beta="rolling_beta", window=everything))
    fitted = sm.OLS(*changes(whole, "AAPL")).fit()
    assert_allclose(whole.loc[whole["contract"] == "AAPL", "beta"].iloc[-1], fitted.params["spx_change_pct"], rtol=1e-9)


def test_ew_beta(days: World) -> None:
    """At chosen days the slope of a regression in which a day's weight halves every 60."""
    table = signals(**days, settings=SignalSettings(halflife=60))
    for contract in ("AAPL", "JPM", "XOM"):
        rows = table[table["contract"] == contract]
        change, index = changes(table, contract)
        for last in (5, 250, 700, len(change)):
            weights = 0.5 ** (np.arange(last)[::-1] / 60)
            fitted = sm.WLS(change[:last], index[:last], weights).fit()
            assert_allclose(rows["beta"].iloc[last], fitted.params["spx_change_pct"], rtol=1e-8)


def test_real_signals_have_no_edge(days: World) -> None:
    """To follow yesterday's move of a large company earned nothing, and is shown as such."""
    earned = performance(signals(**days))
    assert earned.trades > 5_000
    assert not earned.edge
    assert 45 < earned.win_rate < 52
