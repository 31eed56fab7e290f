"""Contracts against the S&P 500 and the VIX: beta, thresholds that widen with the VIX, and what came of signals."""

from fintech_toolkit.signals.features import COLUMNS, outcomes_flow, signals, signals_flow
from fintech_toolkit.signals.gate import Verdict, check
from fintech_toolkit.signals.performance import Performance, performance
from fintech_toolkit.signals.results import read_results
from fintech_toolkit.signals.settings import SignalSettings

__all__ = [
    "COLUMNS",
    "Performance",
    "SignalSettings",
    "Verdict",
    "check",
    "outcomes_flow",
    "performance",
    "read_results",
    "signals",
    "signals_flow",
]
