"""Keys by which rows are looked up, as bytes: any number of columns of any types become one run of bytes a row.

Two rows have the same key exactly if their bytes are the same. A column of texts stays where it is; other types become
eight bytes a value. Nothing passes through float64 or through Python objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.dtypes import plain
from fintech_toolkit.frames.views import Frame, require
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.names import is_text
from fintech_toolkit.schema import UNITS, Array

MOST_BYTES = 2**31 - 1
"""As many as Arrow's smaller strings can hold together."""
ALL = np.empty(0, np.bool_)
_NO_OFFSETS = np.empty(0, np.int64)


class KeyBytes(NamedTuple):
    """The keys of some rows.

    Attributes
    ----------
    data : ndarray of uint8
    offsets : ndarray of int64
        Where the bytes of each row begin, and where the last ones end; empty if all are of one width.
    width : int
    valid : ndarray of bool
        Which rows have a key; empty if all have.
    rows : int
    """

    data: Array
    offsets: Array
    width: int
    valid: Array
    rows: int

    @classmethod
    def of(cls, data: Array, offsets: Array, valid: Array, rows: int) -> KeyBytes:
        """Return keys; offsets that say no more than a width does are left out."""
        begin, end = int(offsets[0]), int(offsets[-1])
        width = int(_width(offsets))
        if width >= 0:
            return cls(read_only(data[begin:end]), read_only(_NO_OFFSETS), width, read_only(valid), rows)
        return cls(read_only(data), read_only(offsets), 0, read_only(valid), rows)

    @classmethod
    def of_arrow(cls, values: pa.LargeBinaryArray) -> KeyBytes:
        """Return what `arrow` made, all of it valid."""
        _, places, data = values.buffers()
        offsets = np.zeros(1, np.int64)
        if len(values):
            offsets = np.frombuffer(places, np.int64)[values.offset : values.offset + len(values) + 1]
        return cls.of(np.frombuffer(data or b"", np.uint8), offsets, ALL, len(values))

    def arrow(self) -> pa.LargeBinaryArray:
        """Return the keys as Arrow, to take some of them or put several together."""
        offsets = self.offsets if len(self.offsets) else np.arange(self.rows + 1, dtype=np.int64) * self.width
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.data)]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), self.rows, buffers)


@dataclass(frozen=True)
class KeyKind:
    """What a column of keys holds. Those of one family can be equal.

    `unit` is that of timestamps. `unsigned` integers are of 64 bits.
    """

    family: str
    called: str
    unit: str = ""
    unsigned: bool = False

    @property
    def text(self) -> bool:
        """Whether the bytes of a value are its own."""
        return self.family == "texts"

    def compares(self, other: KeyKind) -> bool:
        """Whether values of both can be equal. Nulls by themselves equal nothing, and are no mistake."""
        return self.family == other.family or "nulls" in (self.family, other.family)


def key_kind(kind: pa.DataType, name: str) -> KeyKind:
    """Return what a column of an Arrow type holds.

    Raises
    ------
    DataError
        If it cannot be a key.
    """
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return key_kind(kind.value_type, name)
    called = str(kind)
    if is_text(kind):
        return KeyKind("texts", called)
    if types.is_integer(kind):
        return KeyKind("integers", called, unsigned=types.is_uint64(kind))
    if types.is_boolean(kind):
        return KeyKind("booleans", called)
    if types.is_date(kind):
        return KeyKind("dates", called)
    if types.is_timestamp(kind):
        return KeyKind("times with a zone" if kind.tz else "times without a zone", called, kind.unit)
    if types.is_null(kind):
        return KeyKind("nulls", called)
    remedy = "convert it to texts, integers, booleans, dates or times."
    if types.is_floating(kind):
        remedy = "float64 cannot keep keys exact: read it as int64 (Int64 where values are missing) or as text."
    raise DataError(f"Column {name!r} holds {called}, which cannot be a key; {remedy}")


class KeyColumns:
    """The columns of a frame that hold its keys.

    Parameters
    ----------
    view : Frame
        Where they are.
    names : sequence of str
        What they are called.
    what : str
        Of which frame, in errors: " on the left".

    Attributes
    ----------
    kinds : list of KeyKind
        What they hold.
    rows : int

    Raises
    ------
    ColumnError
        If there is no such column.
    DataError
        If it cannot be a key.
    """

    def __init__(self, view: Frame, names: Sequence[str], what: str = "") -> None:
        for name in names:
            require(view, name, what)
        self.names = list(names)
        self.rows = view.rows
        self.columns = [_arrow(view.column(name), name) for name in names]
        self.kinds = [key_kind(column.type, name) for column, name in zip(self.columns, names, strict=True)]

    def read(self, wanted: Sequence[KeyKind], first: int = 0, rows: int | None = None) -> KeyBytes:
        """Return the keys of some rows, such that they can be compared with those of another frame.

        Parameters
        ----------
        wanted : sequence of KeyKind
            What the columns of the frame hold in which keys are looked up. A value that it cannot hold (a negative
            integer among unsigned ones, half a second among whole ones) is none, and so equals nothing.
        first, rows : int
            The rows; by default all.
        """
        rows = self.rows if rows is None else rows
        parts = [
            _part(_plain(column.slice(first, rows)), mine, theirs)
            for column, mine, theirs in zip(self.columns, self.kinds, wanted, strict=True)
        ]
        return parts[0] if len(parts) == 1 else _packed(parts, [kind.text for kind in wanted])

    def show(self, row: int) -> str:
        """Return the key of a row for a message."""
        values = [column[row].as_py() for column in self.columns]
        return repr(values[0]) if len(values) == 1 else repr(tuple(values))


