"""What Dask's worker processes should be started with."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

WORKER_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "MALLOC_MMAP_THRESHOLD_": str(2**30),
        "MALLOC_TRIM_THRESHOLD_": str(2**30),
        "MALLOC_TOP_PAD_": str(2**26),
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        # As Dask has them: its workers are what runs side by side. Arrow heeds the first.
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
)
"""Environment variables that let a worker keep the memory of one partition's columns for the next one's.

By default glibc gives large arrays back to the system as soon as they are freed, and each partition pays for fetching
them again, page by page: a third of all time where partitions are of some 100 MB. A worker's memory is then what its
largest partition needs, as before; it is only not given back in between. To be set before a cluster starts::

    dask.config.set({"distributed.nanny.pre-spawn-environ": dict(ft.WORKER_ENVIRONMENT)})
"""
