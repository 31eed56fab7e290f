"""Market quality: numbers worked out by hand, and who leads two prices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft

nan = np.nan


def test_trades_against_the_best_quotes() -> None:
    price = np.array([100.2, 100.0, 99.9, 100.1, 100.3, nan, 100.1])
    side = np.array([1.0, -1, -1, 1, 1, 1, 0])
    bid, ask = (
        np.array([100.0, 100, 100, 100, 100, 100, 100.2]),
        np.array([100.2, 100.2, 100.2, 100.2, 100.2, 101, 100.1]),
    )
    # At the ask; at the bid; sold below the bid; bought in the middle; bought above; no trade; crossed.
    result = ft.price_improvement(price, side, bid, ask)
    assert_allclose(result.improvement, [0, 0, -0.1, 0.1, -0.1, nan, nan], atol=1e-12)
    assert_allclose(result.improvement_bps[3], 0.1 / 100.1 * 1e4, rtol=1e-9)
    assert_array_equal(ft.inside_spread(price, bid, ask), [2, 2, 3, 1, 3, 0, 0])
    assert_array_equal(ft.inside_spread([100.0, 100.1], [100.0] * 2, [100.0] * 2), [2, 3])  # a locked market


def test_rates_by_hand() -> None:
    ts = np.array([0, 1, 1, 4, 4])
    assert_allclose(ft.trade_velocity(ts, unit="s", window="4s"), [0.25, 0.5, 0.75, 0.75, 1.0])
    assert_allclose(ft.trade_velocity(ts, unit="s", window=2), [nan, nan, 2, 2 / 3, 2 / 3])
    assert_array_equal(ft.trade_velocity([5, 5, 5], unit="s", window=2), [nan, nan, nan])
    with pytest.raises(ft.DataError, match="ts looks like seconds"):
        ft.trade_velocity(1_704_189_598 + ts, window="4s")
    frame = pd.DataFrame({"symbol": "A", "when": 1_704_189_598 + ts})
    of_frame = ft.trade_velocity(frame, "when", time="when", unit="s", window="4s")["trade_velocity"]
    assert_array_equal(of_frame, ft.trade_velocity(ts, unit="s", window="4s"))
    # Changes after 1 s and after 3 s more; the incomplete quote and the repeated one change nothing.
    bid, ask = np.array([99.0, 98, nan, 97, 97]), np.full(5, 100.0)
    stable = ft.quote_stability(bid, ask, ts=ts, unit="s", window="8s")
    assert_allclose(stable.changes_per_second, [0, 1 / 8, 1 / 8, 2 / 8, 2 / 8])
    assert_allclose(stable.mean_life, [nan, 1, 1, 2, 2])
    assert_allclose(
        ft.quote_stability(bid, ask, ts=ts, unit="s", window=2).changes_per_second, [nan, nan, 1, 1 / 3, 1 / 3]
    )


@pytest.mark.parametrize("window", [10, "10s"])
@pytest.mark.parametrize("print_of", [0.0, 1e12])
def test_quote_volatility_is_that_of_the_changes(window: Any, print_of: float) -> None:
    """To the bit, so that what holds for the digits of rolling_std holds here."""
    random = np.random.default_rng(0)
    mid = 100 + np.cumsum(random.normal(size=300))
    mid[100] += print_of
    mid[random.random(300) < 0.1] = nan
    options: dict[str, Any] = {"window": window, "min_periods": 2, "ts": np.arange(300), "unit": "s"}
    assert_array_equal(ft.quote_volatility(mid, **options), ft.rolling_std(ft.diff(mid), **options))


def test_exposure_beyond_its_limits() -> None:
    checked = ft.exposure_limits([nan, 10.0, 10.0, nan, -10.0], [5.0, 5.0, 5.1, nan, nan], max_long=50, max_short=50)
    assert_allclose(checked.exposure, [nan, 50, 51, 51, -51])
    assert_array_equal(checked.breach, [nan, 0, 1, 1, -1])


def dealers(noise: float, seed: int = 1, rows: int = 4000) -> tuple[Any, Any]:
    """A dealer who knows the value, and one who follows a row later."""
    random = np.random.default_rng(seed)
    value = 100 + np.cumsum(random.normal(size=rows))
    leader = value + random.normal(scale=noise, size=rows)
    return leader, np.append(value[0], value[:-1]) + random.normal(scale=0.5, size=rows)


@pytest.mark.parametrize("lags", [0, 1, 3])
def test_shares_are_what_news_does_in_the_long_run(lags: int) -> None:
    """The oracle lets news come to the fitted model and waits until both prices have settled."""
    prices = dealers(0.3)
    registry = ft.kernels.registry()
    expected = registry["component_share"].oracles[0](*prices, lags=lags)
    assert_allclose(ft.component_share(*prices, lags=lags), expected, rtol=1e-6)
    shares = ft.information_share(*prices, lags=lags)
    assert_allclose(shares, registry["information_share"].oracles[0](*prices, lags=lags), rtol=1e-6, atol=1e-9)
    assert_allclose(shares.mid.sum(), 1, rtol=1e-12)


def test_the_planted_leader_is_found() -> None:
    leader, follower = dealers(0.1)
    for a, b, first in ((leader, follower, 0), (follower, leader, 1)):
        assert ft.information_share(a, b).mid[first] > 0.95
        assert ft.component_share(a, b)[first] > 0.8
    windows = ft.information_share(leader, follower, window=1000)
    assert windows.mid.shape == (4, 2)
    assert (windows.mid[:, 0] > 0.9).all()
    assert_array_equal(windows.mid[1], ft.information_share(leader[1000:2000], follower[1000:2000]).mid)
    gaps = leader.copy()
    gaps[::7] = nan
    assert_array_equal(
        ft.component_share(gaps, follower), ft.component_share(leader[~np.isnan(gaps)], follower[~np.isnan(gaps)])
    )


def test_no_shares_where_nothing_can_be_said() -> None:
    leader, follower = dealers(0.1, rows=12)
    assert np.isnan(ft.component_share(leader, follower)).all()
    assert np.isnan(ft.information_share(np.ones(50), np.ones(50)).mid).all()
    with pytest.raises(ft.DataError, match="one length"):
        ft.component_share(leader, follower[1:])
    with pytest.raises(ft.ParameterError, match=r"lags=1\.5 must be a whole number from 0"):
        ft.component_share(leader, follower, lags=1.5)
    with pytest.raises(ft.ParameterError, match="window=0 must be"):
        ft.information_share(leader, follower, window=0)


def test_a_latency_beyond_int64_is_told_all_the_same() -> None:
    """The difference of the least and the greatest time is no int64."""
    greatest = np.iinfo(np.int64).max
    told = ft.latency(np.array([-greatest, greatest, 0]), np.array([greatest, -greatest, greatest]))
    np.testing.assert_allclose(told, [2 * greatest / 1e9, -2 * greatest / 1e9, greatest / 1e9], rtol=1e-14)
