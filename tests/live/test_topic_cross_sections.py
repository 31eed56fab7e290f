"""Cross-sections of a topic of several partitions: those of the batch to the bit, whatever stops in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.live import cross_sections
from fintech_toolkit.engines.live.batch import Batch
from fintech_toolkit.engines.live.cross_sections import CrossSectionNode
from fintech_toolkit.engines.live.holds import Holds
from fintech_toolkit.engines.live.states import load
from fintech_toolkit.engines.memory.cross_run import PartOperator
from fintech_toolkit.engines.memory.window_run import WindowRows
from fintech_toolkit.errors import LiveError, PipelineError, StateError
from tests.frames import same
from tests.live.test_windows import FRAME, put, run, source_of
from tests.live.topics import SECONDS, Topic, wait_until

TICKS = ft.source("ticks")
RANKS = TICKS.cross_section(ft.cs_rank("price"), every="1s")
LEVELS = TICKS.cross_section(ft.index_level("price", weight="size"), ft.average_correlation("price", window=2))
FOLLOWED = RANKS.pipe(ft.ewma("cs_rank", span=3)).cross_section(ft.index_level("ewma"), time="ts")


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one time in an order of their own: by partitions they come in another."""
    return rows.sort_values(["ts", "symbol", "id"], kind="stable", ignore_index=True)


def put_in_pieces(servers: str, topic: str, frame: pd.DataFrame, rows: int = 150) -> None:
    stream = Stream()
    sink = stream.to_kafka_frames(topic, {"bootstrap.servers": servers}, key="symbol")
    for start in range(0, len(frame), rows):
        stream.emit(frame.iloc[start : start + rows])
    sink.destroy()


