"""Jobs on a cluster: as many at once as its memory holds, each with a limit of time, none in the way of others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any

from fintech_toolkit.engines.dask.workers import connected
from fintech_toolkit.errors import FintechToolkitError
from fintech_toolkit.orders.config import OrdersConfig


@dataclass(frozen=True)
class Job:
    """A security on a day.

    Attributes
    ----------
    security : int
    day : date
        The exchange's local one.
    order_rows, trade_rows : int
        Rows of its files.
    bytes : int
        What they hold.
    memory : int
        Bytes that it needs at most, estimated.
    """

    security: int
    day: date
    order_rows: int
    trade_rows: int
    bytes: int
    memory: int

    @property
    def name(self) -> str:
        """Such as ``110621/2024-09-05``: what ``--only`` is given."""
        return f"{self.security}/{self.day}"


class ClusterLost(FintechToolkitError):
    """The scheduler is gone, and with it what was running."""


def cluster(config: OrdersConfig, scheduler: str | None = None) -> AbstractContextManager[Any]:
    """Start worker processes on this machine, or use a scheduler: of the settings, or another. Gives the client.

    For batch systems start the scheduler by `dask-jobqueue <https://jobqueue.dask.org>`_
    (``SLURMCluster(cores=1, memory="8GB").scale(jobs=64)``) or the Kubernetes operator
    (``KubeCluster(name="orders", n_workers=64)``), and give its ``scheduler_address``. Its workers need this package,
    a thread each, and the folders of the run under the same paths.

    Raises
    ------
    ParameterError
        If there is no scheduler at the address.
    """
    if scheduler or config.scheduler:
        return connected(scheduler or str(config.scheduler), None)
    # A job is mostly one thread's work.
    return connected(
        "local",
        config.workers,
        memory_limit="auto" if config.memory_per_worker is None else config.memory_per_worker,
        silence_logs=logging.getLevelName(config.log.upper()),
    )


def run_jobs(
    work: Callable[[Job], Any],
    jobs: Sequence[Job],
    client: Any,
    *,
    timeout_seconds: float,
) -> Iterator[tuple[Job, Any]]:
    """Run work for each job, and give what comes of them as it comes: what was returned, or what was raised.

    The largest start first. As many are on the cluster as it has threads, and as its memory holds together: a
    scheduler blames the death of a worker on all that waits there, so that what waits, waits here.

    Raises
    ------
    ClusterLost
        If the scheduler is gone.
    """
    from distributed import CancelledError
    from distributed.comm.core import CommClosedError

    waiting = sorted(jobs, key=lambda job: (-job.memory, job.name))
    running: dict[Any, tuple[Job, float]] = {}
    try:
        while waiting or running:
            if client.status != "running":  # also while it connects again: what was running is lost by then
                raise CancelledError
            for job in _that_fit(waiting, running, client):
                waiting.remove(job)
                # Not by the job's content: a job that failed may be run again by the same scheduler.
                future = client.submit(work, job, key=f"{job.name}-{time.time_ns()}", pure=False)
                running[future] = (job, time.monotonic() + timeout_seconds)
            for future in _ended(running, min(deadline for _, deadline in running.values())):
                job, _ = running.pop(future)
                yield job, _result(future)
            for future, (job, deadline) in list(running.items()):
                if time.monotonic() >= deadline and not future.done():
                    del running[future]
                    _stop(future, client)
                    yield job, TimeoutError(f"took longer than {timeout_seconds:g} s")
    except (CancelledError, CommClosedError):
        raise ClusterLost(
            "The scheduler is gone. Finished jobs are kept: start it again, and run `resume` to go on."
        ) from None


def _ended(running: Collection[Any], until: float) -> Collection[Any]:
    """Wait for one to end, but no longer than until a time, and look at the cluster now and then."""
    from distributed import TimeoutError as NotYet
    from distributed import wait

    seconds = min(max(0.0, until - time.monotonic()), 5.0)
    try:
        return wait(list(running), timeout=seconds, return_when="FIRST_COMPLETED").done  # type: ignore[no-any-return, no-untyped-call]
    except NotYet:
        return ()


def _that_fit(waiting: Sequence[Job], running: Mapping[Any, tuple[Job, float]], client: Any) -> list[Job]:
    """Return those that can start beside those that run; at least one runs, however large."""
    about = client.scheduler_info(n_workers=-1)["workers"].values()
    threads = sum(each["nthreads"] for each in about)
    memory = sum(each["memory_limit"] for each in about) - sum(job.memory for job, _ in running.values())
    found: list[Job] = []
    for job in waiting:
        if len(running) + len(found) >= max(1, threads):
            break
        if job.memory <= memory or not (running or found):
            found.append(job)
            memory -= job.memory
    return found


def _result(future: Any) -> Any:
    try:
        return future.result()
    except Exception as error:
        return error


def _stop(future: Any, client: Any) -> None:
    """Give a job up, and end the worker that is at it: a thread cannot be stopped."""
    workers = [worker for worker, keys in client.processing().items() if future.key in keys]
    future.cancel()
    client.restart_workers(workers, raise_for_error=False)
