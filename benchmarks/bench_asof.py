"""As-of joins of trades with quotes against Polars and pandas, in the same run and with the same answers."""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import polars as pl
import typer

import fintech_toolkit as ft
from benchmarks.measure import compare

TITLE = "As-of join of trades with quotes, 1,000 symbols, from pandas to pandas unless it says otherwise"
SYMBOLS = 1000
TARGET = 4.0


def feed(rows: int, columns: list[str], seed: int) -> pd.DataFrame:
    """Return a feed in time order, symbols interleaved and coded."""
    rng = np.random.default_rng(seed)
    names = [f"SYM{j:06d}" for j in range(SYMBOLS)]
    return pd.DataFrame(
        {
            "symbol": pd.Categorical.from_codes(rng.integers(0, SYMBOLS, rows), names),
            "ts": pd.to_datetime(np.sort(rng.integers(0, 8 * 3600 * 10**9, rows)), unit="ns", utc=True),
            **{name: rng.random(rows) for name in columns},
        }
    )


def peak_above(run: Callable[[], Any]) -> float | None:
    """Return how far memory rises while something runs, in MB; None where the system does not tell."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    before = _high_water()
    run()
    return _high_water() - before


def _high_water() -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def run(left_rows: int = 1_000_000, right_rows: int = 10_000_000, repeats: int = 5) -> list[dict[str, Any]]:
    """Return a row for each case and peer: seconds of both (medians), ratio, memory in MB."""
    coded = feed(left_rows, ["price", "size"], 1), feed(right_rows, ["bid", "ask", "bid_size", "ask_size"], 2)
    strings = tuple(frame.assign(symbol=frame["symbol"].astype("str")) for frame in coded)
    together = tuple(frame.sort_values("symbol", kind="stable", ignore_index=True) for frame in coded)
    few = together[0].iloc[::100].reset_index(drop=True), together[1]
    cases = {
        "coded symbols": coded,
        "string symbols": strings,
        "coded, sorted by symbol and time": together,
        "coded, sorted, one trade in a hundred": few,
    }
    return [row for what, frames in cases.items() for row in _compare(what, *frames, repeats)]


def _compare(what: str, left: pd.DataFrame, right: pd.DataFrame, repeats: int) -> list[dict[str, Any]]:
    here, there = pl.from_pandas(left), pl.from_pandas(right)
    contenders: dict[str, Callable[[], Any]] = {
        "ours": lambda: ft.asof_join(left, right),
        "Polars": lambda: pl.from_pandas(left).join_asof(pl.from_pandas(right), on="ts", by="symbol").to_pandas(),
        "Polars, from and to its own frames": lambda: here.join_asof(there, on="ts", by="symbol"),
    }
    if left["ts"].is_monotonic_increasing:
        contenders["pandas"] = lambda: pd.merge_asof(left, right, on="ts", by="symbol")
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    memory, answers = {}, {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sortedness of columns cannot be checked")
        for name, contender in contenders.items():
            answers[name] = np.asarray(contender()["bid"], float)
            memory[name] = peak_above(contender)
        for _ in range(repeats):
            for name, contender in contenders.items():
                start = time.perf_counter()
                contender()
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    ours = median.pop("ours")
    rows = compare(what, ours, median, {} if "sorted" in what else {"Polars": TARGET})
    for row in rows:
        peer = row["against"]
        row["ours more, MB"], row["peer more, MB"] = memory["ours"], memory[peer]
        row["agrees"] = bool(np.array_equal(answers[peer], answers["ours"], equal_nan=True))
    return rows


def main(
    left_rows: Annotated[int, typer.Option(help="Trades.")] = 1_000_000,
    right_rows: Annotated[int, typer.Option(help="Quotes.")] = 10_000_000,
    repeats: Annotated[int, typer.Option(help="Runs of each contender; the median counts.")] = 5,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the results here.")] = None,
) -> None:
    """Compare the as-of join with Polars and pandas."""
    found = run(left_rows, right_rows, repeats)
    print(pd.DataFrame(found).to_string(index=False, float_format="{:.2f}".format))
    if json_path is not None:
        json_path.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
