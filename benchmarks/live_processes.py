"""The processes of `bench_live`, each of them alone: contestants that put an EWMA on records, a feed, a listener.

Run by its path, as contestants have environments of their own: ``python benchmarks/live_processes.py NAME SETTINGS``.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.02
SYMBOLS = 1_000
PARTITIONS = 4
BYTES = 142
SCHEMA = {
    "symbol": "str",
    "ts": "datetime64[ns, UTC]",
    "bid": "float64",
    "ask": "float64",
    "bid_size": "float64",
    "ask_size": "float64",
    "dealer": "str",
    "id": "int64",
}


class Settings(TypedDict, total=False):
    """What a process is told: the broker, the topics, and what differs from its defaults."""

    servers: str
    source: str
    target: str
    group: str
    folder: str
    format: str
    batch_time: str
    linger: float
    rate: int
    first: int
    count: int
    begin: dict[str, int]


def quotes(first: int, count: int) -> pd.DataFrame:
    """Return quotes by their numbers; every symbol is quoted once in `SYMBOLS` of them."""
    import numpy as np
    import pandas as pd

    symbols, dealers = [f"SYM{code:05d}" for code in range(SYMBOLS)], [f"DEAL{code:02d}" for code in range(20)]
    number = np.arange(first, first + count)
    bid = (1_000_000 + number * 7_919 % 8_999_000) / 10_000
    return pd.DataFrame(
        {
            "symbol": pd.Categorical.from_codes(number * 7_919 % SYMBOLS, symbols).astype("str"),
            "ts": pd.to_datetime(1_723_161_240_000_000_000 + number * 1_000, utc=True),
            "bid": bid,
            "ask": bid + 0.0625,
            "bid_size": 100.0 + number % 900,
            "ask_size": 100.0 + number % 700,
            "dealer": pd.Categorical.from_codes(number % len(dealers), dealers).astype("str"),
            "id": 10_000_000 + number,
        }
    )


def json_messages(frame: pd.DataFrame) -> list[tuple[bytes, bytes]]:
    """Return quotes as pairs of key and value, the values `BYTES` long."""
    columns = frame.assign(ts=frame["ts"].astype("int64")).items()
    return [
        (
            symbol.encode(),
            f'{{"symbol":"{symbol}","ts":{ts},"bid":{bid:.4f},"ask":{ask:.4f},"bid_size":{bid_size},'
            f'"ask_size":{ask_size},"dealer":"{dealer}","id":{id}}}'.encode(),
        )
        for symbol, ts, bid, ask, bid_size, ask_size, dealer, id in zip(
            *(column.tolist() for _, column in columns), strict=True
        )
    ]


def client(settings: Settings) -> dict[str, Any]:
    """Return the settings of a Kafka producer."""
    given: dict[str, Any] = {"bootstrap.servers": settings["servers"]}
    return given | ({"linger.ms": settings["linger"]} if "linger" in settings else {})


def toolkit(settings: Settings) -> None:
    """This package, as README shows it."""
    from streamz import Stream

    import fintech_toolkit as ft
    import fintech_toolkit.live  # registers the nodes

    config, form = {"bootstrap.servers": settings["servers"]}, settings.get("format", "json")
    latency = {"batch_time": settings["batch_time"]} if "batch_time" in settings else {}
    source = Stream.from_kafka_frames(
        settings["source"], config, schema=SCHEMA, group=settings["group"], format=form, replay=True, **latency
    )
    features = ft.Pipeline(ft.ewma("bid", alpha=ALPHA, adjust=False)).live(source)
    features.to_kafka_frames(settings["target"], config, key="symbol", format=form)
    source.start()
    source.wait()


def loop(settings: Settings) -> None:
    """A loop over confluent-kafka, as one would write it: a record at a time, a commit every second."""
    from confluent_kafka import Consumer, Producer

    servers = {"bootstrap.servers": settings["servers"]}
    group = {"group.id": settings["group"], "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer, producer = Consumer(servers | group), Producer(client(settings))
    consumer.subscribe([settings["source"]])
    means: dict[str, float] = {}
    committed, dirty = time.monotonic(), False
    while True:
        record = consumer.poll(0.1)
        if record is not None:
            assert record.error() is None, record.error()
            value = json.loads(record.value())
            mean = means.get(value["symbol"], value["bid"])
            value["ewma"] = means[value["symbol"]] = mean + ALPHA * (value["bid"] - mean)
            producer.produce(settings["target"], json.dumps(value), record.key())
            producer.poll(0)
            dirty = True
        if dirty and time.monotonic() - committed > 1:
            producer.flush()
            consumer.commit(asynchronous=False)
            committed, dirty = time.monotonic(), False


def quix(settings: Settings) -> None:
    """quix-streams, its state in RocksDB with a changelog topic, as is its default."""
    from quixstreams import Application

    app = Application(
        settings["servers"],
        consumer_group=settings["group"],
        auto_offset_reset="earliest",
        state_dir=settings["folder"],
        producer_extra_config={"linger.ms": settings["linger"]} if "linger" in settings else None,
        loglevel="WARNING",
    )

    def ewma(value: dict[str, Any], state: Any) -> dict[str, Any]:
        mean = state.get("mean", value["bid"])
        value["ewma"] = mean + ALPHA * (value["bid"] - mean)
        state.set("mean", value["ewma"])
        return value

    source = app.topic(settings["source"], value_deserializer="json")
    target = app.topic(settings["target"], value_serializer="json")
    app.dataframe(source).apply(ewma, stateful=True).to_topic(target)
    app.run()


def bytewax(settings: Settings) -> None:
    """bytewax, its state in the recovery store, without which it would not be at least once."""
    from bytewax import operators as op
    from bytewax import recovery
    from bytewax.connectors.kafka import KafkaSinkMessage
    from bytewax.connectors.kafka import operators as kop
    from bytewax.dataflow import Dataflow
    from bytewax.run import cli_main

    def ewma(mean: float | None, value: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        mean = value["bid"] if mean is None else mean
        value["ewma"] = mean + ALPHA * (value["bid"] - mean)
        return value["ewma"], value

    recovery.init_db_dir(settings["folder"], 1)
    flow, brokers = Dataflow("bench"), [settings["servers"]]
    records = kop.input("source", flow, brokers=brokers, topics=[settings["source"]]).oks
    keyed = op.map("decode", records, lambda record: (record.key.decode(), json.loads(record.value)))
    smooth = op.stateful_map("ewma", keyed, ewma)
    out = op.map("encode", smooth, lambda pair: KafkaSinkMessage(pair[0].encode(), json.dumps(pair[1]).encode()))
    added = {name: value for name, value in client(settings).items() if name != "bootstrap.servers"}
    kop.output("target", out, brokers=brokers, topic=settings["target"], add_config=added)
    cli_main(flow, recovery_config=recovery.RecoveryConfig(settings["folder"]))


def feed(settings: Settings) -> None:
    """Produce `count` records at `rate` a second, each with the time at which it was made as its ``ts``."""
    from confluent_kafka import Producer

    producer = Producer(client(settings))
    made = []
    for key, value in json_messages(quotes(settings["first"], settings["count"])):
        before, ts, after = value.partition(b'"ts":')
        made.append((key, before + ts, after[19:]))
    start = time.monotonic()
    for number, (key, before, after) in enumerate(made):
        ahead = start + number / settings["rate"] - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)
        producer.produce(settings["target"], b"%b%d%b" % (before, time.time_ns(), after), key)
        producer.poll(0)
    producer.flush()


def listen(settings: Settings) -> None:
    """Read `count` records and print the milliseconds from when each was made to now: p50, p99, and how many came.

    The first fifth does not count: it is the warm-up.
    """
    import numpy as np
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": settings["servers"], "group.id": "listener", "enable.auto.commit": False})
    begin = settings["begin"].items()
    consumer.assign([TopicPartition(settings["target"], int(partition), offset) for partition, offset in begin])
    seen: list[tuple[int, bytes]] = []
    while len(seen) < settings["count"]:
        record = consumer.poll(10)
        if record is None:
            break
        assert record.error() is None, record.error()
        seen.append((time.time_ns(), record.value()))
    consumer.close()
    made = [re.search(rb'"ts": ?"?([^",}]+)', value)[1].decode().removesuffix("Z") for _, value in seen]  # type: ignore[index]
    stamps = np.array(made, dtype="int64" if made[0].isdigit() else "datetime64[ns]").astype(np.int64)
    waited = (np.array([at for at, _ in seen]) - stamps)[len(seen) // 5 :] / 1e6
    print(json.dumps({"p50": np.quantile(waited, 0.5), "p99": np.quantile(waited, 0.99), "count": len(seen)}))


PROCESSES = {"toolkit": toolkit, "loop": loop, "quix": quix, "bytewax": bytewax, "feed": feed, "listen": listen}

if __name__ == "__main__":
    PROCESSES[sys.argv[1]](json.loads(sys.argv[2]))
