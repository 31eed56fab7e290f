"""Dask frames whose partitions are known to be in time order, by symbol, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd

from fintech_toolkit.engines.dask.partitions import partition_by_symbol


def split(frame: pd.DataFrame, partitions: int) -> list[pd.DataFrame]:
    return [frame.iloc[part] for part in np.array_split(np.arange(len(frame)), partitions)]


def by_time(frame: pd.DataFrame, partitions: int) -> Any:
    return dd.from_pandas(frame, npartitions=partitions, sort=False)


def unknown(frame: pd.DataFrame, partitions: int) -> Any:
    """Partitions of which nothing is known; they are indeed neither in time order nor by symbol."""
    parts = split(frame, partitions)[::-1]
    return dd.from_map(lambda part: part, parts, meta=frame.iloc[:0])


def by_symbol(
    frame: pd.DataFrame, partitions: int, symbol: str = "symbol", time: str = "ts", unit: str | None = None
) -> Any:
    return partition_by_symbol(by_time(frame, partitions), partitions, symbol=symbol, time=time, unit=unit)


def as_pandas(frame: pd.DataFrame, partitions: int) -> Any:
    return frame


LAYOUTS: dict[str, Callable[..., Any]] = {
    "by time": by_time, "by symbol": by_symbol, "unknown": unknown, "pandas": as_pandas,
}  # fmt: skip
