"""Frames partitioned by symbol: made once, written, and read back with neither a sort nor a shuffle."""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

import functools
import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dask.dataframe.dask_expr import new_collection

from fintech_toolkit.engines import evidence
from fintech_toolkit.engines.frames import NAT, PandasFrame, is_dask, times
from fintech_toolkit.engines.shuffle import balance, count_symbols, partitioned
from fintech_toolkit.engines.symbols import Symbol, encode
from fintech_toolkit.errors import ColumnError, DataError, ParameterError, did_you_mean

MANIFEST = "_fintech_toolkit.json"
FORMAT = "fintech_toolkit.partitioned/1"
ROWS_A_FILE = 1_000_000
ROWS_A_GROUP = 1 << 18


def partition_by_symbol(ddf: Any, npartitions: int, *, symbol: str = "symbol", time: str | None = "ts") -> Any:
    """Return a Dask frame in which each symbol is whole in one partition, its rows in time order. Lazy.

    Partitions get about the same number of rows: symbols are counted first, then the frame is shuffled once (by the
    method that Dask is configured for). Rows of the same time keep their original order.

    Parameters
    ----------
    ddf : dask.dataframe.DataFrame
        Ticks, in any order.
    npartitions : int
        How many partitions to make; those beyond the number of symbols stay empty.
    symbol, time : str
        The columns of symbols and event times. With ``time=None`` rows keep their original order.

    Returns
    -------
    dask.dataframe.DataFrame
        Same columns, index and dtypes. Pipelines know that it is partitioned by symbol.

    Raises
    ------
    ColumnError, ParameterError
        If a column is missing, or `npartitions` is not positive.
    DataError
        When computed, if a row has no symbol.

    Examples
    --------
    >>> import dask, dask.dataframe as dd, pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "A", "C"], "ts": pd.to_datetime([3, 2, 1, 0], utc=True)})
    >>> parts = ft.partition_by_symbol(dd.from_pandas(ticks, npartitions=2), 2)
    >>> [sorted(part["symbol"].unique()) for part in dask.compute(*parts.to_delayed())]
    [['A'], ['B', 'C']]
    """
    if npartitions < 1:
        raise ParameterError(f"npartitions={npartitions} must be at least 1.")
    _require(ddf, symbol, time)
    return new_collection(partitioned(ddf.expr, symbol, time, npartitions))


