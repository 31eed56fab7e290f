"""The smallest and the largest value of a sliding window."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import DTYPE, MISSING, Window, helper, window_kernel

# A queue of the values that can still become the extreme, in the symbol's own slots: `front` is the extreme itself.
EXTREME: dict[str, Any] = {
    "reads": "x",
    "parameters": [Window(), DTYPE],
    "state": [("front", "i8"), ("queued", "i8"), ("n", "i8")],
    "slots": [("queue", "f8")],
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
def _back(s):  # type: ignore[no-untyped-def]
    back = s.front + s.queued - 1
    return back - s.capacity if back >= s.capacity else back


@helper
def _append(s, x, slots):  # type: ignore[no-untyped-def]
    s.n += 1
    s.queued += 1
    slots[_back(s)].queue = x


@helper
def _leave(s, x, slots):  # type: ignore[no-untyped-def]
    s.n -= 1
    if slots[s.front].queue == x:
        s.queued -= 1
        s.front = 0 if s.front + 1 == s.capacity else s.front + 1


@helper
def _enter_min(s, x, slots):  # type: ignore[no-untyped-def]
    while s.queued > 0 and slots[_back(s)].queue > x:
        s.queued -= 1
    _append(s, x, slots)


@helper
def _enter_max(s, x, slots):  # type: ignore[no-untyped-def]
    while s.queued > 0 and slots[_back(s)].queue < x:
        s.queued -= 1
    _append(s, x, slots)


@window_kernel(gives="rolling_min", enter=_enter_min, leave=_leave, **EXTREME)
def rolling_min(s: Any, x: float, min_periods: int, slots: Any) -> float:
    """Smallest of the values in the window.

    NaN and infinite values take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_min(np.array([3.0, 1.0, 2.0, 4.0]), window=2)
    array([nan,  1.,  1.,  2.])
    """
    return slots[s.front].queue if s.n > 0 and s.n >= min_periods else np.nan


@rolling_min.exact
def _(s: Any, x: int, min_periods: int, slots: Any) -> int:
    return slots[s.front].queue if s.n > 0 and s.n >= min_periods else MISSING


@rolling_min.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    return _extreme(min, x, ts, **rolling)


@window_kernel(gives="rolling_max", enter=_enter_max, leave=_leave, **EXTREME)
def rolling_max(s: Any, x: float, min_periods: int, slots: Any) -> float:
    """Largest of the values in the window.

    NaN and infinite values take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.rolling_max(np.array([3.0, 1.0, 2.0, 4.0]), window=2)
    array([nan,  3.,  2.,  4.])
    """
    return slots[s.front].queue if s.n > 0 and s.n >= min_periods else np.nan


@rolling_max.exact
def _(s: Any, x: int, min_periods: int, slots: Any) -> int:
    return slots[s.front].queue if s.n > 0 and s.n >= min_periods else MISSING


@rolling_max.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    return _extreme(max, x, ts, **rolling)


def _extreme(extreme: Any, x: Any, ts: Any, window: Any, min_periods: Any = None, dtype: str = "float64") -> Any:
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
