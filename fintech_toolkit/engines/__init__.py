"""How pipelines and joins run: in memory, and on Dask. All drive the same scans."""
