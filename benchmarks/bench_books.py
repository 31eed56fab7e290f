"""Best bid and offer, and the top five levels, over the standing quotes of twenty dealers, after every quote."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from benchmarks.measure import compare, medians

DEALERS, LEVELS = 20, 5
PER_CORE = 3e6
"""Rows a second and core that are to be reached."""


def market(rows: int, symbols: int = 1000) -> pd.DataFrame:
    """Return quotes of dealers around a mid that moves, on a grid of cents; one size in fifty is zero."""
    random = np.random.default_rng(0)
    symbol, dealer = random.integers(0, symbols, rows), random.integers(0, DEALERS, rows)
    mid, half = 10_000 + np.cumsum(random.integers(-1, 2, rows)) // 20, random.integers(1, 8, (2, rows))
    bid_size, ask_size = random.integers(0, 50, (2, rows)) * 10.0
    return pd.DataFrame(
        {
            "symbol": pd.Categorical.from_codes(symbol, [f"SYM{j:06d}" for j in range(symbols)]),
            "ts": pd.to_datetime(np.arange(rows) * 1000, unit="ns", utc=True),
            "dealer": pd.Categorical.from_codes(dealer, [f"Dealer {j}" for j in range(DEALERS)]),
            "bid": (mid - half[0]) / 100,
            "ask": (mid + half[1]) / 100,
            "bid_size": bid_size,
            "ask_size": ask_size,
        }
    )


def by_polars(frame: pl.DataFrame, levels: int) -> pl.DataFrame:
    """The best levels in Polars: a column a dealer with the place of its last quote, and the best across these."""
    places = (
        frame.lazy()
        .with_row_index("row")
        .sort("symbol", maintain_order=True)
        .with_columns(place=pl.int_range(pl.len(), dtype=pl.UInt32))
        .with_columns(begin=pl.col("place").first().over("symbol"))
    )
    sides = {"bid": (pl.max_horizontal, "lt"), "ask": (pl.min_horizontal, "gt")}
    for dealer in range(DEALERS):
        last = pl.when(pl.col("dealer") == f"Dealer {dealer}").then("place").forward_fill()
        places = places.with_columns(pl.when(last >= pl.col("begin")).then(last).alias(f"at{dealer}"))
    quoted = places.with_columns(
        column.alias(f"{name}{dealer}")
        for side in sides
        for stands in [pl.when(pl.col(f"{side}_size") > 0)]
        for dealer in range(DEALERS)
        for name, column in (
            (side, stands.then(side).gather(pl.col(f"at{dealer}"))),
            (f"{side}_size", pl.col(f"{side}_size").gather(pl.col(f"at{dealer}"))),
        )
    )
    for level in range(1, levels + 1):
        prices = {
            side: [
                pl.col(f"{side}{d}")
                if level == 1
                else pl.when(getattr(pl.col(f"{side}{d}"), worse)(pl.col(f"{side}_{level - 1}"))).then(f"{side}{d}")
                for d in range(DEALERS)
            ]
            for side, (_, worse) in sides.items()
        }
        quoted = quoted.with_columns(best(prices[side]).alias(f"{side}_{level}") for side, (best, _) in sides.items())
        at = {side: [pl.col(f"{side}{d}") == pl.col(f"{side}_{level}") for d in range(DEALERS)] for side in sides}
        quoted = quoted.with_columns(
            column
            for side in sides
            for column in (
                pl.sum_horizontal(pl.when(here).then(f"{side}_size{d}") for d, here in enumerate(at[side])).alias(
                    f"{side}_size_{level}"
                ),
                pl.sum_horizontal(at[side]).alias(f"{side}_dealers_{level}"),
            )
        )
    return quoted.sort("row").select(columns(levels)).collect()


def by_duckdb(frame: pd.DataFrame, levels: int) -> Any:
    """The best levels in DuckDB: a window a dealer with its last quote, and the best across these."""
    last = ", ".join(
        f"last_value(CASE WHEN dealer = 'Dealer {d}' THEN quote END IGNORE NULLS) OVER standing AS d{d}"
        for d in range(DEALERS)
    )
    query = f"""SELECT row, {last} FROM (SELECT row_number() OVER () AS row, symbol, dealer, {{
        'bid': CASE WHEN bid_size > 0 THEN bid END, 'ask': CASE WHEN ask_size > 0 THEN ask END,
        'bid_size': bid_size, 'ask_size': ask_size}} AS quote FROM frame)
        WINDOW standing AS (PARTITION BY symbol ORDER BY row ROWS UNBOUNDED PRECEDING)"""
    sides = {"bid": ("greatest", "<"), "ask": ("least", ">")}
    for level in range(1, levels + 1):
        best = []
        for side, (function, worse) in sides.items():
            left = f"{{d}}.{side}"
            if level > 1:
                left = f"CASE WHEN {{d}}.{side} {worse} {side}_{level - 1} THEN {{d}}.{side} END"
            prices = ", ".join(left.format(d=f"d{d}") for d in range(DEALERS))
            best.append(f"{function}({prices}) AS {side}_{level}")
        query = f"SELECT *, {', '.join(best)} FROM ({query})"
        sums = []
        for side in sides:
            for name, value in (("size", f"{{d}}.{side}_size"), ("dealers", "1")):
                terms = " + ".join(
                    f"CASE WHEN d{d}.{side} = {side}_{level} THEN {value.format(d=f'd{d}')} ELSE 0 END"
                    for d in range(DEALERS)
                )
                sums.append(f"{terms} AS {side}_{name}_{level}")
        query = f"SELECT *, {', '.join(sums)} FROM ({query})"
    return duckdb.sql(f"SELECT {', '.join(columns(levels))} FROM ({query}) ORDER BY row").fetch_arrow_table()


def columns(levels: int) -> list[str]:
    """Return what the columns of the levels are called."""
    names = ("bid", "ask", "bid_size", "ask_size", "bid_dealers", "ask_dealers")
    return [f"{name}_{level}" for name in names for level in range(1, levels + 1)]


def check(frame: pd.DataFrame, levels: int, ours: list[str], pipeline: ft.Pipeline) -> None:
    """Raise unless all agree."""
    expected = pipeline(frame)
    for found in (by_polars(pl.from_pandas(frame), levels).to_arrow(), by_duckdb(frame, levels)):
        for name, own in zip(columns(levels), ours, strict=True):
            values = found[name].to_pandas().to_numpy(np.float64)
            assert_array_equal(values, expected[own].to_numpy(np.float64), err_msg=name)


def cpu_seconds(run: Callable[[], Any]) -> float:
    """Return what the second of two runs takes of all cores together."""
    run()
    start = time.process_time()
    run()
    return time.process_time() - start


def run(rows: int = 10_000_000, shared: int = 1_000_000, repeats: int = 1) -> list[dict[str, Any]]:
    """Measure: against the others on as many rows as they have the memory for, and alone on all."""
    small = market(shared)
    table: list[dict[str, Any]] = []
    best = ["best_bid", "best_ask", "best_bid_size", "best_ask_size", "best_bid_dealers", "best_ask_dealers"]
    for what, step, levels, names in (
        ("best bid and offer", ft.best_bid_offer(), 1, best),
        ("top five levels", ft.book_depth(levels=LEVELS), LEVELS, columns(LEVELS)),
    ):
        pipeline, polars = ft.Pipeline(step), pl.from_pandas(small)
        check(small.iloc[:20_000], levels, names, pipeline)
        took = medians(
            {
                "ours": lambda pipeline=pipeline: pipeline(small),  # type: ignore[misc]
                "Polars": lambda polars=polars, levels=levels: by_polars(polars, levels),  # type: ignore[misc]
                "DuckDB": lambda levels=levels: by_duckdb(small, levels),  # type: ignore[misc]
            },
            repeats,
        )
        ours = took.pop("ours")
        table += compare(f"{what}, {shared:,} quotes", ours, took, dict.fromkeys(took, 1))
    large = market(rows)
    for what, step in (("best bid and offer", ft.best_bid_offer()), ("top five levels", ft.book_depth())):
        pipeline = ft.Pipeline(step)
        seconds = cpu_seconds(lambda pipeline=pipeline: pipeline(large))  # type: ignore[misc]
        table.append(
            {
                "what": f"{what}, {rows:,} quotes, CPU seconds",
                "against": f"{PER_CORE / 1e6:g} million rows/s a core",
                "ratio": f"{rows / seconds / PER_CORE:.1f}×",
                "to reach": "1×",
                "ours, s": f"{seconds:.3f}",
                "peer, s": "",
            }
        )
    return table
