"""The files of a partitioned data set: a partition written as Parquet, sorted, and read with the dtypes it had."""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call,no-any-return"

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dask.dataframe.utils import has_known_categories

from fintech_toolkit.engines.dask import versions
from fintech_toolkit.engines.dask.assignment import Assignment, Rule
from fintech_toolkit.engines.memory.whole_file import write_whole
from fintech_toolkit.errors import DataError
from fintech_toolkit.frames import dtypes
from fintech_toolkit.frames.order import check_present, no_time
from fintech_toolkit.frames.symbols import Symbol, encode, symbol_array
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import PandasFrame

COLUMNS, SYMBOLS = "columns.arrow", "symbols.arrow"
ROWS_A_GROUP = 1 << 18


@dataclass(frozen=True)
class Layout:
    """What the files of a data set have in common. `objects` are the types of columns of Python objects, if known."""

    symbol: str
    time: str
    unit: str | None
    dtypes: dict[str, Any]
    objects: dict[str, pa.DataType] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """What a file turned out to hold: its rows and symbols, its types, and the categories of its columns."""

    name: str
    rows: dict[Symbol, int]
    types: dict[str, pa.DataType]
    categories: dict[str, pd.CategoricalDtype]


def write_file(frame: pd.DataFrame, *, number: int, folder: str, layout: Layout) -> File:
    """Write a partition, sorted by symbol and time. The same again if it is done twice."""
    try:
        return _write_file(frame, number, Path(folder), layout)
    except DataError as error:
        raise DataError(f"{error} (Partition {number}.)") from error


def _write_file(frame: pd.DataFrame, number: int, folder: Path, layout: Layout) -> File:
    missing = [name for name in layout.dtypes if name not in frame.columns]
    if missing:
        raise DataError(f"There is no column {missing[0]!r} here, though the frame's meta has it.")
    local = encode(frame[layout.symbol], layout.symbol)
    check_present(local, layout.symbol)
    counts = np.bincount(local.codes, minlength=1) if len(frame) else np.zeros(0, np.int64)
    rows = dict(sorted((local.values[j], int(counts[j])) for j in np.flatnonzero(counts)))
    rank = {name: j for j, name in enumerate(rows)}
    width = np.uint16 if len(rows) <= 1 << 16 else np.uint32  # NumPy sorts 16 bits by counting
    codes = np.array([rank.get(name, 0) for name in local.values], width)[local.codes]
    ts, _ = times(PandasFrame(frame[[layout.time]]), layout.time, layout.unit)
    if np.any(ts == NAT):
        raise DataError(no_time(layout.time, f"at row {int(np.argmax(ts == NAT))}"))
    order = np.argsort(ts, kind="stable") if np.any(ts[1:] < ts[:-1]) else np.arange(len(frame))
    order = order[np.argsort(codes[order], kind="stable")]
    columns: dict[str, Any] = {}
    categories: dict[str, Any] = {}
    for name, dtype in layout.dtypes.items():
        if name == layout.symbol:
            columns[name] = _symbols(list(rows), codes[order], dtype)
            continue
        column = frame[name].iloc[order]
        if isinstance(dtype, pd.CategoricalDtype):
            column = column.astype("category")
            if column.dtype != dtype:
                categories[name] = column.dtype
        columns[name] = dtypes.to_arrow(column, dtype, layout.objects.get(name), name)
    table = pa.table(columns)
    file = f"part-{number:05d}.parquet"
    texts = [column.name for column in table.schema if not pa.types.is_floating(column.type)]
    write_whole(
        folder / file,
        lambda path: pq.write_table(table, path, row_group_size=ROWS_A_GROUP, use_dictionary=texts),
    )
    return File(file, rows, {column.name: column.type for column in table.schema}, categories)


def _symbols(names: list[Symbol], codes: Any, dtype: Any) -> pa.Array:
    if names and isinstance(names[0], int):
        integers = pd.Series(names, dtype=dtype if pd.api.types.is_integer_dtype(dtype) else np.int64)
        return dtypes.plain(integers, "symbol").take(pa.array(codes))
    if not names and pd.api.types.is_integer_dtype(dtype):
        return pa.array([], dtypes.arrow_type(dtype, "symbol"))
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.large_string()))


def save_version(folder: Path, layout: Layout, files: list[File], rule: Rule) -> None:
    """Write what is known of a version beside its data: its files, dtypes and categories, and the symbols' places.

    Symbols that had a place earlier and have no rows now keep it.
    """
    rows: dict[Symbol, int] = {}
    places = dict(zip(rule.earlier.symbols, rule.earlier.targets.tolist(), strict=True)) if rule.earlier else {}
    for partition, file in enumerate(files):
        for symbol, count in file.rows.items():
            if symbol in rows:
                raise DataError(f"Symbol {symbol!r} is in two partitions; the frame is not partitioned by symbol.")
            rows[symbol], places[symbol] = count, partition
    settled, types = settle(layout, files)
    symbols: list[Any] = sorted(places)
    table = pa.table(
        {
            "symbol": symbol_array(symbols),
            "partition": pa.array([places[symbol] for symbol in symbols], pa.int32()),
            "rows": pa.array([rows.get(symbol, 0) for symbol in symbols], pa.int64()),
        }
    )
    manifest = {
        "symbol": layout.symbol,
        "time": layout.time,
        "assignment": rule.name,
        "files": [{"name": file.name, "rows": sum(file.rows.values())} for file in files],
        "columns": [{"name": name, **dtypes.describe(dtype)} for name, dtype in settled.items()],
    }
    examples = [dtypes.example(dtype, types.get(name), name) for name, dtype in settled.items()]
    write_whole(folder / COLUMNS, lambda path: _write_arrow(path, pa.record_batch(examples, names=list(settled))))
    write_whole(
        folder / SYMBOLS, lambda path: _write_arrow(path, table.combine_chunks().to_batches()[0] if symbols else table)
    )
    write_whole(folder / versions.MANIFEST, lambda path: path.write_text(json.dumps(manifest)))


