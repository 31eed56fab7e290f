"""fintech_toolkit: one kernel, the same number on an array, a frame, a Dask cluster and a live feed."""

from __future__ import annotations

from typing import Any

from fintech_toolkit import kernels
from fintech_toolkit.engines.pairs import to_pairs
from fintech_toolkit.engines.runner import Run
from fintech_toolkit.engines.state import State
from fintech_toolkit.errors import (
    ColumnError,
    DataError,
    FintechToolkitError,
    ParameterError,
    PipelineError,
    StateError,
)
from fintech_toolkit.joins.asof import asof_join
from fintech_toolkit.joins.resumable import AsofJoin
from fintech_toolkit.joins.summary import AsofSummary, asof_summary
from fintech_toolkit.kernels import catalogue
from fintech_toolkit.kernels.declare import Kernel, Step
from fintech_toolkit.pipeline import Pipeline

__all__ = [
    "AsofJoin",
    "AsofSummary",
    "ColumnError",
    "DataError",
    "FintechToolkitError",
    "Kernel",
    "ParameterError",
    "Pipeline",
    "PipelineError",
    "Run",
    "State",
    "StateError",
    "Step",
    "asof_join",
    "asof_summary",
    "catalogue",
    "to_pairs",
]


def __getattr__(name: str) -> Any:
    # The registry is the only list of kernels.
    if name.startswith("_"):
        raise AttributeError(name)
    return kernels.get(name)


def __dir__() -> list[str]:
    return [*__all__, *kernels.registry()]
