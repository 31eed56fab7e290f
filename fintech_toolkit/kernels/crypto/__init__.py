"""Crypto markets: funding, basis, open interest, liquidations, venues."""
