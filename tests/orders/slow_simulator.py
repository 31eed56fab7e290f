"""The simulated dark pool once more: slow, one order after the other, written from its rules and not from its code."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from fintech_toolkit.orders import NULL, Market

POOL = {64, 256, 2048, 4096}
Match = tuple[int, int, int, int, float]
"""Order, contra, nanosecond, quantity, price."""


@dataclass(eq=False)
class Order:
    """All that is known of an order, and what the pool knows of it at the moment."""

    records: list[dict[str, Any]]
    trades: list[dict[str, Any]]
    used: int = 0
    place: int = 0
    terms: dict[str, Any] = field(default_factory=dict)
    inventory: int = 0
    simulated: bool = False

    @property
    def id(self) -> int:
        return int(self.records[0]["order_id"])

    @property
    def buys(self) -> bool:
        return bool(self.records[0]["side"] == 1)

    @property
    def arrival(self) -> int:
        return int(self.records[0]["timestamp"])

    @property
    def last(self) -> int:
        return int(self.records[-1]["timestamp"])

    @property
    def terminal(self) -> int:
        return size(self.records[-1])

    def left(self) -> int:
        missing = self.terminal - min(size(self.terms), self.terminal)
        return self.inventory - missing - self.used

    def minimum(self, left: int) -> int:
        return 0 if left < self.terms["minimumquantity"] else int(self.terms["minimumquantity"])

    def limit(self, tick: int) -> float:
        """Return the worst price at which it trades."""
        worst = float("inf") if self.buys else 0.0
        if self.terms["price"] <= 0:
            return worst
        half = tick / 2 if self.terms["midtick"] in (1, 4, 6) else 0
        return float(self.terms["price"] + (half if self.buys else -half))

    def accepts(self, price: float, tick: int) -> bool:
        return price <= self.limit(tick) if self.buys else price >= self.limit(tick)

    def rank(self, tick: int) -> tuple[float, int]:
        return (-self.limit(tick) if self.buys else self.limit(tick), self.place)


def size(record: dict[str, Any]) -> int:
    return int(record["totalmatchedquantity"] + record["leavesquantity"])


def read(states: pd.DataFrame, trades: pd.DataFrame) -> dict[int, Order]:
    """Return the orders that may trade in the pool, with what they may trade there."""
    rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in states.assign(timestamp=states["timestamp"].astype("int64")).to_dict("records"):
        rows[record["order_id"]].append(record)
    sides: dict[int, list[dict[str, Any]]] = defaultdict(list)
    groups: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for trade in trades.assign(timestamp=trades["timestamp"].astype("int64")).to_dict("records"):
        sides[trade["order_id"]].append(trade)
        groups[trade["matchgroupid"]].append(trade)
    pool = {
        order_id: Order(records, sides[order_id])
        for order_id, records in rows.items()
        if any(records[-1]["exchangeordertype"] & bit for bit in POOL)
    }
    for order in pool.values():
        last = order.records[-1]
        order.simulated = bool(
            last["exchangeordertype"] & 2048
            and last["leavesquantity"] == 0
            and last["totalmatchedquantity"] > 0
            and last["changereason"] == 3
            and any(record["changereason"] == 6 for record in order.records)
            and all(trade["dealsource"] != 20 for trade in order.trades)
            and to_fill(order) > 0
        )
    for order in pool.values():
        real = sum(
            trade["quantity"]
            for trade in order.trades
            if not any(
                side["order_id"] in pool
                and pool[side["order_id"]].simulated
                and side["timestamp"] > pool[side["order_id"]].arrival
                for side in groups[trade["matchgroupid"]]
            )
        )
        order.inventory = to_fill(order) if order.simulated else order.terminal - real
    return pool


def to_fill(order: Order) -> int:
    return int(sum(trade["quantity"] for trade in order.trades if trade["timestamp"] > order.arrival))


def exchange(
    states: pd.DataFrame, trades: pd.DataFrame, quotes: pd.DataFrame, market: Market, own_participant: bool
) -> list[Match]:
    """Run a day by the exchange's rules; return its matches."""
    pool = read(states, trades)
    mids = {
        time.value: None if min(bid, offer) <= 0 or bid > offer else (bid + offer) / 2
        for time, bid, offer in zip(quotes["timestamp"], quotes["national_bid"], quotes["national_offer"], strict=True)
    }
    opens, closes = hours(states, market)
    changes: dict[int, dict[Order, dict[str, Any]]] = defaultdict(dict)
    for record in states.assign(timestamp=states["timestamp"].astype("int64")).to_dict("records"):
        if record["order_id"] in pool:
            # The last record counts, and the first tells its turn: a dict keeps the place of a key that is set again.
            changes[record["timestamp"]][pool[record["order_id"]]] = record
    resting: list[Order] = []
    matches: list[Match] = []
    mid: float | None = None
    placed = 0

    def look(order: Order, now: int) -> None:
        if mid is None or not opens <= now < closes or order.left() <= 0 or not order.accepts(mid, market.tick):
            return
        contras = [
            contra
            for contra in sorted(resting, key=lambda contra: contra.rank(market.tick))
            if contra.buys != order.buys and contra.accepts(mid, market.tick) and (order.simulated or contra.simulated)
        ]
        left, chosen = order.left(), []
        for contra in contras:
            participants = {order.records[-1]["participantid"], contra.records[-1]["participantid"]}
            if not own_participant and len(participants) == 1 and participants != {NULL}:
                continue
            quantity = min(left, contra.left())
            single = order.terms["singlefillminimumquantity"] == 1
            enough_for_me = not single or quantity >= order.minimum(left)
            if quantity > 0 and quantity >= contra.minimum(contra.left()) and enough_for_me:
                chosen.append((contra, quantity))
                left -= quantity
        single = order.terms["singlefillminimumquantity"] == 1
        if not single and order.left() - left < order.minimum(order.left()):
            return
        for contra, quantity in chosen:
            contra.used += quantity
            order.used += quantity
            matches.append((order.id, contra.id, now, quantity, mid))
        resting[:] = [one for one in resting if one.left() > 0]

    for now in sorted({*mids, *changes, opens}):
        changed = now in mids and mids[now] != mid
        mid = mids.get(now, mid)
        if changed or now == opens:
            for buys in (True, False):
                waiting = [order for order in resting if order.simulated and order.buys == buys]
                for order in sorted(waiting, key=lambda order: order.rank(market.tick)):
                    look(order, now)
        ended = []
        for order, record in changes[now].items():
            if record["orderstatus"] != 1:
                ended.append(order)
                if now != order.arrival:
                    continue
            names = ("price", "midtick", "minimumquantity", "singlefillminimumquantity")
            old, order.terms = order.terms, record
            same = order in resting and all(old[name] == record[name] for name in names[:3])
            same = same and (old[names[3]] == 1) == (record[names[3]] == 1)
            if same and size(record) <= size(old):
                resting[:] = [one for one in resting if one.left() > 0]
                continue
            if order in resting:
                resting.remove(order)
            placed += 1
            order.place = placed
            look(order, now)
            if order.left() > 0:
                resting.append(order)
        resting[:] = [order for order in resting if order not in ended]
    return both(matches, pool)


