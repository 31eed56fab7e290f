"""Steps over chunks, side by side: a step of a chunk waits only for the same step of the chunk before.

No chunk waits for a chunk behind it, so threads that take the chunks in order cannot block each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fintech_toolkit.scan.threads import threads

MORSEL = 131_072
"""Rows of a chunk: its columns stay in a core's cache from step to step."""


def cut(rows: int, size: int, first: int = 0) -> list[slice]:
    """Cut so many rows from the first on into chunks; a few are one."""
    end = first + rows
    return [slice(start, min(start + size, end)) for start in range(first, end, size)] or [slice(first, first)]


def run_wavefront(chunks: int, steps: Sequence[tuple[bool, Callable[[int], Any]]]) -> None:
    """Run every step on every chunk.

    Parameters
    ----------
    chunks : int
        How many chunks.
    steps : list of (bool, callable)
        Whether the step carries state from chunk to chunk, and what it does with chunk number c.
    """
    side_by_side = threads(chunks)
    if side_by_side <= 1:
        for c in range(chunks):
            for _, step in steps:
                step(c)
        return
    done: list[list[Future[None]]] = [[Future() for _ in range(chunks)] for _ in steps]

    def process(c: int) -> None:
        s = 0
        try:
            for s, (stateful, step) in enumerate(steps):
                if stateful and c > 0:
                    done[s][c - 1].result()
                step(c)
                done[s][c].set_result(None)
        except BaseException as error:
            for row in done[s:]:
                row[c].set_exception(error)
            raise

    with ThreadPoolExecutor(side_by_side) as pool:
        for future in [pool.submit(process, c) for c in range(chunks)]:
            future.result()
