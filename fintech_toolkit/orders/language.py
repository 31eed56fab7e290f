"""The exchange's language: codes, bits and columns of order states, trades and quotes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

import pandas as pd

from fintech_toolkit.errors import ColumnError

NULL = -(2**63)
"""What stands in an integer column where there is nothing: no price, or a column that the file does not have."""


class OrderType(IntFlag):
    """Bits of ``exchangeordertype``; none of them is a plain lit order."""

    LIT = 0
    SHORT_SELL = 2
    CENTRE_POINT = 64
    CROSSING = 256
    SWEEP = 2048
    BLOCK = 4096


class Status(IntEnum):
    """Codes of ``orderstatus``."""

    ON_BOOK = 1
    NOT_ON_BOOK = 2
    UNTRIGGERED = 3
    INACTIVE = 4


class Reason(IntEnum):
    """Codes of ``changereason``: why a record was written."""

    CANCELLED = 1
    TRADED = 3
    USER_UPDATE = 5
    NEW = 6
    MARKET_ORDER_CONVERTED = 7
    MARKET_ORDER_CONVERTED_TO_LIMIT = 8
    SYSTEM_CANCEL = 9
    DAY_PURGE = 24
    RELOADED_NEXT_DAY = 30
    UNDISCLOSED_BECAME_REGULAR = 39
    SWEEP_RELOADED = 50


class DealSource(IntEnum):
    """Codes of ``dealsource``: how a trade came about."""

    LIT_CONTINUOUS = 1
    OFF_MARKET_REPORT = 5
    OPENING_AUCTION = 20
    BOOK_TRADE = 44
    BOOK_TRADE_REPORTED = 45
    PREFERENCE = 46
    CENTRE_POINT = 47
    CENTRE_POINT_BOOK_TRADE = 48
    CENTRE_POINT_PREFERENCE = 49
    BLOCK = 50
    BLOCK_REPORTED = 51
    BLOCK_PREFERENCE = 52


LIT_DEALS = frozenset({DealSource.LIT_CONTINUOUS})
DARK_DEALS = frozenset(
    {DealSource.CENTRE_POINT, DealSource.CENTRE_POINT_BOOK_TRADE, DealSource.CENTRE_POINT_PREFERENCE}
)
AUCTION_DEALS = frozenset({DealSource.OPENING_AUCTION})


class Side(IntEnum):
    """Codes of ``side``."""

    BUY = 1
    SELL = 2


class Role(IntEnum):
    """Codes of ``passiveaggressive``: which side of a trade rested."""

    PASSIVE = 0
    AGGRESSIVE = 1
    NEITHER = 2


@dataclass(frozen=True)
class Column:
    """A column of a canonical frame.

    Attributes
    ----------
    dtype : str
        NumPy's, or ``"time"``: nanoseconds in UTC.
    missing : int or None
        What stands in a frame whose file does not have the column; None if every file must.
    """

    dtype: str
    missing: int | None = None


ORDERS: dict[str, Column] = {
    "order_id": Column("int64"),
    "timestamp": Column("time"),
    "sequence": Column("int64", NULL),
    "security_code": Column("int64"),
    "side": Column("int8"),
    "price": Column("int64"),
    "quantity": Column("int64"),
    "leavesquantity": Column("int64"),
    "totalmatchedquantity": Column("int64"),
    "orderstatus": Column("int16"),
    "changereason": Column("int16", 0),
    "ordertype": Column("int16", 0),
    "exchangeordertype": Column("int32"),
    "participantid": Column("int64", NULL),
    "national_bid": Column("int64", NULL),
    "national_offer": Column("int64", NULL),
    "bid": Column("int64", NULL),
    "offer": Column("int64", NULL),
    "midtick": Column("int16", 0),
    "minimumquantity": Column("int64", 0),
    "singlefillminimumquantity": Column("int64", 0),
    "crossingkey": Column("int64", 0),
}
"""A row for each change of an order's state; the state at a time is the last by timestamp, then sequence."""

TRADES: dict[str, Column] = {
    "order_id": Column("int64"),
    "timestamp": Column("time"),
    "sequence": Column("int64", NULL),
    "security_code": Column("int64"),
    "side": Column("int8"),
    "price": Column("int64"),
    "quantity": Column("int64"),
    "participantid": Column("int64", NULL),
    "dealsource": Column("int16"),
    "matchgroupid": Column("int64"),
    "passiveaggressive": Column("int16", int(Role.NEITHER)),
    "national_bid": Column("int64", NULL),
    "national_offer": Column("int64", NULL),
}
"""A row for each side of a trade; both have the same match group."""

QUOTES: dict[str, Column] = {
    "timestamp": Column("time"),
    "security_code": Column("int64"),
    "national_bid": Column("int64"),
    "national_offer": Column("int64"),
}
"""A row for each change of the national best bid and offer."""

OTHER_NAMES: dict[str, str] = {
    "orderid": "order_id",
    "securitycode": "security_code",
    "security_id": "security_code",
    "tradetime": "timestamp",
    "tradeprice": "price",
    "nationalbidpricesnapshot": "national_bid",
    "nationalofferpricesnapshot": "national_offer",
}
"""Names that files have for columns, in lower case."""


def canonical(frame: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Return a frame as a canonical one: all columns, with what stands for those that are missing, of their dtypes.

    Parameters
    ----------
    frame : DataFrame
        With canonical names; times are datetimes in UTC or int64 nanoseconds.
    columns : mapping
        `ORDERS`, `TRADES` or `QUOTES`.

    Returns
    -------
    DataFrame
        Sorted by ``timestamp``, then ``sequence`` and ``order_id`` where it has them, with a RangeIndex.

    Raises
    ------
    ColumnError
        If a column is missing that every file must have.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> quote = {"timestamp": 1725494400000000000, "security_code": 7, "national_bid": 3330, "national_offer": 3340}
    >>> orders.canonical(pd.DataFrame([quote]), orders.QUOTES)["timestamp"][0]
    Timestamp('2024-09-05 00:00:00+0000', tz='UTC')
    """
    made: dict[str, pd.Series] = {}
    for name, column in columns.items():
        dtype: Any = "datetime64[ns, UTC]" if column.dtype == "time" else column.dtype
        if name in frame:
            values = frame[name]
            made[name] = (pd.to_datetime(values, utc=True) if column.dtype == "time" else values).astype(dtype)
        elif frame.empty:
            made[name] = pd.Series(dtype=dtype)
        elif column.missing is None:
            raise ColumnError(f"Column {name!r} is missing; there are {sorted(frame.columns)}.")
        else:
            made[name] = pd.Series(column.missing, index=frame.index, dtype=dtype)
    by = [name for name in ("timestamp", "sequence", "order_id") if name in columns]
    return pd.DataFrame(made).sort_values(by, kind="stable", ignore_index=True)
