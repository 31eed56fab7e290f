"""Realised variation of returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.kernels.declare import window_kernel
from fintech_toolkit.kernels.parameters import Window
from fintech_toolkit.kernels.slots import helper, watch_digits


@helper
def _enter(s, x):  # type: ignore[no-untyped-def]
    s.n += 1
    s.moves += x != 0.0
    s.sum += x * x


@helper
def _leave(s, x):  # type: ignore[no-untyped-def]
    s.n -= 1
    s.moves -= x != 0.0
    before = s.sum
    s.sum -= x * x
    watch_digits(s, before, s.sum)


@window_kernel(
    reads="x",
    gives="rv",
    enter=_enter,
    leave=_leave,
    drifts=True,
    state=[("sum", "f8"), ("n", "i8"), ("moves", "i8")],
    parameters=[Window()],
    warmup="min_periods valid rows in the window",
    source="Andersen, Bollerslev, Diebold and Labys (2003), Econometrica 71",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def realized_var(s: Any, x: float, min_periods: int) -> float:
    """Realised variance, ``Σ r²`` over the returns in the window; not annualised, and exactly 0 where nothing moved.

    NaN and infinite returns take a place in the window but no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.realized_var(np.array([0.01, -0.02, 0.03]), window=2).round(6)
    array([   nan, 0.0005, 0.0013])
    """
    if s.n == 0 or s.n < min_periods:
        return np.nan
    return max(s.sum, 0.0) if s.moves > 0 else 0.0


@realized_var.oracle
def _(x: Any, ts: Any, **rolling: Any) -> Any:
    import pandas as pd

    squares = pd.Series(np.where(np.isfinite(x), x, np.nan) ** 2, index=pd.to_datetime(ts))
    return squares.rolling(**rolling).sum().to_numpy()
