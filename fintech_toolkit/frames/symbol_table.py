"""The symbols seen so far and their codes, to which each frame adds its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.frames.symbols import (
    ARROW,
    NULL,
    LocalCodes,
    Symbol,
    as_int32,
    check_same_kind,
    encode,
    in_one,
    is_dictionary,
    is_encodable,
)
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.names import is_text
from fintech_toolkit.schema import Array


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
        return self._found(values.tolist())

    def learn(self, column: Any) -> Array | None:
        """Return the codes of a column of few texts, at less than it costs to encode one, new ones having been given
        theirs; None, and nothing has changed, if it might not be one.
        """
        values = None if is_dictionary(column) or isinstance(column, pd.Categorical) else _objects(column)
        if values is None or values.dtype.kind != "O":
            return None
        texts = values.tolist()
        if set(map(type, texts)) != {str} or not is_encodable("".join(texts)):
            return None
        if not isinstance(next(iter(self._codes), ""), str):
            return None
        new = [text for text in dict.fromkeys(texts) if text not in self._codes]
        if new:
            self._own()
            self._codes.update(zip(new, range(len(self.symbols), len(self.symbols) + len(new)), strict=True))
            self.symbols += new
        return self._found(texts)

    def _found(self, symbols: list[Any]) -> Array | None:
        try:
            # With one more, since of a single one there would be no tuple.
            return np.fromiter(itemgetter(*symbols, *symbols[:1])(self._codes), np.uint32, len(symbols))
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
    if isinstance(column, pd.arrays.ArrowExtensionArray):
        column = column.__arrow_array__()
    elif isinstance(column, pd.api.extensions.ExtensionArray):
        values = column.to_numpy()
    if isinstance(column, ARROW):
        coded = isinstance(column.type, pa.DictionaryType)
        kind = column.type.value_type if coded else column.type
        if column.null_count or not (is_text(kind) or pa.types.is_integer(kind)):
            return None
        values = in_one(column.cast(kind) if coded else column).to_numpy(zero_copy_only=False)
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
