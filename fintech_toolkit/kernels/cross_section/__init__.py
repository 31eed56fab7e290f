"""Values that depend on all symbols of a time: ranks, z-scores, residuals, weights, and what a market comes to."""
