"""Quality and safety: what each guard is there for, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.errors import FintechToolkitError

nan = np.nan


def test_a_quote_is_stale_when_it_is_older_than_allowed() -> None:
    ts = np.array([0, 5_000_000_000, 5_000_000_001, 20_000_000_000])
    now = np.full(4, 10_000_000_001)
    assert_array_equal(ft.stale_quote(ts, now, max_age="5s", unit="ns"), [True, True, False, False])


def test_a_halt_lasts_for_its_cool_off_and_no_longer() -> None:
    price = np.array([100, 89, 120, 100, 100, 100, 110, 111, 100], float)
    ts = np.array([0, 1, 3, 5, 6, 7, 8, 13, 18])
    halted = ft.circuit_breaker(price, np.full(9, 100.0), pct=0.1, cool_off="5s", ts=ts, unit="s")
    # From 1 until before 6; the move at 3 does not make it longer; at 13 it is judged anew, and halts again.
    assert_array_equal(halted, [False, True, True, True, False, False, True, True, False])


def test_a_bucket_refills_at_its_rate_and_no_further_than_its_burst() -> None:
    ts = np.array([0, 0, 0, 0, 250, 500, 10_000, 10_000, 10_000, 10_000])
    allowed = ft.throttle(ts, rate=2, burst=3, unit="ms")
    assert_array_equal(allowed, [True, True, True, False, False, True, True, True, True, False])


def test_hampel_replaces_the_spike_and_nothing_else() -> None:
    x = np.sin(np.arange(200) / 10)
    spiked = x.copy()
    spiked[100] = 50.0
    assert_array_equal(np.flatnonzero(ft.outlier_mad(spiked, window=15, k=5)), [100])
    filtered = ft.hampel(spiked, window=15, k=5)
    assert filtered[100] == np.median(spiked[86:101])
    assert_array_equal(np.delete(filtered, 100)[14:], np.delete(x, 100)[14:])


def test_duplicates_of_one_id_and_of_many() -> None:
    """However often it is repeated; ids that float64 cannot tell apart are others."""
    assert_array_equal(ft.dedupe_trades(np.full(50, 2**62), window=4), [False] + [True] * 49)
    assert not ft.dedupe_trades(np.arange(2**60, 2**60 + 500), window=100).any()


def test_clocks_are_aligned_to_the_nanosecond() -> None:
    random = np.random.default_rng(0)
    exchange = 1_704_189_598_123_456_789 + np.sort(random.integers(0, 10**12, 2000))
    local = exchange - 777_777_777 + random.exponential(1e6, 2000).astype(int)
    aligned = ft.clock_skew_align(exchange, local, window=500)
    assert (aligned.offset >= -777_777_777).all()
    assert aligned.offset[-1] < -777_777_777 + 20_000
    assert (aligned.aligned_ts <= local).all()


def test_gaps_are_filled_up_to_the_limit() -> None:
    ts = np.array([500, 1000, 1001, 2500, 9_000_000, 9_000_500])
    rows = ft.gap_fill(np.array([1.0, 2, 3, nan, 5, 6]), ts=ts, unit="ms", frequency="1s", limit=2)
    assert_array_equal(rows.ts // 10**9, [1, 2, 3, 4, 9000])
    assert_array_equal(rows.filled, [2, 3, 3, 3, 5])
    assert_array_equal(rows.gap, [False, False, True, True, False])


def test_a_guard_says_why() -> None:
    price, size = np.array([101, 101, 101, 130, nan, 101]), np.array([1, 11, 10, 1, 1, -1.0])
    guard = ft.fat_finger_guard(price, size, np.full(6, 100.0), max_size=10, max_notional=1000, max_deviation=0.2)
    assert_array_equal(guard.reason, [0, 1, 2, 3, 4, 4])
    assert_array_equal(guard.passes, guard.reason == 0)
    band = ft.price_band_guard(np.array([95, 105, 94.99, 105.01, 1.0]), [100.0] * 4 + [0.0], band=0.05000001)
    assert_array_equal(band.reason, [0, 0, 2, 1, 4])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ft.throttle(rate=0),
        lambda: ft.hampel("x", window=5, k=-1),
        lambda: ft.gap_fill("x", frequency="0s"),
        lambda: ft.circuit_breaker("price", "reference", pct=0, cool_off="1s"),
        lambda: ft.price_band_guard("price", "reference", band=np.nan),
    ],
)
def test_parameters_outside_their_domain_are_refused(wrong: object) -> None:
    with pytest.raises(FintechToolkitError, match="must be"):
        wrong()  # type: ignore[operator]
