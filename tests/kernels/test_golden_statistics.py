"""Published numbers, and properties that running sums are known to lose."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft

# NIST Statistical Reference Datasets, univariate summary statistics: certified mean and standard deviation.
NIST = {
    "NumAcc1": ([10000001.0, 10000003.0, 10000002.0], 10000002.0, 1.0),
    "NumAcc2": ([1.2] + [1.1, 1.3] * 500, 1.2, 0.1),
    "NumAcc3": ([1000000.2] + [1000000.1, 1000000.3] * 500, 1000000.2, 0.1),
    "NumAcc4": ([10000000.2] + [10000000.1, 10000000.3] * 500, 10000000.2, 0.1),
}


@pytest.mark.parametrize("name", NIST)
def test_nist_certified_mean_and_deviation(name: str) -> None:
    values, mean, std = NIST[name]
    x = np.array(values)
    running = ft.welford(x)
    # The decimals of NumAcc4 leave float64 seven digits of the deviation.
    assert_allclose([running.mean[-1], np.sqrt(running.var[-1])], [mean, std], rtol=1e-7)
    assert_allclose(ft.rolling_mean(x, window=len(x))[-1], mean, rtol=1e-13)
    assert_allclose(ft.rolling_std(x, window=len(x))[-1], std, rtol=1e-7)


# Anscombe (1973), The American Statistician 27: four data sets, one correlation.
ANSCOMBE = [
    ([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5], [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]),
    ([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5], [9.14, 8.14, 8.74, 8.77, 9.26, 8.10, 6.13, 3.10, 9.13, 7.26, 4.74]),
    ([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5], [7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73]),
    ([8, 8, 8, 8, 8, 8, 8, 19, 8, 8, 8], [6.58, 5.76, 7.71, 8.84, 8.47, 7.04, 5.25, 12.50, 5.56, 7.91, 6.89]),
]


@pytest.mark.parametrize(("x", "y"), ANSCOMBE)
def test_anscombes_correlation(x: list[float], y: list[float]) -> None:
    x, y = np.array(x, dtype=float), np.array(y)
    assert ft.rolling_corr(x, y, window=11)[-1] == pytest.approx(0.8165, abs=3e-4)
    # With next to no decay the weights are all but equal.
    assert ft.ewcorr(x, y, alpha=1e-9)[-1] == pytest.approx(ft.rolling_corr(x, y, window=11)[-1], abs=1e-7)


@pytest.mark.parametrize("window", [10, "10s"])
def test_a_spike_that_left_leaves_no_error(window: int | str) -> None:
    rows = 400
    x = np.random.default_rng(7).normal(100, 0.01, rows)
    ts = (np.arange(rows) * 1_000_000_000).view("M8[ns]")
    spiked = x.copy()
    spiked[50] = 1e12
    # Squares show that they have lost their digits, and are summed afresh at once.
    for kernel in (ft.rolling_var, ft.rolling_std, ft.rolling_zscore):
        clean, after = (kernel(values, window=window, ts=ts) for values in (x, spiked))
        assert_allclose(after[60:], clean[60:], rtol=1e-8, atol=1e-8)
    clean, after = (ft.realized_var(values, window=window, ts=ts) for values in (x, spiked))
    assert_allclose(after[60:], clean[60:], rtol=1e-12)
    clean, after = (ft.rolling_corr(values, x[::-1].copy(), window=window, ts=ts) for values in (x, spiked))
    assert_allclose(after[60:], clean[60:], atol=1e-8)
    clean, after = (ft.rolling_mean(values, window=window, ts=ts) for values in (x, spiked))
    assert_allclose(after[60:], clean[60:], rtol=1e-14)


@pytest.mark.parametrize("window", [7, "7s"])
def test_equal_values_are_exact(window: int | str) -> None:
    x = np.concatenate([np.random.default_rng(1).normal(100, 3, 60), np.full(20, 0.1)])
    ts = (np.arange(len(x)) * 1_000_000_000).view("M8[ns]")
    flat = slice(66, None)
    assert_array_equal(ft.rolling_mean(x, window=window, ts=ts)[flat], 0.1)
    assert_array_equal(ft.rolling_var(x, window=window, ts=ts)[flat], 0.0)
    assert_array_equal(ft.rolling_std(x, window=window, ts=ts)[flat], 0.0)
    assert_array_equal(ft.rolling_zscore(x, window=window, ts=ts)[flat], np.nan)
    assert_array_equal(ft.rolling_corr(x, x, window=window, ts=ts)[flat], np.nan)
    assert_array_equal(ft.realized_var(np.where(x == 0.1, 0.0, x), window=window, ts=ts)[flat], 0.0)
    assert_array_equal(ft.ewvar(np.full(50, 0.1), alpha=0.06)[1:], 0.0)


def test_one_value_has_no_variance_however_long_the_gap() -> None:
    x = np.array([1.0, *[np.nan] * 200, 2.0])
    assert_array_equal(ft.ewvar(x, alpha=0.06)[:-1], np.nan)
    # An old value has next to no weight, and the estimate is unbiased all the same: both values count.
    assert ft.ewvar(x, alpha=0.06)[-1] == pytest.approx(0.5)


@pytest.mark.parametrize("adjust", [True, False])
@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("min_periods", [0, 1, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_exponential_moments_equal_pandas(adjust: bool, ignore_na: bool, min_periods: int, bias: bool) -> None:
    import pandas as pd

    random = np.random.default_rng(11)
    x, y = random.normal(size=(2, 80))
    x[random.random(80) < 0.2] = np.nan
    y[random.random(80) < 0.2] = np.inf
    options = {"span": 6, "adjust": adjust, "ignore_na": ignore_na, "min_periods": min_periods}
    ewm, other = pd.Series(x).ewm(**options), pd.Series(y)
    expected = {
        "ewma": ewm.mean(),
        "ewcorr": ewm.corr(other),
        "ewvar": ewm.var(bias=bias),
        "ewstd": ewm.std(bias=bias),
        "ewcov": ewm.cov(other, bias=bias),
    }
    actual = {
        "ewma": ft.ewma(x, **options),
        "ewcorr": ft.ewcorr(x, y, **options),
        "ewvar": ft.ewvar(x, bias=bias, **options),
        "ewstd": ft.ewstd(x, bias=bias, **options),
        "ewcov": ft.ewcov(x, y, bias=bias, **options),
    }
    for name, series in expected.items():
        assert_allclose(actual[name], series.to_numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_lag_in_time_is_the_last_value_known_then() -> None:
    ts = np.array([0, 1, 1, 4, 6, 20])
    x = np.array([1.0, 2.0, 3.0, np.nan, 5.0, 6.0])
    assert_array_equal(ft.lag(x, k="3ns", ts=ts), [np.nan, np.nan, np.nan, 3.0, 3.0, 5.0])
    assert_array_equal(ft.diff(x, k="2ns", ts=ts), [np.nan, np.nan, np.nan, np.nan, np.nan, 1.0])


@pytest.mark.parametrize("window", [50, "50s"])
def test_the_shape_of_a_window_survives_what_left_it(window: int | str) -> None:
    from scipy import stats

    random = np.random.default_rng(17)
    x = np.concatenate([1e8 + random.gamma(2.0, 1.0, 3000), random.gamma(2.0, 1.0, 3000)])
    x[1500] = 1e12
    ts = (np.arange(len(x)) * 1_000_000_000).view("M8[ns]")
    rows = [49, 700, 1499, 1549, 1550, 1551, 2999, 3049, 3050, 3051, 5999]
    windows = [x[row - 49 : row + 1] - x[row] for row in rows]
    skew, kurt = ft.rolling_skew(x, window=window, ts=ts)[rows], ft.rolling_kurt(x, window=window, ts=ts)[rows]
    assert_allclose(skew, [stats.skew(values, bias=False) for values in windows], rtol=1e-8)
    assert_allclose(kurt, [stats.kurtosis(values, bias=False) for values in windows], rtol=1e-8)


def test_fractional_weights_of_the_book() -> None:
    # López de Prado (2018), ch. 5.4: the weights of d = 0.5 begin 1, -0.5, -0.125, -0.0625, -0.0390625.
    impulse = np.concatenate([np.zeros(5), [1.0], np.zeros(4)])
    assert_array_equal(ft.frac_diff(impulse, d=0.5, window=5)[5:], [1.0, -0.5, -0.125, -0.0625, -0.0390625])


@pytest.mark.parametrize("window", [3, 30, 1000])
def test_a_whole_order_is_the_ordinary_difference(window: int) -> None:
    x = np.cumsum(np.random.default_rng(0).integers(-5, 6, 1500)).astype(float)
    assert_array_equal(ft.frac_diff(x, d=1, window=window)[window - 1 :], np.diff(x)[window - 2 :])
    assert_array_equal(ft.frac_diff(x, d=2, window=window)[window - 1 :], np.diff(x, n=2)[window - 3 :])


def test_memory_shows_in_hurst_autocorrelation_and_variance_ratio() -> None:
    random = np.random.default_rng(12)
    noise = random.normal(0, 0.01, 4096)
    trending = ft.ewma(noise, alpha=0.2)
    for r, least, most in ((noise, -0.05, 0.05), (trending, 0.7, 0.9), (np.diff(noise, prepend=0), -0.6, -0.4)):
        assert least < ft.autocorr(r, window=4000)[-1] < most
    # Fractional noise of order 0.3 has the exponent 0.8.
    weights = np.cumprod(np.concatenate([[1.0], (np.arange(1, 2000) - 0.7) / np.arange(1, 2000)]))
    remembering = np.convolve(random.normal(size=6096), weights, "valid")[-4096:]
    assert ft.hurst(noise, window=4096)[-1] == pytest.approx(0.5, abs=0.08)
    assert ft.hurst(remembering, window=4096)[-1] == pytest.approx(0.8, abs=0.08)
    walk = ft.variance_ratio(100 * np.exp(np.cumsum(noise)), window=4000, q=5)
    trend = ft.variance_ratio(100 * np.exp(np.cumsum(trending)), window=4000, q=5)
    assert walk.vr[-1] == pytest.approx(1, abs=0.1)
    assert abs(walk.z[-1]) < 2.5
    # An AR(1) with coefficient 0.8: vr = 1 + 2 sum (1 - k / 5) 0.8^k.
    assert trend.vr[-1] == pytest.approx(1 + 2 * sum((1 - k / 5) * 0.8**k for k in range(1, 5)), rel=0.05)
    assert trend.z[-1] > 20


def test_entropy_of_distributions_that_one_knows() -> None:
    assert_allclose(ft.entropy_hist(np.arange(80.0), window=80, bins=8)[-1], np.log(8), rtol=1e-14)
    assert_array_equal(ft.entropy_hist(np.full(9, 0.1), window=5)[4:], 0.0)
    shares = np.repeat([0.0, 1.0], [90, 10])
    assert_allclose(ft.entropy_hist(shares, window=100)[-1], -0.9 * np.log(0.9) - 0.1 * np.log(0.1), rtol=1e-14)
    # The least float and the greatest are farther apart than any float: one bin.
    assert ft.entropy_hist(np.array([-1.7e308, 1.7e308]), window=2)[-1] == 0.0


def test_ranks_of_equal_values() -> None:
    x = np.array([2.0, 1.0, 2.0, 2.0])
    ranks = {method: ft.rolling_rank(x, window=4, method=method)[-1] for method in ("min", "average", "max")}
    assert ranks == {"min": 0.5, "average": 0.75, "max": 1.0}
