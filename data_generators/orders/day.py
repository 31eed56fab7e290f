"""The events of a security's day, one after the other."""

from typing import Any

import numpy as np

from data_generators.compilation import compiled
from data_generators.orders.market import (
    AMENDED,
    BLOCK,
    CANCELLED,
    CENTRE_POINT,
    CONVERTED,
    COUNTS,
    CROSSING,
    DEPTH,
    INACTIVE,
    KEY,
    KIND,
    LEAST,
    LEAVES,
    MATCHED,
    MIDTICK,
    NEW,
    NULL,
    OFF,
    ON,
    ORDERS,
    PRICE,
    PRIORITY,
    PURGED,
    QUANTITY,
    REASON,
    REGULAR,
    RELOADED,
    REPORT,
    SHORT,
    SIDE,
    SINGLE,
    SPARE,
    STATES,
    STATUS,
    SWEEP,
    SWEPT,
    SYSTEM,
    TO_LIMIT,
    TYPE,
    UNTRIGGERED,
    WHO,
    Array,
    auction,
    leave,
    look,
    match_dark,
    match_lit,
    record,
    trade,
)

UNDISCLOSED, STOP, MARKET, LIMIT = 4, 3, 2, 1
"""Kinds of orders, in ``ordertype``."""


@compiled
def _make(orders: Array, counts: Array, u: Array, side: int, price: int, exchange_type: int) -> Any:
    """Make an order that nobody has heard of yet."""
    k = counts[ORDERS]
    counts[ORDERS] += 1
    size = 1 + int(np.exp(u[6] * 9.5))
    for row in range(PRIORITY):
        orders[row, k] = 0
    orders[SIDE, k], orders[PRICE, k] = side + 1, price
    orders[QUANTITY, k], orders[LEAVES, k] = size, size
    orders[TYPE, k], orders[WHO, k] = exchange_type, 2 + int(u[7] * 24)
    orders[REASON, k], orders[STATUS, k], orders[KIND, k], orders[PRIORITY, k] = NEW, OFF, LIMIT, k
    orders[MIDTICK, k] = 1
    if exchange_type & (CENTRE_POINT | BLOCK) and u[8] < 0.3:
        orders[LEAST, k] = 1 + size // 4
        orders[SINGLE, k] = 1 + (u[8] < 0.15)
    return k


@compiled
def _rest(
    states: Array, counts: Array, orders: Array, resting: Array, held: Array, k: int, time: int, best: Array
) -> None:
    """Put an order among those that rest; where there are too many one of them goes."""
    side = orders[SIDE, k] - 1
    if held[side] == DEPTH:
        place = k % DEPTH
        _end(states, counts, orders, resting[side, place], time, best, SYSTEM, OFF)
        leave(resting, held, side, place)
    resting[side, held[side]] = k
    held[side] += 1
    orders[STATUS, k] = ON


@compiled
def _end(states: Array, counts: Array, orders: Array, k: int, time: int, best: Array, reason: int, status: int) -> None:
    orders[REASON, k], orders[STATUS, k] = reason, status
    record(states, counts, orders, k, time, best)


@compiled
def _amend(
    states: Array, counts: Array, orders: Array, k: int, time: int, best: Array, tick: int, u: Array, clock: int
) -> None:
    """Change the quantity or the limit of an order that rests; it never comes to trade by that."""
    for after in range(2):
        if after and u[4] < 0.4:
            orders[LEAVES, k] = max(1, int(orders[LEAVES, k] * u[5]))
        elif after and u[4] < 0.7:
            orders[LEAVES, k] += 1 + int(u[5] * 500)
            orders[PRIORITY, k] = clock
        elif after:
            away = tick * (1 + int(u[5] * 3))
            orders[PRICE, k] = max(tick, orders[PRICE, k] - away) if orders[SIDE, k] == 1 else orders[PRICE, k] + away
            orders[PRIORITY, k] = clock
        orders[QUANTITY, k] = orders[MATCHED, k] + orders[LEAVES, k]
        orders[REASON, k] = REGULAR if after and orders[KIND, k] == UNDISCLOSED else AMENDED
        if after and orders[KIND, k] == UNDISCLOSED:
            orders[KIND, k] = LIMIT
        record(states, counts, orders, k, time, best)


