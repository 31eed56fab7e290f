"""Ticks, a pipeline and comparisons that the tests of the distributed engine share."""

from __future__ import annotations

from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.partitions import partition_by_symbol

ROWS = 4_000
PLANS = ["chain", "by_symbol", "shuffle"]


def ticks(rows: int = ROWS, symbols: int = 400, seed: int = 1) -> pd.DataFrame:
    """Interleaved ticks in time order, with many ties in time, more symbols than eight bits can count, and gaps."""
    rng = np.random.default_rng(seed)
    activity = 1 / np.arange(1, symbols + 1)
    bid = rng.normal(100, 1, rows)
    bid[rng.random(rows) < 0.02] = np.nan
    return pd.DataFrame(
        {
            "symbol": pd.array([f"S{k:03d}" for k in rng.choice(symbols, rows, p=activity / activity.sum())], "string"),
            "ts": pd.to_datetime(np.sort(rng.integers(0, 2_000, rows)), unit="s", utc=True),
            "bid": bid,
            "ask": bid + rng.random(rows),
            "price": bid,
            "size": rng.integers(1, 100, rows).astype(float),
            "venue": pd.array(rng.choice(["X", "Y"], rows), "string"),
            "number": np.arange(rows),
        }
    )


def pipeline(**options: Any) -> ft.Pipeline:
    return ft.Pipeline(
        ft.midprice(),
        ft.log_returns("mid"),
        ft.ewma("log_return", halflife=20),
        ft.ewstd("log_return", halflife=20),
        ft.rolling_zscore("mid", window=10),
        ft.rolling_mean("mid", window="30s").named("slow"),
        **options,
    )


def prepared(frame: pd.DataFrame, npartitions: int, plan: str) -> Any:
    ddf = dd.from_pandas(frame, npartitions=npartitions)
    return partition_by_symbol(ddf, npartitions) if plan == "by_symbol" else ddf


def same(got: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Hold frames to the same index, dtypes and bits."""
    assert list(got.columns) == list(expected.columns)
    assert got.dtypes.astype(str).tolist() == expected.dtypes.astype(str).tolist()
    np.testing.assert_array_equal(got.index, expected.index)
    for name in expected.columns:
        left, right = got[name], expected[name]
        if right.dtype == "float64":
            np.testing.assert_array_equal(left.to_numpy().view("i8"), right.to_numpy().view("i8"), err_msg=name)
        else:
            np.testing.assert_array_equal(left.isna(), right.isna(), err_msg=name)
            np.testing.assert_array_equal(left.dropna().astype(object), right.dropna().astype(object), err_msg=name)


def refuse(*arguments: Any, **keywords: Any) -> None:
    raise AssertionError("something was computed")


def parts_of(frame: pd.DataFrame, edges: list[int]) -> Any:
    pieces = [frame.iloc[a:b] for a, b in zip([0, *edges], [*edges, len(frame)], strict=True)]
    return dd.from_map(lambda piece: piece, pieces, meta=frame.iloc[:0])
