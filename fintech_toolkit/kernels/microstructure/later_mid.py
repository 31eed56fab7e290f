"""Trades that wait for the mid of a later time: what kernels of what came after a trade share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Duration, helper, later, oldest, pop, push


@helper
def is_due(s, slots, ts, horizon):  # type: ignore[no-untyped-def]
    """Whether the horizon of the oldest trade has passed."""
    return s.count > 0 and later(slots[oldest(s)].ts, horizon) < ts


@helper
def answer(s, row, slots, complete):  # type: ignore[no-untyped-def]
    """Say in a row which trade it is that need not wait any more, and return the mid that stands, NaN if none does or
    the horizon has not passed.
    """
    trade = slots[oldest(s)]
    row.ts = trade.ts
    row.price = trade.price
    row.mid = trade.mid
    row.side = trade.side
    row.complete = complete
    pop(s)
    return s.mid if complete and s.known else np.nan


@helper
def take_note(s, slots, price, mid, side, ts):  # type: ignore[no-untyped-def]
    """Let a mid stand, and a trade wait."""
    if np.isfinite(mid):
        s.mid = mid
        s.known = True
    if np.isfinite(price) and np.isfinite(side):
        trade = slots[push(s)]
        trade.ts = ts
        trade.price = price
        trade.mid = mid
        trade.side = side


LATER_MID: dict[str, Any] = {
    "reads": ["price", "mid", "side"],
    "parameters": [Duration("horizon", "time after the trade at which the mid is taken, such as '5s'")],
    "state": [("mid", "f8"), ("known", "?")],
    "slots": [("ts", "i8"), ("price", "f8"), ("mid", "f8"), ("side", "f8")],
    "warmup": "a trade's row is emitted with the first tick later than its time plus the horizon",
    "source": "Huang and Stoll (1996), Journal of Financial Economics 41",
}


def gives(result: str) -> list[str]:
    """Return the columns of a row."""
    return ["ts:i8", "price", "mid", "side", result, "complete:?"]
