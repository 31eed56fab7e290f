"""Which plan a pipeline takes on a Dask frame, that it says why, and that wrong claims are errors."""

from __future__ import annotations

from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.dataframe.dask_expr.io import ReadParquet
from dask.dataframe.utils import assert_eq

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.partitions import partition_by_symbol
from tests.engines.ticks import parts_of, ticks
from tests.frames import features, same


class TestPlans:
    """The plan is chosen from what is known, and said."""

    def test_files_in_time_order_are_chained(self, tmp_path: Path) -> None:
        dd.from_pandas(ticks(), npartitions=4).to_parquet(tmp_path, compute_kwargs={"scheduler": "sync"})
        plan = features().explain(dd.read_parquet(tmp_path))
        assert (plan.name, plan.chunks) == ("chain", "4 partitions")
        assert "Parquet statistics of 'ts'" in plan.reason
        assert "ewma" in repr(plan)
        assert "<table>" in plan._repr_html_()

    @pytest.mark.parametrize("filesystem", ["fsspec", "arrow"])
    def test_files_that_do_not_overlap_are_taken_in_the_order_of_time(self, tmp_path: Path, filesystem: str) -> None:
        frame = ticks(900, symbols=9)
        frame["ts"] = pd.to_datetime(np.arange(900), unit="s", utc=True)
        for name, part in zip("cab", np.split(np.arange(900), 3), strict=True):
            frame.iloc[part].to_parquet(tmp_path / f"{name}.parquet")
        ddf = dd.read_parquet(tmp_path, filesystem=filesystem)
        assert features().explain(ddf).name == "chain"
        got = features()(ddf).compute(scheduler="sync").astype({"symbol": "string", "venue": "string"})
        same(got.reset_index(drop=True), features()(frame))

    def test_memory_that_does_not_overlap_is_taken_in_the_order_of_time(self) -> None:
        frame = ticks(900, symbols=9)
        frame["ts"] = pd.to_datetime(np.roll(np.arange(900), 300), unit="s", utc=True)
        lazy = features()(dd.from_pandas(frame, npartitions=3))
        assert not lazy.known_divisions
        same(lazy.compute(scheduler="sync"), features()(frame.sort_values("ts")))

    def test_files_that_overlap_are_shuffled(self, tmp_path: Path) -> None:
        frame = ticks(900, symbols=9)
        shuffled = pd.concat([frame.iloc[start::3] for start in (2, 0, 1)])
        dd.from_pandas(shuffled, npartitions=3, sort=False).to_parquet(tmp_path, compute_kwargs={"scheduler": "sync"})
        ddf = dd.read_parquet(tmp_path)
        plan = features().explain(ddf)
        assert plan.name == "shuffle"
        assert "partition" in plan.reason
        by_time = shuffled.sort_values("ts", kind="stable")
        got = features()(ddf).compute(scheduler="sync").set_index("number").sort_index()
        same(got, features()(by_time).set_index("number").sort_index())

    def test_what_is_known_outlives_steps_by_partition(self) -> None:
        ddf = dd.from_pandas(ticks(), npartitions=3)
        changed = ddf[ddf["bid"] > 99].rename(columns={"venue": "place"}).assign(extra=1.0).drop(columns="price")
        assert features().explain(changed.fillna(0.0).partitions[1:]).name == "chain"
        assert features().explain(dd.concat([changed.partitions[:1], changed.partitions[1:]])).name == "chain"
        assert features().explain(changed.repartition(npartitions=2)).name == "chain"
        parsed = changed.assign(ts=dd.to_datetime(changed["ts"]))
        assert features().explain(parsed).name == "chain"
        assert features().explain(changed.assign(ts=changed["ts"].dt.floor("1s"))).name == "shuffle"
        apart = partition_by_symbol(ddf, 4)
        renamed = apart[apart["bid"] > 99].rename(columns={"symbol": "name"})
        assert features(symbol="name").explain(renamed.repartition(npartitions=2)).name == "by_symbol"
        assert features(symbol="venue").explain(apart).name == "shuffle"
        assert features().explain(apart.repartition(npartitions=9)).name == "shuffle"
        assert features().explain(apart.assign(symbol=apart["venue"])).name == "shuffle"

    def test_divisions_of_the_time_index(self) -> None:
        frame = ticks().drop_duplicates("ts").set_index("ts", drop=False)
        ddf = dd.from_pandas(frame, npartitions=3)
        unknown = dd.from_delayed(ddf.to_delayed(), meta=ddf._meta, divisions=ddf.divisions)
        plan = features().explain(unknown)
        assert (plan.name, "divisions" in plan.reason) == ("chain", True)

    def test_unknown_frames_are_shuffled_or_taken_at_their_word(self) -> None:
        frame = ticks()
        ddf = parts_of(frame, [1_000, 2_500])
        assert features().explain(ddf).name == "shuffle"
        same(features()(ddf, plan="chain").compute(scheduler="sync"), features()(frame))

    def test_stateless_steps_run_where_the_data_is(self) -> None:
        frame = ticks()
        steps = ft.Pipeline(ft.midprice(), ft.quoted_spread())
        ddf = parts_of(frame, [1_000, 2_500])
        assert steps.explain(ddf).name == "partition-wise"
        same(steps(ddf).compute(scheduler="sync"), steps(frame))

    def test_only_columns_that_are_needed_are_read(self, tmp_path: Path) -> None:
        dd.from_pandas(ticks(), npartitions=2).to_parquet(tmp_path, compute_kwargs={"scheduler": "sync"})
        ddf = dd.read_parquet(tmp_path)
        for plan in ("chain", "shuffle"):
            lazy = features()(ddf, plan=plan)[["number", "ewma"]]
            (read,) = {tuple(e.columns) for e in lazy.expr.simplify().find_operations(ReadParquet)} - {("symbol",)}
            assert sorted(read) == ["ask", "bid", "number", "symbol", "ts"]
            expected = features()(ticks())[["number", "ewma"]]
            same(lazy.compute(scheduler="sync").sort_index(), expected)
        assert_eq(features()(ddf)[["bid"]], ticks()[["bid"]], scheduler="sync")

    def test_rows_of_one_symbol(self) -> None:
        frame = ticks(500, symbols=1).drop(columns="symbol")
        steps = ft.Pipeline(ft.midprice(), ft.ewma("mid", span=5), symbol=None)
        same(steps(dd.from_pandas(frame, npartitions=3)).compute(scheduler="sync"), steps(frame))
        with pytest.raises(ft.PipelineError, match="symbol=None"):
            steps.explain(parts_of(frame, [100]))
        with pytest.raises(ft.PipelineError, match="symbol=None"):
            steps(parts_of(frame, [100]), plan="shuffle")


