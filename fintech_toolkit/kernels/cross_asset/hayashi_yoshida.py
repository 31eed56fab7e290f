"""Covariation of two prices that do not tick together."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, checked_index, helper, window_kernel
from fintech_toolkit.scan.arithmetic import add, value_of, watch_sum

# Of each leg: its last log price, when that was, how many distinct times it has ticked at (2 for many), and
# the other leg's log price as of the start of its last return and as of its end.
STATE = [
    ("last", "2f8"),
    ("time", "2i8"),
    ("seen", "2i8"),
    ("other_before", "2f8"),
    ("other_now", "2f8"),
    ("total", "f8"),
    ("lost", "f8"),
    ("scale", "f8"),
    ("least", "f8"),
    ("products", "i8"),
]


def _prepare(s: Any, leg: int, price: float, ts: int) -> float:
    """Return what the tick adds to the sum: its return times the other leg's returns that overlap it so far.

    Products with returns of the other leg that are still open come with the tick that closes those. A
    further tick of a leg at one instant replaces the one before, so it adds the difference only.
    """
    leg = checked_index(leg, 2)
    if leg < 0 or not (np.isfinite(price) and price > 0.0):
        return np.nan
    other = 1 - leg
    value = np.log(price)
    same_instant = s.seen[leg] > 0 and s.time[leg] == ts
    if s.seen[leg] > 0 and not same_instant:
        s.other_before[leg] = s.other_now[leg]
        s.seen[leg] = 2
    product = 0.0
    if s.seen[leg] == 2 and s.seen[other] > 0:
        product = (value - s.last[leg]) * (s.last[other] - s.other_before[leg])
    s.last[leg] = value
    if s.seen[leg] == 0:
        s.seen[leg] = 1
    if not same_instant:
        s.time[leg] = ts
        s.other_now[leg] = s.last[other]
    if s.seen[leg] == 1:
        # Before its first price a leg has no returns: as if it had stood there ever since.
        s.other_before[other] = value
        s.other_now[other] = value
    elif s.time[other] == ts:
        s.other_now[other] = value
    return product


@helper
def _enter(s, product):  # type: ignore[no-untyped-def]
    s.products += 1
    s.scale += abs(product)
    s.total, s.lost = add(s.total, s.lost, product)


@helper
def _leave(s, product):  # type: ignore[no-untyped-def]
    s.products -= 1
    before = s.scale
    s.scale -= abs(product)
    s.total, s.lost = add(s.total, s.lost, -product)
    if s.products == 0:
        s.total = s.lost = s.scale = s.least = 0.0
    else:
        s.least = watch_sum(s, s.least, before, s.scale)


@window_kernel(
    reads=["leg", "price"],
    gives="hy_cov",
    kind="pair",
    prepare=_prepare,
    enters=["product"],
    enter=_enter,
    leave=_leave,
    drifts=True,
    state=STATE,
    memory=["last", "time", "seen", "other_before", "other_now"],
    parameters=[Window(default=None, min_periods=False)],
    warmup="one return of each leg",
    source="Hayashi and Yoshida (2005), Bernoulli 11",
    cases=[{}, {"window": 25}, {"window": "2s"}],
)
def hayashi_yoshida_cov(s: Any, leg: int, price: float) -> float:
    """Realised covariation of the log prices of two symbols on their own clocks, neither sampled nor filled.

    ``Σ_i Σ_j r_i q_j 1{(t_{i-1}, t_i] ∩ (u_{j-1}, u_j] ≠ ∅}`` over the log returns r of one leg and q of
    the other, between their own tick times t and u; here by one addition a tick. It is a sum, not scaled to
    a unit of time. Of several ticks of a leg at one instant the last counts. With a window it is what the
    sum has grown by over the last `window` ticks of both legs, or over the last duration. A price that is
    not positive and finite is no tick of its leg, and a leg other than 0 and 1 is nobody's. NaN until both legs
    have a return.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> leg, price = np.array([0, 1, 0, 1]), np.exp([0.0, 0.0, 0.02, 0.01])
    >>> ft.hayashi_yoshida_cov(leg, price, ts=np.array([0, 1, 2, 3]))
    array([   nan,    nan,    nan, 0.0002])
    """
    return value_of(s.total, s.lost) if s.seen[0] == 2 and s.seen[1] == 2 else np.nan


@hayashi_yoshida_cov.oracle
def _(leg: Any, price: Any, ts: Any, window: Any = None) -> Any:
    import pandas as pd

    def brute(n: int) -> float:
        """The double sum over the first n ticks."""
        sides = []
        for which in (0, 1):
            of_leg = (leg[:n] == which) & np.isfinite(price[:n]) & (price[:n] > 0)
            last = pd.Series(np.log(price[:n][of_leg]), index=ts[:n][of_leg]).groupby(level=0).last()
            sides.append((last.index[:-1], last.index[1:], last.diff().to_numpy()[1:]))
        (t0, t1, r), (u0, u1, q) = sides
        if not len(r) or not len(q):
            return float("nan")
        overlap = np.maximum.outer(t0, u0) < np.minimum.outer(t1, u1)
        return float(r @ overlap @ q)

    sums = np.array([brute(n) for n in range(len(ts) + 1)])
    now = np.arange(1, len(ts) + 1)
    if window is None:
        return sums[1:]
    if isinstance(window, int):
        before = np.maximum(now - window, 0)
    else:
        before = np.searchsorted(ts, ts - pd.Timedelta(window).value, side="right")
    return sums[now] - np.nan_to_num(sums[before])
