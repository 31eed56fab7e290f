"""How far trading moves the price."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, window_kernel
from fintech_toolkit.kernels.statistics.block_sums import SUM, mean_of
from fintech_toolkit.kernels.statistics.comoments import COMOMENTS, slope


@window_kernel(
    gives="kyle_lambda",
    source="Kyle (1985), Econometrica 53; Hasbrouck (2009), Journal of Finance 64, on the estimate",
    **COMOMENTS | {"reads": ["r", "signed_volume"], "cases": [{"window": 20}, {"window": "3s"}]},
)
def kyle_lambda(s: Any, r: float, signed_volume: float, min_periods: int) -> Any:
    """Kyle's lambda: the slope of the regression of returns on signed volume in the window, with a constant.

    In the unit of the returns per unit of volume. Rows in which either is missing (NaN or infinite) take a place in the
    window but no part in the result. NaN where the signed volume does not vary; exactly 0 where the returns do not.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.kyle_lambda(np.array([0.02, -0.01, 0.01]), np.array([200.0, -100.0, 100.0]), window=3).round(6)
    array([   nan,    nan, 0.0001])
    """
    return slope(s) if s.n >= min_periods else np.nan


@kyle_lambda.oracle
def _(r: Any, signed_volume: Any, ts: Any, window: Any) -> Any:
    import pandas as pd

    known = np.isfinite(r) & np.isfinite(signed_volume)
    result = np.full(len(r), np.nan)
    for i in range(len(r)):
        start = ts[i] - pd.Timedelta(window).value if isinstance(window, str) else 0
        inside = known & (np.arange(len(r)) <= i)
        inside &= (ts > start) if isinstance(window, str) else np.arange(len(r)) > i - window
        flow = signed_volume[inside]
        if len(flow) >= (2 if isinstance(window, str) else window) and np.ptp(flow) > 0:
            line = np.column_stack([np.ones(len(flow)), flow - flow[0]])
            result[i] = np.linalg.lstsq(line, r[inside], rcond=None)[0][1]
    return result


def _prepare(s: Any, r: float, notional: float) -> float:
    return abs(r) / notional if np.isfinite(notional) and notional > 0.0 else np.nan


@window_kernel(
    gives="illiq",
    prepare=_prepare,
    enters=["ratio"],
    parameters=[Window()],
    **SUM
    | {
        "reads": ["r", "notional"],
        "warmup": "min_periods rows in the window with a return and a notional",
        "source": "Amihud (2002), Journal of Financial Markets 5",
        "cases": [{"window": 20}, {"window": "3s"}],
    },
)
def amihud_illiquidity(s: Any, r: float, notional: float, min_periods: int, slots: Any) -> Any:
    """Amihud's illiquidity: the mean of ``|r| / notional`` in the window.

    In the unit of the returns per unit of notional (price times quantity); often scaled by 10⁶ afterwards. A row whose
    return or notional is missing (NaN or infinite), or whose notional is not positive, takes a place in the window but
    no part in the result.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.amihud_illiquidity(np.array([0.02, -0.01, 0.0]), np.array([1000.0, 1000.0, 0.0]), window=2, min_periods=1)
    array([2.0e-05, 1.5e-05, 1.0e-05])
    """
    return mean_of(s, slots, min_periods)


@amihud_illiquidity.oracle
def _(r: Any, notional: Any, ts: Any, window: Any) -> Any:
    import pandas as pd

    traded = np.isfinite(r) & np.isfinite(notional) & (notional > 0)
    ratio = pd.Series(np.where(traded, np.abs(r) / notional, np.nan), index=pd.to_datetime(ts))
    return ratio.rolling(window).apply(np.nanmean, raw=True).to_numpy()
