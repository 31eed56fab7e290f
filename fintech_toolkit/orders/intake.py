"""Parts of files cut by security and local day, written aside, and put together to a file for each of these."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fintech_toolkit.engines.memory.files import write_table
from fintech_toolkit.engines.memory.whole_file import write_text, write_whole
from fintech_toolkit.errors import DataError
from fintech_toolkit.orders.checks import KEYS, local_days, schema_of
from fintech_toolkit.orders.language import Side
from fintech_toolkit.orders.reading import Piece, Source, in_order, pieces
from fintech_toolkit.orders.store import Store
from fintech_toolkit.schema import Array

REJECTED, RUNS, BY_DAY, BASE = "rejected", ".runs", "day-", "base-"
REPEATED = "the order, time and sequence of a row before"
ALONE = "its matchgroupid has not one buy and one sell: write both sides of each match, and ingest all again"

_REJECTED = pa.schema([("file", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("text", pa.string())])
_LINE = pa.field("_line", pa.int64())
_DISTINCT = {"order_id", "timestamp", "sequence", "quantity", "leavesquantity", "totalmatchedquantity", "matchgroupid"}
"""Columns of which a dictionary would save nothing."""
EPOCH = date(1970, 1, 1)
THREADS = min(4, os.cpu_count() or 1)
"""How many parts are read at once without a cluster: with more, Python's lock is what they wait for."""


@dataclass(frozen=True)
class Selection:
    """Which securities and local days are taken.

    Attributes
    ----------
    securities : collection of int or None
        Their codes; None: all.
    days : collection of date or None
        None: all.
    """

    securities: Collection[int] | None = None
    days: Collection[date] | None = None

    def of(self, securities: Array, days: Array) -> Array:
        """Return which rows are taken; days count from 1970."""
        taken = np.ones(len(securities), bool)
        if self.securities is not None:
            taken &= np.isin(securities, np.array([*self.securities], np.int64))
        if self.days is not None:
            taken &= np.isin(days, np.array([(day - EPOCH).days for day in self.days], np.int64))
        return taken


@dataclass
class Taken:
    """What became of the rows of a file, or of a part of one.

    Attributes
    ----------
    file, kind : str
        Which file, and what its rows are.
    rows, taken, left_out : int
        Rows in it, those that the store holds, and those of other securities and days than were asked for.
    rejected : dict of str to int
        The rejected rows by reason.
    notes : dict of str to int
        What is odd about rows that were taken.
    """

    file: str
    kind: str
    rows: int = 0
    taken: int = 0
    left_out: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    def add(self, other: Taken) -> None:
        """Add what became of other rows of the file."""
        self.rows += other.rows
        self.taken += other.taken
        self.left_out += other.left_out
        self.rejected = dict(Counter(self.rejected) + Counter(other.rejected))
        self.notes = dict(Counter(self.notes) + Counter(other.notes))


@dataclass(frozen=True)
class Run:
    """A part of a file, cut: a batch for each security and day in each piece of it.

    Attributes
    ----------
    path : str
        Where it is.
    file : str
        The file that it is of.
    batches : list of (int, int, int)
        Of each batch its security, its day as counted from 1970, and its rows.
    """

    path: str
    file: str
    batches: list[tuple[int, int, int]]


