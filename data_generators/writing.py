"""Data sets on disk: partitions made side by side by worker processes, whole or clearly not."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv

from data_generators.datasets import (
    Dataset,
    block_size,
    find_dataset,
    make_market,
    rebatch,
    row_count,
    row_range,
    whole_number,
)
from data_generators.errors import GeneratorError
from data_generators.faults import FAULTS_SCHEMA, Faults
from data_generators.folder import Plan, disk_errors, finish, fragment_name, part_name, prepare, written_aside
from data_generators.formats import find_format
from data_generators.market import Market

# Counted up when a seed gives other data than before: no run goes on from an older one's partitions.
_EDITION = 2
_ROW_GROUP_ROWS = 131_072


@dataclass(frozen=True)
class Report:
    """What a run did.

    Parameters
    ----------
    folder : Path
        Where the data set is.
    rows, partitions, size : int
        Rows, files and bytes of the data set.
    found : int
        Partitions that an earlier, interrupted run had finished; all of them if there was nothing to do.
    """

    folder: Path
    rows: int
    partitions: int
    size: int
    found: int


def write(
    name: str,
    out: str | os.PathLike[str],
    rows: int | None = None,
    *,
    seed: int = 0,
    symbols: int = 1_000,
    profile: str = "narrow",
    format: str = "parquet",
    partitions: int | None = None,
    workers: int = 1,
    faults: Faults | None = None,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Report:
    """Write a data set to a folder of partitions.

    Each partition takes its name only when it is on the disk whole, and ``_manifest.json`` comes last: a
    folder without it is not whole. The same call goes on where an interrupted one stopped. Rows do not depend
    on partitions and workers, files do not depend on workers.

    Parameters
    ----------
    name : str
        ``"quotes"``, ``"securities"`` or ``"trades"``.
    out : path
        The folder.
    rows, seed, symbols, profile, faults
        As in `data_generators.stream`. With faults, ``_faults.csv`` lists them: row, kind, detail.
    format : str
        ``"parquet"`` and ``"arrow"`` hold canonical columns, ``"csv"`` and ``"jsonl"`` the names and texts
        of the wire (`data_generators.to_wire`).
    partitions : int, optional
        Files of nearly equal size; by default a file a trading day, or for each 524,288 securities.
    workers : int
        Processes. More than one need a main module that can be imported, as with `multiprocessing`.
    overwrite : bool
        Remove the files that the folder holds.
    progress : callable, optional
        Called with a number of rows whenever so many more are done.

    Returns
    -------
    Report

    Raises
    ------
    GeneratorError
        If an argument is out of its range, the folder holds something else, or the disk is full.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = write("trades", folder, rows=1_000, partitions=2)
    ...     len(pd.read_parquet(folder)), report.partitions
    (1000, 2)
    """
    dataset, market, faults = find_dataset(name, profile), make_market(seed, symbols), faults or Faults()
    faults.check_for(dataset.schema.names)
    find_format(format)
    rows = row_count(dataset, faults, rows)
    workers = whole_number(workers, "workers", least=1)
    bounds = _bounds(dataset, faults, rows, partitions)
    counts = [stop - start for start, stop in pairwise(bounds)]
    plan: Plan = {
        "edition": _EDITION,
        "dataset": name,
        "profile": profile,
        "rows": rows,
        "seed": market.seed,
        "symbols": market.symbols,
        "format": format,
        "partitions": len(counts),
        "bounds": bounds,
        "faults": asdict(faults) if faults.any() else None,
    }
    folder = Path(out)
    with disk_errors(folder):
        found = prepare(folder, plan, overwrite)
        if progress is not None:
            progress(sum(counts[partition] for partition in found.partitions))
        missing = [partition for partition in range(len(counts)) if partition not in found.partitions]
        task = partial(_write_partition, folder, plan, market, faults)
        for partition in _run(task, missing, min(workers, len(missing))):
            if progress is not None:
                progress(counts[partition])
        if found.whole:
            size = sum((folder / part_name(partition, plan)).stat().st_size for partition in range(len(counts)))
        else:
            listing = partial(_write_faults, folder, len(counts)) if faults.any() else None
            size = finish(folder, plan, counts, listing)
    return Report(folder, rows, len(counts), size, len(found.partitions))


def _bounds(dataset: Dataset, faults: Faults, rows: int, partitions: int | None) -> list[int]:
    """Return the row numbers at which the partitions start, and the end."""
    if partitions is None:
        step = block_size(dataset, faults) * dataset.partition_blocks
        return [*range(0, max(rows, 1), step), rows]
    partitions = whole_number(partitions, "partitions", least=1)
    return [number * rows // partitions for number in range(partitions + 1)]


def _write_partition(folder: Path, plan: Plan, market: Market, faults: Faults, partition: int) -> int:
    dataset = find_dataset(plan["dataset"], plan["profile"])
    start, stop = plan["bounds"][partition : partition + 2]
    listed = [FAULTS_SCHEMA.empty_table()]

    def tables() -> Iterator[pa.Table]:
        for table, faulty in row_range(dataset, market, faults, start, stop):
            listed.append(faulty)
            yield table

    # The list of faults first: a partition that has its name has its list.
    with written_aside(folder / part_name(partition, plan)) as file:
        find_format(plan["format"])(file, rebatch(tables(), _ROW_GROUP_ROWS), dataset)
        if faults.any():
            with (
                written_aside(folder / fragment_name(partition)) as fragment,
                pa.ipc.new_file(fragment, FAULTS_SCHEMA) as writer,
            ):
                writer.write_table(pa.concat_tables(listed))
    return partition


def _write_faults(folder: Path, partitions: int, file: BinaryIO) -> None:
    with pa.csv.CSVWriter(file, FAULTS_SCHEMA) as writer:
        for partition in range(partitions):
            with pa.ipc.open_file((folder / fragment_name(partition)).read_bytes()) as reader:
                writer.write_table(reader.read_all())


def _run(task: Callable[[int], int], partitions: list[int], workers: int) -> Iterator[int]:
    """Yield the partitions as they get done, by this process or by several."""
    if workers <= 1:
        yield from map(task, partitions)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        futures: list[Future[int]] = [pool.submit(task, partition) for partition in partitions]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise GeneratorError(
                "a worker process died: finished partitions are kept; run the same command again to go on"
            ) from error
        finally:
            # On an error or an interruption: what runs is finished, what waits is not begun.
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    # The parent hears Ctrl-C and stops the work in order; a worker must not outlive it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
