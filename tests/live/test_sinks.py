"""Sinks: what cannot be written is put aside alone, frames keep their order, and nothing is left behind."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import threading
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from distributed.utils import sync
from streamz import Stream

import fintech_toolkit.live  # noqa: F401  # registers the nodes
from fintech_toolkit.errors import ColumnError, DataError
from fintech_toolkit.kafka.codecs import ArrowDecoder, encode_arrow, encode_json
from fintech_toolkit.kafka.message_schema import arrow_table, message_schema, to_frame
from fintech_toolkit.live import Batch, Counts, LiveError
from tests.frames import same
from tests.live.topics import (
    SCHEMA,
    SECONDS,
    Topic,
    by_symbol,
    committed,
    consume_all,
    held,
    held_when_settled,
    produce,
    ticks,
    wait_until,
)


def source_of(servers: str, topic: str, **options: Any) -> Any:
    options = {"schema": SCHEMA, "group": topic, "until": "latest", **options}
    return Stream.from_kafka_frames(topic, {"bootstrap.servers": servers}, **options)


@pytest.mark.parametrize("form", ["json", "arrow"])
def test_one_infinity_and_one_giant_become_dead_letters_and_the_rest_is_written(
    kafka_broker: str, kafka_topic: Topic, form: Any
) -> None:
    topic, target, dead = kafka_topic(), kafka_topic(), kafka_topic()
    frame = ticks(300)
    values = encode_json(arrow_table(frame))
    produce(kafka_broker, topic, list(values))
    source = source_of(kafka_broker, topic, dead_letter_topic=dead, batch_size=100)
    spoilt = source.map(
        lambda part: part.assign(
            bid=part["bid"].mask(part["id"] == 2**62 + 7, math.inf),
            symbol=part["symbol"].mask(part["id"] == 2**62 + 207, "x" * 5_000),
        ).iloc[1:]
    )
    spoilt.to_kafka_frames(
        target, {"bootstrap.servers": kafka_broker, "message.max.bytes": 3_000}, key="symbol", format=form
    )
    source.start()
    assert source.wait(SECONDS)
    refused = [7, 207] if form == "json" else [207]
    letters = consume_all(kafka_broker, dead, len(refused))
    assert [letter.value() for letter in letters] == [values[row] for row in refused]
    reasons = [dict(letter.headers() or [])["reason"].decode() for letter in letters]
    assert "is too large" in reasons[-1]
    if form == "json":
        assert "column 'bid': inf" in reasons[0]
    assert source.counts == Counts(received=300, emitted=300 - len(refused), rejected=len(refused))
    assert committed(kafka_broker, topic, topic) == {0: 300}
    check = source_of(kafka_broker, target, format=form)
    written = check.sink_to_list()
    check.start()
    assert check.wait(SECONDS)
    expected = frame.drop([0, 100, 200, *refused])
    if form == "arrow":
        expected.loc[7, "bid"] = math.inf
    same(pd.concat(written).sort_values("id", ignore_index=True), expected.reset_index(drop=True))


def test_a_row_that_cannot_be_written_has_its_own_label_whatever_the_index(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    seen: list[tuple[list[int], list[str], pa.Table]] = []
    batch = SimpleNamespace(
        replayed=False, reject=lambda rows, reasons, frame: seen.append((list(rows), list(reasons), frame))
    )
    sink = Stream().to_kafka_frames(kafka_topic(), {"bootstrap.servers": kafka_broker})
    frame = pd.DataFrame({"x": [1.0, math.inf, 2.0, -math.inf]}, index=[3, 9, 4, 1])
    for given, labels in ((frame, [9, 1]), (arrow_table(frame), [1, 3])):
        sync(sink.loop, lambda given=given: asyncio.wrap_future(_update(sink, given, [{"batch": batch}])))
        ((rows, reasons, rejected),) = seen
        assert rows == labels
        assert [reason.split(" cannot")[0] for reason in reasons] == ["column 'x': inf", "column 'x': -inf"]
        assert rejected.to_pylist() == [{"x": math.inf}, {"x": -math.inf}]
        seen.clear()
    sink.destroy()


def _update(sink: Any, frame: Any, metadata: list[dict[str, Any]]) -> Any:
    async def update() -> None:
        await sink.update(frame, metadata=metadata)

    return asyncio.run_coroutine_threadsafe(update(), sink.loop.asyncio_loop)


def test_without_a_batch_it_is_an_error_and_nothing_of_the_frame_is_written(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic()
    frames = Stream()
    sink = frames.to_kafka_frames(topic, {"bootstrap.servers": kafka_broker, "message.max.bytes": 2_000})
    with pytest.raises(DataError, match=r"row 1: column 'x': inf cannot be written as JSON; replace"):
        frames.emit(pd.DataFrame({"x": [1.0, math.inf]}))
    with pytest.raises(DataError, match=r"row 2: a message of 3,008 bytes is too large: message.max.bytes .* 1,964"):
        frames.emit(pd.DataFrame({"x": ["a", "b", "c" * 3_000]}))
    frames.emit(pd.DataFrame({"x": ["a", "b" * 1_956]}))  # just fits
    assert [json.loads(message.value())["x"][:1] for message in consume_all(kafka_broker, topic, 2)] == ["a", "b"]
    sink.destroy()


@pytest.mark.parametrize(
    ("frame", "key", "error"),
    [
        (pd.DataFrame({"x": [[1], [2]]}), None, r"column 'x': values of type list.* cannot be written"),
        (pd.DataFrame({"x": [1, 2]}), "x", r"column 'x' is int64; a key is a string"),
        (pd.DataFrame({"x": [1, 2]}), "y", r"no column 'y' for the key"),
    ],
)
def test_columns_that_cannot_be_written_at_all_are_an_error_of_the_frame(
    frame: pd.DataFrame, key: str | None, error: str
) -> None:
    batch = SimpleNamespace(replayed=False)
    sink = Stream().to_kafka_frames("nowhere", {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, key=key)
    with pytest.raises((DataError, ColumnError), match=error):
        _update(sink, frame, [{"batch": batch}]).result(SECONDS)
    sink.destroy()


def test_keyed_arrow_messages_are_read_to_the_bit_also_of_categories(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic(partitions=3)
    frame = ticks(5_000, symbols=300)
    frames = Stream()
    sink = frames.to_kafka_frames(topic, {"bootstrap.servers": kafka_broker}, key="symbol", format="arrow")
    frames.emit(frame.astype({"symbol": "category"}))
    sink.destroy()
    source = source_of(kafka_broker, topic, format="arrow")
    received = source.sink_to_list()
    source.start()
    assert source.wait(SECONDS)
    same(by_symbol(pd.concat(received)), by_symbol(frame))
    for message in consume_all(kafka_broker, topic, 300):
        part = to_frame(ArrowDecoder(message_schema(SCHEMA)).decode([message.value()]).table)
        assert set(part["symbol"]) == {(message.key() or b"").decode()}


def test_one_frame_is_encoded_while_another_is_delivered_and_their_order_is_kept(
    kafka_broker: str, kafka_topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, frame = kafka_topic(), ticks(900, symbols=1)
    sink = Stream().to_kafka_frames(topic, {"bootstrap.servers": kafka_broker}, key="symbol")
    going_out, encoded = threading.Event(), threading.Event()
    encode, under_way = sink._encoder, itertools.count()

    def watched(*arguments: Any) -> Any:
        number = next(under_way)
        if number == 1:  # not before the first frame is on its way out
            assert going_out.wait(SECONDS)
        messages = encode(*arguments)
        if number == 1:
            encoded.set()
        return messages

    sink._encoder = watched
    from fintech_toolkit.kafka.writer import Writer

    flush = Writer.flush

    def held(writer: Writer, timeout: float) -> bool:  # the first frame is out when the second one is encoded
        going_out.set()
        assert encoded.wait(SECONDS)
        return flush(writer, timeout)

    monkeypatch.setattr(Writer, "flush", held)
    parts = [frame.iloc[start : start + 300] for start in range(0, 900, 300)]
    for written in [_update(sink, part, []) for part in parts]:
        written.result(SECONDS)
    values = [message.value() for message in consume_all(kafka_broker, topic, 900)]
    assert values == list(encode_json(arrow_table(frame)))
    sink.destroy()


def test_a_frame_that_fails_does_not_keep_the_next_from_being_written(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    sink = Stream().to_kafka_frames(topic, {"bootstrap.servers": kafka_broker})
    parts = [ticks(3), pd.DataFrame({"x": [math.inf]}), ticks(2)]
    first, second, third = (_update(sink, part, []) for part in parts)
    with pytest.raises(DataError):
        second.result(SECONDS)
    first.result(SECONDS)
    third.result(SECONDS)
    values = [message.value() for message in consume_all(kafka_broker, topic, 5)]
    assert values == encode_json(arrow_table(ticks(3))) + encode_json(arrow_table(ticks(2)))
    sink.destroy()


def test_released_sinks_leave_no_thread_and_no_file_and_can_be_used_again(
    kafka_broker: str, kafka_topic: Topic
) -> None:
    topic = kafka_topic()
    sinks = [Stream().to_kafka_frames(topic, {"bootstrap.servers": kafka_broker}) for _ in range(5)]
    before = held_when_settled()
    for _ in range(3):
        for sink in sinks:
            _update(sink, ticks(1), []).result(SECONDS)
        assert held()[0] > before[0]
        for sink in sinks:
            sink.release()
            sink.release()
        wait_until(lambda: held() == before)
    for sink in sinks:
        _update(sink, ticks(1), []).result(SECONDS)
        sink.destroy()
    wait_until(lambda: held() == before)
    assert len(consume_all(kafka_broker, topic, 20)) == 20


def test_a_frame_under_way_is_delivered_before_a_released_sink_closes(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, frame = kafka_topic(), ticks(60_000)
    sink = Stream().to_kafka_frames(topic, {"bootstrap.servers": kafka_broker})
    before = held_when_settled()
    writing = [_update(sink, part, []) for part in (frame.iloc[:40_000], frame.iloc[40_000:])]
    wait_until(lambda: sink._frames == 2)
    sink.release()
    for written in writing:
        written.result(SECONDS)
    wait_until(lambda: held() == before)
    values = [message.value() for message in consume_all(kafka_broker, topic, 60_000)]
    assert values == encode_json(arrow_table(frame))


def test_frames_that_are_replayed_are_not_written_again(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    frames = Stream()
    handed: list[int] = []
    sinks = [
        frames.to_kafka_frames(topic, {"bootstrap.servers": kafka_broker}),
        frames.to_function(lambda frame, batch: handed.append(len(frame))),
        frames.to_table(),
    ]
    for replayed, rows in ((False, 2), (True, 3), (False, 4)):
        frames.emit(ticks(rows), metadata=[{"batch": SimpleNamespace(replayed=replayed)}])
    assert handed == [2, 4]
    assert len(sinks[2].snapshot()) == 6
    assert len(consume_all(kafka_broker, topic, 6)) == 6
    for sink in sinks:
        sink.destroy()


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_function_is_handed_each_frame_with_its_batch(kafka_broker: str, kafka_topic: Topic, kind: str) -> None:
    topic, frame = kafka_topic(), ticks(30)
    produce(kafka_broker, topic, list(encode_json(arrow_table(frame))))
    source = source_of(kafka_broker, topic, batch_size=10)
    seen: list[tuple[pd.DataFrame, Batch]] = []

    def store(part: pd.DataFrame, batch: Batch) -> None:
        seen.append((part, batch))

    async def store_later(part: pd.DataFrame, batch: Batch) -> None:
        done = await asyncio.to_thread(committed, kafka_broker, topic, topic)
        assert done.get(0, 0) <= batch.offsets[0][0]
        seen.append((part, batch))

    source.to_function(store if kind == "plain" else store_later)
    source.start()
    assert source.wait(SECONDS)
    same(pd.concat([part for part, _ in seen], ignore_index=True), frame)
    assert [batch.id for _, batch in seen] == list(range(len(seen)))
    bounds = [batch.offsets[0] for _, batch in seen]
    assert [end for _, end in bounds] == [start for start, _ in bounds[1:]] + [30]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_error_of_the_function_is_an_error_of_the_stream(kind: str) -> None:
    frames = Stream()

    def fail(frame: Any, batch: None) -> None:
        assert batch is None
        raise ZeroDivisionError(kind)

    async def fail_later(frame: Any, batch: None) -> None:
        await asyncio.to_thread(fail, frame, batch)

    frames.to_function(fail if kind == "plain" else fail_later)
    with pytest.raises(ZeroDivisionError, match=kind):
        frames.emit(ticks(1))


def test_an_infinity_without_a_topic_for_dead_letters_stops_the_source(kafka_broker: str, kafka_topic: Topic) -> None:
    topic = kafka_topic()
    produce(kafka_broker, topic, [encode_arrow(arrow_table(ticks(5)))[0]])
    source = source_of(kafka_broker, topic, format="arrow")
    source.map(lambda frame: frame.assign(bid=math.inf)).to_kafka_frames(
        kafka_topic(), {"bootstrap.servers": kafka_broker}
    )
    source.start()
    with pytest.raises(LiveError, match=r"offset 0, row 0: column 'bid': inf cannot be written"):
        source.wait(SECONDS)
