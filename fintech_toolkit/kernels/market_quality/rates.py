"""How often something happens: trades, and changes of a quote.

Rates are per second of the window's length, or, where it is of rows, of the time that its rows took: from the row
before it to the last. Times are summed in whole nanoseconds, so that they are exact however long a run lasts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, elapsed, helper, window_kernel

SECOND = 1e9
CASES: list[dict[str, Any]] = [{"window": 7, "min_periods": 2}, {"window": "3s"}]


@helper
def _gap(s, ts):  # type: ignore[no-untyped-def]
    """Return how long it has been since the row before, 0 on the first."""
    gap = elapsed(s.last, ts) if s.begun else 0
    s.last = ts
    s.begun = True
    return gap


@helper
def _seconds(s, window, by_time):  # type: ignore[no-untyped-def]
    return (window if by_time else s.took) / SECOND


def _prepare_trade(s: Any, ts: int, by_time: bool) -> tuple[float, int]:
    """A window of rows is of the times between them, of which the first row has none."""
    counts = 1.0 if s.begun or by_time else np.nan
    return counts, _gap(s, ts)


@helper
def _enter_trade(s, counts, gap):  # type: ignore[no-untyped-def]
    s.n += 1
    s.took += gap


@helper
def _leave_trade(s, counts, gap):  # type: ignore[no-untyped-def]
    s.n -= 1
    s.took -= gap


@window_kernel(
    reads="ts",
    gives="trade_velocity",
    prepare=_prepare_trade,
    enters=["counts", "gap:i8"],
    enter=_enter_trade,
    leave=_leave_trade,
    state=[("last", "i8"), ("begun", "?"), ("n", "i8"), ("took", "i8")],
    memory=["last", "begun"],
    parameters=[Window()],
    warmup="none with a window of time; with one of rows, the row after min_periods rows",
    source="pandas, Series.rolling(...).count()",
    cases=CASES,
)
def trade_velocity(s: Any, ts: int, window: int, min_periods: int, by_time: bool) -> float:
    """Trades per second: each row is a trade.

    In a window of time their number over its length; in one of rows their number over the time from the row before the
    window to its last. NaN where that is no time at all. A row's time cannot be missing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.trade_velocity(np.array([0, 1, 2, 6]), unit="s", window="2s")
    array([0.5, 1. , 1. , 0.5])
    >>> ft.trade_velocity(np.array([0, 1, 2, 6]), unit="s", window=2)
    array([nan, nan, 1. , 0.4])
    """
    seconds = _seconds(s, window, by_time)
    return s.n / seconds if s.n >= min_periods and seconds > 0.0 else np.nan


@trade_velocity.oracle
def _(ts: Any, window: Any, min_periods: int | None = None) -> Any:
    import pandas as pd

    if isinstance(window, str):
        counts = pd.Series(1.0, index=pd.to_datetime(ts)).rolling(window).count()
        return (counts / pd.Timedelta(window).total_seconds()).to_numpy()
    gaps = pd.Series(ts).diff().rolling(window, min_periods=min_periods).agg(["count", "sum"])
    return (gaps["count"] / gaps["sum"].where(gaps["sum"] > 0) * 1e9).to_numpy()


def _prepare_quote(s: Any, bid: float, ask: float, ts: int, by_time: bool) -> tuple[float, int, int]:
    """Return whether the quote changed, NaN on rows that do not count; how long the one before stood; and the gap."""
    counts = s.quoted or by_time
    gap = _gap(s, ts)
    if not (np.isfinite(bid) and np.isfinite(ask)):
        return (0.0 if s.quoted else np.nan), 0, gap
    changed = s.quoted and (bid != s.bid or ask != s.ask)
    life = elapsed(s.since, ts) if changed else 0
    if changed or not s.quoted:
        s.since = ts
    s.bid = bid
    s.ask = ask
    s.quoted = True
    if not counts:
        return np.nan, life, gap
    return (1.0 if changed else 0.0), life, gap


@helper
def _enter_quote(s, changed, life, gap):  # type: ignore[no-untyped-def]
    s.n += 1
    s.changes += int(changed)
    s.lived += life
    s.took += gap


@helper
def _leave_quote(s, changed, life, gap):  # type: ignore[no-untyped-def]
    s.n -= 1
    s.changes -= int(changed)
    s.lived -= life
    s.took -= gap


@window_kernel(
    reads=["bid", "ask"],
    gives=["changes_per_second", "mean_life"],
    prepare=_prepare_quote,
    enters=["changed", "life:i8", "gap:i8"],
    enter=_enter_quote,
    leave=_leave_quote,
    state=[
        ("last", "i8"),
        ("begun", "?"),
        ("bid", "f8"),
        ("ask", "f8"),
        ("since", "i8"),
        ("quoted", "?"),
        ("n", "i8"),
        ("changes", "i8"),
        ("lived", "i8"),
        ("took", "i8"),
    ],
    memory=["last", "begun", "bid", "ask", "since", "quoted"],
    parameters=[Window()],
    warmup="min_periods rows since the first complete quote; the first change for the life",
    source="Hasbrouck and Saar (2013), Journal of Financial Markets 16: quotes that flicker",
    cases=CASES,
)
def quote_stability(
    s: Any, bid: float, ask: float, window: int, min_periods: int, by_time: bool
) -> tuple[float, float]:
    """How often a quote changes, per second, and how long one that changes has stood, in seconds on average.

    A change is a complete quote whose bid or ask differs from the complete one before. Its number is taken over the
    length of a window of time, or over the time from the row before a window of rows to its last; the mean life is
    that of the quotes that were replaced within the window, of which one may have begun before it. A row without a
    complete quote (NaN or infinite) leaves the last one standing. NaN before the first quote, where the window took no
    time at all, and for the life where nothing changed.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> bid, ask = np.array([99.0, 98.0, 98.0, 99.0]), np.full(4, 100.0)
    >>> ft.quote_stability(bid, ask, ts=np.array([0, 1, 2, 4]), unit="s", window="2s")
    quote_stability(changes_per_second=array([0. , 0.5, 0.5, 0.5]), mean_life=array([nan,  1.,  1.,  3.]))
    """
    if s.n == 0 or s.n < min_periods:
        return np.nan, np.nan
    seconds = _seconds(s, window, by_time)
    life = s.lived / s.changes / SECOND if s.changes > 0 else np.nan
    return (s.changes / seconds if seconds > 0.0 else np.nan), life


@quote_stability.oracle
def _(bid: Any, ask: Any, ts: Any, window: Any, min_periods: int | None = None) -> Any:
    """By looking at all complete quotes so far, row by row."""
    import pandas as pd

    complete = np.isfinite(bid) & np.isfinite(ask)
    quotes = [(int(t), b, a) for t, b, a, known in zip(ts, bid, ask, complete, strict=True) if known]
    at = np.flatnonzero(complete)
    first = at[0] if len(at) else len(ts)
    # Of each row whether it changed the quote, and since when the one that it replaced had stood.
    changed, life, since = np.zeros(len(ts)), np.zeros(len(ts)), 0
    for j, row in enumerate(at):
        if j == 0:
            since = quotes[0][0]
        elif quotes[j][1:] != quotes[j - 1][1:]:
            changed[row], life[row], since = 1, quotes[j][0] - since, quotes[j][0]
    by_time = isinstance(window, str)
    rates, lives = np.full((2, len(ts)), np.nan)
    for i in range(len(ts)):
        if by_time:
            begin = max(first, np.searchsorted(ts, ts[i] - pd.Timedelta(window).value, side="right"))
            seconds, least = pd.Timedelta(window).total_seconds(), 1
        else:
            begin = max(first + 1, i + 1 - window)
            seconds = (ts[i] - ts[begin - 1]) / 1e9 if begin <= i else 0.0
            least = window if min_periods is None else min_periods
        changes = changed[begin : i + 1].sum()
        if i + 1 - begin >= max(least, 1):
            rates[i] = changes / seconds if seconds > 0 else np.nan
            lives[i] = life[begin : i + 1].sum() / changes / 1e9 if changes else np.nan
    return rates, lives
