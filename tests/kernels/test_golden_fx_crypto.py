"""Foreign exchange and crypto: textbook numbers, and the clocks of London."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.errors import DataError, ParameterError
from fintech_toolkit.kernels.fx import crosses
from fintech_toolkit.scan.names import key_of

nan = np.nan


def one(*values: float) -> list[np.ndarray]:
    return [np.array([value]) for value in values]


def test_currencies_are_known_by_their_keys() -> None:
    assert tuple(map(key_of, crosses.HUNDREDTHS)) == (crosses.YEN, crosses.FORINT, crosses.BAHT)


def test_hulls_forward() -> None:
    """Hull, Options, Futures, and Other Derivatives, example 5.6: AUD at 0.9800 USD, 1 % and 3 %, two years."""
    forward = ft.forward_points(*one(0.98, 0.01, 0.03, 2), compounding="continuous")
    assert_allclose(forward.forward, 0.9416, atol=5e-5)
    basis = ft.cip_basis(np.array([0.98]), forward.forward, *one(0.01, 0.03, 2), compounding="continuous")
    assert_allclose(basis, 0, atol=1e-9)


@pytest.mark.parametrize("compounding", ["simple", "continuous"])
def test_a_basis_that_was_planted_is_found(compounding: str) -> None:
    forward = ft.forward_points(*one(150, 0.001 - 0.004, 0.05, 0.25), compounding=compounding).forward
    found = ft.cip_basis(np.array([150.0]), forward, *one(0.001, 0.05, 0.25), compounding=compounding)
    assert_allclose(found, -40, rtol=1e-9)


def test_pips_and_crosses_in_yen() -> None:
    assert_allclose(
        ft.pip_value(np.array([1e5, 1e5, -1e5]), np.array(["USD", "JPY", "JPY"]), np.array([1, 0.01, 0.01])),
        [10, 10, -10],
    )
    # EUR/USD and USD/JPY; USD/CHF and USD/JPY.
    assert_allclose(np.ravel(ft.fx_cross_price(*one(1.1, 1.1002, 150, 150.02))), [165, 165.052004])
    assert_allclose(np.ravel(ft.fx_cross_price(*one(0.9, 0.901, 150, 150.3), via="inverse")), [150 / 0.901, 167])


def test_no_way_around_three_currencies_gains_at_consistent_quotes() -> None:
    quotes = one(1.1, 1.1002, 150, 150.02)
    cross = ft.fx_cross_price(*quotes)
    around = ft.triangular_arbitrage(*quotes, *cross)
    assert around.edge_bps[0] < 0
    assert around.route[0] == 0
    assert ft.triangular_arbitrage(*quotes, cross.cross_ask + 0.1, cross.cross_ask + 0.2).route[0] == -1
    assert ft.triangular_arbitrage(*quotes, cross.cross_bid - 0.2, cross.cross_bid - 0.1).route[0] == 1


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        ("2024-03-29", "16:00"),
        ("2024-04-01", "15:00"),
        ("2024-10-25", "15:00"),
        ("2024-10-28", "16:00"),
        ("2000-02-29", "16:00"),
    ],
)
def test_the_fix_on_either_side_of_a_clock_change(day: str, utc: str) -> None:
    fix = pd.Timestamp(f"{day} {utc}").as_unit("ns").value
    half = 150 * 10**9
    found = ft.wmr_schedule(fix + np.array([-half - 1, -half, 0, half, half + 1]))
    assert_array_equal(found.in_window, [False, True, True, True, False])
    assert_array_equal(found.fix_ts, fix)


def test_every_day_of_forty_years() -> None:
    ts = pd.date_range("1996-01-01 11:59", "2036-01-01", freq="D", unit="ns")
    expected = (ts.normalize() + pd.Timedelta(hours=16)).tz_localize("Europe/London").asi8
    found = ft.wmr_schedule(ts.asi8, window="12h")
    assert_array_equal(found.fix_ts, expected)
    assert_array_equal(found.in_window, (ts.day_of_week < 5) & (np.abs(ts.asi8 - expected) <= 6 * 3600 * 10**9))


def test_the_fix_is_known_when_its_window_is_over() -> None:
    ts = pd.DatetimeIndex(
        ["2024-01-02 15:58", "2024-01-02 16:02", "2024-01-02 16:03", "2024-01-03 16:00", "2024-01-04"]
    )
    found = ft.fix_impact(np.array([100.0, 102, 102.01, 90, 99]), ts=ts)
    assert_array_equal(found.fix, [nan, nan, 101, 101, 90])
    assert_allclose(found.fix_impact_bps, [nan, nan, 100, (90 / 101 - 1) * 1e4, 1000])


@pytest.mark.parametrize("day", ["2024-03-29", "2024-10-25"])
def test_fixes_of_days_on_which_clocks_change(day: str) -> None:
    ts = pd.date_range(day, periods=1_200, freq="241s") + pd.Timedelta("10min")
    price = 100 + np.random.default_rng(1).normal(size=len(ts)).cumsum() / 10
    (oracle,) = ft.fix_impact.oracles
    for fix_time in ("16h", "10h"):
        found = ft.fix_impact(price, ts=ts, window="30min", fix_time=fix_time)
        expected = oracle(price, ts.as_unit("ns").asi8, window="30min", fix_time=fix_time)
        assert len(np.unique(found.fix)) > 1
        assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_funding_and_basis_by_hand() -> None:
    apr, apy = ft.funding_apr(np.array([0.0001, -1.0, nan]))
    assert_allclose(apr, [0.1095, -1095, nan])
    assert_allclose(apy, [1.0001**1095 - 1, -1, nan])
    fair = ft.perp_fair_price(np.full(3, 100.0), np.full(3, 0.01), ts=np.array([0, 2, 4]), unit="s", interval="4s")
    assert_allclose(fair, [100, 100.5, 100])
    assert_allclose(ft.basis_annualized(*one(105, 100, 0.5)).basis_annualized, 0.1)
    assert_allclose(ft.dominance_index(*one(60, 40, nan)), 0.52)
    assert_allclose(ft.pnl_fx(*one(0, 5, nan, 2)), 10)
    assert np.isnan(ft.pnl_fx(*one(1, 5, nan, 2)))[0]


def test_liquidations_add_up() -> None:
    random = np.random.default_rng(3)
    entry, size = random.uniform(90, 110, 500), random.normal(size=500)
    leverage, grid = random.uniform(1, 50, 500), np.linspace(80, 120, 21)
    found = ft.liquidation_density(entry, size, leverage, grid)
    (oracle,) = ft.liquidation_density.oracles
    assert_allclose(np.append(*found[:2]), np.append(*oracle(entry, size, leverage, grid)[:2]), rtol=1e-9)
    assert found.density @ np.diff(grid) + found.below + found.above == pytest.approx(np.abs(size).sum())
    with pytest.raises(DataError, match=r"leverage .* row 1"):
        ft.liquidation_density([1, 1], [1, 1], [2, 0.5], [1, 2])
    with pytest.raises(ParameterError, match="maintenance"):
        ft.liquidation_density([1], [1], [2], [1, 2], maintenance=1)
