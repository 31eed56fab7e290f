"""What the benchmarks share: ticks, medians of runs, peak memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import psutil


def quotes(rows: int, symbols: int, seed: int = 0) -> pd.DataFrame:
    """Return interleaved quotes in time order; `symbol` is categorical (coded)."""
    rng = np.random.default_rng(seed)
    mid = 100 * np.exp(np.cumsum(rng.normal(0, 1e-6, rows)))
    names = [f"SYM{j:06d}" for j in range(symbols)]
    return pd.DataFrame(
        {
            "symbol": pd.Categorical.from_codes(rng.integers(0, symbols, rows), names),
            "ts": pd.to_datetime(np.arange(rows) * 1000, unit="ns", utc=True),
            "bid": mid - 0.01,
            "ask": mid + 0.01,
        }
    )


def medians(contenders: dict[str, Callable[[], Any]], repeats: int, calls: int = 1) -> dict[str, float]:
    """Return the median seconds of a call of each contender, round after round, so that all meet the same moods of the
    machine. In a round each runs twice and the second counts: the first fetches back the memory that the system took
    while it waited. `calls` are timed together where one is too short for a clock.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            run()
            start = time.perf_counter()
            for _ in range(calls):
                run()
            times[name].append((time.perf_counter() - start) / calls)
    return {name: statistics.median(taken) for name, taken in times.items()}


def peak_memory() -> str:
    """Return the most memory that this process has had."""
    status = psutil.Process().memory_full_info()
    return f"{getattr(status, 'peak_rss', status.rss) / 2**30:.1f} GiB"


def compare(what: str, ours: float, peers: dict[str, float], targets: dict[str, float]) -> list[dict[str, Any]]:
    """Return a row per peer: how many times as fast we are, what was to be reached, and the seconds of both."""
    return [
        {
            "what": what,
            "against": peer,
            "ratio": f"{seconds / ours:.1f}×",
            "to reach": f"{targets[peer]:g}×" if peer in targets else "",
            "ours, s": f"{ours:.3f}",
            "peer, s": f"{seconds:.3f}",
        }
        for peer, seconds in peers.items()
    ]
