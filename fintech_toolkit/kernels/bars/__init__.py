"""Bars and events made of ticks."""
