"""Symbols become small integers: rows of the state. Codes are given in order of arrival; no result depends on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError
from fintech_toolkit.frames.text_codes import text_codes
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.names import is_text
from fintech_toolkit.schema import Array

Symbol = str | int
NULL = np.uint32(2**32 - 1)
"""The code of a row without a symbol."""


ARROW = (pa.Array, pa.ChunkedArray)


class LocalCodes(NamedTuple):
    """A column as codes into its own list of distinct values; -1 is null. Codes may leave values unused."""

    codes: Array
    values: list[Symbol]


def encode(column: Any, name: str, first_row: int = 0) -> LocalCodes:
    """Dictionary-encode a column of symbols: pandas, Arrow or NumPy; strings, integers or categories.

    Parameters
    ----------
    column : Series, Array, ChunkedArray or ndarray
        The column, or a stretch of it.
    name : str
        What it is called in errors.
    first_row : int
        The number of its first row in errors.

    Raises
    ------
    DataError
        If the values are neither strings nor integers, or not all of one kind.
    """
    if isinstance(column, pd.Series):
        if isinstance(column.dtype, pd.CategoricalDtype):
            coded: Any = column.array
            codes, categories = coded.codes, coded.categories
            values = categories.tolist()
            if categories.dtype == object and (odd := _odd_one(values)) is not None:
                raise DataError(_refusal(column.to_numpy(object), name, first_row, f"the category {values[odd]!r}"))
            return _checked(LocalCodes(codes, values), name, first_row)
        column = column.array
    try:
        encoded = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, from_pandas=True)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        raise DataError(_refusal(np.asarray(column, dtype=object), name, first_row)) from None
    if pa.types.is_run_end_encoded(encoded.type):
        encoded = pc.run_end_decode(encoded)
    if not pa.types.is_dictionary(encoded.type):
        _check_type(encoded.type, name)
        if is_text(encoded.type):
            texts = encoded.cast(pa.large_string())  # which are long enough for all chunks together
            codes, values = text_codes(texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts)
            return LocalCodes(codes, values.to_pylist())
        if isinstance(encoded, pa.ChunkedArray) and encoded.num_chunks > 1:
            encoded = encoded.combine_chunks()  # each would have a dictionary of its own
        encoded = pc.dictionary_encode(encoded)
    else:
        _check_type(encoded.type.value_type, name)
    chunks = encoded.chunks if isinstance(encoded, pa.ChunkedArray) else [encoded]
    return _checked(_merged(chunks), name, first_row)


def _merged(chunks: list[Any]) -> LocalCodes:
    """Return the codes of dictionary-encoded chunks, each with a dictionary of its own."""
    if not chunks:
        return LocalCodes(np.empty(0, np.int32), [])
    codes: list[Array] = []
    places: dict[Symbol, int] = {}
    for chunk in chunks:
        indices = chunk.indices.cast(pa.int32())  # may be unsigned, and then has no room for -1
        local = (pc.fill_null(indices, -1) if indices.null_count else indices).to_numpy()
        values = chunk.dictionary.to_pylist()
        if len(chunks) == 1 and len(set(values)) == len(values):
            return LocalCodes(local, values)
        lookup = [-1 if value is None else places.setdefault(value, len(places)) for value in values]
        codes.append(np.array([*lookup, -1], np.int32)[local])
    return LocalCodes(np.concatenate(codes), list(places))


def _check_type(kind: pa.DataType, name: str) -> None:
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise DataError(f"Column {name!r} holds {kind}; symbols must be all strings or all integers.")


def _checked(local: LocalCodes, name: str, first_row: int) -> LocalCodes:
    kinds = {type(value) for value in local.values if value is not None}
    if not kinds <= {str} and not kinds <= {int}:
        listed = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"Column {name!r} holds {listed}; symbols must be all strings or all integers.")
    if kinds == {int}:
        numbers = np.array([0 if value is None else value for value in local.values], object)
        if max(numbers) > np.iinfo(np.int64).max:
            place = int(np.argmax(numbers))
            raise DataError(
                f"Column {name!r} holds {numbers[place]}{_row_of(local.codes, place, first_row)}, more than int64 can; "
                "make strings of such symbols."
            )
    return local


def _odd_one(values: Iterable[Any]) -> int | None:
    """Return the place of the first value that cannot be a symbol beside those before it."""
    known: type | None = None
    for place, value in enumerate(values):
        if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
            continue
        kind = str if isinstance(value, str) else int if isinstance(value, int | np.integer) else None
        if kind is None or isinstance(value, bool) or (known or kind) is not kind:
            return place
        if kind is str and not _encodable(value):
            return place
        if kind is int and abs(int(value)) > np.iinfo(np.int64).max:
            return place
        known = kind
    return None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refusal(objects: Array, name: str, first_row: int, otherwise: str = "what is no symbol") -> str:
    row = _odd_one(objects)
    found = f"{objects[row]!r} at row {first_row + row}" if row is not None else otherwise
    return f"Column {name!r} holds {found}; symbols must be all strings (of Unicode) or all integers (of int64)."


def _row_of(codes: Array, code: int, first_row: int) -> str:
    found = np.flatnonzero(codes == code)
    return f" at row {first_row + found[0]}" if len(found) else ""


def symbol_array(symbols: list[Symbol]) -> pa.Array:
    """Return symbols as Arrow: texts, or integers of 64 bits, unsigned ones if they are too large for signed ones."""
    if not symbols or isinstance(symbols[0], str):
        return pa.array(symbols, pa.large_string())
    try:
        return pa.array(symbols, pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        return pa.array(symbols, pa.uint64())


def check_same_kind(symbol: Symbol, known: Symbol) -> None:
    """Raise if one symbol is a string and the other an integer.

    Raises
    ------
    DataError
        If so: they could never match.
    """
    if type(symbol) is not type(known):
        raise DataError(f"Of symbols {symbol!r} and {known!r} one is a string, one an integer; convert one column.")


@dataclass
class SymbolTable:
    """The symbols seen so far, in order of arrival."""

    symbols: list[Symbol] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._codes = dict(zip(self.symbols, range(len(self.symbols)), strict=True))
        self._shared = False  # whether another table has the same list and dict

    def __len__(self) -> int:
        return len(self.symbols)

    def double(self) -> Symbol | None:
        """Return a symbol that is there twice, which none must be."""
        if len(self._codes) == len(self.symbols):
            return None
        return min((symbol for code, symbol in enumerate(self.symbols) if self._codes[symbol] != code), key=str)

    @property
    def code(self) -> Callable[[Any], int | None]:
        """What gives a symbol's code, None if it is new; until the next symbol is added."""
        return self._codes.get

    def known(self, column: Any) -> Array | None:
        """Return the codes of a column of few rows, at less than it costs to encode one; None if a symbol is new, or
        is none.
        """
        values = _objects(column)
        # Among texts only a text is found; among integers a True or a 1.0 would be, too.
        if values is None or (values.dtype.kind in "OU") is not isinstance(next(iter(self._codes), None), str):
            return None
        try:
            return np.fromiter(map(self._codes.__getitem__, values.tolist()), np.uint32, len(values))
        except (KeyError, TypeError):
            return None

    def add(self, symbol: Symbol) -> int:
        """Return a symbol's code, giving it the next one if it is new."""
        code = self._codes.get(symbol)
        if code is None:
            self._own()
            code = self._codes[symbol] = len(self.symbols)
            self.symbols.append(symbol)
        return code

    def number(self, local: LocalCodes, codes: Array) -> None:
        """Fill in the codes of those values that are used and have none yet; the last place of `codes` is for nulls.

        Raises
        ------
        DataError
            If strings come after integers, or integers after strings.
        """
        values, unknown = local.values, codes[:-1] == NULL
        if not unknown.any():
            return
        used = np.zeros(len(codes), np.bool_)
        _mark_used(as_int32(local.codes), used)
        wanted = np.flatnonzero(used[:-1] & unknown)
        asked = [values[j] for j in wanted.tolist()]
        found = np.fromiter(map(self._codes.get, asked, repeat(-1)), np.int64, len(wanted))
        codes[wanted] = found  # -1 becomes NULL
        new = np.flatnonzero(found < 0)
        if None in asked:
            new = new[[asked[j] is not None for j in new.tolist()]]
        if not len(new):
            return
        added = [asked[j] for j in new.tolist()]
        for known in self.symbols[:1]:
            check_same_kind(added[0], known)
        self._own()
        numbers = range(len(self.symbols), len(self.symbols) + len(added))
        self._codes.update(zip(added, numbers, strict=True))
        self.symbols += added
        codes[wanted[new]] = numbers

    def truncate(self, length: int) -> None:
        """Forget the symbols added last, after a failure."""
        if length == len(self.symbols):
            return
        self._own()
        for symbol in self.symbols[length:]:
            del self._codes[symbol]
        del self.symbols[length:]

    def _own(self) -> None:
        if self._shared:
            self.symbols, self._codes, self._shared = self.symbols.copy(), self._codes.copy(), False

    def copy(self) -> SymbolTable:
        """Return a table that changes without this one. What they have in common is copied when one of them changes."""
        table = SymbolTable()
        table.symbols, table._codes = self.symbols, self._codes
        table._shared = self._shared = True
        return table

    def indices_of(self, symbols: Iterable[Symbol]) -> Array:
        """Return the codes of those symbols that are known."""
        codes = np.array(list(map(self._codes.get, symbols, repeat(-1))), np.int64)
        return codes[codes >= 0]


