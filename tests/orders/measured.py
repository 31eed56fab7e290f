"""Small markets for what is measured: a builder of frames, and a market drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.orders.aggregates import Aggregates, Summary
from fintech_toolkit.orders.comparison import compare
from fintech_toolkit.orders.language import NULL
from fintech_toolkit.orders.settings import Market, Simulation
from fintech_toolkit.orders.unmatched import unmatched

START = pd.Timestamp("2024-09-05 10:00", tz="Australia/Sydney").tz_convert("UTC").as_unit("ns")
DAY = "2024-09-05"


def at(seconds: float | Sequence[float]) -> Any:
    """Return times so many seconds after the opening."""
    return START + pd.to_timedelta(seconds, unit="s").as_unit("ns")


def nbbo(rows: Sequence[tuple[float, float, float]]) -> pd.DataFrame:
    """Return best bids and offers: seconds, bid, offer."""
    seconds, bid, offer = (list(column) for column in zip(*rows, strict=True))
    frame = pd.DataFrame({"timestamp": at(seconds), "bid": bid, "offer": offer}).astype(
        {"bid": "int64", "offer": "int64"}
    )
    locked, crossed = frame["bid"] == frame["offer"], frame["bid"] > frame["offer"]
    return frame.assign(mid=(frame["bid"] + frame["offer"]) / 2, locked=locked, crossed=crossed)


def fills(rows: Sequence[tuple[int, float, int, float]]) -> pd.DataFrame:
    """Return fills: order, seconds, quantity, price."""
    ids, seconds, quantity, price = ([*column] for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    frame = pd.DataFrame({"order_id": ids, "timestamp": at(seconds), "quantity": quantity, "price": price})
    return frame.astype({"order_id": "int64", "quantity": "int64"}).assign(sequence=range(len(frame)))


def final(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return final states; what a row leaves out is that of a buy of 100 at 1010 that arrived at the opening."""
    usual = {
        "security_code": 110621,
        "day": DAY,
        "side": 1,
        "participantid": 7,
        "order_type": "sweep",
        "quantity": 100,
        "limit_price": 1010,
        "arrival_bid": 990,
        "arrival_offer": 1010,
        "arrival_hour": 10,
        "size": "tiny",
        "volume_quartile": 1,
        "state": 1,
        "since": 0.0,
        "until": 100.0,
    }
    frame = pd.DataFrame([usual | row for row in rows])
    frame["arrival"], frame["last"] = (at(frame.pop(name).tolist()) for name in ("since", "until"))
    return frame


def drawn(seed: int, orders: int = 60) -> dict[str, pd.DataFrame]:
    """Return final states, real fills of all they had, simulated fills of some of it, and quotes: all at random."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-1, 2, 400).cumsum() * 10 + 3000
    quotes = nbbo([(second, bid, bid + 10 * rng.integers(1, 4)) for second, bid in zip(range(400), steps, strict=True)])
    states, real, simulated = [], [], []
    for number in range(orders):
        order_id = 7_904_794_000_124_046_634 + number
        since = float(rng.integers(1, 200))
        price = float(quotes["mid"].iloc[int(since)])
        side, quantity = int(rng.integers(1, 3)), int(rng.integers(5, 3000))
        quote = quotes.iloc[int(since)]
        states.append(
            {
                "order_id": order_id,
                "side": side,
                "since": since,
                "until": since + 150,
                "quantity": quantity,
                "limit_price": NULL if number % 9 == 0 else int(price) + (30 if side == 1 else -30),
                "arrival_bid": NULL if number % 11 == 0 else int(quote["bid"]),
                "arrival_offer": int(quote["offer"]),
                "arrival_hour": 10 + number % 5,
                "size": ["tiny", "small", "medium"][number % 3],
                "participantid": 5 + number % 4,
            }
        )
        for found, share in ((real, 1.0), (simulated, 0.6)):
            left = int(quantity * share) if number % 7 or share == 1 else 0
            times = iter(since + np.sort(rng.uniform(0, 150, 50)))
            while left > 0:
                many = int(rng.integers(1, left + 1))
                found.append((order_id, float(next(times)), many, price + 5 * int(rng.integers(-6, 7))))
                left -= many
    return {"final": final(states), "real": fills(real), "simulated": fills(simulated), "nbbo": quotes}


Day = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
LEFT_OUT = {"filled on arrival": 2, "without trades": 3}


def analysed(number: int) -> Day:
    """Return what one of three securities shows on one of four days."""
    market = drawn(number)
    about = {"security_code": 100 + number % 3, "day": f"2024-09-{2 + number // 3:02}"}
    shift = number * 1000
    final = market["final"].assign(**about, order_id=market["final"]["order_id"] + shift)
    real, simulated = (market[kind].assign(order_id=market[kind]["order_id"] + shift) for kind in ("real", "simulated"))
    ids = final["order_id"]
    value = (real["price"] * real["quantity"]).groupby(real["order_id"]).sum()
    final["traded"] = real.groupby("order_id")["quantity"].sum().reindex(ids).to_numpy()
    final["trade_vwap"] = value.reindex(ids).to_numpy() / final["traded"]
    final["state"] = np.where(np.arange(len(final)) % 5 == 0, 2, 1)
    final["qualifies"] = True
    to_fill = final.set_index("order_id")["quantity"]
    metrics = compare(final, real, {"mid": simulated, "half": simulated.iloc[::2]}, market["nbbo"], Market(), to_fill)
    filled = simulated.groupby("order_id")["quantity"].sum().reindex(ids, fill_value=0).to_numpy()
    sweeps = pd.DataFrame({"order_id": ids, "quantity_to_fill": final["quantity"], "filled_mid": filled})
    return final, metrics, unmatched(final, sweeps, market["nbbo"], Simulation(), Market())


def added(summaries: list[Summary]) -> Aggregates:
    """Return the aggregates of them all."""
    made = Aggregates(Market(units_per_currency=1000))
    for summary in summaries:
        made.add(summary)
    return made
