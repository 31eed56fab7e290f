"""The demo: one pipeline on pandas, on a Dask cluster and on a live feed, compared to the last bit."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from multiprocessing import resource_tracker
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from fintech_toolkit.errors import FintechToolkitError

if TYPE_CHECKING:
    from fintech_toolkit.pipeline import Pipeline

WORKERS = 2
PARTITIONS = 8
SYMBOLS = 8
LIVE_SECONDS = 40.0  # with what comes before, under a minute
TOPIC = "quotes"
# The embedded broker keeps about 5 MB a partition, and a quote is about 150 bytes: even if all went to one partition,
# so many that nobody has read yet are far from that.
MOST_IN_FLIGHT = 10_000
FIRST_ROWS = 1_000
CHUNK_ROWS = 2_500  # at most
CHUNKS_PER_SECOND = 20
TABLE_ROWS = 50_000
_PATIENCE = 30.0  # how long the feed may stand still before it counts as broken
_FAREWELL = 1.0  # what the source has to leave its group, and what the end takes in all
_INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


class DemoError(FintechToolkitError):
    """Two ways of running the pipeline did not agree, or rows were lost."""


def run(seconds: float | None = None, browser: bool = True, port: int = 0, rows: int = 200_000) -> int:
    """Run the demo and return its exit code.

    Parameters
    ----------
    seconds : float, optional
        About how long the whole is to take; the feed is paced by it. By default the feed takes 40 seconds, and then the
        dashboard stays up until Ctrl-C.
    browser : bool
        Whether to open the dashboard in a browser.
    port : int
        The dashboard's port; 0 takes a free one.
    rows : int
        Quotes to make.

    Returns
    -------
    int
        0 if all agreed to the last bit, 1 if not. If Ctrl-C comes before that is known, the process ends with 130.
    """
    console = Console(highlight=False)
    # What goes wrong is raised here too; these would say it in twenty lines, and so they do of every Ctrl-C.
    for name in ("distributed", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="fintech-toolkit-", ignore_cleanup_errors=True) as folder:
        try:
            _run(console, Path(folder), None if seconds is None else time.monotonic() + seconds, browser, port, rows)
        except KeyboardInterrupt:
            console.print("Stopped.")
            shutil.rmtree(folder, ignore_errors=True)
            # To close a cluster takes up to ten seconds if its workers are busy or have just come to life, and Dask
            # would do so when the interpreter ends. All else is closed by now.
            for child in psutil.Process().children(recursive=True):
                child.kill()
            os._exit(_INTERRUPTED)
        except DemoError as error:
            console.print(Text.assemble(("✗ ", "bold red"), str(error)))
            return 1
    return 0


def build_pipeline() -> Pipeline:
    """Return the demo's pipeline, which gives all that the dashboard shows."""
    import fintech_toolkit as ft

    return ft.Pipeline(
        ft.midprice(),
        ft.quoted_spread(),
        ft.ofi(),
        ft.ewma("mid", halflife=20).named("mid_ewma"),
        ft.ewma("spread_bps", halflife=20).named("spread_ewma"),
        ft.rolling_mean("ofi", window=100).named("ofi_mean"),
        ft.rolling_zscore("mid", window=200).named("mid_zscore"),
    )


def _run(console: Console, folder: Path, ends_at: float | None, browser: bool, port: int, rows: int) -> None:
    with _stage(console, "Quotes", "making quotes"):
        import data_generators

        quotes = data_generators.sample("quotes", rows=rows, symbols=SYMBOLS)
    _say(console, f"{rows:,} quotes of {quotes['symbol'].nunique()} bonds, made on this machine")

    with _stage(console, "Pipeline", "building it"):
        pipeline = build_pipeline()
    _say(console, repr(pipeline))

    with _stage(console, "pandas", "compiling the kernels (or loading them, if they are cached), then running"):
        pipeline(quotes.head(1_000))
        start = time.perf_counter()
        batch = pipeline(quotes)
        took = time.perf_counter() - start
    rate = rows / took / 1e6
    _say(console, f"{rows:,} rows, {len(pipeline.gives)} new columns in {took:.3f} s: {rate:.1f} million rows/s")

    _run_on_dask(console, folder, pipeline, quotes, batch)
    _run_live(console, pipeline, quotes, batch, ends_at, browser, port)


