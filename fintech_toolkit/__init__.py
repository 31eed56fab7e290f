"""fintech_toolkit: one kernel, the same number on an array, a frame, a Dask cluster and a live feed."""

from __future__ import annotations

from typing import Any

from fintech_toolkit import kernels
from fintech_toolkit.kernels import catalogue
from fintech_toolkit.kernels.declare import Kernel, Step

__all__ = ["Kernel", "Step", "catalogue"]


def __getattr__(name: str) -> Any:
    # The registry is the only list of kernels.
    if name.startswith("_"):
        raise AttributeError(name)
    return kernels.get(name)


def __dir__() -> list[str]:
    return [*__all__, *kernels.registry()]
