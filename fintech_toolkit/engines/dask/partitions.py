"""Frames partitioned by symbol: made once, written, and read back with neither a sort nor a shuffle."""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

import functools
import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._expr import Filter, Projection
from dask.dataframe.dask_expr.io.io import FromMapProjectable

from fintech_toolkit.engines.dask import evidence, versions
from fintech_toolkit.engines.dask.assignment import RULES, Rule, count_symbols, from_mapping, grown, partition_count
from fintech_toolkit.engines.dask.partition_files import (
    File,
    Layout,
    ReadFile,
    check_present,
    load_rule,
    save_version,
    write_file,
)
from fintech_toolkit.engines.dask.shuffle import Balance, PartitionBySymbol, partitioned
from fintech_toolkit.errors import ColumnError, DataError, ParameterError, did_you_mean
from fintech_toolkit.frames import dtypes
from fintech_toolkit.frames.symbols import Symbol, check_same_kind, encode
from fintech_toolkit.frames.views import is_dask
from fintech_toolkit.schema import check_unit

ROWS_A_FILE = 1_000_000


def partition_by_symbol(
    ddf: Any,
    npartitions: int | None = None,
    *,
    symbol: str = "symbol",
    time: str | None = "ts",
    unit: str | None = None,
    assignment: Any = "balanced",
) -> Any:
    """Return a Dask frame in which each symbol is whole in one partition, its rows in time order. Lazy.

    Symbols are counted first, then the frame is shuffled once (by the method that Dask is configured for). Rows of the
    same time keep their original order.

    Parameters
    ----------
    ddf : dask.dataframe.DataFrame
        Ticks, in any order.
    npartitions : int, optional
        How many partitions to make; those beyond the number of symbols stay empty. If left out, as many as the frame
        has, or as the earlier assignment had.
    symbol, time : str
        The columns of symbols and event times. With ``time=None`` rows keep their original order.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of event times that are integers; left out, they are nanoseconds, and an error if they look like
        another unit.
    assignment : {"balanced", "hash"}, path, frame or mapping
        Which partition a symbol goes to. "balanced": so that partitions get about the same number of rows today.
        "hash": by its name and the number of partitions alone, so the same every day and on every machine (BLAKE2b of
        its text in UTF-8, 8 bytes as a big-endian integer, modulo `npartitions`). Or where symbols were earlier: the
        folder of `write_partitioned`, the frame of `read_partitioned`, or a mapping of symbols to partitions; they stay
        there, and new ones are placed by the rule that was used then, so that none moves.

    Returns
    -------
    dask.dataframe.DataFrame
        Same columns, index and dtypes. Pipelines know that it is partitioned by symbol.

    Raises
    ------
    ColumnError, ParameterError
        If a column is missing, `npartitions` is not a positive whole number, or does not fit the earlier assignment.
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
    check_unit(unit)
    rule = _rule(assignment, npartitions, ddf.npartitions)
    _require(ddf, symbol, time)
    return new_collection(partitioned(ddf.expr, symbol, time, rule, unit, sort=True))


def write_partitioned(
    frame: Any,
    path: str | os.PathLike[str],
    *,
    symbol: str = "symbol",
    time: str = "ts",
    unit: str | None = None,
    npartitions: int | None = None,
    assignment: Any = "balanced",
    overwrite: bool = False,
) -> None:
    """Write a Parquet data set that is sorted by symbol and time, each symbol whole in one file. Computes.

    A data set is a folder of versions, on a file system that all workers see. A new one is written beside the others,
    and becomes the current one in a single step when it is whole and on the disk: whatever happens before leaves the
    old one as it was. Whoever reads the old one goes on reading it: it is kept until the next overwrite has succeeded.
    (So the disk holds two versions, and three while one is written.) Nothing else in the folder is ever touched. One
    process writes at a time; another one gets an error at once.

    Parameters
    ----------
    frame : pandas.DataFrame, pyarrow.Table or dask.dataframe.DataFrame
        Ticks, in any order. Levels of the index that have a name are written as columns; others are not kept.
    path : str or path
        The folder to make.
    symbol, time : str
        The columns of symbols and event times.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of event times that are integers; left out, they are nanoseconds, and an error if they look like
        another unit. They are written as they are.
    npartitions : int, optional
        How many files to make; one a partition or a million rows, if left out.
    assignment : {"balanced", "hash"}, path, frame or mapping
        Which file a symbol goes to: see `partition_by_symbol`.
    overwrite : bool
        Whether to replace a data set that is already there. Anything else that is there is never touched.

    Raises
    ------
    ColumnError, ParameterError
        If a column is missing, named twice or not by a text, or a parameter is out of its range.
    DataError
        If a row has no symbol or no time, Parquet cannot hold a column, something is in the way at `path`, or another
        process is writing there.
    OSError
        If the disk is full or the folder cannot be written to.

    Notes
    -----
    Every dtype comes back as it was, with two exceptions: symbols that are texts come back as categories, and missing
    Python objects as None. Columns of an Arrow table come back as numbers, texts, times and categories of pandas
    (integers and booleans nullable, unless their field is not), everything else as `pandas.ArrowDtype`.

    Others (pandas, Polars, DuckDB) read the folder ``data`` of a version, ordinary Parquet files, by the name that the
    pointer gives: ``path / json.loads((path / "_fintech_toolkit.json").read_text())["version"] / "data"``; never `path`
    itself, under which there are two versions.

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
    check_unit(unit)
    target = _folder(path)
    frame = dtypes.with_columns(frame)
    _require(frame, symbol, time)
    default = frame.npartitions if is_dask(frame) else max(1, -(-len(frame) // ROWS_A_FILE))
    rule, as_it_is = _rule(assignment, npartitions, default), False
    if is_dask(frame) and npartitions is None and isinstance(assignment, str) and assignment == "balanced":
        as_it_is = evidence.by_symbol(frame.expr, symbol).holds
        rule = (_rule_of(frame.expr, symbol) if as_it_is else None) or rule
    layout = _layout(frame, symbol, time, unit)
    with versions.new_version(target, overwrite) as version:
        files = _write_files(frame, version / versions.DATA, layout, rule, as_it_is=as_it_is)
        save_version(version, layout, files, rule)


def read_partitioned(path: str | os.PathLike[str]) -> Any:
    """Return the Dask frame of a data set that `write_partitioned` wrote: a partition a file. Lazy.

    It reads the version that is current now, also if it is computed when another one has taken its place; when its
    version is gone, computing is an error. Strings in the column of symbols become categories, the same in all
    partitions, straight from the codes in the file.

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
        If the folder is not such a data set, or a file of it is missing; when computed, if the version is gone.

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
    folder = _folder(path)
    version, manifest = versions.current(folder)
    names = [file["name"] for file in manifest["files"]]
    for name in names:
        if not (folder / version / versions.DATA / name).is_file():
            raise DataError(f"{folder}: file {name} is missing; write the data set again.")
    read = ReadFile(str(folder), version, manifest["symbol"])
    # Not by way of dask.dataframe.from_map, which would turn all Python objects into strings.
    operands: dict[str, Any] = {
        "columns": None,
        "args": [],
        "kwargs": {},
        "columns_arg_required": False,
        "user_meta": read.meta(),
    }
    return new_collection(FromMapProjectable(read, [names], **operands, label="read-partitioned"))


def partition_of(data: Any, symbol: Symbol) -> int:
    """Return the number of the partition that a symbol has.

    Parameters
    ----------
    data : path or dask.dataframe.DataFrame
        The folder of `write_partitioned`, the frame of `read_partitioned`, or that of `partition_by_symbol`, whose
        symbols are then counted.
    symbol : str or int
        The symbol.

    Returns
    -------
    int
        For ``frame.partitions[…]``, and in the file's name.

    Raises
    ------
    DataError
        If it has no such symbol, or the folder is not a data set.
    ParameterError
        If `data` is something else.

    Examples
    --------
    >>> import pandas as pd, tempfile, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["B", "A"], "ts": pd.to_datetime([1, 2], utc=True)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ft.write_partitioned(ticks, f"{folder}/ticks", npartitions=8, assignment="hash")
    ...     ft.partition_of(f"{folder}/ticks", "A"), ft.partition_of(f"{folder}/ticks", "B")
    (6, 2)
    """
    name: Any = symbol.item() if isinstance(symbol, np.generic) else symbol
    if is_dask(data) and isinstance(data.expr, PartitionBySymbol):
        found = new_collection(Balance(data.expr.counts, data.expr.rule)).compute()
    else:
        found = _earlier(data).earlier
    for known in found.symbols[:1]:
        check_same_kind(name, known)
    place = bisect_left(found.symbols, name)
    if place == len(found.symbols) or found.symbols[place] != name:
        raise DataError(f"There is no symbol {symbol!r}. {did_you_mean(str(name), map(str, found.symbols))}")
    return int(found.targets[place])


def _folder(path: str | os.PathLike[str]) -> Path:
    if "://" in str(path):
        raise DataError(
            f"{path}: a data set is written under a lock and pointed to when it is whole, which object stores cannot "
            "do; use a file system."
        )
    return Path(path).expanduser().absolute()


def _rule(assignment: Any, npartitions: Any, default: int) -> Rule:
    count = None if npartitions is None else partition_count(npartitions)
    if isinstance(assignment, str) and (assignment in RULES or not Path(assignment).expanduser().exists()):
        if assignment not in RULES:
            raise ParameterError(
                f"assignment={assignment!r} must be 'balanced', 'hash', or where symbols were earlier."
            )
        return Rule(count or default, assignment)
    return grown(_earlier(assignment), count)


def _earlier(data: Any) -> Rule:
    """Return the rule that keeps symbols where they are in a data set, its frame or a mapping."""
    if isinstance(data, Mapping | pd.Series):
        return from_mapping(data)
    if isinstance(data, str | os.PathLike):
        folder = _folder(data)
        return load_rule(str(folder), versions.current(folder)[0])
    read = _whole_read(data.expr) if is_dask(data) else None
    if read is None:
        raise ParameterError(
            f"This {type(data).__name__} does not say which partition a symbol has: give the folder of "
            "write_partitioned, the frame of read_partitioned, or a mapping of symbols to partitions."
        )
    return load_rule(read.folder, read.version)


def _whole_read(expr: Any) -> ReadFile | None:
    """Return what reads the files of an expression, if it is of a data set and none of its partitions is left out."""
    while isinstance(expr, Projection):
        expr = expr.frame
    read = getattr(expr, "func", None)
    return read if isinstance(read, ReadFile) and expr.operand("_partitions") is None else None


def _rule_of(expr: Any, symbol: str) -> Rule | None:
    """Return by which rule the symbols of an expression came to be where they are; None if that is not known."""
    while isinstance(expr, Filter | Projection):
        expr = expr.frame
    if isinstance(expr, PartitionBySymbol) and expr.symbol == symbol:
        return expr.rule
    read = _whole_read(expr)
    return load_rule(read.folder, read.version) if read is not None and read.partitioned_by == symbol else None


def _require(frame: Any, *names: str | None) -> None:
    for name in names:
        if name is not None and name not in frame.columns:
            raise ColumnError(f"There is no column {name!r}. {did_you_mean(name, map(str, frame.columns))}")


def _layout(frame: Any, symbol: str, time: str, unit: str | None) -> Layout:
    kinds: dict[str, Any] = dict(frame.dtypes.items())
    objects = {}
    for name, dtype in kinds.items():
        if name == symbol:
            continue
        if dtype == np.object_ and not is_dask(frame):
            objects[name] = dtypes.from_objects(frame[name], name).type
        dtypes.arrow_type(dtype, name)  # complains
    return Layout(symbol, time, unit, kinds, objects)


def _write_files(frame: Any, folder: Path, layout: Layout, rule: Rule, *, as_it_is: bool) -> list[File]:
    write = functools.partial(write_file, folder=str(folder), layout=layout)
    if not is_dask(frame):
        return [write(part, number=i) for i, part in enumerate(_split(frame, layout.symbol, rule))]
    if not as_it_is:
        frame = new_collection(partitioned(frame.expr, layout.symbol, layout.time, rule, layout.unit, sort=True))
    parts = [dask.delayed(write, pure=True)(part, number=i) for i, part in enumerate(frame.to_delayed())]
    return list(dask.compute(*parts))


def _split(frame: pd.DataFrame, symbol: str, rule: Rule) -> Sequence[pd.DataFrame]:
    local = encode(frame[symbol], symbol)
    check_present(local, symbol)
    assignment = rule.assign([count_symbols(frame[symbol])])
    rank = {name: j for j, name in enumerate(assignment.symbols)}
    targets = assignment.targets[np.array([rank.get(name, -1) for name in local.values], np.int64)]
    goes = targets[local.codes]
    return [frame.iloc[np.flatnonzero(goes == p)] for p in range(rule.npartitions)]
