"""Positions over all symbols of a time: as much long as short."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, cross_kernel, helper
from fintech_toolkit.kernels.cross_section.moments import mean_of


@helper
def fill_side(size, begin, end, sign, total, cap, out):  # type: ignore[no-untyped-def]
    """Share out a total over the rows of one sign in proportion to their size, none more than the cap."""
    capped = -1
    scale = 0.0
    while True:
        free, full = 0.0, 0
        for i in range(begin, end):
            if sign * size[i] > 0:
                if capped >= 0 and abs(size[i]) * scale > cap:
                    full += 1
                else:
                    free += abs(size[i])
        if full == capped or free == 0.0:
            break
        capped = full
        scale = max(total - full * cap, 0.0) / free
    for i in range(begin, end):
        if sign * size[i] > 0:
            out[i] = sign * min(abs(size[i]) * scale, cap)


@cross_kernel(
    reads="x",
    gives="weight",
    parameters=[
        Number("gross", "what the sizes of all weights add up to", 1.0, above=0),
        Number(
            "cap", "the largest share of `gross` that one weight may have; 0.5 caps none", 0.5, above=0, at_most=0.5
        ),
    ],
    source="definition",
    cases=[{}, {"gross": 2.0, "cap": 0.2}, {"cap": 0.01}],
)
def cs_weight(starts: Any, ends: Any, x: Any, out: Any, gross: float, cap: float) -> None:
    """Dollar-neutral weight: in proportion to the value less the mean over all symbols of the time, and capped.

    Weights add up to 0 and their sizes to `gross`. What the cap takes from one goes to the others of its side, in
    proportion. Where a side has too few symbols for its half, both sides have as much as that one can hold: sizes then
    add up to ``2 m cap gross``, with m symbols on the smaller side. Where all values are equal weights are 0. Symbols
    without a value (NaN or infinite) get NaN and do not count.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": list("ABCD"), "ts": 1, "x": [9.0, 1.0, -5.0, -5.0]})
    >>> ft.cross_section(ft.cs_weight("x"))(ticks)["weight"].tolist()
    [0.45, 0.05, -0.25, -0.25]
    >>> ft.cross_section(ft.cs_weight("x", cap=0.3))(ticks)["weight"].tolist()
    [0.3, 0.2, -0.25, -0.25]
    """
    for g in range(starts.shape[0]):
        _, mean, differ = mean_of(x, starts[g], ends[g])
        size = np.zeros(ends[g] - starts[g])
        long, short = 0, 0
        for i in range(starts[g], ends[g]):
            out[i] = 0.0 if np.isfinite(x[i]) else np.nan
            if differ and np.isfinite(x[i]):
                size[i - starts[g]] = x[i] - mean
                long += x[i] > mean
                short += x[i] < mean
        most = cap * gross
        side = min(gross / 2, min(long, short) * most)
        if side > 0:
            weights = out[starts[g] : ends[g]]
            fill_side(size, 0, size.shape[0], 1.0, side, most, weights)
            fill_side(size, 0, size.shape[0], -1.0, side, most, weights)


@cs_weight.oracle
def _(x: Any, gross: float = 1.0, cap: float = 0.5) -> Any:
    result = np.where(np.isfinite(x), 0.0, np.nan)
    known = np.flatnonzero(np.isfinite(x))
    if not len(known) or np.ptp(x[known]) == 0:
        return result
    away = x[known] - x[known].mean()
    side = min(gross / 2, cap * gross * min((away > 0).sum(), (away < 0).sum()))
    for sign in (1, -1):
        # Water: the level at which sizes, cut at the cap, add up to the half. Found by halving.
        own = np.flatnonzero(sign * away > 0)
        low, high = 0.0, side / np.abs(away[own]).min() + 1
        for _ in range(200):
            scale = (low + high) / 2
            short = np.minimum(scale * np.abs(away[own]), cap * gross).sum() < side
            low, high = (scale, high) if short else (low, scale)
        result[known[own]] = sign * np.minimum(high * np.abs(away[own]), cap * gross)
    return result
