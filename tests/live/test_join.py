"""The as-of join of two Kafka topics: the answers of the batch, whatever stops in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.errors import PipelineError, StateError
from tests.frames import same
from tests.live.topics import SECONDS, Topic, consume_all, ends, wait_until

QUOTES = {"symbol": "str", "ts": "datetime64[ns, UTC]", "bid": "float64"}
TRADES = {"symbol": "str", "ts": "datetime64[ns, UTC]", "price": "float64", "id": "int64"}


def feeds(rows: int = 2_000, symbols: int = 23) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trades and quotes in time order, with ties across the two."""
    rng = np.random.default_rng(rows)
    start = pd.Timestamp("2026-03-02 14:30", tz="UTC").value
    frames = []
    for column in ("price", "bid"):
        ts = start + np.sort(rng.integers(0, rows * 500, rows)) * 1_000_000
        symbol = pd.array([f"S{code}" for code in rng.integers(0, symbols, rows)], dtype="str")
        frames.append(
            pd.DataFrame({"symbol": symbol, "ts": pd.to_datetime(ts, utc=True), column: rng.normal(100, 1, rows)})
        )
    return frames[0].assign(id=np.arange(rows)), frames[1]


def put(servers: str, topic: str, frame: pd.DataFrame) -> None:
    stream = Stream()
    sink = stream.to_kafka_frames(topic, {"bootstrap.servers": servers}, key="symbol")
    stream.emit(frame)
    sink.destroy()


class Joined:
    """Both sources and the join, as a user writes them in a cell."""

    def __init__(
        self, servers: str, trades: str, quotes: str, state: Any = None, idle: str | None = None, **options: Any
    ) -> None:
        how = {"group": trades, "batch_size": 150, **options}
        config = {"bootstrap.servers": servers}
        self.trades = Stream.from_kafka_frames(trades, config, schema=TRADES, **how)
        self.quotes = Stream.from_kafka_frames(quotes, config, schema=QUOTES, **how)
        self.node = ft.asof_join(self.trades, self.quotes, state=state, idle=idle)
        self.frames = self.node.sink_to_list()
        self._places = lambda: ends(servers, trades) | ends(servers, quotes)

    def wait_for_all(self) -> None:
        """Return once the join has seen all records that are in its topics now."""
        places = self._places()
        wait_until(lambda: self.node.state.offsets.items() >= places.items())

    def start(self) -> None:
        self.trades.start()
        self.quotes.start()

    def stop(self) -> None:
        for source in (self.trades, self.quotes):
            source.stop()
        for source in (self.trades, self.quotes):
            assert source.wait(SECONDS)

    @property
    def rows(self) -> pd.DataFrame:
        return pd.concat(self.frames, ignore_index=True) if self.frames else pd.DataFrame({"id": []})


