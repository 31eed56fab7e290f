"""Jobs on a cluster of processes: bounded by its memory, and none in the way of others."""

from __future__ import annotations

import os
import signal
import time
from datetime import date
from functools import partial
from pathlib import Path

from distributed import Client

from fintech_toolkit.orders.jobs import Job, run_jobs

MANY = 10**15


def job(security: int, memory: int = 1) -> Job:
    return Job(security, date(2024, 9, 5), 1, 1, 1, memory)


def wait_for(path: Path, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.01)


def meet(job: Job, folder: Path) -> None:
    """Ends only while another of these runs."""
    (folder / str(job.security)).touch()
    wait_for(folder / str(1 - job.security))


def alone(job: Job, folder: Path) -> None:
    """Fails while another of these runs."""
    (folder / "here").mkdir()
    until = time.monotonic() + 0.1
    while time.monotonic() < until:
        time.sleep(0.01)
    (folder / "here").rmdir()


def behave(job: Job, folder: Path) -> int:
    if job.security == 1:
        raise ValueError("these rows are bad")
    if job.security == 2:
        wait_for(folder / "never", seconds=300)
    if job.security == 3 and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job.security


def test_as_many_run_at_once_as_there_are_threads_and_memory(client: Client, tmp_path: Path) -> None:
    two = [job(0), job(1)]
    assert [result for _, result in run_jobs(partial(meet, folder=tmp_path), two, client, timeout_seconds=60)] == [
        None,
        None,
    ]
    large = [job(number, MANY) for number in range(8)]
    ended = list(run_jobs(partial(alone, folder=tmp_path), large, client, timeout_seconds=60))
    assert [(each.security, result) for each, result in ended] == [(number, None) for number in range(8)]


def results(jobs: list[Job], folder: Path, client: Client, timeout_seconds: float) -> dict[int, object]:
    work = partial(behave, folder=folder)
    return {each.security: result for each, result in run_jobs(work, jobs, client, timeout_seconds=timeout_seconds)}


def test_what_fails_or_kills_its_worker_is_not_in_the_way_of_others(client: Client, tmp_path: Path) -> None:
    found = results([job(number) for number in (0, 1, 3, 4, 5)], tmp_path, client, 120)
    assert (tmp_path / "killed").exists()
    error = found.pop(1)
    assert found == {0: 0, 3: 3, 4: 4, 5: 5}
    assert isinstance(error, ValueError)
    assert str(error) == "these rows are bad"


def test_what_takes_too_long_is_given_up_and_its_worker_works_again(client: Client, tmp_path: Path) -> None:
    client.wait_for_workers(2, timeout=60)
    before = set(client.run(os.getpid).values())
    found = results([job(2)], tmp_path, client, 1)
    assert isinstance(found[2], TimeoutError)
    assert "took longer than 1 s" in str(found[2])
    client.wait_for_workers(2, timeout=60)
    assert len(set(client.run(os.getpid).values()) & before) == 1
    assert results([job(0), job(4)], tmp_path, client, 120) == {0: 0, 4: 4}
