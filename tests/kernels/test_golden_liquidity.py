"""Liquidity: planted spreads and impacts are found, and digits kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft

nan = np.nan


def bars(spread: float, days: int = 3000, volatility: float = 0.02, trades: int = 390) -> tuple[Any, Any, Any]:
    """Close, high and low of days of trades at either side of a value that walks at random."""
    random = np.random.default_rng(1)
    value = np.cumsum(random.normal(scale=volatility / trades**0.5, size=days * trades))
    price = np.exp(value + random.choice([-1, 1], days * trades) * spread / 2).reshape(days, trades)
    return price[:, -1], price.max(axis=1), price.min(axis=1)


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_ranges_tell_the_spread(spread: float) -> None:
    close, high, low = bars(spread)
    assert_allclose(ft.abdi_ranaldo_spread(close, high, low, window=2999)[-1], spread, rtol=0.25)
    assert_allclose(np.nanmean(ft.corwin_schultz_spread(high, low)), spread, rtol=0.5)


def test_corwin_and_schultz_by_hand() -> None:
    # Two bars of one range: α = √β (√2 - 1) / (3 - 2√2) - √γ / √(3 - 2√2) with √β = √2 h, √γ = h, so that α = h.
    h = np.log(102 / 100)
    spread = ft.corwin_schultz_spread([102.0, 102.0, nan, 102.0, 102.0], [100.0, 100.0, 100.0, 100.0, 103.0])
    once = 2 * (np.exp(h) - 1) / (1 + np.exp(h))
    assert_allclose(spread, [nan, once, nan, nan, nan], rtol=1e-9)
    assert ft.corwin_schultz_spread([102.0, 112.0], [100.0, 110.0])[1] == 0.0


def test_a_bounce_tells_the_spread() -> None:
    random = np.random.default_rng(0)
    price = 100 + np.cumsum(random.normal(scale=0.01, size=20_000)) + random.choice([-0.05, 0.05], 20_000)
    assert_allclose(ft.roll_spread(price, window=19_000)[-1], 0.1, rtol=0.05)
    assert ft.roll_spread(np.arange(50.0) ** 2, window=20)[-1] == 0.0  # changes that follow one another


def test_impact_that_was_planted_is_found() -> None:
    random = np.random.default_rng(0)
    flow = np.round(random.normal(scale=500, size=400))
    r = 2e-6 * flow + random.normal(scale=1e-6, size=400)
    assert_allclose(ft.kyle_lambda(r, flow, window=400)[-1], 2e-6, rtol=1e-3)


def test_turnover_by_hand() -> None:
    size, ts = np.array([8.0, nan, 2, 4, -1]), np.array([0, 1, 3, 3, 5])
    assert_allclose(ft.turnover(size, ts=ts, unit="s", window="2s"), [4, 4, 1, 3, nan])
    assert_allclose(ft.turnover(size, ts=ts, unit="s", window=3, min_periods=1), [nan, nan, 2 / 3, 6 / 3, 6 / 4])


@pytest.mark.parametrize("window", [10, "10s"])
def test_digits_are_those_of_what_they_are_made_of(window: Any) -> None:
    """To the bit, bad prints and gaps included: what holds for the digits of means and slopes holds here."""
    random = np.random.default_rng(3)
    r, volume, price = random.normal(size=(3, 300))
    r[100], volume[140], price[60] = 1e17, 1e12, 1e17
    r[200:205], price[random.random(300) < 0.1] = nan, nan
    options: dict[str, Any] = {"window": window, "min_periods": 2, "ts": np.arange(300), "unit": "s"}
    assert_array_equal(ft.kyle_lambda(r, volume, **options), ft.rolling_beta(r, volume, **options))
    notional = np.abs(volume)
    assert_array_equal(ft.amihud_illiquidity(r, notional, **options), ft.rolling_mean(np.abs(r) / notional, **options))
    # Against a window that never saw the print.
    clean = ft.roll_spread(price[70:], **options | {"ts": np.arange(230)})
    assert np.isfinite(clean[20:]).mean() > 0.9
    assert_allclose(ft.roll_spread(price, **options)[90:], clean[20:], rtol=1e-9, atol=1e-12)
    bar = (
        np.exp(np.where(np.isnan(price), 0.0, np.clip(price, -3, 9))),
        np.full(300, np.exp(10)),
        np.full(300, np.exp(-4)),
    )
    whole = ft.abdi_ranaldo_spread(*bar, **options)[90:]
    assert_allclose(whole, ft.abdi_ranaldo_spread(*(c[70:] for c in bar), **options | {"ts": np.arange(230)})[20:])
    size = np.where(np.arange(300) == 60, 1e17, np.abs(volume))
    part = ft.turnover(size[70:], **options | {"ts": np.arange(230)})[20:]
    assert_allclose(ft.turnover(size, **options)[90:], part, rtol=1e-9)
