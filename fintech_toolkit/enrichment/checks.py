"""What is wrong with rows of quotes, securities and trades: each is taken or rejected with its reason, none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.enrichment.feeds import is_one_sided
from fintech_toolkit.enrichment.identifiers import has_wrong_check_digit
from fintech_toolkit.errors import ColumnError, DataError, did_you_mean
from fintech_toolkit.scan.names import is_text
from fintech_toolkit.schema import Array, nanoseconds

LATE_AFTER = "60s"
"""A row behind a newer one by at least this is late and rejected; one behind by less is put in its place."""

NULL = "NULL"
"""A text that feeds use for none."""
ABOVE, BELOW = 1.0, 1000.0
"""Between these a price is one: feeds use 0, 1 and 1000 to 1005 for none."""

NOT_FIRM = "firm is false or missing: no quote"
"""What is noted of the rows of a feed of which `feeds.two_sided` makes no quote."""

TIME = pa.timestamp("ns", tz="UTC")
_TEXTS = ("symbol", "dealer", "cusip", "isin")
_PRICES = ("bid", "ask", "price", "clean_price")
_NUMBERS = (*_PRICES, "bid_size", "ask_size", "size", "amount_issued")
REQUIRED = {
    "quotes": ("symbol", "ts", "dealer", "bid", "ask"),
    "one-sided quotes": ("symbol", "ts", "dealer", "side", "price", "size"),
    "securities": ("symbol",),
    "trades": ("symbol", "ts", "dealer", "price", "size", "side"),
}
"""The columns without which rows of a data set say nothing."""
CHECKED = (*_TEXTS, "ts", *_NUMBERS, "side", "action", "venue", "currency", "rating", "sector")
"""All columns that are looked at."""


@dataclass(frozen=True)
class Before:
    """What earlier files hold that says whether the rows of a file are wrong.

    Attributes
    ----------
    newest : int
        The newest time, in nanoseconds.
    last : pyarrow.Table, optional
        The last row.
    taken : frozenset of str
        Keys of a reference that stand in earlier files as well.
    """

    newest: int = int(np.iinfo(np.int64).min)
    last: pa.Table | None = None
    taken: Collection[str] = frozenset()


@dataclass(frozen=True)
class Known:
    """What all of the data says about a row.

    Attributes
    ----------
    symbols, dealers : pyarrow.Array, optional
        The instruments and dealers that there are. None: any.
    now : int
        The time after which everything is in the future, in nanoseconds.
    """

    symbols: pa.Array | None = None
    dealers: pa.Array | None = None
    now: int = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Checked:
    """The rows of a file: those that are taken, in time order, and those that are not.

    Attributes
    ----------
    taken : pyarrow.Table
        With the types that flows read.
    rejected : pyarrow.Table
        ``file``, ``row`` (from 0), ``reason``, and ``record``, the row as it came.
    reordered : ndarray of int
        Rows that came after a newer one and were put in their place.
    notes : dict of str to int
        What else of the rows that are taken is not as it should be, and in how many: what flows take as it is meant.
    """

    taken: pa.Table
    rejected: pa.Table
    reordered: Array
    notes: dict[str, int]

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were rejected for each reason."""
        return dict(Counter(self.rejected["reason"].to_pylist()))


def kind_of(name: str, columns: Collection[str]) -> str:
    """Return which columns a data set must have: quotes with a side are one-sided."""
    return "one-sided quotes" if name == "quotes" and "side" in columns and "bid" not in columns else name


def conform(table: pa.Table, name: str, file: str) -> pa.Table:
    """Return rows with the types that flows read.

    Raises
    ------
    ColumnError, DataError
        If a column is missing, or of a type that cannot be used; the message names the file and the column.
    """
    for column in REQUIRED[kind_of(name, table.column_names)]:
        if column not in table.column_names:
            near = did_you_mean(column, table.column_names)
            raise ColumnError(f"{file}: there is no column {column!r}, which {name} must have. {near}")
    for index, column in enumerate(table.schema):
        wanted = _wanted(column, kind_of(name, table.column_names), file)
        if wanted is not None and wanted != column.type:
            try:
                table = table.set_column(index, column.name, table[column.name].cast(wanted))
            except pa.ArrowInvalid as error:
                raise DataError(f"{file}: column {column.name!r} cannot be used as {wanted}: {error}.") from error
    return table