def same_by_id(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    same(found.sort_values("id", ignore_index=True), expected.reset_index(drop=True))


@pytest.fixture
def topics(kafka_topic: Topic) -> Callable[..., tuple[str, str]]:
    return lambda partitions=4: (kafka_topic(partitions=partitions), kafka_topic(partitions=partitions))


def test_two_topics_of_four_partitions_give_the_answers_of_the_batch(kafka_broker: str, topics: Any) -> None:
    trades, quotes = feeds()
    left, right = topics()
    joined = Joined(kafka_broker, left, right)
    joined.start()
    put(kafka_broker, left, trades)
    put(kafka_broker, right, quotes)
    joined.wait_for_all()
    joined.stop()
    joined.node.flush()
    same_by_id(joined.rows, ft.asof_join(trades, quotes))


@pytest.mark.parametrize("way", ["a saved state", "replay"])
def test_restarted_in_the_middle_it_gives_the_answers_of_the_batch(
    kafka_broker: str, topics: Any, tmp_path: Path, way: str
) -> None:
    trades, quotes = feeds()
    left, right = topics()
    first = Joined(kafka_broker, left, right, batch_size=40)
    first.start()
    put(kafka_broker, left, trades.iloc[:1_200])
    put(kafka_broker, right, quotes.iloc[:900])
    wait_until(lambda: len(first.rows) > 100 and bool(first.trades.passed))
    first.stop()
    again = Joined(kafka_broker, left, right)
    again.trades.start()
    with pytest.raises(StateError, match=r"replay=True.*fresh=True"):  # never without a word
        again.trades.wait(SECONDS)
    state = tmp_path / "join.parquet"
    first.node.state.save(state)
    second = Joined(kafka_broker, left, right, state if way == "a saved state" else None, replay=way == "replay")
    second.start()
    put(kafka_broker, left, trades.iloc[1_200:])
    put(kafka_broker, right, quotes.iloc[900:])
    second.wait_for_all()
    second.stop()
    second.node.flush()
    rows = pd.concat([first.rows, second.rows], ignore_index=True)
    same_by_id(rows.drop_duplicates("id"), ft.asof_join(trades, quotes))
    assert rows.groupby("id")["bid"].nunique(dropna=False).max() == 1


def test_a_side_that_is_ahead_is_paused_until_the_other_comes(kafka_broker: str, topics: Any) -> None:
    trades, quotes = feeds(250_000, symbols=3)
    left, right = topics(1)
    joined = Joined(kafka_broker, left, right, batch_size=20_000)
    joined.start()
    put(kafka_broker, left, trades)
    wait_until(lambda: "waits for topic" in str(joined.trades.health))
    assert joined.node.state[left, 0].pending < 250_000 - 40_000
    put(kafka_broker, right, quotes)
    joined.wait_for_all()
    joined.stop()
    assert not joined.trades.health.held
    joined.node.flush()
    same_by_id(joined.rows, ft.asof_join(trades, quotes))


def test_topics_that_differ_in_partitions_are_an_error(kafka_broker: str, kafka_topic: Topic) -> None:
    trades, quotes = feeds(200)
    left, right = kafka_topic(partitions=2), kafka_topic(partitions=3)
    joined = Joined(kafka_broker, left, right)
    put(kafka_broker, left, trades)
    put(kafka_broker, right, quotes)
    joined.start()
    wait_until(lambda: joined.trades.stopped or joined.quotes.stopped)
    (died,) = {type(source.exception) for source in (joined.trades, joined.quotes) if source.exception is not None}
    assert died is PipelineError
    for source in (joined.trades, joined.quotes):
        source.stop()


def test_a_quiet_right_side_is_not_waited_for_beyond_idle(kafka_broker: str, topics: Any) -> None:
    trades, quotes = feeds(300)
    left, right = topics()
    joined = Joined(kafka_broker, left, right, idle="300ms")
    joined.start()
    put(kafka_broker, right, quotes)
    wait_until(lambda: joined.quotes.counts.received == 300)
    put(kafka_broker, left, trades)
    wait_until(lambda: len(joined.rows) == 300)
    joined.stop()
    same_by_id(joined.rows, ft.asof_join(trades, quotes))


def test_rows_that_cannot_be_joined_are_put_aside_with_their_reason(kafka_broker: str, topics: Any) -> None:
    trades, quotes = feeds(300)
    left, right = topics(1)
    far = trades.iloc[[150]].assign(ts=pd.Timestamp("2100-01-01", tz="UTC"), id=1_000)
    late = trades.iloc[[0]].assign(id=1_001)
    nobody = trades.iloc[[200]].assign(symbol=None, id=1_002)
    sent = pd.concat([trades.iloc[:200], far, late, nobody, trades.iloc[200:]])
    dead = f"{left}-dead"
    joined = Joined(kafka_broker, left, right, dead_letter_topic=dead)
    joined.start()
    put(kafka_broker, left, sent.astype({"symbol": "str"}))
    put(kafka_broker, right, quotes)
    joined.wait_for_all()
    joined.stop()
    joined.node.flush()
    same_by_id(joined.rows, ft.asof_join(trades, quotes))
    reasons = sorted(dict(letter.headers() or [])["reason"].decode() for letter in consume_all(kafka_broker, dead, 3))
    assert ["has no symbol" in reasons[0], "had reached" in reasons[2], "at most" in reasons[1]] == [True] * 3, reasons


def test_a_sink_beside_a_join_that_was_ahead_gets_its_rows_again(kafka_broker: str, topics: Any) -> None:
    trades, quotes = feeds(300)
    left, right = topics(1)
    put(kafka_broker, left, trades)
    put(kafka_broker, right, quotes)
    joined = Joined(kafka_broker, left, right, until="latest")
    taken: list[pd.DataFrame] = []
    ahead: list[int] = []

    async def take(frame: pd.DataFrame, batch: Any) -> None:
        _, end = batch.offsets[0]
        while not ahead and joined.node.state.offsets.get((left, 0), 0) < end:
            await asyncio.sleep(0.01)
        if not ahead:
            ahead.append(end)
            raise OSError("the disk is full")
        taken.append(frame)

    joined.trades.to_function(take)
    joined.start()
    with pytest.raises(OSError, match="disk is full"):
        joined.trades.wait(SECONDS)
    assert joined.quotes.wait(SECONDS)
    joined.trades.start()
    assert joined.trades.wait(SECONDS)
    joined.node.flush()
    assert ahead[0] == 150
    assert pd.concat(taken)["id"].tolist() == list(range(300))
    same_by_id(joined.rows, ft.asof_join(trades, quotes))


def test_both_sides_of_one_topic_are_refused(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    joined = Joined(kafka_broker, topic, topic)
    with pytest.raises(PipelineError, match="two sources of topic"):
        joined.start()


def test_a_side_that_ends_holds_the_other_up_no_longer(kafka_broker: str, topics: Any) -> None:
    trades, quotes = feeds(250_000, symbols=3)
    quotes = quotes.iloc[:1_000]
    left, right = topics(1)
    put(kafka_broker, left, trades)
    put(kafka_broker, right, quotes)
    joined = Joined(kafka_broker, left, right, batch_size=20_000)
    joined.start()
    seen: list[int] = []

    def stands_still() -> bool:  # what was read before the pause has come through
        seen.append(joined.node.state[left, 0].pending if joined.node.state.kept else 0)
        paused = "waits for topic" in str(joined.trades.health) and joined.quotes.counts.received == len(quotes)
        return paused and len(seen) > 100 and len(set(seen[-100:])) == 1

    wait_until(stands_still)
    joined.quotes.stop()
    assert joined.quotes.wait(SECONDS)
    wait_until(lambda: joined.trades.lag == {0: 0} and joined.node.state[left, 0].pending > 200_000)
    joined.stop()
    joined.node.flush()
    same_by_id(joined.rows, ft.asof_join(trades, quotes))


def test_what_waits_in_a_saved_state_is_answered_though_nothing_new_comes(
    kafka_broker: str, topics: Any, tmp_path: Path
) -> None:
    trades, quotes = feeds(300)
    left, right = topics()
    put(kafka_broker, left, trades)
    put(kafka_broker, right, quotes.iloc[:100])
    first = Joined(kafka_broker, left, right, until="latest")
    first.start()
    for source in (first.quotes, first.trades):
        assert source.wait(SECONDS)
    waiting = sum(join.pending for join in first.node.state.values())
    assert waiting > 100
    first.node.state.save(tmp_path / "join.parquet")
    second = Joined(kafka_broker, left, right, tmp_path / "join.parquet", until="latest")
    second.start()
    for source in (second.quotes, second.trades):
        assert source.wait(SECONDS)
    second.node.flush()
    assert len(second.rows) == waiting
    same_by_id(pd.concat([first.rows, second.rows]), ft.asof_join(trades, quotes.iloc[:100]))
