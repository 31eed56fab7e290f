"""Numbers that closed forms give, and what the estimators of volatility are for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft


def test_a_bar_that_returns_to_its_open() -> None:
    # Range 2a about an open that is the close: the three estimators in closed form.
    a = 0.01
    o, h, low = np.full(3, 100.0), np.full(3, 100 * np.exp(a)), np.full(3, 100 * np.exp(-a))
    assert_allclose(ft.parkinson(h, low, window=3)[-1], a / np.sqrt(np.log(2)), rtol=1e-12)
    assert_allclose(ft.garman_klass(o, h, low, o, window=3)[-1], np.sqrt(2) * a, rtol=1e-12)
    assert_allclose(ft.rogers_satchell(o, h, low, o, window=3)[-1], np.sqrt(2) * a, rtol=1e-12)
    # Neither gaps nor moves from open to close vary, so that only the ranges count: 1 - k with n = 2.
    weight = 1 - 0.34 / (1.34 + 3)
    assert_allclose(ft.yang_zhang(o, h, low, o, window=2)[-1], np.sqrt(2 * weight) * a, rtol=1e-12)


def _bars(drift: float, gap: float) -> list[np.ndarray]:
    """400 days of 2,000 steps, 1 % a day, as open, high, low and close."""
    random = np.random.default_rng(3)
    steps = random.normal(drift / 2000, 0.01 / np.sqrt(2000), (400, 2000))
    steps[:, 0] += random.normal(0, gap, 400)
    logs = np.cumsum(steps).reshape(400, 2000)
    return [np.exp(part) for part in (logs[:, 0], logs.max(axis=1), logs.min(axis=1), logs[:, -1])]


def test_ranges_find_the_volatility_that_made_them() -> None:
    bars = _bars(drift=0.0, gap=0.0)
    found = [kernel(*bars, window=400)[-1] for kernel in (ft.garman_klass, ft.rogers_satchell)]
    found += [ft.parkinson(*bars[1:3], window=400)[-1], ft.yang_zhang(*bars, window=399)[-1]]
    assert_allclose(found, 0.01, rtol=0.06)


def test_drift_and_gaps_mislead_only_those_that_say_so() -> None:
    bars = _bars(drift=0.02, gap=0.0)
    assert ft.parkinson(*bars[1:3], window=400)[-1] > 0.013
    assert_allclose(ft.rogers_satchell(*bars, window=400)[-1], 0.01, rtol=0.06)
    bars = _bars(drift=0.02, gap=0.01)
    assert_allclose(ft.rogers_satchell(*bars, window=400)[-1], 0.01, rtol=0.06)
    assert_allclose(ft.yang_zhang(*bars, window=399)[-1], np.sqrt(2) * 0.01, rtol=0.06)


def test_measures_that_jumps_do_not_spoil() -> None:
    r = np.random.default_rng(5).normal(0, 0.001, 4000)
    quiet = ft.realized_var(r, window=4000)[-1]
    jumped = r.copy()
    jumped[1234] += 0.1
    assert ft.realized_var(jumped, window=4000)[-1] > 3 * quiet
    for kernel in (ft.bipower_var, ft.minrv, ft.medrv):
        assert_allclose(kernel(r, window=3990)[-1], 3990 * 1e-6, rtol=0.06)
        assert_allclose(kernel(jumped, window=3990)[-1], kernel(r, window=3990)[-1], rtol=0.08)
    # n times the sum of fourth powers, over three: (n sigma^2)^2.
    assert_allclose(ft.tripower_quarticity(r, window=3990)[-1], (3990 * 1e-6) ** 2, rtol=0.12)
    assert not ft.jump_test(r, window=3990).jump[-1]
    assert ft.jump_test(jumped, window=3990).jump[-1]


def test_the_jump_test_is_wrong_as_often_as_it_says() -> None:
    z = ft.jump_test(np.random.default_rng(8).normal(size=200_002), window=200).z[201::200]
    assert_allclose([np.mean(z), np.std(z)], [0, 1], atol=0.15)
    assert np.mean(z > 1.645) == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("adjust", [True, False])
def test_two_scales_see_through_the_bounce(adjust: bool) -> None:
    random = np.random.default_rng(2)
    true, rows = 1e-4, 20_000
    logs = np.cumsum(random.normal(0, np.sqrt(true / rows), rows))
    price = 100 * np.exp(logs + random.choice([-5e-4, 5e-4], rows))
    r = ft.log_returns(price)
    assert ft.realized_var(r, window=rows - 1)[-1] > 50 * true
    found = ft.two_scales_rv(price, window=rows, min_periods=1, K=100, adjust=adjust)[-1]
    assert found == pytest.approx(true, rel=0.25)


def test_semivariances_add_up_to_the_variance() -> None:
    r = np.random.default_rng(4).normal(size=500)
    r[::7] = 0.0
    both = ft.realized_semivar(r, window=30)
    assert_allclose(both.rs_minus + both.rs_plus, ft.realized_var(r, window=30), rtol=1e-12)
    falls = ft.realized_semivar(np.concatenate([r[r > 0], r[r < 0]]), window=30)
    # Once the last rise has left, none of them is left in the sum.
    assert_array_equal(falls.rs_plus[np.sum(r > 0) + 29 :], 0.0)


def test_garch_needs_a_variance_to_start_from() -> None:
    with pytest.raises(ft.errors.ParameterError, match=r"alpha=0\.1 and beta=0\.9 must be less than 1 together"):
        ft.garch11_filter(np.zeros(3), omega=1e-6, alpha=0.1, beta=0.9)
    # Bollerslev's process has omega / (1 - alpha - beta) for its mean, whatever came before.
    sigma2 = ft.garch11_filter(np.array([5.0] + [np.nan] * 400), omega=0.2, alpha=0.1, beta=0.8)
    assert_allclose(sigma2[[0, 1, -1]], [2.0, 0.2 + 2.5 + 1.6, 2.0], rtol=1e-12)


def test_a_slow_scale_must_fit_into_its_window() -> None:
    with pytest.raises(ft.errors.ParameterError, match="K=21 must be at most window=20"):
        ft.two_scales_rv(np.ones(3), window=20, K=21)
    with pytest.raises(ft.errors.ParameterError, match="K=1 must be at least 2"):
        ft.two_scales_rv(np.ones(3), window="5s", K=1)
    with pytest.raises(ft.errors.ParameterError, match="do not fit together: K"):
        ft.two_scales_rv(np.ones(3), window=[20, 30], K=[2, 3, 4])
    with pytest.raises(ft.errors.ParameterError, match="do not fit together: beta"):
        ft.garch11_filter(np.ones(3), omega=1.0, alpha=[0.1, 0.2], beta=[0.1, 0.2, 0.3])
    prices = 100 + np.random.default_rng(0).normal(size=200)
    swept = ft.two_scales_rv(prices, window=[[50], [60]], K=[2, 5])
    assert_array_equal(swept[1, 1], ft.two_scales_rv(prices, window=60, K=5))
