"""Every kernel of the registry through its public call: how many rows it does, and what a longer window costs it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

import fintech_toolkit as ft
from benchmarks.measure import quotes

AIMS = {"tick": 20, "window": 8, "pair": 20, "event": 8}
"""Million rows a second that a kernel of a sort is to do."""

WHOLE = "looks at its whole window in every row"
EMITS = "a row of output for every tick or so, each with its symbol, times and columns"
WAITS = "every trade waits in its symbol's part of the pool, and then is a row of output"
SORTED = "keeps its window in order of size, in blocks: a value moves those of two, and turns the ones between"
HEAPS = "keeps its window in heaps, whose height grows with it"
BOOK = "looks at all of the symbol's dealers in every row"
REASONS = {
    "bocpd": "logarithms and an exponential for every length of the run, up to 30 in every row",
    "hurst": WHOLE + ", once for each length of blocks",
    "variance_ratio": WHOLE + ", several times",
    "rolling_rank": WHOLE,
    "winsorize": SORTED,
    "cci": WHOLE + ": all deviations change with the mean",
    "evt_pot_var": "adds up the largest losses of its window in every row, with a logarithm and an exponential",
    "frac_diff": WHOLE + ": every value has another weight in every row",
    "hampel": SORTED,
    "outlier_mad": SORTED,
    "historical_cvar": HEAPS,
    "rolling_median": HEAPS,
    "rolling_quantile": HEAPS,
    "historical_var": HEAPS,
    "stochastic_osc": "the extremes of a window of highs and of one of lows, and two means",
    "wmr_schedule": "the fix of each row's day by London's clock: divisions of its time, daylight saving",
    "order_book": "24 columns of output, whose memory is fetched in every row, and a book of 40 levels to be looked up",
    "two_sided_quotes": "texts of three columns to be looked up in every row",
    "corwin_schultz_spread": "three logarithms, three roots and a hyperbolic tangent in every row",
    "term_structure": "a logarithm and three divisions for each of three maturities in every row",
    "multilevel_ofi": "twelve columns in every row, each compared with the row before",
    "hayashi_yoshida_corr": "three compensated sums, two roots and a division in every row",
    "entropy_hist": "the extremes of its window, and two of its counts, in every row",
    "best_bid_offer": BOOK,
    "best_herfindahl": BOOK,
    "book_depth": BOOK,
    "dealer_activity": BOOK,
    **dict.fromkeys(("price_impact", "realized_spread"), WAITS),
    **dict.fromkeys(("vpin", "trade_quality", "label_next_move"), EMITS),
    **dict.fromkeys(("volume_bars", "dollar_bars", "imbalance_bars", "tick_bars", "time_bars", "gap_fill"), EMITS),
}
"""Why a kernel does less, or is not flat in its window."""

FROM_PRICE = {"bid": -0.02, "ask": 0.02, "high": 10.0, "low": -10.0}
"""What is as far from the price in every row, or a quote would be crossed and a bar none."""

CHANGES = {"r", "pnl", "fx_return", "spread", "signed_volume", "imbalance"}
"""What has either sign."""

TEXTS = {"side": ["BID", "ASK"], "action": ["UPDATE", "DELETE"]}
"""What columns of text hold that mean something."""

BARS: dict[str, dict[str, Any]] = {
    "tick_bars": {"bar_size": 50},
    "volume_bars": {"bar_size": 5_000},
    "dollar_bars": {"bar_size": 500_000},
    "imbalance_bars": {"initial": 200, "span": 1_000},
    "time_bars": {"frequency": "50ms"},
    "vpin": {"bucket": 5_000},
    "price_impact": {"horizon": "50ms"},
    "realized_spread": {"horizon": "50ms"},
}
"""Parameters with which a bar has some 50 ticks, or so many trades of a symbol wait for their answer."""

DENSE = "dollar_bars", {"bar_size": 4_000}
"""The worst that a kernel of bars can be asked for: a bar for every tick."""


def calls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the kernels that are run tick by tick: what is said of each, its name, its parameters."""
    kinds = ft.catalogue()["kind"]
    for name, kind in kinds.items():
        kernel = getattr(ft, str(name))
        if not kernel.tickwise:
            continue
        parameters = BARS.get(str(name), dict(kernel.cases[0]))
        if kind == "window" and "window" in kernel.keywords:
            parameters = {key: value for key, value in parameters.items() if key != "min_periods"} | {"window": 100}
        yield str(name), str(name), parameters
        if name == DENSE[0]:
            yield f"{name}, one for every tick", str(name), DENSE[1]


