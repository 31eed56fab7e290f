"""Blocks of CSV as columns: at once where every record is right, else with those set apart that are not."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv

from fintech_toolkit.errors import DataError
from fintech_toolkit.orders.checks import NULLS, PRICES, STATED_DAY, canonical_name, canonical_names
from fintech_toolkit.orders.csv_loop import read_whole_numbers
from fintech_toolkit.orders.records import Block
from fintech_toolkit.schema import Array

_COMMA = ord(",")


@dataclass(frozen=True)
class Header:
    """The first line of a file.

    Attributes
    ----------
    names : list of str
        As they stand there.
    canonical : list of str
        For each the canonical name, or an empty text if it is not read.
    """

    names: list[str]
    canonical: list[str]

    @property
    def places(self) -> dict[str, int]:
        """Where the columns are that are read."""
        return {name: place for place, name in enumerate(self.canonical) if name}

    @classmethod
    def of(cls, record: bytes, kind: str, called: str) -> Header:
        """Read a header, and raise `ColumnError` if a column is missing or there twice."""
        names = fields_of(record.removeprefix(b"\xef\xbb\xbf"))
        if not names:
            raise DataError(f"{called} does not begin with a line of column names.")
        return cls(names, canonical_names(names, kind, called))


@dataclass(frozen=True)
class Rows:
    """Records as columns.

    Attributes
    ----------
    table : pyarrow.Table
        Canonical names; values as int64 or float64, or all as binary where some are neither.
    records : array of int64
        Which record of the block each row is.
    broken : list of (int, str)
        Records that are no rows, and why.
    """

    table: pa.Table
    records: Array
    broken: list[tuple[int, str]]


def rows_of(block: Block, header: Header) -> Rows:
    """Return the rows of a block.

    Raises
    ------
    DataError
        If another header stands among the records.
    """
    if block.broken:
        nothing = _parse(b"", header, pa.binary(), pa.binary())
        return Rows(nothing, np.zeros(0, np.int64), [(0, "a quote is opened and not closed")])
    table = _plain(block, header)
    if table is None:
        table = _as_numbers(block.data, header)
    if table is not None and table.num_rows == block.count:
        return Rows(table, np.arange(table.num_rows), [])
    return _apart(block, header)


def _plain(block: Block, header: Header) -> pa.Table | None:
    """Return records in which all that is read are plain whole numbers, as most files have them; else None."""
    if block.quoted or not header.places.keys().isdisjoint(STATED_DAY):
        return None
    names = list(header.places)
    rows = np.array([names.index(name) if name else -1 for name in header.canonical])
    values = np.empty((len(names), block.count), np.int64)
    if read_whole_numbers(np.frombuffer(block.data, np.uint8), rows, values) != block.count:
        return None
    return pa.table([pa.array(each) for each in values], names)


def _as_numbers(data: bytes, header: Header) -> pa.Table | None:
    """Return records as whole numbers, or prices as floats; None if some are neither."""
    for prices in (pa.int64(), pa.float64()):
        try:
            table = _parse(data, header, pa.int64(), prices)
        except pa.ArrowInvalid:
            continue
        return None if prices == pa.float64() and _is_inexact(table) else table
    return None


def _parse(data: bytes, header: Header, whole: pa.DataType, prices: pa.DataType) -> pa.Table:
    """Parse records of which each has all fields."""
    types = {
        str(place): pa.binary() if name in STATED_DAY else prices if name in PRICES else whole
        for name, place in header.places.items()
    }
    if not data:
        return pa.table({name: pa.array([], types[str(place)]) for name, place in header.places.items()})
    table = pa.csv.read_csv(
        pa.BufferReader(data),
        pa.csv.ReadOptions(column_names=[str(place) for place in range(len(header.names))], use_threads=False),
        pa.csv.ParseOptions(newlines_in_values=b'"' in data),
        pa.csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=NULLS,
            strings_can_be_null=True,
            check_utf8=False,
        ),
    )
    return table.rename_columns(list(header.places))


def _is_inexact(table: pa.Table) -> bool:
    """Whether there are prices for which float64 has one number and texts several."""
    prices = [table[name].drop_null().to_numpy() for name in PRICES if name in table.column_names]
    return any(bool(((np.abs(each) >= 2**53) & (each != -(2.0**63))).any()) for each in prices)


def _apart(block: Block, header: Header) -> Rows:
    """Set apart the records that are not of so many fields, and return all values of the others as binary."""
    name = header.names[header.places["timestamp"]].lower().encode()
    if re.search(rb'"|\r(?!\n)', block.data) or name in block.data.lower():
        return _one_by_one(block, header)
    starts = block.starts()
    ends = np.append(starts[1:], len(block.data))
    data = np.frombuffer(block.data, np.uint8)
    commas = np.flatnonzero(data == _COMMA)
    fields = np.searchsorted(commas, ends) - np.searchsorted(commas, starts) + 1
    blank = (ends - starts <= 2) & np.isin(data[starts], (ord("\r"), ord("\n")))
    right = (fields == len(header.names)) & ~blank
    kept = data[np.repeat(right, ends - starts)].tobytes()
    broken = [(int(n), _wrong_count(fields[n], header)) for n in np.flatnonzero(~right & ~blank)]
    table = _as_numbers(kept, header) if broken else None
    if table is None:
        table = _parse(kept, header, pa.binary(), pa.binary())
    return Rows(table, np.flatnonzero(right), broken)


def _one_by_one(block: Block, header: Header) -> Rows:
    """Do the same where line breaks, quotes or another header make records of what is no row."""
    starts = block.starts().tolist()
    taken: list[int] = []
    values: list[list[str]] = []
    broken = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(block.data)], strict=True)):
        fields = fields_of(block.data[start:end])
        if fields is None:
            broken.append((number, "a line break or quote within a field"))
        elif fields == header.names:
            broken.append((number, "the header again"))
        elif len({*map(canonical_name, fields)} & {*header.places}) > len(header.places) // 2:
            line = int(block.lines(np.array([number]))[0])
            raise DataError(f"line {line} is another header; cut the file there into two.")
        elif fields and len(fields) != len(header.names):
            broken.append((number, _wrong_count(len(fields), header)))
        elif fields:
            taken.append(number)
            values.append(fields)
    table = pa.table(
        {
            name: pa.array([fields[place].encode("latin-1") for fields in values], pa.binary())
            for name, place in header.places.items()
        }
    )
    return Rows(table, np.array(taken, np.int64), broken)


def _wrong_count(fields: int, header: Header) -> str:
    return f"{fields} fields instead of {len(header.names)}"


def fields_of(record: bytes) -> list[str] | None:
    """Return the fields of a record, none of a blank one, or None if it cannot be cut into fields."""
    try:
        rows = list(csv.reader([record.decode("latin-1")]))  # in which every byte is a character
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None
