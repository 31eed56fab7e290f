"""What came of trades upon a signal."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import event_kernel, helper


@helper
def _trade(s, row):  # type: ignore[no-untyped-def]
    row.ts = s.ts
    row.price = s.price
    row.signal = s.side
    s.open = False


@helper
def _counts(s, row):  # type: ignore[no-untyped-def]
    row.good = s.good
    row.bad = s.bad
    row.neutral = s.neutral
    trades = s.good + s.bad + s.neutral
    row.win_rate = 100.0 * s.good / trades if trades > 0 else np.nan


def _flush(s: Any, row: Any) -> bool:
    if not s.open:
        return False
    _trade(s, row)
    _counts(s, row)
    row.quality = 0
    row.change = np.nan
    row.complete = False
    return True


@event_kernel(
    reads=["signal", "price"],
    gives=[
        "ts:i8",
        "signal",
        "price",
        "change",
        "quality:i8",
        "good:i8",
        "bad:i8",
        "neutral:i8",
        "win_rate",
        "complete:?",
    ],
    flush=_flush,
    state=[
        ("ts", "i8"),
        ("price", "f8"),
        ("side", "f8"),
        ("open", "?"),
        ("good", "i8"),
        ("bad", "i8"),
        ("neutral", "i8"),
    ],
    warmup="a trade's row is emitted with the next row that has a price",
    source="definition",
)
def trade_quality(s: Any, row: Any, signal: float, price: float, ts: int, again: bool) -> bool:
    """Whether the price went on as a signal said: a row for each trade, once the next price is known.

    A positive signal buys at its row's price, a negative one sells. `quality` is 1 (good) where the next price is on
    the signal's side of that, -1 (bad) where it is on the other, 0 (neutral) where it is the same; `change` is the next
    price less the trade's. `good`, `bad` and `neutral` count the trades so far, this one included, and `win_rate` is
    the good ones' share of all in percent. A signal that is missing (NaN or infinite) or 0 is no trade, nor is one on a
    row without a price (NaN or infinite), which decides nothing either. A trade whose next price has not come is
    emitted by `flush` with ``complete=False``, quality 0 and no change, and is not counted.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> rows = ft.trade_quality(np.array([1.0, 0.0, -1.0]), np.array([100.0, 101.0, 100.0]), ts=np.arange(3))
    >>> rows.quality, rows.win_rate, rows.complete
    (array([1, 0]), array([100., 100.]), array([ True, False]))
    """
    if not np.isfinite(price):
        return False
    if s.open:
        change = price - s.price
        quality = int(np.sign(change) * s.side)
        s.good += quality == 1
        s.bad += quality == -1
        s.neutral += quality == 0
        _trade(s, row)
        _counts(s, row)
        row.change = change
        row.quality = quality
        row.complete = True
        return True
    if np.isfinite(signal) and signal != 0.0:
        s.ts = ts
        s.price = price
        s.side = np.sign(signal)
        s.open = True
    return False


@trade_quality.oracle
def _(signal: Any, price: Any, ts: Any) -> Any:
    priced = np.flatnonzero(np.isfinite(price))
    rows: list[dict[str, Any]] = []
    qualities: list[int] = []
    for j, at in enumerate(priced):
        if not np.isfinite(signal[at]) or signal[at] == 0:
            continue
        complete = j + 1 < len(priced)
        change = price[priced[j + 1]] - price[at] if complete else np.nan
        quality = int(np.sign(change) * np.sign(signal[at])) if complete else 0
        qualities += [quality] if complete else []
        rows.append(
            {
                "ts": ts[at],
                "signal": np.sign(signal[at]),
                "price": price[at],
                "change": change,
                "quality": quality,
                "good": qualities.count(1),
                "bad": qualities.count(-1),
                "neutral": qualities.count(0),
                "win_rate": 100 * np.mean(np.array(qualities) == 1) if qualities else np.nan,
                "complete": complete,
            }
        )
    return rows
