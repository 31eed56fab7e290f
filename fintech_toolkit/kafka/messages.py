"""What comes of decoding a batch of messages, and of encoding a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fintech_toolkit.errors import DataError


@dataclass(frozen=True)
class Decoded:
    """What a batch of messages held.

    Attributes
    ----------
    table : pyarrow.Table
        The rows, in the order of the messages.
    message : ndarray of int64
        For each row, the position in the batch of the message that it came from.
    rejected : list of (int, str)
        Position and reason of each message that could not be decoded. Every message that was taken is in ``message``
        or here (an Arrow message without rows in neither).
    taken : int
        How many messages were taken, from the first on: all, unless a number of rows was asked for and reached.
    """

    table: pa.Table
    message: npt.NDArray[np.int64]
    rejected: list[tuple[int, str]]
    taken: int


class Messages(NamedTuple):
    """Messages of a frame, dicts of ``value`` and perhaps ``key``, and the rows that are in none, with the reason."""

    messages: list[dict[str, Any]]
    refused: dict[int, str]


def in_order(tables: list[pa.Table], messages: list[npt.NDArray[np.int64]]) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Return rows of several tables in the order of the messages that they came from, and those."""
    table, message = pa.concat_tables(tables), np.concatenate(messages)
    if np.any(np.diff(message) < 0):
        order = np.argsort(message, kind="stable")
        table, message = table.take(order), message[order]
    return table, message


def missing(column: str) -> str:
    """Return the reason to reject a message without a column that the schema names."""
    return f"column {column!r} is missing; if messages may lack it, say so with optional=[{column!r}]"


def too_large(size: int, limit: int) -> str:
    """Return the reason not to send a message of one row."""
    return f"a message of {size:,} bytes is too large: message.max.bytes leaves room for {limit:,}"


def raise_first(refused: dict[int, str]) -> None:
    """Raise an error for the first of the rows that cannot be written, if there is one.

    Raises
    ------
    DataError
        If so; it names the row.
    """
    for row, reason in refused.items():
        raise DataError(f"row {row}: {reason}")
