"""Panels of enriched ticks, as plots and as the dashboard of a live feed."""

from fintech_toolkit.dashboards.catalogue import KernelCatalogue, kernel_definitions
from fintech_toolkit.dashboards.drawn_kernels import plot_kernel
from fintech_toolkit.dashboards.live import live_dashboard
from fintech_toolkit.dashboards.panels import Panel, quote_panels
from fintech_toolkit.dashboards.plots import plot_panels
from fintech_toolkit.dashboards.server import serve

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
