"""Which partition a symbol goes to: pure functions, the same today and tomorrow, here and on any other machine."""

from __future__ import annotations

import hashlib
import heapq
import operator
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.frames.symbols import Symbol, check_same_kind, encode
from fintech_toolkit.schema import Array

RULES = ("balanced", "hash")


@dataclass(frozen=True)
class Assignment:
    """Symbols, sorted, and the partition that each goes to."""

    symbols: list[Symbol]
    targets: Array


@dataclass(frozen=True)
class Rule:
    """How symbols are assigned to partitions: those of an earlier assignment stay, the others are placed by name."""

    npartitions: int
    name: str = "balanced"
    earlier: Assignment | None = None

    def assign(self, counts: Iterable[Counter[Symbol]]) -> Assignment:
        """Return the places of all symbols that are counted."""
        total: Counter[Symbol] = Counter()
        for part in counts:
            total.update(part)
        symbols = sorted(total)
        targets = np.full(len(symbols), -1, np.int32)
        if self.earlier is not None and self.earlier.symbols and symbols:
            check_same_kind(symbols[0], self.earlier.symbols[0])
            known = dict(zip(self.earlier.symbols, self.earlier.targets.tolist(), strict=True))
            targets[:] = [known.get(symbol, -1) for symbol in symbols]
        new = np.flatnonzero(targets < 0)
        if self.name == "hash":
            targets[new] = [hashed(symbols[j], self.npartitions) for j in new]
        else:
            rows = np.array([total[symbol] for symbol in symbols], np.int64)
            self._balance(rows, targets, new)
        return Assignment(symbols, targets)

    def _balance(self, rows: Array, targets: Array, new: Array) -> None:
        """Place new symbols so that partitions get about the same number of rows.

        The largest symbol that is left goes to the partition with the fewest rows: at most 4/3 of the best there is
        (Graham 1969, "Bounds on multiprocessing timing anomalies").
        """
        old = np.flatnonzero(targets >= 0)
        there = np.bincount(targets[old], weights=rows[old], minlength=self.npartitions)
        loads = [(int(load), partition) for partition, load in enumerate(there)]
        heapq.heapify(loads)
        for j in new[np.argsort(-rows[new], kind="stable")]:
            load, partition = loads[0]
            targets[j] = partition
            heapq.heapreplace(loads, (load + int(rows[j]), partition))


def hashed(symbol: Symbol, npartitions: int) -> int:
    """Return a symbol's partition by its hash: BLAKE2b (RFC 7693) of its text in UTF-8, 8 bytes, big-endian, modulo.

    Examples
    --------
    >>> hashed("AAPL", 8), hashed(10104, 8)
    (4, 0)
    """
    digest = hashlib.blake2b(str(symbol).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % npartitions


def count_symbols(column: pd.Series[Any]) -> Counter[Symbol]:
    """Return how many rows each symbol has; rows without a symbol are left out."""
    local = encode(column, str(column.name))
    counts = np.bincount(local.codes[local.codes >= 0], minlength=len(local.values))
    return Counter({local.values[j]: int(counts[j]) for j in np.flatnonzero(counts)})


def partition_count(npartitions: Any) -> int:
    """Return a number of partitions as an int.

    Raises
    ------
    ParameterError
        If it is not a positive whole number.
    """
    try:
        count = operator.index(npartitions)
    except TypeError:
        count = 0
    if count < 1 or isinstance(npartitions, bool | np.bool_):
        raise ParameterError(f"npartitions={npartitions!r} must be a whole number of at least 1.")
    return count


def grown(rule: Rule, npartitions: int | None) -> Rule:
    """Return an earlier rule for as many partitions as there are to be (None: as many as there were).

    Raises
    ------
    ParameterError
        If symbols would move.
    """
    if npartitions in (None, rule.npartitions):
        return rule
    assert npartitions is not None
    if npartitions < rule.npartitions or rule.name == "hash":
        raise ParameterError(
            f"npartitions={npartitions} does not fit the earlier assignment, which has {rule.npartitions} partitions"
            f"{' by hash' if rule.name == 'hash' else ''}; leave it out to have as many."
        )
    return replace(rule, npartitions=npartitions)


def from_mapping(places: Mapping[Symbol, int] | pd.Series[Any]) -> Rule:
    """Return the rule that keeps symbols in the partitions that a mapping says, and balances new ones.

    Raises
    ------
    ParameterError
        If a partition is not a whole number of at least 0, or symbols are not all strings or all integers.
    """
    items: list[Any] = [
        (symbol.item() if isinstance(symbol, np.generic) else symbol, place) for symbol, place in places.items()
    ]
    for symbol, place in items:
        if isinstance(place, bool) or not isinstance(place, int | np.integer) or place < 0:
            raise ParameterError(f"assignment: symbol {symbol!r} is in partition {place!r}, which is not one.")
    kinds = {type(symbol) for symbol, _ in items}
    if not (kinds <= {str} or kinds <= {int}):
        raise ParameterError("assignment: symbols must be all strings or all integers.")
    if len(dict(items)) < len(items):
        raise ParameterError("assignment: a symbol is there twice.")
    items.sort()
    earlier = Assignment([symbol for symbol, _ in items], np.array([place for _, place in items], np.int32))
    return Rule(int(earlier.targets.max(initial=0)) + 1, "balanced", earlier)
