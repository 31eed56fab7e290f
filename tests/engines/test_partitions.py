"""Frames partitioned by symbol: every symbol whole, rows in order, nothing lost, nothing of others overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.partitions import partition_by_symbol, read_partitioned, write_partitioned
from fintech_toolkit.engines.dask.versions import POINTER
from tests.engines.ticks import refuse, ticks
from tests.frames import features, same
from tests.stress import stress


def by_symbol_and_time(frame: pd.DataFrame) -> pd.DataFrame:
    """The order on disk, made by pandas: stable, so that ties keep the order they came in."""
    return frame.sort_values(["symbol", "ts"], kind="stable", ignore_index=True)


def assembled(ddf: Any) -> pd.DataFrame:
    parts = dask.compute(*ddf.to_delayed(), scheduler="sync")
    seen: set[Any] = set()
    for part in parts:
        names = set(part["symbol"].astype(object))
        assert not names & seen
        seen |= names
    return by_symbol_and_time(pd.concat(parts).astype({"symbol": "string", "venue": "string"}))


@pytest.mark.parametrize("npartitions", [1, 3, 500])
def test_partition_by_symbol(npartitions: int) -> None:
    frame = ticks().sample(frac=1, random_state=0)  # in no order at all
    parts = partition_by_symbol(dd.from_pandas(frame, npartitions=4, sort=False), npartitions)
    assert parts.npartitions == npartitions
    for part in dask.compute(*parts.to_delayed(), scheduler="sync"):
        assert part["ts"].is_monotonic_increasing
        assert part.dtypes.equals(parts.dtypes)
    same(assembled(parts), by_symbol_and_time(frame))


def test_order_survives_a_real_shuffle(cluster: LocalCluster) -> None:
    frame = ticks().sample(frac=1, random_state=0)
    with Client(cluster):
        got = partition_by_symbol(dd.from_pandas(frame, npartitions=9, sort=False), 4).compute()
    assert len(got) == len(frame)
    same(by_symbol_and_time(got), by_symbol_and_time(frame))


def test_partitions_are_balanced_though_symbols_are_not() -> None:
    frame = ticks(20_000, symbols=300)
    rows = partition_by_symbol(dd.from_pandas(frame, npartitions=4), 6).map_partitions(len).compute(scheduler="sync")
    largest = frame["symbol"].value_counts().iloc[0]
    assert max(rows) <= max(largest, 1.01 * len(frame) / 6)


def test_without_time_the_original_order_is_kept() -> None:
    frame = ticks(500, symbols=7).sample(frac=1, random_state=0)
    parts = partition_by_symbol(dd.from_pandas(frame, npartitions=3, sort=False), 2, time=None)
    got = parts.compute(scheduler="sync")
    for name, group in frame.groupby("symbol"):
        same(got[got["symbol"] == name], group)


def test_counting_reads_only_symbols(tmp_path: Path) -> None:
    dd.from_pandas(ticks(), npartitions=2).to_parquet(tmp_path, compute_kwargs={"scheduler": "sync"})
    parts = partition_by_symbol(dd.read_parquet(tmp_path), 2)
    (counts,) = parts.expr.simplify().find_operations(type(parts.expr.counts))
    assert counts.frame.columns == ["symbol"]


def sources(frame: pd.DataFrame) -> dict[str, Any]:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return {"pandas": frame, "arrow": table, "dask": dd.from_pandas(frame.reset_index(drop=True), npartitions=5)}


@pytest.mark.parametrize("kind", ["pandas", "arrow", "dask"])
def test_written_and_read(kind: str, tmp_path: Path) -> None:
    frame = ticks().sample(frac=1, random_state=0).reset_index(drop=True)
    with dask.config.set(scheduler="sync"):
        write_partitioned(sources(frame)[kind], tmp_path / "set", npartitions=3)
    with dask.config.set(scheduler=refuse):
        ddf = read_partitioned(tmp_path / "set")
        plan = features().explain(ddf)
    assert (plan.name, plan.chunks) == ("by_symbol", "3 partitions")
    for part in dask.compute(*ddf.to_delayed(), scheduler="sync"):
        assert part.dtypes.equals(ddf.dtypes)
        assert part["symbol"].cat.codes.is_monotonic_increasing
        assert part.groupby("symbol", observed=True)["ts"].is_monotonic_increasing.all()
    expected = by_symbol_and_time(frame)
    if kind == "arrow":  # whose integers may be null
        expected = expected.astype({"number": "Int64", "size": "Int64"})
    same(assembled(ddf), expected)
    enriched = features()(ddf)
    got = enriched.compute(scheduler="sync")
    assert got.dtypes.equals(enriched.dtypes)
    same(by_symbol_and_time(got.astype({"symbol": "string", "venue": "string"})), features()(expected))


def test_files_have_one_schema_and_wide_codes(tmp_path: Path) -> None:
    frame = ticks()
    write_partitioned(frame, tmp_path / "set", npartitions=4)
    schemas = [pq.read_schema(path) for path in sorted((tmp_path / "set").glob("*/data/*.parquet"))]
    assert len(schemas) == 4
    assert all(schema.equals(schemas[0]) for schema in schemas)
    assert schemas[0].field("symbol").type == pa.dictionary(pa.int32(), pa.string())


def test_results_can_be_written_by_dask(tmp_path: Path) -> None:
    """Symbols in one partition may be few and in another many: the width of their codes must not depend on it."""
    frame = ticks()
    frame = frame[(frame["symbol"] < "S350") | (frame["number"] % 2 == 0)]
    write_partitioned(frame, tmp_path / "set", npartitions=2)
    result = features()(read_partitioned(tmp_path / "set"))
    result.to_parquet(tmp_path / "out", compute_kwargs={"scheduler": "sync"})
    back = dd.read_parquet(tmp_path / "out").compute(scheduler="sync")
    assert len(back) == len(frame)
    assert back["symbol"].nunique() == frame["symbol"].nunique() > 256


def test_integer_symbols_stay_exact(tmp_path: Path) -> None:
    frame = ticks()
    frame["symbol"] = frame["symbol"].str[1:].astype("int64") + 2**60
    write_partitioned(frame, tmp_path / "set", npartitions=3)
    got = read_partitioned(tmp_path / "set").compute(scheduler="sync")
    same(by_symbol_and_time(got), by_symbol_and_time(frame))


def test_only_the_columns_that_are_asked_for_are_read(tmp_path: Path) -> None:
    write_partitioned(ticks(), tmp_path / "set", npartitions=3)
    lazy = features()(read_partitioned(tmp_path / "set"))[["ewma"]]
    (read,) = {tuple(e.columns) for e in lazy.expr.simplify().walk() if hasattr(e, "func")}
    assert sorted(read) == ["ask", "bid", "symbol", "ts"]
    assert read_partitioned(tmp_path / "set")[["venue"]].compute(scheduler="sync").columns.tolist() == ["venue"]


def test_more_files_than_symbols(tmp_path: Path) -> None:
    frame = ticks(50, symbols=2)
    write_partitioned(frame, tmp_path / "set", npartitions=5)
    ddf = read_partitioned(tmp_path / "set")
    same(assembled(ddf), by_symbol_and_time(frame))
    got = features()(ddf).compute(scheduler="sync")
    assert len(got) == 50


def test_replaced_only_if_told_and_only_if_ours(tmp_path: Path) -> None:
    target = tmp_path / "set"
    frame = ticks(100, symbols=3)
    write_partitioned(frame, target)
    with pytest.raises(ft.DataError, match="overwrite=True"):
        write_partitioned(frame, target)
    with dask.config.set(scheduler="sync"):
        # Read from and written to at once: the old files are there until the new ones are whole.
        write_partitioned(read_partitioned(target).query("symbol != 'S00'"), target, overwrite=True)
    assert "S00" not in set(read_partitioned(target).compute(scheduler="sync")["symbol"])
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(ft.DataError, match="not a data set of write_partitioned"):
        write_partitioned(frame, foreign, overwrite=True)
    assert (foreign / "thesis.txt").read_text() == "years of work"


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    frame = ticks(400, symbols=4)
    frame.loc[250, "symbol"] = None
    with dask.config.set(scheduler="sync"):
        for source in (frame, dd.from_pandas(frame, npartitions=2)):
            with pytest.raises(ft.DataError, match="no symbol at row"):
                write_partitioned(source, tmp_path / "set")
    frame = ticks(400, symbols=4)
    frame.loc[250, "ts"] = None
    with pytest.raises(ft.DataError, match="no time at row"):
        write_partitioned(frame, tmp_path / "set")
    with pytest.raises(ft.ColumnError, match="simbol"):
        write_partitioned(frame, tmp_path / "set", symbol="simbol")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ft.DataError, match="not written by write_partitioned"):
        read_partitioned(tmp_path)
    for text in ("{", "[]", json.dumps({"format": "another"})):
        (tmp_path / POINTER).write_text(text)
        with pytest.raises(ft.DataError, match="not written by write_partitioned"):
            read_partitioned(tmp_path)
    write_partitioned(ticks(100, symbols=3), tmp_path / "set", npartitions=2)
    next((tmp_path / "set").glob("*/data/part-00001.parquet")).unlink()
    with pytest.raises(ft.DataError, match=r"part-00001\.parquet is missing"):
        read_partitioned(tmp_path / "set")


def test_a_named_index_becomes_a_column(tmp_path: Path) -> None:
    frame = ticks(100, symbols=3).set_index("number")
    write_partitioned(frame, tmp_path / "set")
    assert sorted(read_partitioned(tmp_path / "set").compute(scheduler="sync")["number"]) == list(range(100))


@stress  # the short form of all benchmarks runs it too
def test_benchmark_runs() -> None:
    """The short form of the benchmark: its results agree with Polars'; its times are not looked at."""
    pytest.importorskip("polars", reason="peers of benchmarks: pip install -e '.[bench]'")
    from benchmarks.bench_dask import run

    (row,) = run(rows=20_000, files=4, repeats=1, only=["read_partitioned"])
    assert row["agrees"]
    assert row["worker peak, MB"] > 0
