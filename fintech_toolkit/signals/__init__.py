"""Contracts against the S&P 500 and the VIX: beta, thresholds that widen with the VIX, and what came of signals."""

from fintech_toolkit.signals.features import COLUMNS, outcomes_flow, signals, signals_flow
from fintech_toolkit.signals.performance import Performance, performance
from fintech_toolkit.signals.settings import SignalSettings

__all__ = [
    "COLUMNS",
    "Performance",
    "SignalSettings",
    "outcomes_flow",
    "performance",
    "signals",
    "signals_flow",
]
