"""What is measured: a function for each table, its first line being the title; `short` is a form of seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]
Table = Callable[[bool], Rows]


def arrays(short: bool) -> Rows:
    """One kernel on one array: a call on a million rows, and one on a thousand."""
    from benchmarks import bench_arrays

    return bench_arrays.run(short)


def several_series(short: bool) -> Rows:
    """Several series and several parameters in one call."""
    from benchmarks import bench_arrays

    return bench_arrays.several(short)


def kernels(short: bool) -> Rows:
    """One kernel on a frame of symbols, against the usual libraries."""
    from benchmarks import bench_kernels

    return bench_kernels.run(short)


def pipeline(short: bool) -> Rows:
    """Five steps, from frame to frame: mid, log return, EWMA and EW deviation, rolling z-score."""
    from benchmarks import bench_pipeline

    return bench_pipeline.run(short)


def cost_against_size(short: bool) -> Rows:
    """The same five steps against rows and symbols."""
    from benchmarks import bench_pipeline

    return bench_pipeline.cost_against_size(short)


def small_frames(short: bool) -> Rows:
    """A run of five steps, frame by frame of few rows and tick by tick: mid, log return, EWMA, OFI, rolling z-score."""
    from benchmarks import bench_pipeline

    return bench_pipeline.small(short)


def asof_join(short: bool) -> Rows:
    """As-of join of 1 million trades with 10 million quotes."""
    from benchmarks import bench_asof

    return bench_asof.run(1_000, 10_000, 1) if short else bench_asof.run()


def horizon_join(short: bool) -> Rows:
    """Mid prices at 20 horizons of 1 million trades, among 10 million quotes."""
    from benchmarks import bench_horizon

    return bench_horizon.run(1_000, 10_000, 1) if short else bench_horizon.run()


def lookup(short: bool) -> Rows:
    """Trades that meet 10 million securities by ISIN, four columns taken."""
    from benchmarks import bench_lookup

    return bench_lookup.run(1_000, 5_000, 1) if short else bench_lookup.run()


def books(short: bool) -> Rows:
    """The book of twenty dealers after every quote, against Polars and DuckDB: best bid and offer, top five levels."""
    from benchmarks import bench_books

    return bench_books.run(5_000, 5_000) if short else bench_books.run()


def on_dask(short: bool) -> Rows:
    """The same five steps on Dask, two worker processes, from Parquet to Parquet, against Polars from scan to sink."""
    from benchmarks import bench_dask

    return bench_dask.run(20_000, 4, 1) if short else bench_dask.run()


def modes(short: bool) -> Rows:
    """The same five steps in one process and on Dask workers, from Parquet to Parquet: seconds, and times as fast."""
    from benchmarks import bench_modes

    return bench_modes.run(((1_000, 2),), (2,), 1) if short else bench_modes.run()


def generators(short: bool) -> Rows:
    """Market data made: rows, time and memory by format and size."""
    import tempfile

    from benchmarks import bench_generators

    with tempfile.TemporaryDirectory() as folder:
        cases = bench_generators.cases(share=0.001 if short else 1.0, workers=2, out=Path(folder))
        # Each case is a program that is started: in the short form a third of them, with something of each sort.
        return bench_generators.run(cases[::3] if short else cases)


def every_kernel(short: bool) -> Rows:
    """Every kernel on arrays of 5 million ticks of 1,000 interleaved symbols, windows of 100 rows."""
    from benchmarks import bench_catalogue

    return bench_catalogue.speeds(2_000, 10) if short else bench_catalogue.speeds(5_000_000, 1_000)


def every_window(short: bool) -> Rows:
    """Every kernel of a window against its length: ten interleaved symbols of 50,000 ticks."""
    from benchmarks import bench_catalogue

    return (
        bench_catalogue.lengths(2_000, (10, 100)) if short else bench_catalogue.lengths(500_000, (100, 1_000, 10_000))
    )


def flows(short: bool) -> Rows:
    """A dataflow over files: filter, as-of join, reference join and five steps, against lazy Polars and DuckDB."""
    from benchmarks import bench_flows

    if short:
        return bench_flows.run(5_000, 2_000, 20, 1)
    sizes = ((1_200_000, 3), (12_000_000, 2))
    return [row for rows, repeats in sizes for row in bench_flows.run(rows, 1_000_000, 90, repeats)]


def cross_sections(short: bool) -> Rows:
    """All symbols of a time: ranks, z-scores and an index, frame to frame, against pandas and Polars."""
    from benchmarks import bench_cross_section

    return bench_cross_section.run(20, 50, 1) if short else bench_cross_section.run(5_000, 1_000, 3)


def orders_taken_in(short: bool) -> Rows:
    """Order states from CSV to files by security and day and to final states, against Polars and DuckDB."""
    from benchmarks import bench_orders

    return bench_orders.taken_in(2, 2, 500, ()) if short else bench_orders.taken_in(20, 10, 40_000)


def orders_whole(short: bool) -> Rows:
    """Orders from CSV to report: a run over securities and days, by workers and chunks."""
    from benchmarks import bench_orders

    cases = ((1, "512 MB"),) if short else ((1, "512 MB"), (2, "512 MB"), (4, "512 MB"), (2, "1 GB"), (2, "2 GB"))
    return bench_orders.whole(2, 2, 500, cases) if short else bench_orders.whole(20, 1, 500_000, cases)


def orders_simulated(short: bool) -> Rows:
    """Orders of one security and day in the dark pool, one process."""
    from benchmarks import bench_orders

    return bench_orders.simulated((2_000,), 1) if short else bench_orders.simulated((20_000, 200_000, 2_000_000), 5)


def signals(short: bool) -> Rows:
    """Signals of contracts against the VIX and the S&P 500: the whole table, against a loop over rows and Polars."""
    from benchmarks import bench_signals

    return bench_signals.run(2, 40, 200, 1) if short else bench_signals.run()


def signals_on_dask(short: bool) -> Rows:
    """Signals of many contracts on Dask, two worker processes, from Parquet to Parquet."""
    from benchmarks import bench_signals

    return bench_signals.on_dask(4, 10, 80, 2, 1) if short else bench_signals.on_dask()


TABLES: tuple[Table, ...] = (
    arrays,
    several_series,
    kernels,
    pipeline,
    cost_against_size,
    small_frames,
    asof_join,
    horizon_join,
    lookup,
    books,
    flows,
    cross_sections,
    signals,
    signals_on_dask,
    on_dask,
    modes,
    generators,
    every_kernel,
    every_window,
    orders_taken_in,
    orders_simulated,
    orders_whole,
)
