"""Numbers worked out by hand: order flow, trade signs, VPIN, positions, VWAP, covariation, sequences."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft

SECOND = 1_000_000_000
nan = np.nan


def quote(*values: tuple[float, float, float, float]) -> list[np.ndarray]:
    """Columns bid, ask, bid size, ask size."""
    return [np.array(column, dtype=float) for column in zip(*values, strict=True)]


@pytest.mark.parametrize(
    ("after", "flow", "why"),
    [
        ((10.00, 10.02, 8, 5), +3, "three join the bid"),
        ((10.00, 10.02, 1, 5), -4, "four leave the bid"),
        ((10.01, 10.02, 2, 5), +2, "two improve the bid"),
        ((9.99, 10.02, 9, 5), -5, "the whole bid of five is gone"),
        ((10.00, 10.02, 5, 9), -4, "four join the offer"),
        ((10.00, 10.01, 5, 2), -2, "two improve the offer"),
        ((10.00, 10.03, 5, 9), +5, "the whole offer of five is gone"),
        ((10.01, 10.03, 2, 9), +7, "the market ticks up: two bid higher, five offered are gone"),
        ((10.00, 10.02, 5, 5), 0, "nothing changes"),
    ],
)
def test_order_flow_imbalance(after: tuple[float, float, float, float], flow: float, why: str) -> None:
    assert_array_equal(ft.ofi(*quote((10.00, 10.02, 5, 5), after)), [nan, flow], err_msg=why)


def test_order_flow_skips_incomplete_quotes() -> None:
    columns = quote((10.00, 10.02, 5, 5), (nan, 10.02, 7, 5), (10.00, np.inf, 7, 5), (10.00, 10.02, 6, 5))
    assert_array_equal(ft.ofi(*columns), [nan, nan, nan, 1])


def test_quotes() -> None:
    bid, ask, bid_size, ask_size = quote((99, 101, 30, 10), (101, 100, 1, 1), (100, 100, 0, 0), (nan, 101, 1, 1))
    assert_array_equal(ft.midprice(bid, ask), [100, 100.5, 100, nan])
    assert_array_equal(ft.microprice(bid, ask, bid_size, ask_size), [100.5, 100.5, nan, nan])
    spread = ft.quoted_spread(bid, ask)
    assert_array_equal(spread.spread, [2, -1, 0, nan])
    assert_allclose(spread.spread_bps, [200, -1e4 / 100.5, 0, nan], rtol=1e-15)
    assert_array_equal(ft.l1_imbalance(bid_size, ask_size), [0.5, 0, nan, 0])


def test_trade_signs() -> None:
    price = np.array([10.01, 10.00, 10.00, nan, 10.00, 10.01, 10.01, 9.98])
    bid = np.array([9.98, 9.98, 9.98, 9.99, nan, 10.00, 10.00, 10.00])
    ask = np.array([10.02, 10.02, 10.02, 10.03, nan, 10.02, 10.02, 10.02])
    # Above the mid; at the mid after a fall; at the mid, unchanged since; a quote alone, whose mid of 10.01 the next
    # trade is below; at the mid after a rise; at the mid, unchanged since; below the bid.
    assert_array_equal(ft.trade_sign(price, bid, ask), [1, -1, -1, nan, -1, 1, 1, -1])
    assert_array_equal(ft.trade_sign(price, bid, ask, rule="quote"), [1, nan, nan, nan, -1, nan, nan, -1])
    assert_array_equal(ft.trade_sign(price, bid, ask, rule="tick"), [nan, -1, -1, nan, -1, 1, 1, -1])


def test_time_weighted_spread() -> None:
    bid, ask = np.array([99.0, 98.0, nan, 99.5, 99.0]), np.full(5, 100.0)
    ts = np.array([0, 2, 4, 4, 8]) * SECOND
    # A spread of 1 for two seconds, of 2 for two, of 0.5 for four.
    assert_array_equal(ft.time_weighted_spread(bid, ask, ts=ts, unit="ns"), [nan, 1, 1.5, 1.5, 1])


def test_vpin() -> None:
    size = np.array([60.0, 70, 150, 20, 250])
    side = np.array([1.0, -1, nan, 1, -1])
    rows = ft.vpin(size, side, ts=np.arange(5), bucket=100, window=2)
    # Bucket 1: 60 bought, 40 sold. 2: 30 sold, 70 unknown. 3: 80 unknown, 20 bought. 4 and 5: sold, by one trade of
    # which 50 remain.
    assert_array_equal(rows.ts, [1, 2, 3, 4, 4, 4])
    assert_allclose(rows.imbalance, [0.2, -0.3, 0.2, -1, -1, -1], rtol=1e-15)
    assert_allclose(rows.vpin, [nan, 0.25, 0.25, 0.6, 1, nan], rtol=1e-15)
    assert_array_equal(rows.volume, [100, 100, 100, 100, 100, 50])
    assert_array_equal(rows.complete, [True, True, True, True, True, False])


def test_vpin_meets_the_edges_of_decimal_sizes() -> None:
    rows = ft.vpin(np.full(100_000, 0.1), np.ones(100_000), ts=np.arange(100_000), bucket=10, window=3)
    assert_array_equal(rows.ts, np.arange(99, 100_000, 100))
    assert rows.complete.all()


def test_vpin_stays_within_its_bounds() -> None:
    random = np.random.default_rng(0)
    size, side = random.exponential(size=20_000), random.choice([-1.0, 0.0, 1.0, 1.0], 20_000)
    rows = ft.vpin(size, side, ts=np.arange(20_000), bucket=0.7, window=5)
    known = rows.vpin[~np.isnan(rows.vpin)]
    assert len(known) > 20_000
    assert known.min() >= 0
    assert known.max() <= 1
    assert np.abs(rows.imbalance).max() <= 1
    assert_allclose(rows.volume.sum(), size.sum(), rtol=1e-9)


def test_position_ledger() -> None:
    side = np.array([1.0, 1, -1, -1, nan, 1])
    size = np.array([100.0, 100, 150, 100, nan, 50])
    price = np.array([10.0, 12, 15, 9, 8, 7])
    held = ft.position(side, size, price)
    assert_array_equal(held.position, [100, 200, 50, -50, -50, 0])
    assert_array_equal(held.average_cost, [10, 11, 11, 9, 9, nan])
    assert_array_equal(held.realized_pnl, [0, 0, 600, 500, 500, 600])
    assert_array_equal(held.unrealized_pnl, [0, 200, 200, 0, 50, 0])


def test_a_position_of_decimal_sizes_closes() -> None:
    held = ft.position(np.array([1.0, 1, -1]), np.array([0.1, 0.2, 0.3]), np.array([5.0, 5, 5]))
    assert held.position[-1] == 0
    assert np.isnan(held.average_cost[-1])
    assert held.unrealized_pnl[-1] == 0


def test_a_small_remainder_is_still_a_position() -> None:
    held = ft.position(np.array([1.0, -1]), np.array([1000.0, 999.99999999]), np.array([60_000.0, 60_000]))
    assert_allclose(held.position[-1], 1e-8, rtol=1e-4)


def test_vwap() -> None:
    price, size = np.array([10.0, 20, nan, 40]), np.array([3.0, 1, 5, 0])
    assert_array_equal(ft.vwap(price, size), [10, 12.5, 12.5, 12.5])
    ts = np.array([0, 1, 2, 5]) * SECOND
    assert_array_equal(ft.vwap(price, size, window="2s", ts=ts, unit="ns"), [10, 12.5, 20, nan])


def test_a_window_without_volume_leaves_no_rounding_error() -> None:
    price, size = np.array([0.1, 0.2, 0.3, 7, 7]), np.array([0.1, 0.2, 0.3, 0, 0])
    assert np.isnan(ft.vwap(price, size, window=2)[-1])


def test_hayashi_yoshida_by_hand() -> None:
    # r = 1 over (0, 2], 2 over (2, 5]; q = 2 over (1, 3], 3 over (3, 4]. Overlapping: 1·2 + 2·2 + 2·3.
    times = np.array([0, 1, 2, 3, 4, 5])
    leg = np.array([0, 1, 0, 1, 1, 0])
    price = np.exp([0.0, 0, 1, 2, 5, 3])
    assert_allclose(ft.hayashi_yoshida_cov(leg, price, ts=times), [nan, nan, nan, 2, 2, 12], rtol=1e-14)


def test_hayashi_yoshida_of_synchronous_prices_is_the_realized_covariance() -> None:
    random = np.random.default_rng(0)
    a, b = np.cumsum(random.normal(size=(2, 200)), axis=1) / 100
    leg, ts = np.tile([0, 1], 200), np.repeat(np.arange(200), 2)
    both = ft.hayashi_yoshida_cov(leg, np.exp(np.column_stack([a, b]).ravel()), ts=ts)
    assert_allclose(both[-1], np.diff(a) @ np.diff(b), rtol=1e-12)


def test_of_ticks_at_one_instant_the_last_counts() -> None:
    leg = np.array([0, 1, 0, 1, 0, 1])
    price = np.exp([0.0, 0, 0.1, 0.1, 0.02, 0.01])
    result = ft.hayashi_yoshida_cov(leg, price, ts=np.array([0, 0, 1, 1, 1, 1]))
    assert_allclose(result[-1], 0.02 * 0.01, rtol=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "seconds", "matched"),
    [
        ([1, 0, 0], [0, 1, 1], [0, 4, 9], [0, 1, 0]),
        ([1, 0], [1, 0], [0, 1], [0, 0]),
        ([1, 1], [1, 1], [0, 1], [0, 1]),
        ([1, 0], [0, 1], [3, 3], [0, 1]),
        ([0, 1], [1, 0], [0, 1], [0, 0]),
        ([1, 1, 0], [0, 0, 1], [0, 4, 8], [0, 0, 1]),
        ([1, 0], [0, 1], [0, 5], [0, 1]),
    ],
    ids=["too late", "one tick serves once", "twice", "at one instant", "wrong order", "latest start", "just in time"],
)
def test_sequences(first: list[int], second: list[int], seconds: list[int], matched: list[int]) -> None:
    flags = [np.array(column, dtype=bool) for column in (first, second)]
    result = ft.sequence_pattern(*flags, ts=np.array(seconds) * SECOND, unit="ns", within="5s")
    assert_array_equal(result, np.array(matched, dtype=bool))


def test_flags_must_be_booleans() -> None:
    with pytest.raises(ft.DataError, match="True or False"):
        ft.sequence_pattern(np.array([1.0, nan]), ts=np.arange(2), within="5s")


def test_the_effective_spread_is_what_was_kept_and_what_the_mid_followed() -> None:
    price, mid = np.array([10.1, 9.9, nan, nan]), np.array([10.0, 10.0, 10.05, 10.2])
    side, ts = np.array([1.0, -1, nan, nan]), np.array([0, 1, 2, 9])
    effective = ft.effective_spread(price, mid, side)
    assert_allclose(effective.effective, [0.2, 0.2, nan, nan])
    assert_allclose(effective.effective_bps, [200, 200, nan, nan])
    impact = ft.price_impact(price, mid, side, ts=ts, unit="s", horizon="5s")
    assert_allclose(impact.price_impact, [0.1, -0.1])
    kept = ft.realized_spread(price, mid, side, ts=ts, unit="s", horizon="5s")
    assert_allclose(kept.realized_spread + impact.price_impact, effective.effective[:2])
    # Whoever started it: a sale above the mid cost what a purchase there does.
    assert_allclose(ft.effective_spread([10.1], [10.0], [-1.0], signed=False).effective, [0.2])
    assert_allclose(ft.effective_spread([10.1], [10.0], [-1.0]).effective, [-0.2])
    assert_array_equal(ft.signed_volume([1.0, -1, 0, nan], [5.0, 5, 5, 5]), [5, -5, 0, nan])


def test_bulk_volume() -> None:
    # Changes of 1 and -1 deviate by the root of 2: the normal distribution up to -0.7071 is 0.2398.
    rows = ft.bulk_volume_classification([10.0, 11, 10, 9], [100.0, 100, 100, 100], window=2)
    assert_allclose(rows.buy, [nan, nan, 23.975, nan], atol=5e-4)
    assert_allclose(rows.buy + rows.sell, [nan, nan, 100, nan])


def test_depth() -> None:
    bid, ask = [[4.0], [2.0], [nan]], [[1.0], [2.0], [8.0]]
    assert_allclose(ft.depth_imbalance(*bid, *ask), [(6 - 11) / (6 + 11)])
    assert_allclose(ft.depth_imbalance(*bid, *ask, decay=0.5), [(5 - 4) / (5 + 4)])
    assert_array_equal(ft.depth_imbalance([0.0, -1], [0.0, 5]), [nan, nan])
    with pytest.raises(ft.ColumnError, match=r"as many columns of \*bid_size, then of \*ask_size; got 3"):
        ft.depth_imbalance("b0", "b1", "a0")


def test_flow_at_each_level_is_that_of_its_quote() -> None:
    random = np.random.default_rng(0)
    books = [random.integers(1, 5, (2, 50)).astype(float) for _ in range(4)]
    books[0][1, 20] = nan
    flows = ft.multilevel_ofi(*(level for column in books for level in column))
    for level in (0, 1):
        assert_array_equal(flows[level], ft.ofi(*(column[level] for column in books)))


def test_hawkes_intensity() -> None:
    intensity = ft.hawkes_intensity(np.array([0, 10, 10]), unit="s", mu=0.2, alpha=1, beta=0.1)
    assert_allclose(intensity, [1.2, 1.2 + np.exp(-1), 2.2 + np.exp(-1)], rtol=1e-14)
