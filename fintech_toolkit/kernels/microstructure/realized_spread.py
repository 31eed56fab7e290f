"""What a trade cost once the market had time to move."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import event_kernel, helper
from fintech_toolkit.kernels.microstructure.later_mid import LATER_MID, answer, gives, is_due, take_note


@helper
def _answer(s, row, slots, complete):  # type: ignore[no-untyped-def]
    then = answer(s, row, slots, complete)
    row.realized_spread = 2.0 * row.side * (row.price - then)


def _flush(s: Any, row: Any, slots: Any) -> bool:
    if s.count == 0:
        return False
    _answer(s, row, slots, False)
    return True


@event_kernel(
    gives=gives("realized_spread"), flush=_flush, cases=[{"horizon": "2s"}, {"horizon": "100ms"}], **LATER_MID
)
def realized_spread(
    s: Any, row: Any, price: float, mid: float, side: float, ts: int, horizon: int, slots: Any, again: bool
) -> bool:
    """Realised spread, ``2 side (price_t - mid_{t+h})``: what the liquidity provider kept once `horizon` had passed.

    The mid at ``t + h`` is the last one known at that moment, so a row is emitted with the first tick after it, never
    before. Ticks without a trade carry a mid only (price or side NaN); ticks without a mid leave the last one standing.
    Trades whose horizon has not passed at the end are emitted by `flush`, with NaN and ``complete=False``.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> rows = ft.realized_spread(
    ...     np.array([10.1, np.nan, np.nan]), np.array([10.0, 10.05, 10.2]), np.array([1.0, np.nan, np.nan]),
    ...     ts=np.array([0, 1, 3]), unit="s", horizon="2s")
    >>> rows.realized_spread.round(6), rows.complete
    (array([0.1]), array([ True]))
    """
    if is_due(s, slots, ts, horizon):
        _answer(s, row, slots, True)
        return True
    take_note(s, slots, price, mid, side, ts)
    return False


@realized_spread.oracle
def _(price: Any, mid: Any, side: Any, ts: Any, horizon: str) -> Any:
    import pandas as pd

    h = pd.Timedelta(horizon).value
    rows: list[dict[str, Any]] = []
    pending: list[dict[str, Any]] = []
    trades = np.flatnonzero(np.isfinite(price) & np.isfinite(side))
    for i in trades:
        known = np.flatnonzero(np.isfinite(mid) & (ts <= ts[i] + h))
        later = np.max(ts) > ts[i] + h
        then = mid[known[-1]] if later and len(known) else np.nan
        realized = 2 * side[i] * (price[i] - then)
        row = {
            "ts": ts[i],
            "price": price[i],
            "mid": mid[i],
            "side": side[i],
            "realized_spread": realized,
            "complete": later,
        }
        (rows if later else pending).append(row)
    return rows + pending
