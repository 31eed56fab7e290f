"""What a chain has read and not yet scanned stays little, whatever the frame is made of, and little is spilled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask._task_spec import Alias, Task, TaskRef
from distributed import Client, LocalCluster, SchedulerPlugin

import fintech_toolkit as ft
from fintech_toolkit.engines.dask import backpressure, plans
from fintech_toolkit.engines.dask.backpressure import hold_back
from fintech_toolkit.engines.dask.chain import ScanTasks
from tests.engines.ticks import ticks
from tests.frames import features, same

PARTITIONS, ROWS = 40, 80_000  # of 5 MB each: 200 MB, and the workers keep 50 MB each before they spill
LARGE = 4_000_000


class Held(SchedulerPlugin):
    """Counts the frames that lie in the memory of workers: most at once, of those that were read."""

    name = "held"

    def __init__(self) -> None:
        self.now: dict[str, set[Any]] = {}
        self.most: dict[str, int] = {}

    def start(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        kind = dask.utils.key_split(key)
        held = self.now.setdefault(kind, set())
        if finish == "memory" and self.scheduler.tasks[key].get_nbytes() > LARGE:
            held.add(key)
            self.most[kind] = max(len(held), self.most.get(kind, 0))
        elif start == "memory":
            held.discard(key)


def read_ticks(number: int) -> pd.DataFrame:
    rng = np.random.default_rng(number)
    return pd.DataFrame(
        {
            "symbol": rng.integers(0, 50, ROWS),
            "ts": pd.to_datetime(np.arange(number * ROWS, (number + 1) * ROWS), unit="s", utc=True),
            **{name: rng.random(ROWS) for name in ("price", "a", "b", "c", "d", "e")},
        }
    )


def steps() -> ft.Pipeline:
    return ft.Pipeline(ft.ewma("price", halflife=20))


def last_row(part: pd.DataFrame) -> pd.DataFrame:
    return part[["ewma"]].tail(1)


@pytest.fixture(scope="module")
def small() -> Iterator[Client]:
    """Two workers that may keep 100 MB between them; the limit is by what they hold, not by what Python needs."""
    limits = {
        "distributed.worker.memory.target": 0.05,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
    }
    with (
        dask.config.set(limits),
        LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="1GB", dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def run_and_count(client: Client, lazy: Any) -> tuple[Any, dict[str, int], int]:
    """Return what comes out, the most frames held at once by kind, and the bytes that were written to disk."""

    def spilled(dask_worker: Any) -> int:
        return int(dask_worker.data.cumulative_metrics["disk-write", "bytes"])

    before = sum(client.run(spilled).values())
    client.register_plugin(Held())
    try:
        result = lazy.compute()
        most = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.plugins["held"].most)
    finally:
        client.unregister_scheduler_plugin("held")
    return result, most, sum(client.run(spilled).values()) - before


def from_delayed() -> Any:
    parts = [dask.delayed(read_ticks)(number) for number in range(PARTITIONS)]
    return dd.from_delayed(parts, meta=read_ticks(0).iloc[:0])


SOURCES: dict[str, Callable[[], Any]] = {
    "from_map": lambda: dd.from_map(read_ticks, range(PARTITIONS), meta=read_ticks(0).iloc[:0]),
    "from_delayed": from_delayed,
}


@pytest.fixture(scope="module")
def last_rows() -> Any:
    """Those of every partition, as they are in memory."""
    whole = steps()(pd.concat([read_ticks(number) for number in range(PARTITIONS)]))
    return whole["ewma"].to_numpy()[ROWS - 1 :: ROWS]


@pytest.mark.parametrize("source", SOURCES)
def test_a_chain_holds_few_partitions(source: str, small: Client, last_rows: Any) -> None:
    lazy = steps()(SOURCES[source](), plan="chain").map_partitions(last_row, meta={"ewma": "f8"})
    got, most, spilled = run_and_count(small, lazy)
    # Of frames that were read, of those that were scanned, and of what Dask calls the same frame in between.
    assert most["read_ticks"] <= 2 * backpressure.READS_A_THREAD
    assert max(most.values()) <= 3 * backpressure.READS_A_THREAD
    assert spilled < LARGE  # no frame
    np.testing.assert_array_equal(got["ewma"], last_rows)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    frame = ticks(600, symbols=9)
    frame["ts"] = pd.to_datetime(
        np.arange(600), unit="s", utc=True
    )  # files may come in any order: not so if they touch
    folder = tmp_path_factory.mktemp("ticks")
    ddf = dd.from_pandas(frame, npartitions=12)
    ddf.to_parquet(folder, name_function="{:02d}.parquet".format, compute_kwargs={"scheduler": "sync"})
    pieces = [frame.iloc[start : start + 50] for start in range(0, 600, 50)]
    with dask.config.set(scheduler="sync"):
        kept = ddf.persist()
    return {
        "from_pandas": ddf,
        "from_map": dd.from_map(lambda piece: piece, pieces, meta=frame.iloc[:0]),
        "from_delayed": dd.from_delayed([dask.delayed(piece) for piece in pieces], meta=frame.iloc[:0]),
        "read_parquet": dd.read_parquet(folder),
        "read_parquet arrow": dd.read_parquet(folder, filesystem="arrow"),
        "steps on partitions": dd.read_parquet(folder)
        .assign(x=1.0)
        .map_partitions(lambda part: part)
        .fillna({"x": 0.0}),
        "repartition": ddf.repartition(npartitions=6),
        "concat": dd.concat([ddf.partitions[:5], ddf.partitions[5:]]),
        "merge": ddf.merge(pd.DataFrame({"venue": pd.array(["X", "Y"], "string"), "fee": [1.0, 2.0]}), on="venue"),
        "a chain": ft.Pipeline(ft.diff("bid"))(ddf, plan="chain"),
        "persisted": kept,
    }


KINDS = [
    "from_pandas", "from_map", "from_delayed", "read_parquet", "read_parquet arrow", "steps on partitions",
    "repartition", "concat", "merge", "a chain", "persisted",
]  # fmt: skip


@pytest.mark.parametrize("columns", [None, ["ewma"]])
@pytest.mark.parametrize("kind", KINDS)
def test_reading_waits_for_the_scans(
    kind: str, columns: Any, kinds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the graph that is run, whatever Dask has fused: all that is made for partition i comes after scan i - k."""
    monkeypatch.setattr(backpressure, "CPU_COUNT", 1)
    ahead = backpressure.read_ahead()
    ddf = kinds[kind]
    lazy = steps()(ddf, plan="chain")
    lazy = lazy if columns is None else lazy[columns]
    graph = dict(lazy.optimize().__dask_graph__())
    (tasks,) = (found for found in lazy.expr.optimize(fuse=False).walk() if isinstance(found, ScanTasks))
    scans = [(tasks._name, number) for number in range(tasks.npartitions)]
    waiting = 0
    for number, scan in enumerate(scans[ahead:], ahead):
        before = scans[number - 1]
        for key in ancestors(graph, scan) - ancestors(graph, before) - {before}:
            if isinstance(graph[key], Task):
                assert scans[number - ahead] in ancestors(graph, key), key
                waiting += 1
    assert waiting or kind == "persisted" or tasks.npartitions <= ahead
    expected = steps()(ddf.compute(scheduler="sync").sort_values("ts")).sort_index()
    same(lazy.compute(scheduler="sync").sort_index(), expected if columns is None else expected[columns])


