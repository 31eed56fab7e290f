"""Order states from CSV: taken in and classified against Polars and DuckDB, and a whole run by workers and chunks."""

from __future__ import annotations

import hashlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import psutil
from distributed import Client, LocalCluster

import fintech_toolkit as ft
from benchmarks.measure import medians
from data_generators.orders import write_orders
from fintech_toolkit import orders

ZONE = "Australia/Sydney"
TOLD = ["order_id", "contra_order_id", "timestamp", "quantity", "price"]
"""Of a match, what is generated with the market."""
LARGEST = {"Polars": 1 / 3, "DuckDB": 1 / 3}


def peak() -> int:
    """Return the most bytes that this process has held."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = next((line.split()[1] for line in lines if line.startswith("VmHWM")), None)
    return psutil.Process().memory_info().rss if found is None else int(found) * 1024


def ours(market: str, out: str, workers: int) -> dict[str, Any]:
    """Take the files in, and classify each security on each day."""
    rules = orders.Market()

    def classified(security: int, day: Any) -> pd.DataFrame:
        final = orders.final_states(orders.Store(out).orders(security, day), rules)
        return final[["order_id", "matched", "leavesquantity"]]

    with _client(workers) as client:
        start = time.perf_counter()
        found = orders.ingest(f"{market}/orders", f"{market}/trades", out, client=client)
        days = [(each.security, each.day) for each in found.days]
        if client is None:
            with ThreadPoolExecutor(psutil.cpu_count()) as threads:  # the peers use all cores too
                final = list(threads.map(lambda each: classified(*each), days))
        else:
            final = client.gather(client.map(lambda each: classified(*each), days))
        seconds = time.perf_counter() - start
        held = sum(client.run(peak).values()) if client else 0
    return _result(seconds, held + peak(), pd.concat(final))


def polars(market: str, out: str) -> dict[str, Any]:
    """Do the same with lazy frames: sorted files by security and day, and the last state of each order in each."""
    start = time.perf_counter()
    keys = ["security_code", "day"]
    for name in ("trades", "orders"):
        at, security = ("tradetime", "securitycode") if name == "trades" else ("timestamp", "security_code")
        time_of = pl.from_epoch(pl.col(at), time_unit="ns").dt.replace_time_zone("UTC")
        frame = (
            pl.scan_csv(f"{market}/{name}/*.csv")
            .rename({} if security == "security_code" else {security: "security_code"})
            .with_columns(time_of.alias(at), day=time_of.dt.convert_time_zone(ZONE).dt.date())
            .sort(*keys, at, "sequence")
        )
        frame.sink_parquet(pl.PartitionBy(f"{out}/{name}", key=keys), mkdir=True)
    final = (
        pl.scan_parquet(f"{out}/orders/**/*.parquet", hive_partitioning=True)
        .group_by("order_id", *keys)
        .agg(pl.all().last(), arrival=pl.col("timestamp").first())
        .collect(engine="streaming")
    )
    seconds, held = time.perf_counter() - start, peak()
    return _result(seconds, held, final.select("order_id", "totalmatchedquantity", "leavesquantity").to_pandas())


def duck(market: str, out: str) -> dict[str, Any]:
    """Do the same in SQL."""
    start = time.perf_counter()
    Path(out).mkdir()
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'; set enable_progress_bar = false")
    for name, at, security in (("trades", "tradetime", "securitycode"), ("orders", "timestamp", "security_code")):
        con.execute(
            f"""copy (select *, cast(timezone('{ZONE}', make_timestamptz({at} // 1000)) as date) as day
            from read_csv('{market}/{name}/*.csv') order by {security}, day, {at}, sequence)
            to '{out}/{name}' (format parquet, partition_by ({security}, day))"""
        )
    final = con.execute(
        f"""select order_id, last(totalmatchedquantity order by timestamp, sequence) as matched,
            last(leavesquantity order by timestamp, sequence) as leaves, min(timestamp) as arrival,
            last(price order by timestamp, sequence) as price
            from read_parquet('{out}/orders/**/*.parquet', hive_partitioning = true)
            group by order_id, security_code, day"""
    ).df()
    seconds, held = time.perf_counter() - start, peak()
    return _result(seconds, held, final[["order_id", "matched", "leaves"]])


def _result(seconds: float, held: int, final: pd.DataFrame) -> dict[str, Any]:
    """Return what was measured, and a digest of each order with what it traded and has left, in whatever order."""
    hashes = pd.util.hash_pandas_object(final.astype("int64"), index=False).to_numpy()
    return {"seconds": seconds, "peak": held, "said": hashlib.sha256(np.sort(hashes).tobytes()).hexdigest()}


def _client(workers: int) -> Any:
    return nullcontext() if workers == 1 else _warm(Client(_cluster(workers)))


def _cluster(workers: int) -> LocalCluster:
    """Start workers as `fintech-toolkit orders run` does."""
    ft.configure_workers()
    return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0")


def _warm(client: Client) -> Client:
    """Have the workers import what one process has imported when the clock starts."""
    client.run(peak)
    return client


def alone(run: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Measure in a process of its own: its memory is nobody else's."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(run, *arguments).result()


def taken_in(securities: int, days: int, states: int, workers: tuple[int, ...] = (2,)) -> list[dict[str, Any]]:
    """Return a row per contender; ours in one process, and on workers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        market = str(folder / "market")
        made = write_orders(market, securities, days, states)
        contenders: dict[str, tuple[Any, ...]] = {
            "ours, one process": (ours, market, str(folder / "ours"), 1),
            **{f"ours, {many} workers": (ours, market, str(folder / f"workers-{many}"), many) for many in workers},
            "Polars": (polars, market, str(folder / "polars")),
            "DuckDB": (duck, market, str(folder / "duckdb")),
        }
        found = {who: alone(*call) for who, call in contenders.items()}
        size = sum(path.stat().st_size for path in Path(market, "orders").iterdir())
    first = found["ours, one process"]
    return [
        {
            "what": f"{made.states:,} states, {size / 1e6:,.0f} MB of CSV, {securities * days:,} securities and days",
            "who": who,
            "seconds": each["seconds"],
            "states/s": round(made.states / each["seconds"]),
            "peak memory, MB": round(each["peak"] / 1e6),
            "memory, ours / theirs": f"{first['peak'] / each['peak']:.2f}" if who in LARGEST else "",
            "to reach": f"{LARGEST[who]:.2f}" if who in LARGEST else "",
            "agrees": each["said"] == first["said"],
        }
        for who, each in found.items()
    ]


def run_once(market: str, out: str, workers: int, chunk: str) -> dict[str, Any]:
    """Run from CSV to report."""
    inputs = {kind: f"{market}/{kind}" for kind in ("orders", "trades", "quotes")}
    config = orders.OrdersConfig(inputs=inputs, output=out, chunk_size=chunk, workers=workers)
    with _cluster(workers) as cluster, _warm(Client(cluster)) as client:
        start = time.perf_counter()
        ran = orders.run_orders(config, client)
        seconds = time.perf_counter() - start
        held = max(client.run(peak).values())
    said = "" if ran.failed else Path(out, "aggregated", "by_security.csv").read_text()
    return {"seconds": seconds, "peak": held, "said": said}


def whole(securities: int, days: int, states: int, cases: tuple[tuple[int, str], ...]) -> list[dict[str, Any]]:
    """Return a row per case: workers, and the size of chunks."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        market = str(Path(name) / "market")
        made = write_orders(market, securities, days, states)
        if len(cases) > 1:
            alone(run_once, market, f"{name}/first", 1, "512 MB")  # compiles what the others find
        said = None
        for workers, chunk in cases:
            found = alone(run_once, market, f"{name}/{workers}-{chunk}", workers, chunk)
            said = found["said"] if said is None else said
            rows.append(
                {
                    "what": f"{made.states:,} states of {securities * days:,} securities and days",
                    "workers": workers,
                    "chunks": chunk,
                    "seconds": found["seconds"],
                    "states/s": round(made.states / found["seconds"]),
                    "peak memory of a worker, MB": round(found["peak"] / 1e6),
                    "agrees": bool(said) and found["said"] == said,
                }
            )
    return rows


def simulated(sizes: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """Return a row per size of a day of one security: orders a second, and whether the matches are those of the truth
    that was generated with them.
    """
    market = orders.Market()
    rows = []
    for states in sizes:
        with tempfile.TemporaryDirectory() as name:
            write_orders(f"{name}/market", 1, 1, states)
            inputs = [f"{name}/market/{kind}" for kind in ("orders", "trades")]
            found = orders.ingest(*inputs, f"{name}/out", quotes=f"{name}/market/quotes")
            day = max(found.days, key=lambda day: day.order_rows)
            store = orders.Store(f"{name}/out")
            read, trades, quotes = (kind(day.security, day.day) for kind in (store.orders, store.trades, store.quotes))
            (truth,) = Path(name, "market", "matches").iterdir()
            told = pd.read_parquet(truth)
        final = orders.match_trades(orders.final_states(read, market), trades)
        nbbo = orders.national_best(read, trades, quotes)
        given = read, final, trades, nbbo, orders.Simulation(), market
        steps = {
            "final states": partial(orders.final_states, read, market),
            "simulate": partial(orders.simulate, *given),
        }
        seconds = medians(steps, repeats)
        matches = orders.simulate(*given).matches
        rows.append(
            {
                "what": f"{len(final):,} orders, {len(read):,} states, {len(trades):,} sides of trades",
                "matches": len(matches),
                **{f"{step}, million orders/s": len(final) / taken / 1e6 for step, taken in seconds.items()},
                "to reach": "1 in simulate",
                "agrees": len(told) > 0 and all(_equal(matches[name], told[name]) for name in TOLD),
            }
        )
    return rows


def _equal(found: pd.Series, told: pd.Series) -> bool:
    times = isinstance(found.dtype, pd.DatetimeTZDtype)
    return bool((found.astype("int64") if times else found).equals(told))
