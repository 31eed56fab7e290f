"""Measures of two symbols whose ticks are not aligned."""
