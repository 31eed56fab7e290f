"""Values less what all symbols of a time have in common, and cut back to the rest of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Number, cross_kernel, helper
from fintech_toolkit.scan.sorting import quantile, sort_valid, sorting_room


@helper
def mean_of(x, begin, end):  # type: ignore[no-untyped-def]
    """Return how many numbers there are among the rows of a time, their mean, and whether they differ."""
    n, total, least, greatest = 0, 0.0, np.inf, -np.inf
    for i in range(begin, end):
        if np.isfinite(x[i]):
            n += 1
            total += x[i]
            least, greatest = min(least, x[i]), max(greatest, x[i])
    if least == greatest:
        return n, least, False
    return n, total / n if n else np.nan, n > 0


@helper
def deviation(x, begin, end, ddof):  # type: ignore[no-untyped-def]
    """Return how many numbers there are, their mean and their standard deviation: exactly 0 where all are equal."""
    n, mean, differ = mean_of(x, begin, end)
    if n <= ddof:
        return n, mean, np.nan
    if not differ:
        return n, mean, 0.0
    squares = 0.0
    for i in range(begin, end):
        if np.isfinite(x[i]):
            squares += (x[i] - mean) ** 2
    return n, mean, np.sqrt(squares / (n - ddof))


@cross_kernel(reads="x", gives="cs_demean", source="definition")
def cs_demean(starts: Any, ends: Any, x: Any, out: Any) -> None:
    """Value less the mean over all symbols of the time.

    Symbols without a value (NaN or infinite) get NaN and do not count.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "C"], "ts": 1, "x": [4.0, 1.0, 1.0]})
    >>> ft.cross_section(ft.cs_demean("x"))(ticks)["cs_demean"].tolist()
    [2.0, -1.0, -1.0]
    """
    for g in range(starts.shape[0]):
        _, mean, _ = mean_of(x, starts[g], ends[g])
        for i in range(starts[g], ends[g]):
            out[i] = x[i] - mean if np.isfinite(x[i]) else np.nan


@cs_demean.oracle
def _(x: Any) -> Any:
    import pandas as pd

    values = pd.Series(np.where(np.isfinite(x), x, np.nan))
    return (values - values.mean()).to_numpy()


@cross_kernel(
    reads="x",
    gives="cs_zscore",
    parameters=[Count("ddof", "what is taken off the count in the variance", 1, at_least=0)],
    source="pandas, (x - x.mean()) / x.std(ddof)",
    cases=[{}, {"ddof": 0}],
)
def cs_zscore(starts: Any, ends: Any, x: Any, out: Any, ddof: int) -> None:
    """How many standard deviations a value is above the mean over all symbols of the time.

    Symbols without a value (NaN or infinite) get NaN and do not count. NaN too where all values are equal, or there are
    no more than `ddof`.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "C"], "ts": 1, "x": [4.0, 2.0, 3.0]})
    >>> ft.cross_section(ft.cs_zscore("x"))(ticks)["cs_zscore"].tolist()
    [1.0, -1.0, 0.0]
    """
    for g in range(starts.shape[0]):
        _, mean, sd = deviation(x, starts[g], ends[g], ddof)
        for i in range(starts[g], ends[g]):
            out[i] = (x[i] - mean) / sd if np.isfinite(x[i]) and sd > 0 else np.nan


@cs_zscore.oracle
def _(x: Any, ddof: int = 1) -> Any:
    import pandas as pd

    values = pd.Series(np.where(np.isfinite(x), x, np.nan))
    deviation = values.std(ddof=ddof) if values.nunique() > 1 else np.nan
    return ((values - values.mean()) / deviation).to_numpy()


@cross_kernel(
    reads="x",
    gives="cs_winsorize",
    parameters=[
        Number("limits", "share of the values at each end that counts as extreme", 0.05, at_least=0, below=0.5),
    ],
    source="pandas, x.clip(x.quantile(limits), x.quantile(1 - limits))",
    cases=[{}, {"limits": 0.3}, {"limits": 0}],
)
def cs_winsorize(starts: Any, ends: Any, x: Any, out: Any, limits: float) -> None:
    """Value, cut back to the ``limits`` and ``1 - limits`` quantiles of all symbols of the time, linear between values.

    Symbols without a value (NaN or infinite) get NaN and do not count.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "C", "D", "E"], "ts": 1, "x": [1.0, 2.0, 3.0, 4.0, 90.0]})
    >>> ft.cross_section(ft.cs_winsorize("x", limits=0.25))(ticks)["cs_winsorize"].tolist()
    [2.0, 2.0, 3.0, 4.0, 4.0]
    """
    room = sorting_room(starts, ends)
    places, values = room[0], room[1]
    for g in range(starts.shape[0]):
        out[starts[g] : ends[g]] = np.nan
        n = sort_valid(x, starts[g], ends[g], room)
        if n:
            low, high = quantile(values, n, limits), quantile(values, n, 1 - limits)
            for i in range(n):
                out[places[i]] = min(max(values[i], low), high)


@cs_winsorize.oracle
def _(x: Any, limits: float = 0.05) -> Any:
    import pandas as pd

    values = pd.Series(np.where(np.isfinite(x), x, np.nan))
    return values.clip(float(values.quantile(limits)), float(values.quantile(1 - limits))).to_numpy()
