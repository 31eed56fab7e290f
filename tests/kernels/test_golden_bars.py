"""Bars, labels and transforms worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft

nan = np.nan
PRICE = np.array([10.0, 12.0, 11.0, nan, 9.0, 10.0])
SIZE = np.array([1.0, 2.0, nan, 5.0, 4.0, 9.0])


def test_bars_of_three_trades() -> None:
    bars = ft.tick_bars(PRICE, SIZE, ts=np.arange(6), bar_size=3)
    assert_array_equal(bars.ts, [0, 4])
    assert_array_equal([bars.open, bars.high, bars.low, bars.close], [[10, 9], [12, 10], [10, 9], [11, 10]])
    assert_array_equal([bars.volume, bars.count], [[3, 13], [3, 2]])
    assert_allclose(bars.vwap, [34 / 3, 126 / 13], rtol=1e-15)
    assert_array_equal(bars.complete, [True, False])


def test_bars_of_volume_whole_and_split() -> None:
    whole = ft.volume_bars(PRICE, SIZE, ts=np.arange(6), bar_size=5)
    assert_array_equal([whole.ts, whole.volume, whole.count], [[0, 5], [7, 9], [3, 1]])
    assert_array_equal([whole.close, whole.bars], [[9, 10], [1, 1]])
    split = ft.volume_bars(PRICE, SIZE, ts=np.arange(6), bar_size=5, split=True)
    # 1 + 2 + 2 of 4; then 2 of 4 and 3 of 9; then 5 of 9; 1 is left.
    assert_array_equal([split.ts, split.volume, split.count], [[0, 4, 5, 5], [5, 5, 5, 1], [3, 2, 1, 1]])
    assert_allclose(split.vwap, [(10 + 24 + 18) / 5, (18 + 30) / 5, 10, 10], rtol=1e-15)
    assert_array_equal([split.complete, split.bars], [[1, 1, 1, 0], [1, 1, 1, 0]])


@pytest.mark.parametrize("kernel", ["volume_bars", "dollar_bars"])
def test_a_size_by_mistake_is_no_flood_of_bars(kernel: str) -> None:
    price, size = np.full(3, 1.0), np.array([0.25, 1e15, 1.0])
    bars = getattr(ft, kernel)(price, size, ts=np.arange(3), bar_size=0.5, split=True)
    assert_array_equal(bars.bars, [1, 2 * 10**15 - 1, 1, 1, 0])
    assert bars.volume.sum() == pytest.approx(1e15, rel=1e-12)


def test_bars_of_value_are_bars_of_volume_at_one_price() -> None:
    size = np.random.default_rng(1).integers(1, 50, 300) / 10
    volume, value = (
        kernel(np.full(300, 4.0), size, ts=np.arange(300), bar_size=bar_size, split=True)
        for kernel, bar_size in ((ft.volume_bars, 7.5), (ft.dollar_bars, 30))
    )
    assert_array_equal(value.ts, volume.ts)
    assert_allclose(value.volume, volume.volume, rtol=1e-12)


def test_imbalance_bars_adapt() -> None:
    # First bar: 4 trades, imbalance 2, so E[T] = 4 and E[b] = 0.5; the next ends at an imbalance of 2, after 2 trades.
    # With span 3 the newest bar weighs half: E[T] = 3, E[b] = 0.75, and it takes 2.25, so 3 sales.
    side = np.array([1.0, 1.0, 1.0, -1.0, 1.0, 1.0, -1.0, -1.0, -1.0, nan])
    bars = ft.imbalance_bars(np.full(10, 5.0), np.ones(10), side, ts=np.arange(10), initial=4, span=3)
    assert_array_equal([bars.ts, bars.count], [[0, 4, 6, 9], [4, 2, 3, 1]])
    assert_array_equal([bars.imbalance, bars.complete], [[2, 2, -3, 0], [1, 1, 1, 0]])


def test_sums_beyond_float64_end_no_bars_for_ever() -> None:
    size = np.concatenate([[1.0, 1e308, 1e308, np.inf], np.ones(40)])
    bars = ft.imbalance_bars(np.ones(44), size, np.ones(44), ts=np.arange(44), initial=4, of="volume", span=1)
    # The first bar has the first of the two only; the unfinished one waits for as much again.
    assert_array_equal(bars.imbalance, [1e308, 40.0])


def test_labels_wait_for_their_horizon() -> None:
    price, ts = np.array([100.0, 101.0, nan, 101.0, 90.0]), np.array([0, 1, 2, 4, 9])
    rows = ft.label_next_move(price, ts=ts, unit="s", horizon="3s")
    # At 3 s the price was 101; at 4 s it still was; at 7 s it still was; of 12 s nobody knows.
    assert_array_equal([rows.label, rows.complete], [[1, 0, 0, 0], [1, 1, 1, 0]])
    run = ft.Pipeline(ft.label_next_move("price", horizon=2)).start()
    known = [len(run.tick("A", i, price=p)) for i, p in enumerate([1.0, 2.0, 3.0, 1.0])]
    assert known == [0, 0, 1, 1]


def test_power_transforms_of_published_lambdas() -> None:
    x = np.array([0.5, 1.0, 2.0, 8.0])
    assert_allclose(ft.boxcox(x, lamb=0), np.log(x), rtol=1e-15)
    assert_allclose(ft.boxcox(x, lamb=1), x - 1, rtol=1e-14)
    assert_allclose(ft.boxcox(x, lamb=1e-12), np.log(x), rtol=1e-11)
    # Symmetric: psi(lambda, x) = -psi(2 - lambda, -x).
    assert_allclose(ft.yeo_johnson(x, lamb=0.3), -ft.yeo_johnson(-x, lamb=1.7), rtol=1e-14)
    assert_allclose(ft.yeo_johnson(np.array([-2.0, 0.0, 3.0]), lamb=1), [-2, 0, 3], rtol=1e-15)
