"""Dask against Polars: files of ticks in, five steps, files out. Ratios first; both in the same run."""

from __future__ import annotations

import json
import multiprocessing
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import typer

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
    import fintech_toolkit as ft

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
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sums(path: Path) -> np.ndarray:
    """Return what results are compared by: the sums of the columns that the steps gave."""
    names = ["mid", "log_return", "ewma", "ewstd", "zscore"]
    table = pa.dataset.dataset(path).to_table(columns=names)
    return np.array([np.nansum(np.where(np.isfinite(x := table[name].to_numpy()), x, 0.0)) for name in names])


def worker_memory(client: Any) -> float:
    """Return the peak memory of the largest worker in MB."""
    peaks = client.run(lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return float(max(peaks.values()))


def run(rows: int = 20_000_000, files: int = 20, repeats: int = 3) -> list[dict[str, Any]]:
    """Run all cases and return a row for each: ratio to Polars, target, seconds, peak memory, whether results agree."""
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    from fintech_toolkit.engines.partitions import read_partitioned, write_partitioned

    steps = pipeline()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ticks, by_symbol, result, by_polars = (
            folder / name for name in ("ticks", "by_symbol", "out", "polars.parquet")
        )
        write_ticks(ticks, rows, files)
        cases: dict[str, Callable[[], Any]] = {
            "chain": lambda: steps(dd.read_parquet(ticks)),
            "read_partitioned": lambda: steps(read_partitioned(by_symbol)),
            "shuffle": lambda: steps(dd.read_parquet(ticks), plan="shuffle"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ("polars", "write_partitioned", *cases)}
        memory: dict[str, float] = {}
        agree: dict[str, bool] = {}
        cluster = {"n_workers": WORKERS, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with LocalCluster(**cluster) as local, Client(local) as client:
            start = time.perf_counter()
            write_partitioned(dd.read_parquet(ticks), by_symbol)
            seconds["write_partitioned"].append(time.perf_counter() - start)
            for _ in range(repeats):
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                    taken, memory["polars"] = alone.submit(polars_scan_to_sink, str(ticks), str(by_polars)).result()
                seconds["polars"].append(taken)
                expected = sums(by_polars)
                for name, lazy in cases.items():
                    client.restart()
                    client.run(_warm_up, str(ticks))
                    start = time.perf_counter()
                    lazy().to_parquet(result, write_index=False)
                    seconds[name].append(time.perf_counter() - start)
                    memory[name] = max(memory.get(name, 0.0), worker_memory(client))
                    agree[name] = bool(np.allclose(sums(result), expected, rtol=1e-6))
                    shutil.rmtree(result)
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    return [
        {
            "case": name,
            "ratio": median["polars"] / median[name],
            "target": TARGETS.get(name),
            "seconds": median[name],
            "million_rows_per_second": rows / median[name] / 1e6,
            "peak_memory_mb": memory.get(name),
            "agrees_with_polars": agree.get(name),
            "rows": rows,
        }
        for name in (*cases, "write_partitioned", "polars")
    ]


def _warm_up(ticks: str) -> None:
    """Load the compiled kernels, as in any process that has been at work; first calls are another benchmark's subject."""
    table = pq.ParquetFile(next(Path(ticks).iterdir())).iter_batches(1000)
    pipeline()(next(table))


def main(
    rows: Annotated[int, typer.Option(help="Rows of ticks.")] = 20_000_000,
    repeats: Annotated[int, typer.Option(help="Runs of each case; the median counts.")] = 3,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the results here.")] = None,
) -> None:
    """Compare the three plans on Dask, two worker processes, with Polars from scan to sink."""
    found = run(rows, repeats=repeats)
    print(f"{'case':20}{'x Polars':>10}{'target':>8}{'seconds':>9}{'M rows/s':>10}{'peak MB':>9}  agrees")
    for row in found:
        target, peak = row["target"] or "", f"{row['peak_memory_mb']:.0f}" if row["peak_memory_mb"] else ""
        print(
            f"{row['case']:20}{row['ratio']:>10.2f}{target:>8}{row['seconds']:>9.2f}"
            f"{row['million_rows_per_second']:>10.2f}{peak:>9}  {row['agrees_with_polars']}"
        )
    if json_path is not None:
        json_path.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