def _write_arrow(path: Path, batch: Any) -> None:
    with pa.ipc.new_file(path, batch.schema) as writer:
        writer.write(batch)


def settle(layout: Layout, files: list[File]) -> tuple[dict[str, Any], dict[str, pa.DataType]]:
    """Return the dtypes in which the columns come back from all files, and the types of Python objects."""
    settled, types = {}, {}
    for name, dtype in layout.dtypes.items():
        if name == layout.symbol:
            settled[name] = _symbol_dtype(dtype, files)
        elif isinstance(dtype, pd.CategoricalDtype):
            known = dtype if has_known_categories(pd.Series([], dtype=dtype)) else None
            settled[name] = _all_categories(name, known, files)
        else:
            settled[name] = dtype
        if dtype == np.object_ and name != layout.symbol:
            found = {file.types[name].id: file.types[name] for file in files if file.types[name] != pa.null()}
            kinds = list(found.values())
            if len(kinds) > 1:
                raise DataError(
                    f"Column {name!r} holds {kinds[0]} in one partition and {kinds[1]} in another; make it one type."
                )
            types[name] = kinds[0] if kinds else pa.null()
    return settled, types


def _symbol_dtype(dtype: Any, files: list[File]) -> Any:
    symbols: list[Any] = sorted(symbol for file in files for symbol in file.rows)
    if symbols and isinstance(symbols[0], int):
        return dtype if pd.api.types.is_integer_dtype(dtype) else np.dtype(np.int64)
    if not symbols and pd.api.types.is_integer_dtype(dtype):
        return dtype
    return pd.CategoricalDtype(pd.Index(symbols, dtype="str"))


def _all_categories(name: str, known: pd.CategoricalDtype | None, files: list[File]) -> pd.CategoricalDtype:
    for file in files:
        found = file.categories.get(name)
        if found is None or not len(found.categories) or found == known:
            continue
        if known is None:
            known = found
        elif known.ordered or found.ordered:
            raise DataError(
                f"Column {name!r} has ordered categories that differ between partitions; set them with "
                "cat.set_categories first."
            )
        else:
            more = found.categories.difference(known.categories, sort=False)
            known = pd.CategoricalDtype(known.categories.append(more))
    return known if known is not None else pd.CategoricalDtype(pd.Index([], dtype="str"))


@lru_cache(maxsize=8)
def load_dtypes(folder: str, version: str) -> dict[str, Any]:
    """Return the dtypes of a version's columns.

    Raises
    ------
    DataError
        If it is gone or damaged.
    """
    manifest = versions.manifest_of(Path(folder), version)
    batch = _read(folder, Path(version) / COLUMNS, lambda path: pa.ipc.open_file(path).get_batch(0))
    return {
        column["name"]: dtypes.described(column, values)
        for column, values in zip(manifest["columns"], batch.columns, strict=True)
    }


def load_rule(folder: str, version: str) -> Rule:
    """Return the rule that keeps symbols where a version has them, and places new ones as it did.

    Raises
    ------
    DataError
        If it is gone or damaged.
    """
    manifest = versions.manifest_of(Path(folder), version)
    table = _read(folder, Path(version) / SYMBOLS, lambda path: pa.ipc.open_file(path).read_all())
    symbols = table["symbol"].to_numpy().tolist()
    return Rule(len(manifest["files"]), manifest["assignment"], Assignment(symbols, table["partition"].to_numpy()))


def _read(folder: str, path: Path, read: Callable[[str], Any]) -> Any:
    try:
        return read(str(Path(folder) / path))
    except FileNotFoundError:
        raise versions.gone(Path(folder)) from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{Path(folder) / path} is damaged ({reason}); write the data set again.") from error


@dataclass(frozen=True)
class ReadFile:
    """Reads a file of a version of a data set, which stays what it is when another version takes its place."""

    folder: str
    version: str
    partitioned_by: str

    def __call__(self, name: str, columns: list[str] | None = None) -> pd.DataFrame:
        path = Path(self.version) / versions.DATA / name
        table = _read(self.folder, path, lambda whole: pq.read_table(whole, columns=columns, partitioning=None))
        kept = load_dtypes(self.folder, self.version)
        found = {
            name: dtypes.to_pandas(values, kept[name], name)
            for name, values in zip(table.column_names, table.columns, strict=True)
        }
        return pd.DataFrame(found, index=pd.RangeIndex(table.num_rows), copy=False)

    def meta(self) -> pd.DataFrame:
        """Return no rows, of the dtypes that all files have."""
        kept = load_dtypes(self.folder, self.version)
        return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in kept.items()}, index=pd.RangeIndex(0))
