"""What a whole market comes to at a time: one row for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Columns, Count, cross_kernel
from fintech_toolkit.kernels.cross_section.moments import deviation


@cross_kernel(
    reads="x",
    gives="index_level",
    parameters=[Columns("weight", "a column of weights, such as market values; without one all count alike")],
    per_stamp=True,
    cases=[{}, {"weight": "size"}],
    source="definition: sum(weight x) / sum(weight)",
)
def index_level(starts: Any, ends: Any, x: Any, weight: Any, out: Any) -> None:
    """Weighted mean over all symbols of a time.

    Symbols without a value or a weight (NaN or infinite) do not count. NaN where none is left, or weights add up to 0.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B"], "ts": 1, "price": [10.0, 20.0], "shares": [3.0, 1.0]})
    >>> ft.cross_section(ft.index_level("price", weight="shares"))(ticks)["index_level"].tolist()
    [12.5]
    """
    for g in range(starts.shape[0]):
        total, weights = 0.0, 0.0
        for i in range(starts[g], ends[g]):
            w = weight[i] if weight.shape[0] else 1.0
            if np.isfinite(x[i]) and np.isfinite(w):
                total += w * x[i]
                weights += w
        out[g] = total / weights if weights != 0 else np.nan


@index_level.oracle
def _(x: Any, weight: Any) -> Any:
    weight = weight if len(weight) else np.ones(len(x))
    good = np.isfinite(x) & np.isfinite(weight)
    return np.average(x[good], weights=weight[good]) if weight[good].sum() else np.nan


@cross_kernel(reads="x", gives="breadth", per_stamp=True, source="definition")
def breadth(starts: Any, ends: Any, x: Any, out: Any) -> None:
    """Share of all symbols of a time whose value, such as a return, is above 0.

    Symbols without a value (NaN or infinite) do not count. NaN where none is left.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "C", "D"], "ts": 1, "x": [0.1, -0.2, 0.0, 0.3]})
    >>> ft.cross_section(ft.breadth("x"))(ticks)["breadth"].tolist()
    [0.5]
    """
    for g in range(starts.shape[0]):
        n, up = 0, 0
        for i in range(starts[g], ends[g]):
            if np.isfinite(x[i]):
                n += 1
                up += x[i] > 0
        out[g] = up / n if n else np.nan


@breadth.oracle
def _(x: Any) -> Any:
    known = x[np.isfinite(x)]
    return (known > 0).mean() if len(known) else np.nan


@cross_kernel(
    reads="x",
    gives="dispersion",
    parameters=[Count("ddof", "what is taken off the count in the variance", 1, at_least=0)],
    per_stamp=True,
    source="pandas, Series.std",
    cases=[{}, {"ddof": 0}],
)
def dispersion(starts: Any, ends: Any, x: Any, out: Any, ddof: int) -> None:
    """Standard deviation over all symbols of a time.

    Symbols without a value (NaN or infinite) do not count. 0 where all values are equal, NaN where there are no more
    than `ddof`.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "C"], "ts": 1, "x": [4.0, 2.0, 3.0]})
    >>> ft.cross_section(ft.dispersion("x"))(ticks)["dispersion"].tolist()
    [1.0]
    """
    for g in range(starts.shape[0]):
        out[g] = deviation(x, starts[g], ends[g], ddof)[2]


@dispersion.oracle
def _(x: Any, ddof: int = 1) -> Any:
    import pandas as pd

    return pd.Series(x[np.isfinite(x)]).std(ddof=ddof)


@cross_kernel(
    reads="x",
    gives="average_correlation",
    parameters=[Count("window", "how many times, this one and those before it that have rows", at_least=2)],
    per_stamp=True,
    warmup="`window` times",
    source="mean of numpy.corrcoef off its diagonal",
    cases=[{"window": 5}, {"window": 2}],
)
def average_correlation(starts: Any, ends: Any, symbols: Any, x: Any, out: Any, window: int) -> None:
    """Mean of Pearson's correlation over all pairs of symbols, in a window of times.

    Those symbols count that have a value (neither NaN nor infinite) at every time of the window, and not always the
    same; NaN where there are fewer than two. A time at which a symbol has no row keeps it out for a window, so that
    bars (``every="1min"``) are what to look at. The variance of the sum of N z-scores is N plus twice the sum of all
    correlations: a time costs ``O(N window)``, and depends on nothing but its window.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> x = [1.0, 2.0, 2.0, 4.0, 3.0, 5.0]
    >>> ticks = pd.DataFrame({"symbol": ["A", "B"] * 3, "ts": [1, 1, 2, 2, 3, 3], "x": x})
    >>> ft.cross_section(ft.average_correlation("x", window=3))(ticks)["average_correlation"].round(6).tolist()
    [nan, nan, 0.981981]
    """
    universe = 0
    for g in range(starts.shape[0]):
        for i in range(starts[g], ends[g]):
            universe = max(universe, symbols[i] + 1)
    # The last times, one after the other; when there is no more room, they move to the front.
    room = 2 * window
    panel = np.empty((room, universe))
    mean, squares, total = np.empty(universe), np.empty(universe), np.empty(window)
    good = np.empty(universe, np.bool_)
    end = 0
    for g in range(starts.shape[0]):
        if end == room:
            for t in range(window - 1):
                for k in range(universe):
                    panel[t, k] = panel[room - window + 1 + t, k]
            end = window - 1
        for k in range(universe):
            panel[end, k] = np.nan
        for i in range(starts[g], ends[g]):
            panel[end, symbols[i]] = x[i]
        end += 1
        out[g] = np.nan
        if end < window:
            continue
        first = end - window
        for k in range(universe):
            mean[k], squares[k], good[k] = 0.0, 0.0, False
        for t in range(first, end):
            for k in range(universe):
                mean[k] += panel[t, k]
        for k in range(universe):
            mean[k] /= window
        for t in range(first, end):
            for k in range(universe):
                good[k] |= panel[t, k] != panel[first, k]
                squares[k] += (panel[t, k] - mean[k]) ** 2
        n = 0
        for k in range(universe):
            good[k] = good[k] and 0 < squares[k] < np.inf
            n += good[k]
            squares[k] = np.sqrt(squares[k] / window)
        if n < 2:
            continue
        variance = 0.0
        for t in range(first, end):
            total[t - first] = 0.0
            for k in range(universe):
                if good[k]:
                    total[t - first] += (panel[t, k] - mean[k]) / squares[k]
            variance += total[t - first] ** 2
        out[g] = min(max((variance / window - n) / (n * (n - 1.0)), -1.0), 1.0)


@average_correlation.oracle
def _(panel: Any, window: int) -> Any:
    if len(panel) < window:
        return np.nan
    known = panel[:, np.isfinite(panel).all(axis=0) & (np.ptp(panel, axis=0) > 0)]
    n = known.shape[1]
    return (np.corrcoef(known, rowvar=False).sum() - n) / (n * (n - 1)) if n > 1 else np.nan
