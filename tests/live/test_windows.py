"""Windows of a Kafka topic: those of the batch to the bit, whatever stops in between, and what is in none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.live.states import load
from fintech_toolkit.engines.live.windows import WindowNode
from fintech_toolkit.errors import DataError, StateError
from tests.flows.windows import ALL, market
from tests.frames import same
from tests.live.topics import SECONDS, Topic, consume_all

TICKS = ft.source("ticks")
FLOWS = {
    "tumbling": TICKS.window("3s", lateness="1s").agg(**ALL),
    "sliding": TICKS.window("6s", every="2s").agg(**ALL),
    "sessions": TICKS.session_window("1500ms").agg(**ALL),
}
TICK_COLUMNS = ["symbol", "ts", "id", "price", "size", "note"]
FRAME = market(1_500)[TICK_COLUMNS].reset_index(drop=True)


def put(servers: str, topic: str, frame: pd.DataFrame) -> None:
    stream = Stream()
    sink = stream.to_kafka_frames(topic, {"bootstrap.servers": servers}, key="symbol")
    stream.emit(frame)
    sink.destroy()


def source_of(servers: str, topic: str, **options: Any) -> Any:
    schema = FRAME.dtypes.astype(str).to_dict()
    how = {"group": topic, "batch_size": 70, "until": "latest", **options}
    return Stream.from_kafka_frames(topic, {"bootstrap.servers": servers}, schema=schema, **how)


def run(source: Any) -> None:
    source.start()
    assert source.wait(SECONDS)


def same_windows(found: list[Any], wanted: pd.DataFrame) -> None:
    order = ["window_end", "symbol"]
    rows = pd.concat([rows for rows in found if rows is not None])
    same(*(each.sort_values(order, ignore_index=True) for each in (rows, wanted)))


def test_windows_of_three_partitions_are_those_of_the_batch(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic(partitions=3)
    put(kafka_broker, topic, FRAME)
    source = source_of(kafka_broker, topic)
    nodes = {name: flow.live(ticks=source) for name, flow in FLOWS.items()}
    found = {name: node.sink_to_list() for name, node in nodes.items()}
    run(source)
    for name, flow in FLOWS.items():
        before = len(found[name])
        assert before > 3  # they come while it runs
        waiting = nodes[name].counts.loc[2, "waiting"]
        assert 0 < waiting < 1_000
        nodes[name].flush()
        assert len(found[name]) > before
        same_windows(found[name], flow(ticks=FRAME))
        assert nodes[name].counts.loc[2, ["in", "late", "rejected", "waiting"]].tolist() == [1_500, 0, 0, 0]


@pytest.mark.parametrize("way", ["a saved state", "replay", "a sink that failed"])
def test_whatever_stops_in_between_no_window_is_lost_or_changed(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path, way: str
) -> None:
    topic, flow = kafka_topic(partitions=2), FLOWS["sliding"]
    put(kafka_broker, topic, FRAME.iloc[:800])
    first = source_of(kafka_broker, topic)
    node = WindowNode(first, flow.node)  # type: ignore[arg-type]
    found: list[pd.DataFrame] = []
    fails = [way == "a sink that failed"]

    def take(rows: pd.DataFrame) -> None:
        if fails[0] and len(found) == 4:
            fails[0] = False
            raise OSError("the disk is full")
        found.append(rows)

    node.sink(take)
    if way == "a sink that failed":
        with pytest.raises(OSError, match="disk is full"):
            run(first)
    run(first)
    assert found
    put(kafka_broker, topic, FRAME.iloc[800:])
    if way != "a sink that failed":
        again = source_of(kafka_broker, topic)
        unaware = WindowNode(again, flow.node)  # type: ignore[arg-type]
        with pytest.raises(StateError, match=r"replay=True.*fresh=True"):  # never without a word
            run(again)
        assert not unaware.state
        node.state.save(tmp_path / "windows")
        first = source_of(kafka_broker, topic, replay=way == "replay")
        state = load(tmp_path / "windows") if way == "a saved state" else None
        node = WindowNode(first, flow.node, state)  # type: ignore[arg-type]
        node.sink(found.append)
    run(first)
    rows = pd.concat(found)
    if way != "a sink that failed":
        assert not rows.duplicated(["symbol", "window_end"]).any()
    same_windows([rows.drop_duplicates(), node.flush()], flow(ticks=FRAME))


def test_what_is_in_no_window_is_put_aside_and_counted(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, flow = kafka_topic(), FLOWS["tumbling"]
    late = FRAME.iloc[[0, 1]].assign(id=[1, 2])
    far = FRAME.iloc[[500]].assign(ts=pd.Timestamp("2100-01-01", tz="UTC"))
    nobody = FRAME.iloc[[500]].assign(symbol=None).astype(FRAME.dtypes)
    put(kafka_broker, topic, pd.concat([FRAME.iloc[:700], far, late, nobody, FRAME.iloc[700:]]))
    source = source_of(kafka_broker, topic, dead_letter_topic=f"{topic}-dead")
    node = flow.live(ticks=source)
    found, too_late = node.sink_to_list(), node.late[2].sink_to_list()
    run(source)
    same(pd.concat(too_late, ignore_index=True), late.reset_index(drop=True))
    assert node.counts.loc[2, ["late", "rejected"]].tolist() == [2, 2]
    reasons = [
        dict(letter.headers() or [])["reason"].decode() for letter in consume_all(kafka_broker, topic + "-dead", 2)
    ]
    assert ["at most" in reasons[0], "has no symbol" in reasons[1]] == [True, True], reasons
    node.flush()
    same_windows(found, flow(ticks=FRAME))


def test_late_rows_are_in_a_topic_before_their_batch_is_committed(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dropped = kafka_topic(), kafka_topic()
    put(kafka_broker, topic, pd.concat([FRAME.iloc[:300], FRAME.iloc[:5]]))
    source = source_of(kafka_broker, topic)
    node = FLOWS["tumbling"].live(ticks=source)
    node.late[2].to_kafka_frames(dropped, {"bootstrap.servers": kafka_broker}, key="symbol")
    detached = node.late[2].buffer(1)
    with pytest.raises(ft.ParameterError, match="'buffer' cannot follow"):
        source.start()
    detached.destroy()
    run(source)
    assert len(consume_all(kafka_broker, dropped, 5)) == node.counts.loc[2, "late"] == 5


def test_a_symbol_in_two_partitions_is_refused(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic(partitions=2)
    put(kafka_broker, topic, FRAME.iloc[:50])
    source = source_of(kafka_broker, topic)
    node = TICKS.window("3s", symbol=None).agg(n=("price", "count")).live(ticks=source)
    with pytest.raises(DataError, match=r"Rows come in partition . of topic .* and in partition"):
        run(source)
    assert node.counts.loc[2, "waiting"] == 0


def test_a_pipeline_takes_the_windows_of_a_topic(kafka_broker: str, kafka_topic: Topic) -> None:
    """A state behind windows is tied to the same offsets, though few batches bring any."""
    topic = kafka_topic(partitions=2)
    flow = FLOWS["tumbling"].pipe(ft.ewma("max", span=3))
    put(kafka_broker, topic, FRAME.iloc[:800])
    found: list[pd.DataFrame] = []
    for stop in (1_500, None):
        source = source_of(kafka_broker, topic, replay=True)
        node = flow.live(ticks=source)
        node.sink(found.append)
        run(source)
        put(kafka_broker, topic, FRAME.iloc[800:stop] if stop else FRAME.iloc[:0])
    node.flush()
    same_windows(found, flow(ticks=FRAME))


def test_a_cross_section_of_a_topic_is_that_of_the_batch(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    late = FRAME.iloc[[0, 1]]
    put(kafka_broker, topic, pd.concat([FRAME.iloc[:700], late, FRAME.iloc[700:]]))
    ranks = ft.cross_section(ft.cs_rank("price"), every="1s")
    levels = ft.cross_section(ft.index_level("price", weight="size"), ft.average_correlation("price", window=2))
    source = source_of(kafka_broker, topic)
    nodes = {flow: flow.live(source) for flow in (ranks, levels)}
    found = {flow: node.sink_to_list() for flow, node in nodes.items()}
    run(source)
    for flow, node in nodes.items():
        assert len(found[flow]) > 3  # they come while it runs
        node.flush()
        same(pd.concat(found[flow], ignore_index=True), flow(FRAME).reset_index(drop=True))
        assert node.counts.loc[2, ["in", "late", "rejected", "waiting"]].tolist() == [1_502, 2, 0, 0]
