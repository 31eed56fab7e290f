"""Quality and safety: ticks that are not to be believed, and orders that are not to be sent."""