def legacy(states: pd.DataFrame, trades: pd.DataFrame) -> list[Match]:
    """Match as the older results were made; every record tells the quotes."""
    pool = read(states, trades)
    left = {order: to_fill(order) if order.simulated else order.terminal for order in pool.values()}
    arrived = sorted(pool.values(), key=lambda order: (order.arrival, order.records[0]["sequence"]))
    matches = []
    for order in arrived:
        for contra in arrived:
            if order.simulated and contra.buys != order.buys and order.arrival <= contra.arrival <= order.last:
                quantity = min(left[order], left[contra])
                if quantity > 0:
                    left[order] -= quantity
                    left[contra] -= quantity
                    price = (contra.records[0]["national_bid"] + contra.records[0]["national_offer"]) / 2
                    matches.append((order.id, contra.id, contra.arrival, quantity, price))
    return both(matches, pool)


def both(matches: list[Match], pool: dict[int, Order]) -> list[Match]:
    """Return a row for each simulated order of each match."""
    sides = [(match, (match[1], match[0], *match[2:])) for match in matches]
    return [side for pair in sides for side in pair if pool[side[0]].simulated]


def hours(states: pd.DataFrame, market: Market) -> tuple[int, int]:
    zone = ZoneInfo(market.zone)
    day = states["timestamp"].iloc[0].to_pydatetime(warn=False).astimezone(zone).date()
    opens, closes = (datetime.combine(day, at, zone) for at in (market.opens, market.closes))
    return int(opens.timestamp()) * 10**9, int(closes.timestamp()) * 10**9
