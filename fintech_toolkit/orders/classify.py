"""What became of each order of a security on a day, and what sort of order it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.errors import DataError
from fintech_toolkit.orders.language import OrderType, Reason, Status
from fintech_toolkit.orders.settings import Market

ALL_BITS = int(sum(OrderType))
POOL_BITS = int(OrderType.CENTRE_POINT | OrderType.CROSSING | OrderType.SWEEP | OrderType.BLOCK)
"""An order with one of these may trade in the dark pool."""

TYPES = {
    OrderType.BLOCK: "block",
    OrderType.SWEEP: "sweep",
    OrderType.CROSSING: "crossing",
    OrderType.CENTRE_POINT: "centre_point",
}
"""What an order is called after the first of these bits that it has; ``"lit"`` if it has none."""

SIZES = ("tiny", "small", "medium", "large")
LARGEST = (100, 1_000, 10_000)
"""The largest quantity of each size but the last."""

FILLED, PARTLY_FILLED, NOT_EXECUTED = 1, 2, 3

BEFORE_OPEN, AUCTION, CONTINUOUS, AFTER_CLOSE = "before open", "auction", "continuous", "after close"

FINAL: dict[str, str] = {
    "order_id": "int64",
    "security_code": "int64",
    "day": "str",
    "side": "int8",
    "participantid": "int64",
    "exchangeordertype": "int32",
    "order_type": "str",
    "short_sell": "bool",
    "arrival": "datetime64[ns, UTC]",
    "arrival_sequence": "int64",
    "last": "datetime64[ns, UTC]",
    "limit_price": "int64",
    "quantity": "int64",
    "leavesquantity": "int64",
    "matched": "int64",
    "matched_before": "int64",
    "orderstatus": "int16",
    "changereason": "int16",
    "new_today": "bool",
    "state": "int8",
    "arrival_bid": "int64",
    "arrival_offer": "int64",
    "arrival_hour": "int16",
    "size": "str",
    "volume_quartile": "int8",
    "phase": "str",
}
"""Columns of `final_states` and their dtypes."""

_READ = (
    *("order_id", "sequence", "security_code", "side", "price", "leavesquantity", "totalmatchedquantity"),
    *("orderstatus", "changereason", "exchangeordertype", "participantid", "national_bid", "national_offer"),
)
"""Columns of order states that are read of an order's first or last one, besides its time."""


