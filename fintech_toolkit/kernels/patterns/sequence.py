"""Sequences of events."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Duration, earlier, tick_kernel


@tick_kernel(
    reads="*flags:?",
    gives="matched:?",
    parameters=[Duration("within", "longest time from the first event to the last, such as '5s'")],
    state=[("started", "i8", "width"), ("reached", "i8")],
    warmup="as many ticks as there are events",
    source="Wu, Diao and Rizvi (2006), SIGMOD, SEQ ... WITHIN",
    cases=[{"within": "2s"}, {"within": "150ms"}],
)
def sequence_pattern(s: Any, flags: Any, ts: int, within: int) -> bool:
    """Whether a sequence of events ends with this tick: the first column, later the second, and so on, in time.

    True at tick n if there are ticks ``i < j < … < n``, one for each column in the order given, at which
    the column is true, and ``ts_n - ts_i <= within``. Other ticks may lie between; one tick serves as one
    event only, and a later tick may bear the same time. Events are not used up: each tick that ends a sequence
    matches. Columns are of booleans, which cannot be missing: a comparison with NaN is False.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> drop, surge = np.array([True, False, False]), np.array([False, True, True])
    >>> ft.sequence_pattern(drop, surge, ts=np.array([0, 4, 9]), unit="s", within="5s")
    array([False,  True, False])
    """
    # started[k] is the latest start of a sequence that has reached event k: no other can still be within time
    # when that one is not. From the last event down, so that a tick does not serve twice.
    last = len(flags) - 1
    earliest = earlier(ts, within)
    matched = False
    for k in range(last, -1, -1):
        if flags[k] and k <= s.reached:
            start = ts if k == 0 else s.started[k - 1]
            if start >= earliest:
                s.started[k] = start
                s.reached = max(s.reached, k + 1)
                matched = matched or k == last
    return matched


@sequence_pattern.oracle
def _(*flags: Any, ts: Any, within: str) -> Any:
    import pandas as pd

    length = pd.Timedelta(within).value

    def ends(n: int, k: int, now: int) -> bool:
        """Whether tick n can be event k of a sequence that began at most `within` before `now`."""
        if not flags[k][n] or now - ts[n] > length:
            return False
        return k == 0 or any(ends(i, k - 1, now) for i in range(n - 1, -1, -1) if now - ts[i] <= length)

    return np.array([ends(n, len(flags) - 1, ts[n]) for n in range(len(ts))], dtype=bool)
