"""Panels of enriched ticks, as plots and as the dashboard of a live feed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fintech_toolkit.dashboards.live import live_dashboard
from fintech_toolkit.dashboards.panels import Panel, quote_panels
from fintech_toolkit.dashboards.plots import plot_panels
from fintech_toolkit.dashboards.server import serve

if TYPE_CHECKING:
    from fintech_toolkit.dashboards.catalogue import KernelCatalogue, kernel_definitions
    from fintech_toolkit.dashboards.drawn_kernels import plot_kernel

__all__ = [
    "KernelCatalogue",
    "Panel",
    "kernel_definitions",
    "live_dashboard",
    "plot_kernel",
    "plot_panels",
    "quote_panels",
    "serve",
]

_OF_KERNELS = {"KernelCatalogue": "catalogue", "kernel_definitions": "catalogue", "plot_kernel": "drawn_kernels"}


def __getattr__(name: str) -> Any:
    if name not in _OF_KERNELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # They import what kernels are checked with, for which no report of orders or signals should wait.
    return getattr(import_module(f"{__name__}.{_OF_KERNELS[name]}"), name)