def write_partitioned(
    frame: Any,
    path: str | os.PathLike[str],
    *,
    symbol: str = "symbol",
    time: str = "ts",
    npartitions: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write a Parquet data set that is sorted by symbol and time, each symbol whole in one file. Computes.

    It is written aside and renamed when it is whole, on a file system that all workers see.

    Parameters
    ----------
    frame : pandas.DataFrame, pyarrow.Table or dask.dataframe.DataFrame
        Ticks, in any order. An index with a name is written as a column; one without is not kept.
    path : str or path
        The folder to make.
    symbol, time : str
        The columns of symbols and event times.
    npartitions : int, optional
        How many files to make; one a partition or a million rows, if left out.
    overwrite : bool
        Whether to replace a data set that is already there. Anything else that is there is never touched.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If a row has no symbol or no time, or something is in the way at `path`.

    Examples
    --------
    >>> import pandas as pd, tempfile, fintech_toolkit as ft
    >>> times = pd.to_datetime([2, 1, 1], unit="s", utc=True)
    >>> ticks = pd.DataFrame({"symbol": ["B", "A", "B"], "ts": times, "price": [3.0, 1.0, 2.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ft.write_partitioned(ticks, f"{folder}/ticks")
    ...     ft.read_partitioned(f"{folder}/ticks").compute()[["symbol", "price"]]
      symbol  price
    0      A    1.0
    1      B    2.0
    2      B    3.0
    """
    target = Path(path)
    if "://" in str(path):
        raise DataError(
            f"{path}: a data set is renamed when it is whole, which object stores cannot do; write to a file system."
        )
    if isinstance(frame, pa.Table | pa.RecordBatch):
        frame = frame.to_pandas(types_mapper={pa.string(): pd.StringDtype()}.get)
    if frame.index.name is not None:
        frame = frame.reset_index()
    _require(frame, symbol, time)
    _check_target(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    aside.mkdir()
    try:
        files = _write_files(frame, aside, symbol, time, npartitions)
        symbols: list[Any] = sorted({name for file in files for name in file["symbols"]})
        manifest = {"format": FORMAT, "symbol": symbol, "time": time, "symbols": symbols, "files": files}
        _drop_leftovers(aside, files)
        (aside / MANIFEST).write_text(json.dumps(manifest))
        _put_in_place(aside, target, overwrite)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def read_partitioned(path: str | os.PathLike[str]) -> Any:
    """Return the Dask frame of a data set that `write_partitioned` wrote: a partition a file. Lazy.

    Strings in the column of symbols become categories, the same in all partitions, straight from the codes in the file.

    Parameters
    ----------
    path : str or path
        The folder.

    Returns
    -------
    dask.dataframe.DataFrame
        Pipelines know that it is partitioned by symbol and in order.

    Raises
    ------
    DataError
        If the folder is not such a data set, or a file of it is missing.

    Examples
    --------
    >>> import pandas as pd, tempfile, fintech_toolkit as ft
    >>> times = pd.to_datetime([1, 2], unit="s", utc=True)
    >>> ticks = pd.DataFrame({"symbol": ["B", "A"], "ts": times, "price": [3.0, 1.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ft.write_partitioned(ticks, f"{folder}/ticks", npartitions=2)
    ...     ft.read_partitioned(f"{folder}/ticks").partitions[0].compute()[["symbol", "price"]]
      symbol  price
    0      A    1.0
    """
    folder = Path(path).absolute()
    manifest = _manifest(folder)
    for file in manifest["files"]:
        if not (folder / file["name"]).is_file():
            raise DataError(f"{folder}: file {file['name']} is missing; write the data set again.")
    stat = (folder / MANIFEST).stat()
    read = ReadFile(str(folder), (stat.st_mtime_ns, stat.st_ino), manifest["symbol"])
    names = [file["name"] for file in manifest["files"]]
    meta = read.frame(pq.read_schema(folder / names[0]).empty_table())
    return dd.from_map(read, names, meta=meta, label="read-partitioned", enforce_metadata=False)


@dataclass(frozen=True)
class ReadFile:
    """Reads a file of a partitioned data set. `version` tells a data set from one that has replaced it."""

    folder: str
    version: tuple[int, int]
    partitioned_by: str

    def __call__(self, name: str, columns: list[str] | None = None) -> pd.DataFrame:
        path = Path(self.folder) / name
        return self.frame(
            pq.read_table(path, columns=columns, read_dictionary=[self.partitioned_by], partitioning=None)
        )

    def frame(self, table: pa.Table) -> pd.DataFrame:
        """Return a table as a frame, with the categories of the whole data set."""
        symbol = self.partitioned_by
        place = table.schema.get_field_index(symbol)
        if place < 0 or not pa.types.is_dictionary(table.schema.field(place).type):
            return table.to_pandas(types_mapper=_strings, ignore_metadata=True)
        local = encode(table.column(symbol), symbol)
        dtype = _categories(self.folder, self.version)
        places = dtype.categories.get_indexer(pd.Index(local.values, dtype=dtype.categories.dtype)).astype(np.int32)
        codes = places[local.codes] if len(places) else local.codes
        frame = table.drop_columns([symbol]).to_pandas(types_mapper=_strings, ignore_metadata=True)
        frame.insert(place, symbol, pd.Categorical.from_codes(codes, dtype=dtype))
        return frame


def _strings(kind: pa.DataType) -> Any:
    return pd.StringDtype("pyarrow") if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


@lru_cache(maxsize=8)
def _categories(folder: str, version: tuple[int, int]) -> pd.CategoricalDtype:
    return pd.CategoricalDtype(pd.Index(_manifest(Path(folder))["symbols"], dtype="str"))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["format"] == FORMAT:
            return manifest
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DataError(f"{folder} was not written by write_partitioned: it has no valid {MANIFEST}.")


def _require(frame: Any, *names: str | None) -> None:
    for name in names:
        if name is not None and name not in frame.columns:
            raise ColumnError(f"There is no column {name!r}. {did_you_mean(name, map(str, frame.columns))}")


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        _manifest(target)
    except DataError:
        raise DataError(f"{target} exists and is not a data set of write_partitioned; choose another path.") from None
    if not overwrite:
        raise DataError(f"{target} is already there; say overwrite=True to replace it.")


def _drop_leftovers(aside: Path, files: list[dict[str, Any]]) -> None:
    """Remove what workers that died have left half-written."""
    for path in set(aside.iterdir()) - {aside / file["name"] for file in files}:
        path.unlink()


def _put_in_place(aside: Path, target: Path, overwrite: bool) -> None:
    _check_target(target, overwrite)
    if not target.exists():
        aside.rename(target)
        return
    old = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    target.rename(old)
    aside.rename(target)
    shutil.rmtree(old)


def _write_files(frame: Any, aside: Path, symbol: str, time: str, npartitions: int | None) -> list[dict[str, Any]]:
    schema = _schema(frame._meta if is_dask(frame) else frame, symbol)
    write = functools.partial(_write_file, folder=str(aside), symbol=symbol, time=time, schema=schema)
    if not is_dask(frame):
        npartitions = npartitions or max(1, -(-len(frame) // ROWS_A_FILE))
        return [write(part, number=i) for i, part in enumerate(_split(frame, symbol, npartitions))]
    if npartitions is not None or not evidence.by_symbol(frame.expr, symbol).holds:
        frame = partition_by_symbol(frame, npartitions or frame.npartitions, symbol=symbol, time=time)
    parts = [dask.delayed(write, pure=True)(part, number=i) for i, part in enumerate(frame.to_delayed())]
    files: list[dict[str, Any]] = list(dask.compute(*parts))
    _check_apart(files)
    return files


def _check_apart(files: list[dict[str, Any]]) -> None:
    home: dict[Symbol, str] = {}
    for file in files:
        for name in file["symbols"]:
            if home.setdefault(name, file["name"]) != file["name"]:
                raise DataError(f"Symbol {name!r} is in two partitions; the frame is not partitioned by symbol.")


def _split(frame: pd.DataFrame, symbol: str, npartitions: int) -> Sequence[pd.DataFrame]:
    local = encode(frame[symbol], symbol)
    _check_present(local.codes, symbol)
    assignment = balance([count_symbols(frame[symbol])], npartitions)
    rank = {name: j for j, name in enumerate(assignment.symbols)}
    targets = assignment.targets[np.array([rank.get(name, -1) for name in local.values], np.int64)]
    goes = targets[local.codes]
    return [frame.iloc[np.flatnonzero(goes == p)] for p in range(npartitions)]


def _check_present(codes: Any, symbol: str) -> None:
    if len(codes) and codes.min() < 0:
        raise DataError(f"Column {symbol!r} has no symbol at row {int(np.argmin(codes))}; drop such rows or fill them.")


def _schema(frame: pd.DataFrame, symbol: str) -> pa.Schema:
    """Return the schema of all files: widths do not depend on what a partition happens to hold."""
    schema = pa.Schema.from_pandas(frame.iloc[:0], preserve_index=False).remove_metadata()
    for place, field in enumerate(schema):
        kind = field.type
        if field.name == symbol:
            values = kind.value_type if pa.types.is_dictionary(kind) else kind
            kind = values if pa.types.is_integer(values) else pa.dictionary(pa.int32(), pa.string())
        elif pa.types.is_dictionary(kind):
            kind = pa.dictionary(pa.int32(), pa.string() if pa.types.is_null(kind.value_type) else kind.value_type)
        elif pa.types.is_null(kind):
            kind = pa.string()
        schema = schema.set(place, pa.field(field.name, kind))
    return schema


def _write_file(
    frame: pd.DataFrame, *, number: int, folder: str, symbol: str, time: str, schema: pa.Schema
) -> dict[str, Any]:
    """Write a partition, sorted; return its entry in the manifest. The same again if it is done twice."""
    local = encode(frame[symbol], symbol)
    _check_present(local.codes, symbol)
    used = sorted(
        (local.values[j] for j in np.flatnonzero(np.bincount(local.codes, minlength=1))) if len(frame) else []
    )
    rank = {name: j for j, name in enumerate(used)}
    width = np.uint16 if len(used) <= 1 << 16 else np.uint32  # NumPy sorts 16 bits by counting
    codes = np.array([rank.get(name, 0) for name in local.values], width)[local.codes]
    ts, _ = times(PandasFrame(frame), time)
    if np.any(ts == NAT):
        raise DataError(f"Column {time!r} has no time at row {int(np.argmax(ts == NAT))}; drop such rows or fill them.")
    order = np.argsort(ts, kind="stable") if np.any(ts[1:] < ts[:-1]) else np.arange(len(frame))
    order = order[np.argsort(codes[order], kind="stable")]
    sorted_codes = codes[order]
    columns = {name: frame[name] for name in schema.names if name != symbol}
    table = pa.Table.from_pandas(pd.DataFrame(columns, index=frame.index).iloc[order], preserve_index=False)
    kind = schema.field(symbol).type
    if pa.types.is_dictionary(kind):
        names = pa.DictionaryArray.from_arrays(pa.array(sorted_codes.astype(np.int32)), pa.array(used, pa.string()))
    else:
        names = pa.array(np.array(used, np.int64)[sorted_codes] if used else np.empty(0, np.int64), kind)
    place = schema.get_field_index(symbol)
    table = table.add_column(place, symbol, names).cast(schema)
    name = f"part-{number:05d}.parquet"
    whole = Path(folder) / f".{name}.{uuid.uuid4().hex}"
    texts = [field.name for field in schema if not pa.types.is_floating(field.type)]
    pq.write_table(table, whole, row_group_size=ROWS_A_GROUP, use_dictionary=texts)
    os.replace(whole, Path(folder) / name)
    return {"name": name, "rows": len(frame), "symbols": used}