class TestWrongClaims:
    """A claim that is wrong is an error that says where, never a wrong number."""

    def test_chain_over_partitions_that_are_not_in_order(self) -> None:
        frame = ticks(400, symbols=4)
        frame["ts"] = pd.to_datetime(np.roll(np.arange(400), 150), unit="s", utc=True)
        lazy = features()(parts_of(frame, [150]), plan="chain")
        with pytest.raises(ft.DataError, match=r"Partition 1: .*backwards for symbol 'S0\d' at row \d+ .*shuffle"):
            lazy.compute(scheduler="sync")

    def test_by_symbol_where_a_symbol_is_in_two_partitions(self) -> None:
        lazy = features()(dd.from_pandas(ticks(400, symbols=4), npartitions=2), plan="by_symbol")
        with pytest.raises(ft.DataError, match=r"Symbol 'S0\d' is in partition 0 and in partition 1"):
            lazy.compute(scheduler="sync")
        with pytest.raises(ft.DataError, match="in partition 0 and in partition 1"):
            lazy["ewma"].sum().compute(scheduler="sync")

    def test_a_row_without_symbol(self) -> None:
        frame = ticks(400, symbols=4)
        frame.loc[250, "symbol"] = None
        for plan in ("chain", "shuffle"):
            with pytest.raises(ft.DataError, match=r"(?i)partition 1.*no symbol|no symbol at row 50 of partition 1"):
                features()(dd.from_pandas(frame, npartitions=2), plan=plan).compute(scheduler="sync")

    def test_at_once(self) -> None:
        ddf = dd.from_pandas(ticks(50), npartitions=2)
        with pytest.raises(ft.ParameterError, match="'chain', 'by_symbol' or 'shuffle'"):
            features()(ddf, plan="chian")
        with pytest.raises(ft.ColumnError, match="ask"):
            features()(ddf.drop(columns="ask"))
        with pytest.raises(ft.ColumnError, match="already has a column 'mid'"):
            features()(ddf.assign(mid=1.0))
        with pytest.raises(ft.ColumnError, match="symbol"):
            features(symbol="simbol")(ddf, plan="shuffle")
        with pytest.raises(ft.PipelineError, match="takes a DataFrame"):
            features()(ddf["bid"])
