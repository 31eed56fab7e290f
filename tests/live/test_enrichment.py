"""The enrichment of two Kafka topics, quotes and trades: ten flows that feed each other give the bits of the batch."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
import pytest
from streamz import Stream

import data_generators
import fintech_toolkit as ft
from fintech_toolkit import enrichment
from tests.frames import same
from tests.live.test_join import put
from tests.live.topics import SECONDS, Topic, wait_until
from tests.stress import dealt

KEYS = ("ts", "symbol", "segment", "sector", "dealer", "venue", "trade_id")
FEEDS = ("quotes", "trades")


def slower(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with ten times as long between rows: in half an hour of market, more than horizons wait for."""
    start = frame["ts"].iloc[0].floor("h")
    return frame.assign(ts=start + 10 * (frame["ts"] - start))


@cache
def market() -> dict[str, pd.DataFrame]:
    feeds = {name: slower(data_generators.sample(name, rows=2_000)) for name in FEEDS}
    return {**feeds, "securities": data_generators.sample("securities", rows=2_000)}


@pytest.fixture(scope="module")
def expected() -> dict[str, pd.DataFrame]:
    return vars(ft.enrich(**market(), every="1min"))


class Enriched:
    """All flows live, each fed by the topics and by those before it."""

    def __init__(self, servers: str, topics: dict[str, str], rows: dict[str, list[pd.DataFrame]], **how: Any) -> None:
        how = {"group": topics["trades"], "batch_size": 150, "until": "latest", **how}
        config = {"bootstrap.servers": servers}
        self.sources: dict[str, Any] = {
            name: Stream.from_kafka_frames(topics[name], config, schema=schema_of(market()[name]), **how)
            for name in FEEDS
        }
        streams = {**self.sources, "securities": market()["securities"]}
        self.flows: dict[str, Any] = {}
        for name, flow in enrichment.dataflows(every="1min").items():
            self.flows[name] = streams[f"enriched_{name}"] = flow.live(**{each: streams[each] for each in flow.sources})
            self.flows[name].sink(rows.setdefault(name, []).append)

    def start(self) -> None:
        for source in self.sources.values():
            source.start()

    def stop(self) -> None:
        for source in self.sources.values():
            source.stop()
            wait_until(lambda source=source: not source._thread.is_alive())  # type: ignore[misc]

    def run(self) -> None:
        self.start()
        for source in self.sources.values():
            assert source.wait(SECONDS)

    def flush(self) -> None:
        for flow in self.flows.values():
            flow.flush()


def schema_of(frame: pd.DataFrame) -> dict[str, str]:
    return frame.dtypes.astype(str).to_dict()


@pytest.fixture
def topics(kafka_topic: Topic) -> dict[str, str]:
    return {name: kafka_topic(partitions=1) for name in FEEDS}  # segments and dealers are of all symbols


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [key for key in KEYS if key in frame]
    return frame.sort_values(keys, kind="stable", ignore_index=True)


def test_all_flows(kafka_broker: str, topics: dict[str, str], expected: dict[str, pd.DataFrame]) -> None:
    for name in FEEDS:
        put(kafka_broker, topics[name], market()[name])
    rows: dict[str, list[pd.DataFrame]] = {}
    enriched = Enriched(kafka_broker, topics, rows)
    back = f"{topics['quotes']}-enriched"
    enriched.flows["quotes"].to_kafka_frames(back, {"bootstrap.servers": kafka_broker}, key="symbol")
    enriched.run()
    came = {name: sum(map(len, frames)) / len(expected[name]) for name, frames in rows.items()}
    assert min(came[name] for name in ("trades", "windows", "depth", "market")) > 0.5, came
    enriched.flush()
    for name, whole in expected.items():
        same(in_order(pd.concat(rows[name])), in_order(whole))
        counts = enriched.flows[name].counts
        assert counts[["waiting", "late", "rejected"]].sum().sum() == 0, (name, counts)
    how = {"group": back, "until": "latest", "schema": schema_of(expected["quotes"])}
    again = Stream.from_kafka_frames(back, {"bootstrap.servers": kafka_broker}, **how)
    read = again.sink_to_list()
    again.start()
    assert again.wait(SECONDS)
    same(in_order(pd.concat(read)), in_order(expected["quotes"]))


@pytest.mark.parametrize("fails", dealt([None, "trades", "market", "quotes"], 2), ids=str)
def test_stopped_in_the_middle(
    kafka_broker: str, topics: dict[str, str], expected: dict[str, pd.DataFrame], fails: str | None
) -> None:
    """By a stop after which all states are lost, and made again of the records; or by a sink that fails."""
    rows: dict[str, list[pd.DataFrame]] = {}
    for name in FEEDS:
        put(kafka_broker, topics[name], market()[name].iloc[:1_400])
    first = Enriched(kafka_broker, topics, rows, until=None if fails is None else "latest")
    failed = []

    def fail(frame: pd.DataFrame) -> None:
        if not failed and len(rows[fails or ""]) > 2:  # it has this frame already
            failed.append(frame)
            raise OSError("the disk is full")

    if fails is not None:
        first.flows[fails].sink(fail)
    first.start()
    if fails is None:
        wait_until(lambda: len(rows["market"]) > 3 and len(rows["trades"]) > 3)
    else:
        wait_until(lambda: bool(failed))
    first.stop()
    for name in FEEDS:
        put(kafka_broker, topics[name], market()[name].iloc[1_400:])
    second = Enriched(kafka_broker, topics, rows, replay=True) if fails is None else first
    second.run()
    second.flush()
    for name, whole in expected.items():
        found = in_order(pd.concat(rows[name]).drop_duplicates())
        same(found, in_order(whole))
