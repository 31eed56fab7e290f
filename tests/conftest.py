"""What all tests share: real data, a cluster of processes, and the plugins that start real parts."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import dask
import pytest
from distributed import Client, LocalCluster

pytest_plugins = ["tests.kafka", "tests.browser"]

# In Python 3.11 a thread that looks at what all threads do, as the profile of Dask does, locks itself up if it collects
# rubbish meanwhile (github.com/python/cpython/issues/106883): in workers of this process all tests would stop.
dask.config.set({"distributed.worker.profile.enabled": False})

# Clusters that wait for the next test look at themselves fifty times a second, which is a tenth of a core.
dask.config.set({"distributed.admin.tick.interval": "1s", "distributed.admin.system-monitor.interval": "5s"})

# A job in the background of a shell ignores Ctrl-C, and so would the programs that tests start to send it one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Fifteen thousand tests and all that they import stay: what looks for rubbish need not look through them each time.
@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


CONTRACT, GROUPS = "tests/kernels/test_contract.py", 4
LONGEST = (
    CONTRACT,
    "tests/kernels/test_bounds.py",
    "tests/kernels/test_processors.py",
    "tests/test_numba_cache.py",
    "tests/test_notebooks.py",
    "tests/orders/test_run.py",
)
"""Files that take minutes."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `-n` the longest files come first: at the end a process would be at one alone.

    The contract is the first of all: what others need compiled, it leaves on disk.
    """
    if hasattr(config, "workerinput"):
        places = {file: place for place, file in enumerate(LONGEST)}
        items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n` a file stays in one process, but for the contract: its tests are dealt out by kernel.

    What compiles a kernel keeps it, and all of them together fill a process's memory.
    """
    from xdist.scheduler import LoadFileScheduling

    from fintech_toolkit.kernels import registry

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            if file != CONTRACT:
                return file
            words = test.partition("[")[2].rstrip("]").split("-")
            kernel = next((word for word in words if word in registry()), "")
            return f"{file}, {crc32(kernel.encode()) % GROUPS}"

    return ByFile(config, log)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded ticks and orders; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("FINTECH_TOOLKIT_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "market_ticks").is_dir():
        pytest.skip(f"no recorded ticks at {folder}; set FINTECH_TOOLKIT_REAL_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes, of one thread each; connect with `Client(cluster)` for as long as they are to be used."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    """A client of the two worker processes, which then run all that Dask computes."""
    with Client(cluster) as client:
        yield client
