"""Exposure, and where it exceeds its limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, tick_kernel


@tick_kernel(
    reads=["position", "price"],
    gives=["exposure", "breach"],
    parameters=[
        Number("max_long", "greatest exposure, in the unit of position times price", at_least=0),
        Number("max_short", "greatest size of a negative exposure, in the same unit", at_least=0),
    ],
    state=[("position", "f8"), ("price", "f8"), ("held", "?"), ("priced", "?")],
    warmup="the first position and price",
    source="definition; Commission Delegated Regulation (EU) 2017/589, art. 15: limits before trading",
    cases=[{"max_long": 50, "max_short": 20}],
)
def exposure_limits(s: Any, position: float, price: float, max_long: float, max_short: float) -> tuple[float, float]:
    """Exposure, ``position price``, and whether it is beyond a limit: 1 above `max_long`, -1 below ``-max_short``, 0
    within.

    A row without a position or without a price (NaN or infinite) is valued at the last one, so that no breach hides
    behind a gap; NaN before there is one. Exactly at a limit is within.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> checked = ft.exposure_limits(
    ...     np.array([10.0, 10.0, -30.0]), np.array([5.0, 6.0, np.nan]), max_long=50, max_short=200)
    >>> checked.exposure, checked.breach
    (array([  50.,   60., -180.]), array([0., 1., 0.]))
    """
    if np.isfinite(position):
        s.position = position
        s.held = True
    if np.isfinite(price):
        s.price = price
        s.priced = True
    if not (s.held and s.priced):
        return np.nan, np.nan
    exposure = s.position * s.price
    if exposure > max_long:
        return exposure, 1.0
    return exposure, -1.0 if exposure < -max_short else 0.0


@exposure_limits.oracle
def _(position: Any, price: Any, max_long: float, max_short: float) -> Any:
    import pandas as pd

    held, priced = (pd.Series(np.where(np.isfinite(x), x, np.nan)).ffill() for x in (position, price))
    exposure = (held * priced).to_numpy()
    beyond = (exposure > max_long).astype(float) - (exposure < -max_short)
    return exposure, np.where(np.isnan(exposure), np.nan, beyond)
