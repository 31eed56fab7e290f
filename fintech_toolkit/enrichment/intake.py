"""Files of quotes, securities and trades: read, looked over, and parted into rows that are taken and rejected."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from data_generators.datasets import DATASETS
from fintech_toolkit.engines.memory.files import ENDINGS, Files, write_table
from fintech_toolkit.engines.memory.hash_table import build
from fintech_toolkit.engines.memory.whole_file import write_text
from fintech_toolkit.enrichment.checks import Before, Known, check, conform, newest
from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.key_bytes import KeyBytes

NAMES = ("quotes", "securities", "trades")
_MANIFEST, _UNFINISHED = "_manifest.json", "_plan.json"


@dataclass(frozen=True)
class File:
    """A file of a data set: the data set's name, the path, its place among the files, and the columns that are read.

    Attributes
    ----------
    called : str
        What it is called in errors and among rejected rows: ``quotes/part-00000.parquet``.
    """

    name: str
    path: str
    called: str
    number: int
    columns: tuple[str, ...] | None = None

    @property
    def part(self) -> str:
        """What files of its rows are called, without an ending."""
        return f"part-{self.number:05d}"

    @property
    def is_csv(self) -> bool:
        """Whether it is CSV; else it is Parquet."""
        return self.path.endswith(ENDINGS["csv"])

    def read(self, columns: Collection[str] | None = None) -> pa.Table:
        """Return its rows, or some columns of them, with the names and types that flows read.

        Raises
        ------
        ColumnError, DataError
            If it is damaged or cut short, or a column is missing or of another type.
        """
        wanted = self.columns if columns is None else columns
        if self.is_csv:
            table = _read_csv(self)
            table = table if wanted is None else table.select([name for name in table.column_names if name in wanted])
        else:
            file = Files(self.path)
            table = file.read(None if wanted is None else [name for name in file.names if name in wanted])
        return table if columns is not None else conform(table, self.name, self.called)

    def empty(self) -> pa.Table:
        """Return a table of its columns without rows; of Parquet the footer is read only."""
        if self.is_csv:
            return self.read().slice(0, 0)
        return conform(Files(self.path).schema.empty_table(), self.name, self.called)


def files_of(folder: Path, name: str) -> list[File]:
    """Return the files of a data set, those with numbers in their order.

    Raises
    ------
    DataError
        If there are none, or some are not as they were when their writer finished.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give one that holds {', '.join(NAMES)}, a folder each.")
    found = Files(folder / name)
    _check_manifest(folder / name)
    root = os.path.abspath(folder)
    return [File(name, path, os.path.relpath(path, root), number) for number, path in enumerate(found.paths)]


def _check_manifest(folder: Path) -> None:
    """Raise unless the files of a generated data set are those that were written."""
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        if (folder / _UNFINISHED).is_file():
            raise DataError(f"{folder} holds an unfinished data set; finish that first, or remove {_UNFINISHED}.")
        return
    for file in json.loads(manifest.read_text()).get("files", []):
        path = folder / file["name"]
        if not path.is_file() or path.stat().st_size != file["bytes"]:
            raise DataError(f"{path} is missing or was changed since it was written; write the data set again.")


def _read_csv(file: File) -> pa.Table:
    """Return a CSV file under canonical names, whether it has these or those of the wire."""
    dataset = DATASETS[file.name]
    types: dict[str, pa.DataType] = {}
    for column, wire in dataset.wire.items():
        kind = pa.string() if column == "side" else dataset.schema.field(column).type
        types |= {column: kind, wire: kind}
    try:
        # On one thread errors say in which row.
        table = pa.csv.read_csv(
            file.path,
            pa.csv.ReadOptions(use_threads=False, block_size=2**26),
            convert_options=pa.csv.ConvertOptions(column_types=types, strings_can_be_null=True),
        )
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{file.called} cannot be read: {_named(reason, file)}") from error
    canonical = {wire: column for column, wire in dataset.wire.items()}
    table = table.rename_columns([canonical.get(name, name) for name in table.column_names])
    ours = [name for name in dataset.schema.names if name in table.column_names]
    table = table.select([*ours, *(name for name in table.column_names if name not in ours)])
    if file.name == "trades" and "side" in table.column_names:
        side = table["side"]
        signs = pc.case_when(
            pc.make_struct(pc.is_in(side, pa.array(["B", "1"])), pc.is_in(side, pa.array(["S", "-1"])), side.is_null()),
            pa.scalar(1.0),
            pa.scalar(-1.0),
            pa.scalar(None, pa.float64()),
            pa.scalar(2.0),  # none of those that there are
        )
        table = table.set_column(table.column_names.index("side"), "side", signs)
    return table


