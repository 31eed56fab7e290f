"""What is computed of a whole series at once, or for several values of a parameter at a time: the bits of one tick
after the other, by way of frames, which know nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.scan import arrays, threads
from fintech_toolkit.scan.declaration import Kernel

ALL = {name: kernel for name, kernel in kernels.registry().items() if kernel.series is not None}
RANGES: dict[str, list[dict[str, Any]]] = {
    "donchian_channel": [
        {"window": w, "min_periods": least} for w in (1, 2, 7, 20, 2_000) for least in {1, (w + 1) // 2, w}
    ],
    "stochastic_osc": [
        {"k": k, "d": d, "slowing": slowing} for k in (1, 2, 7, 20, 2_000) for d in (1, 4) for slowing in (1, 3)
    ],
}
WHOLE = [name for name, kernel in ALL.items() if kernel.name not in RANGES]


def bits(values: Any) -> Any:
    """Return floats as whole numbers, so that 0.0 is not -0.0, and all NaNs as one."""
    values = np.asarray(values, np.float64)
    return np.where(np.isnan(values), np.nan, values).view(np.int64)


def coarse(rows: int, dirt: float, rng: np.random.Generator) -> Any:
    """Return few different values, zeros of both signs among them, some missing or infinite."""
    x = np.round(rng.normal(size=rows), 1) * rng.choice([-1.0, 1.0], rows)
    x[rng.random(rows) < 0.1] = -0.0
    x[rng.random(rows) < dirt] = np.nan
    x[rng.random(rows) < dirt / 4] = np.inf
    x[rng.random(rows) < dirt / 4] = -np.inf
    return x


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("dirt", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 10, 199, 200, 201, 1003])
def test_a_whole_series_at_once_has_the_bits_of_its_ticks(name: str, dirt: float, rows: int) -> None:
    kernel, x = kernels.get(name), coarse(rows, dirt, np.random.default_rng(rows))
    one = np.full(rows, "A")
    for window in (1, 2, 3, 7, 20, 100, 2_000):
        for least in {1, (window + 1) // 2, window}:
            expected = kernel(x, symbol=one, window=window, min_periods=least)
            found = kernel(x, window=window, min_periods=least)
            assert_array_equal(bits(found), bits(expected), err_msg=f"window={window}, min_periods={least}")


@pytest.mark.parametrize("name", WHOLE)
def test_series_that_begin_late_or_stand_still_have_the_bits_of_their_ticks(name: str) -> None:
    kernel, rng = kernels.get(name), np.random.default_rng(5)
    still = np.repeat([0.1, 0.3, -0.0, 0.0, 7.1, 1e308, 1e308, 0.1], [1, 9, 4, 3, 30, 1, 2, 25])
    late = np.concatenate([np.full(5, np.nan), [np.inf], rng.normal(size=60)])
    for x in (still, late, np.concatenate([late, still]), 100 + np.round(rng.random(300), 1) / 10):
        for window in (1, 2, 3, 8, 40, 500):
            expected = kernel(x, symbol=["A"] * len(x), window=window, min_periods=1)
            assert_array_equal(bits(kernel(x, window=window, min_periods=1)), bits(expected), err_msg=str(window))


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("dirt", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("rows", [0, 1, 2, 10, 201])
def test_ranges_of_a_whole_series_have_the_bits_of_their_bars(name: str, dirt: float, rows: int) -> None:
    kernel, rng, one = kernels.get(name), np.random.default_rng(rows), np.full(rows, "A")
    columns = [coarse(rows, dirt, rng) for _ in kernel.reads]
    for parameters in RANGES[name]:
        expected, found = kernel(*columns, symbol=one, **parameters), kernel(*columns, **parameters)
        for column in found._fields:
            assert_array_equal(
                bits(getattr(found, column)), bits(getattr(expected, column)), err_msg=f"{column}: {parameters}"
            )


def test_of_equal_prices_the_oldest_is_the_highest() -> None:
    """However often the window was turned since: a zero keeps its sign until it leaves."""
    price = np.array([-0.0, 0.0, 0.0, -0.0, 0.0])
    for symbol in (None, ["A"] * 5):
        channel = ft.donchian_channel(price, price, window=3, symbol=symbol)
        assert_array_equal(np.signbit(channel.upper[2:]), [True, False, False])
        assert_array_equal(np.signbit(channel.lower[2:]), [True, False, False])


def test_a_kernel_may_leave_a_series_to_its_ticks() -> None:
    """A median over a large window is not found at once."""
    x = coarse(700, 0.02, np.random.default_rng(3))
    for window in (127, 128, 129, 300):
        found = ft.rolling_median(x, window=window, min_periods=5)
        assert_array_equal(bits(found), bits(ft.rolling_median(x, symbol=["A"] * 700, window=window, min_periods=5)))


def test_a_window_may_be_longer_than_any_series() -> None:
    x = np.array([2.0, 3.0, 1.0])
    assert_array_equal(ft.rolling_max(x, window=2**62, min_periods=1), [2, 3, 3])
    assert_array_equal(ft.rolling_min(x, window=2**62), [np.nan] * 3)
    assert_array_equal(ft.rolling_median(x, window=2**40, min_periods=2), [np.nan, 2.5, 2])


@pytest.mark.parametrize("values", [1, 4, 5, 6, 12])
@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("name", ["ewma", "macd", "rolling_mean", "rolling_max", "rsi", "log_returns"])
def test_a_sweep_has_the_bits_of_its_calls(name: str, few: int, values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many values there are, and whether or not threads share them."""
    monkeypatch.setattr(threads, "FEW", few)
    rng = np.random.default_rng(values)
    kernel: Kernel = getattr(ft, name)
    sweeps: dict[str, dict[str, Any]] = {
        "ewma": {"alpha": rng.random(values), "min_periods": [[0], [3]]},
        "macd": {"fast": rng.integers(2, 9, values), "seed": "sma"},
        "rolling_mean": {"window": rng.integers(1, 9, values), "min_periods": 1},
        "rolling_max": {"window": rng.integers(2, 9, values), "min_periods": [[1], [2]]},
        "rsi": {"period": rng.integers(2, 9, values)},
    }
    sweep = sweeps.get(name, {})
    for x in (coarse(120, 0.05, rng), coarse(120, 0.05, rng).reshape(40, 3)):
        swept = np.broadcast_shapes(*(np.shape(value) for value in sweep.values()))
        found = kernel(x, **sweep)
        found = np.stack(found) if isinstance(found, tuple) else np.asarray(found)[None]
        for at in np.ndindex(swept):
            chosen = {k: np.broadcast_to(v, swept)[at].item() for k, v in sweep.items()}
            expected = kernel(x, **chosen)
            expected = np.stack(expected) if isinstance(expected, tuple) else np.asarray(expected)[None]
            assert_array_equal(bits(found[(slice(None), *at)]), bits(expected), err_msg=str(chosen))


def test_the_first_error_of_a_job_is_raised() -> None:
    def fail(job: int) -> None:
        raise ZeroDivisionError(job)

    with pytest.raises(ZeroDivisionError, match="0"):
        threads.side_by_side(fail, range(3), 10**9)


def test_lanes_are_for_kernels_whose_record_is_all_that_a_tick_needs() -> None:
    lanes = {
        name: arrays.lanes_of(getattr(ft, name), 0) for name in ("ewma", "macd", "rolling_mean", "rsi", "midprice")
    }
    assert lanes == {"ewma": 5, "macd": 5, "rolling_mean": 1, "rsi": 1, "midprice": 1}