def _wanted(column: pa.Field, kind: str, file: str) -> pa.DataType | None:
    values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(values):  # a column of a CSV file or an empty day in which nothing stands
        return TIME if column.name == "ts" else pa.float64() if column.name in _NUMBERS else pa.string()
    if column.name == "ts":
        if pa.types.is_timestamp(values) and values.tz is not None:
            return TIME
        what = "times without a zone" if pa.types.is_timestamp(values) else str(values)
        raise DataError(f"{file}: column 'ts' holds {what}; write times with their zone, such as UTC.")
    if column.name in _TEXTS:
        if is_text(values):
            return pa.string()
        raise DataError(f"{file}: column {column.name!r} holds {values}; it must hold texts.")
    if column.name in _NUMBERS or (column.name == "side" and kind == "trades"):
        if pa.types.is_floating(values) or pa.types.is_integer(values) or pa.types.is_decimal(values):
            return pa.float64()
        raise DataError(f"{file}: column {column.name!r} holds {values}; it must hold numbers.")
    return None


def check(table: pa.Table, name: str, file: str, before: Before = Before(), known: Known = Known()) -> Checked:
    """Return which rows of a file are taken, and which are rejected and why.

    Parameters
    ----------
    table : pyarrow.Table
        The rows as they came, of the types that `conform` gives.
    name : {"quotes", "securities", "trades"}
        What they are.
    file : str
        What the file is called.
    before : Before
        What earlier files hold.
    known : Known
        The instruments and dealers that there are, and the time.

    Returns
    -------
    Checked
        Every row is in one of its tables. Of several reasons the first counts.
    """
    reasons = np.zeros(table.num_rows, np.int64)
    texts = [""]
    behind = _behind(table, before, known)
    for reason, wrong in _faults(table, name, before, known, behind):
        texts.append(reason)
        reasons[wrong & (reasons == 0)] = len(texts) - 1
    rows = np.flatnonzero(reasons)
    rejected = pa.table(
        {
            "file": pa.repeat(file, len(rows)),
            "row": pa.array(rows, pa.int64()),
            "reason": pa.array(np.array(texts, dtype=object)[reasons[rows]], pa.string()),
            "record": table.take(rows).to_struct_array(),
        }
    )
    kept = np.flatnonzero(reasons == 0)
    moved = kept[behind[kept] > 0]
    if len(moved):
        kept = kept[np.argsort(_times(table)[kept], kind="stable")]
    taken, notes = _noted(table if len(kept) == table.num_rows and not len(moved) else table.take(kept))
    return Checked(taken, rejected, moved, notes)


