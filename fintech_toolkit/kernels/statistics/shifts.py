"""What a column was some rows, or some time, ago."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import DTYPE, MISSING, Window, helper, window_kernel

# The value k rows ago is the one that left a window of k rows last.
SHIFT: dict[str, Any] = {
    "parameters": [
        Window(
            keyword="k",
            default=1,
            min_periods=False,
            doc="how far to look back: rows, or a duration such as '5s'",
        ),
        DTYPE,
    ],
    "state": [("left", "f8"), ("known", "?")],
    "skips_missing": False,
    "warmup": "k",
    "cases": [{}, {"k": 3}, {"k": 40}, {"k": "2s"}, {"k": 3, "dtype": "int64"}, {"k": "2s", "dtype": "int64"}],
}


@helper
def _enter(s, x):  # type: ignore[no-untyped-def]
    pass


@helper
def _leave(s, x):  # type: ignore[no-untyped-def]
    s.left = x
    s.known = True


@window_kernel(reads="x", gives="lagged", enter=_enter, leave=_leave, source="pandas, Series.shift(k)", **SHIFT)
def lag(s: Any, x: float) -> float:
    """Return ``x_{t-k}``; for a duration, the last value at or before ``t - k``.

    A missing value is a value like any other: where it is looked back upon, the result is what it was (NaN, infinite).

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.lag(np.array([1.0, 2.0, 4.0, 8.0]), k=2)
    array([nan, nan,  1.,  2.])
    >>> ft.lag(np.array([1.0, 2.0, 4.0]), k="2ns", ts=np.array([0, 1, 3]))
    array([nan, nan,  2.])
    >>> ft.lag(np.array([2**60, 2**60 + 1]), dtype="int64")
    array([-9223372036854775808,  1152921504606846976])
    """
    return s.left if s.known else np.nan


@lag.exact
def _(s: Any, x: int) -> int:
    return s.left if s.known else MISSING


@window_kernel(reads="x", gives="diff", enter=_enter, leave=_leave, source="pandas, Series.diff(k)", **SHIFT)
def diff(s: Any, x: float) -> float:
    """Difference, ``x_t - x_{t-k}``; for a duration, to the last value at or before ``t - k``.

    NaN where either value is missing. With ``dtype="int64"`` it is missing, too, where it is more than int64 can hold.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.diff(np.array([1.0, 2.0, 4.0, 8.0]))
    array([nan,  1.,  2.,  4.])
    """
    return x - s.left if s.known else np.nan


@diff.exact
def _(s: Any, x: int) -> int:
    if not s.known or x == MISSING or s.left == MISSING:  # noqa: PLR1714
        return MISSING
    change = x - s.left
    return change if (change >= 0) == (x >= s.left) else MISSING


def _shifted(x: Any, ts: Any, k: Any) -> Any:
    """Return what was k ago, as Python numbers; None where nothing was."""
    if isinstance(k, str):
        import pandas as pd

        known = np.searchsorted(ts, ts - pd.Timedelta(k).value, side="right")
        return [x[n - 1].item() if n else None for n in known]
    return [x[j - k].item() if j >= k else None for j in range(len(x))]


@lag.oracle
def _(x: Any, ts: Any, k: Any = 1, dtype: str = "float64") -> Any:
    none = np.nan if dtype == "float64" else MISSING
    return np.array([none if before is None else before for before in _shifted(x, ts, k)], dtype)


@diff.oracle
def _(x: Any, ts: Any, k: Any = 1, dtype: str = "float64") -> Any:
    if dtype == "float64":
        with np.errstate(invalid="ignore"):
            return x - lag.oracles[0](x, ts, k)
    pairs = [(now.item(), before) for now, before in zip(x, _shifted(x, ts, k), strict=True)]
    changes = [MISSING if before is None or MISSING in (now, before) else now - before for now, before in pairs]
    return np.array([change if abs(change) < 2**63 else MISSING for change in changes])
