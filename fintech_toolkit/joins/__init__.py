"""Joins of one feed with another: as of a time, with what they matched and what not."""
