"""Small files of orders for tests: records that are right, and ways in which they are not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fintech_toolkit.orders.reading import Source, parts_of, pieces

ZONE = "Australia/Sydney"
AT = 1_725_494_400_000_000_001
"""10:00 on 2024-09-05 in Sydney, and a nanosecond that float64 cannot hold."""
NAMES = [
    *("order_id", "timestamp", "sequence", "security_code", "side", "price", "quantity", "leavesquantity"),
    *("totalmatchedquantity", "orderstatus", "exchangeordertype", "note"),
]
TRADE_NAMES = [
    *("sequence", "tradetime", "securitycode", "orderid", "dealsource", "matchgroupid", "tradeprice", "quantity"),
    "side",
]

Parted = tuple[list[tuple[int, int]], list[tuple[int, str]], int]


def order(number: int = 0, **other: object) -> dict[str, str]:
    """Return an order state: the number tells its order, time and sequence."""
    values = (7_904_794_000_000_000_001 + number, AT + number, number, 110_621, 1, 3340, 100, 100, 0, 1, 2048, "")
    return {name: str(value) for name, value in {**dict(zip(NAMES, values, strict=True)), **other}.items()}


def text(rows: Iterable[dict[str, str]], names: Iterable[str] = NAMES, end: str = "\n") -> str:
    names = list(names)
    return end.join([",".join(names), *(",".join(row[name] for name in names) for row in rows)]) + end


def parted(path: Path, kind: str = "orders", size: int = 2**30) -> Parted:
    """Return line and id of each row that is taken, line and reason of the others, and how many there are."""
    taken, rejected, rows = [], [], 0
    for part in parts_of(Source(str(path), kind), size):
        for piece in pieces(part, ZONE):
            rows += piece.rows
            taken += list(zip(piece.lines.tolist(), piece.taken["order_id"].to_pylist(), strict=True))
            rejected += [(line, why) for line, why, _ in piece.rejected]
    return taken, rejected, rows
