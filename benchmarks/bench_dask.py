"""Dask against Polars: files of ticks in, five steps, files out. Ratios first; both in the same run."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import typer

import fintech_toolkit as ft
from benchmarks.measure import compare

TARGETS = {"chain": 1.5, "read_partitioned": 2.0, "shuffle": 0.7}
WORKERS = 2


def write_ticks(folder: Path, rows: int, files: int, symbols: int = 1000) -> None:
    """Write quotes in time order, symbols interleaved, a few of them far more active than most."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = pa.array([f"SYM{k:05d}" for k in range(symbols)])
    activity = np.cumsum(1 / np.arange(1, symbols + 1) ** 0.8)
    level = rng.uniform(20, 500, symbols)
    now = 1_700_000_000_000_000_000
    for file in range(files):
        n = rows * (file + 1) // files - rows * file // files
        codes = np.searchsorted(activity, rng.random(n) * activity[-1]).astype(np.int32)
        ts = now + np.cumsum(rng.integers(0, 2_000_000, n))
        now = int(ts[-1])
        mid = level[codes] * np.exp(rng.normal(0, 1e-3, n))
        table = pa.table(
            {
                "ts": pa.array(ts, pa.timestamp("ns", "UTC")),
                "symbol": names.take(pa.array(codes)),
                "bid": mid - level[codes] * 1e-4,
                "ask": mid + level[codes] * 1e-4,
                "bid_size": rng.integers(1, 100, n).astype(np.float64),
                "ask_size": rng.integers(1, 100, n).astype(np.float64),
            }
        )
        pq.write_table(table, folder / f"part-{file:03d}.parquet")


def pipeline() -> Any:
    """The five steps."""
    return ft.Pipeline(
        ft.midprice(),
        ft.log_returns("mid"),
        ft.ewma("log_return", halflife=50),
        ft.ewstd("log_return", halflife=50),
        ft.rolling_zscore("mid", window=100),
    )


def polars_scan_to_sink(source: str, target: str) -> tuple[float, float]:
    """Run the five steps with Polars; return seconds and the peak memory of the process in MB."""
    import polars as pl

    start = time.perf_counter()
    mid, log_return = pl.col("mid"), pl.col("log_return")
    (
        pl.scan_parquet(f"{source}/*.parquet")
        .with_columns(mid=(pl.col("bid") + pl.col("ask")) / 2)
        .with_columns(log_return=(mid / mid.shift(1)).log().over("symbol"))
        .with_columns(
            ewma=log_return.ewm_mean(half_life=50, ignore_nulls=False).over("symbol"),
            ewstd=log_return.ewm_std(half_life=50, ignore_nulls=False).over("symbol"),
            zscore=((mid - mid.rolling_mean(100)) / mid.rolling_std(100)).over("symbol"),
        )
        .sink_parquet(target, compression="snappy")
    )
    return time.perf_counter() - start, peak_megabytes()


def sums(path: Path) -> np.ndarray:
    """Return what results are compared by: the sums of the columns that the steps gave."""
    names = ["mid", "log_return", "ewma", "ewstd", "zscore"]
    table = pa.dataset.dataset(path).to_table(columns=names)
    return np.array([np.nansum(np.where(np.isfinite(x := table[name].to_numpy()), x, 0.0)) for name in names])


def peak_megabytes() -> float:
    """Return the most memory that this process has had; `ru_maxrss` would count the process that it was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def worker_memory(client: Any) -> float:
    """Return the peak memory of the largest worker in MB."""
    return float(max(client.run(peak_megabytes).values()))


def warm_up(ticks: str) -> None:
    """Load the compiled kernels, as in a process that has been at work; first calls are another benchmark's subject."""
    pipeline()(next(pq.ParquetFile(next(Path(ticks).iterdir())).iter_batches(1000)))


def measure(lazy: Callable[[], Any], ticks: Path, place: Path, repeats: int) -> dict[str, Any]:
    """Run a case and Polars in turn; return the seconds of both, peak memory, and whether the results agree."""
    from distributed import Client, LocalCluster

    ours, polars, agrees, polars_memory = [], [], True, 0.0
    options = {"n_workers": WORKERS, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    # As the README advises.
    ft.configure_workers()
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        client.run(warm_up, str(ticks))
        for _ in range(repeats):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                peer = alone.submit(polars_scan_to_sink, str(ticks), str(place / "polars.parquet")).result()
            polars.append(peer[0])
            polars_memory = max(polars_memory, peer[1])
            start = time.perf_counter()
            # Dictionaries are tried for every column by default, in vain for prices.
            lazy().to_parquet(place / "out", write_index=False, use_dictionary=["symbol"])
            ours.append(time.perf_counter() - start)
            agrees &= bool(np.allclose(sums(place / "out"), sums(place / "polars.parquet"), rtol=1e-6))
            shutil.rmtree(place / "out")
        memory = worker_memory(client)
    return {
        "ours": statistics.median(ours),
        "polars": statistics.median(polars),
        "agrees": agrees,
        "worker": memory,
        "peer": polars_memory,
    }


def run(
    rows: int = 20_000_000, files: int = 20, repeats: int = 3, only: Sequence[str] = tuple(TARGETS)
) -> list[dict[str, Any]]:
    """Run all cases and return a row for each: ratio to Polars, target, seconds, peak memory, whether results agree."""
    import dask
    import dask.dataframe as dd

    steps = pipeline()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        ticks, by_symbol = place / "ticks", place / "by_symbol"
        write_ticks(ticks, rows, files)
        with dask.config.set(scheduler="threads"):
            ft.write_partitioned(dd.read_parquet(ticks), by_symbol)
        cases: dict[str, Callable[[], Any]] = {
            "chain": lambda: steps(dd.read_parquet(ticks)),
            "read_partitioned": lambda: steps(ft.read_partitioned(by_symbol)),
            "shuffle": lambda: steps(dd.read_parquet(ticks), plan="shuffle"),
        }
        for name in only:
            seen = measure(cases[name], ticks, place, repeats)
            what = f"Dask, {rows / 1e6:g} M rows, {WORKERS} processes, five steps, files to files: {name}"
            (row,) = compare(what, seen["ours"], {"Polars": seen["polars"]}, {"Polars": TARGETS[name]})
            row |= {
                "worker peak, MB": round(seen["worker"]),
                "peer peak, MB": round(seen["peer"]),
                "agrees": seen["agrees"],
            }
            found.append(row)
    return found


def main(
    rows: Annotated[int, typer.Option(help="Rows of ticks.")] = 20_000_000,
    repeats: Annotated[int, typer.Option(help="Runs of each case; the median counts.")] = 3,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the results here.")] = None,
) -> None:
    """Compare the three plans on Dask, two worker processes, with Polars from scan to sink."""
    found = run(rows, repeats=repeats)
    print(pd.DataFrame(found).set_index("ratio").to_string())
    if json_path is not None:
        json_path.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
