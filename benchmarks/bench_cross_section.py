"""Cross-sections against pandas and Polars: ranks, z-scores, and an index of all symbols of each time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

import fintech_toolkit as ft
from benchmarks.measure import compare, medians

TARGETS = {"pandas": 10.0, "Polars": 2.0}


def _zscore(frame: pd.DataFrame) -> pd.Series[Any]:
    by = frame.groupby("ts")["x"]
    return (frame["x"] - by.transform("mean")) / by.transform("std")


def _index(frame: pd.DataFrame) -> pd.DataFrame:
    sums = frame.assign(product=frame["x"] * frame["w"]).groupby("ts")[["product", "w"]].sum()
    return (sums["product"] / sums["w"]).rename("index_level").reset_index()


CASES: dict[str, tuple[ft.Flow, Callable[[pd.DataFrame], Any], Callable[[pl.DataFrame], Any]]] = {
    "rank": (
        ft.cross_section(ft.cs_rank("x")),
        lambda frame: frame.assign(cs_rank=frame.groupby("ts")["x"].rank()),
        lambda frame: frame.with_columns(cs_rank=pl.col("x").rank().over("ts")),
    ),
    "z-score": (
        ft.cross_section(ft.cs_zscore("x")),
        lambda frame: frame.assign(cs_zscore=_zscore(frame)),
        lambda frame: frame.with_columns(cs_zscore=((pl.col("x") - pl.col("x").mean()) / pl.col("x").std()).over("ts")),
    ),
    "rank, z-score, demeaned": (
        ft.cross_section(ft.cs_rank("x"), ft.cs_zscore("x"), ft.cs_demean("x")),
        lambda frame: frame.assign(
            cs_rank=frame.groupby("ts")["x"].rank(),
            cs_zscore=_zscore(frame),
            cs_demean=frame["x"] - frame.groupby("ts")["x"].transform("mean"),
        ),
        lambda frame: frame.with_columns(
            cs_rank=pl.col("x").rank().over("ts"),
            cs_zscore=((pl.col("x") - pl.col("x").mean()) / pl.col("x").std()).over("ts"),
            cs_demean=(pl.col("x") - pl.col("x").mean()).over("ts"),
        ),
    ),
    "weighted index": (
        ft.cross_section(ft.index_level("x", weight="w")),
        _index,
        lambda frame: frame.group_by("ts", maintain_order=True).agg(
            index_level=(pl.col("x") * pl.col("w")).sum() / pl.col("w").sum()
        ),
    ),
}


def market(stamps: int, symbols: int) -> pd.DataFrame:
    """Return a row for each symbol and time, in time order, symbols of a time in any order; `symbol` is categorical."""
    rng = np.random.default_rng(0)
    codes = rng.permuted(np.tile(np.arange(symbols), (stamps, 1)), axis=1).reshape(-1)
    names = [f"SYM{j:05d}" for j in range(symbols)]
    return pd.DataFrame(
        {
            "symbol": pd.Categorical.from_codes(codes, names),
            "ts": pd.to_datetime(np.repeat(np.arange(stamps), symbols) * 10**9, unit="ns", utc=True),
            "x": rng.normal(size=len(codes)),
            "w": rng.random(len(codes)),
        }
    )


def run(stamps: int, symbols: int, repeats: int) -> list[dict[str, Any]]:
    """Return a row for each case and peer; ours takes the frame of that peer."""
    frame = market(stamps, symbols)
    polars = pl.from_pandas(frame)
    rows = []
    for what, (ours, in_pandas, in_polars) in CASES.items():
        name = ours(frame[:1]).columns[-2 if "index" in what else -1]
        same = np.allclose(ours(frame)[name], in_pandas(frame)[name], rtol=1e-9, atol=1e-12)
        for peer, data, theirs in (("pandas", frame, in_pandas), ("Polars", polars, in_polars)):
            seconds = medians({"ours": partial(ours, data), peer: partial(theirs, data)}, repeats)
            case = f"{what}, {len(frame):,} rows, {symbols:,} symbols"
            rows += [
                {**row, "agrees": bool(same)} for row in compare(case, seconds["ours"], {peer: seconds[peer]}, TARGETS)
            ]
    return rows
