"""The pairs, by family."""

from __future__ import annotations

from benchmarks.parity.pair import Pair
from benchmarks.parity.pairs.books import BOOKS
from benchmarks.parity.pairs.indicators import INDICATORS
from benchmarks.parity.pairs.memory import MEMORY
from benchmarks.parity.pairs.ranks import RANKS
from benchmarks.parity.pairs.smoothing import SMOOTHING
from benchmarks.parity.pairs.volatility import VOLATILITY
from benchmarks.parity.pairs.windows import WINDOWS

PAIRS: tuple[Pair, ...] = (*WINDOWS, *MEMORY, *RANKS, *SMOOTHING, *INDICATORS, *VOLATILITY, *BOOKS)
SHORT = tuple(
    next(pair for pair in PAIRS if (pair.kernel, pair.library) == wanted)
    for wanted in (
        ("rolling_mean", "pandas"),
        ("rolling_std", "TA-Lib"),
        ("rolling_quantile", "Polars"),
        ("ewma", "SciPy"),
        ("atr", "TA-Lib"),
        ("rsi", "TA-Lib"),
        ("half_life", "statsmodels"),
        ("vwap", "pandas"),
    )
)
"""One of each sort, by libraries that the tests have too."""
