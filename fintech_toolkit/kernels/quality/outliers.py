"""Values that do not fit in with the others of their window."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, Window, helper, window_kernel
from fintech_toolkit.kernels.statistics.sorted_values import (
    SORTED,
    enter_sorted,
    leave_sorted,
    median_deviation,
    middle_of,
    slide_sorted,
    value_at,
)

NORMAL = 1.482602218505602
"""The standard deviation of a normal distribution over its median absolute deviation."""

DEVIATION: dict[str, Any] = SORTED | {
    "reads": "x",
    "enter": enter_sorted,
    "leave": leave_sorted,
    "slide": slide_sorted,
    "parameters": [Window(), Number("k", "deviations from the median at which a value is an outlier", 3.0, at_least=0)],
    "warmup": "min_periods valid rows in the window",
    "cases": [{"window": 20}, {"window": 7, "min_periods": 3, "k": 1}, {"window": "3s", "k": 1.5}],
}


@helper
def _is_outlier(s, x, centre, k, slots):  # type: ignore[no-untyped-def]
    # Half of the values begin with one that is not above the first quarter, or end with one above the third: no median
    # deviation is less than theirs. For most values that tells; products are as monotonic as what they stand for.
    half = s.n >> 1
    quarter = half >> 1
    least = min(centre - value_at(s, slots, quarter), value_at(s, slots, quarter + half) - centre)
    if abs(x - centre) <= k * NORMAL * least:
        return False
    return abs(x - centre) > k * NORMAL * median_deviation(s, slots, centre)


@window_kernel(
    gives="outlier:?", source="Leys et al. (2013), Journal of Experimental Social Psychology 49", **DEVIATION
)
def outlier_mad(s: Any, x: float, min_periods: int, k: float, slots: Any) -> bool:
    """Whether a value is an outlier of the window that ends with it: ``|x - median| > k 1.4826 MAD``.

    MAD is the median of the absolute deviations from the median; times 1.4826 it is the standard deviation where values
    are normal. It is 0 where more than half of the values are equal, and any other value is an outlier then. A missing
    value (NaN or infinite) is none, and takes a place in the window but no part in the result. Before the warm-up
    nothing is an outlier.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.outlier_mad(np.array([1.0, 2.0, 3.0, 2.0, 9.0]), window=5, min_periods=3)
    array([False, False, False, False,  True])
    """
    if not np.isfinite(x) or s.n < min_periods:
        return False
    centre = middle_of(s, slots)
    return bool(_is_outlier(s, x, centre, k, slots))


@outlier_mad.oracle
def _(x: Any, ts: Any, window: Any, min_periods: int | None = None, k: float = 3.0) -> Any:
    return _judged(x, ts, window, min_periods, k)[0]


@window_kernel(gives="hampel", source="Hampel (1974), JASA 69; Pearson (2002), IEEE TCST 10", **DEVIATION)
def hampel(s: Any, x: float, min_periods: int, k: float, slots: Any) -> float:
    """Hampel filter: a value, or the median of its window where it is an outlier (see `outlier_mad`).

    The window ends with the value: nothing later is needed, unlike in the filter that is centred. What is filtered out
    stays in the windows of later values. A missing value (NaN or infinite) is NaN, and takes a place in the window but
    no part in the result. NaN before the warm-up.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.hampel(np.array([1.0, 2.0, 3.0, 2.0, 9.0]), window=5, min_periods=3)
    array([nan, nan,  3.,  2.,  2.])
    """
    if not np.isfinite(x) or s.n < min_periods or s.n == 0:
        return np.nan
    centre = middle_of(s, slots)
    return centre if _is_outlier(s, x, centre, k, slots) else x


@hampel.oracle
def _(x: Any, ts: Any, window: Any, min_periods: int | None = None, k: float = 3.0) -> Any:
    return _judged(x, ts, window, min_periods, k)[1]


def _judged(x: Any, ts: Any, window: Any, min_periods: int | None, k: float) -> tuple[Any, Any]:
    import pandas as pd
    from scipy.stats import median_abs_deviation

    least = min_periods if min_periods is not None else 1 if isinstance(window, str) else window
    outlier, filtered = np.zeros(len(x), bool), np.full(len(x), np.nan)
    for i in range(len(x)):
        start = max(0, i + 1 - window) if isinstance(window, int) else None
        if start is None:
            start = np.searchsorted(ts, ts[i] - pd.Timedelta(window).value, side="right")
        inside = x[start : i + 1][np.isfinite(x[start : i + 1])]
        if np.isfinite(x[i]) and len(inside) >= least:
            centre = np.median(inside)
            outlier[i] = abs(x[i] - centre) > k * median_abs_deviation(inside, scale="normal")
            filtered[i] = centre if outlier[i] else x[i]
    return outlier, filtered
