"""Plans of execution against their oracles, the paper's example, and what may never happen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft

ORACLES = {name: kernel.oracles[0] for name, kernel in ft.kernels.registry().items() if kernel.oracles}
PAPER: dict[str, Any] = {"horizon": 5, "slices": 5, "sigma": 0.95, "eta": 2.5e-6, "gamma": 2.5e-7}


def test_the_schedule_of_almgren_and_chriss() -> None:
    """Their example: with a risk aversion of 1e-6 the trade has a half-life of 1 / κ = 1 / 0.61 = 1.6 days."""
    slices = ft.optimal_ac_schedule(1e6, lamb=1e-6, **PAPER)
    left = 1e6 - np.cumsum(slices)
    kappa = np.arccosh((left[0] + left[2]) / (2 * left[1]))
    assert_allclose([kappa, 1 / kappa], [0.61, 1.6], atol=0.05)


@pytest.mark.parametrize("lamb", [0, 1e-9, 1e-6, 1e-3])
def test_no_schedule_costs_less(lamb: float) -> None:
    expected = ORACLES["optimal_ac_schedule"](-1e6, lamb=lamb, **PAPER)
    slices = ft.optimal_ac_schedule(-1e6, lamb=lamb, **PAPER)
    assert_allclose(slices, expected, rtol=1e-6, atol=1e-6)
    assert_allclose(slices.sum(), -1e6, rtol=1e-12)
    with pytest.raises(ft.ParameterError, match="eta"):
        ft.optimal_ac_schedule(1, **PAPER | {"gamma": 1})


@pytest.mark.parametrize("sign", [1, -1])
def test_a_simulated_schedule_is_a_queue(sign: int) -> None:
    random = np.random.default_rng(4)
    schedule, volume = sign * random.integers(0, 50, 60), random.integers(0, 120, 60).astype(float)
    price = 100 + random.normal(size=60).cumsum()
    price[[0, 7]], volume[20] = np.nan, np.nan
    found = ft.schedule_simulator(schedule, price, volume, participation=0.4)
    expected = ORACLES["schedule_simulator"](schedule, price, volume, participation=0.4)
    for actual, wanted in zip(found, expected, strict=True):
        assert_allclose(actual, wanted, rtol=1e-9, atol=1e-9)
    assert_allclose(found.fills.sum() + found.unfilled, schedule.sum())
    with pytest.raises(ft.DataError, match="row 1"):
        ft.schedule_simulator([1, -1, 1], [1, 1, 1], [1, 1, 1])


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("seed", range(6))
def test_no_way_through_the_books_costs_less(seed: int, side: int) -> None:
    random = np.random.default_rng(seed)
    price = 10 + np.sort(side * random.integers(0, 8, (3, 2)), axis=1) * 0.01
    size = random.integers(1, 4, (3, 2)).astype(float)
    price[2, 1] = np.nan
    fees, quantity = random.integers(-20, 30, 3), int(random.integers(3, 14))
    routed = ft.smart_order_router(price, size, quantity, fee_bps=fees, side=side)
    _, cost, unfilled = ORACLES["smart_order_router"](price, size, quantity, fee_bps=fees, side=side)
    assert_allclose([routed.cost, routed.unfilled], [cost, unfilled], rtol=1e-12)
    assert_allclose(routed.allocation.sum() + routed.unfilled, quantity)
    assert (routed.allocation <= np.where(np.isnan(price), 0, size)).all()


@pytest.mark.parametrize("jitter", [0, 0.3, 0.99])
@pytest.mark.parametrize(("quantity", "display"), [(1000, 300), (7, 10), (12_345, 17), (50, 1)])
def test_an_iceberg_melts_to_the_last_unit(quantity: int, display: int, jitter: float) -> None:
    slices = ft.iceberg_slicer(quantity, display, jitter=jitter, seed=3)
    assert slices.sum() == quantity
    assert (slices >= 1).all()
    assert slices.max() <= round(display * (1 + jitter))
    assert_array_equal(slices, ft.iceberg_slicer(quantity, display, jitter=jitter, seed=3))


def test_quotes_never_cross() -> None:
    random = np.random.default_rng(5)
    bid = np.round(random.uniform(0.01, 500, 20_000), 2)
    ask = bid + random.integers(1, 5, 20_000) * 0.01
    quotes = ft.post_only_shading(bid, ask, random.uniform(-3, 3, 20_000), tick=0.01, shade=7)
    assert (quotes.bid_quote < ask).all()
    assert (quotes.ask_quote > bid).all()
    assert (quotes.bid_quote < quotes.ask_quote).all()
