"""Streams of several nodes: each has states of its own, and goes on from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import fintech_toolkit as ft
from fintech_toolkit.errors import DataError, StateError
from fintech_toolkit.pipeline import Pipeline
from tests.frames import same
from tests.live.test_values import reader, run
from tests.live.topics import FEATURES, SECONDS, Topic, ticks
from tests.live.workers import assert_values, home, put

BARS = Pipeline(ft.time_bars(price="bid", size="bid", frequency="50us"))


def averages() -> Pipeline:
    return Pipeline(ft.ewma("bid", halflife=5).named("quick"))


@pytest.mark.parametrize("way", ["same", "saved", "replay"])
def test_two_pipelines_on_one_source_and_one_behind_another(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path, way: str
) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(600)
    received: dict[str, list[pd.DataFrame]] = {"one": [], "other": [], "behind": []}
    pipelines = {"one": FEATURES, "other": averages(), "behind": Pipeline(ft.diff("ewma"))}
    source: Any = None
    nodes: dict[str, Any] = {}
    for start in range(0, 600, 200):
        put(kafka_broker, topic, frame.iloc[start : start + 200], 2)
        if way != "same" or source is None:
            source = reader(kafka_broker, topic, replay=way == "replay")
            for name, pipeline in pipelines.items():
                state = tmp_path / name if way == "saved" and start else None
                nodes[name] = pipeline.live(nodes["one"] if name == "behind" else source, state)
            for name, frames in received.items():
                nodes[name].sink(frames.append)
        run(source)
        for name, node in nodes.items():
            node.state.save(tmp_path / name)
    for name, frames in received.items():
        assert sum(map(len, frames)) == 600, name
    assert_values(pd.concat(received["one"]), FEATURES(frame))
    assert_values(pd.concat(received["other"]), averages()(frame))
    assert_values(pd.concat(received["behind"]), pipelines["behind"](FEATURES(frame)))


@pytest.mark.parametrize("way", ["same", "saved", "replay"])
def test_a_node_that_drops_whole_frames_keeps_no_pipeline_from_going_on(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path, way: str
) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(900)
    few = (frame["id"] - 2**62) % 300 < 40  # nothing of most frames
    received: list[list[pd.DataFrame]] = [[], []]
    source: Any = None
    nodes: list[Any] = []
    for start in range(0, 900, 300):
        put(kafka_broker, topic, frame.iloc[start : start + 300], 2)
        if way != "same" or source is None:
            source = reader(kafka_broker, topic, replay=way == "replay", batch_size=30)
            some = source.map(lambda part: part[(part["id"] - 2**62) % 300 < 40]).filter(len)
            saved = [tmp_path / str(number) if way == "saved" and start else None for number in range(2)]
            nodes = [FEATURES.live(source, saved[0]), FEATURES.live(some, saved[1])]
            for node, frames in zip(nodes, received, strict=True):
                node.sink(frames.append)
        run(source)
        for number, node in enumerate(nodes):
            node.state.save(tmp_path / str(number))
    assert_values(pd.concat(received[0]), FEATURES(frame))
    assert_values(pd.concat(received[1]), FEATURES(frame[few]))


def bars_of(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["symbol", "known_at", "ts"], ignore_index=True)


@pytest.mark.parametrize("way", ["same", "saved", "replay"])
def test_bars_over_partitions_are_those_of_the_batch_the_unfinished_ones_too(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path, way: str
) -> None:
    topic, frame = kafka_topic(partitions=3), ticks(600)
    frames: list[pd.DataFrame] = []
    source: Any = None
    for start in range(0, 600, 200):
        put(kafka_broker, topic, frame.iloc[start : start + 200], 3)
        if way != "same" or source is None:
            source = reader(kafka_broker, topic, replay=way == "replay")
            bars = BARS.live(source, tmp_path / "state" if way == "saved" and start else None)
            bars.sink(frames.append)
        run(source)
        bars.state.save(tmp_path / "state")
    received = pd.concat([*frames, bars.flush()], ignore_index=True)
    same(bars_of(received), bars_of(BARS(frame)))


def test_a_state_of_a_batch_is_the_start_of_every_partition(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path
) -> None:
    topic, frame = kafka_topic(partitions=3), ticks(600)
    for pipeline in (FEATURES, BARS):
        history = pipeline.start()
        before = history(frame.iloc[:300])
        source = reader(kafka_broker, topic)
        node = pipeline.live(source, history.state)
        frames: list[pd.DataFrame] = [before]
        node.sink(frames.append)
        if pipeline is not BARS:
            put(kafka_broker, topic, frame.iloc[300:], 3)
            run(source)
            assert_values(pd.concat(frames), pipeline(frame))
            node.state.save(tmp_path / "state.parquet")
            again = reader(kafka_broker, topic, replay=True, member="another")
            kept = [pipeline.live(again, tmp_path / "state.parquet")]
            run(again)
            assert kept[0].state.origin == node.origin
            without = reader(kafka_broker, topic, replay=True, member="a third")
            kept.append(pipeline.live(without))
            without.start()
            with pytest.raises(StateError, match="began from a State that was given"):
                without.wait(SECONDS)
            topic = kafka_topic(partitions=3)
        else:
            put(kafka_broker, topic, frame.iloc[300:], 3)
            run(source)
            received = pd.concat([*frames, node.flush()], ignore_index=True)
            same(bars_of(received), bars_of(pipeline(frame)))


def test_a_symbol_in_two_partitions_is_an_error_that_names_both(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(100)
    at = frame.index[frame["symbol"] == "S02"][5]
    astray = frame["symbol"].where(frame.index != at, "S03")
    assert home("S02", 2) != home("S03", 2)
    from fintech_toolkit.kafka.codecs import encode_json
    from fintech_toolkit.kafka.message_schema import arrow_table
    from tests.live.topics import produce

    values = encode_json(arrow_table(frame.assign(symbol=astray)))
    for number in (0, 1):
        rows = [value for value, symbol in zip(values, frame["symbol"], strict=True) if home(symbol, 2) == number]
        produce(kafka_broker, topic, rows, number)
    received = []
    for group, state in (("first", None), ("second", FEATURES.start().state)):
        source = reader(kafka_broker, topic, group=f"{topic}-{group}")
        FEATURES.live(source, state).sink(received.append)
        source.start()
        with pytest.raises(DataError, match=rf"'S03'.*partition [01] of topic '{topic}' and in partition [01]"):
            source.wait(SECONDS)


def test_one_series_from_a_given_state_cannot_come_in_two_partitions(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, frame = kafka_topic(partitions=2), ticks(300)
    series = Pipeline(ft.ewma("bid", halflife=5), symbol=None)
    history = series.start()
    history(frame.iloc[:100])
    put(kafka_broker, topic, frame.iloc[100:], 2)
    source = reader(kafka_broker, topic)
    series.live(source, history.state).sink(lambda _: None)
    source.start()
    with pytest.raises(DataError, match=r"Rows come in partition [01] of topic .* and in partition [01]"):
        source.wait(SECONDS)


def test_what_a_restored_state_that_began_from_a_batch_has_unfinished_is_flushed_once(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path
) -> None:
    topic, frame = kafka_topic(partitions=3), ticks(900)
    history = BARS.start()
    frames: list[pd.DataFrame] = [history(frame.iloc[:300])]
    state: Any = history.state
    for start in (300, 600):
        put(kafka_broker, topic, frame.iloc[start : start + 300], 3)
        source = reader(kafka_broker, topic)
        node = BARS.live(source, state)
        node.sink(frames.append)
        run(source)
        state = tmp_path / f"state-{start}.parquet"
        node.state.save(state)
    received = pd.concat([*frames, BARS.live(reader(kafka_broker, topic), state).flush()], ignore_index=True)
    same(bars_of(received), bars_of(BARS(frame)))
