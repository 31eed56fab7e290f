"""Dataflows of two Kafka topics: the bits of the batch, whatever stops in between, and every row accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.errors import StateError
from tests.frames import same
from tests.live.test_join import QUOTES, TRADES, feeds, put
from tests.live.topics import SECONDS, Topic, wait_until
from tests.stress import dealt

LEFT, RIGHT = ft.source("trades"), ft.source("quotes")
JOINS = {
    "horizon": LEFT.horizon_join(RIGHT, offsets=["-1s", "0s", "20s"], select=["bid"]),
    "window": LEFT.window_join(RIGHT, before="30s", after="5s", agg={"n": ("bid", "count"), "mean": ("bid", "mean")}),
    "interval": LEFT.interval_join(RIGHT, within="3s"),
}
BONDS = pd.DataFrame({"symbol": pd.array([f"S{k}" for k in range(15)], "str"), "coupon": np.arange(15) / 4})
FLOW = (
    LEFT.filter([("price", ">", 99)])
    .join(ft.source("bonds"), on="symbol")
    .asof_join(RIGHT.pipe(ft.ewma("bid", span=5).named("slow")))
    .pipe(ft.rolling_max("price", window=5), ft.ewma("slow", span=9))
    .window("20s", every="10s")
    .agg(n=("price", "count"), high=("rolling_max", "max"), slow=("ewma", "mean"), ids=("id", "sum"))
)

AT_END = {"left_on": "window_end", "allow_exact_matches": False, "suffixes": ("", "_last")}
MARKED = (
    LEFT.asof_join(RIGHT)
    .filter([("price", ">", 99)])
    .horizon_join(RIGHT, offsets=["-1s", "20s"], select=["bid"])
    .pipe(ft.ewma("bid_20s", span=5).named("slow"))
)
CHAIN = (
    MARKED.window("20s")
    .agg(n=("price", "count"), ids=("id", "sum"))
    .asof_join(MARKED.select("symbol", "ts", "slow", "id"), right_on="ts", **AT_END)
    .asof_join(RIGHT.rename({"ts": "quoted"}).select("symbol", "quoted", "bid"), right_on="quoted", **AT_END)
)
"""Joins behind joins, one of them of what a join answers with itself."""


class Both:
    """The sources of both topics, each to the end that it has now."""

    def __init__(self, servers: str, topics: tuple[str, str], **options: Any) -> None:
        how = {"group": topics[0], "batch_size": 60, "until": "latest", **options}
        config = {"bootstrap.servers": servers}
        self.trades = Stream.from_kafka_frames(topics[0], config, schema=TRADES, **how)
        self.quotes = Stream.from_kafka_frames(topics[1], config, schema=QUOTES, **how)

    def start(self, *, left_first: bool = True) -> None:
        for source in (self.trades, self.quotes) if left_first else (self.quotes, self.trades):
            source.start()

    def run(self, *, left_first: bool = True) -> None:
        self.start(left_first=left_first)
        for source in (self.trades, self.quotes):
            assert source.wait(SECONDS)


@pytest.fixture
def topics(kafka_topic: Topic) -> tuple[str, str]:
    return kafka_topic(partitions=3), kafka_topic(partitions=3)


def send(servers: str, topics: tuple[str, str], trades: pd.DataFrame, quotes: pd.DataFrame) -> None:
    put(servers, topics[0], trades)
    put(servers, topics[1], quotes)


def ordered(frame: pd.DataFrame, *by: str) -> pd.DataFrame:
    return frame.sort_values(list(by), ignore_index=True)


def test_joins_of_two_topics_are_those_of_the_batch(kafka_broker: str, topics: tuple[str, str]) -> None:
    trades, quotes = feeds()
    send(kafka_broker, topics, trades, quotes)
    both = Both(kafka_broker, topics)
    live = {name: flow.live(trades=both.trades, quotes=both.quotes) for name, flow in JOINS.items()}
    found = {name: stream.sink_to_list() for name, stream in live.items()}
    both.run()
    for name, flow in JOINS.items():
        before = len(found[name])
        assert before > 3
        live[name].flush()
        by = ["id", "ts_right", "bid"] if name == "interval" else ["id"]
        whole = ordered(flow(trades=trades, quotes=quotes), *by)
        same(ordered(pd.concat(found[name]), *by), whole)
        assert live[name].counts.loc[3, ["in", "out", "waiting", "rejected"]].tolist() == [2_000, len(whole), 0, 0]


def live_of(flow: ft.Flow, both: Both) -> Any:
    given = {"trades": both.trades, "quotes": both.quotes, "bonds": BONDS}
    return flow.live(**{name: given[name] for name in flow.sources})


@pytest.mark.parametrize("flow", [FLOW, CHAIN], ids=["window", "chain"])
@pytest.mark.parametrize("way", dealt(["nothing", "replay", "taken over", "a sink that failed", "the right first"], 3))
def test_a_flow_of_two_topics_is_that_of_the_batch(
    kafka_broker: str, topics: tuple[str, str], flow: ft.Flow, way: str
) -> None:
    trades, quotes = feeds(1_000)
    given = {"trades": trades, "quotes": quotes, "bonds": BONDS}
    whole = flow(**{name: given[name] for name in flow.sources})
    send(kafka_broker, topics, trades.iloc[:600], quotes.iloc[:500])
    both = Both(kafka_broker, topics)
    found: list[pd.DataFrame] = []
    fails = [way == "a sink that failed"]

    def take(rows: pd.DataFrame) -> None:
        if fails[0] and len(found) == 4:
            fails[0] = False
            raise OSError("the disk is full")
        found.append(rows)

    live = live_of(flow, both)
    live.sink(take)
    if way == "a sink that failed":
        with pytest.raises(OSError, match="disk is full"):
            both.run()
        for source in (both.trades, both.quotes):
            source.stop()
            wait_until(lambda source=source: not source._thread.is_alive())  # type: ignore[misc]
    taken_over, left_first = way in ("taken over", "the right first"), way != "the right first"
    if taken_over:
        both = Both(kafka_broker, topics, until=None)
        live = live_of(flow, both)
        live.sink(take)
        both.start()
        wait_until(lambda: len(found) > 4)
    else:
        both.run()
        assert 0 < sum(map(len, found)) < len(whole) - 20
    send(kafka_broker, topics, trades.iloc[600:], quotes.iloc[500:])
    if way == "replay" or taken_over:
        both = Both(kafka_broker, topics, replay=way == "replay")
        live = live_of(flow, both)
        live.sink(take)
    both.run(left_first=left_first)
    live.flush()
    rows = pd.concat(found)
    same(ordered(rows.drop_duplicates(), "window_end", "symbol"), ordered(whole, "window_end", "symbol"))
    if way == "nothing" and flow is FLOW:
        counts = live.counts
        assert counts["rejected"].sum() == counts["late"].sum() == counts["waiting"].sum() == 0
        assert counts["in"].tolist()[0] == 1_000
        balance = counts["in"] - counts["out"] - counts["filtered"] - counts["unmatched"]
        assert balance[~counts["what"].str.contains("window")].tolist() == [0] * 7
        same(counts.drop(columns="rejected"), counts_in_memory(trades, quotes))


def counts_in_memory(trades: pd.DataFrame, quotes: pd.DataFrame) -> pd.DataFrame:
    run = FLOW.start()
    run(trades=trades, quotes=quotes, bonds=BONDS)
    run.flush()
    return run.counts


def test_states_before_and_after_a_join_go_on_together_or_not_at_all(
    kafka_broker: str, topics: tuple[str, str], tmp_path: Path
) -> None:
    trades, quotes = feeds(1_000)
    pipeline = ft.Pipeline(ft.ewma("bid", span=5), ft.rolling_max("price", window=7))

    class Nodes:
        def __init__(self, joined: Any = None, piped: Any = None) -> None:
            self.both = Both(kafka_broker, topics)
            self.joined = ft.asof_join(self.both.trades, self.both.quotes, state=joined)
            self.piped = pipeline.live(self.joined, piped)
            self.found = self.piped.sink_to_list()

    send(kafka_broker, topics, trades.iloc[:600], quotes.iloc[:500])
    first = Nodes()
    first.both.run()
    first.joined.state.save(tmp_path / "joined")
    first.piped.state.save(tmp_path / "piped")
    send(kafka_broker, topics, trades.iloc[600:], quotes.iloc[500:])
    for given in ((), (None, tmp_path / "piped")):
        alone = Nodes(*given)
        with pytest.raises(StateError, match=r"replay=True.*fresh=True"):
            alone.both.run()
        for source in (alone.both.trades, alone.both.quotes):
            source.stop()
    with pytest.raises(StateError, match="of both as they were saved together"):
        Nodes(tmp_path / "joined").both.run()
    second = Nodes(tmp_path / "joined", tmp_path / "piped")
    second.both.run()
    second.joined.flush()
    rows = pd.concat([*first.found, *second.found])
    same(ordered(rows.drop_duplicates(), "id"), pipeline(ft.asof_join(trades, quotes)))
