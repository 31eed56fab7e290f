"""Flow toxicity in volume time."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Number, event_kernel, helper, nth, pop, push

ROUNDING = 1e-9


MOST = 1 << 53
"""The greatest number of buckets that is counted: float64 knows no further whole numbers one by one."""


@helper
def _bucket(s, row):  # type: ignore[no-untyped-def]
    row.ts = s.last_ts
    row.imbalance = s.signed / s.filled
    row.volume = s.filled
    row.buckets = 1
    s.filled = 0.0
    s.signed = 0.0


def _flush(s: Any, row: Any) -> bool:
    if s.filled == 0.0:
        return False
    _bucket(s, row)
    row.vpin = np.nan
    row.buckets = 0
    row.complete = False
    return True


@helper
def _all_at_once(s, row, bucket, sign):  # type: ignore[no-untyped-def]
    left = np.fmod(s.rest, bucket)
    if left >= bucket - ROUNDING * bucket:
        left = 0.0
    buckets = max(np.rint((s.rest - left) / bucket), 1.0)
    row.ts = s.last_ts
    row.imbalance = sign
    row.volume = s.rest - left
    row.buckets = int(min(buckets, float(MOST)))
    row.vpin = abs(sign)
    row.complete = True
    s.rest = left if left > ROUNDING * bucket else 0.0


@event_kernel(
    reads=["size", "side"],
    gives=["ts:i8", "vpin", "imbalance", "volume", "buckets:i8", "complete:?"],
    flush=_flush,
    parameters=[
        Number("bucket", "volume of a bucket, in the unit of `size`", above=0),
        Count("window", "number of buckets in the average", 50),
    ],
    state=[("filled", "f8"), ("signed", "f8"), ("rest", "f8"), ("own", "i8"), ("last_ts", "i8")],
    slots=[("imbalance", "f8")],
    warmup="`window` full buckets",
    source="Easley, López de Prado and O'Hara (2012), Review of Financial Studies 25",
    cases=[
        {"bucket": 100, "window": 5},
        {"bucket": 7.3, "window": 1},
        {"bucket": 0.4, "window": 60},
        {"bucket": 30},
        {"bucket": 0.3, "window": 4},
    ],
)
def vpin(
    s: Any, row: Any, size: float, side: float, ts: int, bucket: float, window: int, slots: Any, again: bool
) -> bool:
    """Volume-synchronised probability of informed trading: the mean of ``|buys - sells| / bucket`` over the last
    buckets.

    Trades fill buckets of equal volume, and are split where they cross an edge, so one trade can complete
    many. A row per bucket: the time of the trade that completed it, vpin in [0, 1] (NaN until `window`
    buckets are full), the bucket's own imbalance ``(buys - sells) / volume`` in [-1, 1], and its volume. Once
    a trade has completed one bucket more than `window`, all others that it fills are like the last: they are
    one row, with their number in `buckets` (2⁵³ at most; 1 in other rows, 0 in an unfinished one) and their
    volume together. So a trade gives ``window + 2`` rows at most, however large its size is by mistake. A
    trade of unknown side (NaN or 0) counts half as bought and half as sold; one without a positive finite
    size is left out. A bucket that lacks less than 10⁻⁹ of its volume is full, so that sums of decimal
    sizes meet its edges. The unfinished bucket is emitted by `flush` with ``complete=False``, the volume
    that it has, and no vpin.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> size, side = np.array([6.0, 8.0, 7.0]), np.array([1.0, -1.0, 1.0])
    >>> rows = ft.vpin(size, side, ts=np.arange(3), bucket=10, window=2)
    >>> rows.ts, rows.vpin, rows.imbalance, rows.complete
    (array([1, 2, 2]), array([nan, 0.2, nan]), array([0.2, 0.2, 1. ]), array([ True,  True, False]))
    """
    if not again:
        s.rest = size if np.isfinite(size) and size > 0.0 else 0.0
        s.own = 0
    if s.rest == 0.0:
        return False
    sign = np.sign(side) if np.isfinite(side) else 0.0
    room = bucket - s.filled
    s.last_ts = ts
    if s.rest < room - ROUNDING * bucket:
        s.filled += s.rest
        s.signed += sign * s.rest
        s.rest = 0.0
        return False
    if s.own > window:
        # All buckets of the average are this trade's: those that it still fills are one like the other.
        _all_at_once(s, row, bucket, sign)
        return True
    s.own += 1
    part = min(room, s.rest)
    s.filled += part
    s.signed += sign * part
    s.rest = s.rest - part if s.rest - part > ROUNDING * bucket else 0.0
    _bucket(s, row)
    if s.count == window:
        pop(s)
    slots[push(s)].imbalance = abs(row.imbalance)
    total = 0.0
    for j in range(s.count):
        total += slots[nth(s, j)].imbalance
    row.vpin = total / window if s.count == window else np.nan
    row.complete = True
    return True


@vpin.oracle
def _(size: Any, side: Any, ts: Any, bucket: float, window: int = 50) -> Any:
    """In exact decimal arithmetic: a trade is a stretch of volume, cut at multiples of the bucket."""
    from fractions import Fraction

    volume = Fraction(repr(float(bucket)))
    traded = np.flatnonzero(np.isfinite(size) & (size > 0))
    filled, flow, shares, rows = Fraction(0), Fraction(0), list[float](), []
    for i in traded:
        rest, sign = Fraction(repr(float(size[i]))), int(np.sign(side[i])) if np.isfinite(side[i]) else 0
        own = 0
        while rest > 0:
            if own > window and rest >= volume:
                alike = rest // volume
                rows.append(
                    {
                        "ts": ts[i],
                        "vpin": float(abs(sign)),
                        "imbalance": float(sign),
                        "volume": float(alike * volume),
                        "buckets": int(alike),
                        "complete": True,
                    }
                )
                rest -= alike * volume
                continue
            part = min(rest, volume - filled)
            filled, rest = filled + part, rest - part
            flow += sign * part
            if filled == volume:
                own += 1
                shares.append(float(abs(flow) / volume))
                last = shares[-window:]
                rows.append(
                    {
                        "ts": ts[i],
                        "vpin": np.mean(last) if len(last) == window else np.nan,
                        "imbalance": float(flow / volume),
                        "volume": float(volume),
                        "buckets": 1,
                        "complete": True,
                    }
                )
                filled = flow = Fraction(0)
    if filled > 0:
        rows.append(
            {
                "ts": ts[traded[-1]],
                "vpin": np.nan,
                "imbalance": float(flow / filled),
                "volume": float(filled),
                "buckets": 0,
                "complete": False,
            }
        )
    return rows
