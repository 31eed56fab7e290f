"""Complex events: what has to happen, in which order, and how soon."""
