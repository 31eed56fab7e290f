"""Exponential weights and filters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.parity.pair import Pair
from benchmarks.parity.peers import fast, numbagg, pl, screamer, sm, talib, talipp, values, wickra

ALPHA = 0.06
A = {"alpha": ALPHA}
R = A | {"adjust": False}
UPDATES = "sums are updated as rows come, and what rounding leaves stays in them"
SQUARES = "the mean of squares less the squared mean cancels where the mean is large against the deviation"
SEED = "the first value starts elsewhere; forgotten after {} rows"


def _ewm(x: Any, adjust: bool = True) -> Any:
    return pd.Series(x).ewm(alpha=ALPHA, adjust=adjust)


SMOOTHING = (
    Pair("ewma", R, ("price",), "pandas", "ewm.mean", lambda x: _ewm(x, False).mean()),
    Pair("ewma", A, ("price",), "pandas", "ewm.mean, adjusted", lambda x: _ewm(x).mean()),
    Pair("ewma", A, ("price",), "Polars", "ewm_mean", lambda x: pl.Series(x).ewm_mean(alpha=ALPHA)),
    Pair("ewma", A, ("price",), "numbagg", "move_exp_nanmean", lambda x: numbagg.move_exp_nanmean(x, alpha=ALPHA)),
    Pair("ewma", A, ("price",), "screamer", "EwMean", lambda x: screamer.EwMean(alpha=ALPHA)(x)),
    Pair("ewma", R, ("price",), "SciPy", "signal.lfilter", lambda x: _lfilter(x)),
    Pair("ewvar", A, ("price",), "pandas", "ewm.var", lambda x: _ewm(x).var(), reason=UPDATES, digits=9),
    Pair(
        "ewvar",
        A,
        ("price",),
        "Polars",
        "ewm_var",
        lambda x: pl.Series(x).ewm_var(alpha=ALPHA),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "ewvar",
        A,
        ("price",),
        "numbagg",
        "move_exp_nanvar",
        lambda x: numbagg.move_exp_nanvar(x, alpha=ALPHA),
        reason=SQUARES,
        digits=8,
    ),
    Pair(
        "ewvar", A, ("price",), "screamer", "EwVar", lambda x: screamer.EwVar(alpha=ALPHA)(x), reason=SQUARES, digits=8
    ),
    Pair("ewstd", A, ("price",), "pandas", "ewm.std", lambda x: _ewm(x).std(), reason=UPDATES, digits=9),
    Pair(
        "ewstd",
        A,
        ("price",),
        "Polars",
        "ewm_std",
        lambda x: pl.Series(x).ewm_std(alpha=ALPHA),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "ewstd",
        A,
        ("price",),
        "numbagg",
        "move_exp_nanstd",
        lambda x: numbagg.move_exp_nanstd(x, alpha=ALPHA),
        reason=SQUARES,
        digits=8,
    ),
    Pair(
        "ewstd", A, ("price",), "screamer", "EwStd", lambda x: screamer.EwStd(alpha=ALPHA)(x), reason=SQUARES, digits=8
    ),
    Pair("ewcov", A, ("r", "other"), "pandas", "ewm.cov", lambda x, y: _ewm(x).cov(pd.Series(y))),
    Pair(
        "ewcov",
        A,
        ("r", "other"),
        "numbagg",
        "move_exp_nancov",
        lambda x, y: numbagg.move_exp_nancov(x, y, alpha=ALPHA),
    ),
    Pair("ewcov", A, ("r", "other"), "screamer", "EwCov", lambda x, y: screamer.EwCov(alpha=ALPHA)(x, y)),
    Pair("ewcorr", A, ("r", "other"), "pandas", "ewm.corr", lambda x, y: _ewm(x).corr(pd.Series(y))),
    Pair(
        "ewcorr",
        A,
        ("r", "other"),
        "numbagg",
        "move_exp_nancorr",
        lambda x, y: numbagg.move_exp_nancorr(x, y, alpha=ALPHA),
    ),
    Pair("ewcorr", A, ("r", "other"), "screamer", "EwCorr", lambda x, y: screamer.EwCorr(alpha=ALPHA)(x, y)),
    Pair(
        "ew_beta",
        A,
        ("r", "other"),
        "pandas",
        "ewm.cov / ewm.var",
        lambda x, y: _ewm(x).cov(pd.Series(y)) / _ewm(y).var(),
    ),
    Pair("ew_beta", A, ("r", "other"), "screamer", "EwBeta", lambda x, y: screamer.EwBeta(alpha=ALPHA)(x, y)),
    Pair(
        "riskmetrics_vol",
        {"lamb": 0.94},
        ("r",),
        "pandas",
        "ewm.mean",
        lambda r: np.sqrt(pd.Series(r**2).ewm(alpha=0.06, adjust=False).mean()),
    ),
    Pair(
        "riskmetrics_vol",
        {"lamb": 0.94},
        ("r",),
        "wickra",
        "EwmaVolatility",
        lambda r: fast(wickra.EwmaVolatility(0.94), np.exp(np.cumsum(r))),
        reason=SEED.format(500),
        skip=500,
    ),
    Pair(
        "garch11_filter",
        {"omega": 1e-6, "alpha": 0.08, "beta": 0.9},
        ("r",),
        "arch",
        "arch_model.fix",
        lambda r: _garch(r),
        reason="starts from a weighted mean of the first squares; forgotten after 2,000 rows",
        skip=2_000,
    ),
    Pair(
        "garch11_filter",
        {"omega": 1e-6, "alpha": 0.08, "beta": 0.9},
        ("r",),
        "wickra",
        "Garch11",
        lambda r: fast(wickra.Garch11(1e-6, 0.08, 0.9), np.exp(np.cumsum(r))),
        reason="a deviation, of the returns of prices; starts one row later",
        skip=2_000,
        mend=lambda sigma, _: sigma**2,
    ),
    Pair("kalman_1d", {"q": 0.05, "r": 1}, ("price",), "statsmodels", "UnobservedComponents", lambda x: _level(x)),
    Pair(
        "kalman_1d",
        {"q": 0.05, "r": 1},
        ("price",),
        "screamer",
        "KalmanFilter",
        lambda x: screamer.KalmanFilter(0.05, 1.0, 0.0, 1e12)(x),
        outputs=("filtered",),
        reason="starts from a variance of 10¹², ours from an infinite one",
        skip=200,
    ),
    Pair(
        "hp_filter_two_sided",
        {"lamb": 1600.0},
        ("spread",),
        "statsmodels",
        "hpfilter",
        lambda x: sm.tsa.filters.hpfilter(x, 1600)[::-1],
        reason="a solver for any sparse matrix, ours for five diagonals",
        digits=10,
    ),
    Pair("ema", {"span": 20, "seed": "sma"}, ("price",), "TA-Lib", "EMA", lambda x: talib.EMA(x, 20)),
    Pair("ema", {"span": 20, "seed": "sma"}, ("price",), "wickra", "EMA", lambda x: fast(wickra.EMA(20), x)),
    Pair("ema", {"span": 20, "seed": "sma"}, ("price",), "talipp", "EMA", lambda x: values(talipp.EMA(20, x))),
    Pair("wma", {"window": 20}, ("price",), "TA-Lib", "WMA", lambda x: talib.WMA(x, 20), reason=UPDATES, digits=9),
    Pair(
        "wma", {"window": 20}, ("price",), "wickra", "WMA", lambda x: fast(wickra.WMA(20), x), reason=UPDATES, digits=9
    ),
    Pair("wma", {"window": 20}, ("price",), "screamer", "WMA", lambda x: screamer.WMA(20)(x), reason=UPDATES, digits=9),
    Pair(
        "wma",
        {"window": 20},
        ("price",),
        "talipp",
        "WMA",
        lambda x: values(talipp.WMA(20, x)),
        reason=UPDATES,
        digits=9,
    ),
)


def _lfilter(x: Any) -> Any:
    from scipy.signal import lfilter

    return lfilter([ALPHA], [1, ALPHA - 1], x, zi=[(1 - ALPHA) * x[0]])[0]


def _garch(r: Any) -> Any:
    from arch import arch_model

    fixed = arch_model(r, mean="Zero", rescale=False).fix([1e-6, 0.08, 0.9])
    return fixed.conditional_volatility**2


def _level(x: Any) -> Any:
    model = sm.tsa.UnobservedComponents(x, "llevel", use_exact_diffuse=True)
    model.ssm.tolerance = 0.0  # or it takes the variance for constant too early
    result = model.filter([1.0, 0.05])
    return result.filtered_state[0], result.filtered_state_cov[0, 0]
