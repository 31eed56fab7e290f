"""What is known about a frame's partitions outlives those of Dask's operations that keep it, and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import fintech_toolkit as ft
from fintech_toolkit.engines.dask import evidence
from fintech_toolkit.engines.dask.partitions import partition_by_symbol
from tests.engines.ticks import parts_of, ticks
from tests.frames import features, same

ROWS = 400


def moved(part: pd.DataFrame) -> pd.DataFrame:
    return part.assign(ts=part["ts"][::-1].to_numpy(), symbol="ONE")


# What is done to a frame, and whether what was known of its times and of its symbols is known of the result.
OPERATIONS: dict[str, tuple[Callable[[Any], Any], bool, bool]] = {
    "nothing": (lambda f: f, True, True),
    "columns": (lambda f: f[["ts", "bid", "symbol", "ask"]], True, True),
    "drop": (lambda f: f.drop(columns="venue"), True, True),
    "filter": (lambda f: f[f["bid"] > 99], True, True),
    "query": (lambda f: f.query("bid > 99"), True, True),
    "loc": (lambda f: f.loc[f["bid"] > 99], True, True),
    "dropna": (lambda f: f.dropna(), True, True),
    "rename others": (lambda f: f.rename(columns={"venue": "place"}), True, True),
    "swap names of times": (lambda f: f.assign(other=1).rename(columns={"ts": "other", "other": "ts"}), False, True),
    "assign others": (lambda f: f.assign(x=f["bid"] * 2), True, True),
    "assign the time": (lambda f: f.assign(ts=f["ts"].dt.floor("1D")), False, True),
    "assign the symbol": (lambda f: f.assign(symbol=f["venue"]), True, False),
    "parse the time": (lambda f: f.assign(ts=dd.to_datetime(f["ts"])), True, True),
    "setitem": (lambda f: f.assign().assign(size=1.0), True, True),
    "astype others": (lambda f: f.astype({"size": "float32"}), True, True),
    "astype all": (lambda f: f[["symbol", "venue"]].astype("object"), False, False),
    "astype the symbol": (lambda f: f.astype({"symbol": "category"}), True, False),
    "fillna others": (lambda f: f.fillna({"bid": 0.0}), True, True),
    "fillna with a number": (lambda f: f.fillna(0.0), True, True),
    "fillna the symbol": (lambda f: f.fillna({"symbol": "Z"}), True, False),
    "fillna with a name": (lambda f: f[["symbol", "venue"]].fillna("Z"), False, False),
    "replace": (lambda f: f.replace("X", "Z"), False, False),
    "where": (lambda f: f.where(f["bid"] > 99), False, False),
    "map_partitions": (lambda f: f.map_partitions(moved, meta=f._meta), False, False),
    "map_overlap": (lambda f: f.map_overlap(lambda part: part, 1, 0, meta=f._meta), False, False),
    "sample": (lambda f: f.sample(frac=0.5, random_state=1), False, False),
    "apply": (lambda f: f.apply(lambda row: row, axis=1, meta=f._meta), False, False),
    "reset_index": (lambda f: f.reset_index(), True, True),
    "partitions": (lambda f: f.partitions[1:], True, True),
    "partitions backwards": (lambda f: f.partitions[::-1], True, True),
    "a partition twice": (lambda f: f.partitions[[0, 1, 1]], False, False),
    "repartition down": (lambda f: f.repartition(npartitions=2), True, True),
    "repartition to one": (lambda f: f.repartition(npartitions=1), True, True),
    "repartition to as many": (lambda f: f.repartition(npartitions=4), True, True),
    "repartition up": (lambda f: f.repartition(npartitions=9), True, False),
    "concat with itself": (lambda f: dd.concat([f, f]), False, False),
    "shuffle": (lambda f: f.shuffle("venue"), False, False),
    "sort": (lambda f: f.sort_values("bid"), False, False),
    "merge": (lambda f: f.merge(pd.DataFrame({"venue": ["X", "Y"], "fee": [1.0, 2.0]}), on="venue"), False, False),
    "midprice": (ft.Pipeline(ft.midprice().named("other")), True, True),
    "a chain": (lambda f: ft.Pipeline(ft.diff("bid"))(f, plan="chain"), True, True),
    "bars": (lambda f: ft.Pipeline(ft.time_bars(frequency="1min"))(f, plan="chain"), False, True),
    "pairs": (lambda f: ft.to_pairs(f, [("S00", "S01")]), True, False),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ticks")
    dd.from_pandas(ticks(ROWS, symbols=6), npartitions=4).to_parquet(folder, compute_kwargs={"scheduler": "sync"})
    return folder


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name: str, files: Path) -> None:
    operation, times, symbols = OPERATIONS[name]
    frame = operation(dd.read_parquet(files))
    if frame.npartitions > 1:
        assert (evidence.time_order(frame.expr, "ts").order is not None) == times
    apart = operation(partition_by_symbol(dd.from_pandas(ticks(ROWS, symbols=6), npartitions=4), 4))
    assert evidence.by_symbol(apart.expr, "symbol").holds == symbols


KEEP_TIMES = [
    name for name, (_, times, _) in OPERATIONS.items() if times and name not in ("pairs", "a chain", "columns")
]


@pytest.mark.parametrize("name", KEEP_TIMES)
def test_what_is_claimed_holds(name: str, files: Path) -> None:
    """A frame of which times are known runs as a chain, to the numbers of its rows in pandas."""
    frame = OPERATIONS[name][0](dd.read_parquet(files))
    steps = ft.Pipeline(ft.midprice(), ft.ewma("mid", halflife=20))
    assert steps.explain(frame).name == "chain"
    got = steps(frame).compute(scheduler="sync")
    expected = steps(frame.compute(scheduler="sync").sort_values("ts", kind="stable"))
    same(got.sort_values("number"), expected.sort_values("number"))


def test_repartition_of_files_out_of_order(tmp_path: Path) -> None:
    """Whole files can be taken in the order of time; what was put together or split out of order cannot."""
    frame = ticks(ROWS, symbols=6)
    for name, part in zip("dcba", np.split(np.arange(ROWS), 4), strict=True):
        frame.iloc[part].to_parquet(tmp_path / f"{name}.parquet")
    ddf = dd.read_parquet(tmp_path)
    expected = features()(frame).set_index("number")
    assert evidence.time_order(ddf.expr, "ts").order == [3, 2, 1, 0]
    for npartitions, why in (
        (1, "one partition"),
        (2, "partitions together"),
        (3, "partitions together"),
        (9, "split"),
    ):
        again = ddf.repartition(npartitions=npartitions)
        found = evidence.time_order(again.expr, "ts")
        assert why in found.why
        lazy = features()(again)
        if npartitions == 9:
            assert features().explain(again).name == "shuffle"
            got = lazy.compute(scheduler="sync").set_index("number").sort_index()
            same(got.astype({"symbol": "string", "venue": "string"}), expected)
        else:  # rows that are out of order within a partition
            with pytest.raises(ft.DataError, match="goes backwards"):
                lazy.compute(scheduler="sync")
    got = features()(ddf).compute(scheduler="sync").set_index("number")
    same(got.astype({"symbol": "string", "venue": "string"}), expected)


@pytest.mark.parametrize("npartitions", [1, 3, 4, 7, 40])
def test_repartition_before_the_steps(npartitions: int) -> None:
    frame = ticks(ROWS, symbols=6)
    for ddf in (dd.from_pandas(frame, npartitions=4), parts_of(frame, [100, 200, 300])):
        lazy = features()(ddf.repartition(npartitions=npartitions))
        same(lazy.compute(scheduler="sync").sort_index(), features()(frame))


def test_touching_partitions_are_a_chain() -> None:
    """The last time of one is the first of the next: in order as they are, but not if they would have to be sorted."""
    frame = ticks(400, symbols=6)
    frame["ts"] = pd.to_datetime(np.repeat(np.arange(40), 10), unit="s", utc=True)
    touching = dd.from_pandas(frame, npartitions=4)
    cut = frame.iloc[np.r_[0:105, 105:400]]
    edges = [105, 205, 305]
    ddf = dd.concat(
        [dd.from_pandas(cut.iloc[a:b], npartitions=1) for a, b in zip([0, *edges], [*edges, 400], strict=True)]
    )
    for source in (touching, ddf):
        assert features().explain(source).name == "chain"
        with dask.config.set(scheduler="sync"):
            same(features()(source).compute(), features()(frame))
    assert features().explain(ddf.repartition(npartitions=2)).name == "chain"
    assert features().explain(ddf.partitions[[1, 0, 2, 3]]).name == "shuffle"


def test_times_of_the_index_speak_of_the_column_of_files_only() -> None:
    frame = ticks(ROWS).drop_duplicates("ts").set_index("ts", drop=False)
    ddf = dd.from_pandas(frame, npartitions=3)
    claimed = dd.from_delayed(ddf.to_delayed(), meta=ddf._meta, divisions=ddf.divisions)
    assert evidence.time_order(claimed.expr, "ts").order == [0, 1, 2]
    for changed in (
        claimed.map_partitions(lambda part: part.assign(ts=part["ts"][::-1].to_numpy()), meta=ddf._meta),
        claimed.assign(ts=claimed["ts"].dt.floor("1D")),
    ):
        assert changed.known_divisions
        assert evidence.time_order(changed.expr, "ts").order is None
    back = claimed.drop(columns="ts").reset_index()
    assert evidence.time_order(back.expr, "ts").order == [0, 1, 2]
