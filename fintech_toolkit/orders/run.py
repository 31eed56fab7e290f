"""A run over orders: taken in, analysed job by job, aggregated, reported; and on from where it was cut."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import partial
from typing import Any

import fintech_toolkit as ft
from fintech_toolkit.engines.memory.whole_file import alone, remove_unfinished
from fintech_toolkit.errors import DataError, ParameterError, did_you_mean
from fintech_toolkit.orders.aggregates import Aggregates, Summary
from fintech_toolkit.orders.config import OrdersConfig
from fintech_toolkit.orders.day import analyse
from fintech_toolkit.orders.ingest import Ingested, ingest
from fintech_toolkit.orders.intake import Selection
from fintech_toolkit.orders.jobs import Job, run_jobs
from fintech_toolkit.orders.manifest import (
    Outcome,
    folder_of,
    outcomes_of,
    read_outcome,
    record_of,
    still_there,
    summary_of,
    write_json,
    write_manifest,
    write_plan,
)
from fintech_toolkit.orders.outputs import read_exact, write_exact, write_frame
from fintech_toolkit.orders.store import MANIFEST as STORED
from fintech_toolkit.orders.store import Store
from fintech_toolkit.orders.survey import survey
from fintech_toolkit.progress import Progress
from fintech_toolkit.retries import retrying

BASE, PER_ORDER_ROW, PER_TRADE_ROW = 300_000_000, 1_500, 1_000
"""Bytes that a job needs, whatever its rows, and for each of them: generous estimates."""


def jobs_of(config: OrdersConfig) -> list[Job]:
    """Return the jobs of what was taken in: each security on each day that a run is told to analyse.

    Raises
    ------
    ParameterError
        If it is told of a security or a day that there is nothing of.
    """
    days = Store(config.stored).days()
    for key, wanted, there in (
        ("securities", config.securities, {each.security for each in days}),
        ("dates", config.dates, {each.day for each in days}),
    ):
        for one in () if wanted == "all" else wanted:
            if one not in there:
                raise ParameterError(f"{key}: there are no orders of {one}. {did_you_mean(str(one), map(str, there))}")
    return [
        _job(each.security, each.day, each.order_rows, each.trade_rows, each.bytes)
        for each in days
        if _is_wanted(each.security, each.day, config)
    ]


def _job(security: int, day: date, order_rows: int, trade_rows: int, size: int) -> Job:
    memory = BASE + PER_ORDER_ROW * order_rows + PER_TRADE_ROW * trade_rows
    return Job(security, day, order_rows, trade_rows, size, memory)


def _is_wanted(security: int, day: date, config: OrdersConfig) -> bool:
    return (config.securities == "all" or security in config.securities) and (
        config.dates == "all" or day in config.dates
    )


def planned(config: OrdersConfig) -> tuple[list[Job], bool]:
    """Return the jobs that a run has, and whether they are known: before files are taken in they are estimated."""
    if (config.stored / STORED).is_file():
        return jobs_of(config), True
    orders, trades = survey(config)
    jobs = [_job(*place, orders[place], trades[place], 0) for place in sorted({*orders, *trades})]
    return [job for job in jobs if _is_wanted(job.security, job.day, config)], False


def estimate(jobs: Iterable[Job], config: OrdersConfig, *, taken_in: bool) -> float:
    """Return about how many seconds jobs take on the workers of a run, and taking files in, where that is to do."""
    per_row = 1 / ROWS_PER_SECOND + (0 if taken_in else 1 / TAKEN_IN_PER_SECOND)
    return sum(PER_JOB + job.order_rows * per_row for job in jobs) / config.workers


def chosen(jobs: Sequence[Job], only: Collection[str]) -> list[Job]:
    """Return the jobs of some names, such as ``110621/2024-09-05``; all if none is given.

    Raises
    ------
    ParameterError
        If there is no such job.
    """
    names = {job.name for job in jobs}
    for name in only:
        if name not in names:
            raise ParameterError(f"--only {name}: there is no such job. {did_you_mean(name, names)}")
    return [job for job in jobs if not only or job.name in only]


def run_job(job: Job, config: OrdersConfig) -> Outcome:
    """Analyse a security on a day and write what comes of it, unless that is there already.

    What the machine is the reason for, such as a file system that does not answer, is tried again; the record comes
    last.

    Raises
    ------
    FintechToolkitError
        If the rows cannot be used.
    OSError
        If something could not be read or written at the last attempt either.
    """
    begin = time.perf_counter()
    settings = _checksum(job, config)
    before = read_outcome(job, config.output)
    if before is not None and before.came_of(settings) and still_there(before, config.output):
        return before
    for folder in (folder_of(job), summary_of(job)):
        remove_unfinished(config.output / folder)
    counts, files = retrying(config.attempts)(_analysed, job, config)
    seconds = round(time.perf_counter() - begin, 3)
    outcome = Outcome(job.security, str(job.day), "done", seconds, settings, counts, files)
    write_json(asdict(outcome), record_of(job, config.output))
    return outcome


def _analysed(job: Job, config: OrdersConfig) -> tuple[dict[str, int], dict[str, dict[str, Any]]]:
    store = Store(config.stored)
    orders, trades, quotes = (read(job.security, job.day) for read in (store.orders, store.trades, store.quotes))
    day = analyse(orders, trades, quotes, config)
    files: dict[str, dict[str, Any]] = {}
    for name, frame in day.frames.items():
        ending = "csv" if name in READ_BY_EYE else "csv.gz"
        files |= write_frame(frame, config.output, f"{folder_of(job)}/{name}.{ending}", config.formats)
    for name, cells in vars(day.summary).items():
        files |= write_exact(cells, config.output, f"{summary_of(job)}/{name}.parquet")
    return day.counts, files


def _checksum(job: Job, config: OrdersConfig) -> str:
    """Return what tells whether a job would come out the same: its rows, and the settings that matter to it."""
    told = config.model_dump(mode="json", include={"market", "simulation", "participants", "formats"})
    rows = [job.order_rows, job.trade_rows, job.bytes]
    return hashlib.sha256(json.dumps([ft.__version__, told, rows], sort_keys=True).encode()).hexdigest()


PER_JOB, ROWS_PER_SECOND = 0.3, 250_000
"""Seconds that a job takes whatever its rows, and order states that a core analyses and writes in one."""
TAKEN_IN_PER_SECOND = 400_000
"""Order states that a core takes in, with their trades. All three as on a busy machine; an idle one takes half."""
ADDED_AT_ONCE = 100
"""How many jobs are added to the figures together: what is held of them is small, and each addition takes its time."""
REPORT = "report.html"
READ_BY_EYE = ("metrics", "unmatched")
"""What of a job's CSV is not gzipped."""
WANTED_BY = {
    "by_security": "security",
    "by_date": "date",
    "by_participant": "participant",
    "by_hour": "hour",
    "by_size": "size",
    "time_series_analysis": "time_series",
}
"""By which of the settings' dimensions a table is put together; those that are not here are always written."""


