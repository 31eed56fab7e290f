"""Windows of a dataflow: those of an oracle on all there is, and the same to the bit however the rows come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from streamz import Stream

import fintech_toolkit as ft
from tests.flows.windows import ALL, aligned, check, expected, market, pieces, seconds_of, sessions, ticks
from tests.frames import same

TICKS = ft.source("ticks")
SIZES = st.sampled_from([(4, 4), (6, 2), (7, 3), (5, 4), (1, 1)])
CUTS = st.lists(st.integers(0, 40), max_size=4)


def windows(size: int, every: int, lateness: int = 0) -> ft.Flow:
    apart = None if every == size else f"{every}s"
    return TICKS.window(f"{size}s", every=apart, lateness=f"{lateness}s").agg(**ALL)


def in_pieces(flow: ft.Flow, frame: Any, cuts: list[int], folder: Path | None = None) -> tuple[Any, ft.FlowRun]:
    """What comes of pieces of a frame; with a folder, each goes on from a file that the one before has left."""
    run, found = flow.start(), []
    for number, piece in enumerate(pieces(frame, cuts)):
        if folder is not None and number:
            run.state.save(folder / "state")
            run = flow.start(folder / "state")
        found.append(run(ticks=piece))
    found.append(run.flush())
    known = [rows for rows in found if rows is not None]
    if isinstance(known[0], pa.Table):
        return pa.concat_tables(known), run
    return pd.concat(known, ignore_index=True), run


@given(ticks(disorder=3), SIZES, st.sampled_from([0, 2]))
@settings(deadline=None, max_examples=60)
def test_each_window_has_what_pandas_finds_in_its_rows(
    frame: pd.DataFrame, size: tuple[int, int], lateness: int
) -> None:
    got = windows(*size, lateness)(ticks=frame)
    check(got, expected(frame, aligned(frame, *size), lateness))


@given(ticks(disorder=3), st.sampled_from([1, 2, 5]))
@settings(deadline=None, max_examples=60)
def test_a_session_ends_with_a_gap(frame: pd.DataFrame, gap: int) -> None:
    got = TICKS.session_window(f"{gap}s").agg(**ALL)(ticks=frame)
    check(got, expected(frame, sessions(frame, gap)))


@given(ticks(disorder=3), st.one_of(SIZES, st.sampled_from([1, 2, 5])), CUTS, st.booleans())
@settings(deadline=None, max_examples=60)
def test_pieces_give_the_bits_of_the_whole(frame: pd.DataFrame, size: Any, cuts: list[int], arrow: bool) -> None:
    """Rows are out of order by less than the lateness, so that none is late."""
    session = TICKS.session_window(f"{size}s", lateness="4s").agg(**ALL) if isinstance(size, int) else None
    flow = session or windows(*size, 4)
    data = pa.Table.from_pandas(frame, preserve_index=False) if arrow else frame
    whole = flow(ticks=data)
    got, run = in_pieces(flow, data, cuts)
    assert run.late == {}
    assert run.counts["late"].sum() == 0
    if arrow:
        assert got.schema == whole.schema
        same(got.to_pandas(), whole.to_pandas())
    else:
        same(got, whole)
    asked = flow(ticks=frame)
    for name in ("sum", "std", "median", "vwap", "ids", "nunique"):
        np.testing.assert_array_equal(np.asarray(whole[name]), asked[name].to_numpy())


@given(ticks(disorder=9), st.one_of(SIZES, st.none()), st.sampled_from([0, 2]), CUTS)
@settings(deadline=None, max_examples=80)
def test_a_row_is_late_when_a_window_of_it_is_over(
    frame: pd.DataFrame, size: tuple[int, int] | None, lateness: int, cuts: list[int]
) -> None:
    """Judged row by row, however they are cut; what is not late makes the windows of a whole."""
    at, late, seen = seconds_of(frame), [], -1
    for row, second in enumerate(at):
        if size is None:
            late.append(second < seen - lateness)
        else:
            start = min(s for s in range(second - size[0] + 1, second + 1) if s % size[1] == 0)
            late.append(start + size[0] <= seen - lateness)
        seen = max(seen, at[row])
    sessions = TICKS.session_window("2s", lateness=f"{lateness}s").agg(**ALL)
    flow = sessions if size is None else windows(*size, lateness)
    run, found, dropped = flow.start(), [], []
    for piece in pieces(frame, cuts):
        found.append(run(ticks=piece))
        dropped += list(run.late.values())
    counts = run.counts.loc[2]
    found.append(run.flush())
    assert run.late == {}
    same(pd.concat([rows for rows in found if rows is not None], ignore_index=True), flow(ticks=frame[~np.array(late)]))
    assert counts["late"] == sum(late)
    if any(late):
        same(pd.concat(dropped), frame[late])


def test_waits_and_goes_on_from_a_file(tmp_path: Path) -> None:
    frame = market(400).drop(columns="venue")
    for flow in (windows(6, 2, 1), TICKS.session_window("1s").agg(**ALL)):
        got, _ = in_pieces(flow, frame, [50, 51, 200], tmp_path)
        same(got, flow(ticks=frame))
        run = flow.start()
        run(ticks=frame[:100])
        counts = run.counts.loc[2]
        assert counts["in"] == 100
        assert 0 < counts["waiting"] < 100


def test_live_windows_are_those_of_pieces() -> None:
    frame = market(300)
    flow = windows(6, 2, 1)
    ticks = Stream()
    node = flow.live(ticks=ticks)
    found, late = node.sink_to_list(), node.late[2].sink_to_list()
    for start in range(0, 300, 30):
        ticks.emit(frame[start : start + 30])
    ticks.emit(frame[:2])
    assert node.counts.loc[2, ["in", "late"]].tolist() == [302, 2]
    same(pd.concat(late), frame[:2])
    node.flush()
    same(pd.concat(found, ignore_index=True), flow(ticks=frame))
    node.flush()
    same(pd.concat(found, ignore_index=True), flow(ticks=frame))


def test_at_the_end_what_is_unfinished_goes_through_the_nodes_after_it() -> None:
    frame = market(300)
    smooth = windows(6, 2).pipe(ft.ewma("max", span=3)).filter([("count", ">", 0)])
    flow = smooth.pipe(ft.time_bars("ewma", "count", frequency="10s"))
    ticks = Stream()
    node = flow.live(ticks=ticks)
    found = node.sink_to_list()
    for start in range(0, 300, 30):
        ticks.emit(frame[start : start + 30])
    before = len(found)
    node.flush()
    assert len(found) == before + 2  # of the windows at the end, and the bars that these leave
    same(pd.concat(found, ignore_index=True), flow(ticks=frame))
    run = flow.start()
    run(ticks=frame)
    run.flush()
    same(node.counts.drop(columns="rejected"), run.counts)


# On Dask

FLOWS = {
    "tumbling": TICKS.window("3s").agg(**ALL),
    "sliding": TICKS.window("6s", every="2s", lateness="1s").agg(**ALL),
    "sessions": TICKS.session_window("10s").agg(**ALL),
}
OF_ONE = TICKS.window("5s", symbol=None).agg(n=("price", "count"), vwap=ft.vwap("price", "size"))


def same_rows(got: Any, wanted: pd.DataFrame, *, sort: bool) -> None:
    got = got.compute()
    if sort:
        got, wanted = (rows.sort_values(["window_end", "symbol"]) for rows in (got, wanted))
    same(got.reset_index(drop=True).astype(wanted.dtypes), wanted.reset_index(drop=True))


def on_dask(flow: ft.Flow) -> None:
    frame = market(600).reset_index(drop=True)
    wanted = flow(ticks=frame)
    in_time = dd.from_pandas(frame, npartitions=7)
    assert "chain (7 partitions)" in repr(flow.explain(ticks=in_time))
    same_rows(flow(ticks=in_time), wanted, sort=False)
    backwards = in_time.partitions[[3, 0, 1, 2, 6, 5, 4]]
    if flow is OF_ONE:
        same_rows(flow(ticks=backwards), wanted, sort=False)
        return
    apart = ft.partition_by_symbol(in_time, npartitions=3)
    assert "by_symbol (3 partitions)" in repr(flow.explain(ticks=apart))
    same_rows(flow(ticks=apart), wanted, sort=True)
    mixed = dd.concat([dd.from_pandas(frame[k::2], npartitions=2) for k in range(2)])
    assert "shuffle (4 partitions)" in repr(flow.explain(ticks=mixed))
    same_rows(flow(ticks=mixed), flow(ticks=pd.concat([frame[0::2], frame[1::2]])), sort=True)


@pytest.mark.parametrize("name", FLOWS)
def test_dask_gives_the_bits_of_the_whole(name: str) -> None:
    on_dask(FLOWS[name])


def test_windows_of_all_rows_go_along_the_chain() -> None:
    on_dask(OF_ONE)
    frame = market(100).reset_index(drop=True)
    mixed = dd.concat([dd.from_pandas(frame[k::2], npartitions=2) for k in range(2)])
    with pytest.raises(ft.PipelineError, match=r"not known to be in time order.*symbol=None.*sort the frame by time"):
        OF_ONE(ticks=mixed)


def test_processes_give_the_bits_of_the_whole(client: Client) -> None:
    on_dask(FLOWS["sliding"])


def test_order_within_a_partition_does_not_matter(tmp_path: Path) -> None:
    """Two symbols far out of order within a partition, that overlap no other."""
    frame = market(200).reset_index(drop=True)
    halves = [half.sort_values("symbol", kind="stable") for half in (frame[:100], frame[100:])]
    for number, half in enumerate(halves):
        half.to_parquet(tmp_path / f"{number}.parquet", index=False)
    files = dd.read_parquet(tmp_path, index=False)
    for flow in FLOWS.values():
        same_rows(flow(ticks=files), flow(ticks=pd.concat(halves)), sort=False)


@pytest.mark.parametrize("name", FLOWS)
def test_what_is_known_of_partitions_goes_on(name: str) -> None:
    frame = market(600).reset_index(drop=True)
    smooth = FLOWS[name].pipe(ft.ewma("max", span=3))
    longer = (
        FLOWS[name].rename({"window_end": "end", "known_at": "known"}).window("20s", time="end").agg(n=("count", "sum"))
    )
    in_time = dd.from_pandas(frame, npartitions=5)
    apart = ft.partition_by_symbol(in_time, npartitions=3)
    for after in (smooth, longer):
        for data, plan in ((in_time, "chain"), (apart, "by_symbol")):
            assert repr(after.explain(ticks=data)).count(f": {plan} (") == 2
            same_rows(after(ticks=data), after(ticks=frame), sort=plan != "chain")


def test_partitions_that_are_not_as_claimed_are_an_error() -> None:
    frame = market(100).set_axis(pd.Index(range(100), name="ts"))
    halves = [frame[50:], frame[:50]]
    edges = (frame["ts"].iloc[0], frame["ts"].iloc[50], frame["ts"].iloc[99])
    lied = dd.from_map(lambda number: halves[number], [0, 1], meta=frame[:0], divisions=edges)
    windows = OF_ONE(ticks=lied)
    wrong = r"Partition 1: .*'ts' goes backwards at row 0: .* is before .*of the partitions before"
    with pytest.raises(ft.DataError, match=wrong):
        windows.compute()


def test_joined_and_piped_windows_are_the_same_in_pieces_and_on_dask() -> None:
    """Windows of trades join quotes as of when they are known, and a reference; a pipeline follows."""
    frame = market(300).reset_index(drop=True)
    bars = TICKS.window("1s", lateness="1s").agg(high=("price", "max"), n=("price", "count"))
    flow = ft.source("quotes").select("symbol", "ts", "bid").asof_join(bars.pipe(ft.ewma("high", span=3)))
    flow = flow.join(ft.source("bonds"), on="symbol").pipe(ft.diff("ewma"))
    bonds = pd.DataFrame({"symbol": ["S01", "S02", "S03"], "rating": ["a", "b", "c"]})
    whole = flow(ticks=frame, quotes=frame, bonds=bonds)
    assert whole["diff"].notna().any()
    run = flow.start()
    parts = [run(bonds=bonds), *(run(ticks=piece, quotes=piece) for piece in pieces(frame, [40, 41, 200])), run.flush()]
    same(pd.concat([part for part in parts if part is not None], ignore_index=True), whole.reset_index(drop=True))
    in_time = dd.from_pandas(frame, npartitions=4)
    got = flow(ticks=in_time, quotes=in_time, bonds=bonds).compute()
    same(got.reset_index(drop=True).astype(whole.dtypes), whole.reset_index(drop=True))
