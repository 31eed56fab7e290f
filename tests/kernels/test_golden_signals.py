"""Signals: the worked example of a strategy, thresholds, betas."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft

nan = np.nan


def test_a_day_of_trades_by_hand() -> None:
    """Changes of +0.67, +0.33, -0.66, -0.33, +0.67 and -0.33 %: bought, sold and bought; the last one was bad."""
    price = np.array([150, 151, 151.5, 150.5, 150, 151, 150.5])
    signal = ft.threshold_alert(100 * ft.simple_returns(price), upper=0.5, lower=-0.5)
    assert_array_equal(signal, [nan, 1, 0, -1, 0, 1, 0])
    trades = ft.trade_quality(signal, price, ts=np.arange(7))
    assert_array_equal(trades.ts, [1, 3, 5])
    assert_array_equal(trades.quality, [1, 1, -1])
    assert_array_equal(trades.change, [0.5, -0.5, -0.5])
    assert (trades.good[-1], trades.bad[-1], trades.neutral[-1]) == (2, 1, 0)
    assert round(trades.win_rate[-1], 2) == 66.67
    assert trades.complete.all()


def test_trades_on_consecutive_rows_and_across_gaps() -> None:
    trades = ft.trade_quality([2.0, -1, 1, 1, 5], [10.0, 10, nan, 9, 9], ts=np.arange(5))
    assert_array_equal(trades.ts, [0, 1, 3, 4])
    assert_array_equal(trades.signal, [1, -1, 1, 1])
    assert_array_equal(trades.quality, [0, 1, 0, 0])
    assert_array_equal(trades.complete, [True, True, True, False])
    assert_array_equal(trades.win_rate, [0, 50, 100 / 3, 100 / 3])


def test_thresholds_are_strict() -> None:
    upper, lower, multiplier = ft.vix_threshold([15.0, 30.0, nan, -1.0, 0.0])
    assert_array_equal(multiplier, [1.0, 2.0, nan, nan, 0.0])
    assert_array_equal(upper, [0.5, 1.0, nan, nan, 0.0])
    assert_array_equal(lower, -upper)
    x = [0.5, -1.0001, 0.0, 1.0, 1e-9]
    assert_array_equal(ft.threshold_signal(x, upper, lower), [0, -1, nan, nan, 1])
    assert_array_equal(ft.threshold_signal([0.0, 2.0], [-1.0, -1.0], [1.0, 1.0]), [nan, 1])


@pytest.mark.parametrize("window", [30, "30s"])
def test_betas_find_what_was_planted(window: int | str) -> None:
    index = np.random.default_rng(0).normal(scale=0.01, size=200)
    stock = 0.002 + 1.5 * index
    index[50] = nan
    ts = np.arange(200).view("M8[s]")
    assert_allclose(ft.rolling_beta(stock, index, window=window, ts=ts, min_periods=3)[4:], 1.5, rtol=1e-9)
    assert_allclose(ft.ew_beta(stock, index, halflife=20)[2:], 1.5, rtol=1e-9)
    assert_allclose(ft.ratio_beta([0.03, -5.0, 5.0, 1.0], [0.02, 0.1, 1e-3, 0.0]), [1.5, -10, 10, nan])
    of_a_row = ft.ratio_beta([0.0, 1.0, -1.0, nan, 8.0], [0.0, 0.0, -0.0, 1.0, 2.0], limit=3, least_move=0, or_one=True)
    assert_array_equal(of_a_row, [1, 3, -3, 1, 3])
    assert_array_equal(ft.rolling_beta([5.0] * 4, [1.0, 2, 2, 2], window=3), [nan, nan, 0, nan])
