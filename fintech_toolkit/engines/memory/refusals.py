"""Why a row, or a state, cannot be used."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.frames.order import backwards, no_symbol, no_time
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
        return no_symbol(pipeline.symbol, f"at row {row}")
    if len(ts) and ts[row] == NAT:
        return no_time(pipeline.time, f"at row {row}")
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
    return backwards(pipeline.time, state.symbols[codes[row]], f"at row {row}", pd.Timestamp(int(ts[row])))


def declared_anew(identity: str, other: str) -> str:
    """Return a sentence about the user's own kernels that differ between two pipelines, told by their identities; empty
    if there is none.
    """
    digests = [
        {step["kernel"]: step["digest"] for step in json.loads(text).get("steps", ()) if "digest" in step}
        for text in (identity, other)
    ]
    differ = [name for name, digest in digests[0].items() if digests[1].get(name, digest) != digest]
    if not differ:
        return ""
    return f"{', '.join(differ)} has been declared anew since: its code, a helper or a constant is another. "
