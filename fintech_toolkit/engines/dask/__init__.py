"""On Dask: plans and the evidence for them, the chain of state, shuffles, data sets, and the routes of a join."""
