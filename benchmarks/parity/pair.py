"""A kernel beside its counterpart: the same columns through both public calls, what they say compared, both timed."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import fintech_toolkit as ft
from benchmarks.parity.market import Column, market, names

DIGITS = 12
"""Digits to which two sides that compute the same agree."""
ALL = 17.0
"""Digits of values that are the same to the last bit."""


@dataclass(frozen=True)
class Pair:
    """A kernel and what another library calls it.

    A pair that differs has a `reason`, which is checked and not believed: what `mend` makes of the peer's results (it
    gets the columns too) must agree with ours to `digits`, from the row `skip` of each symbol on. Less than twelve of
    them is a difference of rounding, none another definition. `ours` is our call where it is not the kernel itself.
    """

    kernel: str
    parameters: Mapping[str, Any]
    reads: tuple[str, ...]
    library: str
    function: str
    call: Callable[..., Any]
    outputs: tuple[str, ...] = ()
    reason: str = ""
    mend: Callable[..., Any] | None = None
    skip: int = 0
    digits: float = DIGITS
    rows: int = 5_000
    ours: Callable[..., Any] | None = None

    @property
    def peer(self) -> str:
        """Return the library and what it calls the kernel."""
        return f"{self.library} {self.function}"


@dataclass(frozen=True)
class Comparison:
    """What came of a pair: digits as both are called and once the difference is taken out, the rows before each side's
    first value, values that only one side has after that, and processor seconds of both, a call per symbol, and of ours
    in one.
    """

    pair: Pair
    digits: float
    mended: float
    warmup: tuple[int, int]
    only_one: int
    ours: float
    peer: float
    at_once: float

    @property
    def verdict(self) -> str:
        """Say whether they agree as they are called, once the reason is heeded, but for rounding, or not at all."""
        if self.digits >= DIGITS and not self.only_one:
            return "agrees"
        if not self.pair.reason or self.mended < self.pair.digits:
            return "unexplained"
        if self.mended >= DIGITS:
            return "explained"
        return "rounding" if self.pair.digits else "another definition"


def run(pair: Pair, symbols: int, rows: int, patience: float, repeats: int) -> Comparison:
    """Run both sides of a pair on as many of the symbols as the peer does within a time."""
    rows = min(rows, pair.rows)
    columns = market(symbols, rows)
    kernel = getattr(ft, pair.kernel)
    call = pair.ours or (lambda *part: kernel(*part, **pair.parameters))
    parts = [[columns[name][i * rows : (i + 1) * rows] for name in pair.reads] for i in range(symbols)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pair.call(*parts[0])  # some compile
        start = time.perf_counter()
        pair.call(*parts[0])
        several = max(1, min(symbols, int(patience / (time.perf_counter() - start))))
        parts = parts[:several]
        ours = [_columns(call(*part), pair.outputs) for part in parts]
        peer = [_columns(pair.call(*part)) for part in parts]
        digits, warmup, only_one = _compare(ours, peer)
        mended = digits
        if pair.mend or pair.skip:
            mend = pair.mend or (lambda values, *_: values)
            as_ours = [
                _columns(tuple(mend(value, *part) for value in values))
                for values, part in zip(peer, parts, strict=True)
            ]
            mended, _, lacking = _compare([a[:, pair.skip :] for a in ours], [b[:, pair.skip :] for b in as_ours])
            mended = -1.0 if lacking else mended
        whole = [columns[name][: several * rows] for name in pair.reads]
        symbol = names(several, rows)
        contenders = {
            "ours": lambda: [call(*part) for part in parts],
            "peer": lambda: [pair.call(*part) for part in parts],
        }
        if pair.ours is None and kernel.tickwise:
            contenders["at once"] = lambda: kernel(*whole, symbol=symbol, **pair.parameters)
        taken = _processor_seconds(contenders, repeats)
    return Comparison(
        pair, digits, mended, warmup, only_one, taken["ours"], taken["peer"], taken.get("at once", float("nan"))
    )


def _processor_seconds(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median of what a call of each contender takes, round after round: processor time, so that what else
    the machine does counts little, of all threads that a call uses.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, call in contenders.items():
            start = time.process_time()
            call()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def _columns(result: Any, outputs: tuple[str, ...] = ()) -> Column:
    """Return a result as an array of shape (columns, rows)."""
    if outputs and isinstance(result, tuple):
        result = tuple(getattr(result, name) for name in outputs)
    if isinstance(result, tuple):
        return np.array([np.asarray(part, float) for part in result])
    values = np.asarray(result, float)
    return values[np.newaxis] if values.ndim == 1 else values.T


def _compare(ours: list[Column], peer: list[Column]) -> tuple[float, tuple[int, int], int]:
    """Return the digits to which two sides agree where both have a value, the first row of each that has all of them,
    and how many values only one has after its column began on both.

    A difference is relative to the larger of the two values, or to the median of the peer's where that is more: of what
    passes through zero nobody knows twelve digits.
    """
    worst, only_one = 0.0, 0
    first = [0, 0]
    for a, b in zip(ours, peer, strict=True):
        if a.shape != b.shape:
            raise ValueError(f"ours has the shape {a.shape}, the peer's {b.shape}")
        for x, y in zip(a, b, strict=True):
            known = np.isfinite(x), np.isfinite(y)
            begins = [int(k.argmax()) if k.any() else len(k) for k in known]
            first = [max(pair) for pair in zip(first, begins, strict=True)]
            only_one += int((known[0] ^ known[1])[max(begins) :].sum())
            both = known[0] & known[1]
            if not both.any():
                worst = np.inf
                continue
            size = np.maximum(np.maximum(np.abs(x), np.abs(y)), np.median(np.abs(y[both])))
            unequal = both & (x != y)
            worst = max(worst, float(np.max(np.abs(x - y)[unequal] / size[unequal], initial=0.0)))
    digits = ALL if worst == 0.0 else min(max(0.0, -np.log10(worst)), ALL)
    return digits, (first[0], first[1]), only_one
