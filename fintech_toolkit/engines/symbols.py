"""Symbols become small integers: rows of the state. Codes are given in order of arrival; no result depends on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError
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

    def codes(self, local: LocalCodes) -> Array:
        """Return the codes of a column; `NULL` where it has none."""
        used = np.zeros(len(local.values) + 1, np.bool_)
        used[local.codes] = True
        lookup = np.full(len(local.values) + 1, NULL, np.uint32)
        for j in np.flatnonzero(used[:-1]):
            lookup[j] = self.add(local.values[j]) if local.values[j] is not None else NULL
        return lookup[local.codes]

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
