"""Trades meet their securities by ISIN, against DuckDB and Polars, in the same run and with the same answers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import typer

import fintech_toolkit as ft
from benchmarks.measure import compare, medians

LETTERS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
BATCH = 10_000


def isins(numbers: Any) -> pa.Array:
    """Return texts of 12 characters, one a number."""
    text = np.empty((len(numbers), 12), np.uint8)
    text[:, :2] = np.frombuffer(b"US", np.uint8)
    left = numbers.astype(np.int64) * 2_654_435_761 % 36**9
    for place in range(10, 1, -1):
        text[:, place] = LETTERS[left % 36]
        left //= 36
    text[:, 11] = LETTERS[numbers % 10]
    offsets = np.arange(0, 12 * len(numbers) + 1, 12, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))


def both(trades: int, securities: int) -> tuple[pa.Table, pa.Table]:
    """Return trades, and the securities that they are in."""
    rng = np.random.default_rng(0)
    numbers = rng.permutation(4 * securities)[:securities]
    reference = pa.table(
        {
            "isin": isins(numbers),
            "coupon": rng.random(securities),
            "rating": rng.integers(0, 20, securities),
            "outstanding": rng.random(securities),
            "issuer": pa.array(rng.integers(0, 1_000_000, securities)).cast(pa.string()),
        }
    )
    return pa.table(
        {"isin": isins(numbers[rng.integers(0, securities, trades)]), "size": rng.random(trades)}
    ), reference


def run(trades: int = 1_200_000, securities: int = 10_000_000, repeats: int = 5) -> list[dict[str, Any]]:
    """Return a row for each case and peer: seconds of both (medians), and their ratio."""
    left, right = both(trades, securities)
    batch = left.slice(0, BATCH)
    table = ft.ReferenceTable(right, on="isin")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "securities"
        table.save(path)
        opened = ft.ReferenceTable.open(path)
        rows = _compare(f"{trades:,} trades", table, left, right, repeats, 1.5)
        rows += _compare(f"{batch.num_rows:,} trades", table, batch, right, repeats)
        rows += _compare(f"{batch.num_rows:,} trades, table mapped from a file", opened, batch, right, repeats)
        taken = medians(
            {"open": lambda: ft.ReferenceTable.open(path), "make": lambda: ft.ReferenceTable(right, on="isin")}, 1
        )
        size = path.stat().st_size / 2**20
    rows.append({"what": f"a table made of {securities:,} securities", "ours, s": f"{taken['make']:.3f}"})
    rows.append({"what": f"its file of {size:,.0f} MB opened", "ours, s": f"{taken['open']:.3f}"})
    return rows


def _compare(
    what: str, table: ft.ReferenceTable, left: pa.Table, right: pa.Table, repeats: int, target: float | None = None
) -> list[dict[str, Any]]:
    here, there = pl.from_arrow(left), pl.from_arrow(right)
    assert isinstance(here, pl.DataFrame)
    assert isinstance(there, pl.DataFrame)
    query = "SELECT l.*, r.* EXCLUDE (isin) FROM trades l LEFT JOIN securities r USING (isin)"
    with duckdb.connect() as connection:
        connection.register("trades", left)
        connection.register("securities", right)
        contenders: dict[str, Callable[[], Any]] = {
            "ours": lambda: table.lookup(left),
            "DuckDB": lambda: connection.sql(query).to_arrow_table(),
            "Polars, from and to its own frames": lambda: here.join(there, on="isin", how="left"),
        }
        answers = {name: _in_order(contender()) for name, contender in contenders.items()}
        seconds = medians(contenders, repeats)
    rows = compare(what, seconds.pop("ours"), seconds, {} if target is None else {"DuckDB": target})
    for row in rows:
        row["agrees"] = bool(answers[row["against"]].equals(answers["ours"]))
    return rows


def _in_order(answer: Any) -> pd.DataFrame:
    frame: pd.DataFrame = (answer.to_arrow() if isinstance(answer, pl.DataFrame) else answer).to_pandas()
    return frame.sort_values(["isin", "size"], ignore_index=True).astype({"isin": "str", "issuer": "str"})


def main(
    trades: Annotated[int, typer.Option(help="Rows that are looked up.")] = 1_200_000,
    securities: Annotated[int, typer.Option(help="Rows of the reference.")] = 10_000_000,
    repeats: Annotated[int, typer.Option(help="Rounds; the median counts.")] = 5,
) -> None:
    """Compare lookups with DuckDB and Polars."""
    print(pd.DataFrame(run(trades, securities, repeats)).fillna("").to_string(index=False))


if __name__ == "__main__":
    typer.run(main)
