"""Bars that end when one side has traded more than expected."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Choice, Count, Number, event_kernel
from fintech_toolkit.kernels.bars.bar import BAR, COLUMNS, close_bar, take_trade

ROUNDING = 1e-9
OF = Choice(
    "of",
    "what a trade counts with its side's sign: 1 ('ticks'), its size ('volume') or price times size ('value')",
    "ticks",
    options=("ticks", "volume", "value"),
)
TICKS, VOLUME = OF["ticks"], OF["volume"]


def _flush(s: Any, row: Any) -> bool:
    if s.trades == 0:
        return False
    close_bar(s, row)
    row.imbalance = s.flow
    row.complete = False
    s.flow = 0.0
    return True


@event_kernel(
    reads=["price", "size", "side"],
    gives=[*COLUMNS, "imbalance", "complete:?"],
    flush=_flush,
    parameters=[
        OF,
        Count("initial", "trades in the first bar, from which the first expectations come"),
        Number("span", "bars over which expectations are averaged: the newest weighs 2 / (span + 1)", 20, at_least=1),
    ],
    state=[("flow", "f8"), ("length", "f8"), ("share", "f8"), ("seen", "?"), *BAR],
    warmup="the first bar is emitted with its `initial`-th trade, others with the trade that makes them imbalanced",
    source="López de Prado (2018), Advances in Financial Machine Learning, ch. 2.3.2",
    cases=[
        {"initial": 10},
        {"initial": 5, "of": "volume", "span": 3},
        {"initial": 1, "of": "value", "span": 50},
    ],
)
def imbalance_bars(
    s: Any,
    row: Any,
    price: float,
    size: float,
    side: float,
    ts: int,
    of: int,
    initial: int,
    span: float,
    again: bool,
) -> bool:
    """Open, high, low, close, volume, volume-weighted price and number of trades in bars of like imbalance.

    With ``b`` the sign of a trade's side, times what `of` says, a bar ends when ``|Σ b| >= E[T] · |E[b]|``: E[T] is the
    exponential average of how many trades bars had, E[b] that of what these had for their mean b, both over the bars
    before. `imbalance` is the bar's ``Σ b``. An expectation of 0 ends a bar at every trade, and expectations that feed
    upon themselves may run away: begin with a long first bar (`initial`) and a long `span`.

    ``ts`` is the time of a bar's first trade. Trades without a finite price are left out. A missing side (NaN or 0)
    counts for neither, a missing size as zero; the book tells sides by `trade_sign`. The unfinished bar is emitted by
    `flush` with ``complete=False``.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> side = np.array([1.0, 1.0, -1.0, 1.0, -1.0, -1.0, -1.0])
    >>> bars = ft.imbalance_bars(np.full(7, 10.0), np.ones(7), side, ts=np.arange(7), initial=3)
    >>> bars.ts, bars.imbalance
    (array([0, 3, 4, 6]), array([ 1.,  1., -2., -1.]))
    """
    if again or not np.isfinite(price):
        return False
    counted = 1.0 if of == TICKS else size if of == VOLUME else price * size
    take_trade(s, price, size, ts)
    # Sums beyond float64 would stay there: no later bar could be expected to end.
    flow = s.flow + np.sign(side) * counted
    if np.isfinite(flow) and np.isfinite(side):
        s.flow = flow
    # An expectation is often met to the last digit, the first bar's above all.
    full = abs(s.flow) >= s.length * abs(s.share) * (1.0 - ROUNDING) if s.seen else s.trades >= initial
    if not full:
        return False
    share = s.flow / s.trades
    weight = 2.0 / (span + 1.0) if s.seen else 1.0
    s.length += weight * (s.trades - s.length)
    s.share += weight * (share - s.share)
    s.seen = True
    row.imbalance = s.flow
    s.flow = 0.0
    close_bar(s, row)
    row.complete = True
    return True


@imbalance_bars.oracle
def _(price: Any, size: Any, side: Any, ts: Any, initial: int, of: str = "ticks", span: float = 20) -> Any:
    """In exact decimal arithmetic."""
    from fractions import Fraction

    def exact(value: float) -> Fraction:
        return Fraction(repr(float(value))) if np.isfinite(value) else Fraction(0)

    def row(bar: Any, flow: Fraction, complete: bool) -> dict[str, Any]:
        prices, sizes = [price[i] for i in bar], [exact(size[i]) for i in bar]
        volume = sum(sizes)
        notional = sum(exact(p) * q for p, q in zip(prices, sizes, strict=True))
        return {
            "ts": ts[bar[0]],
            "open": prices[0],
            "high": max(prices),
            "low": min(prices),
            "close": prices[-1],
            "volume": float(volume),
            "vwap": float(notional / volume) if volume > 0 else np.nan,
            "count": len(bar),
            "imbalance": float(flow),
            "complete": complete,
        }

    weight = Fraction(2) / (Fraction(span) + 1)
    rows: list[dict[str, Any]] = []
    bar, flow, length, share = [], Fraction(0), Fraction(0), Fraction(0)
    for i in np.flatnonzero(np.isfinite(price)):
        counted = {"ticks": Fraction(1), "volume": exact(size[i]), "value": exact(price[i]) * exact(size[i])}[of]
        flow += counted * int(np.sign(side[i])) if np.isfinite(side[i]) else 0
        bar.append(i)
        if abs(flow) >= length * abs(share) if rows else len(bar) >= initial:
            a = weight if rows else Fraction(1)
            length, share = length + a * (len(bar) - length), share + a * (flow / len(bar) - share)
            rows.append(row(bar, flow, True))
            bar, flow = [], Fraction(0)
    return rows + ([row(bar, flow, False)] if bar else [])
