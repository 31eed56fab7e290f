"""Thresholds, and on which side of them a value is."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, helper, tick_kernel


@tick_kernel(
    reads="vix",
    gives=["upper", "lower", "multiplier"],
    parameters=[
        Number("base", "threshold at the reference level of the index, in the unit of what is compared", 0.5, above=0),
        Number("reference", "level of the index at which the threshold is the base, in points", 15.0, above=0),
    ],
    source="definition; Whaley (2000), Journal of Portfolio Management 26, on the index",
    cases=[{}, {"base": 2, "reference": 20}],
)
def vix_threshold(vix: float, base: float, reference: float) -> tuple[float, float, float]:
    """Thresholds that widen with implied volatility: ``± base · multiplier``, where ``multiplier = vix / reference``.

    With the defaults 0.5 at a VIX of 15, and 1 at one of 30. NaN where the index is missing (NaN or infinite) or
    negative.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.vix_threshold(np.array([15.0, 30.0]))
    vix_threshold(upper=array([0.5, 1. ]), lower=array([-0.5, -1. ]), multiplier=array([1., 2.]))
    """
    if not (np.isfinite(vix) and vix >= 0.0):
        return np.nan, np.nan, np.nan
    multiplier = vix / reference
    threshold = base * multiplier
    return threshold, -threshold, multiplier


@vix_threshold.oracle
def _(vix: Any, base: float = 0.5, reference: float = 15.0) -> Any:
    known = np.where(np.isfinite(vix) & (vix >= 0), vix, np.nan)
    threshold = known * (base / reference)
    return threshold, -threshold, known / reference


@helper
def _side(x, upper, lower):  # type: ignore[no-untyped-def]
    above, below = x > upper, x < lower
    if not np.isfinite(x) or np.isnan(upper) or np.isnan(lower) or (above and below):
        return np.nan
    return 1.0 if above else -1.0 if below else 0.0


@tick_kernel(reads=["x", "upper", "lower"], gives="signal", source="definition")
def threshold_signal(x: float, upper: float, lower: float) -> Any:
    """Side of two thresholds that go with the rows: 1 strictly above `upper`, -1 strictly below `lower`, 0 between.

    A value at a threshold gives 0. NaN where the value or a threshold is missing (NaN, or an infinite value), or the
    value is on the far side of both because these are crossed. `threshold_alert` is the same for thresholds that stay.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.threshold_signal(np.array([0.6, 0.5, -0.7]), np.full(3, 0.5), np.full(3, -0.5))
    array([ 1.,  0., -1.])
    """
    return _side(x, upper, lower)


@threshold_signal.oracle
def _(x: Any, upper: Any, lower: Any) -> Any:
    return np.where(
        np.isfinite(x) & ~np.isnan(upper + lower) & ~((x > upper) & (x < lower)),
        (x > upper) * 1.0 - (x < lower),
        np.nan,
    )


@tick_kernel(
    reads="x",
    gives="alert",
    parameters=[
        Number("upper", "threshold above which there is an alert, in the unit of x"),
        Number("lower", "threshold below which there is an alert, in the unit of x"),
    ],
    source="definition",
    cases=[{"upper": 3, "lower": -3}],
)
def threshold_alert(x: float, upper: float, lower: float) -> Any:
    """Whether a value is out of its band: 1 strictly above `upper`, -1 strictly below `lower`, 0 within.

    On z-scores, ``Pipeline(ft.rolling_zscore("spread", window=500), ft.threshold_alert("zscore", upper=3, lower=-3))``,
    it tells what is three standard deviations from the mean. NaN where the value is missing (NaN or infinite), or on
    the far side of both thresholds because these are crossed.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.threshold_alert(np.array([1.0, 3.5, -4.0, 3.0]), upper=3, lower=-3)
    array([ 0.,  1., -1.,  0.])
    """
    return _side(x, upper, lower)


@threshold_alert.oracle
def _(x: Any, upper: float, lower: float) -> Any:
    return np.where(np.isfinite(x), np.select([x > upper, x < lower], [1.0, -1.0], 0.0), np.nan)
