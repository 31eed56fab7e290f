"""The enrichment of a Kafka topic of quotes: flows that feed each other give the bits of the batch."""

from __future__ import annotations

from typing import Any

import pandas as pd
from streamz import Stream

import data_generators
import fintech_toolkit as ft
from fintech_toolkit import enrichment
from tests.frames import same
from tests.live.test_join import put
from tests.live.topics import SECONDS, Topic

KEYS = ("ts", "symbol", "segment", "sector", "dealer")


def test_quotes_segments_and_dealers_of_a_topic(kafka_broker: str, kafka_topic: Topic) -> None:
    market = {name: data_generators.sample(name, rows=2_000) for name in ("quotes", "securities", "trades")}
    expected = ft.enrich(**market, every="1min")
    topic = kafka_topic(partitions=1)  # segments and dealers are of all symbols
    put(kafka_broker, topic, market["quotes"])
    schema = market["quotes"].dtypes.astype(str).to_dict()
    how = {"group": topic, "batch_size": 150, "until": "latest", "schema": schema}
    source = Stream.from_kafka_frames(topic, {"bootstrap.servers": kafka_broker}, **how)
    streams: dict[str, Any] = {"quotes": source, "securities": market["securities"]}
    flows = enrichment.dataflows(every="1min")
    rows = {}
    for name in ("quotes", "segments", "quoting", "dealers"):
        live = flows[name].live(**{each: streams[each] for each in flows[name].sources})
        streams[f"enriched_{name}"], rows[name] = live, live.sink_to_list()
    source.start()
    assert source.wait(SECONDS)
    for name in rows:
        streams[f"enriched_{name}"].flush()
    for name, frames in rows.items():
        whole = getattr(expected, name)
        keys = [key for key in KEYS if key in whole]
        found, whole = (f.sort_values(keys, kind="stable", ignore_index=True) for f in (pd.concat(frames), whole))
        same(found, whole)
