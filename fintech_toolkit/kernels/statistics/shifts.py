"""What a column was some rows, or some time, ago."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.kernels.declare import window_kernel
from fintech_toolkit.kernels.parameters import Window
from fintech_toolkit.kernels.slots import helper

# The value k rows ago is the one that left a window of k rows last.
SHIFT: dict[str, Any] = {
    "parameters": [
        Window(
            keyword="k",
            default=1,
            min_periods=False,
            doc="how far to look back: rows, or a duration such as '5s'",
        )
    ],
    "state": [("left", "f8"), ("known", "?")],
    "skips_missing": False,
    "warmup": "k",
    "cases": [{}, {"k": 3}, {"k": 40}, {"k": "2s"}],
}


@helper
def _enter(s, x):  # type: ignore[no-untyped-def]
    pass


@helper
def _leave(s, x):  # type: ignore[no-untyped-def]
    s.left = x
    s.known = True


@window_kernel(reads="x", gives="lagged", enter=_enter, leave=_leave, source="pandas, Series.shift(k)", **SHIFT)
def lag(s: Any, x: float) -> float:
    """Return ``x_{t-k}``; for a duration, the last value at or before ``t - k``.

    A missing value is a value like any other: where it is looked back upon, the result is what it was (NaN, infinite).

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.lag(np.array([1.0, 2.0, 4.0, 8.0]), k=2)
    array([nan, nan,  1.,  2.])
    >>> ft.lag(np.array([1.0, 2.0, 4.0]), k="2ns", ts=np.array([0, 1, 3]))
    array([nan, nan,  2.])
    """
    return s.left if s.known else np.nan


@window_kernel(reads="x", gives="diff", enter=_enter, leave=_leave, source="pandas, Series.diff(k)", **SHIFT)
def diff(s: Any, x: float) -> float:
    """Difference, ``x_t - x_{t-k}``; for a duration, to the last value at or before ``t - k``.

    NaN where either value is missing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.diff(np.array([1.0, 2.0, 4.0, 8.0]))
    array([nan,  1.,  2.,  4.])
    """
    return x - s.left if s.known else np.nan


def _shifted(x: Any, ts: Any, k: Any) -> Any:
    import pandas as pd

    if not isinstance(k, str):
        return pd.Series(x).shift(k).to_numpy()
    known = np.searchsorted(ts, ts - pd.Timedelta(k).value, side="right")
    return np.where(known > 0, x[np.maximum(known - 1, 0)], np.nan)


@lag.oracle
def _(x: Any, ts: Any, k: Any = 1) -> Any:
    return _shifted(x, ts, k)


@diff.oracle
def _(x: Any, ts: Any, k: Any = 1) -> Any:
    with np.errstate(invalid="ignore"):
        return x - _shifted(x, ts, k)
