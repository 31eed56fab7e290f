"""Volatility that follows from returns by recursion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, tick_kernel
from fintech_toolkit.errors import ParameterError
from fintech_toolkit.scan.parameters import sweep_shape


@tick_kernel(
    reads="r",
    gives="vol",
    parameters=[Number("lamb", "share that the past keeps, 0.94 for days and 0.97 for months", 0.94, above=0, below=1)],
    state=[("variance", "f8"), ("seen", "?")],
    warmup="one valid row",
    source="J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, eq. 5.3",
    cases=[{}, {"lamb": 0.5}],
)
def riskmetrics_vol(s: Any, r: float, lamb: float) -> float:
    """Volatility that RiskMetrics expects of the next return: ``σ² = λ σ² + (1 - λ) r²``, its root.

    The first return is all that is known of the past: it starts from its square. The mean is taken to be 0. Per row,
    not annualised. A row without a return (NaN or infinite, or with a square that is) leaves it as it was.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.riskmetrics_vol(np.array([0.01, -0.02, np.nan]), lamb=0.94).round(6)
    array([0.01    , 0.010863, 0.010863])
    """
    square = r * r
    if np.isfinite(square):
        s.variance = s.variance + (1.0 - lamb) * (square - s.variance) if s.seen else square
        s.seen = True
    return np.sqrt(s.variance) if s.seen else np.nan


@riskmetrics_vol.oracle
def _(r: Any, lamb: float = 0.94) -> Any:
    import pandas as pd

    squares = pd.Series(np.where(np.isfinite(r), r, np.nan) ** 2)
    return np.sqrt(squares.ewm(alpha=1 - lamb, adjust=False, ignore_na=True).mean()).to_numpy()


class Persistence(Number):
    """GARCH's beta, which with alpha must leave the process a variance."""

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        resolved = super().resolve(given)
        sweep_shape({self.name: resolved[self.name], "alpha": np.asarray(given["alpha"])})
        if not np.all(np.add(given["alpha"], resolved[self.name]) < 1.0):
            raise ParameterError(
                f"alpha={given['alpha']!r} and beta={given[self.name]!r} must be less than 1 together: such a process "
                "has no variance to start from. riskmetrics_vol is the one with alpha + beta = 1."
            )
        return resolved


@tick_kernel(
    reads="r",
    gives="sigma2",
    parameters=[
        Number("omega", "the constant, in the unit of squared returns", above=0),
        Number("alpha", "weight of the last squared return", at_least=0),
        Persistence("beta", "weight of the last variance; less than 1 together with alpha", at_least=0),
    ],
    state=[("sigma2", "f8"), ("seen", "?")],
    warmup="none; the first row has the unconditional variance",
    source="Bollerslev (1986), Journal of Econometrics 31",
    cases=[{"omega": 1e-6, "alpha": 0.08, "beta": 0.9}, {"omega": 2e-8, "alpha": 0, "beta": 0.5}],
)
def garch11_filter(s: Any, r: float, omega: float, alpha: float, beta: float) -> Any:
    """Variance that a GARCH(1,1) expects of each return: ``σ²_t = ω + α r²_{t-1} + β σ²_{t-1}``, at given parameters.

    A row's variance is known before its return, and starts from that of the process, ``ω / (1 - α - β)``. Others start
    elsewhere, such as `arch` from a mean of the first returns, which looks ahead; what is left of the difference falls
    by β a row. Parameters are fitted beforehand (``arch.arch_model``). In the unit of squared returns, not annualised.

    A row without a return (NaN or infinite, or with a square that is) passes as one of just the expected size.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.garch11_filter(np.array([2.0, 0.0, np.nan, 1.0]), omega=0.1, alpha=0.1, beta=0.8)
    array([1.   , 1.3  , 1.14 , 1.126])
    """
    if not s.seen:
        s.sigma2 = omega / (1.0 - alpha - beta)
        s.seen = True
    expected = s.sigma2
    square = r * r
    s.sigma2 = omega + alpha * (square if np.isfinite(square) else expected) + beta * expected
    return expected


@garch11_filter.oracle
def _(r: Any, omega: float, alpha: float, beta: float) -> Any:
    """As the sum of all squared returns so far, each with its weight, where none is missing."""
    variance = omega / (1 - alpha - beta)
    result = np.empty(len(r))
    # How a variance depends on the one of a row before, between rows with returns and across rows without.
    for t in range(len(r)):
        weights, constant = 1.0, 0.0
        for k in range(t - 1, -1, -1):
            known = np.isfinite(r[k])
            constant += weights * (omega + (alpha * r[k] ** 2 if known else 0.0))
            weights *= beta if known else alpha + beta
        result[t] = constant + weights * variance
    return result
