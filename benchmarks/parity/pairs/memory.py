"""What goes together, and what goes on: two columns, or one and its past, in a window of 100 rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.parity.pair import Pair
from benchmarks.parity.peers import (
    by_window,
    fast,
    numbagg,
    screamer,
    sm,
    talib,
    wickra,
)

W = {"window": 100}
N = 100
UPDATES = "sums are updated as rows come and go, and what rounding leaves stays in them"


def _rolling(x: Any) -> Any:
    return pd.Series(x).rolling(N)


def _ols(y: Any, x: Any) -> Any:
    from statsmodels.regression.rolling import RollingOLS

    return RollingOLS(y, sm.add_constant(x), window=N).fit(params_only=True).params[:, 1]


def _variance_ratios(x: Any) -> Any:
    from arch.unitroot import VarianceRatio

    def of(window: Any) -> Any:
        test = VarianceRatio(np.log(window), lags=2)
        return test.vr, test.stat

    return by_window(x, N, of)


MEMORY = (
    Pair(
        "rolling_cov",
        W,
        ("r", "other"),
        "pandas",
        "rolling.cov",
        lambda x, y: _rolling(x).cov(pd.Series(y)),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "rolling_cov",
        W,
        ("r", "other"),
        "numbagg",
        "move_cov",
        lambda x, y: numbagg.move_cov(x, y, window=N, min_count=N),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "rolling_cov",
        W,
        ("r", "other"),
        "wickra",
        "RollingCovariance",
        lambda x, y: fast(wickra.RollingCovariance(N), np.cumsum(x), np.cumsum(y)),
        reason="reads levels, whose changes it takes; ddof 0",
        mend=lambda cov, *_: cov * N / (N - 1),
        digits=10,
    ),
    Pair(
        "rolling_cov",
        W,
        ("r", "other"),
        "screamer",
        "RollingCov",
        lambda x, y: screamer.RollingCov(N)(x, y),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "rolling_corr",
        W,
        ("r", "other"),
        "pandas",
        "rolling.corr",
        lambda x, y: _rolling(x).corr(pd.Series(y)),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "rolling_corr",
        W,
        ("r", "other"),
        "numbagg",
        "move_corr",
        lambda x, y: numbagg.move_corr(x, y, window=N, min_count=N),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "rolling_corr",
        W,
        ("r", "other"),
        "TA-Lib",
        "CORREL",
        lambda x, y: talib.CORREL(x, y, N),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "rolling_corr",
        W,
        ("r", "other"),
        "wickra",
        "RollingCorrelation",
        lambda x, y: fast(wickra.RollingCorrelation(N), np.cumsum(x), np.cumsum(y)),
        reason="reads levels, whose changes it takes",
        digits=10,
    ),
    Pair(
        "rolling_corr",
        W,
        ("r", "other"),
        "screamer",
        "RollingCorr",
        lambda x, y: screamer.RollingCorr(N)(x, y),
        reason=UPDATES,
        digits=9,
    ),
    Pair("rolling_beta", W, ("r", "other"), "statsmodels", "RollingOLS", _ols),
    Pair("rolling_beta", W, ("r", "other"), "wickra", "Beta", lambda x, y: fast(wickra.Beta(N), x, y)),
    Pair("rolling_beta", W, ("r", "other"), "screamer", "RollingBeta", lambda x, y: screamer.RollingBeta(N)(x, y)),
    Pair("fx_beta", W, ("r", "other"), "statsmodels", "RollingOLS", _ols),
    Pair("autocorr", W, ("r",), "pandas", "rolling.corr, shift", lambda x: _rolling(x).corr(pd.Series(x).shift())),
    Pair(
        "autocorr",
        W,
        ("r",),
        "wickra",
        "Autocorrelation",
        lambda x: fast(wickra.Autocorrelation(N, 1), x),
        reason="one mean and variance for both sides, as textbooks have it",
        digits=0,
    ),
    Pair(
        "frac_diff",
        {"d": 0.4, "window": 100},
        ("price",),
        "screamer",
        "FracDiff",
        lambda x: screamer.FracDiff(0.4, 100, 0.0)(x),
    ),
    Pair(
        "hurst",
        W,
        ("r",),
        "screamer",
        "RollingHurst",
        lambda x: screamer.RollingHurst(N, 8)(x),
        reason="other lengths of blocks",
        digits=0,
    ),
    Pair(
        "hurst",
        W,
        ("r",),
        "wickra",
        "HurstExponent",
        lambda x: fast(wickra.HurstExponent(N, 4), x),
        reason="other lengths of blocks",
        digits=0,
    ),
    Pair("variance_ratio", W, ("price",), "arch", "VarianceRatio", lambda x: _variance_ratios(x), rows=300),
)
