"""Realised variation."""
