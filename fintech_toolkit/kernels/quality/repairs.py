"""Trades told twice, clocks that differ, and gaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Duration, Window, earlier, event_kernel, helper, later, window_kernel
from fintech_toolkit.kernels.statistics.extremes import enter_min, extreme_of, leave_extreme

MIXER, HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)


# The window's own slots are a hash table as well: `chain` of the slot at an id's place is the newest slot with an id of
# that place, and `older` and `newer` lead on. All of them count from 1.
@helper
def _place(s, trade_id):  # type: ignore[no-untyped-def]
    return np.int64((((np.uint64(trade_id) * MIXER) >> HALF) * np.uint64(s.capacity)) >> HALF)


@helper
def _enter_id(s, trade_id, slots, slot):  # type: ignore[no-untyped-def]
    if s.indexed != s.capacity:
        for j in range(s.capacity):
            slots[j].chain = 0
        s.indexed = s.capacity
    at = _place(s, trade_id)
    older = slots[at].chain
    slots[slot].older = older
    slots[slot].newer = 0
    if older > 0:
        slots[older - 1].newer = slot + 1
    slots[at].chain = slot + 1


@helper
def _leave_id(s, trade_id, slots, slot):  # type: ignore[no-untyped-def]
    older, newer = slots[slot].older, slots[slot].newer
    if newer > 0:
        slots[newer - 1].older = older
    else:
        slots[_place(s, trade_id)].chain = older
    if older > 0:
        slots[older - 1].newer = newer


@window_kernel(
    reads="trade_id",
    gives="duplicate:?",
    enter=_enter_id,
    leave=_leave_id,
    skips_missing=False,
    state=[("indexed", "i8")],
    slots=[("chain", "i4"), ("older", "i4"), ("newer", "i4")],
    parameters=[Window(min_periods=False)],
    source="pandas, Series.duplicated(), within a window",
    cases=[{"window": 20}, {"window": 300}, {"window": "3s"}],
)
def dedupe_trades(s: Any, trade_id: int, slots: Any) -> bool:
    """Whether a trade's id came before in its window: keep the rows in which it is False.

    The first of several is no duplicate. A duplicate takes a place in the window, too, so that an id which is repeated
    over and over stays known. Ids are kept exact; a missing one is an error.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.dedupe_trades(np.array([7, 8, 7, 9, 8]), window=3)
    array([False, False,  True, False, False])
    """
    found = slots[slots[_place(s, trade_id)].chain - 1].older
    while found > 0 and slots[found - 1].v0 != trade_id:
        found = slots[found - 1].older
    return bool(found > 0)


@dedupe_trades.oracle
def _(trade_id: Any, ts: Any, window: Any) -> Any:
    import pandas as pd

    rows = np.arange(len(ts))
    if isinstance(window, int):
        start = np.maximum(rows + 1 - window, 0)
    else:
        start = np.searchsorted(ts, ts - pd.Timedelta(window).value, side="right")
    inside = (pd.Series(trade_id[first : row + 1]) for first, row in zip(start, rows, strict=True))
    return np.array([ids.duplicated().iloc[-1] for ids in inside], bool)


def _delay(s: Any, exchange_ts: int, local_ts: int) -> int:
    return local_ts - exchange_ts


@window_kernel(
    reads=["exchange_ts:i8", "local_ts:i8"],
    gives=["offset:i8", "aligned_ts:i8"],
    prepare=_delay,
    enters=["delay:i8"],
    enter=enter_min,
    leave=leave_extreme,
    skips_missing=False,
    state=[("back", "i8"), ("recent", "i8"), ("behind", "i8"), ("turned", "b1"), ("n", "i8")],
    slots=[("best", "i8")],
    parameters=[Window(min_periods=False)],
    source="Mills (1991), IEEE Transactions on Communications 39: the minimum filter of the clocks of NTP (RFC 5905)",
    cases=[{"window": 20}, {"window": "3s"}],
)
def clock_skew_align(s: Any, exchange_ts: int, local_ts: int, slots: Any) -> tuple[int, int]:
    """How far the local clock is ahead of the exchange's, and the exchange's times by the local clock.

    The offset is the least ``local_ts - exchange_ts`` of the window, in nanoseconds: the message that was delayed
    least. It holds the shortest way that a message takes, which no one-way filter can tell from the clocks' difference.
    ``aligned_ts = exchange_ts + offset``, never after `local_ts`. Whole nanoseconds throughout. A missing time is an
    error.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.clock_skew_align(np.array([0, 10, 20]), np.array([105, 113, 128]), window=2)
    clock_skew_align(offset=array([105, 103, 103]), aligned_ts=array([105, 113, 123]))
    """
    offset: int = extreme_of(s, slots, False, True)
    return offset, exchange_ts + offset


@clock_skew_align.oracle
def _(exchange_ts: Any, local_ts: Any, ts: Any, window: Any) -> Any:
    import pandas as pd

    delays = [int(b) - int(a) for a, b in zip(exchange_ts, local_ts, strict=True)]
    offset = []
    for i in range(len(ts)):
        start = (
            max(0, i + 1 - window)
            if isinstance(window, int)
            else int(np.searchsorted(ts, ts[i] - pd.Timedelta(window).value, side="right"))
        )
        offset.append(min(delays[start : i + 1]))
    aligned = [int(time) + least for time, least in zip(exchange_ts, offset, strict=True)]
    return np.array(offset, np.int64), np.array(aligned, np.int64)


@helper
def _fill(s, row, frequency):  # type: ignore[no-untyped-def]
    row.ts = s.next
    row.filled = s.value
    row.gap = not s.fresh
    s.filled = 0 if s.fresh else s.filled + 1
    s.fresh = False
    s.next = later(s.next, frequency)


def _flush(s: Any, row: Any, frequency: int, limit: int) -> bool:
    if not s.open or s.last < s.next or s.filled + (not s.fresh) > limit:
        s.open = False
        return False
    _fill(s, row, frequency)
    return True


@event_kernel(
    reads="x",
    gives=["ts:i8", "filled", "gap:?"],
    flush=_flush,
    parameters=[
        Duration("frequency", "distance of the rows, such as '1s'; they lie at whole multiples since 1970 UTC"),
        Count("limit", "greatest number of rows in a gap, which bounds what a night or a wrong time can cost", 1000),
    ],
    state=[("value", "f8"), ("next", "i8"), ("last", "i8"), ("filled", "i8"), ("fresh", "?"), ("open", "?")],
    warmup="a row is emitted with the first tick after its time",
    source="pandas, Series.resample(frequency, closed='right', label='right').last().ffill(limit)",
    cases=[{"frequency": "500ms"}, {"frequency": "10ms", "limit": 3}],
)
def gap_fill(s: Any, row: Any, x: float, ts: int, frequency: int, limit: int) -> bool:
    """A value at regular times: the last one known at each, and whether it had to be filled.

    ``filled`` is the last value at or before ``ts``; ``gap`` is True where none came since the row before. After
    `limit` rows in a gap there are none until a value comes. A missing value (NaN or infinite) is no value, but lets
    time pass.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.gap_fill(np.array([1.0, 2.0, 3.0]), ts=np.array([0, 900, 3000]), unit="ms", frequency="1s").filled
    array([1., 2., 2., 3.])
    """
    if s.open and s.next < ts:
        if s.filled + (not s.fresh) <= limit:
            _fill(s, row, frequency)
            return True
        s.open = False
    s.last = ts
    if np.isfinite(x):
        if not s.open:
            past = ts % frequency
            s.next = ts if past == 0 else later(earlier(ts, past), frequency)
            s.open = True
        s.value = x
        s.filled = 0
        s.fresh = True
    return False


@gap_fill.oracle
def _(x: Any, ts: Any, frequency: str, limit: int = 1000) -> Any:
    import pandas as pd

    step = pd.Timedelta(frequency).value
    known = np.isfinite(x)
    values, times = x[known], ts[known]
    rows: list[dict[str, Any]] = []
    if not len(times):
        return rows
    without = 0
    for at in range(-(-int(times[0]) // step) * step, int(ts[-1]) + 1, step):
        now = np.searchsorted(times, at, side="right")
        gap = now == np.searchsorted(times, at - step, side="right")
        without = without + 1 if gap else 0
        if without <= limit:
            rows.append({"ts": at, "filled": values[now - 1], "gap": bool(gap)})
    return rows
