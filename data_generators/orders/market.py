"""A security's day on an exchange: a lit book, a dark pool, two auctions; every change of an order is recorded."""

from typing import Any

import numpy.typing as npt

from data_generators.compilation import compiled

Array = npt.NDArray[Any]

NULL = -(2**63)
"""What stands for no price."""

# Rows of the matrix of orders, which are columns of the files too.
ORDER = (
    "side", "price", "quantity", "leavesquantity", "totalmatchedquantity", "orderstatus", "changereason", "ordertype",
    "exchangeordertype", "participantid", "midtick", "minimumquantity", "singlefillminimumquantity", "crossingkey",
)  # fmt: skip
SIDE, PRICE, QUANTITY, LEAVES, MATCHED, STATUS, REASON, KIND, TYPE, WHO, MIDTICK, LEAST, SINGLE, KEY = range(len(ORDER))
PRIORITY = len(ORDER)
"""In a row of its own: by what orders of one price are filled."""

STATE = ("order", "timestamp", "national_bid", "national_offer", *ORDER)
TRADE = (
    "order", "timestamp", "national_bid", "national_offer", "side", "price", "quantity", "participantid", "dealsource",
    "matchgroupid", "passiveaggressive",
)  # fmt: skip
QUOTE = ("timestamp", "national_bid", "national_offer")

CENTRE_POINT, CROSSING, SWEEP, BLOCK, SHORT = 64, 256, 2048, 4096, 2
ON, OFF, UNTRIGGERED, INACTIVE = 1, 2, 3, 4
CANCELLED, TRADED, AMENDED, NEW, CONVERTED, TO_LIMIT, SYSTEM, PURGED, RELOADED, REGULAR, SWEPT = (
    1, 3, 5, 6, 7, 8, 9, 24, 30, 39, 50,
)  # fmt: skip
_LIT, _OWN, REPORT, AUCTION, _OWN_AUCTION, _PREFERENCE, _MID, _OWN_MID, _MID_PREFERENCE, _BLOCKS = (
    1, 44, 5, 20, 45, 46, 47, 48, 49, 50,
)  # fmt: skip

DRAWS = 10
"""Random numbers of an event."""
DEPTH = 60
"""Orders of a side that rest at most."""
COUNTS = 4
STATES, TRADES, QUOTES, ORDERS = range(COUNTS)
"""How many there are of each, in the array of counts."""
SPARE = 8 * DEPTH
"""Records for which there must be room before an event."""


@compiled
def record(states: Array, counts: Array, orders: Array, k: int, time: int, best: Array) -> None:
    n = counts[STATES]
    states[0, n], states[1, n], states[2, n], states[3, n] = k, time, best[0], best[1]
    for row in range(PRIORITY):  # a slice would take seconds to compile
        states[4 + row, n] = orders[row, k]
    counts[STATES] += 1


@compiled
def look(resting: Array, held: Array, orders: Array, best: Array, quotes: Array, counts: Array, time: int) -> None:
    """Find the best bid and offer of the lit book, and note them if they have changed."""
    found_bid, found_offer = NULL, NULL
    for place in range(held[0]):
        price = orders[PRICE, resting[0, place]]
        found_bid = max(price, found_bid)
    for place in range(held[1]):
        price = orders[PRICE, resting[1, place]]
        if found_offer == NULL or price < found_offer:
            found_offer = price
    if found_bid != best[0] or found_offer != best[1]:
        best[0], best[1] = found_bid, found_offer
        n = counts[QUOTES]
        quotes[0, n], quotes[1, n], quotes[2, n] = time, found_bid, found_offer
        counts[QUOTES] += 1


@compiled
def trade(
    trades: Array, counts: Array, orders: Array, k: int, other: int, time: int, best: Array, price: int, size: int,
    source: int, roles: int,
) -> None:  # fmt: skip
    """Note both sides; roles is 0 if none came to the other, 1 if `k` did."""
    group = counts[TRADES] // 2
    for order, role in ((k, roles), (other, 0)):
        n = counts[TRADES]
        trades[0, n], trades[1, n], trades[2, n], trades[3, n] = order, time, best[0], best[1]
        trades[4, n], trades[5, n], trades[6, n] = orders[SIDE, order], price, size
        trades[7, n], trades[8, n], trades[9, n], trades[10, n] = orders[WHO, order], source, group, role
        counts[TRADES] += 1
        orders[LEAVES, order] -= size
        orders[MATCHED, order] += size
        orders[REASON, order] = TRADED
        if orders[LEAVES, order] == 0:
            orders[STATUS, order] = OFF


