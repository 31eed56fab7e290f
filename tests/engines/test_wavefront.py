"""The wavefront itself: what waits for what, on how many threads, and what becomes of an error."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from numba.core import config

from fintech_toolkit.engines.memory.wavefront import cut, run_wavefront
from fintech_toolkit.scan.threads import one_thread

PATIENCE = 20
several_threads = pytest.mark.skipif(config.NUMBA_NUM_THREADS < 2, reason="one thread is all that there is")  # type: ignore[attr-defined]

Steps = list[tuple[bool, Callable[[int], Any]]]


def ignore(chunk: int) -> None:
    """Do nothing with a chunk."""


def threads_of(chunks: int, patience: float = 0.2) -> set[int]:
    """Return the threads that chunks are worked on by, the first two until both are there or the patience has ended."""
    seen: set[int] = set()
    both = threading.Barrier(2)

    def step(chunk: int) -> None:
        seen.add(threading.get_ident())
        if chunk < 2:
            with suppress(threading.BrokenBarrierError):
                both.wait(patience)

    run_wavefront(chunks, [(False, step)])
    return seen


def test_rows_are_cut_without_a_rest() -> None:
    assert cut(0, 10) == [slice(0, 0)]
    assert cut(9, 10) == [slice(0, 9)]
    assert cut(10, 10) == [slice(0, 10)]
    assert cut(11, 10) == [slice(0, 10), slice(10, 11)]
    assert cut(25, 10) == [slice(0, 10), slice(10, 20), slice(20, 25)]


@pytest.mark.parametrize("chunks", [1, 2, 3, 40])
def test_every_step_meets_every_chunk_once(chunks: int) -> None:
    met: dict[int, list[int]] = defaultdict(list)
    run_wavefront(chunks, [(j % 2 == 0, met[j].append) for j in range(4)])
    assert {j: sorted(seen) for j, seen in met.items()} == {j: list(range(chunks)) for j in range(4)}
    assert met[0] == met[2] == list(range(chunks)), "what carries state meets chunks in their order"


def test_a_chunk_meets_the_steps_in_their_order() -> None:
    met: dict[int, list[int]] = defaultdict(list)
    steps: Steps = [(j == 1, lambda chunk, j=j: met[chunk].append(j)) for j in range(3)]
    run_wavefront(20, steps)
    assert met == {chunk: [0, 1, 2] for chunk in range(20)}


@several_threads
def test_a_step_with_state_waits_for_the_chunk_before_and_one_without_does_not() -> None:
    ahead = threading.Event()
    order: list[tuple[str, int]] = []

    def read(chunk: int) -> None:
        if chunk == 0:
            # The chunk behind has been read already: reading waits for nobody.
            assert ahead.wait(PATIENCE)
        if chunk == 1:
            ahead.set()
        order.append(("read", chunk))

    def scan(chunk: int) -> None:
        order.append(("scan", chunk))

    run_wavefront(2, [(False, read), (True, scan)])
    assert order.index(("read", 1)) < order.index(("read", 0))
    assert order.index(("scan", 0)) < order.index(("scan", 1))


@several_threads
def test_chunks_are_side_by_side_unless_somebody_else_keeps_the_cores_busy() -> None:
    assert len(threads_of(2, PATIENCE)) == 2
    with one_thread():
        assert len(threads_of(5)) == 1
        with one_thread():
            assert len(threads_of(5)) == 1
        assert len(threads_of(5)) == 1
    assert len(threads_of(2, PATIENCE)) == 2
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert len(threads_of(2, PATIENCE)) == 2


def test_one_chunk_stays_on_the_thread_that_calls() -> None:
    assert threads_of(1) == {threading.get_ident()}


@pytest.mark.parametrize("chunks", [1, 2, 9])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt("no")])
def test_an_error_ends_it_and_no_later_chunk_is_touched(chunks: int, at: int, error: BaseException) -> None:
    last = chunks - 1
    bad = max(0, last - 1)
    scanned: list[int] = []

    def fail(chunk: int) -> None:
        if chunk == bad:
            raise error

    steps: Steps = [(True, ignore), (True, ignore), (True, scanned.append)]
    steps[at] = (True, fail)
    with pytest.raises(type(error), match="no"):
        run_wavefront(chunks, steps)
    assert scanned == list(range(bad if at < 2 else 0))
    ignored: list[int] = []
    run_wavefront(chunks, [(True, ignored.append)])
    assert ignored == list(range(chunks)), "what failed before leaves nothing behind"


def test_the_error_of_the_first_chunk_is_the_one_that_is_raised() -> None:
    def fail(chunk: int) -> None:
        raise ValueError(f"chunk {chunk}")

    for _ in range(5):
        with pytest.raises(ValueError, match="chunk 0"):
            run_wavefront(6, [(False, fail)])