def speeds(rows: int, symbols: int) -> list[dict[str, Any]]:
    """Return the speed of each kernel that is run tick by tick."""
    ticks, entries = Ticks(rows, symbols), ft.catalogue()
    return [_speed(ticks, title, name, entries.loc[name], parameters) for title, name, parameters in calls()]


def _speed(ticks: Ticks, title: str, name: str, entry: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    million = ticks.rows / 1e6 / _seconds(ticks.call(getattr(ft, name), parameters))
    aim = AIMS[entry["kind"]]
    return {
        "kernel": title,
        "family": entry["family"],
        "kind": entry["kind"],
        "million rows/s": f"{million:.0f}" if million >= 10 else f"{million:.1f}",
        "to reach": aim,
        "if not, why": "" if million >= aim else REASONS.get(name, "not known"),
    }


def lengths(rows: int, windows: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return what a row costs each kernel of a window that does not look at all of it, by the length of the window."""
    ticks = Ticks(rows, 10)
    kinds = ft.catalogue()["kind"]
    result = []
    for name in kinds.index[kinds == "window"]:
        kernel, reason = getattr(ft, name), REASONS.get(name, "")
        if reason.startswith(WHOLE) or "window" not in kernel.keywords:
            continue
        first = {key: value for key, value in kernel.cases[0].items() if key != "min_periods"}
        cost = [_seconds(ticks.call(kernel, first | {"window": window})) / rows * 1e9 for window in windows]
        result.append(
            {"kernel": name}
            | {f"{window:,} rows, ns": f"{ns:.0f}" for window, ns in zip(windows, cost, strict=True)}
            | {"longest / shortest": f"{cost[-1] / cost[0]:.1f}", "if more, why": reason}
        )
    return result


def _seconds(call: Callable[[], Any]) -> float:
    """Return the median of three calls, or one if that takes long, after a first, which compiles and fetches memory."""
    taken: list[float] = []
    while len(taken) < 4 and not (len(taken) > 1 and taken[-1] > 1):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


class Ticks:
    """Columns for whatever a kernel reads, each made once."""

    def __init__(self, rows: int, symbols: int) -> None:
        self.rows, self.rng = rows, np.random.default_rng(0)
        ticks = quotes(rows, symbols)
        self.ts, self.symbol = ticks["ts"], ticks["symbol"]
        self.made: dict[tuple[str, int], Any] = {}

    def call(self, kernel: Any, parameters: dict[str, Any]) -> Callable[[], Any]:
        """Return a kernel's public call on all rows."""
        seen: dict[str, int] = {}
        columns = []
        for read in kernel.input_columns(3):
            sort = "level" if (kernel.name, read.name) == ("order_book", "price") else self._sort(read)
            seen[sort] = seen.get(sort, 0) + 1
            columns.append(self.ts if sort == "ts" else self._column(sort, seen[sort]))
        keywords = parameters | ({} if "ts" in kernel.reads else {"ts": self.ts})
        return lambda: kernel(*columns, symbol=self.symbol, **keywords)

    def _sort(self, read: Any) -> str:
        if read.name == "ts" or read.role == "side":
            return str(read.role if read.role == "side" else "ts")
        if read.role == "level":
            return "depth"
        if read.name in FROM_PRICE or read.name in CHANGES:
            return str(read.name) if read.name in FROM_PRICE else "change"
        if read.name in TEXTS and read.dtype.kind == "O":
            return f"{read.name} as text"
        return "name" if read.dtype.kind == "O" else str(read.dtype) if read.dtype.kind in "bi" else "number"

    def _column(self, sort: str, nth: int) -> Any:
        if (sort, nth) not in self.made:
            if sort == "number":
                column = 100 + self.rng.normal(size=self.rows)
            elif sort == "change":
                column = self.rng.normal(size=self.rows)
            elif sort in FROM_PRICE:
                column = self._column("number", 1) + FROM_PRICE[sort]
            elif sort == "side":
                column = self.rng.integers(0, 2, self.rows) * 2 - 1
            elif sort == "name":
                column = self.rng.integers(0, 20, self.rows)
            elif sort == "depth":
                column = self.rng.integers(1, 4, self.rows).astype(float)
            elif sort == "level":
                column = 100 + self.rng.integers(0, 40, self.rows) / 100
            elif sort.endswith(" as text"):
                texts = TEXTS[sort.removesuffix(" as text")]
                column = pd.Categorical.from_codes(self.rng.integers(0, len(texts), self.rows), texts)
            else:
                column = self.rng.integers(0, 2, self.rows).astype(sort)
            self.made[sort, nth] = column
        return self.made[sort, nth]
