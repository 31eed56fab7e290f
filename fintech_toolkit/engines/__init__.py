"""How a pipeline runs: on arrays and frames in memory, on Dask, live. All drive the same scans."""
