"""Small markets for the simulated dark pool: written out by hand, or drawn at random."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd

from fintech_toolkit import orders
from fintech_toolkit.orders import Market, Simulated, Simulation
from tests.orders import slow_simulator
from tests.orders.worlds import (
    BLOCK,
    BUY,
    CANCELLED,
    CENTRE_POINT,
    NEW,
    OFF,
    ON,
    OPEN,
    SECURITY,
    SELL,
    SWEEP,
    TRADED,
    frame,
    state,
    states,
    trade,
    trades,
)

MARKET = Market()
LIT, AUCTION, DARK = 1, 20, 47
END = 1_000
Record = dict[str, Any]
Quote = tuple[int, int, int]


class World:
    """A small market: states and trades are written in the order in which they are told."""

    def __init__(self, *quotes: Quote) -> None:
        self.quotes = quotes or ((-10, 3330, 3340),)
        self.records: list[Record] = []
        self.trades: list[list[Record]] = []

    def says(self, *records: Record) -> World:
        self.records += records
        return self

    def rests(self, order_id: int, at: int, quantity: int, side: int = SELL, price: int = 3330, **terms: Any) -> World:
        """An order that never really traded."""
        return self.says(
            state(order_id, at, leavesquantity=quantity, side=side, price=price, changereason=NEW, **terms)
        )

    def traded(self, at: int, order_id: int, other: int, quantity: int, deal: int = LIT, side: int = BUY) -> World:
        buyer, seller = (order_id, other) if side == BUY else (other, order_id)
        self.trades.append(trade(len(self.trades) + 1, at, buyer, seller, quantity, 3340, deal))
        return self

    def sweeps(
        self, order_id: int, at: int, quantity: int, side: int = BUY, price: int = 3340, until: int = END, **terms: Any
    ) -> World:
        """A sweep that rests, and really trades against nobody of this world at its end."""
        terms = {"exchangeordertype": SWEEP, "side": side, "price": price, "quantity": quantity} | terms
        self.says(
            state(order_id, at, orderstatus=OFF, changereason=NEW, leavesquantity=quantity, **terms),
            state(order_id, at, changereason=NEW, leavesquantity=quantity, **terms),
            state(
                order_id,
                until,
                orderstatus=OFF,
                changereason=TRADED,
                leavesquantity=0,
                totalmatchedquantity=quantity,
                **terms,
            ),
        )
        return self.traded(until, order_id, 1_000 + order_id, quantity, side=side)

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        quotes = [
            {"timestamp": OPEN + at, "security_code": SECURITY, "national_bid": bid, "national_offer": offer}
            for at, bid, offer in self.quotes
        ]
        return states(*self.records), trades(*self.trades), frame(quotes, orders.QUOTES)

    @cached_property
    def read(self) -> tuple[pd.DataFrame, ...]:
        records, sides, quotes = self.frames()
        final = orders.match_trades(orders.final_states(records, MARKET), sides)
        return records, final, sides, orders.national_best(records, sides, quotes)

    def simulated(self, **how: Any) -> Simulated:
        return orders.simulate(*self.read, Simulation(**how), MARKET)

    def matched(self, **how: Any) -> list[tuple[int, int, int, int, float]]:
        """Return the matches, times counted from the opening; both simulators must say the same."""
        rows = matches(self.simulated(**how))
        records, sides, quotes = self.frames()
        slow = slow_simulator.exchange(records, sides, quotes, MARKET, how.get("own_participant", False))
        assert rows == slow
        return [(order, contra, at - OPEN, quantity, price) for order, contra, at, quantity, price in rows]


def matches(simulated: Simulated) -> list[tuple[int, int, int, int, float]]:
    rows = simulated.matches.assign(timestamp=simulated.matches["timestamp"].astype("int64"))
    return list(rows.itertuples(index=False, name=None))


class Drawn(World):
    """A market that follows actions drawn at random; those that cannot be are passed over."""

    def __init__(self, actions: list[tuple[str, int, int, int, int]]) -> None:
        super().__init__((-99, 3330, 3340))
        self.now = -3
        self.orders: list[Record] = []
        quotes: list[Quote] = list(self.quotes)
        for kind, step, a, b, c in actions:
            self.now += step
            if kind == "quote":
                bid = (3320, 3325, 3330, 3335, 3340)[a % 5]
                quotes.append((self.now, bid if b else orders.NULL, bid + 5 * (c % 4) - 5 * (b == 1)))
            elif kind in {"sweep", "dark"}:
                self.enter(kind, a, b, c)
            elif open_ := [order for order in self.orders if order["leavesquantity"] and order["orderstatus"] == ON]:
                getattr(self, kind)(open_[a % len(open_)], b, c)
        self.now += 1
        for order in self.orders:
            if order["leavesquantity"] and order["exchangeordertype"] == SWEEP and order["participantid"] < 3:
                self.fills(order, order["leavesquantity"], None, LIT)
        self.quotes = tuple({quote[0]: quote for quote in quotes}.values())

    def write(self, order: Record, **changes: Any) -> None:
        order.update(changes)
        quotes = {"national_bid": 3330 + 5 * (self.now % 3), "national_offer": 3340}
        self.says(state(order["order_id"], self.now, **quotes | {k: v for k, v in order.items() if k != "order_id"}))

    def enter(self, kind: str, a: int, b: int, c: int) -> None:
        quantity = (10, 20, 30, 50)[a % 4]
        order = {
            "order_id": 2**60 + len(self.orders),
            "side": BUY if b % 2 else SELL,
            "price": (3325, 3330, 3335, 3340, 0)[c % 5],
            "exchangeordertype": SWEEP if kind == "sweep" else (CENTRE_POINT, BLOCK)[a % 2],
            "participantid": (0, 1, 2, 3, orders.NULL)[(a + b) % 5],
            "minimumquantity": (0, 0, 15, 20, 25)[b // 2],
            "singlefillminimumquantity": 1 + (c // 5),
            "midtick": 1 + (c + b) % 2,
            "leavesquantity": quantity,
            "totalmatchedquantity": 0,
        }
        self.orders.append(order)
        self.write(order, quantity=quantity, orderstatus=OFF, changereason=NEW)
        if (a, b) != (0, 0):  # else it is killed at once
            self.write(order, orderstatus=ON)
        if a > 7:
            self.fills(order, 5, None, LIT)

    def amend(self, order: Record, b: int, c: int) -> None:
        quantity = max(5, order["leavesquantity"] + (0, -10, 10, -5)[b % 4])
        price = order["price"] if c < 5 else (3325, 3330, 3335, 3340, 0)[c - 5]
        self.write(order, changereason=5, quantity=quantity, leavesquantity=quantity, price=price)

    def trade(self, order: Record, b: int, c: int) -> None:
        others = [
            other
            for other in self.orders
            if other["side"] != order["side"] and other["leavesquantity"] and other["orderstatus"] == ON
        ]
        other = others[b % len(others)] if others and b > 2 else None
        most = min([order["leavesquantity"]] + ([other["leavesquantity"]] if other else []))
        self.fills(order, max(1, most * (c + 1) // 10), other, (LIT, DARK, LIT, AUCTION)[c % 4])

    def fills(self, order: Record, quantity: int, other: Record | None, deal: int) -> None:
        partner = other["order_id"] if other else 9_000 + len(self.trades)
        self.traded(self.now, order["order_id"], partner, quantity, deal, order["side"])
        for one in [order] + ([other] if other else []):
            left = one["leavesquantity"] - quantity
            matched = one["totalmatchedquantity"] + quantity
            status = ON if left else OFF
            self.write(one, changereason=TRADED, leavesquantity=left, totalmatchedquantity=matched, orderstatus=status)

    def cancel(self, order: Record, b: int, c: int) -> None:
        self.write(order, changereason=CANCELLED, orderstatus=OFF)
