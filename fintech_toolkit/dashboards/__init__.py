"""Plots of enriched quotes, and a dashboard of a live feed."""

from fintech_toolkit.dashboards.live import live_dashboard
from fintech_toolkit.dashboards.plots import quote_plots
from fintech_toolkit.dashboards.server import serve

__all__ = ["live_dashboard", "quote_plots", "serve"]
