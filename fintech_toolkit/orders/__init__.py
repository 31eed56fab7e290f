"""Orders at scale: from order states and trades to classified orders, a simulated dark pool and reports."""
