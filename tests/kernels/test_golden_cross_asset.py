"""Pairs: what was planted is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.errors import DataError, ParameterError

nan = np.nan


def test_a_lag_that_was_planted_is_found() -> None:
    random = np.random.default_rng(5)
    path = np.cumsum(random.normal(scale=1e-4, size=20_000))
    ts_a, ts_b = (np.sort(random.choice(20_000, 3000, replace=False)) for _ in range(2))
    price_a, price_b = np.exp(path[ts_a]), np.exp(path[np.maximum(ts_b - 25, 0)])
    found = ft.xcorr_leadlag(ts_a, price_a, ts_b, price_b, lags=range(-60, 61, 5))
    assert found.lag == 25
    assert found.corr > 0.9
    back = ft.xcorr_leadlag(ts_b, price_b, ts_a, price_a, lags=range(-60, 61, 5))
    assert back.lag == -25
    assert_allclose(back.contrast, found.contrast[::-1], rtol=1e-9)


def test_the_contrast_is_the_double_sum_and_at_no_lag_the_kernel() -> None:
    random = np.random.default_rng(6)
    ts_a, ts_b = (np.sort(random.choice(400, 60, replace=False)) for _ in range(2))
    price_a, price_b = np.exp(random.normal(scale=0.01, size=(2, 60)))
    lags = [-500, -7, 0, 7, 500]
    found = ft.xcorr_leadlag(ts_a, price_a, ts_b, price_b, lags=lags)
    (oracle,) = ft.xcorr_leadlag.oracles
    assert_allclose(found.contrast, oracle(ts_a, price_a, ts_b, price_b, lags), rtol=1e-9, atol=1e-12)
    order = np.argsort(np.concatenate([ts_a, ts_b]), kind="stable")
    merged = [np.concatenate(parts)[order] for parts in ((np.zeros(60, int), np.ones(60, int)), (price_a, price_b))]
    ticks = ft.hayashi_yoshida_corr(*merged, ts=np.concatenate([ts_a, ts_b])[order])
    assert_allclose(ticks[-1], found.contrast[2], rtol=1e-9)


def test_lead_lag_takes_times_as_frames_have_them() -> None:
    ts = np.array([0, 2, 3, 7]) * 1_000 + 1_700_000_000_000_000_001  # whose last digit float64 would lose
    price_a, price_b = np.array([[1.0, 1.1, 1.05, 1.2], [2.0, 2.1, 2.3, 2.2]])
    expected = ft.xcorr_leadlag(ts, price_a, ts + 1, price_b, lags=[-1, 0, 1])
    zoned = [pd.Series(pd.to_datetime(each, utc=True)).dt.tz_convert("Asia/Tokyo") for each in (ts, ts + 1)]
    for first, second in (zoned, (ts.astype("M8[ns]"), (ts + 1).astype("M8[ns]"))):
        assert_array_equal(
            ft.xcorr_leadlag(first, price_a, second, price_b, lags=[-1, 0, 1]).contrast, expected.contrast
        )
    with pytest.raises(DataError, match="ts_b must hold times, not float64"):
        ft.xcorr_leadlag(ts, price_a, ts.astype(float), price_b, lags=[0])


def test_lead_lag_refuses_what_it_cannot_use() -> None:
    with pytest.raises(DataError, match="backwards at row 1"):
        ft.xcorr_leadlag([1, 0], [1, 2], [0, 1], [1, 2], lags=[0])
    with pytest.raises(ParameterError, match="no lag"):
        ft.xcorr_leadlag([0, 1], [1, 2], [0, 1], [1, 2], lags=[])
    flat = ft.xcorr_leadlag([0, 1], [1, 1], [0, 1], [1, nan], lags=["-1us", "0ms"])
    assert (flat.lag, list(flat.lags)) == (0, [-1000, 0])
    assert np.isnan(flat.contrast).all()


def test_two_series_that_are_one_have_a_correlation_of_one() -> None:
    price = np.exp(np.cumsum(np.random.default_rng(1).normal(scale=0.01, size=50))).repeat(2)
    corr = ft.hayashi_yoshida_corr(np.tile([0, 1], 50), price, ts=np.arange(50).repeat(2))
    assert_allclose(corr[3::2], 1, rtol=1e-9)


def test_a_hedge_ratio_is_followed_where_it_goes() -> None:
    random = np.random.default_rng(2)
    b = 50 + np.cumsum(random.normal(size=4000))
    ratio = np.where(np.arange(4000) < 2000, 1.5, 2.0)
    found = ft.kalman_hedge_ratio(3 + ratio * b + random.normal(scale=0.1, size=4000), b, q=1e-5, r=0.01)
    fitted = found.alpha + found.beta * b
    assert_allclose(fitted[[1999, 3999]], (3 + ratio * b)[[1999, 3999]], atol=0.5)
    assert abs(found.beta[1999] - 1.5) < 0.1
    assert abs(found.beta[3999] - 2.0) < 0.1
    torn = ft.kalman_hedge_ratio([1.0, 1e300, nan, 1.0], [1.0, 1e200, 1.0, 1.0])
    assert_array_equal(np.isnan(torn.spread), [False, True, True, False])
    assert np.isfinite(torn.beta).all()


def test_the_half_life_of_an_autoregression() -> None:
    random = np.random.default_rng(3)
    x = np.zeros(10_000)
    for i in range(1, len(x)):
        x[i] = 0.9 * x[i - 1] + random.normal()
    assert_allclose(ft.half_life(x, window=9_900)[-1], np.log(0.5) / np.log(0.9), rtol=0.1)
    # A spread that grows without end does not return.
    assert np.isnan(ft.half_life(2.0 ** np.arange(30), window=10)).all()
