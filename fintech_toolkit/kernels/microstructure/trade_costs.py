"""What trades cost: against the mid at the time, and against the mid some time later."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Flag, event_kernel, helper, tick_kernel
from fintech_toolkit.kernels.microstructure.later_mid import LATER_MID, answer, gives, is_due, take_note


@tick_kernel(
    reads=["price", "mid", "side"],
    gives=["effective", "effective_bps"],
    parameters=[
        Flag(
            "signed",
            "go by the side of the trade (True), or by how far it was from the mid, whoever started it (False)",
            True,
        )
    ],
    source="Huang and Stoll (1996), Journal of Financial Economics 41",
    cases=[{}, {"signed": False}],
)
def effective_spread(price: float, mid: float, side: float, signed: bool) -> tuple[float, float]:
    """Effective spread, ``2 side (price - mid)``, in the unit of the prices, and in basis points of the mid,
    ``effective / mid · 10⁴``.

    With ``signed=False`` ``2 |price - mid|``, for which no side is needed. NaN where a price is missing (NaN or
    infinite) or, if signed, the side is unknown (NaN or 0); in basis points also where the mid is not positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.effective_spread(np.array([100.5, 99.8]), np.array([100.0, 100.0]), np.array([1.0, -1.0])).effective.round(6)
    array([1. , 0.4])
    """
    if not (np.isfinite(price) and np.isfinite(mid)):
        return np.nan, np.nan
    if signed:
        if side != 1.0 and side != -1.0:  # noqa: PLR1714
            return np.nan, np.nan
        effective = 2.0 * side * (price - mid)
    else:
        effective = 2.0 * abs(price - mid)
    return effective, effective / mid * 1e4 if mid > 0.0 else np.nan


@effective_spread.oracle
def _(price: Any, mid: Any, side: Any, signed: bool = True) -> Any:
    distance = np.where(np.isfinite(price) & np.isfinite(mid), price - mid, np.nan)
    sign = np.where(np.isin(side, [-1, 1]), side, np.nan) if signed else np.sign(distance)
    effective = 2 * sign * distance
    return effective, np.where(mid > 0, effective / mid, np.nan) * 1e4


@helper
def _answer(s, row, slots, complete):  # type: ignore[no-untyped-def]
    then = answer(s, row, slots, complete)
    if not np.isfinite(row.mid):
        row.mid = np.nan
    row.price_impact = 2.0 * row.side * (then - row.mid)


def _flush(s: Any, row: Any, slots: Any) -> bool:
    if s.count == 0:
        return False
    _answer(s, row, slots, False)
    return True


@event_kernel(gives=gives("price_impact"), flush=_flush, cases=[{"horizon": "2s"}], **LATER_MID)
def price_impact(
    s: Any, row: Any, price: float, mid: float, side: float, ts: int, horizon: int, slots: Any, again: bool
) -> bool:
    """Price impact, ``2 side (mid_{t+h} - mid_t)``: how far the mid followed a trade; with the realised spread it makes
    up the effective one.

    The mid at ``t + h`` is the last one known at that moment, so a row is emitted with the first tick after it, never
    before; the mid at the trade is that of its own row. Ticks without a trade carry a mid only (price or side NaN);
    ticks without a mid leave the last one standing, and a trade on one of them has no impact (NaN). Trades whose
    horizon has not passed at the end are emitted by `flush`, with NaN and ``complete=False``.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> rows = ft.price_impact(
    ...     np.array([10.1, np.nan, np.nan]), np.array([10.0, 10.05, 10.2]), np.array([1.0, np.nan, np.nan]),
    ...     ts=np.array([0, 1, 3]), unit="s", horizon="2s")
    >>> rows.price_impact.round(6), rows.complete
    (array([0.1]), array([ True]))
    """
    if is_due(s, slots, ts, horizon):
        _answer(s, row, slots, True)
        return True
    take_note(s, slots, price, mid, side, ts)
    return False


@price_impact.oracle
def _(price: Any, mid: Any, side: Any, ts: Any, horizon: str) -> Any:
    """Looked up in the whole series: the last mid at or before the trade's time plus the horizon."""
    import pandas as pd

    known = np.isfinite(mid)
    quotes, times = mid[known], ts[known]
    rows = []
    for at in np.flatnonzero(np.isfinite(price) & np.isfinite(side)):
        end = ts[at] + pd.Timedelta(horizon).value
        complete = bool(ts[-1] > end)
        before = np.searchsorted(times, end, side="right")
        then = quotes[before - 1] if complete and before else np.nan
        now = mid[at] if known[at] else np.nan
        rows.append(
            {
                "ts": ts[at],
                "price": price[at],
                "mid": now,
                "side": side[at],
                "price_impact": 2 * side[at] * (then - now),
                "complete": complete,
            }
        )
    return sorted(rows, key=lambda row: not row["complete"])
