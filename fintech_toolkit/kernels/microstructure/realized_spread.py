"""What a trade cost once the market had time to move."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Duration, event_kernel, helper, later, oldest, pop, push


def _flush(s: Any, row: Any, slots: Any) -> bool:
    if s.count == 0:
        return False
    _answer(s, row, slots[oldest(s)], np.nan)
    row.complete = False
    return True


@helper
def _answer(s, row, trade, mid):  # type: ignore[no-untyped-def]
    row.ts = trade.ts
    row.price = trade.price
    row.mid = trade.mid
    row.side = trade.side
    row.realized_spread = 2.0 * trade.side * (trade.price - mid)
    row.complete = True
    pop(s)


@event_kernel(
    reads=["price", "mid", "side"],
    gives=["ts:i8", "price", "mid", "side", "realized_spread", "complete:?"],
    flush=_flush,
    parameters=[Duration("horizon", "time after the trade at which the mid is taken, such as '5s'")],
    state=[("mid", "f8"), ("known", "?")],
    slots=[("ts", "i8"), ("price", "f8"), ("mid", "f8"), ("side", "f8")],
    warmup="a trade's row is emitted with the first tick later than its time plus the horizon",
    source="Huang and Stoll (1996), Journal of Financial Economics 41",
    cases=[{"horizon": "2s"}, {"horizon": "100ms"}],
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
    if s.count > 0:
        first = slots[oldest(s)]
        if later(first.ts, horizon) < ts:
            _answer(s, row, first, s.mid if s.known else np.nan)
            return True
    if np.isfinite(mid):
        s.mid = mid
        s.known = True
    if np.isfinite(price) and np.isfinite(side):
        trade = slots[push(s)]
        trade.ts = ts
        trade.price = price
        trade.mid = mid
        trade.side = side
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
