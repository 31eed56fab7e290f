"""Ticks to draw any kernel on, made of what it declares that it reads: the busiest bond of a generated market."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

import numpy as np
import pandas as pd

import data_generators
from fintech_toolkit.checking.ticks import START, Ticks, dtypes_of, market
from fintech_toolkit.checking.ticks import values as made_up
from fintech_toolkit.scan.declaration import Kernel

ROWS = 400
_LOT = 100_000
"""What sizes are counted in: in lots, parameters under which kernels are tested suit them."""
_PER_BAR = 5
_NEXT = {"bid": -0.02, "ask": 0.02, "price": 0.1, "maturity": 0.25}
"""By how much a column is off the one before, where a kernel reads several of a name: levels of a book, a curve."""


@lru_cache(maxsize=1)
def _bond() -> pd.DataFrame:
    """Trades in the busiest bond with the quote that stood before each, and the mid of the next busiest."""
    quotes, trades = (data_generators.sample(name, 12 * ROWS) for name in ("quotes", "trades"))
    quotes["mid"] = (quotes["bid"] + quotes["ask"]) / 2
    first, second = quotes["symbol"].value_counts().index[:2]
    other = quotes.loc[quotes["symbol"] == second, ["ts", "mid"]].rename(columns={"mid": "other"})
    own = quotes[quotes["symbol"] == first].drop(columns=["symbol", "dealer"])
    traded = trades[trades["symbol"] == first]
    met = pd.merge_asof(pd.merge_asof(traded, own, on="ts"), other, on="ts").dropna(subset=["mid", "other"])
    return met.head(ROWS).reset_index(drop=True)


@lru_cache(maxsize=1)
def _columns() -> Ticks:
    """Columns by what kernels call them. Those that no bond has are made of the bond's."""
    bond, random = _bond(), np.random.default_rng(0)
    rows = len(bond)
    found: Ticks = {name: bond[name].to_numpy() for name in ("price", "side", "bid", "ask", "mid")}
    mid, other, price, side = found["mid"], bond["other"].to_numpy(), found["price"], found["side"]
    ts = START + (bond["ts"] - bond["ts"].iloc[0]).to_numpy().astype("timedelta64[ns]").astype(np.int64)
    size = bond["size"].to_numpy() / _LOT
    noise = random.normal(size=(5, rows))
    change = np.diff(np.log(mid), prepend=np.log(mid[0]))
    bars = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(_PER_BAR - 1, mid[0]), mid]), _PER_BAR)
    slow = pd.Series(mid).ewm(span=50).mean().to_numpy()
    begun = mid[np.arange(rows) // 50 * 50]  # an order every 50 trades
    wave = np.sin(np.arange(rows) / 25)
    delay = np.exp(15 + noise[0] / 2).astype(np.int64)  # about 3 ms
    rate = 1.1 * np.exp(np.cumsum(noise[0]) * 1e-5)
    found = market(rows, random) | found
    return found | {
        "ts": ts,
        "x": mid,
        "y": other,
        "price_a": mid,
        "price_b": other,
        "r": change,
        "returns": change,
        "fx_return": 0.5 * change + 1e-4 * noise[1],
        "pnl": change * 1e4,
        "equity": 100 + np.cumsum(change) * 1e4,
        "spread": mid - slow,
        "size": size,
        "bid_size": bond["bid_size"].to_numpy() / _LOT,
        "ask_size": bond["ask_size"].to_numpy() / _LOT,
        "volume": size,
        "own_size": np.where(random.random(rows) < 0.1, size, 0.0),
        "order_size": np.full(rows, 50.0),
        "notional": size * price,
        "signed_volume": side * size,
        "best_bid": found["bid"],
        "best_ask": found["ask"],
        "open": bars[:, 0],
        "high": bars.max(axis=1),
        "low": bars.min(axis=1),
        "close": bars[:, -1],
        "reference": slow,
        "arrival": begun,
        "decision": begun - 0.01,
        "later": np.append(mid[20:], np.full(20, mid[-1])),
        "spot": mid - 0.05,
        "forward": mid + 0.15 + 0.05 * wave,
        "funding_rate": 1e-4 * (1 + wave),
        "quote_rate": 0.05 + 1e-3 * wave,
        "base_rate": np.full(rows, 0.03),
        "years": np.full(rows, 0.25),
        "maturity": np.full(rows, 0.25),
        "open_interest": 1e6 + 1e3 * np.cumsum(noise[2]),
        "position": np.round(30 * wave),
        "imbalance": wave,
        "signal": np.sign(np.round(wave)),
        "lower": np.full(rows, mid.min() + 0.25 * np.ptp(mid)),
        "upper": np.full(rows, mid.min() + 0.75 * np.ptp(mid)),
        "vix": 15 + np.abs(np.cumsum(noise[3])) / 4,
        "vol": 1 + 0.5 * wave,
        "mean": 0.01 * wave,
        "variance": np.full(rows, 0.04),
        "sd": np.full(rows, 0.2),
        "skew": wave,
        "kurt": 3 + wave,
        "exchange_ts": ts - delay,
        "local_ts": ts,
        "start": ts - delay,
        "end": ts,
        "now": ts + 20 * delay,
        "rate": rate,
        "ab_bid": rate - 1e-4,
        "ab_ask": rate + 1e-4,
        "bc_bid": 150 * (1 - 1e-4 + 1e-5 * noise[1]),
        "bc_ask": 150 * (1 + 1e-4 + 1e-5 * noise[1]),
        "ac_bid": 150 * rate * (1 - 1e-4 + 1e-4 * noise[2]),
        "ac_ask": 150 * rate * (1 + 1e-4 + 1e-4 * noise[2]),
    }


def sample_ticks(kernel: Kernel) -> Ticks:
    """Return a column for each that a kernel reads, by the names of `columns_of`, and the times ``ts`` besides.

    What is read by a name of its own, which nothing above goes by, is a walk, or whatever its dtype asks for.
    """
    known, random, taken = _columns(), np.random.default_rng(1), Counter[str]()
    drawn: Ticks = {"ts": known["ts"]}
    for name, dtype in dtypes_of(kernel).items():
        role = re.sub(r"_\d+$", "", name)
        values = known[role] if role in known else made_up(role, dtype, len(known["ts"]), random)
        values = values.astype(dtype)
        level = taken[role]
        drawn[name] = values + _NEXT[role] * level if role in _NEXT else np.roll(values, 50 * level)
        taken[role] += 1
    if "leg" in kernel.reads:
        drawn["price"] = np.where(drawn["leg"] == 0, known["price_a"], known["price_b"])
    return drawn


@lru_cache(maxsize=1)
def sample_market() -> pd.DataFrame:
    """Return ``symbol``, ``ts`` and ``x``, the logarithm of the mid price less its first, of the five busiest bonds."""
    quotes = data_generators.sample("quotes", 12 * ROWS)
    quotes = quotes[quotes["symbol"].isin(quotes["symbol"].value_counts().index[:5])]
    mid = np.log((quotes["bid"] + quotes["ask"]) / 2)
    moved = mid - mid.groupby(quotes["symbol"]).transform("first")
    return quotes[["symbol", "ts"]].assign(x=moved).reset_index(drop=True)
