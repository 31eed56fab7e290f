"""Moving averages and oscillators, as charting libraries define them."""
