"""How many threads run side by side, and work that is cut into jobs of which none waits for another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from numba.core import config

_busy: ContextVar[bool] = ContextVar("busy", default=False)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run on the calling thread: where somebody else, such as Dask, already keeps all cores busy."""
    token = _busy.set(True)
    try:
        yield
    finally:
        _busy.reset(token)


def threads(most: int) -> int:
    """Return on how many threads so many pieces of work run."""
    cores: int = 1 if _busy.get() else config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    return min(most, cores)


FEW = 131_072
"""Ticks of which a thread costs more than it takes."""


def side_by_side(run: Callable[[Any], None], jobs: Sequence[Any], ticks: int) -> None:
    """Do some jobs, which come to so many ticks together."""
    several = threads(len(jobs)) if ticks > FEW else 1
    if several <= 1:
        for job in jobs:
            run(job)
        return
    waiting = iter(jobs)  # each thread takes the next one: a future for each would take longer than a short job

    def work() -> None:
        for job in waiting:
            run(job)

    with ThreadPoolExecutor(several) as pool:
        for future in [pool.submit(work) for _ in range(several)]:
            future.result()
