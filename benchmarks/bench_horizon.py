"""Joins at horizons against Polars, in the same run and with the same answers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
import polars as pl
import typer

import fintech_toolkit as ft
from benchmarks.bench_asof import feed
from benchmarks.measure import compare

SECONDS = (-300, -60, -10, -5, -2, -1, 0, 1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 120, 300, 600)
OFFSETS = [f"{seconds}s" for seconds in SECONDS]
TARGET = 10.0


def run(left_rows: int = 1_000_000, right_rows: int = 10_000_000, repeats: int = 3) -> list[dict[str, Any]]:
    """Return a row for each peer: seconds of both (medians), ratio."""
    left, right = feed(left_rows, ["price", "size"], 1), feed(right_rows, ["mid"], 2)
    here, there = pl.from_pandas(left), pl.from_pandas(right)
    contenders: dict[str, Callable[[], Any]] = {
        "ours": lambda: ft.horizon_join(left, right, OFFSETS),
        "Polars, a join for each offset": lambda: _a_join_each(here, there),
        "Polars, lazily, a join for each offset": lambda: _all_at_once(here, there),
        "Polars, rows for all offsets, one join": lambda: _long(here, there),
    }
    answers = {name: _answers(contender()) for name, contender in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    rows = compare(f"{len(OFFSETS)} offsets", median.pop("ours"), median, dict.fromkeys(median, TARGET))
    for row in rows:
        row["agrees"] = bool(np.array_equal(answers[row["against"]], answers["ours"], equal_nan=True))
    return rows


def _answers(frame: Any) -> Any:
    """Return the columns of offsets of a frame, as one array."""
    return np.column_stack([np.asarray(frame[f"mid_{offset}"].to_numpy(), float) for offset in OFFSETS])


def _duration(offset: str) -> pl.Expr:
    return pl.duration(nanoseconds=pd.Timedelta(offset).value, time_unit="ns")


def _shifted(here: pl.DataFrame, there: pl.DataFrame, offset: str) -> pl.DataFrame:
    at = here.select("symbol", (pl.col("ts") + _duration(offset)).alias("ts"))
    return at.join_asof(there, on="ts", by="symbol", check_sortedness=False)


def _a_join_each(here: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    return here.with_columns(*(_shifted(here, there, offset)["mid"].alias(f"mid_{offset}") for offset in OFFSETS))


def _all_at_once(here: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    plans = [
        here.lazy()
        .select("symbol", (pl.col("ts") + _duration(offset)).alias("ts"))
        .join_asof(there.lazy(), on="ts", by="symbol", check_sortedness=False)
        .select(pl.col("mid").alias(f"mid_{offset}"))
        for offset in OFFSETS
    ]
    return pl.concat([here, *pl.collect_all(plans)], how="horizontal")


def _long(here: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    numbered = here.select("symbol", "ts").with_row_index("row")
    shifts = [numbered.with_columns(pl.col("ts") + _duration(offset), k=pl.lit(k, pl.Int8))
              for k, offset in enumerate(OFFSETS)]  # fmt: skip
    found = pl.concat(shifts).sort("ts").join_asof(there, on="ts", by="symbol", check_sortedness=False)
    columns = found.sort("k", "row")["mid"]
    rows = len(here)
    return here.with_columns(
        *(columns.slice(k * rows, rows).alias(f"mid_{offset}") for k, offset in enumerate(OFFSETS))
    )


def main(
    left_rows: Annotated[int, typer.Option(help="Trades.")] = 1_000_000,
    right_rows: Annotated[int, typer.Option(help="Quotes.")] = 10_000_000,
    repeats: Annotated[int, typer.Option(help="Runs of each contender; the median counts.")] = 3,
) -> None:
    """Compare joins at horizons with Polars."""
    print(pd.DataFrame(run(left_rows, right_rows, repeats)).to_string(index=False))


if __name__ == "__main__":
    typer.run(main)
