"""Ticks of two symbols as ticks of one key: after that, a pair is a symbol like any other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from fintech_toolkit.errors import ColumnError, DataError, ParameterError
from fintech_toolkit.frames.symbols import LocalCodes, Symbol, check_same_kind, encode
from fintech_toolkit.frames.views import is_dask, require, wrap
from fintech_toolkit.schema import Array

LEG = "leg"

Pair = tuple[Symbol, Symbol]


def to_pairs(frame: Any, pairs: Iterable[tuple[Symbol, Symbol]], symbol: str = "symbol") -> Any:
    """Map each tick to the pairs that its symbol belongs to.

    A stateless step before kernels of kind `pair`: the rows of a pair ``("A", "B")`` get the symbol ``"A/B"``, and a
    column ``leg`` says whose tick it is (0: A, 1: B). A tick of several pairs is repeated, of none left out; the
    order is kept.

    Parameters
    ----------
    frame : DataFrame, Table, RecordBatch, dict or Dask DataFrame
        Ticks, with a column of symbols.
    pairs : iterable of (str, str) or of (int, int)
        The pairs.
    symbol : str
        The column of symbols.

    Returns
    -------
    same type as `frame`
        With the symbols replaced (by strings) and a column ``leg`` (int64) added; pandas frames keep the index of the
        ticks.

    Raises
    ------
    ParameterError
        If a pair is not two different symbols, is given twice, or has the name of another: ("A", "B/C") and
        ("A/B", "C") would both be "A/B/C".
    ColumnError
        If the column of symbols is missing, or there is a column ``leg`` already.
    DataError
        If a row has no symbol, or symbols are integers and those of the pairs strings (or the other way round).

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "C", "A"], "price": [1.0, 2.0, 3.0, 4.0]})
    >>> ft.to_pairs(ticks, [("A", "B")])
      symbol  price  leg
    0    A/B    1.0    0
    1    A/B    2.0    1
    3    A/B    4.0    0
    """
    named = _named(pairs)
    if is_dask(frame):
        meta = to_pairs(frame._meta, named.values(), symbol)
        return frame.map_partitions(to_pairs, list(named.values()), symbol, meta=meta, enforce_metadata=False)
    view = wrap(frame)
    require(view, symbol)
    if LEG in view.names:
        raise ColumnError(f"The frame already has a column {LEG!r}; rename it.")
    local = encode(view.column(symbol), symbol)
    rows, pair, leg = _places(local, list(named.values()), symbol)
    keys = pa.array(list(named), pa.string()).take(pa.array(pair))
    return wrap(view.take(rows)).replace({symbol: keys, LEG: leg})


def _named(pairs: Iterable[Any]) -> dict[str, Pair]:
    """Return the pairs by name, checked."""
    named: dict[str, Pair] = {}
    for given in [pairs] if isinstance(pairs, str) else pairs:
        pair = () if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
        kinds = {str if isinstance(leg, str) else int if _is_integer(leg) else None for leg in pair}
        if len(pair) != 2 or len(kinds) != 1 or None in kinds or pair[0] == pair[1]:
            raise ParameterError(f"pairs: {given!r} is not a pair of two different symbols.")
        name = "/".join(map(str, pair))
        if named.get(name) == pair:
            raise ParameterError(f"pairs: the pair {pair!r} is given twice.")
        if name in named:
            raise ParameterError(f"pairs: {named[name]!r} and {pair!r} would both be called {name!r}; rename a symbol.")
        named[name] = pair
    return named


def _is_integer(leg: Any) -> bool:
    return isinstance(leg, int | np.integer) and not isinstance(leg, bool)


def _places(local: LocalCodes, pairs: list[Pair], symbol: str) -> tuple[Array, Array, Array]:
    """Return, in the order of the ticks, the row of each, the number of its pair, and its leg."""
    if len(local.codes) and local.codes.min() < 0:
        raise DataError(
            f"Column {symbol!r} has no symbol at row {int(np.argmin(local.codes))}; drop such rows or fill them."
        )
    for known in [value for value in local.values if value is not None][:1]:
        for pair in pairs:
            check_same_kind(pair[0] if isinstance(pair[0], str) else int(pair[0]), known)
    of: dict[Symbol, list[tuple[int, int]]] = {}
    for j, pair in enumerate(pairs):
        for leg, name in enumerate(pair):
            of.setdefault(name, []).append((j, leg))
    lists = [of.get(value, []) for value in local.values]
    lengths = np.array([len(found) for found in lists], np.int64)
    flat = np.array([place for found in lists for place in found], np.int64).reshape(-1, 2)
    repeated = lengths[local.codes]
    rows = np.repeat(np.arange(len(local.codes)), repeated)
    starts = (np.cumsum(lengths) - lengths)[local.codes[rows]]
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(repeated) - repeated, repeated)
    chosen = flat[starts + nth]
    return rows, chosen[:, 0].copy(), chosen[:, 1].copy()
