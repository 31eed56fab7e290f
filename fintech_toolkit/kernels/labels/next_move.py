"""Where the price went next."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, Window, event_kernel, helper, later, oldest, pop, push


@helper
def _answer(s, row, first, price, threshold):  # type: ignore[no-untyped-def]
    row.ts = first.ts
    row.price = first.price
    row.move = price / first.price - 1.0
    row.label = int(row.move > threshold) - int(row.move < -threshold)
    row.complete = True
    pop(s)


def _flush(s: Any, row: Any, slots: Any) -> bool:
    if s.count == 0:
        return False
    first = slots[oldest(s)]
    row.ts = first.ts
    row.price = first.price
    row.move = np.nan
    row.label = 0
    row.complete = False
    pop(s)
    return True


@event_kernel(
    reads="price",
    gives=["ts:i8", "price", "move", "label:i8", "complete:?"],
    flush=_flush,
    parameters=[
        Window(
            keyword="horizon",
            default=1,
            min_periods=False,
            doc="how far to look ahead: rows that have a price, or a duration such as '5s'",
        ),
        Number("threshold", "relative move up to which the price counts as unchanged", 0, at_least=0),
    ],
    state=[("price", "f8")],
    slots=[("ts", "i8"), ("price", "f8")],
    warmup="a row's label is emitted once its horizon has passed",
    source="López de Prado (2018), Advances in Financial Machine Learning, ch. 3.2 (fixed-time horizon)",
    cases=[{}, {"horizon": 5, "threshold": 0.001}, {"horizon": "2s", "threshold": 0.0005}],
)
def label_next_move(
    s: Any, row: Any, price: float, ts: int, window: int, threshold: float, by_time: bool, slots: Any
) -> bool:
    """Label of each row by where its price went: 1 up, -1 down, 0 where the move is not beyond `threshold`.

    ``move = price_{t+h} / price_t - 1``. With a horizon of rows that is the price so many rows later; with a duration
    the last one at or before its end, known with the first row after that. A label is emitted when it is known, never
    before, so it is no feature of its own row: join it back by time to train on, and do not expect it live any sooner.

    A price that is missing (NaN or infinite) or not positive has no label and decides none. Rows whose horizon has not
    passed at the end are emitted by `flush` with ``complete=False``, label 0 and no move.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> rows = ft.label_next_move(np.array([100.0, 101.0, 100.9, 99.0]), ts=np.arange(4), threshold=0.005)
    >>> rows.ts, rows.label, rows.complete
    (array([0, 1, 2, 3]), array([ 1,  0, -1,  0]), array([ True,  True,  True, False]))
    """
    if not (np.isfinite(price) and price > 0.0):
        return False
    if s.count > 0:
        first = slots[oldest(s)]
        if by_time and later(first.ts, window) < ts:
            _answer(s, row, first, s.price, threshold)
            return True
        if not by_time and s.count == window:
            _answer(s, row, first, price, threshold)
            return True
    s.price = price
    new = slots[push(s)]
    new.ts = ts
    new.price = price
    return False


@label_next_move.oracle
def _(price: Any, ts: Any, horizon: Any = 1, threshold: float = 0) -> Any:
    import pandas as pd

    known = np.isfinite(price) & (price > 0)
    prices, times = price[known], ts[known]
    rows = []
    for i in range(len(prices)):
        if isinstance(horizon, str):
            end = times[i] + pd.Timedelta(horizon).value
            then = int(np.searchsorted(times, end, side="right")) - 1
            complete = bool(times[-1] > end)
        else:
            then = i + horizon
            complete = then < len(prices)
        move = (prices[then] - prices[i]) / prices[i] if complete else np.nan
        label = int(np.sign(move)) if abs(move) > threshold else 0
        rows.append({"ts": times[i], "price": prices[i], "move": move, "label": label, "complete": complete})
    return rows
