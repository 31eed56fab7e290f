"""Where a symbol stands among all symbols of a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Choice, Count, Flag, cross_kernel
from fintech_toolkit.scan.sorting import sort_valid, sorting_room

METHOD = Choice(
    "method",
    "which rank equal values get: their average, the least or the greatest of them, or, dense, the next one, so that "
    "no rank is left out",
    "average",
    options=("average", "min", "max", "dense"),
)
AVERAGE, LEAST, GREATEST = METHOD["average"], METHOD["min"], METHOD["max"]


@cross_kernel(
    reads="x",
    gives="cs_rank",
    parameters=[
        METHOD,
        Flag("ascending", "whether the least value has rank 1", True),
        Flag("pct", "whether ranks are shares of how many there are (dense: of the greatest rank)", False),
    ],
    source="pandas, Series.rank",
    cases=[{}, {"method": "min"}, {"method": "max", "ascending": False}, {"method": "dense", "pct": True}],
)
def cs_rank(starts: Any, ends: Any, x: Any, out: Any, method: int, ascending: bool, pct: bool) -> None:
    """Rank among all symbols of the time: 1 for the least value, as many as there are for the greatest.

    Symbols without a value (NaN or infinite) get NaN and do not count.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "C", "D"], "ts": 1, "x": [3.0, 1.0, 3.0, None]})
    >>> ft.cross_section(ft.cs_rank("x"))(ticks)["cs_rank"].tolist()
    [2.5, 1.0, 2.5, nan]
    """
    room = sorting_room(starts, ends)
    places, values = room[0], room[1]
    for g in range(starts.shape[0]):
        out[starts[g] : ends[g]] = np.nan
        n = sort_valid(x, starts[g], ends[g], room)
        distinct = 0
        for i in range(n):
            distinct += i == 0 or values[i] != values[i - 1]
        first, below = 0, 0
        while first < n:
            after = first + 1
            while after < n and values[after] == values[first]:
                after += 1
            if method == AVERAGE:
                rank = (first + 1 + after) / 2 if ascending else n + 1 - (first + 1 + after) / 2
            elif method == LEAST:
                rank = first + 1.0 if ascending else n + 1.0 - after
            elif method == GREATEST:
                rank = after * 1.0 if ascending else n * 1.0 - first
            else:
                rank = below + 1.0 if ascending else distinct * 1.0 - below
            if pct:
                rank /= n if method <= GREATEST else distinct
            for i in range(first, after):
                out[places[i]] = rank
            first, below = after, below + 1


@cs_rank.oracle
def _(x: Any, **options: Any) -> Any:
    import pandas as pd

    return pd.Series(np.where(np.isfinite(x), x, np.nan)).rank(**options).to_numpy()


@cross_kernel(
    reads="x",
    gives="cs_quantile",
    parameters=[Count("q", "how many groups: 5 for quintiles, 10 for deciles", 5, at_least=2)],
    source="pandas, qcut; groups are numbered from 1",
    cases=[{}, {"q": 2}, {"q": 10}],
)
def cs_quantile(starts: Any, ends: Any, x: Any, out: Any, q: int) -> None:
    """In which of `q` groups, of as many symbols each, a symbol is: 1 has the least values, `q` the greatest.

    Group k holds the values above the ``(k - 1) / q`` quantile of the time's values and up to the ``k / q`` quantile,
    linear between values; the least value is in group 1. Equal values are in one group, so that groups may be empty.
    Symbols without a value (NaN or infinite) get NaN and do not count.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "B", "C", "D"], "ts": 1, "x": [4.0, 1.0, 3.0, 2.0]})
    >>> ft.cross_section(ft.cs_quantile("x", q=2))(ticks)["cs_quantile"].tolist()
    [2.0, 1.0, 2.0, 1.0]
    """
    room = sorting_room(starts, ends)
    places, values = room[0], room[1]
    for g in range(starts.shape[0]):
        out[starts[g] : ends[g]] = np.nan
        n = sort_valid(x, starts[g], ends[g], room)
        first = 0
        for i in range(n):
            if i and values[i] != values[i - 1]:
                first = i
            # The k / q quantile stands at k (n - 1) / q among the ordered values: whole numbers say which are above.
            out[places[i]] = max(-(-first * q // (n - 1)), 1) if n > 1 else 1.0


@cs_quantile.oracle
def _(x: Any, q: int = 5) -> Any:
    from fractions import Fraction

    known = sorted(map(Fraction, x[np.isfinite(x)]))
    edges = []
    for k in range(1, q) if known else []:
        place, rest = divmod(Fraction(k * (len(known) - 1), q), 1)
        above = known[min(int(place) + 1, len(known) - 1)]
        edges.append(known[int(place)] + rest * (above - known[int(place)]))
    return np.array([1 + sum(Fraction(v) > edge for edge in edges) if np.isfinite(v) else np.nan for v in x])