@dataclass(frozen=True)
class Ran:
    """What a run did.

    Attributes
    ----------
    ingested : Ingested
        Of each input file, its rows and what became of them.
    outcomes : list of Outcome
        What became of each job that ended.
    jobs : list of Job
        All that there are.
    """

    ingested: Ingested
    outcomes: list[Outcome]
    jobs: list[Job]

    @property
    def failed(self) -> list[Outcome]:
        """Those that did not come to an end."""
        return [outcome for outcome in self.outcomes if outcome.state == "failed"]


def run_orders(
    config: OrdersConfig,
    client: Any,
    *,
    only: Collection[str] = (),
    progress: Progress = lambda what, done, of: None,
) -> Ran:
    """Take files in, analyse each security on each day, and write the outputs, the manifest and the report.

    The same call goes on where an earlier one was cut, and gives the same bytes. What is there is kept where rows and
    settings are the same; jobs that failed are tried again.

    Parameters
    ----------
    config : OrdersConfig
        What to do.
    client : distributed.Client
        On what it runs. Its workers must see the inputs, the store and the output.
    only : collection of str
        Names of jobs, such as ``110621/2024-09-05``; all if empty.
    progress : callable
        Is told how far the run is.

    Returns
    -------
    Ran

    Raises
    ------
    FintechToolkitError
        If nothing can be taken in, another run writes to the same output, or the scheduler is gone. A job that
        fails raises nothing: it is among the outcomes.
    """
    with alone(config.output):
        ingested = take_in(config, client, progress)
        jobs = jobs_of(config)
        write_plan(jobs, config.output)
        _run_jobs(chosen(jobs, only), config, client, progress)
        outcomes = outcomes_of(jobs, config.output)
        put_together(outcomes, config)
        return Ran(ingested, outcomes, jobs)


def take_in(config: OrdersConfig, client: Any, progress: Progress) -> Ingested:
    """Part the input files by security and day, unless that is done already."""
    chosen_securities = None if config.securities == "all" else config.securities
    return ingest(
        config.inputs.orders,
        config.inputs.trades,
        config.stored,
        quotes=config.inputs.quotes,
        market=config.market,
        chunk_bytes=config.chunk_size,
        client=client,
        progress=progress,
        only=Selection(chosen_securities, None if config.dates == "all" else config.dates),
    )


def _run_jobs(jobs: Sequence[Job], config: OrdersConfig, client: Any, progress: Progress) -> None:
    total, done = sum(job.order_rows for job in jobs), 0
    progress("analyse", 0, total)
    work = partial(run_job, config=config)
    for job, result in run_jobs(work, jobs, client, timeout_seconds=config.timeout_seconds):
        if isinstance(result, Exception):
            cause = f"{type(result).__name__}: {result}"
            failed = Outcome(job.security, str(job.day), "failed", 0.0, _checksum(job, config), cause=cause)
            write_json(asdict(failed), record_of(job, config.output))
        done += job.order_rows
        progress("analyse", done, total)


def put_together(outcomes: Iterable[Outcome], config: OrdersConfig) -> None:
    """Write the aggregated tables of what finished jobs found, the report and the manifest."""
    from fintech_toolkit.orders.report import Report

    done = [outcome for outcome in outcomes if outcome.state == "done"]
    aggregates = Aggregates(config.market)
    for start in range(0, len(done), ADDED_AT_ONCE):
        folders = [config.output / summary_of(outcome) for outcome in done[start : start + ADDED_AT_ONCE]]
        names = [each.name for each in fields(Summary)]
        try:
            parts = {name: read_exact(folder / f"{name}.parquet" for folder in folders) for name in names}
        except FileNotFoundError as error:
            raise DataError(f"{error.filename} is missing: `fintech-toolkit orders resume` makes it again.") from None
        aggregates.add(Summary(**parts))
    wanted = (None, *config.aggregate_by)
    written: dict[str, Any] = {}
    remove_unfinished(config.output / "aggregated")
    try:
        for name, table in aggregates.tables().items():
            if WANTED_BY.get(name) in wanted:
                written |= write_frame(table, config.output, f"aggregated/{name}.csv", config.formats)
        Report(aggregates).save(config.output / REPORT)
        write_manifest(done, written, config.output)
    except OSError as error:
        raise DataError(
            f"{config.output} cannot be written: {error.strerror or error}. Finished jobs are kept: make room, and run "
            "`fintech-toolkit orders resume`."
        ) from error
