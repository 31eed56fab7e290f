"""Pipelines on Dask frames: the same numbers as on pandas, to the bit, whatever the plan, and whatever happens meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.dataframe.dask_expr.io import ReadParquet
from dask.dataframe.utils import assert_eq
from distributed import Client, Event, LocalCluster

import fintech_toolkit as ft
from fintech_toolkit.engines.partitions import partition_by_symbol

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


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster) as client:
        yield client


def refuse(*arguments: Any, **keywords: Any) -> None:
    raise AssertionError("something was computed")


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("npartitions", [1, 2, 7])
@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_same_bits_as_pandas(scheduler: str, npartitions: int, plan: str, request: pytest.FixtureRequest) -> None:
    frame = ticks()
    ddf = prepared(frame, npartitions, plan)
    if scheduler == "processes":
        request.getfixturevalue("client")
    lazy = pipeline()(ddf, plan=plan)
    got = lazy.compute(**({} if scheduler == "processes" else {"scheduler": scheduler}))
    assert got.dtypes.astype(str).tolist() == lazy.dtypes.astype(str).tolist()
    if plan != "chain":
        assert got.groupby("symbol")["number"].is_monotonic_increasing.all()
        got = got.sort_index()
    same(got, pipeline()(frame))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", ["category", "unknown", "int64", "str"])
def test_symbols_of_any_kind(kind: str, plan: str) -> None:
    frame = ticks()
    if kind == "int64":
        frame["symbol"] = frame["symbol"].str[1:].astype("int64") + 2**60
    elif kind != "str":
        frame["symbol"] = frame["symbol"].astype(str).astype("category")
    ddf = dd.from_pandas(frame, npartitions=5)
    if kind == "unknown":
        # Categories of their own in every partition, in another order in each.
        ddf = ddf.assign(symbol=ddf["symbol"].astype("string")).assign(symbol=lambda d: d["symbol"].astype("category"))
        assert not ddf["symbol"].cat.known
    if plan == "by_symbol":
        ddf = partition_by_symbol(ddf, 5)
    with dask.config.set(scheduler="sync"):
        got = pipeline()(ddf, plan=plan).compute().sort_index()
    expected = pipeline()(frame)
    assert str(got["symbol"].dtype).split("[")[0] == {"int64": "int64", "str": "string"}.get(kind, "category")
    np.testing.assert_array_equal(got["symbol"].astype(object), expected["symbol"].astype(object))
    same(got.drop(columns="symbol"), expected.drop(columns="symbol"))


def test_symbols_of_unlike_categories_through_a_real_shuffle(client: Client) -> None:
    frame = ticks()
    ddf = dd.from_pandas(frame, npartitions=4)
    ddf = ddf.assign(symbol=ddf["symbol"].astype("category"))
    got = pipeline()(ddf, plan="shuffle").compute().sort_index()
    expected = pipeline()(frame)
    np.testing.assert_array_equal(got["symbol"].astype(object), expected["symbol"].astype(object))
    np.testing.assert_array_equal(got["zscore"], expected["zscore"])


def parts_of(frame: pd.DataFrame, edges: list[int]) -> Any:
    pieces = [frame.iloc[a:b] for a, b in zip([0, *edges], [*edges, len(frame)], strict=True)]
    return dd.from_map(lambda piece: piece, pieces, meta=frame.iloc[:0])


@pytest.mark.parametrize("plan", PLANS)
def test_empty_partitions_and_a_symbol_in_one_partition_only(plan: str) -> None:
    frame = ticks(300, symbols=5)
    frame.loc[120:130, "symbol"] = "ONCE"
    ddf = parts_of(frame, [0, 100, 100, 200, 300])
    if plan == "by_symbol":
        ddf = partition_by_symbol(ddf, 9)
    with dask.config.set(scheduler="sync"):
        same(pipeline()(ddf, plan=plan).compute().sort_index(), pipeline()(frame))


def test_a_frame_without_rows() -> None:
    frame = ticks(100).iloc[:0]
    for plan in ("chain", "shuffle"):
        got = pipeline()(dd.from_pandas(frame, npartitions=1), plan=plan).compute(scheduler="sync")
        assert got.dtypes.astype(str).tolist() == pipeline()(frame).dtypes.astype(str).tolist()


def test_duplicated_index_is_kept() -> None:
    frame = ticks(500, symbols=20)
    frame.index = pd.Index(np.repeat(np.arange(250), 2), name="row")
    same(pipeline()(dd.from_pandas(frame, npartitions=3)).compute(scheduler="sync"), pipeline()(frame))


@pytest.mark.parametrize("plan", [None, *PLANS])
def test_nothing_computes_early(plan: str | None, tmp_path: Path) -> None:
    ddf = dd.from_pandas(ticks(), npartitions=3)
    ddf.to_parquet(tmp_path / "ticks", compute_kwargs={"scheduler": "sync"})
    with dask.config.set(scheduler=refuse):
        for source in (ddf, dd.read_parquet(tmp_path / "ticks"), partition_by_symbol(ddf, 2)):
            pipeline()(source, plan=plan)
            repr(pipeline().explain(source, plan))
            run = pipeline().start()
            run(source)
            run(source)
        with pytest.raises(AssertionError, match="something was computed"):
            run.state  # noqa: B018


def bars() -> ft.Pipeline:
    return ft.Pipeline(ft.time_bars(frequency="1min"))


def sort_rows(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["symbol", "ts"], kind="stable", ignore_index=True)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("npartitions", [1, 2, 7])
def test_event_steps_give_their_own_rows_and_flush_at_the_end(npartitions: int, plan: str) -> None:
    frame = ticks()
    lazy = bars()(prepared(frame, npartitions, plan), plan=plan)
    got = lazy.compute(scheduler="sync").reset_index(drop=True)
    expected = bars()(frame)
    assert lazy.dtypes.astype(str).tolist() == expected.dtypes.astype(str).tolist()
    if plan == "chain":
        same(got, expected)
    same(sort_rows(got), sort_rows(expected))
    assert not got["complete"].all()


@pytest.mark.parametrize("kind", ["int64", "naive", "whole numbers"])
def test_event_rows_have_the_types_of_their_ticks(kind: str) -> None:
    frame = ticks(200, symbols=3)
    if kind == "int64":
        frame["symbol"] = frame["symbol"].str[1:].astype("int64")
    elif kind == "naive":
        frame["ts"] = frame["ts"].dt.tz_localize(None)
    else:
        frame["ts"] = frame["ts"].astype("int64")
    lazy = bars()(dd.from_pandas(frame, npartitions=40))
    for part in dask.compute(*lazy.to_delayed(), scheduler="sync"):
        assert part.dtypes.astype(str).tolist() == lazy.dtypes.astype(str).tolist()
    same(lazy.compute(scheduler="sync").reset_index(drop=True), bars()(frame))


def test_pairs() -> None:
    frame = ticks(600, symbols=6)
    pairs = [("S000", "S001"), ("S001", "S004")]
    steps = ft.Pipeline(ft.hayashi_yoshida_cov(price="price"))
    mapped = ft.to_pairs(dd.from_pandas(frame, npartitions=5), pairs)
    expected = steps(ft.to_pairs(frame, pairs))
    assert steps.explain(mapped).name == "chain"
    with dask.config.set(scheduler="sync"):
        same(steps(mapped).compute().reset_index(drop=True), expected.reset_index(drop=True))
        apart = ft.to_pairs(partition_by_symbol(dd.from_pandas(frame, npartitions=5), 3), pairs)
        assert steps.explain(apart).name == "shuffle"
        got = steps(mapped, plan="shuffle").compute().sort_values(["symbol", "number"], ignore_index=True)
        same(got, expected.sort_values(["symbol", "number"], ignore_index=True))


@pytest.mark.parametrize("plan", ["chain", "by_symbol"])
def test_day_two_continues_from_day_one(plan: str) -> None:
    frame = ticks()
    one, two = frame.iloc[:1_500], frame.iloc[1_500:]
    run, reference = pipeline().start(), pipeline().start()
    with dask.config.set(scheduler="sync"):
        first, second = run(prepared(one, 3, plan)), run(prepared(two, 4, plan))
        same(first.compute().sort_index(), reference(one))
        same(second.compute().sort_index(), reference(two))
        got, expected = run.state.frame().sort_index(), reference.state.frame().sort_index()
        pd.testing.assert_frame_equal(got, expected, check_exact=True)


def test_a_day_that_misses_symbols_keeps_their_state() -> None:
    frame = ticks(1_000, symbols=10)
    quiet = frame["symbol"].isin(["S000", "S003"]) & (frame.index >= 500)
    one, two, three = (
        frame.iloc[:500],
        frame.iloc[500:][~quiet[500:]],
        frame.iloc[[-1]].assign(symbol=pd.array(["S003"], "string")),
    )
    run, reference = pipeline().start(), pipeline().start()
    with dask.config.set(scheduler="sync"):
        for day in (one, two, three):
            same(run(prepared(day, 2, "by_symbol")).compute().sort_index(), reference(day))
        assert sorted(run.state.symbols) == sorted(reference.state.symbols)


def test_result_and_state_are_one_scan() -> None:
    from fintech_toolkit.engines import distributed

    out, state = distributed.apply(pipeline(), dd.from_pandas(ticks(), npartitions=3))
    graph = dask.base.collections_to_expr((out[["ewma"]], state)).optimize().__dask_graph__()
    assert sum(str(key[0]).startswith("scantasks") for key in graph if isinstance(key, tuple)) == 3


def test_events_are_not_flushed_between_days() -> None:
    frame = ticks()
    run, reference = bars().start(), bars().start()
    with dask.config.set(scheduler="sync"):
        for day in (frame.iloc[:1_500], frame.iloc[1_500:]):
            same(run(dd.from_pandas(day, npartitions=3)).compute().reset_index(drop=True), reference(day))
        same(run.flush(), reference.flush())


class TestPlans:
    """The plan is chosen from what is known, and said."""

    def test_files_in_time_order_are_chained(self, tmp_path: Path) -> None:
        dd.from_pandas(ticks(), npartitions=4).to_parquet(tmp_path, compute_kwargs={"scheduler": "sync"})
        plan = pipeline().explain(dd.read_parquet(tmp_path))
        assert (plan.name, plan.npartitions) == ("chain", 4)
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
        assert pipeline().explain(ddf).name == "chain"
        got = pipeline()(ddf).compute(scheduler="sync").astype({"symbol": "string", "venue": "string"})
        same(got.reset_index(drop=True), pipeline()(frame))

    def test_memory_that_does_not_overlap_is_taken_in_the_order_of_time(self) -> None:
        frame = ticks(900, symbols=9)
        frame["ts"] = pd.to_datetime(np.roll(np.arange(900), 300), unit="s", utc=True)
        lazy = pipeline()(dd.from_pandas(frame, npartitions=3))
        assert not lazy.known_divisions
        same(lazy.compute(scheduler="sync"), pipeline()(frame.sort_values("ts")))

    def test_files_that_overlap_are_shuffled(self, tmp_path: Path) -> None:
        frame = ticks(900, symbols=9)
        shuffled = frame.sample(frac=1, random_state=0)
        dd.from_pandas(shuffled, npartitions=3, sort=False).to_parquet(tmp_path, compute_kwargs={"scheduler": "sync"})
        ddf = dd.read_parquet(tmp_path)
        plan = pipeline().explain(ddf)
        assert plan.name == "shuffle"
        assert "partition" in plan.reason
        by_time = shuffled.sort_values("ts", kind="stable")
        got = pipeline()(ddf).compute(scheduler="sync").set_index("number").sort_index()
        same(got, pipeline()(by_time).set_index("number").sort_index())

    def test_what_is_known_outlives_steps_by_partition(self) -> None:
        ddf = dd.from_pandas(ticks(), npartitions=3)
        changed = ddf[ddf["bid"] > 99].rename(columns={"venue": "place"}).assign(extra=1.0).drop(columns="price")
        assert pipeline().explain(changed.fillna(0.0).partitions[1:]).name == "chain"
        assert pipeline().explain(dd.concat([changed.partitions[:1], changed.partitions[1:]])).name == "chain"
        assert pipeline().explain(changed.repartition(npartitions=2)).name == "chain"
        parsed = changed.assign(ts=dd.to_datetime(changed["ts"]))
        assert pipeline().explain(parsed).name == "chain"
        assert pipeline().explain(changed.assign(ts=changed["ts"].dt.floor("1s"))).name == "shuffle"
        apart = partition_by_symbol(ddf, 4)
        renamed = apart[apart["bid"] > 99].rename(columns={"symbol": "name"})
        assert pipeline(symbol="name").explain(renamed.repartition(npartitions=2)).name == "by_symbol"
        assert pipeline(symbol="venue").explain(apart).name == "shuffle"
        assert pipeline().explain(apart.repartition(npartitions=9)).name == "shuffle"
        assert pipeline().explain(apart.assign(symbol=apart["venue"])).name == "shuffle"

    def test_divisions_of_the_time_index(self) -> None:
        frame = ticks().drop_duplicates("ts").set_index("ts", drop=False)
        ddf = dd.from_pandas(frame, npartitions=3)
        unknown = dd.from_delayed(ddf.to_delayed(), meta=ddf._meta, divisions=ddf.divisions)
        plan = pipeline().explain(unknown)
        assert (plan.name, "divisions" in plan.reason) == ("chain", True)

    def test_unknown_frames_are_shuffled_or_taken_at_their_word(self) -> None:
        frame = ticks()
        ddf = parts_of(frame, [1_000, 2_500])
        assert pipeline().explain(ddf).name == "shuffle"
        same(pipeline()(ddf, plan="chain").compute(scheduler="sync"), pipeline()(frame))

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
            lazy = pipeline()(ddf, plan=plan)[["number", "ewma"]]
            (read,) = {tuple(e.columns) for e in lazy.expr.simplify().find_operations(ReadParquet)} - {("symbol",)}
            assert sorted(read) == ["ask", "bid", "number", "symbol", "ts"]
            expected = pipeline()(ticks())[["number", "ewma"]]
            same(lazy.compute(scheduler="sync").sort_index(), expected)
        assert_eq(pipeline()(ddf)[["bid"]], ticks()[["bid"]], scheduler="sync")

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
        lazy = pipeline()(parts_of(frame, [150]), plan="chain")
        with pytest.raises(ft.DataError, match=r"Partition 1: .*backwards for symbol 'S00\d' at row \d+ .*shuffle"):
            lazy.compute(scheduler="sync")

    def test_by_symbol_where_a_symbol_is_in_two_partitions(self) -> None:
        lazy = pipeline()(dd.from_pandas(ticks(400, symbols=4), npartitions=2), plan="by_symbol")
        with pytest.raises(ft.DataError, match=r"Symbol 'S00\d' is in partition 0 and in partition 1"):
            lazy.compute(scheduler="sync")
        with pytest.raises(ft.DataError, match="in partition 0 and in partition 1"):
            lazy["ewma"].sum().compute(scheduler="sync")

    def test_a_row_without_symbol(self) -> None:
        frame = ticks(400, symbols=4)
        frame.loc[250, "symbol"] = None
        for plan in ("chain", "shuffle"):
            with pytest.raises(ft.DataError, match=r"(?i)partition 1.*no symbol|no symbol at row 50 of partition 1"):
                pipeline()(dd.from_pandas(frame, npartitions=2), plan=plan).compute(scheduler="sync")

    def test_at_once(self) -> None:
        ddf = dd.from_pandas(ticks(50), npartitions=2)
        with pytest.raises(ft.ParameterError, match="'chain', 'by_symbol' or 'shuffle'"):
            pipeline()(ddf, plan="chian")
        with pytest.raises(ft.ColumnError, match="ask"):
            pipeline()(ddf.drop(columns="ask"))
        with pytest.raises(ft.ColumnError, match="already has a column 'mid'"):
            pipeline()(ddf.assign(mid=1.0))
        with pytest.raises(ft.ColumnError, match="symbol"):
            pipeline(symbol="simbol")(ddf, plan="shuffle")
        with pytest.raises(ft.PipelineError, match="takes a DataFrame"):
            pipeline()(ddf["bid"])


def note_and_wait(frame: pd.DataFrame, partition_info: Any = None, folder: str = "") -> pd.DataFrame:
    """Say which process is at work on partition 2, the first time; then stay there for as long as it lives."""
    marker = Path(folder) / "pid"
    if partition_info is not None and partition_info["number"] == 2 and not marker.exists():
        marker.write_text(str(os.getpid()))
        Event("reached").set()
        Event("never").wait()
    return frame


@pytest.mark.parametrize("plan", ["chain", "shuffle"])
def test_a_worker_killed_in_mid_run_changes_no_number(plan: str, tmp_path: Path) -> None:
    frame = ticks()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        ddf = dd.from_pandas(frame, npartitions=6)
        ddf = ddf.map_partitions(note_and_wait, folder=str(tmp_path), meta=ddf._meta)
        future = client.compute(pipeline()(ddf, plan=plan))
        assert Event("reached").wait(timeout=60)
        os.kill(int((tmp_path / "pid").read_text()), 9)
        same(future.result(timeout=120).sort_index(), pipeline()(frame))