def _run_on_dask(console: Console, folder: Path, pipeline: Pipeline, quotes: pd.DataFrame, batch: pd.DataFrame) -> None:
    with _stage(console, "Dask", f"starting {WORKERS} worker processes, then running"):
        import dask
        import dask.dataframe as dd
        from distributed import Client, LocalCluster

        files = folder / "quotes"
        files.mkdir()
        for number, part in enumerate(np.array_split(np.arange(len(quotes)), PARTITIONS)):
            quotes.iloc[part].to_parquet(files / f"{number:02d}.parquet")
        dask.config.set(temporary_directory=str(folder))
        # Ctrl-C, which a terminal sends to all processes, is for this one: workers inherit what their thread blocks.
        # (The tracker unblocks it again in the thread that starts it, which therefore must not be theirs.)
        resource_tracker.ensure_running()
        starter = ThreadPoolExecutor(
            1, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, {signal.SIGINT})
        )
        cluster = starter.submit(
            LocalCluster,
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ).result()
        client: Any = Client(cluster)  # type: ignore[no-untyped-call]
        frame = dd.read_parquet(files)
        plan = pipeline.explain(frame)
        start = time.perf_counter()
        distributed = pipeline(frame).compute()
        took = time.perf_counter() - start
        _require_same(batch, distributed, "Dask", "pandas")
        client.close()
        cluster.close()
    _say(console, f"the same rows from {PARTITIONS} files on {WORKERS} worker processes in {took:.1f} s")
    _say(console, f"plan: {plan.name}, as {plan.reason}")
    _say(console, "✓ Dask = pandas, row for row and bit for bit", "green")


def _run_live(
    console: Console,
    pipeline: Pipeline,
    quotes: pd.DataFrame,
    batch: pd.DataFrame,
    ends_at: float | None,
    browser: bool,
    port: int,
) -> None:
    status = "Waiting for the feed"
    with ExitStack() as stack:
        with _stage(console, "Live", "starting the embedded broker and the dashboard"):
            from streamz import Stream

            from fintech_toolkit.dashboards import live_dashboard, quote_panels, serve
            from fintech_toolkit.live import EmbeddedBroker

            broker = stack.enter_context(EmbeddedBroker())
            config = {"bootstrap.servers": broker.bootstrap_servers}
            schema = {str(name): str(dtype) for name, dtype in quotes.dtypes.items()}
            source = Stream.from_kafka_frames(TOPIC, config, schema=schema, group="demo")
            stack.callback(_leave, source)
            enriched = pipeline.live(source)
            table = enriched.to_table(TABLE_ROWS)
            frames = enriched.sink_to_list()

            def dashboard() -> Any:
                return live_dashboard(
                    table,
                    source,
                    quote_panels(price_unit="% of par", size_unit="face value"),
                    title="Bond quotes, live",
                    status=lambda: status,
                )

            address = stack.enter_context(serve(dashboard, port=port, title="fintech_toolkit demo"))
        _say(console, "the same rows, through an embedded Kafka broker into the same pipeline")
        _say(console, f"dashboard: {address}", "bold")
        if browser:
            webbrowser.open(address)
        status = "The same rows, through an embedded Kafka broker into the same pipeline"
        _feed(console, quotes, source, frames, config, ends_at)
        counts, live = source.counts, pd.concat(frames)
        _say(console, f"{counts.received:,} rows in = {len(live):,} out + {counts.rejected:,} rejected")
        if not len(quotes) == counts.received == len(live) + counts.rejected:
            raise DemoError(f"{len(quotes):,} rows were sent: some are missing, or came twice")
        _require_same(_by_symbol(batch), _by_symbol(live), "live", "pandas")
        _say(console, "✓ live = pandas, row for row and bit for bit", "green")
        status = "The feed has ended: live = pandas, row for row and bit for bit"
        if ends_at is None:
            console.print(f"The dashboard stays at {address}; Ctrl-C ends the demo.")
            with suppress(KeyboardInterrupt):
                while True:
                    time.sleep(60)


