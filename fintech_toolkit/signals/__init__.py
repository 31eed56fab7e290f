"""Contracts against the S&P 500 and the VIX: beta, thresholds that widen with the VIX, and what came of signals."""

from fintech_toolkit.signals.settings import SignalSettings

__all__ = ["SignalSettings"]
