"""Volatility from the open, high, low and close of bars."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, Window, helper, window_kernel
from fintech_toolkit.kernels.statistics.comoments import COMOMENTS
from fintech_toolkit.kernels.volatility.term_sums import TERM_SUM, on_windows, sum_of
from fintech_toolkit.scan.arithmetic import add, replace, value_of, watch_sum

PERIODS = Number(
    "periods", "bars in a year, by whose root the volatility is scaled, such as 252; 1 scales nothing", 1, above=0
)
RANGE: dict[str, Any] = TERM_SUM | {
    "gives": "vol",
    "parameters": [Window(), PERIODS],
    "warmup": "min_periods valid bars in the window",
    "cases": [{"window": 20}, {"window": 7, "min_periods": 2, "periods": 252}, {"window": "3s"}],
}
OHLC = ["open", "high", "low", "close"]
MOVED = 2.0 * np.log(2.0) - 1.0
FOUR_LOG_2 = 4.0 * np.log(2.0)


@helper
def _is_bar(first, high, low, last):  # type: ignore[no-untyped-def]
    """Return whether prices are those of a bar; one that is NaN is not."""
    return 0.0 < low <= min(first, last) and max(first, last) <= high < np.inf


@helper
def _scaled(s, share, min_periods, periods):  # type: ignore[no-untyped-def]
    """Return the root of a share of the terms' mean, scaled to a year."""
    return np.sqrt(share * sum_of(s, min_periods) / s.n * periods) if s.n > 0 else np.nan


def _square_of_range(s: Any, high: float, low: float) -> float:
    return np.log(high / low) ** 2 if 0.0 < low <= high < np.inf else np.nan


@window_kernel(
    reads=["high", "low"],
    prepare=_square_of_range,
    source="Parkinson (1980), Journal of Business 53",
    **RANGE,
)
def parkinson(s: Any, high: float, low: float, min_periods: int, periods: float) -> Any:
    """Parkinson's volatility, ``√(Σ ln(high / low)² / (4 n ln 2) · periods)``, of the n bars in the window.

    For prices without drift that trade without pause; few trades in a bar, and gaps between bars, make it too small. A
    bar that is missing (NaN or infinite), is not positive, or whose high is below its low, takes a place in the window
    but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.parkinson(np.array([101.0, 103.0]), np.array([99.0, 100.0]), window=2).round(6)
    array([     nan, 0.015156])
    """
    return _scaled(s, 1.0 / FOUR_LOG_2, min_periods, periods)


@parkinson.oracle
def _(high: Any, low: Any, ts: Any, periods: float = 1, **rolling: Any) -> Any:
    valid = np.isfinite(high) & np.isfinite(low) & (low > 0) & (high >= low)
    squares = (np.log(high) - np.log(low)) ** 2 / (4 * np.log(2))
    return np.sqrt(periods * on_windows(lambda rows: np.mean(squares[rows]), valid, ts, **rolling))


def _garman_klass_term(s: Any, first: float, high: float, low: float, last: float) -> Any:
    if not _is_bar(first, high, low, last):
        return np.nan
    return 0.5 * np.log(high / low) ** 2 - MOVED * np.log(last / first) ** 2


@window_kernel(
    reads=OHLC,
    prepare=_garman_klass_term,
    source="Garman and Klass (1980), Journal of Business 53",
    **RANGE,
)
def garman_klass(s: Any, open: float, high: float, low: float, close: float, min_periods: int, periods: float) -> Any:
    """Garman and Klass' volatility: the root of the mean of ``ln(high / low)² / 2 - (2 ln 2 - 1) ln(close / open)²``.

    Times √periods. It is their estimator without its small cross terms, as it is used everywhere, for prices without
    drift; gaps between bars are not seen. A bar that is missing (NaN or infinite), is not positive, or whose open or
    close lies outside its range, takes a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> first, high, low, last = np.array([[100.0, 102.0, 99.0, 101.0], [101.0, 103.0, 100.0, 100.5]]).T
    >>> ft.garman_klass(first, high, low, last, window=2).round(6)
    array([     nan, 0.020429])
    """
    return _scaled(s, 1.0, min_periods, periods)


def _valid(open: Any, high: Any, low: Any, close: Any) -> Any:
    bars = np.isfinite([open, high, low, close]).all(axis=0) & (low > 0)
    return bars & (low <= np.minimum(open, close)) & (high >= np.maximum(open, close))


@garman_klass.oracle
def _(open: Any, high: Any, low: Any, close: Any, ts: Any, periods: float = 1, **rolling: Any) -> Any:
    u, d, c = np.log(high / open), np.log(low / open), np.log(close / open)
    terms = (u - d) ** 2 / 2 - (2 * np.log(2) - 1) * c**2
    means = on_windows(lambda rows: np.mean(terms[rows]), _valid(open, high, low, close), ts, **rolling)
    return np.sqrt(periods * means)


@helper
def _turn(first, high, low, move):  # type: ignore[no-untyped-def]
    """Return Rogers and Satchell's term of a bar whose ln(close / open) is `move`."""
    up, down = np.log(high / first), np.log(low / first)
    return up * (up - move) + down * (down - move)


def _rogers_satchell_term(s: Any, first: float, high: float, low: float, last: float) -> float:
    return _turn(first, high, low, np.log(last / first)) if _is_bar(first, high, low, last) else np.nan


@window_kernel(
    reads=OHLC,
    prepare=_rogers_satchell_term,
    source="Rogers and Satchell (1991), Annals of Applied Probability 1",
    **RANGE,
)
def rogers_satchell(
    s: Any, open: float, high: float, low: float, close: float, min_periods: int, periods: float
) -> Any:
    """Rogers and Satchell's volatility: the root of the mean of ``ln(h/c) ln(h/o) + ln(l/c) ln(l/o)``, times √periods.

    For prices with any drift; gaps between bars are not seen. A bar that is missing (NaN or infinite), is not positive,
    or whose open or close lies outside its range, takes a place in the window but no part in the result. A bar that
    moves one way only, from one end of its range to the other, counts 0.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> first, high, low, last = np.array([[100.0, 102.0, 99.0, 101.0], [101.0, 103.0, 100.0, 100.5]]).T
    >>> ft.rogers_satchell(first, high, low, last, window=2).round(6)
    array([     nan, 0.021535])
    """
    return _scaled(s, 1.0, min_periods, periods)


@rogers_satchell.oracle
def _(open: Any, high: Any, low: Any, close: Any, ts: Any, periods: float = 1, **rolling: Any) -> Any:
    terms = np.log(high / close) * np.log(high / open) + np.log(low / close) * np.log(low / open)
    means = on_windows(lambda rows: np.mean(terms[rows]), _valid(open, high, low, close), ts, **rolling)
    return np.sqrt(periods * means)


ENTER_PAIR, LEAVE_PAIR, SLIDE_PAIR = COMOMENTS["enter"], COMOMENTS["leave"], COMOMENTS["slide"]


def _three_terms(s: Any, first: float, high: float, low: float, last: float) -> Any:
    """Return what a bar gapped, what it moved, and how it turned on the way."""
    valid = _is_bar(first, high, low, last)
    gap = np.log(first / s.before) if valid and s.known else np.nan
    s.before = last
    s.known = valid
    move = np.log(last / first) if valid else np.nan
    return gap, move, (_turn(first, high, low, move) if valid else np.nan)


@helper
def _enter(s, gap, move, turn):  # type: ignore[no-untyped-def]
    ENTER_PAIR(s, gap, move)
    s.sum, s.lost = add(s.sum, s.lost, turn)


@helper
def _leave(s, gap, move, turn):  # type: ignore[no-untyped-def]
    LEAVE_PAIR(s, gap, move)
    before = s.sum
    s.sum, s.lost = add(s.sum, s.lost, -turn)
    s.least = watch_sum(s, s.least, before, s.sum)


@helper
def _slide(s, old_gap, old_move, old_turn, gap, move, turn):  # type: ignore[no-untyped-def]
    SLIDE_PAIR(s, old_gap, old_move, gap, move)
    before = s.sum
    s.sum, s.lost = replace(s.sum, s.lost, old_turn, turn)
    s.least = watch_sum(s, s.least, before, s.sum)


@window_kernel(
    reads=OHLC,
    prepare=_three_terms,
    source="Yang and Zhang (2000), Journal of Business 73",
    **RANGE
    | {
        "enters": ["gap", "move", "turn"],
        "enter": _enter,
        "leave": _leave,
        "slide": _slide,
        "state": [
            ("before", "f8"),
            ("known", "?"),
            ("sum", "f8"),
            ("lost", "f8"),
            ("least", "f8"),
            *COMOMENTS["state"],
        ],
        "memory": ["before", "known"],
        "warmup": "min_periods bars in the window that follow another, and two at least",
    },
)
def yang_zhang(s: Any, open: float, high: float, low: float, close: float, min_periods: int, periods: float) -> Any:
    """Yang and Zhang's volatility, ``√((σ_gap² + k σ_move² + (1 - k) σ_rs²) · periods)``: any drift, gaps too.

    ``σ_gap²`` is the variance (``ddof`` 1) of ``ln(open / previous close)``, ``σ_move²`` that of ``ln(close / open)``,
    and ``σ_rs²`` the square of `rogers_satchell`, of the n bars in the window that follow another; ``k = 0.34 / (1.34 +
    (n + 1) / (n - 1))``. A bar that is missing (NaN or infinite), is not positive, or whose open or close lies outside
    its range, takes a place in the window but no part in the result, and neither does the one after it.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> bars = [[100.0, 102.0, 99.0, 101.0], [101.5, 103.0, 100.0, 100.5], [100.0, 102.0, 99.5, 101.0]]
    >>> ft.yang_zhang(*np.array(bars).T, window=2).round(6)
    array([     nan,      nan, 0.019736])
    """
    if s.n < max(min_periods, 2):
        return np.nan
    k = 0.34 / (1.34 + (s.n + 1.0) / (s.n - 1.0))
    gaps = max(s.xx, 0.0) / (s.n - 1) if s.same_x < s.n else 0.0
    moves = max(s.yy, 0.0) / (s.n - 1) if s.same_y < s.n else 0.0
    turns = max(value_of(s.sum, s.lost), 0.0) / s.n
    return np.sqrt((gaps + k * moves + (1.0 - k) * turns) * periods)


@yang_zhang.oracle
def _(open: Any, high: Any, low: Any, close: Any, ts: Any, periods: float = 1, **rolling: Any) -> Any:
    valid = _valid(open, high, low, close)
    gap = np.log(open / np.concatenate([[np.nan], close[:-1]]))
    move = np.log(close / open)
    rs = np.log(high / close) * np.log(high / open) + np.log(low / close) * np.log(low / open)

    def variance(rows: Any) -> float:
        n = len(rows)
        if n < 2:
            return np.nan
        k = 0.34 / (1.34 + (n + 1) / (n - 1))
        return float(np.var(gap[rows], ddof=1) + k * np.var(move[rows], ddof=1) + (1 - k) * np.mean(rs[rows]))

    follows = valid & np.concatenate([[False], valid[:-1]])
    return np.sqrt(periods * on_windows(variance, follows, ts, **rolling))
