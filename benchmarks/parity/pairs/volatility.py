"""Volatility, risk and matrices of returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import fintech_toolkit as ft
from benchmarks.parity.pair import Pair
from benchmarks.parity.peers import candles, fast, screamer, sklearn, sm, talipp, values, wickra

W = {"window": 20}
N = 20
UPDATES = "sums are updated as rows come and go, and what rounding leaves stays in them"
OHLC = ("open", "high", "low", "close")
HLC = OHLC[1:]


def _half_life(x: Any) -> Any:
    from statsmodels.regression.rolling import RollingOLS

    before = sm.add_constant(x[:-1])
    slope = RollingOLS(np.diff(x), before, window=60).fit(params_only=True).params[:, 1]
    return np.concatenate([[np.nan], -np.log(2) / np.log(np.where((slope > -1) & (slope < 0), 1 + slope, np.nan))])


def _ewcov(x: Any, y: Any) -> Any:
    frame = pd.DataFrame({"x": x, "y": y})
    return frame.ewm(alpha=0.06).cov().to_numpy()[-2:].reshape(-1)


def _our_shrunk(x: Any, y: Any) -> Any:
    result = ft.ledoit_wolf_shrinkage(np.column_stack([x, y]))
    return np.append(result.covariance, result.shrinkage)


def _shrunk(x: Any, y: Any) -> Any:
    covariance, shrinkage = sklearn.ledoit_wolf(np.column_stack([x, y]))
    return np.append(covariance, shrinkage)


def _scipy_boxcox(x: Any) -> Any:
    from scipy.special import boxcox

    return boxcox(x, 0.5)


def _scipy_yeo(x: Any) -> Any:
    from scipy.stats import yeojohnson

    return yeojohnson(x, 0.5)


VOLATILITY = (
    Pair(
        "realized_var",
        W | {"of": "returns"},
        ("r",),
        "pandas",
        "rolling.sum",
        lambda r: pd.Series(r**2).rolling(N).sum(),
    ),
    Pair(
        "realized_var",
        W | {"of": "prices"},
        ("price",),
        "wickra",
        "RealizedVolatility",
        lambda x: fast(wickra.RealizedVolatility(N), x),
        reason="a deviation",
        mend=lambda vol, _: vol**2,
    ),
    Pair(
        "bipower_var",
        {"window": N - 1},
        ("r",),
        "wickra",
        "BipowerVariation",
        lambda r: fast(wickra.BipowerVariation(N), np.exp(np.cumsum(r))),
        reason="reads prices, whose n log returns are n − 1 pairs",
        digits=10,
    ),
    Pair(
        "parkinson",
        W,
        ("high", "low"),
        "wickra",
        "ParkinsonVolatility",
        lambda high, low: fast(wickra.ParkinsonVolatility(N, 1), high, low),
        reason="in percent",
        mend=lambda vol, *_: vol / 100,
    ),
    Pair(
        "parkinson",
        W,
        ("high", "low"),
        "screamer",
        "RollingParkinsonVol",
        lambda high, low: screamer.RollingParkinsonVol(N)(high, low),
    ),
    Pair(
        "garman_klass",
        W,
        OHLC,
        "wickra",
        "GarmanKlassVolatility",
        lambda *c: fast(wickra.GarmanKlassVolatility(N, 1), *c),
        reason="in percent",
        mend=lambda vol, *_: vol / 100,
    ),
    Pair(
        "garman_klass", W, OHLC, "screamer", "RollingGarmanKlassVol", lambda *c: screamer.RollingGarmanKlassVol(N)(*c)
    ),
    Pair(
        "rogers_satchell",
        W,
        OHLC,
        "wickra",
        "RogersSatchellVolatility",
        lambda *c: fast(wickra.RogersSatchellVolatility(N, 1), *c),
        reason="in percent",
        mend=lambda vol, *_: vol / 100,
        digits=10,
    ),
    Pair(
        "rogers_satchell",
        W,
        OHLC,
        "screamer",
        "RollingRogersSatchellVol",
        lambda *c: screamer.RollingRogersSatchellVol(N)(*c),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "rogers_satchell",
        W,
        OHLC,
        "talipp",
        "RogersSatchell",
        lambda o, high, low, c: values(talipp.RogersSatchell(N, candles(open=o, high=high, low=low, close=c))),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "yang_zhang",
        W,
        OHLC,
        "wickra",
        "YangZhangVolatility",
        lambda *c: fast(wickra.YangZhangVolatility(N, 1), *c),
        reason="in percent",
        mend=lambda vol, *_: vol / 100,
        digits=10,
    ),
    Pair(
        "yang_zhang",
        W,
        OHLC,
        "screamer",
        "RollingYangZhangVol",
        lambda *c: screamer.RollingYangZhangVol(N)(*c),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "drawdown",
        {},
        ("price",),
        "pandas",
        "cummax",
        lambda x: pd.Series(x) / pd.Series(x).cummax() - 1,
        outputs=("drawdown",),
    ),
    Pair("drawdown", {}, ("price",), "screamer", "Drawdown", lambda x: screamer.Drawdown()(x), outputs=("drawdown",)),
    Pair(
        "drawdown",
        {},
        ("price",),
        "wickra",
        "DrawdownDuration",
        lambda x: wickra.DrawdownDuration().batch(x),
        outputs=("duration",),
    ),
    Pair(
        "historical_var",
        {"window": 100},
        ("r",),
        "pandas",
        "rolling.quantile",
        lambda r: -pd.Series(r).rolling(100).quantile(0.05),
    ),
    Pair(
        "historical_var",
        {"window": 100},
        ("r",),
        "wickra",
        "ValueAtRisk",
        lambda r: fast(wickra.ValueAtRisk(100, 0.95), r),
    ),
    Pair(
        "historical_cvar",
        {"window": 100},
        ("r",),
        "wickra",
        "ConditionalValueAtRisk",
        lambda r: fast(wickra.ConditionalValueAtRisk(100, 0.95), r),
    ),
    Pair(
        "historical_cvar",
        {"window": 100},
        ("r",),
        "screamer",
        "RollingCVaR",
        lambda r: screamer.RollingCVaR(100, 0.05)(r),
    ),
    Pair(
        "rolling_sharpe",
        {"window": 100},
        ("r",),
        "pandas",
        "rolling.mean / std",
        lambda r: pd.Series(r).rolling(100).mean() / pd.Series(r).rolling(100).std(),
    ),
    Pair(
        "rolling_sharpe", {"window": 100}, ("r",), "wickra", "SharpeRatio", lambda r: fast(wickra.SharpeRatio(100), r)
    ),
    Pair(
        "rolling_sharpe", {"window": 100}, ("r",), "screamer", "RollingSharpe", lambda r: screamer.RollingSharpe(100)(r)
    ),
    Pair(
        "rolling_sortino",
        {"window": 100},
        ("r",),
        "wickra",
        "SortinoRatio",
        lambda r: fast(wickra.SortinoRatio(100), r),
    ),
    Pair(
        "rolling_sortino",
        {"window": 100},
        ("r",),
        "screamer",
        "RollingSortino",
        lambda r: screamer.RollingSortino(100)(r),
    ),
    Pair(
        "half_life",
        {"window": 60},
        ("spread",),
        "statsmodels",
        "RollingOLS",
        lambda x: _half_life(x),
        reason=UPDATES,
        digits=9,
    ),
    Pair(
        "ewcov_matrix",
        {"alpha": 0.06},
        ("r", "other"),
        "pandas",
        "ewm.cov",
        lambda x, y: _ewcov(x, y),
        ours=lambda x, y: np.ravel(ft.ewcov_matrix(np.column_stack([x, y]), alpha=0.06)),
    ),
    Pair(
        "ledoit_wolf_shrinkage",
        {},
        ("r", "other"),
        "scikit-learn",
        "ledoit_wolf",
        lambda x, y: _shrunk(x, y),
        ours=_our_shrunk,
    ),
    Pair("boxcox", {"lamb": 0.5}, ("price",), "SciPy", "special.boxcox", lambda x: _scipy_boxcox(x)),
    Pair("yeo_johnson", {"lamb": 0.5}, ("x",), "SciPy", "stats.yeojohnson", lambda x: _scipy_yeo(x)),
)
