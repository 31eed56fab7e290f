"""What the dark pool would have had for sweeps that traded elsewhere: the matches of an exchange's simulation.

A sweep that was entered on the day, traded and had nothing left, without a fill of the opening auction, asks the pool
for what it traded after the nanosecond of its arrival; these trades are taken back, all others stay. The rules are
those of ``fintech_toolkit.orders.simulate``, whose truth this is: written anew, with none of its code, and all that
rests in one list that is looked through from one end to the other.
"""

from typing import Any

import numpy as np

from data_generators.compilation import compiled
from data_generators.orders.market import (
    AUCTION,
    BLOCK,
    CENTRE_POINT,
    CROSSING,
    LEAST,
    LEAVES,
    MATCHED,
    NEW,
    NULL,
    ON,
    PRICE,
    REASON,
    SIDE,
    SINGLE,
    STATUS,
    SWEEP,
    TRADE,
    TRADED,
    TYPE,
    WHO,
    Array,
)

_TIME, _BID, _OFFER = 1, 2, 3
"""Rows of the matrix of states; those of an order come after them."""
_OF_ORDER = 4
_SOURCE, _GROUP, _TRADED = TRADE.index("dealsource"), TRADE.index("matchgroupid"), TRADE.index("quantity")

# Rows of the matrix of what the pool knows of orders. Limits are twice the price, so that half a tick is whole.
_BUYS, _OWNER, _SIMULATED, _MOST, _USED, _SIZE, _LIMIT, _MINIMUM, _ALONE, _TURN, _RESTS, _ROWS = range(12)


def pool_matches(
    states: Array, trades: Array, quotes: Array, count: int, begin: int, opens: int, closes: int, tick: int
) -> dict[str, Array]:
    """Return the matches of a security's day, in the order in which they were made.

    They are ``order``, ``contra``, ``timestamp``, ``quantity`` and ``price``, which is the mid, with a half kept. A
    match of two simulated orders has a row for each of them, that which looked first.

    Parameters
    ----------
    states, trades, quotes : array
        As `run_day` filled them, without the room that is left.
    count : int
        How many orders there are.
    begin, opens, closes : int
        When the day and continuous trading begin, and when this ends. What was before the day is not looked at.
    tick : int
        The smallest step of a price; a limit that may be at the middle of a tick is half of it better.
    """
    states, quotes = states[:, states[_TIME] >= begin], quotes[:, quotes[0] >= begin]
    order, time, size = states[0], states[_TIME], states[_OF_ORDER + MATCHED] + states[_OF_ORDER + LEAVES]
    rows = np.arange(len(order))
    first, last = np.zeros(count, np.int64), np.zeros(count, np.int64)
    first[order[::-1]], last[order] = rows[::-1], rows
    final = states[_OF_ORDER:, last]
    new, known = np.zeros(count, bool), np.zeros(count, bool)
    new[order[states[_OF_ORDER + REASON] == NEW]], known[order] = True, True
    arrival = time[first]

    whose, when, quantity = trades[0], trades[_TIME], trades[_TRADED]
    in_auction, to_fill, elsewhere = np.zeros(count, bool), np.zeros(count, np.int64), np.zeros(count, np.int64)
    in_auction[whose[trades[_SOURCE] == AUCTION]] = True
    later = when > arrival[whose]
    np.add.at(to_fill, whose[later], quantity[later])
    done = (final[LEAVES] == 0) & (final[MATCHED] > 0) & (final[REASON] == TRADED)
    simulated = known & new & done & (final[TYPE] & SWEEP != 0) & ~in_auction & (to_fill > 0)
    taken_back = np.zeros(trades.shape[1], bool)
    taken_back[trades[_GROUP, simulated[whose] & later]] = True  # there are more sides than groups
    stays = ~taken_back[trades[_GROUP]]
    np.add.at(elsewhere, whose[stays], quantity[stays])
    elsewhere += np.where(new, 0, states[_OF_ORDER + MATCHED, first])

    pool = np.zeros((_ROWS, count), np.int64)
    pool[_BUYS], pool[_OWNER], pool[_SIMULATED] = final[SIDE] == 1, final[WHO], simulated
    pool[_MOST] = size[last]
    pool[_USED] = np.where(simulated, size[last] - to_fill, elsewhere)

    eligible = known & (final[TYPE] & (CENTRE_POINT | CROSSING | SWEEP | BLOCK) != 0)
    ours = rows[eligible[order]]
    by_order = ours[np.lexsort((order[ours], time[ours]))]
    begins = np.ones(len(by_order), bool)
    begins[1:] = (np.diff(order[by_order]) != 0) | (np.diff(time[by_order]) != 0)
    ends = np.append(begins[1:], True)[: len(by_order)]
    turns = np.argsort(by_order[begins])  # the last state of an order at a time counts, the first gives its turn
    told = by_order[ends][turns]
    price, towards = states[_OF_ORDER + PRICE, told], np.where(pool[_BUYS, order[told]] == 1, tick, -tick)
    changes = np.stack(
        [
            order[told],
            time[told],
            size[told],
            2 * price + towards,
            states[_OF_ORDER + LEAST, told],
            states[_OF_ORDER + SINGLE, told] == 1,
            states[_OF_ORDER + STATUS, told] == ON,
            time[told] == arrival[order[told]],
        ]
    )
    made = np.empty((5, count + changes.shape[1]), np.int64)
    many = _run(changes, _mids(quotes, opens), opens, closes, pool, np.empty((4, count), np.int64), made)
    looked, found, at, matched, both = np.repeat(made[:, :many], 2, axis=1)
    one, other = looked.copy(), found.copy()
    one[1::2], other[1::2] = found[1::2], looked[1::2]
    kept = simulated[one]
    columns = {"order": one, "contra": other, "timestamp": at, "quantity": matched, "price": both / 2}
    return {name: values[kept] for name, values in columns.items()}


