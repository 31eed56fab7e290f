"""A frame with names of its own is mapped once: the same mapping does for pipelines, joins, partitions and streams."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import pandas as pd
import pytest
from streamz import Stream

import fintech_toolkit as ft
import fintech_toolkit.live  # registers the nodes
from tests.frames import same, ticks

NAMES = {"symbol": "ticker", "ts": "when", "bid": "b", "ask": "a"}
FRAME = ticks(200).drop(columns=["venue", "note"]).reset_index(drop=True)
MINE = FRAME.rename(columns=NAMES)


def steps(**options: Any) -> ft.Pipeline:
    return ft.Pipeline(ft.midprice(), ft.ewma("mid", span=9), ft.rolling_mean("mid", window="3s"), **options)


def mine(result: pd.DataFrame) -> pd.DataFrame:
    return result.rename(columns=NAMES)


def test_pipelines_take_it() -> None:
    expected = mine(steps()(FRAME))
    mapped = steps(columns=NAMES)
    same(mapped(MINE), expected)
    assert mapped.reads == ["ticker", "when", "b", "a"]
    got = mapped(dd.from_pandas(MINE, npartitions=3)).compute(scheduler="sync")
    same(got[mapped.gives], expected[mapped.gives])
    assert ft.Pipeline.from_json(mapped.to_json()) == mapped
    assert mapped | ft.lag("mid") == steps(columns=NAMES, symbol="ticker") | ft.lag("mid")


def test_kernels_take_it() -> None:
    same(ft.midprice(MINE, columns=NAMES), mine(ft.midprice(FRAME)))
    prices = FRAME[["symbol", "ts", "price"]].rename(columns=NAMES)
    got = ft.ewma(prices, "price", span=5, columns=NAMES)
    same(got, mine(ft.ewma(FRAME, "price", span=5))[[*prices.columns, "ewma"]])


def test_streams_and_their_tables_take_it() -> None:
    source = Stream()
    enriched = steps(columns=NAMES).live(source)
    table = enriched.to_table(columns=NAMES)
    source.emit(MINE[:77])
    source.emit(MINE[77:])
    expected = mine(steps()(FRAME))
    same(table.snapshot(), expected)
    one = expected[expected["ticker"] == "S03"].reset_index(drop=True)
    same(table.snapshot("S03"), one)


def test_partitions_take_it(tmp_path: Path) -> None:
    ddf = dd.from_pandas(MINE, npartitions=3)
    parts = ft.partition_by_symbol(ddf, columns=NAMES)
    assert steps(columns=NAMES).explain(parts).name == "by_symbol"
    in_order = MINE.sort_values("when", kind="stable").sort_values("ticker", kind="stable")
    together = parts.compute(scheduler="sync").sort_values("ticker", kind="stable")
    assert together.index.tolist() == in_order.index.tolist()
    ft.write_partitioned(MINE, tmp_path / "ticks", columns=NAMES)
    read = ft.read_partitioned(tmp_path / "ticks")
    assert steps(columns=NAMES).explain(read).name == "by_symbol"
    assert read.compute(scheduler="sync")["b"].tolist() == in_order["b"].tolist()


def test_pairs_take_it() -> None:
    expected = ft.to_pairs(FRAME, [("S01", "S02")]).rename(columns=NAMES)
    same(ft.to_pairs(MINE, [("S01", "S02")], columns=NAMES), expected)
    lazy = ft.to_pairs(dd.from_pandas(MINE, npartitions=2), [("S01", "S02")], columns=NAMES)
    assert lazy.compute(scheduler="sync")["ticker"].tolist() == expected["ticker"].tolist()


CALLS: dict[str, Any] = {
    "pipeline": lambda **how: ft.Pipeline(ft.midprice(), **how),
    "partition": lambda **how: ft.partition_by_symbol(dd.from_pandas(MINE, npartitions=1), **how),
    "join": lambda **how: ft.asof_join(MINE, MINE, **how),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("option", ["symbol", "time"])
def test_what_contradicts_it_is_an_error(call: str, option: str) -> None:
    canonical = {"symbol": "symbol", "time": "ts"}[option]
    said = f"{option}='other' and columns={{{canonical!r}: {NAMES[canonical]!r}}} contradict each other; give one"
    with pytest.raises(ft.ParameterError, match=re.escape(said)):
        CALLS[call](columns=NAMES, **{option: "other"})
    with pytest.raises(ft.ParameterError, match="must say what columns are called"):
        CALLS[call](columns={"bid": 1})


def test_the_identity_of_a_pipeline_is_what_it_always_was() -> None:
    """Or the states that were saved would belong to no pipeline."""
    pipeline = ft.Pipeline(ft.lag("mid", k=2), symbol="ticker", time="when", columns={"mid": "m"})
    assert pipeline.identity == (
        '{"columns": {"mid": "m"}, "format": 2, "session": null, "steps": [{"columns": ["mid"], "kernel": "lag", '
        '"names": [], "parameters": {"k": 2}, "resolved": {"dtype": 0, "window": 2}}], '
        '"symbol": "ticker", "time": "when", "unit": null}'
    )
