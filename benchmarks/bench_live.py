"""``make bench-live``: Kafka to Kafka on a real broker, side by side with others, as the tables that README.md shows.

Each contestant is a process of its own (`live_processes`), and is watched from outside: what it put out is what the
broker has, its CPU is what the system says. It is warm when a transaction commits, by which all records appear.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import typer

from benchmarks.__main__ import README, environment, insert, markdown, title
from benchmarks.live_processes import ALPHA, BYTES, PARTITIONS, SYMBOLS, Settings, json_messages, quotes
from benchmarks.live_watch import Message, Process, Topic, running
from benchmarks.tables import Rows
from tests.kafka import KafkaBroker

PEERS = README.parent / ".venv-peers" / "bin" / "python"
MOST_SECONDS = 20.0  # that a contestant is watched for
RATE = 20_000  # records a second at which latency is measured
DEFAULTS: Settings = {}
FOR_LATENCY: Settings = {"batch_time": "5ms", "linger": 1}  # the one of ours, the other of all others


@dataclass(frozen=True)
class Contestant:
    """Who takes part: the function of `live_processes`, and the Python that runs it."""

    name: str
    process: str
    python: str


def contestants() -> tuple[list[Contestant], list[str]]:
    """Return those that can take part, and why others cannot."""
    able = [Contestant("fintech_toolkit", "toolkit", sys.executable)]
    able.append(Contestant("confluent-kafka, a loop", "loop", sys.executable))
    found = versions()
    unable = []
    for name, process, module in (("quix-streams", "quix", "quixstreams"), ("bytewax", "bytewax", "bytewax")):
        if module in found:
            able.append(Contestant(f"{name} {found[module]}", process, str(PEERS)))
        else:
            unable.append(f"{name} could not be installed here")
    return able, unable


def versions() -> dict[str, str]:
    """Return the versions of the peers that their environment has."""
    if not PEERS.exists():
        return {}
    code = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    return dict(json.loads(subprocess.run([PEERS, "-c", code], capture_output=True, text=True, check=True).stdout))


@contextmanager
def stage(servers: str, form: str = "json") -> Iterator[tuple[Settings, Topic, Topic]]:
    """Give what a contestant is told, and its topics, which are deleted after it."""
    source, target = Topic(servers), Topic(servers)
    with tempfile.TemporaryDirectory() as folder:
        settings: Settings = {"servers": servers, "source": source.name, "target": target.name}
        yield settings | {"group": source.name, "folder": folder, "format": form}, source, target
    source.delete()
    target.delete()


def until(target: Topic, rows: int, process: Process, rows_of: Callable[[bytes], int] | None = None) -> float:
    """Return when a process had put out so many rows."""
    found, at, _ = target.wait_for(rows, process, rows_of)
    if found < rows:
        raise RuntimeError(f"{found:,} of {rows:,} rows came")
    return at


def warm_up(target: Topic, rows: int, process: Process, rows_of: Callable[[bytes], int] | None = None) -> None:
    """Wait until a process has put out its first rows: it has joined its group, and compiled what it compiles."""
    until(target, rows, process, rows_of)
    time.sleep(1)  # what follows a batch, such as its commit, has happened


def throughput(
    servers: str, who: Contestant, messages: list[Message], warm: int, rows_of: Callable[[bytes], int] | None = None
) -> dict[str, Any]:
    """Return the row of a table: what a contestant makes of messages after the `warm` first ones, in `MOST_SECONDS`."""
    sizes = [rows_of(value) if rows_of else 1 for _, value in messages]
    warm_rows, all_rows = sum(sizes[:warm]), sum(sizes)
    with stage(servers, "arrow" if rows_of else "json") as (settings, source, target):
        source.write(messages[:warm])
        held = source.hold_back(messages[warm:])
        with running(who.process, settings, who.python) as process:
            warm_up(target, warm_rows, process, rows_of)
            cpu, start = process.cpu(), time.perf_counter()
            held.commit_transaction()
            there, end, cpu_then = target.wait_for(all_rows, process, rows_of, MOST_SECONDS)
        count = there - warm_rows
        return {
            "rows/s": round(count / (end - start)),
            "CPU µs a row": round(1e6 * (cpu_then - cpu) / count, 2) if count else None,
            "rows": count,
            "agrees": right(target, all_rows if there == all_rows else None, rows_of is None),
        }


def right(target: Topic, rows: int | None, is_json: bool) -> bool:
    """Say whether a topic holds no row twice, `rows` unless it is None, and in each the EWMA that pandas finds."""
    values = target.read(dict.fromkeys(range(PARTITIONS), 0), target.ends())
    if is_json:
        found = pd.DataFrame([(row["id"], row["ewma"]) for row in map(json.loads, values)], columns=["id", "ewma"])
    else:
        tables = [pa.ipc.open_stream(value).read_all().select(["id", "ewma"]) for value in values]
        found = pa.concat_tables(tables).to_pandas()
    wanted = quotes(0, int(found["id"].max() - quotes(0, 1)["id"][0]) + 1)
    by_symbol = wanted.groupby("symbol", sort=False)["bid"]
    wanted["ewma"] = by_symbol.transform(lambda bid: bid.ewm(alpha=ALPHA, adjust=False).mean())
    both = found.drop_duplicates("id").merge(wanted, on="id")
    faults = {
        "come twice": len(found) - len(both),
        "are missing": rows - len(both) if rows else 0,
        "have another value": int((~np.isclose(both["ewma_x"], both["ewma_y"], rtol=1e-12)).sum()),
    }
    if any(faults.values()):
        progress(", ".join(f"{count:,} rows {fault}" for fault, count in faults.items() if count))
    return not any(faults.values())


def arrow(frame: pd.DataFrame, rows: int) -> list[Message]:
    """Return quotes as Arrow messages, each with as many `rows` of one symbol, symbol after symbol."""
    table = pa.Table.from_pandas(frame.sort_values("symbol", kind="stable"), preserve_index=False)
    of_symbol = len(frame) // SYMBOLS
    messages = []
    for at in range(0, of_symbol, rows):
        for start in range(at, len(frame), of_symbol):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table.slice(start, rows))
            messages.append((table["symbol"][start].as_py().encode(), sink.getvalue().to_pybytes()))
    return messages


def rows_of_arrow(value: bytes) -> int:
    """Return the rows of an Arrow message."""
    return int(pa.ipc.open_stream(value).read_all().num_rows)


def progress(text: str) -> None:
    """Say what was found, for who waits."""
    print(f"  {text}", file=sys.stderr, flush=True)


def json_records(servers: str, who: list[Contestant], short: bool) -> Rows:
    """JSON records of 142 bytes, 4 partitions keyed by symbol, EWMA for each of 1,000 symbols, at least once."""
    warm, count = (2_000, 10_000) if short else (20_000, 1_000_000)
    made = json_messages(quotes(0, warm + count))
    assert all(len(value) == BYTES for _, value in made)
    rows: Rows = []
    for each in who:
        found = throughput(servers, each, made, warm)
        progress(f"{each.name}: {found['rows/s']:,} records/s")
        ours = rows[0]["records/s"] if rows else None
        rows.append(
            {
                "who": each.name,
                "records/s": found["rows/s"],
                "to reach": "" if ours else "180,000",
                "we are": f"{ours / found['rows/s']:.1f}×" if ours and found["rows/s"] else "",
                "CPU µs a record": found["CPU µs a row"],
                "at most": "" if ours else "7",
                "records": found["rows"],
                "agrees": found["agrees"],
            }
        )
    return rows


def formats(servers: str, who: list[Contestant], short: bool) -> Rows:
    """The same as JSON and as Arrow, each message with rows of one symbol."""
    cases = ((1, "", 1_000_000), (20, "300,000", 1_000_000), (1_000, "1,000,000", 4_000_000))
    rows: Rows = []
    for size, to_reach, count in cases:
        if size == 1:
            messages = json_messages(quotes(0, 12_000 if short else 20_000 + count))
            warm = 2_000 if short else 20_000
        else:
            messages = arrow(quotes(0, SYMBOLS * size + (0 if short else count)), size)
            messages, warm = (messages[:200], 100) if short else (messages, SYMBOLS)
        found = throughput(servers, who[0], messages, warm, None if size == 1 else rows_of_arrow)
        progress(f"messages of {size} rows: {found['rows/s']:,} rows/s")
        rows.append(
            {
                "format": "JSON" if size == 1 else "Arrow",
                "rows a message": size,
                "bytes a row": round(sum(len(value) for _, value in messages) / len(messages) / size),
                "to reach": to_reach,
                "rows/s": found["rows/s"],
                "against JSON": f"{found['rows/s'] / rows[0]['rows/s']:.1f}×" if rows else "",
                "CPU µs a row": found["CPU µs a row"],
                "rows": found["rows"],
                "agrees": found["agrees"],
            }
        )
    return rows


def latency(servers: str, who: list[Contestant], short: bool) -> Rows:
    """Milliseconds at 20,000 records/s, from a process that stamps each record to one that reads the output."""
    cases = [(who[0], FOR_LATENCY)] if short else [(who[0], DEFAULTS), *((each, FOR_LATENCY) for each in who)]
    count, warm = RATE * (2 if short else 12), json_messages(quotes(0, 2_000))
    rows: Rows = []
    for each, tuned in cases:
        with stage(servers) as (settings, source, target):
            source.write(warm)
            to_feed: Settings = {"servers": servers, "target": source.name, "linger": 1, "rate": RATE}
            with running(each.process, settings | tuned, each.python) as process:
                warm_up(target, len(warm), process)
                begin: Settings = {"begin": {str(number): end for number, end in target.ends().items()}}
                with (
                    running("listen", settings | begin | {"count": count}) as listener,
                    running("feed", to_feed | {"first": len(warm), "count": count}),
                ):
                    found = json.loads(listener.result())
                process.cpu()  # it still runs
        progress(f"{each.name}: p50 {found['p50']:.0f} ms, p99 {found['p99']:.0f} ms")
        ours = each is who[0] and tuned is FOR_LATENCY
        rows.append(
            {
                "who": each.name,
                "settings": "for latency" if tuned else "defaults",
                "p50, ms": round(found["p50"], 1),
                "p99, ms": round(found["p99"], 1),
                "at most": "30, 60" if ours else "",
                "records": found["count"],
                "complete": found["count"] == count,
            }
        )
    return rows


def restart(servers: str, who: list[Contestant], short: bool) -> Rows:
    """Seconds from the start of a process after kill -9 of the one before, to the first output: defaults."""
    warm, times = json_messages(quotes(0, 20_000)), []
    with stage(servers) as (settings, source, target):
        source.write(warm)
        with running(who[0].process, settings) as process:
            warm_up(target, len(warm), process)
        for _ in range(1 if short else 3):
            there = sum(target.ends().values())
            source.write(json_messages(quotes(there, 1_000)))
            start = time.perf_counter()
            with running(who[0].process, settings) as process:
                times.append(until(target, there + 1, process) - start)
            progress(f"{times[-1]:.1f} s")
    seconds = statistics.median(times)
    return [{"who": who[0].name, "s": round(seconds, 1), "to reach": "3", "restarts": len(times)}]


TABLES = (json_records, formats, latency, restart)


@contextmanager
def broker() -> Iterator[str]:
    """Give the address of a broker: the one of ``KAFKA_BOOTSTRAP_SERVERS``, or one for as long as the block lasts."""
    if servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield servers
        return
    with tempfile.TemporaryDirectory(prefix="fintech-toolkit-bench-") as folder:
        kafka = KafkaBroker(Path(folder))
        kafka.start()
        try:
            yield kafka.bootstrap_servers
        finally:
            kafka.kill()


def main(
    short: Annotated[bool, typer.Option("--short", help="Few records; prints and leaves README.md alone.")] = False,
) -> None:
    """Measure the live layer against quix-streams, bytewax and a plain loop, and write the tables in README.md."""
    who, unable = contestants()
    load = f"Load average before: {os.getloadavg()[0]:.1f}."
    parts = [f"{environment('confluent-kafka', 'pyarrow', 'pandas', 'numba')} {load}"]
    with broker() as servers:
        for table in TABLES:
            print(f"{title(table)} …", file=sys.stderr, flush=True)
            part = f"**{title(table)}**\n\n{markdown(table(servers, who, short))}"
            print(part, end="\n\n", flush=True)
            parts.append(part)
    parts += [f"{', '.join(unable)}."] if unable else []
    if not short:
        README.write_text(insert(README.read_text(), "bench-live", "\n\n".join(parts)))


if __name__ == "__main__":
    typer.run(main)
