"""Symbols become small integers: rows of the state. Codes are given in order of arrival; no result depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError
from fintech_toolkit.kernels.compilation import compile_cached
from fintech_toolkit.schema import Array

Symbol = str | int
NULL = np.uint32(2**32 - 1)
"""The code of a row without a symbol."""


@dataclass(frozen=True)
class LocalCodes:
    """A column as codes into its own list of distinct values; -1 is null. Codes may leave values unused."""

    codes: Array
    values: list[Symbol]


def encode(column: Any, name: str) -> LocalCodes:
    """Dictionary-encode a column of symbols: pandas, Arrow or NumPy; strings, integers or categories.

    Raises
    ------
    DataError
        If the values are neither strings nor integers.
    """
    if isinstance(column, pd.Series):
        if isinstance(column.dtype, pd.CategoricalDtype):
            return LocalCodes(column.cat.codes.to_numpy(), _checked(column.cat.categories.tolist(), name))
        column = column.array
    try:
        values = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"Column {name!r} mixes types; symbols must be all strings or all integers ({error})."
        ) from None
    if not pa.types.is_dictionary(values.type):
        values = pc.dictionary_encode(values)
    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries().combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # no chunk at all
            return LocalCodes(np.empty(0, np.int32), [])
    indices = values.indices
    if indices.null_count:
        indices = pc.fill_null(indices, pa.scalar(-1, indices.type))
    return LocalCodes(indices.to_numpy(zero_copy_only=False), _checked(values.dictionary.to_pylist(), name))


def _checked(values: list[Any], name: str) -> list[Symbol]:
    kinds = {type(value) for value in values if value is not None}
    if not kinds <= {str} and not kinds <= {int}:
        listed = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"Column {name!r} holds {listed}; symbols must be all strings or all integers.")
    return values


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
        self._codes = {symbol: code for code, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def add(self, symbol: Symbol) -> int:
        """Return a symbol's code, giving it the next one if it is new."""
        code = self._codes.get(symbol)
        if code is None:
            code = self._codes[symbol] = len(self.symbols)
            self.symbols.append(symbol)
        return code

    def number(self, values: list[Symbol], used: Array, codes: Array) -> None:
        """Fill in the codes of those values that are used and have none yet; the last place of `codes` is for nulls.

        Raises
        ------
        DataError
            If strings come after integers, or integers after strings.
        """
        for j in np.flatnonzero(used[:-1] & (codes[:-1] == NULL)):
            value = values[j]
            if value is None:
                continue
            for known in self.symbols[:1]:
                check_same_kind(value, known)
            codes[j] = self.add(value)

    def truncate(self, length: int) -> None:
        """Forget the symbols added last, after a failure."""
        for symbol in self.symbols[length:]:
            del self._codes[symbol]
        del self.symbols[length:]

    def copy(self) -> SymbolTable:
        return SymbolTable(list(self.symbols))

    def indices_of(self, symbols: Iterable[Symbol]) -> Array:
        """Return the codes of those symbols that are known."""
        return np.array([self._codes[s] for s in symbols if s in self._codes], np.int64)


CHUNK = 1 << 20
"""Rows that are encoded at once: enough to make their distinct symbols cheap, few enough to keep all threads busy."""


def code_steps(
    column: Any, name: str, table: SymbolTable, chunks: list[slice], codes: Array
) -> list[tuple[bool, Callable[[int], None]]]:
    """Return the steps of a wavefront that turn a column of symbols into codes, adding new symbols to the table.

    Only the distinct symbols of a chunk pass through Python, one chunk after the other; the rows are encoded, and given
    their codes, chunk by chunk side by side.
    """
    whole = encode(column, name) if _is_dictionary(column) else None
    known = np.full(len(whole.values) + 1, NULL) if whole is not None else None
    local: list[Any] = [None] * len(chunks)
    used: list[Any] = [None] * len(chunks)
    lookup: list[Any] = [known] * len(chunks)

    def encode_chunk(c: int) -> None:
        at = chunks[c]
        if whole is not None:
            local[c] = LocalCodes(whole.codes[at], whole.values)
        else:
            local[c] = encode(column.iloc[at] if isinstance(column, pd.Series) else column[at], name)
            lookup[c] = np.full(len(local[c].values) + 1, NULL)
        used[c] = np.zeros(len(local[c].values) + 1, np.bool_)
        used[c][local[c].codes] = True

    def number(c: int) -> None:
        table.number(local[c].values, used[c], lookup[c])

    def translate(c: int) -> None:
        # Categories come with codes of 8 to 32 bits; one width means one compiled loop.
        _translate(read_only(local[c].codes.astype(np.int32, copy=False)), lookup[c], codes[chunks[c]])
        local[c] = None

    return [(False, encode_chunk), (True, number), (False, translate)]


def _is_dictionary(column: Any) -> bool:
    if isinstance(column, pd.Series):
        return isinstance(column.dtype, pd.CategoricalDtype)
    return isinstance(column, pa.Array | pa.ChunkedArray) and pa.types.is_dictionary(column.type)


@compile_cached
def _translate(local, lookup, codes):  # type: ignore[no-untyped-def]
    for i in range(local.shape[0]):
        codes[i] = lookup[local[i]]  # -1, a null, is the last


def read_only(values: Array) -> Array:
    """Return a contiguous view that is read only: columns come either way, and one sort means one compiled loop."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view
