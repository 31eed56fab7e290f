"""Compiled kernels on disk: processes that start together do not spoil them, and it goes without them too."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fintech_toolkit.authoring import Kernel, tick_kernel
from fintech_toolkit.errors import KernelError
from fintech_toolkit.kernels import get
from fintech_toolkit.scan import arithmetic, compiled_loops, loops, slots
from fintech_toolkit.scan.fingerprint import fingerprint
from tests.stress import dealt

PROCESSES = 6
ROUNDS, OF_SHORT_FORM = 20, 1

WORK = """
import hashlib
import numpy as np, pandas as pd, fintech_toolkit as ft

def digest(writeable):
    price = np.random.default_rng(0).lognormal(size=1_000).cumsum()
    price.flags.writeable = writeable
    frame = pd.DataFrame({"symbol": ["A", "B"] * 500, "ts": np.arange(1_000), "price": price})
    pipeline = ft.Pipeline(ft.log_returns("price"), ft.ewma("log_return", halflife=9))
    return hashlib.sha256(pipeline(frame)[["log_return", "ewma"]].to_numpy().tobytes()).hexdigest()
"""

# Forked, once the imports are done, and held at a barrier: they come to the cache closer together than any that are
# started one by one. All that the parent compiles is a function of its own, which makes Numba's compiler ready.
TOGETHER = f"""
{WORK}
import multiprocessing, numba, os
from concurrent.futures import ProcessPoolExecutor

def meet(shared):
    global barrier
    barrier = shared

def race(number):
    barrier.wait()
    return os.getpid(), digest(writeable=number % 2 == 0)

numba.njit(lambda x: x + 1)(1.0)
fork = multiprocessing.get_context("fork")
for processes in ({PROCESSES}, 1):  # a crowd on an empty cache, then one on what the crowd has left
    shared = fork.Barrier(processes)
    with ProcessPoolExecutor(processes, mp_context=fork, initializer=meet, initargs=(shared,)) as pool:
        results = dict(pool.map(race, range(processes)))
        assert len(results) == processes
        print(*results.values(), sep="\\n")
"""


def python(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def expected() -> str:
    """The numbers as this process computes them."""
    namespace: dict[str, object] = {}
    exec(WORK, namespace)
    result = namespace["digest"](writeable=True)  # type: ignore[operator]
    assert len(result) == 2 * hashlib.sha256().digest_size
    return str(result)


@pytest.mark.parametrize("_round", dealt(range(ROUNDS), OF_SHORT_FORM))
def test_processes_that_start_at_once_on_an_empty_cache(_round: int, tmp_path: Path, expected: str) -> None:
    done = python(TOGETHER, NUMBA_CACHE_DIR=str(tmp_path))
    assert done.stdout.split() == [expected] * (PROCESSES + 1)
    assert list(tmp_path.rglob("*.ewma_*.nbi")), "nothing was cached, so nothing was raced for"


TEXTS = """
import numpy as np, pandas as pd, pyarrow as pa, fintech_toolkit as ft
from fintech_toolkit.scan.names import as_keys

names = np.array(["A", "a name of many bytes"] * 1_000, dtype=object)
series, array = pd.Series(names), pa.array(names)
for column in (series, series.astype("category"), array, array.cast(pa.large_string())):
    assert len(set(as_keys(column, "name"))) == 2
    ft.Pipeline(ft.diff("x"), time=None)({"symbol": column, "x": np.ones(2_000)})
    left, right = pa.table({"symbol": pa.array(column)}), pa.table({"symbol": names[:2], "number": [1, 2]})
    print(sum(ft.source("left").join(ft.source("right"), on="symbol")(left=left, right=right)["number"].to_pylist()))
"""


def test_what_reads_texts_is_compiled_for_one_sort_of_arguments(tmp_path: Path) -> None:
    """Of several, Numba confuses what processes save that start at once."""
    assert python(TEXTS, NUMBA_CACHE_DIR=str(tmp_path)).stdout.split() == ["3000"] * 4
    assert list(tmp_path.rglob("hashing.same_bytes-*.1.nbc"))
    assert not list(tmp_path.rglob("*.2.nbc"))


def test_without_a_folder_to_write_to_it_works_and_says_so_once(tmp_path: Path, expected: str) -> None:
    (tmp_path / "file").touch()
    done = python(
        f"{WORK}\nprint(digest(True))\nft.log_returns([1.0, 2.0])",
        # Below a file there can be no folder, not even for root; and no other place may be tried.
        NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"),
        NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator",
    )
    assert done.stdout.strip() == expected
    assert done.stderr.count("no cache folder is writable. Set NUMBA_CACHE_DIR") == 1


def loop_name(kernel: Kernel, *, series: bool = False) -> str:
    return compiled_loops.name_loop(kernel, 0, session=False, by_time=False, series=series)[0]


def test_a_loop_is_named_after_all_that_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = get("realized_var")
    names = {loop_name(kernel), loop_name(kernel, series=True)}
    assert len(names) == 2
    for module, name, value in (
        (compiled_loops, "REBUILD_AFTER", 9),
        (loops, "LOOP_WITH_SLOTS", loops.LOOP_WITH_SLOTS + "\n"),
        (compiled_loops, "INTRINSICS", ""),
        (arithmetic, "STALE", 1 << 29),
        (arithmetic, "LEAST_OF_SUM", 1e-6),
        (slots, "SLOT_HEADER", [(field, "i8") for field, _ in slots.SLOT_HEADER]),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(module, name, value)
            assert loop_name(kernel) not in names, name
    with monkeypatch.context() as changed:
        changed.setattr(loops, "SERIES_WITH_SLOTS", loops.SERIES_WITH_SLOTS + "\n")
        assert loop_name(kernel, series=True) not in names
    assert names == {loop_name(kernel), loop_name(kernel, series=True)}


def test_what_cannot_be_part_of_a_loops_name_is_refused() -> None:
    for used, message in ((slots, "a module"), ([1, 2], "a list")):
        with pytest.raises(KernelError, match=message):
            fingerprint("used", used, set(), hashlib.sha256())

    def scaled(factor: float) -> Kernel:
        @tick_kernel(reads="x", gives="y", source="definition")
        def closes(x: float) -> float:
            return factor * x

        return closes

    assert loop_name(scaled(1.0)) != loop_name(scaled(2.0))
