"""One process against a Dask cluster: from how many rows on it pays to have workers."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

import fintech_toolkit as ft
from benchmarks.bench_dask import peak_megabytes, pipeline, worker_memory, write_ticks
from benchmarks.measure import medians

SIZES = ((1_000, 2), (100_000, 4), (1_000_000, 8), (10_000_000, 20))
"""Rows, and the files that they are in."""
WORKERS = (1, 2, 4)


def here(flow: ft.Flow, ticks: Path, out: Path) -> None:
    """Run from files to a file in this process, with the threads that it takes by itself."""
    out.mkdir(exist_ok=True)
    pq.write_table(flow(quotes=ticks), out / "all.parquet", use_dictionary=["symbol"])


def there(flow: ft.Flow, client: Any, ticks: Path, out: Path) -> None:
    """Run from files to files on the workers of a client."""
    with client.as_current():
        flow.dask(quotes=ticks).to_parquet(out, write_index=False, use_dictionary=["symbol"], overwrite=True)


def bits(path: Path) -> dict[str, int]:
    """Return what results are compared by: the sum of the bits of each column of floats, in whatever order rows are."""
    table = pyarrow.dataset.dataset(path).to_table()
    floats = [name for name in table.column_names if table[name].type == pa.float64()]
    return {name: int(table[name].to_numpy().view(np.int64).sum()) for name in floats}


def crossover(sizes: Sequence[int], ratios: Sequence[float]) -> str:
    """Say between which of the sizes a cluster begins to be as fast as one process, `ratios` being how much faster."""
    faster = next((place for place, ratio in enumerate(ratios) if ratio >= 1), len(sizes))
    if faster == 0:
        return f"below {sizes[0]:,}"
    return f"above {sizes[-1]:,}" if faster == len(sizes) else f"{sizes[faster - 1]:,} to {sizes[faster]:,}"


def run(
    sizes: Sequence[tuple[int, int]] = SIZES, workers: Sequence[int] = WORKERS, repeats: int = 3
) -> list[dict[str, Any]]:
    """Return a row for each size: the seconds of one process and of clusters; then from where on these are as fast, how
    long they take to start, and the memory of the largest process.
    """
    from distributed import Client, LocalCluster

    flow = ft.source("quotes") | pipeline()
    ft.configure_workers()  # as the README advises
    names = [f"{count} worker{'s' if count > 1 else ''}" for count in workers]
    rows: list[dict[str, Any]] = []
    ratios: list[dict[str, float]] = []
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ticks, outs = place / "ticks", {name: place / name for name in ("one process", *names)}
        clients, started = [], []
        for count in workers:
            start = time.perf_counter()
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
            clients.append(stack.enter_context(Client(stack.enter_context(cluster))))
            started.append(f"{time.perf_counter() - start:.1f} s")
        contenders: dict[str, Callable[[], None]] = {"one process": partial(here, flow, ticks, outs["one process"])}
        for name, client in zip(names, clients, strict=True):
            contenders[name] = partial(there, flow, client, ticks, outs[name])
        for size, files in sizes:
            write_ticks(ticks, size, files)
            seconds = medians(contenders, repeats)
            memory = [peak_megabytes(), *map(worker_memory, clients)]
            wanted = bits(outs["one process"])
            agrees = len(wanted) > 0 and all(bits(outs[name]) == wanted for name in names)
            alone = seconds.pop("one process")
            told = {name: f"{alone / s:.2f}×, {s:.3f} s" for name, s in seconds.items()}
            rows.append(
                {"rows": f"{size:,}", "files": files, "one process": f"{alone:.3f} s"} | told | {"agrees": agrees}
            )
            ratios.append({name: alone / s for name, s in seconds.items()})
            shutil.rmtree(ticks)
    counts = [size for size, _ in sizes]
    faster = {name: crossover(counts, [row[name] for row in ratios]) for name in names}
    return [
        *rows,
        {"rows": "as fast from"} | faster,
        {"rows": "to start"} | dict(zip(names, started, strict=True)),
        {"rows": "largest process"} | {n: f"{m:,.0f} MB" for n, m in zip(outs, memory, strict=True)},
    ]