@compiled
def run_day(
    times: Array, draws: Array, opens: int, closes: int, ends: int, evening: int, value: int, tick: int, limit: int,
    states: Array, trades: Array, quotes: Array, orders: Array,
) -> Any:  # fmt: skip
    """Run a day until it ends or so many records are written.

    Parameters
    ----------
    times, draws : array
        When events happen, and random numbers for each.
    opens, closes, ends : int
        When the opening auction is, when continuous trading ends, and when the closing auction is.
    evening : int
        When orders that are left from days before are loaded: on the evening before.
    value, tick : int
        About what the security costs, and the smallest step of a price.
    limit : int
        How many records are enough.
    states, trades, quotes, orders : array
        Are filled: a column each.

    Returns
    -------
    array of int64
        How many records, sides of trades, quotes and orders there are.
    """
    counts = np.zeros(COUNTS, np.int64)
    best = np.full(2, NULL, np.int64)
    lit, dark = np.zeros((2, DEPTH), np.int64), np.zeros((2, DEPTH), np.int64)
    in_lit, in_dark = np.zeros(2, np.int64), np.zeros(2, np.int64)
    auctions = 0
    loaded = max(2, limit // 500)
    time = evening
    for event in range(len(times)):
        if counts[STATES] + SPARE > limit:
            break
        u = draws[event]
        old = event < loaded
        time = evening + event if old else times[event]
        while auctions < 2 and time >= (opens if auctions == 0 else ends):
            at = opens if auctions == 0 else ends
            auction(states, trades, counts, orders, lit, in_lit, at, best)
            look(lit, in_lit, orders, best, quotes, counts, at)
            auctions += 1
        trading = opens <= time < closes
        value += tick * ((u[0] > 0.99) - (u[0] < 0.01))
        live = in_lit[0] + in_lit[1] + in_dark[0] + in_dark[1]
        if not old and live > 12 and u[1] > 0.55:
            place = int(u[2] * live)
            resting, held = (lit, in_lit) if place < in_lit[0] + in_lit[1] else (dark, in_dark)
            if place >= in_lit[0] + in_lit[1]:
                place -= in_lit[0] + in_lit[1]
            side = 0 if place < held[0] else 1
            place -= side * held[0]
            k = resting[side, place]
            if u[1] < 0.75:
                _amend(states, counts, orders, k, time, best, tick, u, limit + event)
            else:
                _end(states, counts, orders, k, time, best, CANCELLED if u[3] < 0.8 else SYSTEM, OFF)
                leave(resting, held, side, place)
            look(lit, in_lit, orders, best, quotes, counts, time)
            continue
        side = 0 if u[2] < 0.5 else 1
        sign = 1 - 2 * side
        behind = int(-np.log(u[3] + 1e-12) * 3)
        price = max(tick, value + sign * tick * (-6 - behind if old else 1 - behind))
        what = u[4]
        if what < 0.5 or (not trading and what < 0.6):
            k = _make(orders, counts, u, side, price, SHORT if side == 1 and u[5] < 0.1 else 0)
            if u[5] > 0.95:
                orders[KIND, k] = UNDISCLOSED
        elif what < 0.56:
            k = _make(orders, counts, u, side, NULL, 0)
            orders[KIND, k] = MARKET
        elif what < 0.72:
            k = _make(orders, counts, u, side, price + sign * tick * int(u[5] * 3), CENTRE_POINT)
        elif what < 0.9:
            k = _make(orders, counts, u, side, price, SWEEP)
        elif what < 0.95:
            k = _make(orders, counts, u, side, price + sign * tick * 2, BLOCK | (SHORT if side and u[5] < 0.3 else 0))
        elif what < 0.98 or old or not trading or best[0] == NULL or best[1] == NULL or best[0] >= best[1]:
            k = _make(orders, counts, u, side, price, 0)
            orders[KIND, k], orders[STATUS, k] = STOP, UNTRIGGERED
            record(states, counts, orders, k, time, best)
            continue
        else:
            mid = (best[0] + best[1]) // 2
            k = _make(orders, counts, u, side, mid, CROSSING)
            other = _make(orders, counts, u, 1 - side, mid, CROSSING)
            for each in (k, other):
                orders[KEY, each] = 1 + k
                record(states, counts, orders, each, time, best)
            trade(trades, counts, orders, k, other, time, best, mid, orders[LEAVES, k], REPORT, 0)
            for each in (k, other):
                record(states, counts, orders, each, time, best)
            continue
        if old:
            orders[REASON, k] = SWEPT if orders[TYPE, k] == SWEEP else RELOADED
        record(states, counts, orders, k, time, best)
        if orders[PRICE, k] == NULL:
            if not trading or best[1 - side] == NULL:
                _end(states, counts, orders, k, time, best, SYSTEM, OFF)
                continue
            orders[PRICE, k] = best[1 - side]
            orders[REASON, k] = CONVERTED if u[5] < 0.5 else TO_LIMIT
            record(states, counts, orders, k, time, best)
        is_dark = (orders[TYPE, k] & (CENTRE_POINT | BLOCK)) != 0
        if trading and (is_dark or orders[TYPE, k] == SWEEP):
            match_dark(states, trades, counts, orders, dark, in_dark, k, time, best, u[9])
        if trading and not is_dark:
            match_lit(states, trades, counts, orders, lit, in_lit, k, time, best)
        if orders[LEAVES, k] > 0:
            if is_dark:
                _rest(states, counts, orders, dark, in_dark, k, time, best)
            else:
                _rest(states, counts, orders, lit, in_lit, k, time, best)
        record(states, counts, orders, k, time, best)
        look(lit, in_lit, orders, best, quotes, counts, time)
    if auctions < 2 and time >= closes:
        time = max(time, ends)
        auction(states, trades, counts, orders, lit, in_lit, time, best)
        look(lit, in_lit, orders, best, quotes, counts, time)
    for k in range(counts[ORDERS]):
        if counts[STATES] >= states.shape[1]:
            break
        if orders[STATUS, k] in (ON, UNTRIGGERED) and k % 2:
            _end(states, counts, orders, k, time + 1, best, PURGED, INACTIVE)
    return counts
