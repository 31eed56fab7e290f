"""How far below its peak something is."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import tick_kernel


@tick_kernel(
    reads="equity",
    gives=["drawdown", "peak", "duration:i8"],
    state=[("peak", "f8"), ("duration", "i8"), ("seen", "?")],
    warmup="the first value",
    source="Magdon-Ismail and Atiya (2004), Risk 17; pandas, Series.cummax()",
)
def drawdown(s: Any, equity: float) -> tuple[float, float, int]:
    """Drawdown from the highest value so far, ``equity / peak - 1``: 0 at the peak, -0.2 a fifth below it.

    `peak` is that value, and `duration` how many valid rows it has been since. A row without a value (NaN or infinite)
    has no drawdown; peak and duration stand. NaN before the first value, and the drawdown where the peak is not
    positive.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.drawdown(np.array([100.0, 120.0, 90.0, np.nan, 150.0]))
    drawdown(drawdown=array([ 0.  ,  0.  , -0.25,   nan,  0.  ]), peak=array([100., 120., 120., 120., 150.]),
    duration=array([0, 0, 1, 1, 0]))
    """
    if not np.isfinite(equity):
        return np.nan, (s.peak if s.seen else np.nan), s.duration
    s.duration += 1
    if not s.seen or equity >= s.peak:
        s.peak = equity
        s.duration = 0
        s.seen = True
    return (equity / s.peak - 1.0 if s.peak > 0.0 else np.nan), s.peak, s.duration


@drawdown.oracle
def _(equity: Any) -> Any:
    import pandas as pd

    values = pd.Series(np.where(np.isfinite(equity), equity, np.nan))
    peak = values.cummax().ffill()
    at_peak = (values == peak).to_numpy()
    valid = values.notna().cumsum()
    since = pd.Series(np.where(at_peak, valid, np.nan)).ffill()
    duration = (valid - since).fillna(0).astype(int)
    return (values / peak.where(peak > 0) - 1).to_numpy(), peak.to_numpy(), duration.to_numpy()