def _objects(column: Any) -> Array | None:
    """Return a column of symbols as texts or integers of Python can be taken from it; None if they cannot."""
    values = column
    if isinstance(column, pd.Series):
        column = values = column.array
    if isinstance(column, pd.arrays.ArrowStringArray):
        column = column.__arrow_array__()
    elif isinstance(column, pd.api.extensions.ExtensionArray):
        values = column.to_numpy()
    if isinstance(column, ARROW):
        if column.null_count:
            return None
        if isinstance(column.type, pa.DictionaryType):
            column = column.cast(column.type.value_type)
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        values = column.to_numpy(zero_copy_only=False)
    return values if isinstance(values, np.ndarray) and values.dtype.kind in "OUiu" else None


CHUNK = 1 << 20
"""Rows that are encoded at once: enough to make their distinct symbols cheap, few enough to keep all threads busy."""


def code_steps(
    column: Any,
    name: str,
    table: SymbolTable,
    chunks: list[slice],
    place: Callable[[int], Array],
    whole: LocalCodes | None = None,
) -> list[tuple[bool, Callable[[int], None]]]:
    """Return the steps of a wavefront that turn a column of symbols into codes, adding new symbols to the table.

    Only the distinct symbols of a chunk pass through Python, one chunk after the other; the rows are encoded, and given
    their codes, chunk by chunk side by side. `place` gives the array that a chunk's codes go to. `whole` is the column
    as `encode` gives it, if that is known.
    """
    if whole is None and is_dictionary(column):
        whole = encode(column, name)
    known = np.full(len(whole.values) + 1, NULL) if whole is not None else None
    local: list[Any] = [None] * len(chunks)
    lookup: list[Any] = [known] * len(chunks)

    def encode_chunk(c: int) -> None:
        at = chunks[c]
        if whole is not None:
            local[c] = LocalCodes(whole.codes[at], whole.values)
        else:
            local[c] = encode(column.iloc[at] if isinstance(column, pd.Series) else column[at], name, at.start)
            lookup[c] = np.full(len(local[c].values) + 1, NULL)

    def number(c: int) -> None:
        table.number(local[c], lookup[c])

    def translate(c: int) -> None:
        _translate(as_int32(local[c].codes), lookup[c], place(c))
        local[c] = None

    return [(False, encode_chunk), (True, number), (False, translate)]


def is_dictionary(column: Any) -> bool:
    """Whether a column has codes already: pandas' categories, Arrow's dictionaries."""
    if isinstance(column, pd.Series):
        return isinstance(column.dtype, pd.CategoricalDtype)
    return isinstance(column, pa.Array | pa.ChunkedArray) and pa.types.is_dictionary(column.type)


def as_int32(codes: Array) -> Array:
    """Return the codes of categories, which have 8 to 32 bits, so that one compiled loop does for all."""
    return read_only(codes.astype(np.int32, copy=False))


@compile_cached
def _mark_used(local, used):  # type: ignore[no-untyped-def]
    """Mark which values there are, and look no further once they all are."""
    left = used.shape[0] - 1
    for i in range(local.shape[0]):
        if not used[local[i]]:
            used[local[i]] = True
            left -= local[i] >= 0
            if left == 0:
                break


@compile_cached
def _translate(local, lookup, codes):  # type: ignore[no-untyped-def]
    for i in range(local.shape[0]):
        codes[i] = lookup[local[i]]  # -1, a null, is the last
