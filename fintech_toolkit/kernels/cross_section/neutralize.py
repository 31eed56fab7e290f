"""What is left of a value when groups and exposures have had their share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Columns, cross_kernel, helper

LEAST = 1e-10
"""What share of an exposure may be left, after those before it, for it to count: less is rounding."""


@helper
def centre(values, groups, n, total, count):  # type: ignore[no-untyped-def]
    """Take each group's mean off its values; `total` and `count` are zeros, one for each group, and stay so."""
    for i in range(n):
        total[groups[i]] += values[i]
        count[groups[i]] += 1
    for i in range(n):
        if count[groups[i]]:
            total[groups[i]] /= count[groups[i]]
            count[groups[i]] = 0
    for i in range(n):
        values[i] -= total[groups[i]]
    for i in range(n):
        total[groups[i]] = 0.0


@helper
def project_out(values, basis, n):  # type: ignore[no-untyped-def]
    """Take off what lies along a vector of length 1."""
    share = 0.0
    for i in range(n):
        share += values[i] * basis[i]
    for i in range(n):
        values[i] -= share * basis[i]


@helper
def length(values, n):  # type: ignore[no-untyped-def]
    """Return the length of a vector."""
    squares = 0.0
    for i in range(n):
        squares += values[i] * values[i]
    return np.sqrt(squares)


@cross_kernel(
    reads="x",
    gives="residual",
    parameters=[
        Columns("exposures", "columns of numbers on which values are regressed", many=True),
        Columns("group", "a column of names, such as sectors, each of which has a mean of its own", groups=True),
    ],
    cases=[{}, {"group": "sector"}, {"exposures": "beta"}, {"exposures": ["beta", "size"], "group": "sector"}],
    source="least squares; by groups, pandas, x - x.groupby(group).transform('mean')",
)
def cs_neutralize(starts: Any, ends: Any, x: Any, exposures: Any, group: Any, out: Any) -> None:
    """Residual of a value, regressed over all symbols of the time on exposures and a constant, or one for each group.

    With a group alone it is the value less its group's mean; with neither, less the mean of all. An exposure that the
    others leave nothing of takes no part. Symbols without a value, an exposure (NaN or infinite) or a group get NaN and
    do not count. Where there are no more symbols than exposures and groups, the residuals are zeros but for rounding.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": list("ABCD"), "ts": 1, "sector": list("xxyy"), "x": [1.0, 3.0, 7.0, 7.0]})
    >>> ticks["beta"] = [0.0, 1.0, 2.0, 3.0]
    >>> ft.cross_section(ft.cs_neutralize("x", group="sector"))(ticks)["residual"].tolist()
    [-1.0, 1.0, 0.0, 0.0]
    >>> ft.cross_section(ft.cs_neutralize("x", exposures="beta"))(ticks)["residual"].round(6).tolist()
    [-0.2, -0.4, 1.4, -0.8]
    """
    most, known, groups = 0, exposures.shape[0], 1
    for g in range(starts.shape[0]):
        most = max(most, ends[g] - starts[g])
        for i in range(starts[g], ends[g] if group.shape[0] else starts[g]):
            groups = max(groups, group[i] + 1)
    total, count = np.zeros(groups), np.zeros(groups, np.int64)
    places, of, left = np.empty(most, np.int64), np.zeros(most, np.int64), np.empty(most)
    basis = np.empty((known, most))
    for g in range(starts.shape[0]):
        n = 0
        for i in range(starts[g], ends[g]):
            out[i] = np.nan
            good = np.isfinite(x[i]) and (group.shape[0] == 0 or group[i] >= 0)
            for k in range(known):
                good = good and np.isfinite(exposures[k, i])
            if good:
                places[n] = i
                of[n] = group[i] if group.shape[0] else 0
                left[n] = x[i]
                n += 1
        centre(left, of, n, total, count)
        used = 0
        for k in range(known):
            vector = basis[used]
            for i in range(n):
                vector[i] = exposures[k, places[i]]
            whole = length(vector, n)
            centre(vector, of, n, total, count)
            for _ in range(2):  # once leaves rounding where exposures are alike
                for j in range(used):
                    project_out(vector, basis[j], n)
            size = length(vector, n)
            if size > LEAST * whole:
                for i in range(n):
                    vector[i] /= size
                used += 1
        for _ in range(2):
            for j in range(used):
                project_out(left, basis[j], n)
        for i in range(n):
            out[places[i]] = left[i]


@cs_neutralize.oracle
def _(x: Any, exposures: Any, group: Any) -> Any:
    import pandas as pd

    good = np.isfinite(x) & np.isfinite(exposures).all(axis=0)
    good &= pd.notna(group) if len(group) else True
    of = pd.get_dummies(pd.Series(group[good])).to_numpy(float) if len(group) else np.ones((good.sum(), 1))
    design = np.hstack([of, exposures.T[good]])
    result = np.full(len(x), np.nan)
    result[good] = x[good] - design @ np.linalg.lstsq(design, x[good])[0]
    return result
