"""Signals of contracts against a loop over rows and Polars, and of many contracts on Dask's workers."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

import data_generators
import fintech_toolkit as ft
from benchmarks.bench_dask import WORKERS, peak_megabytes, worker_memory
from benchmarks.measure import compare, medians

DAYS = 3_530
STAMPS = 28_048
TARGETS = {"a loop over rows, iterrows": 50.0, "Polars, lazy": 2.0}
HALFLIFE = 240
BY = "contract"


def polars(prices: pl.DataFrame, vix: pl.DataFrame, spx: pl.DataFrame) -> pl.DataFrame:
    """Return the table from Polars; betas from moments, which costs them digits and Polars has no other."""
    change, index = pl.col("price_change_pct"), pl.col("spx_change_pct")

    def mean(values: pl.Expr) -> pl.Expr:
        return values.ewm_mean(half_life=HALFLIFE, ignore_nulls=False)

    following = pl.col("next_price_change_pct").sign() * pl.col("signal")
    return (
        prices.lazy()
        .join_asof(vix.lazy().rename({"vix": "VIX"}), on="timestamp", tolerance="2h")
        .join_asof(spx.lazy().rename({"spx": "SPX"}), on="timestamp", tolerance="2h")
        .with_columns(
            price_change=pl.col("price").diff().over(BY),
            price_change_pct=100 * (pl.col("price") / pl.col("price").shift() - 1).over(BY),
            spx_change_pct=100 * (pl.col("SPX") / pl.col("SPX").shift() - 1).over(BY),
            vix_multiplier=pl.col("VIX") / 15,
        )
        .with_columns(
            beta=(
                (mean(change * index) - mean(change) * mean(index)) / (mean(index * index) - mean(index).pow(2))
            ).over(BY),
            next_price_change_pct=change.shift(-1).over(BY),
            buy_threshold=0.5 * pl.col("vix_multiplier"),
            sell_threshold=-0.5 * pl.col("vix_multiplier"),
        )
        .with_columns(
            signal=pl.when(change > pl.col("buy_threshold"))
            .then(1.0)
            .when(change < pl.col("sell_threshold"))
            .then(-1.0)
            .when(change.is_not_null() & pl.col("VIX").is_not_null())
            .then(0.0)
        )
        .with_columns(
            trade_quality=pl.when(following > 0)
            .then(pl.lit("good"))
            .when(following < 0)
            .then(pl.lit("bad"))
            .otherwise(pl.lit("neutral"))
            .cast(pl.Enum(["bad", "neutral", "good"]))
        )
        .select(ft.signals.COLUMNS)
        .collect()
    )


def by_rows(prices: pd.DataFrame, vix: pd.DataFrame, spx: pd.DataFrame, *, tuples: bool) -> pd.DataFrame:
    """Return the table from a loop over the rows of a frame, as `iterrows` or `itertuples` gives them."""
    two_hours = pd.Timedelta("2h")
    frame = pd.merge_asof(prices, vix.rename(columns={"vix": "VIX"}), on="timestamp", tolerance=two_hours)
    frame = pd.merge_asof(frame, spx.rename(columns={"spx": "SPX"}), on="timestamp", tolerance=two_hours)
    kept = 0.5 ** (1 / HALFLIFE)
    last: dict[str, dict[str, Any]] = {}
    sums: dict[str, list[float]] = {}
    rows = []
    for row in frame.itertuples(index=False) if tuples else (row for _, row in frame.iterrows()):
        now: dict[str, Any] = {"timestamp": row.timestamp, "price": row.price, "contract": row.contract}
        now |= {"VIX": row.VIX, "SPX": row.SPX, "next_price_change_pct": np.nan, "trade_quality": "neutral"}
        before = last.get(row.contract)
        if before is None:
            change = now["price_change"] = now["price_change_pct"] = now["spx_change_pct"] = now["beta"] = np.nan
            sums[row.contract] = [0.0] * 5
        else:
            now["price_change"] = row.price - before["price"]
            change = now["price_change_pct"] = 100 * (row.price / before["price"] - 1)
            index = now["spx_change_pct"] = 100 * (row.SPX / before["SPX"] - 1)
            moments = (1.0, change, index, change * index, index * index)
            weighted = sums[row.contract] = [kept * a + b for a, b in zip(sums[row.contract], moments, strict=True)]
            weight, x, y, xy, yy = weighted
            spread = yy / weight - (y / weight) ** 2
            now["beta"] = (xy / weight - x * y / weight**2) / spread if spread > 0 else np.nan
            before["next_price_change_pct"] = change
            if before["signal"] * change > 0:
                before["trade_quality"] = "good"
            elif before["signal"] * change < 0:
                before["trade_quality"] = "bad"
        now["vix_multiplier"] = row.VIX / 15
        buy = now["buy_threshold"] = 0.5 * now["vix_multiplier"]
        sell = now["sell_threshold"] = -buy
        now["signal"] = np.nan if before is None else 1.0 if change > buy else -1.0 if change < sell else 0.0
        last[row.contract] = now
        rows.append(now)
    return pd.DataFrame(rows, columns=list(ft.signals.COLUMNS))


def agrees(ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    """Tell whether two tables say the same."""
    settled = ours.groupby(BY).cumcount() > 10  # betas from moments of a few rows have few digits
    return (
        np.array_equal(ours["signal"], theirs["signal"], equal_nan=True)
        and ours["trade_quality"].astype(str).tolist() == theirs["trade_quality"].astype(str).tolist()
        and np.allclose(ours["beta"][settled], theirs["beta"].to_numpy(float)[settled], rtol=1e-6, atol=1e-9)
        and np.allclose(ours["next_price_change_pct"], theirs["next_price_change_pct"].to_numpy(float), equal_nan=True)
    )


def run(contracts: int = 10, days: int = DAYS, stamps: int = STAMPS, repeats: int = 7) -> list[dict[str, Any]]:
    """Return a row for each peer."""
    market = data_generators.hourly_market(contracts, days)
    ours = {
        "prices": market.prices.head(contracts * stamps),
        "vix": market.vix.head(stamps),
        "spx": market.spx.head(stamps),
    }
    theirs = {
        name: pl.from_pandas(frame).with_columns(pl.col("timestamp").set_sorted()) for name, frame in ours.items()
    }
    table = ft.signals.signals(**ours)
    seconds = medians({"ours": lambda: ft.signals.signals(**ours), "Polars, lazy": lambda: polars(**theirs)}, repeats)
    agree = {"Polars, lazy": agrees(table, polars(**theirs).to_pandas())}
    for name, tuples in (("a loop over rows, iterrows", False), ("a loop over rows, itertuples", True)):
        start = time.perf_counter()
        looped = by_rows(**ours, tuples=tuples)
        seconds[name] = time.perf_counter() - start
        agree[name] = agrees(table, looped)
    what = f"{contracts:,} contracts × {len(ours['vix']):,} stamps"
    rows = compare(what, seconds.pop("ours"), seconds, TARGETS)
    return [{**row, "agrees": agree[row["against"]]} for row in rows]


def write(folder: Path, contracts: int, days: int, stamps: int, files: int) -> None:
    """Write the prices of contracts to files of some contracts each, and both indices."""
    market = data_generators.hourly_market(contracts, days)
    market.vix.head(stamps).to_parquet(folder / "vix.parquet")
    market.spx.head(stamps).to_parquet(folder / "spx.parquet")
    (folder / "prices").mkdir()
    prices = market.prices.head(contracts * stamps)
    part = prices.groupby(BY, sort=False).ngroup() * files // contracts
    for number in range(files):
        prices[part == number].to_parquet(folder / "prices" / f"{number:04d}.parquet", index=False)


def one_file(path: str, folder: str) -> tuple[int, int]:
    """Compute a file of contracts and write it; return its rows and trades."""
    indices = {name: pd.read_parquet(f"{folder}/{name}.parquet") for name in ("vix", "spx")}
    table = ft.signals.signals(pd.read_parquet(path), **indices)
    table.to_parquet(f"{folder}/signals-{Path(path).name}", index=False)
    return len(table), int((table["signal"].abs() == 1).sum())


def on_dask(
    contracts: int = 500, days: int = DAYS, stamps: int = STAMPS, files: int = 100, repeats: int = 3
) -> list[dict[str, Any]]:
    """Return a row: seconds from Parquet to Parquet, and memory."""
    from distributed import Client, LocalCluster

    options = {"n_workers": WORKERS, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Made elsewhere, so that its memory is not counted here.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            alone.submit(write, folder, contracts, days, stamps, files).result()
        paths = sorted(str(path) for path in (folder / "prices").iterdir())
        ft.configure_workers()
        with LocalCluster(**options) as cluster, Client(cluster) as client:
            client.run(one_file, paths[0], name)  # both workers load what is compiled
            taken = []
            for _ in range(repeats):
                start = time.perf_counter()
                counts = client.gather(client.map(one_file, paths, folder=name, pure=False))
                taken.append(time.perf_counter() - start)
            memory = worker_memory(client)
        rows = sum(count for count, _ in counts)
        stamped = min(stamps, rows // contracts)
    return [
        {
            "what": f"{contracts:,} contracts × {stamped:,} stamps",
            "rows": rows,
            "trades": sum(trades for _, trades in counts),
            "seconds": float(np.median(taken)),
            "rows/s": rows / float(np.median(taken)),
            "largest worker, MB": memory,
            "all, MB": WORKERS * memory + peak_megabytes(),
            "agrees": rows == contracts * stamped,
        }
    ]
