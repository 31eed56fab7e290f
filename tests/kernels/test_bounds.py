"""Nothing that data may hold makes a kernel touch memory that is not its own, wrap around in time, or run for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.scan import NO_SESSION, Scan
from fintech_toolkit.scan.slots import FIRST, LAST
from tests.stress import dealt

ROOT = Path(__file__).parents[2]

# Every kernel under its cases, once a window by rows and once by time, compiled with bounds checks: arbitrary values in
# every column, symbols interleaved, the state carried over splits. Where an index is out of bounds, Numba raises.
FUZZ = """
import sys
import numpy as np
from fintech_toolkit.scan.scan import NO_SESSION, Emitted, Scan
from fintech_toolkit.checking.ticks import step_of
from tests.kernels.test_bounds import fuzzed

share, shares, seed = map(int, sys.argv[1:])
random = np.random.default_rng(seed)
FLOATS = np.array([0.0, -0.0, 1.0, -1.0, 0.1, 100.0, 1e-320, -5e-324, 1e-200, 1e17, -1e17, 1e150, 1e308, -1.7e308,
                   np.inf, -np.inf, np.nan, 2.0**53, 1e18])
WHOLE = np.array([0, 1, 2, -1, 3, 7, 10**9, 2**31, -2**31, 2**32, 2**62, -2**63, 2**63 - 1])
SYMBOLS, ROWS = 3, 300

def column(dtype):
    if dtype.kind == "b":
        return random.random(ROWS) < 0.5
    if dtype.kind == "i":
        sane = random.integers(0, 2, ROWS)
        return np.where(random.random(ROWS) < 0.6, sane, random.choice(WHOLE, ROWS)).astype(dtype)
    ordinary = np.round(random.normal(100, 3, ROWS), 1)
    return np.where(random.random(ROWS) < 0.5, ordinary, random.choice(FLOATS, ROWS))

def times():
    # In order, ties and the ends of int64 included; and once in no order at all.
    ends = np.array([-2**63, -2**63 + 1, 2**63 - 2, 2**63 - 1])
    near = 1_700_000_000_000_000_000 + np.cumsum(random.integers(0, 10**9, ROWS))
    yield near
    yield np.sort(np.where(random.random(ROWS) < 0.3, random.choice(ends, ROWS), near))
    yield random.choice(np.concatenate([ends, near]), ROWS)

with np.errstate(all="ignore"):
    for kernel in fuzzed()[share::shares]:
        for case in kernel.cases:
            scan = Scan(step_of(kernel, case))
            for ts in times():
                state = scan.fresh(SYMBOLS)
                codes = random.integers(0, SYMBOLS, ROWS).astype(np.uint32)
                columns = [column(dtype) for dtype in scan.input_dtypes]
                cuts = [0, *np.sort(random.integers(0, ROWS, 3)), ROWS]
                emitted = Emitted(scan.output_dtypes, 1) if kernel.emits else None
                for a, b in zip(cuts, cuts[1:]):
                    ticks = SYMBOLS, codes[a:b], NO_SESSION, ts[a:b], [c[a:b] for c in columns]
                    scan.emit(state, *ticks, emitted) if kernel.emits else scan.run(state, *ticks)
                if kernel.emits:
                    scan.flush(state, emitted)
        print(kernel.name)
"""


def fuzzed() -> list[Kernel]:
    """The kernels that index something, or reckon with times. One of plain numbers has nothing that can go wrong so."""
    kernels = [k for name, k in ft.kernels.registry().items() if name == k.name and k.tickwise]
    return [k for k in kernels if k.has_slots or k.variadic or k.asks_for_time or has_arrays(k)]


def has_arrays(kernel: Kernel) -> bool:
    """Whether a field of its state holds several values."""
    return any(bool(shape) or bool(np.dtype(kind).shape) for _, kind, *shape in kernel.state)


def fuzz(script: str, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache), "NUMBA_OPT": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


SHARES, OF_SHORT_FORM = 12, 1
"""Into how many the kernels are dealt out: one test would be a long wait."""


@pytest.mark.parametrize("share", dealt(range(SHARES), OF_SHORT_FORM))
def test_no_value_leads_out_of_bounds(share: int, tmp_path: Path) -> None:
    done = fuzz(FUZZ, tmp_path, str(share), str(SHARES), "1")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [kernel.name for kernel in fuzzed()][share::SHARES]


UNCHECKED = """
import numpy as np
from fintech_toolkit.authoring import tick_kernel
from fintech_toolkit.scan.scan import NO_SESSION, Scan

@tick_kernel(reads="leg", gives="y", state=[("last", "2f8")], source="definition")
def unchecked(s, leg):
    return s.last[leg]

