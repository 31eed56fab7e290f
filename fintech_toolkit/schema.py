"""The canonical columns of market data: their names, types and meaning.

Kernels read columns by these names unless told otherwise; a frame that uses other names is mapped once, with
``Pipeline(..., columns={"bid": "best_bid"})``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Column:
    """A canonical column: its name, the NumPy dtype kernels see it as, and what it holds."""

    name: str
    dtype: str
    doc: str


CANONICAL: dict[str, Column] = {
    column.name: column
    for column in (
        Column("symbol", "O", "instrument identifier, a string"),
        Column("ts", "i8", "event time, UTC nanoseconds since 1970"),
        Column("price", "f8", "trade price"),
        Column("size", "f8", "trade quantity"),
        Column("side", "f8", "+1 buyer-initiated, -1 seller-initiated, NaN or 0 unknown"),
        Column("trade_id", "i8", "trade identifier, kept exact"),
        Column("bid", "f8", "best bid price"),
        Column("ask", "f8", "best ask price"),
        Column("bid_size", "f8", "size at the best bid"),
        Column("ask_size", "f8", "size at the best ask"),
        Column("dealer", "O", "dealer or market maker"),
        Column("venue", "O", "place of execution"),
        Column("open", "f8", "first price of a bar"),
        Column("high", "f8", "highest price of a bar"),
        Column("low", "f8", "lowest price of a bar"),
        Column("close", "f8", "last price of a bar"),
        Column("volume", "f8", "quantity traded in a bar"),
        Column("leg", "i8", "0 or 1: which symbol of its pair a tick belongs to (see to_pairs)"),
    )
}


def dtype_of(column: str) -> np.dtype[np.generic]:
    """Return the dtype in which kernels see a column; float64 unless the schema says otherwise."""
    known = CANONICAL.get(column)
    return np.dtype(known.dtype if known else "f8")


def nanoseconds(duration: str | int | float | np.timedelta64 | object, name: str) -> int:
    """Return a duration such as ``"5s"`` or ``"1min"`` as whole nanoseconds.

    Raises
    ------
    ParameterError
        If it is not a positive duration; the message names the parameter.

    Examples
    --------
    >>> nanoseconds("250ms", "window")
    250000000
    """
    import pandas as pd

    from fintech_toolkit.errors import ParameterError

    try:
        value = pd.Timedelta(duration).as_unit("ns")  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"{name}={duration!r} is not a duration; write it as pandas does: '5s', '250ms', '1min'."
        ) from error
    if pd.isna(value) or value.value <= 0:
        raise ParameterError(f"{name}={duration!r} must be longer than zero.")
    return int(value.value)


Array = npt.NDArray[Any]