def _mids(quotes: Array, opens: int) -> Array:
    """Return when bid and offer are told and what they are together, 0 if one is missing or they are crossed.

    What stands when trading opens is told again then.
    """
    standing = np.append(np.diff(quotes[0]) != 0, True)[: quotes.shape[1]]  # of several at one time the last one
    time, bid, offer = quotes[:, standing]
    together = np.where((bid == NULL) | (offer == NULL) | (bid > offer), 0, bid + offer)
    at = int(np.searchsorted(time, opens))
    if at == 0 or (at < len(time) and time[at] == opens):
        return np.stack([time, together])
    return np.stack([np.insert(time, at, opens), np.insert(together, at, together[at - 1])])


@compiled
def _left(pool: Array, k: int) -> Any:
    return min(pool[_SIZE, k], pool[_MOST, k]) - pool[_USED, k]


@compiled
def _least(pool: Array, k: int, left: int) -> Any:
    return pool[_MINIMUM, k] if left >= pool[_MINIMUM, k] else 0


@compiled
def _queue(pool: Array, resting: Array, held: int, buys: int, simulated: bool, mid: int, queue: Array) -> int:
    """Find the orders of a side, or the simulated ones of them, that trade at a mid, the best first; count them."""
    sign = 1 - 2 * buys
    many = 0
    for place in range(held):
        k = resting[place]
        limit = sign * pool[_LIMIT, k]
        if pool[_BUYS, k] != buys or limit > sign * mid or (simulated and not pool[_SIMULATED, k]):
            continue
        at = many
        while at > 0:
            other = queue[at - 1]
            ahead = sign * pool[_LIMIT, other]
            if ahead < limit or (ahead == limit and pool[_TURN, other] < pool[_TURN, k]):
                break
            queue[at] = other
            at -= 1
        queue[at] = k
        many += 1
    return many


