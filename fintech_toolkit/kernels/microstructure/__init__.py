"""Quotes, spreads and order flow."""
