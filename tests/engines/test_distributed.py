"""Pipelines on Dask frames: the same numbers as on pandas, to the bit, whatever the plan and whatever happens."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, Event, LocalCluster

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.partitions import partition_by_symbol
from fintech_toolkit.engines.dask.workers import connected
from tests.engines.ticks import PLANS, parts_of, prepared, refuse, ticks
from tests.frames import features, same
from tests.stress import crossed


@crossed(scheduler=["sync", "threads", "processes"], npartitions=[1, 2, 7], plan=PLANS)
def test_same_bits_as_pandas(scheduler: str, npartitions: int, plan: str, request: pytest.FixtureRequest) -> None:
    frame = ticks()
    ddf = prepared(frame, npartitions, plan)
    if scheduler == "processes":
        request.getfixturevalue("client")
    lazy = features()(ddf, plan=plan)
    got = lazy.compute(**({} if scheduler == "processes" else {"scheduler": scheduler}))
    assert got.dtypes.astype(str).tolist() == lazy.dtypes.astype(str).tolist()
    if plan != "chain":
        assert got.groupby("symbol")["number"].is_monotonic_increasing.all()
        got = got.sort_index()
    same(got, features()(frame))


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
        got = features()(ddf, plan=plan).compute().sort_index()
    expected = features()(frame)
    assert str(got["symbol"].dtype).split("[")[0] == {"int64": "int64", "str": "string"}.get(kind, "category")
    np.testing.assert_array_equal(got["symbol"].astype(object), expected["symbol"].astype(object))
    same(got.drop(columns="symbol"), expected.drop(columns="symbol"))


def test_symbols_of_unlike_categories_through_a_real_shuffle(client: Client) -> None:
    frame = ticks()
    ddf = dd.from_pandas(frame, npartitions=4)
    ddf = ddf.assign(symbol=ddf["symbol"].astype("category"))
    got = features()(ddf, plan="shuffle").compute().sort_index()
    expected = features()(frame)
    np.testing.assert_array_equal(got["symbol"].astype(object), expected["symbol"].astype(object))
    np.testing.assert_array_equal(got["zscore"], expected["zscore"])


@pytest.mark.parametrize("plan", PLANS)
def test_empty_partitions_and_a_symbol_in_one_partition_only(plan: str) -> None:
    frame = ticks(300, symbols=5)
    frame.loc[120:130, "symbol"] = "ONCE"
    ddf = parts_of(frame, [0, 100, 100, 200, 300])
    if plan == "by_symbol":
        ddf = partition_by_symbol(ddf, 9)
    with dask.config.set(scheduler="sync"):
        same(features()(ddf, plan=plan).compute().sort_index(), features()(frame))


def test_a_frame_without_rows() -> None:
    frame = ticks(100).iloc[:0]
    for plan in ("chain", "shuffle"):
        got = features()(dd.from_pandas(frame, npartitions=1), plan=plan).compute(scheduler="sync")
        assert got.dtypes.astype(str).tolist() == features()(frame).dtypes.astype(str).tolist()


def test_duplicated_index_is_kept() -> None:
    frame = ticks(500, symbols=20)
    frame.index = pd.Index(np.repeat(np.arange(250), 2), name="row")
    same(features()(dd.from_pandas(frame, npartitions=3)).compute(scheduler="sync"), features()(frame))


@pytest.mark.parametrize("plan", [None, *PLANS])
def test_nothing_computes_early(plan: str | None, tmp_path: Path) -> None:
    ddf = dd.from_pandas(ticks(), npartitions=3)
    ddf.to_parquet(tmp_path / "ticks", compute_kwargs={"scheduler": "sync"})
    with dask.config.set(scheduler=refuse):
        for source in (ddf, dd.read_parquet(tmp_path / "ticks"), partition_by_symbol(ddf, 2)):
            features()(source, plan=plan)
            repr(features().explain(source, plan))
            run = features().start_dask()
            run(source)
            run(source)
            repr(run), repr(run.state)
            features().start_dask(run.state)
        with pytest.raises(AssertionError, match="something was computed"):
            run.state.compute()


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
        frame["ts"] = (frame["ts"] + pd.Timedelta("20000D")).dt.as_unit("ns").astype("int64")
    lazy = bars()(dd.from_pandas(frame, npartitions=40))
    for part in dask.compute(*lazy.to_delayed(), scheduler="sync"):
        assert part.dtypes.astype(str).tolist() == lazy.dtypes.astype(str).tolist()
    same(lazy.compute(scheduler="sync").reset_index(drop=True), bars()(frame))


def test_pairs() -> None:
    frame = ticks(600, symbols=6)
    pairs = [("S00", "S01"), ("S01", "S04")]
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
    run, reference = features().start_dask(), features().start()
    with dask.config.set(scheduler="sync"):
        first, second = run(prepared(one, 3, plan)), run(prepared(two, 4, plan))
        same(first.compute().sort_index(), reference(one))
        same(second.compute().sort_index(), reference(two))
        got, expected = run.state.compute().frame().sort_index(), reference.state.frame().sort_index()
        same(got, expected)


def test_a_day_that_misses_symbols_keeps_their_state() -> None:
    frame = ticks(1_000, symbols=10)
    quiet = frame["symbol"].isin(["S00", "S03"]) & (frame.index >= 500)
    one, two, three = (
        frame.iloc[:500],
        frame.iloc[500:][~quiet[500:]],
        frame.iloc[[-1]].assign(symbol=pd.array(["S03"], "string")),
    )
    run, reference = features().start_dask(), features().start()
    with dask.config.set(scheduler="sync"):
        for day in (one, two, three):
            same(run(prepared(day, 2, "by_symbol")).compute().sort_index(), reference(day))
        assert sorted(run.state.compute().symbols) == sorted(reference.state.symbols)


def test_result_and_state_are_one_scan() -> None:
    from fintech_toolkit.engines.dask import plans

    out, state = plans.apply(features(), dd.from_pandas(ticks(), npartitions=3))
    graph = dask.base.collections_to_expr((out[["ewma"]], state)).optimize().__dask_graph__()
    assert sum(str(key[0]).startswith("scantasks") for key in graph if isinstance(key, tuple)) == 3


def test_events_are_not_flushed_between_days() -> None:
    frame = ticks()
    run, reference = bars().start_dask(), bars().start()
    with dask.config.set(scheduler="sync"):
        for day in (frame.iloc[:1_500], frame.iloc[1_500:]):
            same(run(dd.from_pandas(day, npartitions=3)).compute().reset_index(drop=True), reference(day))
        same(bars().start(run.state.compute()).flush(), reference.flush())


def note_and_wait(frame: pd.DataFrame, partition_info: Any = None, folder: str = "") -> pd.DataFrame:
    """Say which process is at work on partition 2, the first time; then stay there for as long as it lives."""
    marker = Path(folder) / "pid"
    if partition_info is not None and partition_info["number"] == 2 and not marker.exists():
        marker.write_text(str(os.getpid()))
        Event(f"reached {folder}").set()
        Event("never").wait()
    return frame


@pytest.fixture(scope="module")
def mortal() -> Iterator[Client]:
    """A client of workers that may be killed, since no other test needs them; new ones come in their place."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.parametrize("plan", ["chain", "shuffle"])
def test_a_worker_killed_in_mid_run_changes_no_number(plan: str, tmp_path: Path, mortal: Client) -> None:
    frame = ticks()
    ddf = dd.from_pandas(frame, npartitions=6)
    ddf = ddf.map_partitions(note_and_wait, folder=str(tmp_path), meta=ddf._meta)
    future = mortal.compute(features()(ddf, plan=plan))
    assert Event(f"reached {tmp_path}", client=mortal).wait(timeout=60)
    os.kill(int((tmp_path / "pid").read_text()), 9)
    same(future.result(timeout=120).sort_index(), features()(frame))


def test_workers_of_a_command_leave_ctrl_c_to_the_process_that_started_them() -> None:
    with connected("local", 1) as client:
        assert list(client.run(signal.getsignal, signal.SIGINT).values()) == [signal.SIG_IGN]
    assert signal.getsignal(signal.SIGINT) != signal.SIG_IGN