@compiled
def _look(
    pool: Array, resting: Array, held: int, k: int, mid: int, now: int, queue: Array, sizes: Array, made: Array,
    matches: int,
) -> int:  # fmt: skip
    """Match an order with those that rest; return how many matches there are then."""
    wanted = left = _left(pool, k)
    sign = 1 - 2 * pool[_BUYS, k]
    if left <= 0 or sign * pool[_LIMIT, k] > sign * mid:
        return matches
    many = _queue(pool, resting, held, 1 - pool[_BUYS, k], pool[_SIMULATED, k] == 0, mid, queue)
    for i in range(many):
        other = queue[i]
        theirs = _left(pool, other)
        size = min(left, theirs)
        sizes[i] = 0
        if size <= 0 or pool[_OWNER, k] == pool[_OWNER, other] or size < _least(pool, other, theirs):
            continue
        if pool[_ALONE, k] and size < _least(pool, k, left):
            continue
        sizes[i] = size
        left -= size
    if not pool[_ALONE, k] and wanted - left < _least(pool, k, wanted):
        return matches
    for i in range(many):
        if sizes[i] > 0:
            made[0, matches], made[1, matches], made[2, matches] = k, queue[i], now
            made[3, matches], made[4, matches] = sizes[i], mid
            matches += 1
            pool[_USED, k] += sizes[i]
            pool[_USED, queue[i]] += sizes[i]
    return matches


_NEVER = 2**63 - 1
_AWAY, _HERE, _GOING = range(3)
"""Whether an order rests: not, yes, until this time is over."""


@compiled
def _run(changes: Array, mids: Array, opens: int, closes: int, pool: Array, lists: Array, made: Array) -> Any:
    """Go through the times at which something happens; return how many matches there are."""
    resting, waiting, queue, sizes = lists[0], lists[1], lists[2], lists[3]
    change = told = held = turn = mid = matches = np.int64(0)  # a literal would be compiled for once more
    simulated = np.bool_(True)
    while change < changes.shape[1] or told < mids.shape[1]:
        now = min(
            changes[1, change] if change < changes.shape[1] else _NEVER,
            mids[0, told] if told < mids.shape[1] else _NEVER,
        )
        trading = opens <= now < closes
        if told < mids.shape[1] and mids[0, told] == now:
            changed = mids[1, told] != mid or now == opens
            mid = mids[1, told]
            told += 1
            for side in range(2 if changed and trading and mid > 0 else 0):
                for i in range(_queue(pool, resting, held, 1 - side, simulated, mid, waiting)):
                    matches = _look(pool, resting, held, waiting[i], mid, now, queue, sizes, made, matches)
        while change < changes.shape[1] and changes[1, change] == now:
            k, size, limit = changes[0, change], changes[2, change], changes[3, change]
            minimum, alone = changes[4, change], changes[5, change]
            on_book, arrives = changes[6, change], changes[7, change]
            change += 1
            if not on_book and not arrives:
                pool[_RESTS, k] = min(pool[_RESTS, k], 1) * _GOING
                continue
            same = limit == pool[_LIMIT, k] and minimum == pool[_MINIMUM, k] and alone == pool[_ALONE, k]
            if pool[_RESTS, k] and _left(pool, k) > 0 and same and size <= pool[_SIZE, k]:
                pool[_SIZE, k] = size
                continue
            pool[_SIZE, k], pool[_LIMIT, k], pool[_MINIMUM, k], pool[_ALONE, k] = size, limit, minimum, alone
            pool[_TURN, k] = turn
            turn += 1
            if trading and mid > 0:
                matches = _look(pool, resting, held, k, mid, now, queue, sizes, made, matches)
            if not pool[_RESTS, k]:
                resting[held] = k
                held += 1
            pool[_RESTS, k] = _HERE if on_book else _GOING
        stay = np.int64(0)
        for place in range(held):
            k = resting[place]
            if pool[_RESTS, k] == _HERE and _left(pool, k) > 0:
                resting[stay] = k
                stay += 1
            else:
                pool[_RESTS, k] = _AWAY
        held = stay
    return matches
