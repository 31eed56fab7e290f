"""Why a row cannot be used."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.frames.symbols import NULL
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.scan.steps import Read
from fintech_toolkit.schema import Array, check_domain


def refusal(
    pipeline: Description,
    state: State,
    row: int,
    keys: tuple[Array, Array],
    latest: Array | None = None,
    sources: Mapping[Read, Array] | None = None,
) -> str:
    """Return why a pipeline cannot use a row, and what to do.

    Parameters
    ----------
    pipeline, state : Description, State
        What looked at it, and the state that knows its symbol.
    row : int
        Its position in the frame.
    keys : (ndarray of uint32, ndarray of int64)
        Codes and times of all rows.
    latest : ndarray of int64, optional
        For each row, the latest time that it may have.
    sources : mapping, optional
        The columns of numbers that the steps read.
    """
    codes, ts = keys
    if codes[row] == NULL:
        return f"Column {pipeline.symbol!r} has no symbol at row {row}; drop such rows or fill them."
    if len(ts) and ts[row] == NAT:
        return f"Column {pipeline.time!r} has no time at row {row}; drop such rows or fill them."
    if latest is not None and ts[row] > latest[row]:
        return (
            f"Column {pipeline.time!r} at row {row} is {pd.Timestamp(int(ts[row]))}, and may be "
            f"{pd.Timestamp(int(latest[row]))} at most, judged by when its record was written; ahead= says how far it "
            "may be ahead."
        )
    for read, values in (sources or {}).items():
        try:
            check_domain(values[row : row + 1], read.role, f"Column {pipeline.source(read.name)!r}", row)
        except DataError as error:
            return str(error)
    return (
        f"Column {pipeline.time!r} goes backwards for symbol {state.symbols[codes[row]]!r} at row {row} "
        f"({pd.Timestamp(int(ts[row]), unit='ns')}); sort the rows of a symbol by time."
    )
