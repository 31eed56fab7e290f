"""What a column has to do with itself some rows ago."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Window, helper, nth, window_kernel
from fintech_toolkit.errors import ParameterError
from fintech_toolkit.kernels.statistics.comoments import COMOMENTS
from fintech_toolkit.scan.arithmetic import correlation
from fintech_toolkit.scan.parameters import sweep_shape


class RowsBack(Count):
    """How many rows to look back within a window, which cannot be more than a window of rows holds."""

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        resolved = super().resolve(given)
        window = given["window"]
        if not Window.is_duration(window):
            sweep_shape({self.name: resolved[self.name], "window": np.asarray(window)})
            if np.any(np.greater(resolved[self.name], window)):
                raise ParameterError(f"{self.name}={given[self.name]!r} must be at most window={window!r}.")
        return resolved


@helper
def rows_back(s, rows):  # type: ignore[no-untyped-def]
    """Return the slot of the value so many rows ago, before the new one enters; `count` says whether there is one."""
    return nth(s, s.count - rows)


def _with_earlier(s: Any, x: float, lag: int, slots: Any) -> Any:
    return x, (slots[rows_back(s, lag)].v0 if s.count >= lag else np.nan)


@window_kernel(
    gives="autocorr",
    prepare=_with_earlier,
    enters=["x", "before"],
    source="pandas, Series.rolling(...).corr(Series.shift(lag))",
    **COMOMENTS
    | {
        "reads": "x",
        "parameters": [
            Window(),
            RowsBack("lag", "rows between the two values; at most `window` if that is in rows", 1),
        ],
        "warmup": "min_periods pairs in the window, and two at least",
        "cases": [{"window": 20}, {"window": 7, "min_periods": 2, "lag": 3}, {"window": "3s", "lag": 2}],
    },
)
def autocorr(s: Any, x: float, min_periods: int) -> Any:
    """Autocorrelation: Pearson's correlation of ``x_t`` with ``x_{t-lag}``, over the pairs whose later row is in the
    window.

    Each side has its own mean, as in pandas; textbooks take one mean and variance for both. A value that is missing
    (NaN or infinite) leaves out the pairs that it is in. In a window of time a pair counts whose rows are less
    than the window apart. NaN where either side does not vary.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.autocorr(np.array([1.0, 2.0, 4.0, 3.0, 5.0]), window=3).round(4)
    array([    nan,     nan,     nan,  0.3273, -0.5   ])
    """
    if s.same_x >= s.n or s.same_y >= s.n or s.n < min_periods:
        return np.nan
    return correlation(s.xx, s.yy, s.xy)


@autocorr.oracle
def _(x: Any, ts: Any, window: Any, lag: int = 1, min_periods: int | None = None) -> Any:
    import pandas as pd

    by_time = isinstance(window, str)
    longest = pd.Timedelta(window).value if by_time else np.inf
    values = np.where(np.isfinite(x), x, np.nan)
    least = max(2, (1 if by_time else window) if min_periods is None else min_periods)
    result = np.full(len(x), np.nan)
    for i in range(len(x)):
        start = np.searchsorted(ts, ts[i] - pd.Timedelta(window).value, "right") if by_time else max(0, i + 1 - window)
        later = np.arange(max(start, lag), i + 1)
        later = later[ts[later] - ts[later - lag] < longest]
        a, b = values[later], values[later - lag]
        both = ~np.isnan(a) & ~np.isnan(b)
        a, b = a[both], b[both]
        if len(a) >= least and np.ptp(a) > 0 and np.ptp(b) > 0:
            result[i] = np.corrcoef(a, b)[0, 1]
    return result