def check_comparable(left: KeyColumns, right: KeyColumns, where: tuple[str, str] = ("left", "right")) -> None:
    """Raise unless the keys of two frames can be equal.

    Raises
    ------
    DataError
        If not; the message names both columns.
    """
    for here, there, mine, theirs in zip(left.names, right.names, left.kinds, right.kinds, strict=True):
        if not mine.compares(theirs):
            raise DataError(
                f"Column {here!r} on the {where[0]} holds {mine.family} ({mine.called}) and {there!r} on the "
                f"{where[1]} {theirs.family} ({theirs.called}), which are never equal; convert one of them."
            )


def _arrow(column: Any, name: str) -> pa.ChunkedArray:
    """Return a column as Arrow."""
    if not isinstance(column, pa.Array | pa.ChunkedArray):
        column = plain(column, name)
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """Return a stretch of a column in one piece, dictionaries and views resolved."""
    if pa.types.is_run_end_encoded(column.type):
        column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string_view(column.type) or (pa.types.is_string(column.type) and column.nbytes > MOST_BYTES):
        column = column.cast(pa.large_string())
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _part(values: pa.Array, mine: KeyKind, theirs: KeyKind) -> KeyBytes:
    """Return the bytes of one column."""
    rows = len(values)
    if "nulls" in (mine.family, theirs.family):
        none = np.zeros(rows, np.bool_)
        return KeyBytes(read_only(np.empty(0, np.uint8)), read_only(_NO_OFFSETS), 0, read_only(none), rows)
    valid = values.is_valid().to_numpy(zero_copy_only=False) if values.null_count else ALL
    if mine.text:
        _, places, data = values.buffers()
        size = np.int64 if pa.types.is_large_string(values.type) else np.int32
        offsets = np.zeros(1, np.int64)
        if rows:
            offsets = np.frombuffer(places, size)[values.offset : values.offset + rows + 1].astype(np.int64, copy=False)
        return KeyBytes.of(np.frombuffer(data or b"", np.uint8), offsets, valid, rows)
    numbers, possible = _integers(values, mine, theirs)
    if possible is not None:
        valid = possible & valid if len(valid) else possible
    data = np.ascontiguousarray(numbers).view(np.uint8)
    return KeyBytes(read_only(data), read_only(_NO_OFFSETS), 8, read_only(valid), rows)


def _integers(values: pa.Array, mine: KeyKind, theirs: KeyKind) -> tuple[Array, Array | None]:
    """Return values as integers of 64 bits, in the unit of those that they are compared with, and which of them those
    can hold (None: all).
    """
    if mine.family == "dates":
        values = values.cast(pa.date32()).cast(pa.int32())
    if mine.unsigned:
        unsigned = values.fill_null(0).to_numpy(zero_copy_only=False)
        return unsigned.view(np.int64), None if theirs.unsigned else unsigned <= np.iinfo(np.int64).max
    numbers: Array = values.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    if theirs.unsigned:
        return numbers, numbers >= 0
    if mine.unit == theirs.unit:
        return numbers, None
    here, there = UNITS[mine.unit], UNITS[theirs.unit]
    if here < there:
        return numbers // (there // here), numbers % (there // here) == 0
    most = np.iinfo(np.int64).max // (here // there)
    fits = (numbers >= -most) & (numbers <= most)
    return np.where(fits, numbers, 0) * (here // there), fits


def _packed(parts: Sequence[KeyBytes], texts: Sequence[bool]) -> KeyBytes:
    """Return the bytes of several columns, row by row one after the other, each text behind its length."""
    rows = parts[0].rows
    lengths = np.zeros(rows, np.int64)
    valid = np.ones(rows, np.bool_)
    for part, text in zip(parts, texts, strict=True):
        lengths += (np.diff(part.offsets) if len(part.offsets) else part.width) + 8 * text
        if len(part.valid):
            valid &= part.valid
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    data = np.empty(int(offsets[-1]), np.uint8)
    places = offsets[:-1].copy()
    for part, text in zip(parts, texts, strict=True):
        _append(part.data, part.offsets, part.width, text, places, data)
    return KeyBytes.of(data, offsets, ALL if valid.all() else valid, rows)


@compile_cached
def _one_width(offsets):  # type: ignore[no-untyped-def]
    """The width of all rows, -1 if they differ."""
    if offsets.shape[0] < 2:
        return 0
    width = offsets[1] - offsets[0]
    for i in range(1, offsets.shape[0]):
        if offsets[i] - offsets[i - 1] != width:
            return -1
    return width


def _width(offsets: Array) -> int:
    width: int = _one_width(read_only(offsets))
    return width


@compile_cached
def _append(data, offsets, width, text, places, packed):  # type: ignore[no-untyped-def]
    """Append a part to the keys of all rows; `places` is where the next one goes."""
    for i in range(places.shape[0]):
        if offsets.shape[0] > 0:
            begin, length = offsets[i], offsets[i + 1] - offsets[i]
        else:
            begin, length = i * width, width
        at = places[i]
        if text:
            for j in range(8):
                packed[at + j] = (length >> (8 * j)) & 255
            at += 8
        for j in range(length):
            packed[at + j] = data[begin + j]
        places[i] = at + length
