"""Windows that are longer than the contract's: sorted ones of many blocks, and heaps of some height."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft

SECOND = 1_000_000_000
LIMITS = 0.49


def signal(kind: str, rows: int) -> Any:
    random = np.random.default_rng(rows)
    x = random.normal(size=rows)
    if kind == "walk":
        return np.cumsum(x)
    if kind == "ties":
        return np.round(x, 1) - 0.0
    if kind == "falling and rising":
        return np.abs(np.arange(rows) - rows / 2)
    x[random.random(rows) < 0.2] = np.nan
    return x


def clipped(x: Any, begin: int, i: int) -> Any:
    """The value of a row between two ranks near the middle of its window: nearly always one of these."""
    values = np.sort(x[begin : i + 1][np.isfinite(x[begin : i + 1])])
    cut = int(LIMITS * len(values))
    return np.clip(x[i], values[cut], values[-1 - cut]) if len(values) else np.nan


@pytest.mark.parametrize(
    ("kind", "window", "rows"),
    [
        ("gaps", 127, 600),
        ("gaps", 129, 600),
        ("walk", 256, 1_500),
        ("walk", 1_000, 4_000),
        ("ties", 700, 3_000),
        ("falling and rising", 500, 2_500),
        ("walk", 9_000, 30_000),
    ],
)
def test_values_have_their_ranks(kind: str, window: int, rows: int) -> None:
    x = signal(kind, rows)
    actual = ft.winsorize(x, window=window, limits=LIMITS, min_periods=1)
    looked_at = np.arange(0, rows, max(rows // 1_500, 1))
    expected = [clipped(x, max(0, i + 1 - window), i) for i in looked_at]
    assert_array_equal(actual[looked_at], expected)


@pytest.mark.parametrize("kind", ["gaps", "walk"])
def test_values_have_their_ranks_in_windows_of_time(kind: str) -> None:
    """Bursts and pauses: the window grows to some thousands of rows, and shrinks to a few."""
    rows = 12_000
    x = signal(kind, rows)
    pace = np.where(np.arange(rows) // 3_000 % 2, SECOND, SECOND // 100)
    pace[[4_000, 8_000]] = 100 * SECOND
    ts = np.cumsum(pace)
    actual = ft.winsorize(x, window="40s", limits=LIMITS, min_periods=1, ts=ts.view("M8[ns]"))
    begins = np.searchsorted(ts, ts - 40 * SECOND, "right")
    assert np.ptp(np.arange(rows) - begins) > 2_900
    looked_at = np.arange(0, rows, 7)
    assert_array_equal(actual[looked_at], [clipped(x, begins[i], i) for i in looked_at])


def test_symbols_are_as_alone_and_an_outlier_is_what_it_is_by_definition() -> None:
    x = signal("gaps", 3_000)
    x[::97] *= 8
    symbol = np.random.default_rng(1).choice(["A", "B", "C"], len(x), p=[0.6, 0.3, 0.1])
    together = ft.hampel(x, symbol=symbol, window=200, k=2, min_periods=20)
    for name in "ABC":
        own = x[symbol == name]
        assert_array_equal(together[symbol == name], ft.hampel(own, window=200, k=2, min_periods=20))
        expected = np.full(len(own), np.nan)
        for i in np.flatnonzero(np.isfinite(own)):
            window = own[max(0, i - 199) : i + 1]
            window = window[np.isfinite(window)]
            if len(window) >= 20:
                centre = np.median(window)
                deviation = 2 * 1.482602218505602 * np.median(np.abs(window - centre))
                expected[i] = centre if abs(own[i] - centre) > deviation else own[i]
        assert_array_equal(together[symbol == name], expected)


@pytest.mark.parametrize("alpha", [0.02, 0.4])
def test_the_worst_cases_are_summed_and_forgotten(alpha: float) -> None:
    x = signal("gaps", 3_000)
    x[1_000:1_010] = -1e25
    actual = ft.historical_cvar(x, window=600, alpha=alpha, min_periods=1)
    for i in (*range(0, 3_000, 13), 1_009, 1_609, 1_610):
        values = np.sort(x[max(0, i - 599) : i + 1])
        values = values[np.isfinite(values)]
        expected = -np.mean(values[: int((len(values) - 1) * alpha) + 1]) if len(values) else np.nan
        assert_allclose(actual[i], expected, rtol=1e-13, err_msg=str(i))
