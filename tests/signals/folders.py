"""Inputs of runs: folders of prices, VIX and S&P 500 as files, small, and on the sessions of New York."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from exchange_calendars import get_calendar

PRICES, VIX, SPX = "spx_holdings_hourly", "vix_hourly", "spx_hourly"


@cache
def stamps(days: int) -> pd.DatetimeIndex:
    """The opening of sessions, and the two hours after it."""
    opens = get_calendar("XNYS", start="2024-01-01", end="2024-12-31").schedule["open"].iloc[:days]
    hours = [opens + pd.Timedelta(hours=hour) for hour in range(3)]
    return pd.DatetimeIndex(pd.concat(hours).sort_values()).tz_convert("UTC").as_unit("ns")


def market(names: list[str], days: int = 60, seed: int = 7) -> dict[str, pd.DataFrame]:
    """Frames of prices of contracts, of the VIX and of the index, which contracts follow."""
    rng = np.random.default_rng(seed)
    at = stamps(days)
    moves = rng.normal(0, 0.004, len(at))
    frames = {
        VIX: pd.DataFrame({"timestamp": at, "vix": 15 * np.exp(-4 * np.cumsum(moves))}),
        SPX: pd.DataFrame({"timestamp": at, "spx": 4700 * np.exp(np.cumsum(moves))}),
    }
    prices = [
        pd.DataFrame({"timestamp": at, "contract": name, "price": 100 * np.exp(np.cumsum(1.2 * moves + own))})
        for name, own in zip(names, rng.normal(0, 0.005, (len(names), len(at))), strict=True)
    ]
    return {PRICES: pd.concat(prices, ignore_index=True), **frames}


def write_folder(
    folder: Path, names: list[str], *, by_contract: bool = False, days: int = 60
) -> dict[str, pd.DataFrame]:
    """Write these frames, prices as one file or one for each contract, and return them."""
    frames = market(names, days)
    folder.mkdir(parents=True)
    for name, frame in frames.items():
        if name == PRICES and by_contract:
            (folder / PRICES).mkdir()
            for contract, own in frame.groupby("contract"):
                own.to_parquet(folder / PRICES / f"{contract}.parquet", index=False)
        else:
            frame.to_parquet(folder / f"{name}.parquet", index=False)
    return frames
