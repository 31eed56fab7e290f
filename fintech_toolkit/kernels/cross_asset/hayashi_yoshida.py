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


@helper
def _overlap(s, leg, price, ts):  # type: ignore[no-untyped-def]
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


def _prepare(s: Any, leg: int, price: float, ts: int) -> Any:
    return _overlap(s, leg, price, ts)


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


def _prepare_corr(s: Any, leg: int, price: float, ts: int) -> tuple[float, float, float]:
    """Return besides what the tick adds to the sum of each leg's own squared returns."""
    which = checked_index(leg, 2)
    if which < 0 or not (np.isfinite(price) and price > 0.0):
        return np.nan, 0.0, 0.0
    value = np.log(price)
    square = 0.0
    if s.seen[which] > 0 and s.time[which] != ts:
        s.base[which] = s.last[which]
        square = (value - s.base[which]) ** 2
    elif s.seen[which] == 2:
        square = (value - s.base[which]) ** 2 - (s.last[which] - s.base[which]) ** 2
    product = _overlap(s, leg, price, ts)
    return product, (square if which == 0 else 0.0), (square if which == 1 else 0.0)


@helper
def _enter_corr(s, product, square_0, square_1):  # type: ignore[no-untyped-def]
    _enter(s, product)
    s.scale_0 += abs(square_0)
    s.scale_1 += abs(square_1)
    s.total_0, s.lost_0 = add(s.total_0, s.lost_0, square_0)
    s.total_1, s.lost_1 = add(s.total_1, s.lost_1, square_1)


@helper
def _leave_corr(s, product, square_0, square_1):  # type: ignore[no-untyped-def]
    _leave(s, product)
    before_0, before_1 = s.scale_0, s.scale_1
    s.scale_0 -= abs(square_0)
    s.scale_1 -= abs(square_1)
    s.total_0, s.lost_0 = add(s.total_0, s.lost_0, -square_0)
    s.total_1, s.lost_1 = add(s.total_1, s.lost_1, -square_1)
    if s.products == 0:
        s.total_0 = s.lost_0 = s.scale_0 = s.least_0 = 0.0
        s.total_1 = s.lost_1 = s.scale_1 = s.least_1 = 0.0
    else:
        s.least_0 = watch_sum(s, s.least_0, before_0, s.scale_0)
        s.least_1 = watch_sum(s, s.least_1, before_1, s.scale_1)


ROUNDING = 1e-12
"""Share of what entered up to which a sum of squares is what rounding has left of one."""


@window_kernel(
    reads=["leg", "price"],
    gives="hy_corr",
    kind="pair",
    prepare=_prepare_corr,
    enters=["product", "square_0", "square_1"],
    enter=_enter_corr,
    leave=_leave_corr,
    drifts=True,
    state=[
        *STATE,
        ("base", "2f8"),
        *((f"{name}_{leg}", "f8") for leg in (0, 1) for name in ("total", "lost", "scale", "least")),
    ],
    memory=["last", "time", "seen", "other_before", "other_now", "base"],
    parameters=[Window(default=None, min_periods=False)],
    warmup="one return of each leg",
    source="Hayashi and Yoshida (2005), Bernoulli 11, sec. 2",
    cases=[{}, {"window": 25}, {"window": "2s"}],
)
def hayashi_yoshida_corr(s: Any, leg: int, price: float) -> Any:
    """Realised correlation of the log prices of two symbols on their own clocks: `hayashi_yoshida_cov` over the square
    root of both realised variances, ``Σ r²`` and ``Σ q²``.

    Not bounded by 1 in a small sample, since the three sums are of different returns. Windows, ties in time and prices
    that are no tick are as in `hayashi_yoshida_cov`. NaN until both legs have a return, and where one has not moved; a
    price is missing if it is NaN or infinite.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> leg, price = np.array([0, 1, 0, 1]), np.exp([0.0, 0.0, 0.02, 0.01])
    >>> ft.hayashi_yoshida_corr(leg, price, ts=np.array([0, 1, 2, 3])).round(6)
    array([nan, nan, nan,  1.])
    """
    first, second = value_of(s.total_0, s.lost_0), value_of(s.total_1, s.lost_1)
    if not (s.seen[0] == 2 and s.seen[1] == 2 and first > ROUNDING * s.scale_0 and second > ROUNDING * s.scale_1):
        return np.nan
    return value_of(s.total, s.lost) / (np.sqrt(first) * np.sqrt(second))


@hayashi_yoshida_corr.oracle
def _(leg: Any, price: Any, ts: Any, window: Any = None) -> Any:
    """By the covariation's oracle, and the squared returns of all ticks so far, with one price an instant."""
    covariation = hayashi_yoshida_cov.oracles[0](leg, price, ts, window)
    now = np.arange(1, len(ts) + 1)
    if window is None:
        before = np.zeros(len(ts), int)
    elif isinstance(window, int):
        before = np.maximum(now - window, 0)
    else:
        import pandas as pd

        before = np.searchsorted(ts, ts - pd.Timedelta(window).value, side="right")
    deviation = []
    for which in (0, 1):
        own = (leg == which) & np.isfinite(price) & (price > 0)
        sums = []
        for n in range(len(ts) + 1):
            at = dict(zip(ts[:n][own[:n]].tolist(), np.log(price[:n][own[:n]]), strict=True))
            sums.append(np.sum(np.diff(list(at.values())) ** 2))
        variance = np.array(sums)[now] - np.array(sums)[before]
        deviation.append(np.sqrt(np.where(variance > 1e-12 * max(sums[-1], 1e-300), variance, np.nan)))
    return covariation / (deviation[0] * deviation[1])