@contextmanager
def making(path: Path) -> Iterator[None]:
    """Say of errors in writing a file which one it is, and what to do."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise DataError(
            f"{path} cannot be written: {reason}. What is finished is kept: make room and run the same again to go on."
        ) from error


def cut(source: Source, store: Path, called: str, zone: str, only: Selection) -> tuple[Taken, Run]:
    """Read a part of a file, write what is right of it to a run, and the rest to the rejected rows.

    The run's name tells it from those of other parts, and from that of the same part once it has changed: what was done
    before is not done again.
    """
    done, path = store / RUNS / f"{called}.json", store / RUNS / f"{called}.arrow"
    if done.is_file():
        held = json.loads(done.read_text())
        return Taken(**held["taken"]), Run(str(path), source.path, [tuple(each) for each in held["batches"]])
    taken = Taken(source.path, source.kind)
    batches: list[tuple[int, int, int]] = []
    apart = _Rejects(store / REJECTED / f"{called}.parquet")

    def write(aside: Path) -> None:
        schema = schema_of(source.kind).append(_LINE)
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with apart, pa.OSFile(str(aside), "wb") as file, pa.ipc.new_file(file, schema, options=options) as runs:
            for piece in pieces(source, zone):
                part, left = _selected(piece, zone, only)
                for security, day, batch in part:
                    runs.write_batch(batch)
                    batches.append((security, day, len(batch)))
                apart.add(source.path, piece.rejected)
                kept = piece.taken.num_rows - left
                why = Counter(reason for _, reason, _ in piece.rejected)
                taken.add(Taken(source.path, source.kind, piece.rows, kept, left, dict(why), piece.notes))

    with making(path):
        write_whole(path, write)
    write_text(done, json.dumps({"taken": asdict(taken), "batches": batches}))
    return taken, Run(str(path), source.path, batches)


def _selected(piece: Piece, zone: str, only: Selection) -> tuple[list[tuple[int, int, pa.RecordBatch]], int]:
    """Return a batch for each security and day of a piece, and how many rows are of none that was asked for."""
    rows = piece.taken.append_column(_LINE, pa.array(piece.lines))
    securities = rows["security_code"].to_numpy()
    days = local_days(rows["timestamp"], zone).cast(pa.int32()).to_numpy()
    chosen = np.flatnonzero(only.of(securities, days))
    left = len(rows) - len(chosen)
    securities, days = securities[chosen], days[chosen]
    if not len(chosen):
        return [], left
    changes = (np.diff(securities) != 0) | (np.diff(days) != 0)
    if left or changes.any():
        order = np.lexsort((days, securities))
        rows, securities, days = rows.take(chosen[order]), securities[order], days[order]
        changes = (np.diff(securities) != 0) | (np.diff(days) != 0)
    bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), len(rows)]
    (whole,) = rows.combine_chunks().to_batches()
    parts = [
        (int(securities[begin]), int(days[begin]), whole.slice(begin, end - begin)) for begin, end in pairwise(bounds)
    ]
    return parts, left


class _Rejects:
    """Rejected rows of a part of a file, written as they come; no file if there are none."""

    def __init__(self, path: Path) -> None:
        self._path, self._aside = path, path.parent / f".{path.name}"
        self._writer: Any = None

    def add(self, file: str, rejected: Sequence[tuple[int, str, str]]) -> None:
        if not rejected:
            return
        self._writer = self._writer or pq.ParquetWriter(self._aside, _REJECTED)
        lines, reasons, texts = zip(*rejected, strict=True)
        columns = [[file] * len(rejected), lines, reasons, texts]
        self._writer.write_table(pa.table([pa.array(each) for each in columns], _REJECTED))

    def __enter__(self) -> _Rejects:
        return self

    def __exit__(self, failed: Any, *_: Any) -> None:
        if self._writer is not None:
            self._writer.close()
            self._aside.unlink() if failed else self._aside.replace(self._path)


def put_together(
    kind: str,
    security: int,
    day: int,
    runs: Sequence[tuple[str, str, list[int]]],
    store: Path,
    earlier: int,
    added_to: bool,
) -> tuple[int, dict[tuple[str, str], int]]:
    """Write the rows of a security and day, sorted; return how many there are, and how many were rejected.

    These are counted by file and reason: that a row is there twice, or a side of a trade alone, is seen only where all
    rows of a day are together. Without rows there is no file.

    The rows are in runs, of which each is given by its path, the file that it is of, and the batches. They may be added
    to rows that the store had of so many earlier files: these are put aside first, so that what has its name is whole.
    """
    path = Store(store).path(kind, security, EPOCH + timedelta(days=day))
    place = f"{kind}-{security}-{EPOCH + timedelta(days=day)}.parquet"
    apart, base = store / REJECTED / f"{BY_DAY}{earlier}-{place}", store / RUNS / f"{BASE}{place}"
    if added_to and not base.is_file():
        path.replace(base)
    if path.is_file():
        rejected = pq.read_table(apart) if apart.is_file() else _REJECTED.empty_table()
        return pq.read_metadata(path).num_rows, _counts(rejected)
    tables = []
    if added_to:
        held = pq.read_table(base, partitioning=None)
        none = pa.repeat(pa.scalar(-1, pa.int64()), len(held))
        tables.append(held.append_column(_LINE, none).append_column("_file", none.cast(pa.int32())))
    for number, (run, _, batches) in enumerate(runs):
        with pa.OSFile(run) as file, pa.ipc.open_file(file) as reader:
            table = pa.Table.from_batches([reader.get_batch(batch) for batch in batches])
        tables.append(table.append_column("_file", pa.repeat(pa.scalar(number, pa.int32()), len(table))))
    rows = in_order(pa.concat_tables(tables), kind)
    rows, twice = _parted(rows, _repeated(rows, kind))
    rows, alone = _parted(rows, _without_other_side(rows, kind))
    files = [file for _, file, _ in runs]
    rejected = pa.concat_tables([_told(twice, files, REPEATED), _told(alone, files, ALONE)])
    with making(path):
        if len(rejected):
            write_table(rejected, apart)
        if not len(rows):
            return 0, _counts(rejected)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = rows.drop_columns(["_line", "_file"])
        repeating = [name for name in rows.column_names if name not in _DISTINCT]
        write_whole(path, lambda aside: pq.write_table(rows, aside, use_dictionary=repeating))
    return len(rows), _counts(rejected)


def _repeated(rows: pa.Table, kind: str) -> Array:
    """Return which sorted rows have the keys of the row before; quotes of one time follow each other."""
    again = np.zeros(len(rows), bool)
    if kind != "quotes":
        again[1:] = np.logical_and.reduce([np.diff(rows[name].cast(pa.int64()).to_numpy()) == 0 for name in KEYS[kind]])
    return again


def _without_other_side(rows: pa.Table, kind: str) -> Array:
    """Return which sides of trades are of a match that has not one buy and one sell; what the store had stays."""
    if kind != "trades":
        return np.zeros(len(rows), bool)
    _, group, sides = np.unique(rows["matchgroupid"].to_numpy(), return_inverse=True, return_counts=True)
    buys = np.bincount(group[rows["side"].to_numpy() == Side.BUY], minlength=len(sides))
    wrong: Array = ((sides != 2) | (buys != 1))[group] & (rows["_file"].to_numpy() >= 0)
    return wrong


def _parted(rows: pa.Table, wrong: Array) -> tuple[pa.Table, pa.Table]:
    """Return the rows that are right, and the others."""
    return (rows.filter(pa.array(~wrong)) if wrong.any() else rows), rows.filter(pa.array(wrong))


def _told(rows: pa.Table, files: Sequence[str], reason: str) -> pa.Table:
    texts = [str(row) for row in rows.drop_columns(["_line", "_file"]).to_pylist()]
    columns = [[files[n] for n in rows["_file"].to_pylist()], rows["_line"].to_pylist(), [reason] * len(rows), texts]
    return pa.table([pa.array(each) for each in columns], _REJECTED)


def _counts(rejected: pa.Table) -> dict[tuple[str, str], int]:
    return dict(Counter(zip(rejected["file"].to_pylist(), rejected["reason"].to_pylist(), strict=True)))


def run_all(
    client: Any, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], told: Callable[[int], None]
) -> list[Any]:
    """Return what a function gives for each of the arguments, in their order; on a cluster if there is a client.

    Raises
    ------
    DataError
        If some failed, which stops none of the others: the causes.
    """
    failed: list[str] = []
    results: list[Any] = [None] * len(arguments)
    ended = _in_threads(function, arguments) if client is None else _on_cluster(client, function, arguments)
    with closing(ended):
        for count, (place, future) in enumerate(ended, 1):
            try:
                results[place] = future.result()
            except DataError as error:
                failed.append(str(error))
            told(count)
    if failed:
        more = f" And {len(failed) - 3} more." if len(failed) > 3 else ""
        raise DataError(" ".join(sorted(failed)[:3]) + more)
    return results


def _in_threads(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Generator[tuple[int, Any]]:
    """Give the place and the future of each call as it ends; what has not begun when the caller leaves never does."""
    waiting = iter(enumerate(arguments))
    running: dict[Any, int] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            running |= {pool.submit(function, *each): place for place, each in islice(waiting, THREADS - len(running))}
            if not running:
                return
            for future in wait(running, return_when="FIRST_COMPLETED").done:
                yield running.pop(future), future


def _on_cluster(
    client: Any, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
) -> Generator[tuple[int, Any]]:
    from distributed import as_completed

    futures = client.map(function, *zip(*arguments, strict=True), pure=False) if arguments else []
    places = {future.key: place for place, future in enumerate(futures)}
    for future in as_completed(futures):  # type: ignore[no-untyped-call]
        yield places[future.key], future
