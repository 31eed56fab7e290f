"""One flow, the same bits in all that runs it: frames, files, pieces, Dask in both plans, streams, Kafka."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pytest
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.dask import references
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.flow.rules import RULES
from tests.flows.worlds import World, flows, world
from tests.frames import same
from tests.live.topics import SECONDS, Topic

WORLD = world(400, 6, seed=3)
TRADES, QUOTES, BONDS = ft.source("trades"), ft.source("quotes"), ft.source("bonds")
MID = ft.Pipeline(ft.midprice(), ft.ewma("mid", span=9).named("slow"))
FLOW = (
    TRADES.filter([("price", ">", 0), ("venue", "==", "X")])
    .asof_join(QUOTES.pipe(MID), tolerance="20s")
    .join(BONDS, on="symbol", select=["rating", "issued"], where=("rating", "!=", "BB"))
    .pipe(ft.rolling_max("price", window=5), ft.lag("slow").named("before"))
    .rename({"slow": "smooth"})
)


def expected() -> pd.DataFrame:
    result = FLOW(**WORLD)
    assert 20 < len(result) < 200
    return result


def as_tables(frames: World) -> dict[str, pa.Table]:
    return {name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in frames.items()}


def as_before(got: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """Strings, and integers that may be missing, as pandas has them: Arrow and Dask have dtypes of their own."""
    return got.reset_index(drop=True).astype(like.dtypes.to_dict())


def test_arrow() -> None:
    result = FLOW(**as_tables(WORLD))
    assert isinstance(result, pa.Table)
    same(as_before(result.to_pandas(), expected()), expected().reset_index(drop=True))


def pieces(run: ft.FlowRun, frames: World, cuts: list[int]) -> list[Any]:
    """What a run gives whose reference comes first, and all else in pieces."""
    names = [name for name in frames if name != "bonds"]
    made = [run(bonds=frames["bonds"])] if "bonds" in frames else []
    most = max(len(frame) for frame in frames.values())
    for start, stop in pairwise([0, *sorted(cut % most for cut in cuts), most]):
        made.append(run(**{name: frames[name].iloc[start:stop] for name in names}))
    return made


def test_pieces() -> None:
    run = FLOW.start()
    made = [*pieces(run, WORLD, [50, 51, 200, 399]), run.flush()]
    same(pd.concat([rows for rows in made if rows is not None]), expected())


@given(flows(), st.lists(st.integers(0, 1_000), max_size=4))
@settings(deadline=None, max_examples=60)
def test_random_flows_in_pieces(flow: ft.Flow, cuts: list[int]) -> None:
    frames = {name: world()[name] for name in flow.sources}
    whole = flow(**frames)
    run = flow.start()
    made = [*pieces(run, frames, cuts), run.flush()]
    there = [rows for rows in made if rows is not None and len(rows)]
    got = pd.concat(there) if there else whole.iloc[:0]
    if flow.node.effect.rows == "replaces":  # rows of its own are numbered frame by frame
        got = got.reset_index(drop=True)
    same(got, whole)
    for count in run.counts.itertuples():
        if not count.what.startswith(("source", "window", "session")):
            assert count[2] == count.out + count.filtered + count.unmatched + count.waiting
            assert count.waiting == 0


def partitioned(frames: World, plan: str) -> dict[str, Any]:
    found = {name: dd.from_pandas(frame, npartitions=3, sort=False) for name, frame in frames.items()}
    if plan == "by symbol":
        for name in ("trades", "quotes"):
            if name in found:
                found[name] = ft.partition_by_symbol(found[name], npartitions=3)
    return found


def by_id(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("id", ignore_index=True)


@pytest.mark.parametrize("plan", ["in time order", "by symbol"])
def test_dask(plan: str, client: Client) -> None:
    frames = partitioned(WORLD, plan)
    table = ft.ReferenceTable(WORLD["bonds"], on="symbol")
    with dask.config.set({"dataframe.convert-string": False}):
        for result in (FLOW(**frames), FLOW(**{**frames, "bonds": table})):
            same(by_id(as_before(result.compute(), expected())), by_id(expected()))
            assert len(result.head(3, npartitions=-1)) == 3
            pair = result[["id", "rolling_max"]].compute()
            same(by_id(pair.reset_index(drop=True)), by_id(expected()[["id", "rolling_max"]]))


@pytest.mark.parametrize("join", ["whole reference", "partitioned reference"])
@pytest.mark.parametrize("plan", ["in time order", "by symbol"])
def test_what_is_known_of_partitions_goes_on(plan: str, join: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if join == "partitioned reference":
        monkeypatch.setattr(references, "MOST_WHOLE", 200)
    frames = partitioned(WORLD, plan)
    said = FLOW.explain(**frames)
    names = {str(node).split(" ")[0]: plan.name for node, plan in said.plans.items()}
    pipes = "chain" if plan == "in time order" else "by_symbol"
    as_of = "by time" if plan == "in time order" else "by symbol"
    assert names == {"pipe": pipes, "as-of": as_of, "join": join}
    assert "shuffle" not in repr(said)


@given(flows(), st.sampled_from(["in time order", "by symbol"]), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=25)
def test_random_flows_on_dask(flow: ft.Flow, plan: str, rules: bool, large: bool) -> None:
    frames = {name: world()[name] for name in flow.sources}
    whole = flow(**frames)
    with dask.config.set({"dataframe.convert-string": False}, scheduler="sync"), pytest.MonkeyPatch.context() as patch:
        if large:
            patch.setattr(references, "MOST_WHOLE", 200)
        got = flow(without=[] if rules else RULES, **partitioned(frames, plan)).compute()
    keys = [name for name in ("id", "ts", "symbol") if name in whole.columns]
    ordered = [frame.sort_values(keys, kind="stable", ignore_index=True) for frame in (as_before(got, whole), whole)]
    same(*ordered)


def test_a_worker_that_is_killed_in_mid_run(client: Client) -> None:
    result = FLOW(**partitioned(world(4_000, 6, seed=3), "in time order"))
    future = client.compute(result)
    victim = next(iter(client.run(os.getpid).values()))
    os.kill(victim, signal.SIGKILL)
    whole = FLOW(**world(4_000, 6, seed=3))
    same(by_id(as_before(future.result(timeout=SECONDS), whole)), by_id(whole))


def written(folder: Path, frames: World, rows: int = 64) -> dict[str, str]:
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False, row_group_size=rows)
    return {name: str(folder / f"{name}.parquet") for name in frames}


def test_files(tmp_path: Path) -> None:
    paths = written(tmp_path, WORLD)
    whole = expected().reset_index(drop=True)
    same(as_before(FLOW(**paths).to_pandas(), whole), whole)
    same(as_before(FLOW(**{**paths, "bonds": WORLD["bonds"]}), whole), whole)
    same(by_id(as_before(FLOW.dask(**paths).compute(), whole)), by_id(whole))


@pytest.mark.parametrize("kept_as", ["frame", "table", "file"])
def test_streams(kept_as: str, tmp_path: Path) -> None:
    WORLD["bonds"].to_parquet(tmp_path / "bonds.parquet", index=False)
    table = ft.ReferenceTable(WORLD["bonds"], on="symbol")
    bonds = {"frame": WORLD["bonds"], "table": table, "file": tmp_path / "bonds.parquet"}[kept_as]
    trades, quotes = Stream(), Stream()
    rows = FLOW.live(trades=trades, quotes=quotes, bonds=bonds).sink_to_list()
    for start in range(0, 400, 50):
        trades.emit(WORLD["trades"].iloc[start : start + 50])
        quotes.emit(WORLD["quotes"].iloc[start : start + 50])
    last = quotes_after(WORLD["quotes"])
    quotes.emit(last)
    same(pd.concat(rows), expected())


def quotes_after(quotes: pd.DataFrame) -> pd.DataFrame:
    """A quote of a symbol that does not trade, after which no trade waits."""
    return quotes.iloc[-1:].assign(symbol="none", ts=quotes["ts"].max() + pd.Timedelta("1h"))


def test_kafka(kafka_broker: str, kafka_topic: Topic) -> None:
    """Filter, reference and pipeline over the real broker, by partition."""
    flow = (
        TRADES.filter(("venue", "==", "X"))
        .join(BONDS, on="symbol", select=["rating"])
        .pipe(ft.rolling_max("price", window=5))
        .select("symbol", "id", "price", "rating", "rolling_max")
    )
    name, config = kafka_topic(partitions=3), {"bootstrap.servers": kafka_broker}
    feed = Stream()
    sink = feed.to_kafka_frames(name, config, key="symbol")
    feed.emit(WORLD["trades"])
    sink.destroy()
    schema = WORLD["trades"].dtypes.astype(str).to_dict()
    source = Stream.from_kafka_frames(name, config, schema=schema, group=name, batch_size=40, until="latest")
    rows = flow.live(trades=source, bonds=WORLD["bonds"]).sink_to_list()
    source.start()
    assert source.wait(SECONDS)
    whole = by_id(flow(trades=WORLD["trades"], bonds=WORLD["bonds"]))
    same(by_id(pd.concat(rows, ignore_index=True)), whole)


def test_what_must_be_a_stream_and_what_must_not() -> None:
    with pytest.raises(PipelineError, match="needs a stream for a source"):
        FLOW.live(**WORLD)
    with pytest.raises(PipelineError, match="Source 'bonds' must be a pandas or Dask frame"):
        FLOW.live(trades=Stream(), quotes=Stream(), bonds={"symbol": ["A"]})
    with pytest.raises(PipelineError, match="the reference of a live flow must be a frame"):
        FLOW.live(trades=Stream(), quotes=Stream(), bonds=Stream())
    with pytest.raises(PipelineError, match="Streams are for live"):
        FLOW(**{**WORLD, "trades": Stream()})