def first_and_last(codes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last row of each of `count` codes, in the order of the rows."""
    rows = np.arange(len(codes))
    first, last = np.empty(count, np.int64), np.empty(count, np.int64)
    first[codes[::-1]] = rows[::-1]
    last[codes] = rows
    return first, last


def final_states(orders: pd.DataFrame, market: Market) -> pd.DataFrame:
    """Return a row for each order: its last state of the day, and to which classes it belongs.

    The state of an order at a time is its last record by (timestamp, sequence): an incoming order writes two records
    at one nanosecond, before and after it was matched, and a fill can share it.

    Parameters
    ----------
    orders : DataFrame
        Order states of one security and one local day, as `fintech_toolkit.orders.language.ORDERS` has them, sorted by
        ``(timestamp, sequence)``.
    market : Market
        Zone and hours.

    Returns
    -------
    DataFrame
        A row for each order, in the order of arrival, with the columns of `FINAL`. Times are datetime64[ns, UTC];
        prices are int64 in price units, `NULL` where there is none.

        * ``quantity``: terminal, that is matched and open together, after all amendments. The field of that name in
          a record will not do: an amendment sets it to what is open from then on, so that it can be less than what
          was matched.
        * ``matched``: in all; ``matched_before``: what of it an order that was there before the day came with.
        * ``new_today``: entered on this day. Where a file does not give reasons, an order is new whose first record
          says that it is not yet on the book and has traded nothing.
        * ``state``: 1 filled, nothing is left; 2 partly filled; 3 not executed.
        * ``order_type``: ``block``, ``sweep``, ``crossing``, ``centre_point`` or ``lit``, by the bits of
          ``exchangeordertype``, the first that it has; ``short_sell`` is a bit of its own.
        * ``arrival``, ``arrival_sequence``, ``arrival_bid``, ``arrival_offer``: of its first record, with the national
          best bid and offer that this gives; ``arrival_hour``: in local time.
        * ``size``: ``tiny`` to 100, ``small`` to 1,000, ``medium`` to 10,000, ``large``.
        * ``volume_quartile``: 1 to 4, of the quantities of all orders in the frame; equal quantities are in the same.
        * ``phase``: that of its arrival, ``before open``, ``auction`` (opening or closing), ``continuous`` or
          ``after close``.

    Raises
    ------
    DataError
        If the rows are of several securities or local days, are not sorted, have bits that no order has, or an order
        changes its side.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> common = {"order_id": 7, "timestamp": pd.Timestamp("2024-09-05T01:00:00Z"), "security_code": 110621, "side": 1,
    ...           "price": 3340, "quantity": 300, "exchangeordertype": 2048, "orderstatus": 1}
    >>> states = orders.canonical(pd.DataFrame([
    ...     common | {"sequence": 1, "leavesquantity": 300, "totalmatchedquantity": 0, "orderstatus": 2},
    ...     common | {"sequence": 2, "leavesquantity": 200, "totalmatchedquantity": 100},
    ... ]), orders.ORDERS)
    >>> orders.final_states(states, orders.Market())[["order_id", "order_type", "state", "size", "phase"]]
       order_id order_type  state   size       phase
    0         7      sweep      2  small  continuous
    """
    if orders.empty:
        return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in FINAL.items()})
    columns = {name: orders[name].to_numpy() for name in _READ}
    time_ns = orders["timestamp"].to_numpy("datetime64[ns]").view("int64")
    _check(orders, time_ns, market)
    codes, ids = pd.factorize(columns["order_id"])
    first, last = first_and_last(codes, len(ids))
    opened, closed = ({name: values[rows] for name, values in columns.items()} for rows in (first, last))

    turned = np.flatnonzero(columns["side"] != opened["side"][codes])
    if turned.size:
        row = int(turned[0])
        raise DataError(
            f"Order {orders['order_id'].iloc[row]} changes its 'side' at {orders['timestamp'].iloc[row]} (row {row}): "
            "an order has one; look for two feeds in one file."
        )

    arrival, end = (pd.DatetimeIndex(time_ns[rows].view("datetime64[ns]"), tz="UTC") for rows in (first, last))
    local = arrival.tz_convert(market.zone)
    matched, leaves = closed["totalmatchedquantity"], closed["leavesquantity"]
    quantity = matched + leaves
    bits = closed["exchangeordertype"]
    of_type = np.select([bits & bit != 0 for bit in TYPES], range(len(TYPES)), default=len(TYPES))
    new = _new_today(columns["changereason"], codes, opened)
    found = {
        "order_id": ids,
        "security_code": opened["security_code"],
        "day": _texts([local[0].date().isoformat()], np.zeros(len(ids), np.int64)),
        "side": opened["side"],
        "participantid": closed["participantid"],
        "exchangeordertype": bits,
        "order_type": _texts([*TYPES.values(), "lit"], of_type),
        "short_sell": bits & OrderType.SHORT_SELL != 0,
        "arrival": arrival,
        "arrival_sequence": opened["sequence"],
        "last": end,
        "limit_price": closed["price"],
        "quantity": quantity,
        "leavesquantity": leaves,
        "matched": matched,
        "matched_before": np.where(new, 0, opened["totalmatchedquantity"]),
        "orderstatus": closed["orderstatus"],
        "changereason": closed["changereason"],
        "new_today": new,
        "state": np.select([matched == 0, leaves == 0], [NOT_EXECUTED, FILLED], default=PARTLY_FILLED),
        "arrival_bid": opened["national_bid"],
        "arrival_offer": opened["national_offer"],
        "arrival_hour": local.hour.to_numpy(),
        "size": _texts(SIZES, np.searchsorted(LARGEST, quantity)),
        "volume_quartile": np.searchsorted(np.quantile(quantity, [0.25, 0.5, 0.75]), quantity) + 1,
        "phase": phases(local, market),
    }
    whole = {name: each.astype(FINAL[name]) if isinstance(each, np.ndarray) else each for name, each in found.items()}
    return pd.DataFrame(whole, copy=False)


def _texts(names: Sequence[str], codes: np.ndarray) -> Any:
    """Return one of some texts for each code, without a text of Python's for each."""
    return pd.array(list(names), dtype="str").take(codes)


def phases(local: pd.DatetimeIndex, market: Market) -> Any:
    """Return the phase of the session at each local time."""
    bounds = [_seconds(at) for at in (market.pre_opens, market.opens, market.closes, market.ends)]
    # By the clock on the wall, not by what has passed since midnight: at a change of clock these differ.
    since = local.tz_localize(None).to_numpy("datetime64[s]").astype("int64") % 86_400
    return _texts(
        [BEFORE_OPEN, AUCTION, CONTINUOUS, AUCTION, AFTER_CLOSE], np.searchsorted(bounds, since, side="right")
    )


def _seconds(at: time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second


def _new_today(reasons: np.ndarray, codes: np.ndarray, opened: Mapping[str, np.ndarray]) -> np.ndarray:
    if reasons.any():
        new = np.zeros(len(opened["order_id"]), bool)
        new[codes[reasons == Reason.NEW]] = True
        return new
    incoming: np.ndarray = (opened["orderstatus"] == Status.NOT_ON_BOOK) & (opened["totalmatchedquantity"] == 0)
    return incoming


def _check(orders: pd.DataFrame, time_ns: np.ndarray, market: Market) -> None:
    sequence = orders["sequence"].to_numpy()
    steps = np.diff(time_ns)
    back = (steps < 0) | ((steps == 0) & (np.diff(sequence) < 0))
    if back.any():
        row = int(np.argmax(back)) + 1
        raise DataError(
            f"Order states are not sorted by (timestamp, sequence): row {row} ({orders['timestamp'].iloc[row]}, "
            f"{sequence[row]}) comes after a later one. Sort them."
        )
    securities = orders["security_code"].unique()
    ends = orders["timestamp"].iloc[[0, -1]].dt.tz_convert(market.zone).dt.date
    if len(securities) > 1 or ends.iloc[0] != ends.iloc[1]:
        raise DataError(
            f"Order states are of securities {sorted(securities.tolist())} from {ends.iloc[0]} to {ends.iloc[1]} in "
            f"{market.zone}: states of one security and one local day are taken at a time."
        )
    strange = np.flatnonzero(orders["exchangeordertype"].to_numpy() & ~ALL_BITS)
    if strange.size:
        row = int(strange[0])
        raise DataError(
            f"'exchangeordertype' is {orders['exchangeordertype'].iloc[row]} in row {row} (order "
            f"{orders['order_id'].iloc[row]}): bits other than {ALL_BITS} are not known. Is the column another?"
        )
