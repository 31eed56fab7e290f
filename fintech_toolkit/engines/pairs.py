"""Ticks of two symbols as ticks of one key: after that, a pair is a symbol like any other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.frames import is_dask, require, wrap
from fintech_toolkit.errors import ParameterError


def to_pairs(frame: Any, pairs: Iterable[tuple[str, str]], symbol: str = "symbol") -> Any:
    """Map each tick to the pairs that its symbol belongs to.

    A stateless step before kernels of kind `pair`: the rows of a pair ``("A", "B")`` get the symbol ``"A/B"``, and a
    column ``leg`` says whose tick it is (0: A, 1: B). A tick of several pairs is repeated, of none left out; the
    order is kept.

    Parameters
    ----------
    frame : DataFrame, Table, RecordBatch or Dask DataFrame
        Ticks, with a column of symbols.
    pairs : iterable of (str, str)
        The pairs.
    symbol : str
        The column of symbols.

    Returns
    -------
    same type as `frame`
        With the symbols replaced and a column ``leg`` (int64) added; pandas frames keep the index of the ticks.

    Raises
    ------
    ParameterError
        If a pair is not two different strings, or is given twice.

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
    listed: list[Any] = [tuple(pair) for pair in pairs]
    for pair in listed:
        if len(pair) != 2 or not all(isinstance(leg, str) for leg in pair) or pair[0] == pair[1]:
            raise ParameterError(f"pairs: {pair!r} is not a pair of two different symbols.")
    if len(set(listed)) < len(listed):
        raise ParameterError("pairs: a pair is given twice.")
    if is_dask(frame):
        meta = to_pairs(frame._meta, listed, symbol)
        return frame.map_partitions(to_pairs, listed, symbol, meta=meta, enforce_metadata=False)
    view = wrap(frame)
    require(view, symbol)
    column = view.column(symbol)
    values = (
        column.astype(object).to_numpy() if isinstance(column, pd.Series) else np.asarray(column.to_pylist(), object)
    )
    parts = []
    for j, pair in enumerate(listed):
        for leg, name in enumerate(pair):
            rows = np.flatnonzero(values == name)
            parts.append(np.column_stack([rows, np.full(len(rows), j), np.full(len(rows), leg)]))
    table = np.concatenate([np.empty((0, 3), np.int64), *parts])
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    keys = np.array(["/".join(pair) for pair in listed], object)[table[:, 1]]
    taken = view.take(table[:, 0])
    if isinstance(taken, pd.DataFrame):
        return taken.assign(**{symbol: pd.array(keys, dtype="str"), "leg": table[:, 2]})
    place = taken.schema.get_field_index(symbol)
    taken = taken.set_column(place, symbol, pa.array(keys, pa.string()))
    return taken.append_column("leg", pa.array(table[:, 2]))
