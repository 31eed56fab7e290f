"""Benchmarks of execution."""
