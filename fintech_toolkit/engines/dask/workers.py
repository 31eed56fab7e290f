"""Workers of Dask: what their processes should be started with, and a client of those that a command is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fintech_toolkit.errors import ParameterError

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # As Dask has them: its workers are what runs side by side. Arrow heeds the first.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# In Python 3.11 a thread that looks at what all threads do locks itself up if it collects rubbish meanwhile
# (github.com/python/cpython/issues/106883), and in this process nothing would run any more.
_UNWATCHED = {"distributed.worker.profile.enabled": False}
# A terminal sends Ctrl-C to all processes: the one that started the others ends them, and they need not say so too.
_DEAF = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"


def configure_workers() -> None:
    """Have Dask start its worker processes so that they keep the memory of one partition for the next.

    By default glibc gives large arrays back to the system as soon as they are freed, and each partition pays for
    fetching them again, page by page: a third of all time where partitions are of some 100 MB. With this a worker's
    memory is what its largest partition needs, as before; it is only not given back in between.

    Sets ``distributed.nanny.pre-spawn-environ`` in Dask's configuration: call it before the cluster starts. Has no
    effect on workers of other machines, which take their environment from where they are started.

    Returns
    -------
    None

    Examples
    --------
    >>> import dask, fintech_toolkit as ft
    >>> ft.configure_workers()
    >>> dask.config.get("distributed.nanny.pre-spawn-environ.ARROW_DEFAULT_MEMORY_POOL")
    'system'
    """
    import dask

    dask.config.set({"distributed.nanny.pre-spawn-environ": ENVIRONMENT})


@contextmanager
def connected(scheduler: str, workers: int | None, **options: Any) -> Iterator[Any]:
    """Give a client of a scheduler, or of a cluster of its own that ends with it.

    Parameters
    ----------
    scheduler : str
        Its address, such as ``tcp://127.0.0.1:8786``, or ``local`` for workers on this machine.
    workers : int, optional
        How many processes work on this machine; this process does, if left out.
    **options
        Of the `distributed.LocalCluster`.

    Raises
    ------
    ParameterError
        If there is no scheduler at the address, or both it and `workers` are given.
    """
    import dask
    from distributed import Client, LocalCluster

    if scheduler != "local":
        if workers is not None:
            raise ParameterError(
                "--workers starts processes on this machine; leave it out with the address of a scheduler."
            )
        try:
            client = Client(scheduler, timeout="10s")  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise ParameterError(f"--scheduler {scheduler}: there is none at this address ({error}).") from None
        with client:
            yield client
        return
    configure_workers()
    # In this process, or in as many as are asked for; nothing that listens is seen by other machines.
    how: dict[str, Any] = {"processes": False, "n_workers": 1}
    if workers is not None:
        how = {"n_workers": workers, "threads_per_worker": 1, "preload": [_DEAF]}
    with (
        dask.config.set(_UNWATCHED if workers is None else {}),
        LocalCluster(dashboard_address="127.0.0.1:0", **how, **options) as cluster,  # type: ignore[no-untyped-call]
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        yield client
