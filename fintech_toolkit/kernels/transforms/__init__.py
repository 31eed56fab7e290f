"""Columns brought into another shape."""