def ancestors(graph: dict[Any, Any], key: Any) -> set[Any]:
    seen: set[Any] = set()
    stack = [key]
    while stack:
        for dependency in graph[stack.pop()].dependencies:
            if dependency not in seen:
                seen.add(dependency)
                stack.append(dependency)
    return seen


def chain_of(parts: int) -> dict[Any, Any]:
    """A graph in which partition i is made of two reads of its own and of something that all share."""
    graph: dict[Any, Any] = {"shared": Task("shared", list)}
    for i in range(parts):
        graph["left", i] = Task(("left", i), list)
        graph["right", i] = Task(("right", i), list, TaskRef("shared"))
        graph["part", i] = Task(("part", i), list, TaskRef(("left", i)), TaskRef(("right", i)))
    return graph


def test_first_tasks_wait_and_change_their_names() -> None:
    graph = chain_of(3)
    gates = [None, None, TaskRef("gate")]
    held, parts = hold_back(graph, [("part", i) for i in range(3)], gates, "token")
    assert parts[:2] == [("part", 0), ("part", 1)]
    assert parts[2] not in graph
    assert held[parts[2]].dependencies.isdisjoint(graph)
    reads = held[parts[2]].dependencies
    assert [held[key].dependencies for key in sorted(reads)] in (
        [{"gate"}, {"gate", "shared"}],
        [{"gate", "shared"}, {"gate"}],
    )
    for key in set(graph) - {("left", 2), ("right", 2), ("part", 2)}:
        assert held[key] is graph[key]
    again, _ = hold_back(graph, [("part", i) for i in range(3)], gates, "another")
    assert not set(again).intersection(key for key in held if key not in graph)


def test_data_that_is_there_is_not_waited_for() -> None:
    graph = {("part", i): Alias(("part", i), f"in memory {i}") for i in range(2)}
    held, parts = hold_back(graph, list(graph), [None, TaskRef("gate")], "token")
    assert held == graph
    assert parts == list(graph)


def test_day_two_is_read_behind_day_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty days in one compute hold no more than one."""
    monkeypatch.setattr(backpressure, "CPU_COUNT", 1)
    frame = ticks(900, symbols=9)
    run = features().start_dask()
    days = [run(dd.from_pandas(frame.iloc[a : a + 150], npartitions=3)) for a in range(0, 900, 150)]
    (expr,) = (days[-1].optimize(fuse=False).expr,)
    graph = dict(days[-1].optimize().__dask_graph__())
    last = next(found for found in expr.walk() if isinstance(found, ScanTasks))
    chain = [last]
    while isinstance(chain[0].operand("state"), plans.StateAfter):
        chain.insert(0, chain[0].operand("state").scan)
    scans = [(tasks._name, number) for tasks in chain for number in range(tasks.npartitions)]
    assert len(scans) == 18
    ahead = backpressure.read_ahead()
    for number, scan in enumerate(scans[ahead:], ahead):
        for key in ancestors(graph, scan) - ancestors(graph, scans[number - 1]) - {scans[number - 1]}:
            assert scans[number - ahead] in ancestors(graph, key)
    same(pd.concat(dask.compute(*days, scheduler="sync")), features()(frame))
