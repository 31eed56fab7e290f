"""Digits: every kernel that adds and subtracts, against exact arithmetic on what running sums are known to lose.

Wherever a window holds values of one scale, its result is right to 1e-9, whatever came before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.checking.ticks import dtypes_of, ticks
from fintech_toolkit.scan.arithmetic import LEAST_OF_MOMENT, LEAST_OF_SUM
from tests.kernels import exact
from tests.stress import crossed, dealt

ROWS = 150
SECOND = 1_000_000_000


def ordinary(rows: int, seed: int = 5) -> Any:
    return np.random.default_rng(seed).normal(100, 0.5, rows)


def printed(size: float, *at: int) -> Callable[[], Any]:
    """Ordinary values with bad prints among them."""

    def signal() -> Any:
        x = ordinary(ROWS)
        x[list(at)] = size
        return x

    return signal


def stairs(*levels: float) -> Any:
    return np.concatenate([level * ordinary(ROWS // len(levels), j) / 100 for j, level in enumerate(levels)])


def gaps() -> Any:
    x = printed(1e17, 30, 31)()
    x[np.random.default_rng(2).random(ROWS) < 0.3] = np.nan
    x[60:100] = np.nan
    x[110] = np.inf
    return x


SIGNALS: dict[str, Callable[[], Any]] = {
    "a print of 1e7": printed(1e7, 40),
    "a print of 1e12": printed(1e12, 40),
    "a print of 1e17": printed(1e17, 40),
    "a print of 1e30": printed(1e30, 0),
    "a print of 1e150": printed(-1e150, 40),
    "prints of 1e308": printed(1e308, 40, 41),
    "prints one after another": printed(1e17, *range(20, 60)),
    "prints far apart": printed(1e25, 20, 50, 80),
    "stairs down": lambda: stairs(1e8, 3e5, 1e3),
    "stairs up and down": lambda: stairs(1e-6, 1e9, 1e-3),
    "falling by 1e-3 each window": lambda: ordinary(ROWS) * 10.0 ** (-3 * np.arange(ROWS) / 10),
    "falling by 1e-1 each row": lambda: ordinary(ROWS) * 10.0 ** (60 - 1.0 * np.arange(ROWS)),
    "1e8 and a little": lambda: 1e8 + np.round(np.random.default_rng(3).normal(size=ROWS), 3) / 1e3,
    "signs that cancel": lambda: np.where(np.arange(ROWS) % 2, -1, 1) * np.round(ordinary(ROWS), 2) * 1e6,
    "signs that cancel exactly": lambda: np.tile([0.1, -0.1, 0.1, -0.1, 3.0, -3.0], ROWS // 6),
    "the same after a print": lambda: np.where(np.arange(ROWS) == 40, 1e17, 0.1),
    "gaps after a print": gaps,
    "nothing after a print": lambda: np.where(np.arange(ROWS) < 30, printed(1e17, 20)(), 0.0),
}
# Statistics with the power with which they grow with their first column, or with each.
WINDOWED: dict[str, tuple[Callable[..., Any], int | tuple[int, ...]]] = {
    "rolling_mean": (exact.mean, 1),
    "rolling_var": (exact.var, 2),
    "rolling_std": (exact.std, 1),
    "rolling_zscore": (exact.zscore, 0),
    "rolling_corr": (exact.corr, 0),
    "rolling_cov": (exact.cov, (1, 1)),
    "rolling_beta": (exact.slope, (1, -1)),
    "rolling_skew": (exact.skew, 0),
    "rolling_kurt": (exact.kurt, 0),
    "realized_var": (exact.squares, 2),
    "vwap": (exact.vwap, 1),
}
AFTER_PRINTS = {
    "realized_semivar": {},
    "bipower_var": {},
    "tripower_quarticity": {},
    "minrv": {},
    "medrv": {},
    "jump_test": {},
    "two_scales_rv": {"K": 3},
    "parkinson": {},
    "garman_klass": {},
    "rogers_satchell": {},
    "yang_zhang": {},
    "autocorr": {},
    "fx_beta": {},
    "half_life": {},
    "hayashi_yoshida_corr": {},
}
"""Sums of what is made of several rows or columns, which must forget a print as if it had never been."""
ELSEWHERE = {
    "hayashi_yoshida_cov",
    "quote_volatility",
    "bulk_volume_classification",
    "kyle_lambda",
    "amihud_illiquidity",
    "turnover",
    "roll_spread",
    "abdi_ranaldo_spread",
    "rolling_sharpe",
    "rolling_sortino",
    "wma",
    "bollinger_bands",
    "cci",
    "mfi",
    "twap",
    "pov",
}
"""Windowed, but of no simple statistic of a column: tested below by itself, or equal to the bit to one that is here."""


def drifting() -> set[str]:
    """What sums over a window, by subtraction or by blocks."""
    by_blocks = {ft.rolling_mean.enter, ft.rolling_var.enter, ft.wma.enter, ft.mfi.enter}
    found = {name: kernel for name, kernel in kernels.registry().items() if name == kernel.name}
    return {name for name, kernel in found.items() if kernel.drifts or kernel.enter in by_blocks}


def test_no_kernel_is_left_out() -> None:
    assert set(WINDOWED) | set(AFTER_PRINTS) | ELSEWHERE == drifting()


def companions(name: str, x: Any) -> list[Any]:
    """Return the columns of a kernel, the signal being the first."""
    random = np.random.default_rng(9)
    if name == "vwap":
        size = random.integers(0, 50, len(x)) / 10
        size[70:90] = 0.0
        return [x, size]
    pairs = ("rolling_corr", "rolling_cov", "rolling_beta")
    return [x, np.cbrt(x) * random.normal(1, 0.01, len(x))] if name in pairs else [x]


@crossed(name=list(WINDOWED), signal=list(SIGNALS), window=[2, 10, 40, "4s"])
def test_a_window_is_right_whatever_came_before(name: str, signal: str, window: int | str) -> None:
    statistic, degree = WINDOWED[name]
    columns = companions(name, SIGNALS[signal]())
    ts = np.cumsum(np.random.default_rng(4).integers(0, SECOND, ROWS))
    by_time = isinstance(window, str)
    length = 4 * SECOND if isinstance(window, str) else window
    expected, looked_at = exact.over_windows(statistic, degree, columns, ts, length, by_time=by_time)
    if signal.startswith("falling"):
        # No window is of one scale, and none is wrong: what falls has its largest value last.
        looked_at[:] = True
    if name == "rolling_zscore":
        looked_at &= np.isfinite(columns[0])
    if name == "rolling_kurt":
        # Fourth powers leave float64 long before the values do.
        looked_at &= ~(np.abs(columns[0]) < 1e-80) | (columns[0] == 0)
    least = {} if by_time else {"min_periods": length // 2}
    actual = getattr(ft, name)(*columns, window=window, ts=ts.view("M8[ns]"), **least)
    assert looked_at.sum() > 10
    # Scores and correlations are of a scale of their own, 1.
    atol = {"rolling_zscore": 1e-9, "rolling_corr": 1e-9, "rolling_skew": 1e-9, "rolling_kurt": 1e-9}.get(name, 0.0)
    if name == "rolling_mean" and signal == "signs that cancel exactly":
        # A mean is no more exact than its values are, of which nothing is left here.
        atol = 1e-16
    assert_allclose(actual[looked_at], expected[looked_at], rtol=1e-9, atol=atol)


@pytest.mark.parametrize("window", [10, "500ms"])
@pytest.mark.parametrize("name", AFTER_PRINTS)
def test_a_print_that_left_is_forgotten(name: str, window: int | str) -> None:
    kernel = kernels.get(name)
    clean = ticks(dtypes_of(kernel), ROWS, seed=3)
    columns = [clean[column].copy() for column in kernel.reads]
    if kernel.reads[0] in ("r", "x"):
        columns[0][40:43] += 1e30
    else:
        # Prices are looked at by their logarithms, and of a bar only the high may be far off.
        printed_in = next((name for name in ("high", "price") if name in kernel.reads), kernel.reads[0])
        columns[kernel.reads.index(printed_in)][[40, 45]] *= 1e300
    options = {"window": window, **AFTER_PRINTS[name]}
    after = kernel(*columns, ts=clean["ts"], **options)
    fresh = kernel(*(c[50:] for c in columns), ts=clean["ts"][50:], **options)
    for got, expected in zip(np.atleast_2d(after), np.atleast_2d(fresh), strict=True):
        # A half-life there is only of what returns to its mean.
        assert np.isfinite(expected[25:]).mean() > (0.5 if name == "half_life" else 0.99)
        assert_allclose(got[75:], expected[25:], rtol=1e-9, atol=1e-9 * np.nanmax(np.abs(expected[25:])))


@pytest.mark.parametrize("window", [8, "4s"])
def test_hayashi_yoshida_is_right_whatever_came_before(window: int | str) -> None:
    rows = 60
    random = np.random.default_rng(1)
    leg, price = random.integers(0, 2, rows), 100 + random.normal(size=rows) / 1e9
    price[[12, 13, 20]] = 1e300, 1e-300, 1e250
    ts = np.cumsum(random.integers(1, SECOND, rows))
    logs = [exact.Fraction(float(value)) for value in np.log(price)]

    def total(n: int) -> Any:
        """The double sum over the first n ticks."""
        (t, r), (u, q) = (
            ([ts[i] for i in own], [logs[b] - logs[a] for a, b in pairwise(own)])
            for own in ([i for i in range(n) if leg[i] == which] for which in (0, 1))
        )
        pairs = [r[i] * q[j] for i in range(len(r)) for j in range(len(q)) if max(t[i], u[j]) < min(t[i + 1], u[j + 1])]
        return sum(pairs, exact.Fraction(0))

    sums = [total(n) for n in range(rows + 1)]
    now = np.arange(1, rows + 1)
    before = np.maximum(now - 8, 0) if window == 8 else np.searchsorted(ts, ts - 4 * SECOND, "right")
    expected = np.array([float(sums[b] - sums[a]) for a, b in zip(before, now, strict=True)])
    actual = ft.hayashi_yoshida_cov(leg, price, ts=ts.view("M8[ns]"), window=window)
    # A return across a print is as large as the print; the last of them has left long before row 45.
    assert np.abs(expected[45:]).max() < 1e-18
    assert_allclose(actual[45:], expected[45:], rtol=1e-9, atol=1e-9 * np.abs(expected[45:]).max())


@pytest.mark.parametrize(
    ("name", "factor"),
    [("rolling_mean", 1 / LEAST_OF_SUM), ("rolling_std", LEAST_OF_MOMENT**-0.5), ("realized_var", LEAST_OF_SUM**-0.5)],
)
@pytest.mark.parametrize("window", [10, "10s"])
def test_prints_on_both_sides_of_what_is_summed_afresh(name: str, factor: float, window: int | str) -> None:
    """The threshold itself: where it does not strike, the error has to be small without it."""
    statistic, degree = WINDOWED[name]
    ts = np.arange(ROWS) * SECOND
    for size in factor * np.array([0.1, 0.5, 2.0, 5.0, 10.0, 50.0, 1e3]):
        x = ordinary(ROWS) - 100
        x[40] = size
        expected, _ = exact.over_windows(statistic, degree, [x], ts, 10 * SECOND, by_time=True)
        actual = getattr(ft, name)(x, window=window, ts=ts.view("M8[ns]"), min_periods=1)
        settled = slice(55, None)
        assert_allclose(actual[settled], expected[settled], rtol=1e-9, err_msg=str(size))


SEED = {"adjust": [True, False], "ignore_na": [True, False]}


def torn(x: Any, rows: int = 300) -> Any:
    """A signal with a gap of hundreds of rows in its middle."""
    return np.concatenate([x[:40], np.full(rows, np.nan), x[40:70]])


FORGETTING = {
    "ordinary": lambda: torn(ordinary(ROWS)),
    "1e8 and a little": lambda: torn(SIGNALS["1e8 and a little"]()),
    "a print of 1e17 before the gap": lambda: torn(printed(1e17, 39)()),
    "a print of 1e17": lambda: printed(1e17, 20)()[:100],
    "a step to 1e8": lambda: np.where(np.arange(100) < 30, ordinary(100), SIGNALS["1e8 and a little"]()[:100]),
    "a gap that outlives float64": lambda: torn(ordinary(ROWS), 3_000),
}


@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("adjust", dealt([True, False], 1))
@pytest.mark.parametrize("signal", FORGETTING)
def test_exponential_moments_are_exact(signal: str, adjust: bool, ignore_na: bool) -> None:
    """pandas is not where values dwarf their moves, nor after long gaps, so that it cannot be the oracle here."""
    x = FORGETTING[signal]()
    y = np.round(x / 7 + np.random.default_rng(8).normal(size=len(x)) / 1e3, 5)
    weighing = {"adjust": adjust, "ignore_na": ignore_na}
    options = {"alpha": 0.25, **weighing}
    actual = {
        "ewma": ft.ewma(x, **options),
        "ewvar": ft.ewvar(x, **options),
        "biased": ft.ewvar(x, bias=True, **options),
        "ewstd": ft.ewstd(x, **options),
        "ewcov": ft.ewcov(x, y, **options),
        "ewcorr": ft.ewcorr(x, y, **options),
    }
    rows = exact.weights([x, y], 0.25, **weighing)
    looked_at = [i for i in range(len(x)) if np.isfinite(x[i]) and (i < 45 or i % 5 == 0 or i > len(x) - 5)]
    for i in looked_at:
        w, a, b = rows[i]
        if len(w) < 2:
            continue
        xx, yy, xy = (exact.weighted(w, *pair, bias=False) for pair in ((a, a), (b, b), (a, b)))
        expected = {
            "ewma": sum(u * v for u, v in zip(w, a, strict=True)) / sum(w),
            "ewvar": xx,
            "biased": exact.weighted(w, a, a, bias=True),
            "ewstd": exact.root(xx),
            "ewcov": xy,
            "ewcorr": xy / (exact.root(xx) * exact.root(yy)),
        }
        for name, value in expected.items():
            # What float64 has no number for, weights after a gap, is next to nothing.
            scale = {"ewcov": float(exact.root(xx) * exact.root(yy)), "ewcorr": 1.0}.get(name, 1e-270)
            assert actual[name][i] == pytest.approx(float(value), rel=1e-9, abs=1e-9 * scale), (name, i)


def test_averages_forget_a_print_as_fast_as_they_say() -> None:
    x = printed(1e17, 40)()
    # An average of one row is that row, and one that forgets all but everything is all but that row.
    assert_array_equal(ft.ewma(x, alpha=1.0), x)
    assert_array_equal(ft.ema(x, span=1), x)
    assert_array_equal(ft.ema(x, span=1, seed="first"), x)
    assert ft.ewma(x, alpha=1 - 2.0**-40, adjust=False)[42] == pytest.approx(x[42], rel=1e-9)
    assert_allclose(
        ft.rsi(x, period=5, smoothing="sma")[46:], ft.rsi(x[41:], period=5, smoothing="sma")[5:], rtol=1e-12
    )
    changes = ft.rsi(x, period=1)[43:]
    assert_array_equal(changes, np.where(np.diff(x)[42:] > 0, 100.0, 0.0))


def test_moments_of_all_values_so_far_are_exact() -> None:
    for signal in ("1e8 and a little", "stairs up and down", "a print of 1e17", "a print of 1e30"):
        x = SIGNALS[signal]()
        actual = ft.welford(x)
        expected = [
            exact.over_windows(f, d, [x], np.arange(ROWS), ROWS * 10, by_time=True)[0]
            for f, d in ((exact.mean, 1), (exact.var, 2))
        ]
        assert_allclose(actual.mean, expected[0], rtol=1e-9, err_msg=signal)
        assert_allclose(actual.var, expected[1], rtol=1e-9, err_msg=signal)


@pytest.mark.parametrize("window", [10_000, "10000s"])
@pytest.mark.parametrize("name", WINDOWED)
def test_summing_afresh_is_paid_for(name: str, window: int | str) -> None:
    """No data that is common makes a row cost as much as its window: fifty times the time of noise would be a tenth."""
    rows = 40_000
    noise = ordinary(rows)
    ts = np.arange(rows) * SECOND

    def seconds(x: Any) -> float:
        columns = companions(name, x)
        best = np.inf
        for _ in range(3):
            start = time.perf_counter()
            getattr(ft, name)(*columns, window=window, ts=ts.view("M8[ns]"), min_periods=1)
            best = min(best, time.perf_counter() - start)
        return best

    seconds(noise)
    usual = seconds(noise)
    for what, x in {
        "falling": np.linspace(1e6, 1e-6, rows),
        "falling by a factor": 1e8 * 0.999 ** np.arange(rows),
        "cancelling": np.where(np.arange(rows) % 2, -0.5, 0.5),
        "mostly zero": np.where(np.arange(rows) % 50, 0.0, np.where(np.arange(rows) % 100, -0.01, 0.01)),
        "zeros": np.zeros(rows),
        "heavy tails": np.random.default_rng(1).pareto(0.5, rows),
    }.items():
        assert seconds(x) < 50 * usual, what
