"""What all tests share: real data, a cluster of processes, and the plugins that start real parts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

pytest_plugins = ["tests.kafka", "tests.browser"]

# In Python 3.11 a thread that looks at what all threads do, as the profile of Dask does, locks itself up if it collects
# rubbish meanwhile (github.com/python/cpython/issues/106883): in workers of this process all tests would stop.
dask.config.set({"distributed.worker.profile.enabled": False})

# A job in the background of a shell ignores Ctrl-C, and so would the programs that tests start to send it one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup` a file stays in one process, unless its tests name groups of their own."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(name=item.nodeid.partition("::")[0]))


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
