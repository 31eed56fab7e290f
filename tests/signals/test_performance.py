"""What signals earned, against the sums as they are written, trade by trade."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from fintech_toolkit.errors import ColumnError
from fintech_toolkit.signals import SignalSettings, performance, signals
from tests.signals.worlds import world

COSTS = SignalSettings(cost_bp=2.0, periods_per_year=2000)


def test_sums_trade_by_trade() -> None:
    """A loop that knows of each contract what it holds."""
    table = signals(**world(seed=2))
    earned = performance(table, COSTS)
    pnl: dict[pd.Timestamp, list[float]] = {}
    paid, holding, trades, gross = 0.0, dict.fromkeys(table["contract"], 0.0), 0, 0.0
    for row in table.itertuples():
        position = row.signal if row.signal in (1, -1) and not math.isnan(row.next_price_change_pct) else 0.0
        cost = abs(position - holding[row.contract]) * 0.02
        profit = position * row.next_price_change_pct if position else 0.0
        holding[row.contract] = position
        pnl.setdefault(row.timestamp, []).append(profit - cost)
        trades, gross, paid = trades + bool(position), gross + profit, paid + cost
    periods = np.array([np.mean(values) for values in pnl.values()])
    equity = [1.0, *np.cumprod(1 + periods / 100)]
    assert earned.trades == trades == earned.good + earned.bad + earned.neutral > 100
    assert earned.unanswered + trades == (table["signal"].abs() == 1).sum()
    assert earned.unknown == table["signal"].isna().sum() > 0
    assert_allclose(earned.mean_per_trade, (gross - paid) / trades)
    assert_allclose(earned.total, 100 * (equity[-1] - 1))
    assert_allclose(earned.periods["pnl_pct"], periods, atol=1e-12)
    assert_allclose(earned.sharpe_annualised, np.mean(periods) / np.std(periods, ddof=1) * 2000**0.5)
    assert_allclose(earned.t_statistic, np.mean(periods) / np.std(periods, ddof=1) * len(periods) ** 0.5)
    assert_allclose(earned.max_drawdown, 100 * min(e / max(equity[: i + 1]) - 1 for i, e in enumerate(equity)))
    assert_allclose(earned.win_rate, 100 * (table["trade_quality"] == "good").sum() / trades)
    assert earned.by_contract["trades"].sum() == trades
    without = performance(table)
    assert without.total > earned.total
    assert without.costs == 0
    same_order = table.sort_values(["contract", "timestamp"])
    assert performance(same_order, COSTS).summary() == pytest.approx(earned.summary(), nan_ok=True)


def trades(good: int, bad: int) -> pd.DataFrame:
    count = good + bad
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-01-02", periods=count, freq="h", tz="UTC"),
            "contract": "A",
            "signal": 1.0,
            "next_price_change_pct": [0.1] * good + [-0.1] * bad,
            "trade_quality": ["good"] * good + ["bad"] * bad,
        }
    )


@pytest.mark.parametrize(("good", "all_", "low", "high"), [(81, 263, 25.53, 36.62), (15, 148, 6.24, 16.05)])
def test_the_interval_is_the_published_one(good: int, all_: int, low: float, high: float) -> None:
    """Newcombe (1998), Statistics in Medicine 17, table I, method 3."""
    earned = performance(trades(good, all_ - good))
    assert (round(earned.win_rate_low, 2), round(earned.win_rate_high, 2)) == (low, high)


def test_an_edge_is_more_than_luck() -> None:
    earned = performance(trades(15, 5))
    assert earned.edge
    assert earned.verdict.startswith("An edge: 75.00 % of 20 trades were good, 95% interval 53.13 to 88.81 %")
    assert performance(trades(12, 8)).verdict.startswith("No edge: 60.00 % of 20 trades")
    small_wins = trades(15, 5)
    small_wins.loc[15:, "next_price_change_pct"] = -0.5  # good more often than not, and nothing earned
    assert not performance(small_wins).edge
    assert performance(small_wins).win_rate_low > 50
    nothing = performance(trades(0, 0))
    assert (nothing.trades, nothing.edge, nothing.total) == (0, False, 0.0)
    assert math.isnan(nothing.win_rate)


def test_a_column_that_is_missing() -> None:
    with pytest.raises(ColumnError, match="no column 'signal'"):
        performance(trades(1, 1).drop(columns="signal"))
