"""Ticks on which kernels are checked: plausible markets on a price grid, with the dirt that real ones have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.steps import Step
from fintech_toolkit.scan.values import MISSING

WIDTH = 3
"""How many columns stand for a variadic read."""

START = 1_704_189_598_123_456_789
"""Two seconds before a minute, in nanoseconds that float64 cannot hold."""

NULLABLE = "_int64"
"""How the name of a column ends whose whole numbers may be missing."""

NAMES = "_name"
"""How the name of a column of names ends."""

SAID = {"side": ["BID", "ASK"], "action": ["UPDATE", "UPDATE", "UPDATE", "DELETE"], "quote_currency": ["USD", "JPY"]}
"""Names of which some kernels know; all others are those of dealers."""

DEALERS = ["A", "B", "C", "D", "E", "F", "a dealer"]

ROWS = (0, 1, 2, 17, 150, 400)
MISSING_SHARES, INFINITE_SHARES, TIES = (0.0, 0.05, 0.6, 1.0), (0.0, 0.05), (0.0, 0.3, 1.0)
"""What is drawn from."""

Ticks = dict[str, Any]


def columns_of(kernel: Kernel) -> list[str]:
    """Return names for the columns that a kernel reads."""
    if kernel.variadic:
        return [f"{name}_{j}" for j, name in enumerate(kernel.input_names(WIDTH))]
    ends = [NULLABLE if kernel.integers else NAMES if column.dtype.kind == "O" else "" for column in kernel.inputs]
    return [f"{name}{end}" for name, end in zip(kernel.reads, ends, strict=True)]


def step_of(kernel: Kernel, case: Mapping[str, Any], prefix: str = "out") -> Step:
    """Return a step on those columns, its outputs renamed so that they clash with none."""
    step = kernel.step(*columns_of(kernel.variant(case)), **case)
    return step.named(*(f"{prefix}_{name}" for name in step.outputs))


def dtypes_of(kernel: Kernel) -> dict[str, np.dtype[Any]]:
    """Return the dtypes of those columns."""
    dtypes = [column.dtype for column in kernel.input_columns(WIDTH)]
    return dict(zip(columns_of(kernel), dtypes, strict=True))


def market(rows: int, random: np.random.Generator) -> Ticks:
    """Return quotes, trades and bars of one symbol on a grid of cents, with repeated values and trades at the mid."""
    mid = 100 + np.cumsum(random.integers(-2, 3, rows)) / 100
    half = random.integers(1, 4, rows) / 100
    moves = np.sort(random.integers(-5, 6, (4, rows)), axis=0) / 100
    inner = random.permuted(moves[1:3], axis=0)
    at_mid = random.random(rows) < 0.2
    side = random.choice([-1.0, 1.0], rows)
    return {
        "mid": mid,
        "bid": mid - half,
        "ask": mid + half,
        "best_bid": mid - half,
        "best_ask": mid + half,
        "equity": mid,
        "reference": mid,
        "spot": mid - half,
        "forward": mid + half,
        "years": 25 * half,
        "funding_rate": (half - 0.02) / 100,
        "r": np.diff(mid, prepend=mid[:1]) / mid,
        "mean": 10 * half,
        "variance": 100 * (moves[3] - moves[0]),
        "price": np.round(np.where(at_mid, mid, mid + side * half), 2),
        "side": np.where(random.random(rows) < 0.1, random.choice([0.0, np.nan], rows), side),
        "low": mid + moves[0],
        "high": mid + moves[3],
        "open": mid + inner[0],
        "close": mid + inner[1],
    }


def values(name: str, dtype: np.dtype[Any], rows: int, random: np.random.Generator) -> Any:
    """Return a column that a market does not have by itself."""
    if dtype.kind == "O":
        return random.choice(np.array(SAID.get(name.removesuffix(NAMES), DEALERS), object), rows)
    if name == "level":
        return random.integers(1, 4, rows)
    if name == "leg":
        return random.integers(0, 2, rows)
    if dtype.kind == "b":
        return random.random(rows) < 0.3
    if dtype.kind == "i":
        return START + random.integers(0, max(1, 2 * rows), rows)
    if name.endswith("size") or name == "volume":
        return random.integers(0, 200, rows) / 10
    return np.round(np.cumsum(random.normal(size=rows)) + random.normal(size=rows), 1)


def ticks(
    dtypes: dict[str, np.dtype[Any]],
    rows: int,
    seed: int = 0,
    *,
    symbols: int = 1,
    missing: float = 0.0,
    infinite: float = 0.0,
    ties: float = 0.2,
) -> Ticks:
    """Return ticks of several symbols, interleaved, in time order.

    Parameters
    ----------
    dtypes : dict
        The columns besides `symbol` and `ts`.
    rows, symbols : int
        How many there are.
    seed : int
        What decides all that is left to chance.
    missing, infinite : float
        Shares of floats that are NaN, and ±inf; of nullable integers that are missing.
    ties : float
        Share of ticks that bear the time of the tick before.
    """
    random = np.random.default_rng(seed)
    codes = random.integers(0, symbols, rows)
    steps = np.where(random.random(rows) < ties, 0, random.integers(1, 120_000_000, rows))
    result: Ticks = {
        "symbol": np.array([f"S{symbol}" for symbol in range(symbols)], dtype=object)[codes],
        "ts": START + np.cumsum(steps),
    }
    result |= {name: np.zeros(rows, dtype) for name, dtype in dtypes.items() if name != "ts"}
    for symbol in range(symbols):
        own = np.flatnonzero(codes == symbol)
        known = market(len(own), random)
        # In the order of the columns: that of a set differs from process to process, and with it what a seed draws.
        for name in (name for name in result if name not in ("symbol", "ts")):
            role = re.sub(r"_\d+$", "", name)  # one of several columns of a variadic read
            drawn = known[role] if role in known else values(role, dtypes[name], len(own), random)
            result[name][own] = drawn
    for name, dtype in dtypes.items():
        if name.endswith(NULLABLE):
            result[name][random.random(rows) < missing] = MISSING
        if dtype.kind == "O":
            result[name][random.random(rows) < missing] = None
        if dtype.kind == "f":
            result[name][random.random(rows) < missing] = np.nan
            dirty = random.random(rows) < infinite
            result[name][dirty] = random.choice([-np.inf, np.inf], dirty.sum())
    return result


def drawn(dtypes: dict[str, np.dtype[Any]], random: np.random.Generator) -> Ticks:
    """Draw ticks: few and many, clean and dirty, all at one instant or none."""
    return ticks(
        dtypes,
        rows=int(random.choice(ROWS)),
        seed=int(random.integers(2**32)),
        symbols=int(random.integers(1, 5)),
        missing=float(random.choice(MISSING_SHARES)),
        infinite=float(random.choice(INFINITE_SHARES)),
        ties=float(random.choice(TIES)),
    )


def split(frame: Ticks, shares: list[float]) -> list[Ticks]:
    """Cut a frame into consecutive pieces at shares of its length; some may be empty."""
    rows = len(frame["ts"])
    cuts = [0, *sorted(round(share * rows) for share in shares), rows]
    return [take(frame, slice(a, b)) for a, b in pairwise(cuts)]


def take(frame: Ticks, rows: Any) -> Ticks:
    """Return some rows of a frame."""
    return {name: column[rows] for name, column in frame.items()}
