"""How pipelines and joins run: in memory, on Dask, and live. All drive the same scans."""
