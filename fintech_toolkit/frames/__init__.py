"""Frames of pandas and Arrow and dicts of arrays, seen alike: their columns, symbols, times, order and dtypes."""
