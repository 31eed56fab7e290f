"""Liquidity: what it costs to trade, told from prices and volumes."""
