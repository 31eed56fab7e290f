"""Realised variation of returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Choice, Window, helper, window_kernel
from fintech_toolkit.kernels.volatility.term_sums import on_windows
from fintech_toolkit.scan.arithmetic import add, replace, value_of, watch_sum

OF = Choice(
    "of",
    "what `r` holds. 'returns': returns as they are; 'prices': prices, whose log returns are taken",
    "returns",
    options=("returns", "prices"),
)
RETURNS = OF["returns"]


def _prepare(s: Any, r: float, of: int) -> float:
    """Return the row's return."""
    if of == RETURNS:
        return r
    valid = np.isfinite(r) and r > 0.0
    result = np.log(r / s.price) if valid and s.known else np.nan
    s.price = r
    s.known = valid
    return result


@helper
def _enter(s, r):  # type: ignore[no-untyped-def]
    s.n += 1
    s.sum, s.lost = add(s.sum, s.lost, r * r)


@helper
def _leave(s, r):  # type: ignore[no-untyped-def]
    s.n -= 1
    before = s.sum
    s.sum, s.lost = add(s.sum, s.lost, -(r * r))
    s.least = watch_sum(s, s.least, before, s.sum)


@helper
def _slide(s, old, new):  # type: ignore[no-untyped-def]
    before = s.sum
    s.sum, s.lost = replace(s.sum, s.lost, old * old, new * new)
    s.least = watch_sum(s, s.least, before, s.sum)


@window_kernel(
    reads="r",
    gives="rv",
    prepare=_prepare,
    enters=["r"],
    enter=_enter,
    leave=_leave,
    slide=_slide,
    drifts=True,
    state=[
        ("price", "f8"),
        ("known", "?"),
        ("sum", "f8"),
        ("lost", "f8"),
        ("least", "f8"),
        ("n", "i8"),
    ],
    memory=["price", "known"],
    parameters=[Window(), OF],
    warmup="min_periods valid returns in the window; the first price has none",
    source="Andersen, Bollerslev, Diebold and Labys (2003), Econometrica 71",
    cases=[
        {"window": 20},
        {"window": 7, "min_periods": 2},
        {"window": "3s"},
        {"window": 20, "of": "prices", "min_periods": 5},
        {"window": "3s", "of": "prices"},
    ],
)
def realized_var(s: Any, r: float, min_periods: int) -> Any:
    """Realised variance, ``Σ r²`` over the returns in the window; not annualised, and exactly 0 where nothing moved.

    `r` is a column of returns (`log_returns`, `simple_returns`). Of a column of prices it is the sum of the squared
    prices, which is never meant: say ``of="prices"``, and the log returns ``ln(p_t / p_{t-1})`` are taken first.

    NaN and infinite returns take a place in the window but no part in the result. A price that is missing (NaN,
    infinite) or not positive has no return, and neither has the row that follows it, as in `log_returns`.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.realized_var(np.array([0.01, -0.02, 0.03]), window=2).round(6)
    array([   nan, 0.0005, 0.0013])
    >>> ft.realized_var(np.array([100.0, 101.0, 99.0, 102.0]), window=2, of="prices").round(6)
    array([     nan,      nan, 0.000499, 0.001291])
    """
    if s.n == 0 or s.n < min_periods:
        return np.nan
    # Once all that moved has left, too little is left of the sum: summed afresh, it is exactly 0.
    return max(value_of(s.sum, s.lost), 0.0)


@realized_var.oracle
def _(r: Any, ts: Any, of: str = "returns", **rolling: Any) -> Any:
    import pandas as pd

    if of == "prices":
        logs = np.log(np.where(np.isfinite(r) & (r > 0), r, np.nan))
        r = pd.Series(logs).diff().to_numpy()
    squares = pd.Series(np.where(np.isfinite(r), r, np.nan) ** 2, index=pd.to_datetime(ts))
    return squares.rolling(**rolling).sum().to_numpy()


# Both sums take each return, one of them as 0: which it is cannot be foreseen, and a wrong guess costs more.
@helper
def _enter_signed(s, r):  # type: ignore[no-untyped-def]
    s.n += 1
    s.minus, s.minus_lost = add(s.minus, s.minus_lost, min(r, 0.0) ** 2)
    s.plus, s.plus_lost = add(s.plus, s.plus_lost, max(r, 0.0) ** 2)


@helper
def _leave_signed(s, r):  # type: ignore[no-untyped-def]
    s.n -= 1
    minus, plus = s.minus, s.plus
    s.minus, s.minus_lost = add(s.minus, s.minus_lost, -(min(r, 0.0) ** 2))
    s.plus, s.plus_lost = add(s.plus, s.plus_lost, -(max(r, 0.0) ** 2))
    s.least_minus = watch_sum(s, s.least_minus, minus, s.minus)
    s.least_plus = watch_sum(s, s.least_plus, plus, s.plus)


@window_kernel(
    reads="r",
    gives=["rs_minus", "rs_plus"],
    enter=_enter_signed,
    leave=_leave_signed,
    drifts=True,
    state=[
        ("n", "i8"),
        ("minus", "f8"),
        ("minus_lost", "f8"),
        ("least_minus", "f8"),
        ("plus", "f8"),
        ("plus_lost", "f8"),
        ("least_plus", "f8"),
    ],
    parameters=[Window()],
    warmup="min_periods valid returns in the window",
    source="Barndorff-Nielsen, Kinnebrock and Shephard (2010), in: Volatility and Time Series Econometrics",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2}, {"window": "3s"}],
)
def realized_semivar(s: Any, r: float, min_periods: int) -> Any:
    """Realised semivariances, ``Σ r²`` over the falls and over the rises in the window: together `realized_var`.

    In the unit of squared returns, not annualised. NaN and infinite returns take a place in the window but no part in
    the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.realized_semivar(np.array([0.01, -0.02, 0.03]), window=2).rs_minus.round(6)
    array([   nan, 0.0004, 0.0004])
    """
    if s.n == 0 or s.n < min_periods:
        return np.nan, np.nan
    return max(value_of(s.minus, s.minus_lost), 0.0), max(value_of(s.plus, s.plus_lost), 0.0)


@realized_semivar.oracle
def _(r: Any, ts: Any, **rolling: Any) -> Any:
    falls, rises = np.minimum(r, 0) ** 2, np.maximum(r, 0) ** 2
    minus = on_windows(lambda rows: np.sum(falls[rows]), np.isfinite(r), ts, **rolling)
    return minus, on_windows(lambda rows: np.sum(rises[rows]), np.isfinite(r), ts, **rolling)