@compiled
def _first(resting: Array, held: Array, orders: Array, side: int) -> int:
    """Return the place of the order of a side that is filled first, or -1."""
    found = -1
    for place in range(held[side]):
        k = resting[side, place]
        if found >= 0:
            best = resting[side, found]
            ahead = orders[PRICE, k] - orders[PRICE, best]
            if side == 1:
                ahead = -ahead
            if ahead < 0 or (ahead == 0 and orders[PRIORITY, k] > orders[PRIORITY, best]):
                continue
        found = place
    return found


@compiled
def leave(resting: Array, held: Array, side: int, place: int) -> None:
    held[side] -= 1
    resting[side, place] = resting[side, held[side]]


@compiled
def match_lit(
    states: Array, trades: Array, counts: Array, orders: Array, lit: Array, held: Array, k: int, time: int, best: Array
) -> None:
    side = orders[SIDE, k] - 1
    while orders[LEAVES, k] > 0:
        place = _first(lit, held, orders, 1 - side)
        if place < 0:
            return
        other = lit[1 - side, place]
        price = orders[PRICE, other]
        if (side == 0 and price > orders[PRICE, k]) or (side == 1 and price < orders[PRICE, k]):
            return
        size = min(orders[LEAVES, k], orders[LEAVES, other])
        source = _OWN if orders[WHO, k] == orders[WHO, other] else _LIT
        trade(trades, counts, orders, k, other, time, best, price, size, source, 1)
        record(states, counts, orders, other, time, best)
        if orders[LEAVES, other] == 0:
            leave(lit, held, 1 - side, place)


@compiled
def match_dark(
    states: Array, trades: Array, counts: Array, orders: Array, dark: Array, held: Array, k: int, time: int,
    best: Array, luck: float,
) -> None:  # fmt: skip
    """Fill an order at the mid from those that rest in the dark, first come, first served."""
    if best[0] == NULL or best[1] == NULL or best[0] >= best[1]:
        return
    mid = (best[0] + best[1]) // 2
    side = orders[SIDE, k] - 1
    if (side == 0 and orders[PRICE, k] < mid) or (side == 1 and orders[PRICE, k] > mid):
        return
    block = orders[TYPE, k] & BLOCK
    while orders[LEAVES, k] > 0:
        found = -1
        for place in range(held[1 - side]):
            other = dark[1 - side, place]
            limit = orders[PRICE, other]
            if (side == 0 and limit > mid) or (side == 1 and limit < mid) or (orders[TYPE, other] & BLOCK) != block:
                continue
            size = min(orders[LEAVES, k], orders[LEAVES, other])
            if size < min(orders[LEAST, k], orders[LEAVES, k]) or size < min(
                orders[LEAST, other], orders[LEAVES, other]
            ):
                continue
            if found < 0 or orders[PRIORITY, other] < orders[PRIORITY, dark[1 - side, found]]:
                found = place
        if found < 0:
            return
        other = dark[1 - side, found]
        size = min(orders[LEAVES, k], orders[LEAVES, other])
        source = _BLOCKS if block else _MID
        if orders[WHO, k] == orders[WHO, other]:
            source = _MID_PREFERENCE if luck < 0.2 else _PREFERENCE if luck < 0.6 else _OWN_MID
        trade(trades, counts, orders, k, other, time, best, mid, size, source, 1)
        record(states, counts, orders, other, time, best)
        if orders[LEAVES, other] == 0:
            leave(dark, held, 1 - side, found)


@compiled
def auction(
    states: Array, trades: Array, counts: Array, orders: Array, lit: Array, held: Array, time: int, best: Array
) -> None:
    """Trade as much as one price can."""
    most, price = 0, NULL
    for side in range(2):
        for place in range(held[side]):
            at = orders[PRICE, lit[side, place]]
            bought, sold = 0, 0
            for other in range(held[0]):
                if orders[PRICE, lit[0, other]] >= at:
                    bought += orders[LEAVES, lit[0, other]]
            for other in range(held[1]):
                if orders[PRICE, lit[1, other]] <= at:
                    sold += orders[LEAVES, lit[1, other]]
            if min(bought, sold) > most or (min(bought, sold) == most and most > 0 and at < price):
                most, price = min(bought, sold), at
    while most > 0:
        buy, sell = _first(lit, held, orders, 0), _first(lit, held, orders, 1)
        k, other = lit[0, buy], lit[1, sell]
        size = min(orders[LEAVES, k], orders[LEAVES, other])
        source = _OWN_AUCTION if orders[WHO, k] == orders[WHO, other] else AUCTION
        trade(trades, counts, orders, k, other, time, best, price, size, source, 0)
        most -= size
        for side, place, order in ((0, buy, k), (1, sell, other)):
            record(states, counts, orders, order, time, best)
            if orders[LEAVES, order] == 0:
                leave(lit, held, side, place)
