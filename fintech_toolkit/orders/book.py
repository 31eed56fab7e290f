"""The lit book at a time, as far as a file holds its orders: who rests, in priority, and how much on each level."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fintech_toolkit.orders.classify import POOL_BITS
from fintech_toolkit.orders.language import OrderType, Side, Status

NEVER_LIT = POOL_BITS & ~int(OrderType.SWEEP)
"""An order with one of these rests in the dark pool only; what a sweep does not find there rests on the lit book."""


def book(orders: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """Return the lit orders that rest at a time, each side in priority: price, then time.

    The state of an order is its last record at or before the time. It has its place since the record that put it on
    the book; a later one that changes its price, or raises what it matched and what is open together, gives it another.

    Parameters
    ----------
    orders : DataFrame
        Order states of one security and day, canonical and sorted.
    at : Timestamp
        With a time zone.

    Returns
    -------
    DataFrame
        A row for each order, bids first: ``side``, ``level`` (from 1, the best price of the side), ``price`` (int64),
        ``position`` (in the queue of the level, from 1), ``order_id``, ``quantity`` (int64, what is open) and
        ``since`` (datetime64[ns, UTC]).

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> common = {"timestamp": pd.Timestamp("2024-09-05T01:00:00Z"), "security_code": 110621, "quantity": 100,
    ...           "leavesquantity": 100, "totalmatchedquantity": 0, "orderstatus": 1, "exchangeordertype": 0}
    >>> states = orders.canonical(pd.DataFrame([
    ...     common | {"order_id": 1, "sequence": 1, "side": 1, "price": 3320},
    ...     common | {"order_id": 2, "sequence": 2, "side": 1, "price": 3330},
    ...     common | {"order_id": 3, "sequence": 3, "side": 1, "price": 3330},
    ... ]), orders.ORDERS)
    >>> orders.book(states, common["timestamp"])[["level", "price", "position", "order_id"]]
       level  price  position  order_id
    0      1   3330         1         2
    1      1   3330         2         3
    2      2   3320         1         1
    """
    lit = (orders["exchangeordertype"].to_numpy() & NEVER_LIT == 0) & (orders["price"].to_numpy() > 0)
    seen = orders[lit & (orders["timestamp"] <= at).to_numpy()].reset_index(drop=True)
    states = seen.sort_values("order_id", kind="stable")
    ids, price = states["order_id"].to_numpy(), states["price"].to_numpy()
    size = (states["totalmatchedquantity"] + states["leavesquantity"]).to_numpy()
    resting = (states["orderstatus"] == Status.ON_BOOK).to_numpy()
    came = np.ones(len(states), bool)
    came[1:] = (np.diff(ids) != 0) | ~resting[:-1] | (np.diff(price) != 0) | (np.diff(size) > 0)
    placed = np.maximum.accumulate(np.where(came, np.arange(len(states)), 0))
    # Rows are in the order of (timestamp, sequence): that of the record which gave the place is the place.
    last = states.assign(place=states.index.to_numpy()[placed]).drop_duplicates("order_id", keep="last")
    last = last[(last["orderstatus"] == Status.ON_BOOK) & (last["leavesquantity"] > 0)]
    worse = np.where(last["side"] == Side.BUY, -last["price"], last["price"])
    last = last.assign(worse=worse).sort_values(["side", "worse", "place"])
    sides = last.groupby("side")["worse"]
    return pd.DataFrame(
        {
            "side": last["side"].to_numpy(),
            "level": sides.rank(method="dense").astype("int64").to_numpy(),
            "price": last["price"].to_numpy(),
            "position": last.groupby(["side", "worse"]).cumcount().to_numpy() + 1,
            "order_id": last["order_id"].to_numpy(),
            "quantity": last["leavesquantity"].to_numpy(),
            "since": seen["timestamp"].array[last["place"].to_numpy()],
        }
    )


def depth(orders: pd.DataFrame, at: pd.Timestamp) -> pd.DataFrame:
    """Return how much rests on each level of the lit book at a time.

    Parameters
    ----------
    orders, at
        As for `book`.

    Returns
    -------
    DataFrame
        A row for each level, bids first, the best first: ``side``, ``level``, ``price``, ``quantity`` (int64) and
        ``orders`` (how many).

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> state = {"order_id": 1, "timestamp": pd.Timestamp("2024-09-05T01:00:00Z"), "security_code": 110621, "side": 2,
    ...          "price": 3340, "quantity": 100, "leavesquantity": 100, "totalmatchedquantity": 0, "orderstatus": 1,
    ...          "exchangeordertype": 0}
    >>> orders.depth(orders.canonical(pd.DataFrame([state]), orders.ORDERS), state["timestamp"])
       side  level  price  quantity  orders
    0     2      1   3340       100       1
    """
    levels = book(orders, at).groupby(["side", "level", "price"], as_index=False)
    return levels.agg(quantity=("quantity", "sum"), orders=("order_id", "size"))