def _feed(
    console: Console,
    quotes: pd.DataFrame,
    source: Any,
    frames: list[pd.DataFrame],
    config: dict[str, str],
    ends_at: float | None,
) -> None:
    """Send the quotes at an even pace, never far ahead of their reader, and return when all have come through."""
    from streamz import Stream

    feed = Stream()
    feed.to_kafka_frames(TOPIC, config, key="symbol")
    columns = [
        TextColumn("         {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f} rows/s, lag {task.fields[lag]:,}"),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("joining", total=len(quotes), rate=0.0, lag=0)

        def wait_until(condition: Callable[[], bool]) -> None:
            """Wait, for as long as it takes if the reader goes on reading."""
            seen, deadline = -1, 0.0
            while not condition():
                received = source.counts.received
                if received != seen:
                    seen, deadline = received, time.monotonic() + _PATIENCE
                progress.update(bar, completed=received, rate=source.rate, lag=sum(source.lag.values()))
                if source.stopped:
                    source.wait()  # raises what stopped it
                if time.monotonic() > deadline:
                    raise DemoError(f"The feed stands still: {received:,} of {len(quotes):,} rows came in.")
                time.sleep(0.01)

        def send(first: int, last: int, due: float) -> None:
            wait_until(lambda: time.monotonic() >= due and last - source.counts.received <= MOST_IN_FLIGHT)
            feed.emit(quotes.iloc[first:last])

        feed.emit(quotes.iloc[:FIRST_ROWS])  # makes the topic, which has to be there for its reader
        source.start()
        wait_until(lambda: source.counts.received > 0)
        progress.update(bar, description="feeding")
        start = time.monotonic()
        lasts = LIVE_SECONDS if ends_at is None else max(1.0, ends_at - start - _FAREWELL)
        sent = min(FIRST_ROWS, len(quotes))
        chunks = max(round(lasts * CHUNKS_PER_SECOND), -(-len(quotes) // CHUNK_ROWS))
        bounds = np.linspace(sent, len(quotes), chunks + 1).astype(int)
        for number, (first, last) in enumerate(pairwise(bounds.tolist())):
            send(first, last, due=start + lasts * number / chunks)
        wait_until(lambda: sum(map(len, frames)) + source.counts.rejected >= len(quotes))
    source.stop()
    source.wait()


def _leave(source: Any) -> None:
    source.stop()
    with suppress(Exception):  # what stopped it has been raised already, or Ctrl-C came first
        source.wait(_FAREWELL)


def _by_symbol(frame: pd.DataFrame) -> pd.DataFrame:
    # The partitions of a topic are read side by side: only the rows of one symbol come in the order of their sending.
    return frame.sort_values("symbol", kind="stable")


def _require_same(expected: pd.DataFrame, found: pd.DataFrame, name: str, other: str) -> None:
    """Raise unless two frames have the same rows in the same order, floats by their bits."""
    if found.shape != expected.shape or list(found.columns) != list(expected.columns):
        raise DemoError(f"{name} gave {found.shape} rows and columns, {other} {expected.shape}")
    for column in expected.columns:
        here, there = found[column].to_numpy(), expected[column].to_numpy()
        if here.dtype == there.dtype == np.float64:
            here, there = here.view(np.int64), there.view(np.int64)
        differ = np.flatnonzero(here != there)
        if differ.size:
            raise DemoError(
                f"{name} and {other} differ in {differ.size:,} rows of column {column!r}, first in row {differ[0]}"
            )


@contextmanager
def _stage(console: Console, title: str, doing: str) -> Iterator[None]:
    console.print(title, style="bold")
    with console.status(f"{doing} …"):
        yield


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(indent(text, "    "), style), soft_wrap=True)
