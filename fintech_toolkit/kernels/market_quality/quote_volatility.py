"""How much quotes move."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, window_kernel
from fintech_toolkit.kernels.statistics.block_sums import MOMENTS, variance_of


def _prepare(s: Any, mid: float) -> float:
    """Return the change of the mid since the row before."""
    change = mid - s.mid if s.known else np.nan
    s.mid = mid
    s.known = True
    return change


@window_kernel(
    gives="quote_volatility",
    prepare=_prepare,
    enters=["change"],
    parameters=[Window()],
    **MOMENTS
    | {
        "reads": "mid",
        "state": [("mid", "f8"), ("known", "?"), *MOMENTS["state"]],
        "memory": ["mid", "known", *MOMENTS["memory"]],
        "warmup": "min_periods changes of the mid in the window, and two at least",
        "cases": [{"window": 20}, {"window": "3s"}],
        "source": "definition; Hasbrouck (2018), Journal of Financial and Quantitative Analysis 53",
    },
)
def quote_volatility(s: Any, mid: float, min_periods: int, slots: Any) -> float:
    """Standard deviation of the mid's changes from row to row in the window, in the unit of the prices, ``ddof`` 1.

    A missing mid (NaN or infinite) has no change, and neither has the row that follows it; they take a place in the
    window but no part in the result. Exactly 0 where all changes are equal.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.quote_volatility(np.array([100.0, 101.0, 103.0, 103.0]), window=2).round(6)
    array([     nan,      nan, 0.707107, 1.414214])
    """
    variance = variance_of(s, slots, 1)
    return np.sqrt(variance) if s.n >= min_periods else np.nan


@quote_volatility.oracle
def _(mid: Any, ts: Any, **rolling: Any) -> Any:
    import pandas as pd

    changes = pd.Series(np.where(np.isfinite(mid), mid, np.nan), index=pd.to_datetime(ts)).diff()
    return changes.rolling(**rolling).apply(lambda values: np.nanstd(values, ddof=1), raw=True).to_numpy()
