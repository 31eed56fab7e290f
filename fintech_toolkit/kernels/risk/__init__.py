"""Positions and risk."""
