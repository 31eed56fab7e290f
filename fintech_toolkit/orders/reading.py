"""Files of order states, trades and quotes: read in pieces, and each piece parted into rows taken and rejected."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from isal import igzip, igzip_lib

from fintech_toolkit.engines.memory.files import ENDINGS
from fintech_toolkit.errors import DataError
from fintech_toolkit.orders.checks import KEYS, Checked, canonical_names, check, check_types, schema_of
from fintech_toolkit.orders.csv_rows import Header, rows_of
from fintech_toolkit.orders.language import NULL
from fintech_toolkit.orders.records import MOST_RECORD, Block, blocks
from fintech_toolkit.orders.settings import Market
from fintech_toolkit.schema import Array

BLOCK = 8 << 20
"""Bytes of CSV that are read at once."""
BATCH = 100_000
"""Rows of Parquet that are read at once."""


@dataclass(frozen=True)
class Source:
    """A file, or a part of one.

    Attributes
    ----------
    path : str
        Where it is: of any file system that fsspec knows.
    kind : {"orders", "trades", "quotes"}
        What its rows are.
    number : int
        Its place among the files.
    begin, end : int or None
        Of CSV, the bytes that are read, from the beginning of a record to that of another; of Parquet, the row groups.
        None: all of it.
    line : int
        The line, or row of Parquet, on which the part begins.
    """

    path: str
    kind: str
    number: int = 0
    begin: int | None = None
    end: int | None = None
    line: int = 1

    @property
    def is_csv(self) -> bool:
        """Whether it is CSV; else it is Parquet."""
        return self.path.endswith(ENDINGS["csv"])


@dataclass(frozen=True)
class Piece:
    """Some rows of a file, parted.

    Attributes
    ----------
    rows : int
        How many there are.
    taken : pyarrow.Table
        Canonical columns of those that are right.
    lines : array of int64
        For each of these the line (of Parquet, the row) on which it stands.
    rejected : list of (int, str, str)
        Line, reason and text of the others.
    notes : dict of str to int
        What is odd about rows that were taken.
    """

    rows: int
    taken: pa.Table
    lines: Array
    rejected: list[tuple[int, str, str]]
    notes: dict[str, int] = field(default_factory=dict)


def pieces(source: Source, zone: str) -> Iterator[Piece]:
    """Read a file, or a part of one, in pieces of bounded size.

    Raises
    ------
    ColumnError, DataError
        If a column is missing or of no use, or the file is damaged or cut short.
    """
    with told(source.path):
        yield from (_of_csv if source.is_csv else _of_parquet)(source, zone)


@contextmanager
def told(path: str) -> Iterator[None]:
    """Say of errors in reading a file which one it is."""
    try:
        yield
    except DataError as error:
        text = str(error)
        raise DataError(text if path in text else f"{path}: {text}") from error
    except (EOFError, gzip.BadGzipFile, igzip_lib.IsalError) as error:  # type: ignore[misc]
        raise DataError(f"{path} is damaged or cut short ({error}); copy it again from its source.") from error
    except (pa.ArrowException, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path} cannot be read: {reason}") from error


def _stored(path: str) -> Any:
    """Open a file of any file system, to read its bytes."""
    import fsspec

    system, place = fsspec.core.url_to_fs(path)
    return system.open(place, "rb")


def stamp_of(source: Source) -> list[str]:
    """Return what tells a file from what it was before a change: its size, and the time or tag that its store keeps."""
    import fsspec

    with told(source.path):
        system, place = fsspec.core.url_to_fs(source.path)
        about = system.info(place)
    return [str(about["size"]), str(about.get("mtime", about.get("ETag", about.get("LastModified"))))]


@contextmanager
def _opened(source: Source) -> Iterator[tuple[Any, Header]]:
    """Open a file of CSV, and return it behind its header, and the header."""
    with _stored(source.path) as stored:
        file: Any = igzip.IGzipFile(fileobj=stored) if source.path.endswith(".gz") else stored  # type: ignore[no-untyped-call]
        yield file, Header.of(file.readline(MOST_RECORD), source.kind, source.path)


@contextmanager
def _parquet(source: Source) -> Iterator[tuple[pq.ParquetFile, dict[str, str]]]:
    """Open a file of Parquet, and return it and the canonical names of the columns that are read."""
    with _stored(source.path) as stored, pq.ParquetFile(stored) as file:
        names = file.schema_arrow.names
        canonical = zip(names, canonical_names(names, source.kind, source.path), strict=True)
        read = {name: mapped for name, mapped in canonical if mapped}
        schema = pa.schema([file.schema_arrow.field(name).with_name(mapped) for name, mapped in read.items()])
        check_types(schema, source.path)
        yield file, read


def look_at(source: Source) -> None:
    """Raise `ColumnError` or `DataError` if a file has not the columns that it must have, or is not of its format."""
    with told(source.path), (_opened if source.is_csv else _parquet)(source):
        pass


def parts_of(source: Source, size: int) -> list[Source]:
    """Cut a file into parts of about so many bytes, each from the beginning of a record; what is packed stays whole."""
    if source.path.endswith(".gz") or int(stamp_of(source)[0]) <= size:
        return [source]
    with told(source.path):
        return list((_parts_of_csv if source.is_csv else _parts_of_parquet)(source, size)) or [source]


def _parts_of_csv(source: Source, size: int) -> Iterator[Source]:
    with _opened(source) as (file, _):
        begin = end = file.tell()
        line = 2
        for block in blocks(file.read, line, min(size, BLOCK)):
            if end - begin >= size:
                yield replace(source, begin=begin, end=end, line=line)
                begin, line = end, block.line
            end += len(block.data)
        yield replace(source, begin=begin, end=end, line=line)


def _parts_of_parquet(source: Source, size: int) -> Iterator[Source]:
    with _parquet(source) as (file, _):
        begin, line, held, rows = 0, 1, 0, 1
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            if held and held + about.total_byte_size > size:
                yield replace(source, begin=begin, end=group, line=line)
                begin, line, held = group, rows, 0
            held += about.total_byte_size
            rows += about.num_rows
        if held:
            yield replace(source, begin=begin, end=file.num_row_groups, line=line)


def _of_csv(source: Source, zone: str) -> Iterator[Piece]:
    with _opened(source) as (file, header):
        if source.begin is not None:
            file.seek(source.begin)
        left = None if source.begin is None or source.end is None else source.end - source.begin

        def read(size: int) -> bytes:
            nonlocal left
            data: bytes = file.read(size if left is None else min(size, left))
            left = None if left is None else left - len(data)
            return data

        for block in blocks(read, 2 if source.begin is None else source.line, BLOCK):
            yield _piece(block, header, source.kind, zone)


def _piece(block: Block, header: Header, kind: str, zone: str) -> Piece:
    rows = rows_of(block, header)
    checked = check(rows.table, kind, zone)
    why = [*rows.broken, *zip(rows.records[~checked.kept].tolist(), _why(checked), strict=True)]
    numbers = np.array([number for number, _ in why], np.int64)
    rejected = [
        (line, reason, text.decode("utf-8", "backslashreplace").rstrip("\r\n"))
        for line, (_, reason), text in zip(block.lines(numbers).tolist(), why, block.texts(numbers), strict=True)
    ]
    count = rows.table.num_rows + len(rows.broken)
    return Piece(count, checked.taken, block.lines(rows.records[checked.kept]), sorted(rejected), checked.notes)


def _why(checked: Checked) -> list[str]:
    return [checked.why[n] for n in checked.reasons[~checked.kept]]


def _of_parquet(source: Source, zone: str) -> Iterator[Piece]:
    with _parquet(source) as (file, read):
        groups = list(range(file.num_row_groups))[source.begin : source.end]
        line = source.line
        for batch in file.iter_batches(BATCH, row_groups=groups, columns=list(read), use_threads=False):
            table = pa.table(batch).rename_columns([read[name] for name in batch.schema.names])
            checked = check(table, source.kind, zone)
            lines = line + np.arange(len(batch))
            texts = batch.filter(pa.array(~checked.kept)).to_pylist()
            rejected = [
                (int(place), reason, str(text))
                for place, reason, text in zip(lines[~checked.kept], _why(checked), texts, strict=True)
            ]
            yield Piece(len(batch), checked.taken, lines[checked.kept], rejected, checked.notes)
            line += len(batch)


def read_orders(path: str | os.PathLike[str], market: Market | None = None) -> pd.DataFrame:
    """Return the order states of a small file, canonical and sorted by time and sequence.

    Parameters
    ----------
    path : str or path
        A file of CSV (with or without gzip) or Parquet.
    market : Market, optional
        Its zone tells of what day a row is.

    Returns
    -------
    pandas.DataFrame
        The columns of `fintech_toolkit.orders.language.ORDERS`: times as datetime64[ns, UTC], all else whole numbers.

    Raises
    ------
    ColumnError, DataError
        If a row or a column is not right: `ingest` would reject such rows and go on.
    """
    return _read(path, "orders", market)


def read_trades(path: str | os.PathLike[str], market: Market | None = None) -> pd.DataFrame:
    """Return the sides of trades of a small file, as `read_orders` does."""
    return _read(path, "trades", market)


def read_quotes(path: str | os.PathLike[str], market: Market | None = None) -> pd.DataFrame:
    """Return the national best bids and offers of a small file, as `read_orders` does."""
    return _read(path, "quotes", market)


def _read(path: str | os.PathLike[str], kind: str, market: Market | None) -> pd.DataFrame:
    source = Source(os.fspath(path), kind)
    tables = []
    for piece in pieces(source, (market or Market()).zone):
        for line, reason, text in piece.rejected:
            raise DataError(f"{path}, line {line}: {reason}; the line is {text!r}.")
        tables.append(piece.taken)
    together = pa.concat_tables([schema_of(kind).empty_table(), *tables])
    return to_pandas(in_order(together, kind))


def in_order(table: pa.Table, kind: str) -> pa.Table:
    """Return rows sorted by the keys of their kind; where files have no sequence, it is the order of the files.

    Raises
    ------
    DataError
        If some rows have a sequence and others do not.
    """
    keys = [table[name].cast(pa.int64()).to_numpy() for name in KEYS[kind]]
    unordered = "sequence" in KEYS[kind] and keys[1] == NULL
    if not np.any(unordered):
        return table if _is_sorted(keys) else table.take(np.lexsort(keys[::-1]))
    if not np.all(unordered):
        raise DataError(f"Some {kind} have a sequence and others do not; give it to all rows or to none.")
    table = table.take(np.argsort(keys[0], kind="stable"))
    place = table.column_names.index("sequence")
    return table.set_column(place, "sequence", pa.array(np.arange(len(table))))


def _is_sorted(keys: Sequence[Array]) -> bool:
    """Whether rows are in order by keys, as files mostly are."""
    undecided = np.ones(max(0, len(keys[0]) - 1), bool)
    for key in keys:
        before, after = key[:-1], key[1:]
        if np.any(undecided & (after < before)):
            return False
        undecided &= after == before
    return True


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return rows as pandas has them."""
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame
