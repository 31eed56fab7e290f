"""The smallest and the largest value of a sliding window."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import DTYPE, MISSING, Window, helper, nth, window_kernel
from fintech_toolkit.scan.intrinsics import fetch_soon

ONE = np.uint64(1)

# Two stacks: `best` is the extreme of a slot and of all younger ones up to where the stack was last turned, `back` that
# of the `recent` values since. When the last of the older ones leaves, the window becomes the older ones, and each row
# has paid for two comparisons that a processor foresees; a queue of candidates takes as many, and it foresees none.
EXTREME: dict[str, Any] = {
    "reads": "x",
    "parameters": [Window(), DTYPE],
    "state": [("back", "f8"), ("recent", "i8"), ("behind", "i8"), ("turned", "b1"), ("n", "i8")],
    "slots": [("best", "f8")],
    "warmup": "min_periods valid rows in the window",
    "source": "pandas, Series.rolling(...)",
    "cases": [
        {"window": 20},
        {"window": 7, "min_periods": 2},
        {"window": "3s"},
        {"window": 7, "min_periods": 2, "dtype": "int64"},
        {"window": "3s", "dtype": "int64"},
    ],
}


@helper
def _beats(x, y, largest):  # type: ignore[no-untyped-def]
    return x > y if largest else x < y


@helper
def _enter(s, x, largest):  # type: ignore[no-untyped-def]
    if s.recent == 0 or _beats(x, s.back, largest):
        s.back = x
    s.recent += 1
    s.n += 1


@helper
def enter_min(s, x):  # type: ignore[no-untyped-def]
    _enter(s, x, False)


@helper
def enter_max(s, x):  # type: ignore[no-untyped-def]
    _enter(s, x, True)


@helper
def leave_extreme(s, x):  # type: ignore[no-untyped-def]
    s.n -= 1


@helper
def _turn(s, slots, largest, whole):  # type: ignore[no-untyped-def]
    """Let all values of the window be older ones."""
    valid = 0
    best = slots[s.head].v0
    for j in range(s.count - 1, -1, -1):
        k = nth(s, j)
        x = slots[k].v0
        if x != MISSING if whole else np.isfinite(x):
            # Of equal values, such as 0.0 and -0.0, the oldest counts.
            if valid == 0 or not _beats(best, x, largest):
                best = x
            valid += 1
        slots[k].best = best
    s.turned, s.recent, s.behind = True, 0, 0


@helper
def extreme_of(s, slots, largest, whole):  # type: ignore[no-untyped-def]
    """Return the extreme of a window that has valid values."""
    s.behind += 1
    # All that a ring keeps is taken in anew where it moves, as if it were recent.
    if not s.turned or s.behind >= s.count:
        _turn(s, slots, largest, whole)
    if s.recent == s.n:
        return s.back
    front = slots[s.head].best
    return s.back if s.recent > 0 and _beats(s.back, front, largest) else front


@helper
def _better(x, y, largest):  # type: ignore[no-untyped-def]
    return x if _beats(x, y, largest) else y


@helper
def _whole(x, result, window, min_periods, largest):  # type: ignore[no-untyped-def]
    """Give the extremes of a whole series, by van Herk (1992) and Gil and Werman (1993): a window is the end of a block
    that is as long, and the beginning of the next one, so that two running extremes of each block are all it takes.
    """
    rows, none = np.uint64(x.shape[0]), -np.inf if largest else np.inf
    size = np.uint64(max(1, min(window, x.shape[0])))
    # The running extremes from the end of the last block and of this one, and behind either one that beats nothing.
    values, back = np.empty(size), np.full(2 * (size + ONE), none)
    older, newer = np.uint64(0), size + ONE
    missing = np.uint64(0)
    for start in range(np.uint64(0), rows, size):
        length = min(size, rows - start)
        for j in range(length):
            valid = np.isfinite(x[start + j])
            values[j] = x[start + j] if valid else none
            missing += np.uint64(0) if valid else ONE
        forth_best = back_best = none
        for j in range(length):
            k = length - ONE - j
            fetch_soon(x, start + size + j)
            # Of equal values, such as 0.0 and -0.0, the oldest counts.
            forth_best = _better(values[j], forth_best, largest)
            back_best = _better(back_best, values[k], largest)
            back[newer + k] = back_best
            result[start + j] = _better(forth_best, back[older + j + ONE], largest)
        older, newer = newer, older
    valid = 0
    for i in range(x.shape[0] if missing > 0 else min(x.shape[0], min_periods)):
        valid += np.isfinite(x[i])
        if i >= window:
            valid -= np.isfinite(x[i - window])
        if valid == 0 or valid < min_periods:
            result[i] = np.nan
    return True


@helper
def _whole_min(x, result, window, min_periods):  # type: ignore[no-untyped-def]
    return _whole(x, result, window, min_periods, False)


@helper
def _whole_max(x, result, window, min_periods):  # type: ignore[no-untyped-def]
    return _whole(x, result, window, min_periods, True)


@window_kernel(gives="rolling_min", enter=enter_min, leave=leave_extreme, series=_whole_min, **EXTREME)
def rolling_min(s: Any, x: float, min_periods: int, slots: Any) -> float:
    """Smallest of the values in the window.

    NaN and infinite values take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_min(np.array([3.0, 1.0, 2.0, 4.0]), window=2)
    array([nan,  1.,  1.,  2.])
    """
    result = extreme_of(s, slots, False, False)
    return result if s.n > 0 and s.n >= min_periods else np.nan


@rolling_min.exact
def _(s: Any, x: int, min_periods: int, slots: Any) -> int:
    result: int = extreme_of(s, slots, False, True)
    return result if s.n > 0 and s.n >= min_periods else MISSING


@rolling_min.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    return _slow_extreme(min, x, ts, **rolling)


@window_kernel(gives="rolling_max", enter=enter_max, leave=leave_extreme, series=_whole_max, **EXTREME)
def rolling_max(s: Any, x: float, min_periods: int, slots: Any) -> float:
    """Largest of the values in the window.

    NaN and infinite values take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_max(np.array([3.0, 1.0, 2.0, 4.0]), window=2)
    array([nan,  3.,  2.,  4.])
    """
    result = extreme_of(s, slots, True, False)
    return result if s.n > 0 and s.n >= min_periods else np.nan


@rolling_max.exact
def _(s: Any, x: int, min_periods: int, slots: Any) -> int:
    result: int = extreme_of(s, slots, True, True)
    return result if s.n > 0 and s.n >= min_periods else MISSING


@rolling_max.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    return _slow_extreme(max, x, ts, **rolling)


def _slow_extreme(extreme: Any, x: Any, ts: Any, window: Any, min_periods: Any = None, dtype: str = "float64") -> Any:
    """Return the extreme of each window's valid values, one window after the other."""
    import pandas as pd

    none = np.nan if dtype == "float64" else MISSING
    span = pd.Timedelta(window).value if isinstance(window, str) else None
    least = min_periods if min_periods is not None else 1 if span else window
    result = []
    for j in range(len(x)):
        first = np.searchsorted(ts, ts[j] - span, side="right") if span else max(0, j + 1 - window)
        valid = [v for v in x[first : j + 1].tolist() if v != MISSING and np.isfinite(float(v))]
        result.append(extreme(valid) if valid and len(valid) >= least else none)
    return np.array(result, dtype)