def test_of_three_partitions_it_is_that_of_the_batch(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic(partitions=3)
    late = FRAME.iloc[[0, 1]].assign(id=[1, 2])
    source = source_of(kafka_broker, topic, until=None)
    flows = {"ranks": RANKS, "levels": LEVELS, "rows": TICKS.cross_section(ft.cs_rank("price")), "more": FOLLOWED}
    nodes = {name: flow.live(source) for name, flow in flows.items()}
    found = {name: node.sink_to_list() for name, node in nodes.items()}
    too_late = nodes["ranks"].late[2].sink_to_list()
    batches: list[Batch] = []
    source.to_function(lambda frame, batch: batches.append(batch))
    with source:
        sent = pd.concat([FRAME.iloc[:700], late, FRAME.iloc[700:]])
        for end in (60, 120, 180, 800, 1_502):
            put(kafka_broker, topic, sent.iloc[source.counts.emitted : end])
            wait_until(lambda end=end: source.counts.emitted == end, lambda: source.health)  # type: ignore[misc]
    sizes = np.array([np.bincount(batch.partition, minlength=3) for batch in batches])
    assert (sizes.min(axis=1) == 0).any()
    assert (sizes.min(axis=1) > 0).any()
    assert all(batch.offsets.keys() == {0, 1, 2} for batch in batches)
    same(in_order(pd.concat(too_late)), in_order(late))
    for name, flow in flows.items():
        assert len(found[name]) > 3, name  # they come while it runs
        assert 0 < nodes[name].counts.loc[2, "waiting"] < 1_500, name
        nodes[name].flush()
        rows, wanted = pd.concat(found[name], ignore_index=True), flow(FRAME).reset_index(drop=True)
        if name == "rows":
            assert rows["ts"].is_monotonic_increasing
            rows, wanted = in_order(rows), in_order(wanted)
        same(rows, wanted)
        assert nodes[name].counts.loc[2, ["in", "late", "rejected", "waiting"]].tolist() == [1_502, 2, 0, 0], name


def test_a_partition_without_records_holds_all_times_back(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic(partitions=16)  # more than there are symbols
    put(kafka_broker, topic, FRAME.iloc[:300])
    source = source_of(kafka_broker, topic)
    node = RANKS.live(source)
    found = node.sink_to_list()
    run(source)
    assert not found
    assert node.counts.loc[2, "waiting"] == 300
    node.flush()
    same(pd.concat(found, ignore_index=True), RANKS(FRAME.iloc[:300]).reset_index(drop=True))
    assert node.counts.loc[2, "waiting"] == 0


class Simulation:
    """A topic of three partitions, in batches of any sizes of which any may fail: nodes driven as a source does."""

    def __init__(self, frame: pd.DataFrame, seed: int, flow: Any, follows: ft.Pipeline) -> None:
        self.flow, self.follows = flow, follows
        self.rng = np.random.default_rng(seed)
        symbols = sorted(frame["symbol"].unique())
        number = frame["symbol"].map({symbol: place % 3 for place, symbol in enumerate(symbols)})
        self.logs = [frame[number == each] for each in range(3)]
        self.out: list[pd.DataFrame] = []
        self.emitted: list[pd.DataFrame] = []
        self.passed = dict.fromkeys(range(3), 0)
        self.begin({})

    def begin(self, states: dict[int, Any]) -> None:
        self.source = Stream.from_kafka_frames("t", {"bootstrap.servers": "x"}, schema={"symbol": "str"}, group="g")
        self.source.passed |= self.passed
        self.source.through |= self.passed
        across = CrossSectionNode(self.source, self.flow.node, states.get(0))
        after = self.follows.live(across, states.get(1))
        after.sink(self.out_of_nodes)
        self.nodes = [across, after]
        for node in self.nodes:
            node.follow(self.source, "t")
            for place in [("t", number) for number in range(3)] if not states else ():
                node.begin(place, 0)
        self.flight: list[tuple[Batch, list[pd.DataFrame]]] = []
        self.go_back()

    def out_of_nodes(self, rows: pd.DataFrame) -> None:
        self.out.append(rows)

    def go_back(self) -> None:
        self.flight.clear()
        known = [[node.can_go_on_at(("t", number)) for number in range(3)] for node in self.nodes]
        assert known[0] == known[1]
        self.at = {number: offset for number, (offset,) in enumerate(known[0])}
        for node in self.nodes:
            for number, offset in self.at.items():
                node.go_on(("t", number), offset)

    def send(self, ends: dict[int, int], *, replayed: bool = False) -> None:
        """Send down a batch of as many records of each partition as come until some offset."""
        sizes = self.rng.choice([0, 1, 5, 60], 3, p=[0.4, 0.3, 0.2, 0.1])
        offsets = {n: (at, min(at + int(sizes[n]), ends[n])) for n, at in self.at.items()}
        if all(start == end for start, end in offsets.values()):
            return
        rows = pd.concat([self.logs[n].iloc[start:end] for n, (start, end) in offsets.items()], ignore_index=True)
        partition = np.repeat(list(offsets), [end - start for start, end in offsets.values()])
        batch = Batch(0, "t", offsets, partition, np.zeros(len(rows), np.int64), self.source, replayed)
        self.out = []
        self.nodes[0].update(rows, metadata=[{"batch": batch}])
        self.at = {n: end for n, (_, end) in offsets.items()}
        self.flight.append((batch, self.out))
        if len(self.flight) > 2 or replayed:
            self.passes()

    def passes(self) -> None:
        """Have all sinks have the oldest batch on its way."""
        batch, out = self.flight.pop(0)
        ends = {number: end for number, (_, end) in batch.offsets.items()}
        self.source.through |= ends
        for node in self.nodes:
            node.note(batch)
        self.source.passed |= ends
        if not batch.replayed:
            self.passed, self.emitted = ends, self.emitted + out

    def run(self) -> None:
        ends = {number: len(log) for number, log in enumerate(self.logs)}
        while self.passed != ends:
            what = self.rng.random()
            if what < 0.7:
                self.send(ends)
            elif what < 0.85 and self.flight:
                self.passes()
            elif what < 0.95:  # a batch fails, with all after it
                self.go_back()
                assert self.at == self.passed
            elif what < 0.98:
                self.begin({number: node.state for number, node in enumerate(self.nodes)})
                assert self.at == self.passed
            else:
                self.begin({})
                self.source.passed.clear()
                self.at = dict.fromkeys(range(3), 0)
                while self.at != self.passed:
                    self.send(self.passed, replayed=True)


@pytest.mark.parametrize("seed", [1, 2, 4, 5])
def test_however_batches_are_cut_and_whichever_fail_the_rows_are_the_same(seed: int) -> None:
    frame = FRAME.iloc[:300]
    flow, follows = (
        (RANKS, ft.Pipeline(ft.ewma("cs_rank", span=3))),
        (LEVELS, ft.Pipeline(ft.ewma("index_level", span=3), symbol=None)),
    )[seed % 2]
    simulation = Simulation(frame, seed, flow, follows)
    simulation.run()
    assert simulation.emitted
    across = simulation.nodes[0]
    ends = [log["ts"].iloc[-1] for log in simulation.logs]
    assert across.waiting == (frame["ts"] >= min(ends).floor("1s" if flow is RANKS else "1ns")).sum()
    simulation.out = simulation.emitted
    across.end()
    same(pd.concat(simulation.out, ignore_index=True), follows(flow(frame).reset_index(drop=True)))


def test_what_comes_of_times_that_are_over_is_late_though_its_own_partition_is_not_so_far() -> None:
    """As a partition begins that was added after the others."""
    closed = int(FRAME["ts"].iloc[100].value)
    operator = PartOperator(RANKS.node, WindowRows(closed=closed))
    operator.accept(FRAME.iloc[:200])
    over = (FRAME["ts"].iloc[:200] + pd.Timedelta("1s")).dt.floor("1s") <= FRAME["ts"].iloc[100]
    same(operator.late, FRAME.iloc[:200][over])
    assert operator.waiting == 200 - over.sum() > 0


@pytest.mark.parametrize("way", ["a saved state", "replay", "a sink that failed"])
def test_whatever_stops_in_between_no_row_is_lost_or_changed(
    kafka_broker: str, kafka_topic: Topic, tmp_path: Path, way: str
) -> None:
    topic, follows = kafka_topic(partitions=3), ft.Pipeline(ft.ewma("cs_rank", span=3))
    first = FRAME.index < 700
    first &= (FRAME.index < 400) | ~FRAME["symbol"].isin(["S01", "S06"])  # of the partition that is read first
    put_in_pieces(kafka_broker, topic, FRAME[first])
    found: list[pd.DataFrame] = []
    fails = [way == "a sink that failed"]

    def take(rows: pd.DataFrame) -> None:
        if fails[0] and len(found) == 1:
            fails[0] = False
            raise OSError("the disk is full")
        found.append(rows)

    def nodes(source: Any, *states: Any) -> tuple[Any, Any]:
        across = CrossSectionNode(source, RANKS.node, *states[:1])  # type: ignore[arg-type]
        after = follows.live(across, *states[1:])
        after.sink(take)
        return across, after

    source = source_of(kafka_broker, topic)
    both = nodes(source)
    if fails[0]:
        with pytest.raises(OSError, match="disk is full"):
            run(source)
    run(source)
    before = len(found)
    assert before > 1
    put_in_pieces(kafka_broker, topic, FRAME[~first])
    if way != "a sink that failed":
        again = source_of(kafka_broker, topic)
        nodes(again)
        with pytest.raises(StateError, match=r"replay=True.*fresh=True"):  # never without a word
            run(again)
        states = []
        for number, node in enumerate(both):
            assert node.state.offsets.keys() == {(topic, 0), (topic, 1), (topic, 2)}
            node.state.save(tmp_path / f"{number}")
            states.append(load(tmp_path / f"{number}"))
        source = source_of(kafka_broker, topic, replay=way == "replay")
        both = nodes(source, *(states if way == "a saved state" else ()))
    run(source)
    assert len(found) > before
    both[0].end()
    rows, wanted = pd.concat(found, ignore_index=True), follows(RANKS(FRAME).reset_index(drop=True))
    if way == "a sink that failed":  # which had part of what came again
        rows = rows.drop_duplicates(["ts", "symbol"], ignore_index=True)
    same(rows, wanted)


def test_what_is_ahead_is_read_no_further_while_what_is_behind_has_more(
    kafka_broker: str, kafka_topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka gives one partition after the other, so that 800 rows would wait; few batches are on their way."""
    topic = kafka_topic(partitions=3)
    put(kafka_broker, topic, FRAME)
    monkeypatch.setattr(cross_sections, "_MOST_WAITING", 20)
    source = source_of(kafka_broker, topic, batch_size=40)
    node = CrossSectionNode(source, RANKS.node)  # type: ignore[arg-type]
    found, waiting = node.sink_to_list(), list[int]()
    source.sink(lambda rows: waiting.append(node.waiting))
    run(source)
    assert 20 < max(waiting) < 500
    same(pd.concat([*found, node.flush()], ignore_index=True), RANKS(FRAME).reset_index(drop=True))


def test_partitions_that_wait_for_each_other_go_on() -> None:
    holds = Holds()
    holds.hold("one", 0, "waits", behind=1)
    assert holds.now({}) == holds.now({1: 5}) == {0: "waits"}
    assert holds.now({1: 0}) == {}
    holds.hold("another", 1, "too", behind=0)
    holds.hold("a join", 2, "waits for topic 'x'")
    assert holds.now({0: 5, 1: 5}) == {2: "waits for topic 'x'"}
    holds.let_go("one", 1)
    holds.let_go("another", 1)
    assert set(holds.now({1: 5})) == {0, 2}
    holds.clear()
    assert holds.now({1: 5}) == {}


def test_a_second_member_of_the_group_is_an_error(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic(partitions=3)
    put(kafka_broker, topic, FRAME.iloc[:300])
    first = source_of(kafka_broker, topic, until=None)
    found = RANKS.live(first).sink_to_list()
    first.start()
    wait_until(lambda: first.counts.emitted == 300)
    before = len(found)
    with source_of(kafka_broker, topic, until=None, member="second"):
        wait_until(lambda: len(first.lag) < 3)
        put(kafka_broker, topic, FRAME.iloc[300:330])
        with pytest.raises(LiveError, match=r"needs all partitions in one process, or a topic of one partition"):
            first.wait(SECONDS)
    assert len(found) == before > 0


def test_joins_go_partition_by_partition(kafka_broker: str, kafka_topic: Topic) -> None:
    topics = [kafka_topic(partitions=2) for _ in range(2)]
    for topic in topics:
        put(kafka_broker, topic, FRAME.iloc[:100])
    for flow, where in (
        (ft.source("left").cross_section(ft.cs_rank("price")).asof_join(ft.source("right")), "stream"),
        (ft.source("left").asof_join(ft.source("right")).cross_section(ft.cs_rank("price")), "before the join"),
    ):
        left, right = (source_of(kafka_broker, topic, group=f"{topic} {where}") for topic in topics)
        node = flow.live(left=left, right=right)
        for source in (left, right):
            source.start()
        with pytest.raises(PipelineError, match=where):  # of whichever has a batch that brings them together
            all(source.wait(SECONDS) for source in (left, right))
        assert not node.counts.iloc[-1]["out"]
