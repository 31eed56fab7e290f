"""Risk: numbers worked out by hand, and digits kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.errors import DataError

nan = np.nan


def test_drawdown_by_hand() -> None:
    fall = ft.drawdown([nan, 100.0, 80.0, nan, 90.0, 100.0, 50.0])
    assert_allclose(fall.drawdown, [nan, 0, -0.2, nan, -0.1, 0, -0.5])
    assert_array_equal(fall.peak, [nan, 100, 100, 100, 100, 100, 100])
    assert_array_equal(fall.duration, [0, 0, 1, 1, 2, 0, 1])
    assert_array_equal(ft.drawdown([-5.0, -6.0]).drawdown, [nan, nan])


def test_tails_by_hand() -> None:
    pnl = np.array([5.0, -3, 1, -7, 2, 4])
    # Of 1, -7, 2 and 4 in order the quantile at 0.5 is 1.5; the two least are -7 and 1.
    assert_array_equal(ft.historical_var(pnl, window=4, alpha=0.5), [nan, nan, nan, 1, 1, -1.5])
    assert_array_equal(ft.historical_cvar(pnl, window=4, alpha=0.5), [nan, nan, nan, 5, 5, 3])
    assert_array_equal(ft.rolling_quantile(pnl, window=4, q=[0.0, 1.0])[:, -1], [-7, 4])


def test_the_tail_of_a_normal_distribution() -> None:
    """The table of the normal distribution: 1.6449 and, beyond that, 2.0627 deviations."""
    pnl = np.random.default_rng(0).normal(size=200_000)
    options: dict[str, Any] = {"window": 200_000, "alpha": 0.05}
    assert_allclose(ft.historical_var(pnl, **options)[-1], 1.6449, rtol=0.01)
    assert_allclose(ft.historical_cvar(pnl, **options)[-1], 2.0627, rtol=0.01)
    normal = np.array([[1.0], [2.0], [0.0], [0.0]])
    assert_allclose(ft.cornish_fisher_var(*normal, alpha=0.05), 2 * 1.644854 - 1, rtol=1e-6)
    assert_allclose(ft.cornish_fisher_var(*normal, alpha=[0.01, 0.05])[0], 2 * 2.326348 - 1, rtol=1e-6)


def test_ratios_by_hand() -> None:
    r = np.array([0.01, 0.03, -0.01, 0.01, nan, 0.02])
    # A mean of 0.01 with a deviation of √(0.0008 / 3), and one loss of 0.01 in four returns.
    assert_allclose(ft.rolling_sharpe(r, window=4, periods=4)[3], 2 * 0.01 / np.sqrt(0.0008 / 3))
    assert_allclose(ft.rolling_sortino(r, window=4, periods=4)[3], 2 * 0.01 / np.sqrt(0.0001 / 4))
    assert np.isnan(ft.rolling_sharpe([0.1, 0.1, 0.1], window=3)[-1])
    assert np.isnan(ft.rolling_sortino([0.1, 0.1, 0.1], window=3)[-1])


def test_sizes_by_hand() -> None:
    assert_array_equal(ft.vol_target([0.2, 0.1, 0.0, nan, -0.1], target=0.1, cap=2), [0.5, 1, 2, nan, nan])
    assert_allclose(ft.kelly_fraction([0.05, 0.05, -1.0], [0.04, 0.0, 0.1], cap=3), [1.25, nan, -3])
    assert_allclose(ft.kelly_fraction([0.6, 0.3, 1.2], [1.0, 1.0, 1.0], of="odds"), [0.2, 0, nan])


@pytest.mark.parametrize("window", [10, "10s"])
def test_digits_of_ratios(window: Any) -> None:
    """A print that has left leaves nothing behind: what follows is as if it had never been."""
    r = np.random.default_rng(2).normal(size=200)
    r[60] = -1e12
    options: dict[str, Any] = {"window": window, "min_periods": 2, "unit": "s"}
    for ratio in (ft.rolling_sharpe, ft.rolling_sortino):
        clean = ratio(r[70:], **options, ts=np.arange(130))[20:]
        assert_allclose(ratio(r, **options, ts=np.arange(200))[90:], clean, rtol=1e-9, atol=1e-12)


def test_peaks_over_a_threshold_find_the_tail_of_a_pareto() -> None:
    """P(loss > x) = x^-4 beyond 1: the loss of one in 1,000 is 5.62, and the mean of those beyond is 4/3 of it."""
    n = 4000
    loss = ((np.random.default_rng(4).permutation(n) + 0.5) / n) ** -0.25
    found = ft.evt_pot_var(-loss, window=n, threshold=0.95, alpha=1e-3)
    assert_allclose([found.var[-1], found.es[-1]], [1000**0.25, 4 / 3 * 1000**0.25], rtol=0.03)


def test_matrices_agree_with_their_oracles() -> None:
    random = np.random.default_rng(5)
    returns = random.normal(size=(80, 6)) @ random.normal(size=(6, 6))
    returns[[3, 40], [1, 5]] = nan, np.inf
    for options in ({"alpha": 0.06}, {"halflife": 10, "bias": True}):
        (oracle,) = ft.ewcov_matrix.oracles
        assert_allclose(ft.ewcov_matrix(returns, **options), oracle(returns, **options), rtol=1e-9)
    whole = returns[np.isfinite(returns).all(axis=1)]
    (oracle,) = ft.ledoit_wolf_shrinkage.oracles
    shrunk, expected = ft.ledoit_wolf_shrinkage(returns), oracle(whole)
    assert_allclose(shrunk.covariance, expected[0], rtol=1e-9)
    assert_allclose(shrunk.shrinkage, expected[1], rtol=1e-9)
    assert 0 < shrunk.shrinkage < 1
    assert np.isnan(ft.ewcov_matrix(returns[:1], alpha=0.5)).all()


def test_contributions_to_risk_are_the_budgets() -> None:
    random = np.random.default_rng(6)
    factors = random.normal(size=(12, 12)) * 10.0 ** random.integers(-3, 3, 12)[:, None]
    matrix = factors @ factors.T
    budgets = random.uniform(0.5, 2, 12)
    for share in (None, budgets):
        weights = ft.risk_parity_weights(matrix, share)
        parts = weights * (matrix @ weights) / (weights @ matrix @ weights)
        assert_allclose(parts, np.full(12, 1 / 12) if share is None else budgets / budgets.sum(), rtol=1e-8)
        assert weights.sum() == pytest.approx(1)
        assert (weights > 0).all()
    (oracle,) = ft.risk_parity_weights.oracles
    small = [[0.04, 0.006, 0.0], [0.006, 0.09, -0.01], [0.0, -0.01, 0.01]]
    assert_allclose(ft.risk_parity_weights(small), oracle(small), rtol=1e-7)


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        ([[1.0, 2.0]], "square"),
        ([[1.0, 0.5], [0.4, 1.0]], "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "positive definite"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ft.risk_parity_weights(covariance)
