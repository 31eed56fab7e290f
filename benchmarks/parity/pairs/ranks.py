"""Changes from row to row; extremes, quantiles and ranks of a window of 100 rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.parity.pair import Pair
from benchmarks.parity.peers import (
    bottleneck,
    by_window,
    fast,
    pl,
    screamer,
    talib,
    wickra,
)

W = {"window": 100}
N = 100
RATIO = "p_t / p_{t−1} − 1, where ours is (p_t − p_{t−1}) / p_{t−1}"
LOGS = "of two logs the difference, where ours is the log of the ratio"


def _rolling(x: Any) -> Any:
    return pd.Series(x).rolling(N)


def _winsorized(x: Any) -> Any:
    from scipy.stats import mstats

    return by_window(x, N, lambda window: mstats.winsorize(window, limits=(0.05, 0.05))[-1])[:, 0]


RANKS = (
    Pair("rolling_min", W, ("price",), "pandas", "rolling.min", lambda x: _rolling(x).min()),
    Pair("rolling_min", W, ("price",), "Polars", "rolling_min", lambda x: pl.Series(x).rolling_min(N)),
    Pair("rolling_min", W, ("price",), "bottleneck", "move_min", lambda x: bottleneck.move_min(x, N)),
    Pair("rolling_min", W, ("price",), "TA-Lib", "MIN", lambda x: talib.MIN(x, N)),
    Pair("rolling_min", W, ("price",), "screamer", "RollingMin", lambda x: screamer.RollingMin(N)(x)),
    Pair("rolling_max", W, ("price",), "pandas", "rolling.max", lambda x: _rolling(x).max()),
    Pair("rolling_max", W, ("price",), "Polars", "rolling_max", lambda x: pl.Series(x).rolling_max(N)),
    Pair("rolling_max", W, ("price",), "bottleneck", "move_max", lambda x: bottleneck.move_max(x, N)),
    Pair("rolling_max", W, ("price",), "TA-Lib", "MAX", lambda x: talib.MAX(x, N)),
    Pair("rolling_max", W, ("price",), "screamer", "RollingMax", lambda x: screamer.RollingMax(N)(x)),
    Pair("rolling_median", W, ("price",), "pandas", "rolling.median", lambda x: _rolling(x).median()),
    Pair("rolling_median", W, ("price",), "Polars", "rolling_median", lambda x: pl.Series(x).rolling_median(N)),
    Pair("rolling_median", W, ("price",), "bottleneck", "move_median", lambda x: bottleneck.move_median(x, N)),
    Pair("rolling_median", W, ("price",), "screamer", "RollingMedian", lambda x: screamer.RollingMedian(N)(x)),
    Pair("rolling_median", W, ("price",), "wickra", "MedianMA", lambda x: fast(wickra.MedianMA(N), x)),
    Pair(
        "rolling_quantile",
        W | {"q": 0.9},
        ("price",),
        "pandas",
        "rolling.quantile",
        lambda x: _rolling(x).quantile(0.9),
    ),
    Pair(
        "rolling_quantile",
        W | {"q": 0.9},
        ("price",),
        "Polars",
        "rolling_quantile",
        lambda x: pl.Series(x).rolling_quantile(0.9, "linear", window_size=N),
    ),
    Pair(
        "rolling_quantile",
        W | {"q": 0.9},
        ("price",),
        "wickra",
        "RollingQuantile",
        lambda x: fast(wickra.RollingQuantile(N, 0.9), x),
    ),
    Pair(
        "rolling_quantile",
        W | {"q": 0.9},
        ("price",),
        "screamer",
        "RollingQuantile",
        lambda x: screamer.RollingQuantile(N, 0.9)(x),
    ),
    Pair("rolling_rank", W, ("x",), "pandas", "rolling.rank", lambda x: _rolling(x).rank("max", pct=True)),
    Pair("rolling_rank", W, ("x",), "Polars", "rolling_rank", lambda x: pl.Series(x).rolling_rank(N, "max") / N),
    Pair(
        "rolling_rank",
        W,
        ("x",),
        "bottleneck",
        "move_rank",
        lambda x: bottleneck.move_rank(x, N),
        reason="scaled from −1 to 1",
        mend=lambda rank, _: (1 + (N - 1) * (rank + 1) / 2) / N,
    ),
    Pair(
        "rolling_rank",
        W,
        ("x",),
        "wickra",
        "RollingPercentileRank",
        lambda x: fast(wickra.RollingPercentileRank(N), x),
        reason="in percent, a value counting half for itself",
        mend=lambda rank, _: (rank + 0.5) / N,
    ),
    Pair(
        "rolling_rank",
        W,
        ("x",),
        "screamer",
        "RollingRank",
        lambda x: screamer.RollingRank(N)(x),
        reason="in percent",
        mend=lambda rank, _: rank / 100,
    ),
    Pair("lag", {"k": 3}, ("price",), "pandas", "shift", lambda x: pd.Series(x).shift(3)),
    Pair("lag", {"k": 3}, ("price",), "Polars", "shift", lambda x: pl.Series(x).shift(3)),
    Pair("lag", {"k": 3}, ("price",), "screamer", "Lag", lambda x: screamer.Lag(3)(x)),
    Pair("diff", {"k": 3}, ("price",), "pandas", "diff", lambda x: pd.Series(x).diff(3)),
    Pair("diff", {"k": 3}, ("price",), "Polars", "diff", lambda x: pl.Series(x).diff(3)),
    Pair("diff", {"k": 3}, ("price",), "TA-Lib", "MOM", lambda x: talib.MOM(x, 3)),
    Pair("diff", {"k": 3}, ("price",), "wickra", "MOM", lambda x: fast(wickra.MOM(3), x)),
    Pair("diff", {"k": 3}, ("price",), "screamer", "Diff", lambda x: screamer.Diff(3)(x)),
    Pair("simple_returns", {}, ("price",), "pandas", "pct_change", lambda x: pd.Series(x).pct_change()),
    Pair(
        "simple_returns",
        {},
        ("price",),
        "Polars",
        "pct_change",
        lambda x: pl.Series(x).pct_change(),
        reason=RATIO,
        digits=11,
    ),
    Pair("simple_returns", {}, ("price",), "TA-Lib", "ROCP", lambda x: talib.ROCP(x, 1), reason=RATIO, digits=11),
    Pair(
        "simple_returns", {}, ("price",), "wickra", "ROCP", lambda x: fast(wickra.ROCP(1), x), reason=RATIO, digits=11
    ),
    Pair("simple_returns", {}, ("price",), "screamer", "Return", lambda x: screamer.Return(1)(x)),
    Pair(
        "log_returns",
        {},
        ("price",),
        "Polars",
        "log, diff",
        lambda x: pl.Series(x).log().diff(),
        reason=LOGS,
        digits=11,
    ),
    Pair("log_returns", {}, ("price",), "wickra", "LogReturn", lambda x: fast(wickra.LogReturn(1), x)),
    Pair("log_returns", {}, ("price",), "screamer", "LogReturn", lambda x: screamer.LogReturn(1)(x)),
    Pair(
        "entropy_hist",
        W | {"bins": 8},
        ("x",),
        "wickra",
        "SHANNONENT",
        lambda x: fast(wickra.SHANNONENT(N, 8), x),
        reason="in bits",
        mend=lambda entropy, _: entropy * np.log(2),
    ),
    Pair("winsorize", W | {"limits": 0.05}, ("x",), "SciPy", "mstats.winsorize", lambda x: _winsorized(x), rows=1_000),
    Pair(
        "hampel",
        W,
        ("x",),
        "screamer",
        "Hampel",
        lambda x: screamer.Hampel(N, 3.0)(x),
        reason="its window holds the values that it gave, ours those that came",
        digits=0,
    ),
)