unchecked.function.__code__ = unchecked.function.__code__.replace(co_filename=__import__("sys").argv[1])
scan = Scan(unchecked.step("leg"))
scan.run(scan.fresh(1), 1, np.zeros(1, np.uint32), NO_SESSION, NO_SESSION, [np.array([7])])
"""


def test_a_kernel_that_does_not_check_is_found(tmp_path: Path) -> None:
    file = tmp_path / "unchecked.py"
    file.write_text(UNCHECKED)
    done = subprocess.run(
        [sys.executable, str(file), str(file)],
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "IndexError" in done.stderr


@pytest.mark.parametrize("leg", [-1, 2, 7, -(2**63), 2**63 - 1])
def test_a_leg_that_is_none_is_no_tick(leg: int) -> None:
    """Calls refuse it; the loop itself, which trusts nobody, takes it as if it had had no price."""
    random = np.random.default_rng(0)
    legs, price, ts = random.integers(0, 2, 60), 100 + random.normal(size=60), np.arange(61)
    strange, usual = np.insert(legs, 30, leg), np.insert(legs, 30, 0)
    with pytest.raises(ft.DataError, match=r"leg.*at row 30"):
        ft.hayashi_yoshida_cov(strange, np.insert(price, 30, 5.0), ts=ts.view("M8[ns]"))

    def scanned(legs: Any, price: Any) -> Any:
        scan, covariance = Scan(ft.hayashi_yoshida_cov("leg", "price")), np.empty(61)
        scan.run(scan.fresh(1), 1, np.zeros(61, np.uint32), NO_SESSION, ts, [legs, price], [covariance])
        return covariance

    expected = scanned(usual, np.insert(price, 30, np.nan))
    assert np.isfinite(expected[-1])
    assert_array_equal(scanned(strange, np.insert(price, 30, 5.0)), expected)


def test_time_does_not_wrap_around() -> None:
    early, late = FIRST + 1, LAST
    assert_array_equal(
        ft.rolling_mean([1.0, 2.0], window="1s", ts=np.array([early, early + 1]).view("M8[ns]")), [1.0, 1.5]
    )
    assert_array_equal(ft.rolling_mean([1.0, 2.0], window="1s", ts=np.array([early, late]).view("M8[ns]")), [1.0, 2.0])
    spread = ft.realized_spread(
        [1.0, 2.0], [1.0, 2.0], [1.0, 1.0], ts=np.array([late - 1, late]).view("M8[ns]"), horizon="1s"
    )
    assert_array_equal(spread.complete, [False, False])
    both = np.array([True, False]), np.array([False, True])
    assert_array_equal(
        ft.sequence_pattern(*both, ts=np.array([early, late]).view("M8[ns]"), within="1s"), [False, False]
    )
    assert_array_equal(
        ft.sequence_pattern(*both, ts=np.array([early, early + 1]).view("M8[ns]"), within="1s"), [False, True]
    )
    spread = ft.time_weighted_spread([1.0, 1.0, 1.0], [3.0, 3.0, 3.0], ts=np.array([early, 0, late]).view("M8[ns]"))
    assert_array_equal(spread, [np.nan, 2.0, 2.0])
    assert ft.time_bars([1.0], [1.0], ts=np.array([early]).view("M8[ns]"), frequency="1min").ts[0] == FIRST


def test_a_window_in_time_is_open_at_its_older_end() -> None:
    ts = np.array([0, 1, 10, 11]) * 1_000_000_000
    assert_array_equal(ft.rolling_mean([1.0, 2.0, 3.0, 4.0], window="10s", ts=ts.view("M8[ns]")), [1.0, 1.5, 2.5, 3.5])
    ts[2] -= 1
    assert_array_equal(ft.rolling_mean([1.0, 2.0, 3.0, 4.0], window="10s", ts=ts.view("M8[ns]")), [1.0, 1.5, 2.0, 3.5])


@pytest.mark.parametrize("window", [15, 16, 17, 31, 32, 33, 64])
def test_rings_grow_at_the_edges_of_their_capacity(window: int) -> None:
    x = np.random.default_rng(0).normal(size=200)
    ts = np.arange(200) * 1_000_000_000
    smallest = [x[max(0, i + 1 - window) : i + 1].min() for i in range(200)]
    for size in (window, f"{window}s"):
        assert_array_equal(ft.rolling_min(x, window=size, ts=ts.view("M8[ns]"), min_periods=1), smallest)
        assert_array_equal(ft.lag(x, k=size, ts=ts.view("M8[ns]"))[window:], x[:-window])


@pytest.mark.parametrize("size", [1e9, 1e17, 1e308])
def test_a_trade_of_absurd_size_gives_a_bounded_number_of_rows(size: float) -> None:
    rows = ft.vpin([0.5, size, 1.25], [-1.0, 1.0, -1.0], ts=np.arange(3).view("M8[ns]"), bucket=1.0, window=5)
    assert len(rows.ts) <= 5 + 4
    huge = rows.buckets > 1
    assert huge.sum() == 1
    assert rows.vpin[huge] == 1.0
    assert rows.buckets[huge] == min(size - 6, 2.0**53)
    assert rows.volume.sum() == pytest.approx(size + 1.75, rel=1e-12)
