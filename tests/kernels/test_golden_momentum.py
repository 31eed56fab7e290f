"""Worked examples that one can look up, and TA-Lib's conventions at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft

# StockCharts, ChartSchool, "Moving Averages": 10-day EMA of Intel.
EMA_PRICES = [22.27, 22.19, 22.08, 22.17, 22.18, 22.13, 22.23, 22.43, 22.24, 22.29, 22.15, 22.39, 22.38, 22.61, 23.36]
EMA_PRICES += [24.05, 23.75, 23.83, 23.95, 23.63, 23.82, 23.87, 23.65, 23.19, 23.10, 23.33, 22.68, 23.10, 22.40, 22.17]
EMA_10 = [22.22, 22.21, 22.24, 22.27, 22.33, 22.52, 22.80, 22.97, 23.13, 23.28, 23.34]
EMA_10 += [23.43, 23.51, 23.54, 23.47, 23.40, 23.39, 23.26, 23.23, 23.08, 22.92]

# StockCharts, ChartSchool, "Relative Strength Index": 14-day RSI of QQQQ.
RSI_PRICES = [44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931]
RSI_PRICES += [46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521]
RSI_PRICES += [45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314]
RSI_14 = [70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38]
RSI_14 += [54.71, 50.42, 39.99, 41.46, 41.87, 45.46, 37.30, 33.08, 37.77]


def test_ema_of_the_worked_example() -> None:
    result = ft.ema(np.array(EMA_PRICES), span=10)
    assert_array_equal(result[:9], np.nan)
    assert_allclose(result[9:], EMA_10, atol=0.011)  # the prices of the page are rounded to cents


def test_rsi_of_the_worked_example() -> None:
    result = ft.rsi(np.array(RSI_PRICES))
    assert_array_equal(result[:14], np.nan)
    assert_allclose(result[14:], RSI_14, atol=0.01)


@pytest.mark.parametrize("smoothing", ["wilder", "sma", "ema"])
def test_rsi_at_its_edges(smoothing: str) -> None:
    rising = ft.rsi(np.arange(1.0, 30.0), period=5, smoothing=smoothing)
    assert_array_equal(rising[5:], 100.0)
    falling = ft.rsi(np.arange(30.0, 1.0, -1.0), period=5, smoothing=smoothing)
    assert_array_equal(falling[5:], 0.0)
    flat = ft.rsi(np.full(30, 7.0), period=5, smoothing=smoothing)
    assert_array_equal(flat, np.where(np.arange(30) < 5, np.nan, 0.0))


def test_rsi_of_means_does_not_drift() -> None:
    price = 100 + np.cumsum(np.random.default_rng(3).choice([-0.1, 0.1], 5_000))
    price[1_000] = 1e12
    late = ft.rsi(price, period=20, smoothing="sma")[2_000:]
    assert_allclose(late, ft.rsi(price[1_500:], period=20, smoothing="sma")[500:], rtol=1e-12)


@pytest.mark.parametrize("seed", ["talib", "sma", "first"])
def test_macd_forgets_its_seed(seed: str) -> None:
    price = 100 + np.cumsum(np.random.default_rng(5).normal(size=2_000))
    reference = ft.macd(price)
    result = ft.macd(price, seed=seed)
    for name in ("macd", "signal", "hist"):
        assert_allclose(getattr(result, name)[-100:], getattr(reference, name)[-100:], atol=1e-10)


def test_macd_starts_when_its_seed_says() -> None:
    price = 100 + np.cumsum(np.random.default_rng(5).normal(size=60))
    first = {
        seed: tuple(int(np.argmax(np.isfinite(column))) for column in ft.macd(price, seed=seed))
        for seed in ("talib", "sma", "first")
    }
    assert first == {"talib": (33, 33, 33), "sma": (25, 33, 33), "first": (0, 0, 0)}


def test_macd_swaps_its_spans_as_talib_does() -> None:
    import talib

    price = 100 + np.cumsum(np.random.default_rng(5).normal(size=60))
    for actual, expected in zip(ft.macd(price, fast=20, slow=8), talib.MACD(price, 20, 8, 9), strict=True):
        assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


def test_bands_and_channel_index_are_those_of_talib() -> None:
    import talib

    random = np.random.default_rng(7)
    close = 100 + random.normal(size=500).cumsum()
    high, low = close + random.random(500), close - random.random(500)
    volume = random.integers(1, 1000, 500).astype(float)
    bands = ft.bbands(close, window=20)
    expected = talib.BBANDS(close, 20, 2.0, 2.0)
    for actual, wanted in zip((bands.upper, bands.mid, bands.lower), expected, strict=True):
        assert_allclose(actual, wanted, rtol=1e-9)
    assert_allclose(ft.wma(close, window=30), talib.WMA(close, 30), rtol=1e-10)
    assert_allclose(ft.cci(high, low, close, window=20), talib.CCI(high, low, close, 20), rtol=1e-9, atol=1e-9)
    assert_allclose(ft.mfi(high, low, close, volume), talib.MFI(high, low, close, volume), rtol=1e-9)
    fast = talib.STOCHF(high, low, close, 14, 3)
    for actual, wanted in zip(ft.stochf(high, low, close), fast, strict=True):
        assert_allclose(np.where(np.isnan(fast[1]), np.nan, actual), wanted, rtol=1e-9, atol=1e-9)


def test_a_weighted_average_does_not_drift() -> None:
    x = np.concatenate([np.full(5_000, 1e8), np.random.default_rng(2).random(5_000)])
    assert_allclose(ft.wma(x, window=100)[5_200:], ft.wma(x[5_000:], window=100)[200:], rtol=1e-12)


def test_the_two_sided_trend_is_that_of_least_squares() -> None:
    x = np.random.default_rng(1).normal(size=120).cumsum()
    expected = ft.kernels.get("hp_filter_two_sided").oracles[0](x)
    for actual, wanted in zip(ft.hp_filter_two_sided(x), expected, strict=True):
        assert_allclose(actual, wanted, rtol=1e-8, atol=1e-8)
    gaps = np.insert(x, [3, 50], np.nan)
    trend = ft.hp_filter_two_sided(gaps).trend
    assert_allclose(trend[~np.isnan(gaps)], expected[0], rtol=1e-8, atol=1e-8)
    with pytest.raises(ft.ParameterError, match="hp_filter, which is one-sided"):
        ft.hp_filter_two_sided("mid")


def test_the_far_ends_of_float64_poison_nothing() -> None:
    x = np.random.default_rng(6).normal(size=800)
    x[300:303] = 1e308, -1e308, 1e308
    for name, given in (
        ("kalman_1d", {"q": 0.1, "r": 1}),
        ("hp_filter", {}),
        ("cusum", {"k": 0.5, "h": 5}),
        ("bocpd", {"window": 20}),
        ("wma", {"window": 20}),
        ("bollinger_bands", {}),
    ):
        result = getattr(ft, name)(x, **given)
        for column in [result] if isinstance(result, np.ndarray) else result:
            assert np.isfinite(column[-50:]).all(), name


@pytest.mark.parametrize("name", ["wma", "bollinger_bands", "cci", "mfi", "twap", "pov"])
def test_windows_forget_a_bad_print(name: str) -> None:
    kernel = ft.kernels.get(name)
    random = np.random.default_rng(8)
    columns = [random.uniform(1, 2, 200) for _ in kernel.reads]
    ts = 1_700_000_000_000_000_000 + np.arange(200) * 10**9
    for column in columns:
        column[40] = 1e17
    late = kernel(*columns, ts=ts, window=10)
    fresh = kernel(*(column[50:] for column in columns), ts=ts[50:], window=10)
    for a, b in zip(np.atleast_2d(late), np.atleast_2d(fresh), strict=True):
        assert_allclose(a[70:], b[20:], rtol=1e-11, atol=1e-11)
