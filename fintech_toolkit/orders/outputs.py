"""What a job writes: the same bytes for the same rows, each file whole or not there at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from isal import igzip

from fintech_toolkit.engines.memory.whole_file import write_whole
from fintech_toolkit.orders.language import NULL

ROWS_AT_ONCE = 8192
"""Of CSV: more than that take no less time, a thousand half as much again."""


def as_table(frame: pd.DataFrame) -> pa.Table:
    """Return a frame as Arrow's, with nulls where whole numbers have none."""
    columns = {}
    for name, column in frame.items():
        if column.dtype == "int64":
            values = column.to_numpy()
            columns[str(name)] = pa.array(values, mask=values == NULL)
        else:
            columns[str(name)] = pa.Array.from_pandas(column)
    return pa.table(columns)


def write_frame(frame: pd.DataFrame, output: Path, place: str, formats: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Write a frame below a folder as CSV, gzipped if `place` ends in ``.gz``, as Parquet beside it, or both.

    Times are UTC in ISO 8601 with nanoseconds.

    Returns
    -------
    dict
        By the path of each file, seen from the folder, its ``bytes`` and ``sha256``.

    Raises
    ------
    OSError
        If it cannot be written; nothing of the file is left then.
    """
    table, path = as_table(frame), _place(output, place)
    written = []
    if "csv" in formats:
        write_whole(path, lambda aside: _write_csv(table, aside, zipped=path.suffix == ".gz"))
        written.append(path)
    if "parquet" in formats:
        beside = path.with_name(f"{path.name.split('.')[0]}.parquet")
        write_whole(beside, lambda aside: pq.write_table(table, aside))
        written.append(beside)
    return {str(each.relative_to(output)): stamp(each) for each in written}


def write_exact(frame: pd.DataFrame, output: Path, place: str) -> dict[str, dict[str, Any]]:
    """Write a frame below a folder as Parquet that gives the same frame again: what stands for nothing stays.

    Raises
    ------
    OSError
        If it cannot be written; nothing of the file is left then.
    """
    path = _place(output, place)
    write_whole(path, lambda aside: pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), aside))
    return {place: stamp(path)}


def read_exact(paths: Iterable[Path]) -> pd.DataFrame:
    """Return the frames of several files of `write_exact`, one after the other."""
    tables = []
    for path in paths:
        with pq.ParquetFile(path) as file:
            tables.append(file.read())
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return frame


def _place(output: Path, place: str) -> Path:
    (output / place).parent.mkdir(parents=True, exist_ok=True)
    return output / place


def _as_text(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write times as UTC; what Arrow does for times of a zone takes ten times as long."""
    return pc.binary_join_element_wise(times.cast(pa.timestamp("ns")).cast(pa.string()), "Z", "")


def _write_csv(table: pa.Table, path: Path, *, zipped: bool) -> None:
    for place, each in enumerate(table.schema):
        if pa.types.is_timestamp(each.type):
            table = table.set_column(place, each.name, _as_text(table[place]))
    options = pa.csv.WriteOptions(batch_size=ROWS_AT_ONCE)
    with path.open("wb") as file:
        if not zipped:
            pa.csv.write_csv(table, file, options)
            return
        # Without a name and a time of its own; the fastest level that packs. zlib takes three times as long.
        with igzip.IGzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:  # type: ignore[no-untyped-call]
            pa.csv.write_csv(table, packed, options)


def stamp(path: Path) -> dict[str, Any]:
    """Return the size and the checksum of a file."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
