"""What tests of signals share: small worlds of contracts, and the rules of the table as a plain loop over rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.signals import COLUMNS, SignalSettings

START = pd.Timestamp("2024-01-02 14:30", tz="UTC")
World = dict[str, pd.DataFrame]


def world(rows: int = 300, contracts: int = 3, seed: int = 0, *, gaps: bool = True) -> World:
    """Return prices, VIX and S&P 500, hour by hour, contracts interleaved.

    With gaps contracts lack some stamps and some prices, the VIX and the index some hours on end.
    """
    rng = np.random.default_rng(seed)
    at = pd.date_range(START, periods=rows, freq="h").as_unit("ns")
    index = rng.normal(0, 0.003, rows)
    prices = pd.DataFrame(
        {
            "timestamp": np.repeat(at, contracts),
            "contract": np.tile([f"C{number}" for number in range(contracts)], rows),
            "price": (
                100 * np.exp(np.cumsum(index[:, None] * [0.5, 1.0, 1.5, 2.0][:contracts], axis=0)
                + np.cumsum(rng.normal(0, 0.003, (rows, contracts)), axis=0))
            ).ravel(),
        }
    )  # fmt: skip
    vix = pd.DataFrame({"timestamp": at, "vix": 15 * np.exp(np.cumsum(rng.normal(0, 0.02, rows)))})
    spx = pd.DataFrame({"timestamp": at, "spx": 4700 * np.exp(np.cumsum(index))})
    if gaps:
        prices.loc[rng.choice(len(prices), len(prices) // 20, replace=False), "price"] = np.nan
        prices = prices[rng.random(len(prices)) > 0.05].reset_index(drop=True)
        vix = vix.drop(range(40, 46)).reset_index(drop=True)
        spx = spx[rng.random(rows) > 0.1].reset_index(drop=True)
    return {"prices": prices, "vix": vix, "spx": spx}


def by_rows(prices: pd.DataFrame, vix: pd.DataFrame, spx: pd.DataFrame, settings: SignalSettings) -> pd.DataFrame:
    """Return the table by the rules as they are written, row by row; a beta only by the ratio of a row."""
    rows: list[dict[str, Any]] = []
    last: dict[str, dict[str, Any]] = {}
    priced: dict[str, dict[str, Any]] = {}
    for at, contract, price in prices[["timestamp", "contract", "price"]].itertuples(index=False):
        row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan)
        row |= {"timestamp": at, "price": price, "contract": contract, "trade_quality": "neutral"}
        for name, frame in (("VIX", vix), ("SPX", spx)):
            known = frame[(frame["timestamp"] <= at) & (frame["timestamp"] >= at - pd.Timedelta(settings.max_age))]
            if len(known):
                row[name] = known[name.lower()].iloc[-1]
        if before := last.get(contract):
            row["price_change"] = price - before["price"]
            row["price_change_pct"] = 100 * (price / before["price"] - 1)
            row["spx_change_pct"] = 100 * (row["SPX"] / before["SPX"] - 1)
        change, index = row["price_change_pct"], row["spx_change_pct"]
        if math.isnan(change) or math.isnan(index) or change == index == 0:
            row["beta"] = 1.0
        else:
            ratio = math.copysign(math.inf, change) if index == 0 else change / index
            row["beta"] = min(max(ratio, -settings.limit), settings.limit)
        row["vix_multiplier"] = row["VIX"] / settings.reference
        row["buy_threshold"] = settings.base * row["vix_multiplier"]
        row["sell_threshold"] = -row["buy_threshold"]
        if not math.isnan(change + row["VIX"]):
            row["signal"] = float(change > row["buy_threshold"]) - float(change < row["sell_threshold"])
        if not math.isnan(price):
            if earlier := priced.get(contract):
                earlier["next_price_change_pct"] = following = 100 * (price / earlier["price"] - 1)
                if earlier["signal"] in (1, -1) and following:
                    earlier["trade_quality"] = "good" if (following > 0) == (earlier["signal"] == 1) else "bad"
            priced[contract] = row
        last[contract] = row
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))
