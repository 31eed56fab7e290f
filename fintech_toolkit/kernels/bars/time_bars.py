"""Bars of fixed length in time."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Duration, earlier, event_kernel
from fintech_toolkit.kernels.bars.bar import BAR, COLUMNS, close_bar, take_trade


def _flush(s: Any, row: Any, ended: bool) -> bool:
    if s.trades == 0:
        return False
    close_bar(s, row)
    row.complete = ended
    return True


@event_kernel(
    reads=["price", "size"],
    gives=[*COLUMNS, "complete:?"],
    flush=_flush,
    parameters=[Duration("frequency", "length of a bar, such as '1min'; bars start at whole multiples since 1970 UTC")],
    state=BAR,
    warmup="a bar is emitted with the first trade after its end",
    source="pandas, DataFrame.resample(frequency).ohlc(), closed and labelled left",
    aliases=["resample_ohlc"],
    cases=[{"frequency": "2s"}, {"frequency": "1min"}],
)
def time_bars(s: Any, row: Any, price: float, size: float, ts: int, frequency: int) -> bool:
    """Open, high, low, close, volume, volume-weighted price and number of trades in bars of equal length.

    ``ts`` is the start of a bar. Bars without trades are not emitted. Trades without a finite price are left out; a
    missing size counts as zero.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> price, size = np.array([10.0, 11.0, 12.0]), np.array([1.0, 1.0, 2.0])
    >>> bars = ft.time_bars(price, size, ts=np.array([0, 400, 1200]), unit="ms", frequency="1s")
    >>> bars.close, bars.complete
    (array([11., 12.]), array([ True, False]))
    """
    if not np.isfinite(price):
        return False
    start = earlier(ts, ts % frequency)
    if s.trades > 0 and start != s.start_ts:
        close_bar(s, row)
        row.complete = True
        return True
    take_trade(s, price, size, start)
    return False


@time_bars.oracle
def _(price: Any, size: Any, ts: Any, frequency: str) -> Any:
    import pandas as pd

    frame = pd.DataFrame({"price": price, "size": size, "ts": pd.to_datetime(ts)}).set_index("ts")
    frame = frame[np.isfinite(frame["price"])]
    frame["size"] = frame["size"].where(np.isfinite(frame["size"]), 0.0)
    bars = frame["price"].resample(frequency).ohlc()
    bars["volume"] = frame["size"].resample(frequency).sum()
    bars["notional"] = (frame["price"] * frame["size"]).resample(frequency).sum()
    bars["count"] = frame["price"].resample(frequency).count()
    bars = bars[bars["count"] > 0]
    bars["vwap"] = bars["notional"] / bars["volume"].where(bars["volume"] > 0)
    bars["complete"] = np.arange(len(bars)) < len(bars) - 1
    bars["ts"] = bars.index.as_unit("ns").asi8
    return bars.drop(columns="notional").to_dict("records")
