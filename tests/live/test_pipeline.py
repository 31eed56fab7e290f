"""A pipeline on a live feed: the numbers of the batch, and rows that it refuses put aside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from streamz import Stream

from fintech_toolkit.errors import DataError
from fintech_toolkit.kafka.codecs import encode_json
from fintech_toolkit.kafka.message_schema import arrow_table
from fintech_toolkit.live import Counts
from tests.frames import same
from tests.live.topics import FEATURES, SCHEMA, SECONDS, consume_all, produce, ticks

Topic = Callable[..., str]


def test_live_gives_the_numbers_of_the_batch_to_the_bit(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, target = kafka_topic(partitions=2), kafka_topic(partitions=3)
    config = {"bootstrap.servers": kafka_broker}
    frame = ticks(5_000)
    quotes = Stream()
    quotes.to_kafka_frames(topic, config, key="symbol")
    quotes.emit(frame)

    expected = FEATURES(frame)
    source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, batch_size=333, until="latest")
    enriched = FEATURES.live(source)
    enriched.to_kafka_frames(target, config, key="symbol")
    table = enriched.to_table(maxlen=10_000)
    source.start()
    assert source.wait(SECONDS)
    received = table.snapshot().sort_values("id", ignore_index=True)
    same(received, expected)

    schema = {column: SCHEMA.get(column, "float64") for column in expected.columns}
    again = Stream.from_kafka_frames(target, config, schema=schema, group=target, until="latest")
    written = again.to_table(maxlen=10_000)
    again.start()
    assert again.wait(SECONDS)
    written_rows = written.snapshot().sort_values("id", ignore_index=True)
    same(written_rows, expected)


def test_it_goes_on_from_a_state(kafka_broker: str, kafka_topic: Topic, tmp_path: Path) -> None:
    topic = kafka_topic()
    config = {"bootstrap.servers": kafka_broker}
    frame = ticks(1_000)
    state, received = None, []
    path = tmp_path / "state.parquet"
    for part in (frame.iloc[:400], frame.iloc[400:]):
        produce(kafka_broker, topic, list(encode_json(arrow_table(part))))
        source = Stream.from_kafka_frames(topic, config, schema=SCHEMA, group=topic, until="latest")
        enriched = FEATURES.live(source, state)
        received.append(enriched.to_table())
        source.start()
        assert source.wait(SECONDS)
        enriched.state.save(path)
        state = path
    rows = pd.concat([table.snapshot() for table in received], ignore_index=True)
    same(rows, FEATURES(frame))


def test_rows_that_a_pipeline_refuses_become_dead_letters(kafka_broker: str, kafka_topic: Topic) -> None:
    topic, dead = kafka_topic(), kafka_topic()
    frame = ticks(20, symbols=1)
    values = encode_json(arrow_table(frame))
    no_symbol = values[5].replace(b'"S00"', b"null")
    late = values[2]  # again, after later ones
    sent = [b"{oops", *values[:10], no_symbol, late, *values[10:]]
    produce(kafka_broker, topic, list(sent))
    source = Stream.from_kafka_frames(
        topic,
        {"bootstrap.servers": kafka_broker},
        schema=SCHEMA,
        group=topic,
        dead_letter_topic=dead,
        until="latest",
    )
    # Rows that were dropped on the way do not shift what is known of the others.
    wanted = source.map(lambda part: part[part["id"] != frame["id"][3]])
    table = FEATURES.live(wanted).to_table()
    source.start()
    assert source.wait(SECONDS)
    expected = FEATURES(frame.drop(3)).reset_index(drop=True)
    same(table.snapshot(), expected)
    assert source.counts == Counts(received=23, emitted=20, rejected=3)
    found = {}
    for letter in consume_all(kafka_broker, dead, 3):
        headers = {name: text.decode() for name, text in letter.headers() or []}
        assert (headers["topic"], headers["partition"]) == (topic, "0")
        assert headers["reason"]
        found[int(headers["offset"])] = letter.value()
    assert found == {0: b"{oops", 11: no_symbol, 12: late}


def test_without_a_kafka_source_a_refused_row_is_an_error() -> None:
    frames = Stream()
    FEATURES.live(frames).sink(lambda _: None)
    with pytest.raises(DataError, match="row 1"):
        frames.emit(ticks(3, symbols=1).iloc[[1, 0, 2]])
