"""In memory: a run along the wavefront, its state, and the as-of join."""