def _noted(taken: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Return rows with the texts ``NULL`` as missing, and how many these and other values are that mean none."""
    notes = {}
    for index, column in enumerate(taken.schema):
        if pa.types.is_string(column.type):
            null = pc.equal(taken[column.name], NULL).fill_null(False)
            notes[f"{column.name} is the text {NULL}: missing"] = pc.sum(null).as_py() or 0
            if notes[f"{column.name} is the text {NULL}: missing"]:
                values = pc.if_else(null, pa.scalar(None, pa.string()), taken[column.name])
                taken = taken.set_column(index, column, values)
    for column in _NUMBERS:
        if column in taken.column_names:
            values = _numbers(taken[column])
            if column in _PRICES:
                notes[f"{column} is a sentinel: none"] = int(np.count_nonzero(_is_sentinel(values)))
            else:
                notes[f"{column} is 0: none"] = int(np.count_nonzero(values == 0))
    if "action" in taken.column_names:
        notes["action is DELETE: withdrawn"] = pc.sum(pc.equal(taken["action"], "DELETE")).as_py() or 0
    if is_one_sided(taken.column_names) and "firm" in taken.column_names:
        notes[NOT_FIRM] = pc.sum(pc.not_equal(taken["firm"], True).fill_null(True)).as_py() or 0
    return taken, {note: count for note, count in notes.items() if count}


def _faults(table: pa.Table, name: str, before: Before, known: Known, behind: Array) -> Iterator[tuple[str, Array]]:
    """Yield the reasons for which rows are rejected, and where."""
    yield "symbol missing", _blank(table["symbol"])
    for column, length in (("cusip", 9), ("isin", 12)):
        if column in table.column_names:
            yield f"{column} with a wrong check digit", has_wrong_check_digit(table[column], length)
    if name == "securities":
        yield "duplicate of the row before", _repeated(table, ("symbol",), before)
        yield from _faults_of_securities(table, before)
        return
    yield "duplicate of the row before", _repeated(table, ("ts", "symbol"), before)
    times = _times(table)
    yield "ts missing", times == _NEVER
    yield "ts in the future", times > known.now
    yield f"late: a row newer by {LATE_AFTER} or more came before", behind >= nanoseconds(LATE_AFTER, "LATE_AFTER")
    yield "out of order: an earlier file holds a newer row", (behind > 0) & (times < before.newest)
    yield "dealer missing", _blank(table["dealer"])
    kind = kind_of(name, table.column_names)
    stands = np.ones(table.num_rows, bool)
    if kind == "one-sided quotes" and "action" in table.column_names:
        stands = ~_array(pc.equal(table["action"], "DELETE").fill_null(False))  # what is withdrawn needs no price
    for column in ("bid", "ask") if kind == "quotes" else ("price",):
        price = _numbers(table[column])
        yield f"{column} missing", ~np.isfinite(price) & stands
        if kind != "one-sided quotes":  # of these it takes the quote away that stood
            for sentinel in np.unique(price[_is_sentinel(price)]):
                yield f"{column} is {sentinel:g}", price == sentinel
    for column in ("bid_size", "ask_size", "size"):
        if column in table.column_names:
            yield f"{column} negative", _numbers(table[column]) < 0
    if kind == "quotes":
        yield "crossed: bid above ask", _numbers(table["bid"]) > _numbers(table["ask"])
    if kind == "trades":
        yield "size is 0", _numbers(table["size"]) == 0
        side = _numbers(table["side"])
        yield "side neither 1, -1 nor 0", ~(np.isnan(side) | np.isin(side, (-1, 0, 1)))
    if known.symbols is not None:
        yield "symbol unknown: no security has it", ~_isin(table["symbol"], known.symbols)
    if known.dealers is not None:
        yield "dealer unknown: no quote is of it", ~_isin(table["dealer"], known.dealers)


def _faults_of_securities(table: pa.Table, before: Before) -> Iterator[tuple[str, Array]]:
    codes = pd.Series(_array(table["symbol"].combine_chunks().dictionary_encode().indices, zero_copy_only=False))
    elsewhere = _isin(table["symbol"], pa.array(sorted(before.taken), pa.string()))
    yield "symbol of an earlier security", codes.duplicated().to_numpy() | elsewhere


_NEVER = int(np.iinfo(np.int64).min)


def _times(table: pa.Table) -> Array:
    """Return times in nanoseconds; the least int64 where there is none."""
    return _array(table["ts"].cast(pa.int64()).fill_null(_NEVER))


def _behind(table: pa.Table, before: Before, known: Known) -> Array:
    """Return by how much each row is older than the newest before it; a row that has no right time is not."""
    if "ts" not in table.column_names:
        return np.zeros(table.num_rows, np.int64)
    times = _times(table)
    right = (times != _NEVER) & (times <= known.now)
    newest = np.maximum(np.maximum.accumulate(np.where(right, times, _NEVER)), before.newest)
    return np.where(right, newest - np.where(right, times, newest), 0)


def newest(table: pa.Table, known: Known) -> int:
    """Return the newest right time in a table, in nanoseconds; the least int64 if there is none."""
    times = _times(table)
    return int(times[times <= known.now].max(initial=_NEVER))


def _numbers(values: pa.ChunkedArray) -> Array:
    return _array(values.cast(pa.float64()).fill_null(np.nan))


def _is_sentinel(price: Array) -> Array:
    wrong: Array = (price <= ABOVE) | (price >= BELOW)
    return wrong


def _blank(values: pa.ChunkedArray) -> Array:
    return _array(pc.is_in(pc.utf8_trim_whitespace(values), value_set=pa.array(["", NULL, None])))


def _isin(values: pa.ChunkedArray, known: pa.Array) -> Array:
    return _array(pc.is_in(values, value_set=known))


def _array(values: Any, **options: bool) -> Array:
    return np.asarray(values.to_numpy(**options))


def _repeated(table: pa.Table, keys: tuple[str, ...], before: Before) -> Array:
    """Return which rows are the row before them over again, in all columns."""
    there = before.last
    last = table.slice(0, 0) if there is None else there.select(table.column_names).cast(table.schema)
    rows = pa.concat_tables([last, table])
    found = np.zeros(rows.num_rows, bool)
    if rows.num_rows:
        first = rows[keys[0]]
        candidates = 1 + np.flatnonzero(_same(first.slice(1), first.slice(0, rows.num_rows - 1)))
        for column in [*keys[1:], *(name for name in rows.column_names if name not in keys)]:
            candidates = candidates[_same(rows[column].take(candidates), rows[column].take(candidates - 1))]
        found[candidates] = True
    return found[last.num_rows :]


def _same(these: pa.ChunkedArray, those: pa.ChunkedArray) -> Array:
    if pa.types.is_nested(these.type):
        return np.array([a == b for a, b in zip(these.to_pylist(), those.to_pylist(), strict=True)], dtype=bool)
    both_none = pc.and_(these.is_null(nan_is_null=True), those.is_null(nan_is_null=True))
    return _array(pc.or_(pc.equal(these, those).fill_null(False), both_none))
