"""Small markets written out by hand, and the recorded day: canonical frames for the tests of orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fintech_toolkit import orders
from fintech_toolkit.orders.reading import read_orders, read_trades

SECURITY = 110621
OPEN = pd.Timestamp("2024-09-05T00:00:00Z").value
"""Ten in the morning in Sydney."""

SWEEP, CENTRE_POINT, BLOCK, LIT = 2048, 64, 4096, 0
BUY, SELL = 1, 2
ON, OFF = 1, 2
NEW, TRADED, UPDATE, CANCELLED = 6, 3, 5, 1


def frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any]) -> pd.DataFrame:
    absent = {name: column.missing for name, column in columns.items() if column.missing is not None}
    records = [{**absent, "sequence": i, **row} for i, row in enumerate(rows)]
    return orders.canonical(pd.DataFrame(records), columns)


def state(order_id: int, at: int, **fields: Any) -> dict[str, Any]:
    """Return an order's record, so many nanoseconds after the opening: by default a centre-point order on the book."""
    fields = {
        "price": 3340,
        "side": SELL,
        "leavesquantity": 100,
        "totalmatchedquantity": 0,
        "orderstatus": ON,
        "changereason": UPDATE,
        "exchangeordertype": CENTRE_POINT,
        "participantid": order_id,
    } | fields
    fields.setdefault("quantity", fields["leavesquantity"])
    return {"order_id": order_id, "timestamp": OPEN + at, "security_code": SECURITY, **fields}


def states(*records: dict[str, Any]) -> pd.DataFrame:
    """Return the records as a frame; their sequence is the order in which they are written."""
    return frame(records, orders.ORDERS)


def trade(match: int, at: int, buyer: int, seller: int, quantity: int, price: int, deal: int) -> list[dict[str, Any]]:
    """Return both sides of a trade."""
    common = {
        "timestamp": OPEN + at,
        "security_code": SECURITY,
        "price": price,
        "quantity": quantity,
        "dealsource": deal,
        "matchgroupid": match,
    }
    return [common | {"order_id": buyer, "side": BUY}, common | {"order_id": seller, "side": SELL}]


def trades(*matches: list[dict[str, Any]]) -> pd.DataFrame:
    return frame([side for match in matches for side in match], orders.TRADES)


def local_days(frame: pd.DataFrame) -> pd.Series:
    return frame["timestamp"].dt.tz_convert("Australia/Sydney").dt.date.astype(str)


def recorded(folder: Path, day: str = "2024-09-05") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the order states and the trades of the recorded security on a local day.

    What the states lack and no record of an order changes, such as its minimum quantity, comes from the final states.
    """
    records = read_orders(folder / "asx_day" / "orders.parquet")
    final = pd.read_parquet(folder / "asx_day" / "orders_final.parquet").drop_duplicates("order_id", keep="last")
    terms = final.set_index("order_id").loc[records["order_id"]]
    for name in ("midtick", "minimumquantity", "singlefillminimumquantity"):
        records[name] = terms[name].to_numpy().astype(records[name].dtype)
    sides = read_trades(folder / "asx_day" / "trades.csv.gz")
    of_day = [frame[local_days(frame) == day].reset_index(drop=True) for frame in (records, sides)]
    return of_day[0], of_day[1]
