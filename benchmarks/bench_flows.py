"""A dataflow over files of Parquet against Polars' lazy frames and DuckDB, and what its rules save."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import fintech_toolkit as ft
from benchmarks.measure import compare, medians

SYMBOLS = 1_000
TARGETS = {"Polars, lazy": 1.0, "DuckDB": 1.0, "ours, without rules": 2.0}

STEPS = ft.Pipeline(
    ft.midprice(),
    ft.log_returns("mid"),
    ft.ewma("log_return", alpha=0.1, adjust=False),
    ft.rolling_max("price", window=20),
    ft.lag("mid"),
)


FIELDS = [
    *("symbol", "ts", "price", "coupon", "rating", "amount", "duration"),
    *("mid", "log_return", "ewma", "rolling_max", "lagged"),
]


def flow(venues: list[str]) -> ft.Flow:
    """Return the flow of the trades of some venues."""
    trades = ft.source("trades").filter(("venue", "in", venues))
    joined = trades.asof_join(ft.source("quotes")).join(
        ft.source("securities"), on="isin", select=["coupon", "rating", "amount", "duration"]
    )
    return joined.pipe(STEPS).select(*FIELDS)


def write(folder: Path, rows: int, securities: int, columns: int) -> dict[str, str]:
    """Write trades, quotes and securities of many columns; return their paths."""
    rng = np.random.default_rng(0)

    def ticks(count: int, **others: Any) -> pa.Table:
        codes = rng.integers(0, SYMBOLS, count)
        symbol = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), [f"SYM{j:04d}" for j in range(SYMBOLS)])
        ts = pa.array(np.sort(rng.integers(0, 8 * 3600 * 10**9, count)), pa.timestamp("ns", "UTC"))
        return pa.table({"symbol": symbol.cast(pa.string()), "ts": ts, **others})

    def identifiers(numbers: Any) -> pa.Array:
        return pa.array(np.char.add("XS", np.char.zfill(numbers.astype("str"), 10)))

    mid = 100 + rng.normal(0, 1, rows)
    trades = ticks(
        rows,
        price=mid,
        isin=identifiers(rng.integers(0, securities, rows)),
        venue=pa.array(np.array(["A", "B", "C", "D"])[rng.integers(0, 4, rows)]),
        **{f"field_{j}": rng.random(rows) for j in range(8)},
    )
    quotes = ticks(rows, bid=mid - 0.1, ask=mid + 0.1, **{f"field_{j}": rng.random(rows) for j in range(8)})
    reference = pa.table(
        {
            "isin": identifiers(rng.permutation(securities)),
            "coupon": rng.random(securities),
            "rating": pa.array(np.array(["AAA", "AA", "B"])[rng.integers(0, 3, securities)]),
            "amount": rng.integers(0, 1_000, securities),
            "duration": rng.random(securities),
            **{f"attribute_{j}": rng.random(securities) for j in range(columns - 5)},
        }
    )
    paths = {}
    for name, table in (("trades", trades), ("quotes", quotes), ("securities", reference)):
        paths[name] = str(folder / f"{name}.parquet")
        pq.write_table(table, paths[name], row_group_size=1 << 20)
    return paths


def polars(paths: dict[str, str], venues: list[str]) -> pl.DataFrame:
    """Return the same from Polars."""
    by = "symbol"
    frame = (
        pl.scan_parquet(paths["trades"])
        .filter(pl.col("venue").is_in(venues))
        .join_asof(pl.scan_parquet(paths["quotes"]), on="ts", by=by)
        .join(
            pl.scan_parquet(paths["securities"]).select("isin", "coupon", "rating", "amount", "duration"),
            on="isin",
            maintain_order="left",
        )
        .with_columns(mid=(pl.col("bid") + pl.col("ask")) / 2)
        .with_columns(log_return=(pl.col("mid").log() - pl.col("mid").shift().log()).over(by))
        .with_columns(
            ewma=pl.col("log_return").ewm_mean(alpha=0.1, adjust=False).over(by),
            rolling_max=pl.col("price").rolling_max(20).over(by),
            lagged=pl.col("mid").shift().over(by),
        )
        .select(FIELDS)
    )
    return frame.collect()


def duck(paths: dict[str, str], venues: list[str]) -> Any:
    """Return what DuckDB has of it: joins and windows, but no recursive mean, which it leaves out."""
    listed = ", ".join(f"'{venue}'" for venue in venues)
    query = f"""
        with joined as (
            select t.symbol, t.ts, t.price, s.coupon, s.rating, s.amount, s.duration, (q.bid + q.ask) / 2 as mid
            from (select * from '{paths["trades"]}' where venue in ({listed})) t
            asof left join '{paths["quotes"]}' q on t.symbol = q.symbol and t.ts >= q.ts
            join '{paths["securities"]}' s on t.isin = s.isin
        )
        select *, ln(mid) - ln(lag(mid) over w) as log_return,
            max(price) over (w rows between 19 preceding and current row) as rolling_max, lag(mid) over w as lagged
        from joined window w as (partition by symbol order by ts)
    """
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        return connection.sql(query).to_arrow_table()


def run(rows: int, securities: int, columns: int, repeats: int) -> list[dict[str, Any]]:
    """Return a row for each peer."""
    venues = ["A", "B"]
    with tempfile.TemporaryDirectory() as name:
        paths = write(Path(name), rows, securities, columns)
        ours = flow(venues)
        contenders: dict[str, Callable[[], Any]] = {
            "ours": lambda: ours(**paths),
            "Polars, lazy": lambda: polars(paths, venues),
            "DuckDB": lambda: duck(paths, venues),
            "ours, without rules": lambda: ours(without=ours.rules, **paths),
        }
        whole, theirs = contenders["ours"](), contenders["Polars, lazy"]()
        agrees = all(
            np.array_equal(whole[name].to_numpy(), theirs[name].to_numpy(), equal_nan=True)
            for name in ("price", "coupon", "mid", "lagged")
        )
        seconds = medians(contenders, repeats)
        reading = {reading.source: reading for reading in ours.explain(**paths).reads}
    what = f"{rows:,} trades and quotes, half filtered, {securities:,} securities of {columns} columns"
    rows_of_table = compare(what, seconds.pop("ours"), seconds, TARGETS)
    size = sum(reading.size or 0 for reading in reading.values()) / 1e6
    of_size = sum(reading.of_size or 0 for reading in reading.values()) / 1e6
    return [{**row, "read": f"{size:,.0f} of {of_size:,.0f} MB", "agrees": agrees} for row in rows_of_table]
