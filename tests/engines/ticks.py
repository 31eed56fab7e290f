"""Ticks and Dask frames that the tests of the distributed engine share."""

from __future__ import annotations

from typing import Any

import dask.dataframe as dd
import pandas as pd

from fintech_toolkit.engines.dask.partitions import partition_by_symbol
from tests import frames

ROWS = 4_000
PLANS = ["chain", "by_symbol", "shuffle"]


def ticks(rows: int = ROWS, symbols: int = 400, seed: int = 1) -> pd.DataFrame:
    """Ticks with many ties in time, more symbols than eight bits can count, and gaps; the index and `number` rise."""
    frame = frames.ticks(rows, symbols, seed, instants=2_000, step="1s", skew=1, missing=0.02)
    frame = frame.drop(columns=["id", "note"]).assign(number=range(rows))
    return frame.astype({"symbol": "string", "venue": "string"}).reset_index(drop=True)  # the strings that Dask makes


def prepared(frame: pd.DataFrame, npartitions: int, plan: str) -> Any:
    ddf = dd.from_pandas(frame, npartitions=npartitions)
    return partition_by_symbol(ddf, npartitions) if plan == "by_symbol" else ddf


def refuse(*arguments: Any, **keywords: Any) -> None:
    raise AssertionError("something was computed")


def parts_of(frame: pd.DataFrame, edges: list[int]) -> Any:
    pieces = [frame.iloc[a:b] for a, b in zip([0, *edges], [*edges, len(frame)], strict=True)]
    return dd.from_map(lambda piece: piece, pieces, meta=frame.iloc[:0])
