"""Rows of a live feed that a join cannot use: they are put aside, and the feed goes on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fintech_toolkit.engines.memory.keys import finished, reason, symbol_codes
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.frames.order import mark_disorder
from fintech_toolkit.frames.symbols import SymbolTable
from fintech_toolkit.frames.times import NAT, times
from fintech_toolkit.frames.views import Frame, require
from fintech_toolkit.schema import Array


def sift(
    frame: Frame, options: AsOf, side: str, watermark: int, latest: Array | None = None
) -> tuple[Array, list[str]]:
    """Return which rows of a side cannot be used, and why.

    Parameters
    ----------
    frame : Frame
        The side.
    options : AsOf
        The names of its key columns, resolved.
    side : {"left", "right"}
        Which it is.
    watermark : int
        The latest time that the feed has reached; rows before are late.
    latest : ndarray of int64, optional
        For each row, the latest time that it may have: one beyond would make all that follow late.

    Raises
    ------
    ColumnError, DataError
        If a column is missing, or of a type that it cannot be.
    """
    for name in options.keys(side):
        require(frame, name, f" in the {side} frame")
    time = options.time(side)
    ts, _ = times(frame, time, options.unit)
    table = SymbolTable()
    codes = symbol_codes(frame, options.by, table)
    part = finished(frame, options, side)
    if part is None:
        part = np.ones(frame.rows, np.bool_)
    ahead = np.zeros(frame.rows, np.bool_) if latest is None else ts > latest
    late = (ts < watermark) & (ts != NAT)
    ok = part & ~ahead & ~late
    in_time = ok.copy()
    mark_disorder(codes, ts, np.full(len(table), NAT), in_time)
    wrong = np.flatnonzero(part & ~in_time)
    reasons = []
    for row in wrong.tolist():
        now = pd.Timestamp(int(ts[row]))
        if ahead[row] and latest is not None:
            reasons.append(
                f"column {time!r} at row {row} is {now}, and may be {pd.Timestamp(int(latest[row]))} at most, judged "
                "by when its record was written"
            )
        elif late[row]:
            reasons.append(
                f"column {time!r} at row {row} is {now}, but the {side} feed had reached {pd.Timestamp(watermark)}; "
                "records of a partition come in time order"
            )
        else:
            reasons.append(reason(options.by, time, table, codes, ts, row, row))
    return wrong, reasons
