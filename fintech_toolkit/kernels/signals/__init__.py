"""Signals: sensitivities, thresholds, and what came of trades upon them."""
