"""What Dask's worker processes should be started with."""

from __future__ import annotations

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
