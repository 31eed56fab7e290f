"""fintech_toolkit: one kernel, the same number on an array, a frame, a Dask cluster and a live feed."""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from fintech_toolkit import calls, kernels
from fintech_toolkit.authoring import event_kernel, tick_kernel, window_kernel
from fintech_toolkit.dataflow import Flow, cross_section, source
from fintech_toolkit.engines.dask.workers import configure_workers
from fintech_toolkit.engines.memory.asof_summary import AsofSummary
from fintech_toolkit.engines.memory.flow_run import FlowRun, FlowState
from fintech_toolkit.engines.memory.key_report import KeyReport
from fintech_toolkit.engines.memory.pairs import to_pairs
from fintech_toolkit.engines.memory.resumable_asof import AsofJoin
from fintech_toolkit.engines.memory.run import Run
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.errors import (
    ColumnError,
    DataError,
    FintechToolkitError,
    KernelError,
    ParameterError,
    PipelineError,
    StateError,
)
from fintech_toolkit.horizons import horizon_join, interval_join, window_join
from fintech_toolkit.joins import asof_explain, asof_join, asof_summary
from fintech_toolkit.kernels import catalogue
from fintech_toolkit.pipeline import Pipeline
from fintech_toolkit.reference import ReferenceTable, explain_keys
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.steps import Step

if TYPE_CHECKING:
    from fintech_toolkit.checking.report import check_kernel
    from fintech_toolkit.engines.dask.partitions import (
        partition_by_symbol,
        partition_of,
        read_partitioned,
        write_partitioned,
    )
    from fintech_toolkit.engines.dask.run import DaskRun
    from fintech_toolkit.enrichment import Enrichment, enrich

__all__ = [
    "AsofJoin",
    "AsofSummary",
    "ColumnError",
    "DaskRun",
    "DataError",
    "Enrichment",
    "FintechToolkitError",
    "Flow",
    "FlowRun",
    "FlowState",
    "Kernel",
    "KernelError",
    "KeyReport",
    "ParameterError",
    "Pipeline",
    "PipelineError",
    "ReferenceTable",
    "Run",
    "State",
    "StateError",
    "Step",
    "asof_explain",
    "asof_join",
    "asof_summary",
    "catalogue",
    "check_kernel",
    "configure_workers",
    "cross_section",
    "enrich",
    "event_kernel",
    "explain_keys",
    "horizon_join",
    "interval_join",
    "partition_by_symbol",
    "partition_of",
    "read_partitioned",
    "source",
    "tick_kernel",
    "to_pairs",
    "window_join",
    "window_kernel",
    "write_partitioned",
]


Kernel.on_data = staticmethod(calls.call)
Kernel.on_declared = staticmethod(kernels.declare)
Step.in_a_row = Pipeline


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("fintech-toolkit")
    if name.startswith("_"):
        raise AttributeError(name)
    if name in {"enrichment", "orders", "recipes", "signals"}:  # rooms of their own, made of these names
        return import_module(f"fintech_toolkit.{name}")
    if name in __all__:  # what imports Dask, which takes a while, or what is made of these names
        elsewhere = {
            "check_kernel": "checking.report",
            "DaskRun": "engines.dask.run",
            "enrich": "enrichment",
            "Enrichment": "enrichment",
        }
        module = elsewhere.get(name, "engines.dask.partitions")
        return getattr(import_module(f"fintech_toolkit.{module}"), name)
    # The registry is the only list of kernels, beside the user's own.
    kernel = kernels.find(name)
    if not kernel.own:
        globals()[name] = kernel  # found at once from now on
    return kernel


def __dir__() -> list[str]:
    return [*__all__, *kernels.places(), *kernels.offered(), "__version__"]
