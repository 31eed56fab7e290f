"""The libraries that are compared with, as far as they are installed."""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

import numpy as np

MODULES = {
    "TA-Lib": "talib",
    "pandas": "pandas",
    "Polars": "polars",
    "bottleneck": "bottleneck",
    "numbagg": "numbagg",
    "talipp": "talipp.indicators",
    "wickra": "wickra",
    "screamer": "screamer",
    "arch": "arch.univariate",
    "statsmodels": "statsmodels.api",
    "SciPy": "scipy",
    "scikit-learn": "sklearn.covariance",
}


def _installed() -> dict[str, Any]:
    found = {}
    for name, module in MODULES.items():
        try:
            found[name] = import_module(module)
        except ImportError:
            continue
    return found


INSTALLED = _installed()
MISSING = [name for name in MODULES if name not in INSTALLED]
VERSIONS = ", ".join(f"{name} {metadata.version(name)}" for name in INSTALLED)

talib = INSTALLED.get("TA-Lib")
pl = INSTALLED.get("Polars")
bottleneck = INSTALLED.get("bottleneck")
numbagg = INSTALLED.get("numbagg")
talipp = INSTALLED.get("talipp")
wickra = INSTALLED.get("wickra")
screamer = INSTALLED.get("screamer")
sm = INSTALLED.get("statsmodels")
sklearn = INSTALLED.get("scikit-learn")


def fast(indicator: Any, *columns: Any) -> Any:
    """Return a wickra indicator of whole columns, by its faster call if it has two."""
    return getattr(indicator, "batch_fast", indicator.batch)(*columns)


def values(indicator: Any) -> Any:
    """Return a talipp indicator as an array."""
    return np.array([np.nan if value is None else value for value in indicator], float)


def matrix(result: Any) -> Any:
    """Return a wickra indicator of several values as an array."""
    return np.array(result.tolist())


def fields(indicator: Any, *names: str) -> Any:
    """Return a talipp indicator of several values as arrays."""
    return tuple(values([value and getattr(value, name) for value in indicator]) for name in names)


def candles(**columns: Any) -> Any:
    """Return what talipp reads: an object a row."""
    from talipp.ohlcv import OHLCV

    zeros = np.zeros(len(next(iter(columns.values()))))
    rows = [columns.get(name, zeros).tolist() for name in ("open", "high", "low", "close", "volume")]
    return [OHLCV(*row) for row in zip(*rows, strict=True)]


def by_window(x: Any, rows: int, of: Any) -> Any:
    """Return what a function says of every window of a number of rows."""
    windows = np.lib.stride_tricks.sliding_window_view(x, rows)
    return np.concatenate(
        [np.full((rows - 1, np.size(of(windows[0]))), np.nan), [np.atleast_1d(of(w)) for w in windows]]
    )