def _named(reason: str, file: File) -> str:
    """Return what Arrow says of a CSV file with the name of the column in place of its number."""
    found = re.search(r"CSV column #(\d+)", reason)
    if found is None:
        return reason
    with pa.csv.open_csv(
        file.path, convert_options=pa.csv.ConvertOptions(column_types={}), read_options=_HEADER
    ) as rows:
        name = rows.schema.names[int(found[1])]
    return reason.replace(found[0], f"column {name!r}", 1)


_HEADER = pa.csv.ReadOptions(use_threads=False)


@dataclass(frozen=True)
class Survey:
    """What a file holds that says whether rows of others are wrong.

    Attributes
    ----------
    symbols, dealers : pyarrow.Array
        Those of its rows, each once.
    newest : int
        Its newest time, in nanoseconds.
    last : pyarrow.Table
        Its last row, if there is one.
    """

    symbols: pa.Array
    dealers: pa.Array
    newest: int
    last: pa.Table


def survey(file: File, now: int) -> Survey:
    """Look over a file of quotes or trades."""
    table = file.read()
    return Survey(
        pc.unique(table["symbol"]).drop_null(),
        pc.unique(table["dealer"]).drop_null(),
        newest(table, Known(now=now)),
        table.take(pa.array(range(table.num_rows)[-1:], pa.int64())),  # a slice would be sent with all that it is of
    )


def before_each(surveys: Sequence[Survey]) -> list[Before]:
    """Return for each file what those before it hold."""
    found = [Before()]
    for each in surveys[:-1]:
        last = each.last if each.last.num_rows else found[-1].last
        found.append(Before(max(found[-1].newest, each.newest), last))
    return found


def repeated_symbols(files: Sequence[File]) -> list[Before]:
    """Return for each file of a reference what those before it hold: symbols that it has too."""
    symbols = [file.read(["symbol"])["symbol"].cast(pa.large_binary()).fill_null(b"") for file in files]
    together = pa.chunked_array([chunk for each in symbols for chunk in each.chunks], pa.large_binary())
    _, first = build(KeyBytes.of_arrow(together.combine_chunks()))
    found, start = [], 0
    for each in symbols:
        again = np.flatnonzero(first[start : start + len(each)] < start)
        found.append(Before(taken=[text.decode() for text in each.take(again).to_pylist()]))
        start += len(each)
    return found


@dataclass(frozen=True)
class Taken:
    """What became of a file's rows.

    Attributes
    ----------
    rows, taken, kept, reordered : int
        Rows in it; of these, those that were taken, those that were kept of them (of a reference the quoted or traded
        instruments), and those that were put in their place.
    reasons : dict of str to int
        The rejected rows by reason.
    notes : dict of str to int
        What else of the rows that were taken was not as it should be, and in how many.
    symbols : list of str
        Of a reference, what was kept.
    """

    rows: int
    taken: int
    kept: int
    reordered: int
    reasons: dict[str, int]
    notes: dict[str, int]
    symbols: list[str]


def total(parts: Sequence[Taken]) -> Taken:
    """Return the sums over the files of a data set."""
    reasons: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    for part in parts:
        reasons.update(part.reasons)
        notes.update(part.notes)
    return Taken(
        sum(part.rows for part in parts),
        sum(part.taken for part in parts),
        sum(part.kept for part in parts),
        sum(part.reordered for part in parts),
        dict(reasons),
        dict(notes),
        [],
    )


def take_in(file: File, out: Path, before: Before, known: Known) -> Taken:
    """Part a file into the rows that are taken, below ``out/.taken``, and the rejected ones, in ``out/rejected``.

    Of a reference the rows of known symbols are kept. What was done before is not done again.
    """
    parts = out / TAKEN / file.name
    done = parts / f"{file.part}.json"
    if done.is_file():
        return Taken(**json.loads(done.read_text()))
    table = file.read()
    is_reference = file.name == "securities"
    checked = check(table, file.name, file.called, before, Known(now=known.now) if is_reference else known)
    kept = checked.taken
    if is_reference:
        kept = kept.filter(pc.is_in(kept["symbol"], value_set=known.symbols))
    if checked.rejected.num_rows:
        write_rows(checked.rejected, out / REJECTED / f"{file.name}-{file.part}.parquet")
    write_rows(kept, parts / f"{file.part}.parquet")
    symbols = kept["symbol"].to_pylist() if is_reference else []
    found = Taken(
        table.num_rows,
        checked.taken.num_rows,
        kept.num_rows,
        len(checked.reordered),
        checked.reasons,
        checked.notes,
        symbols,
    )
    write_text(done, json.dumps(vars(found)))
    return found


TAKEN, REJECTED = ".taken", "rejected"


def write_rows(table: pa.Table, path: Path) -> None:
    """Write rows to a file of Parquet, whole or not at all, and nothing of what pandas notes beside them.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    try:
        write_table(table.replace_schema_metadata(None), path)
    except DataError as error:
        raise DataError(f"{error} What is finished is kept: make room and run the same again to go on.") from error
