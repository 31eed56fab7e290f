"""The compiled loops of the simulated dark pool. The rules stand in `fintech_toolkit.orders.simulation`.

Limits are in half price units, so that a half tick is whole, and of buys negative: on either side the smaller is the
better, and an order crosses where its limit is at or below the mid, taken with the same sign.
"""

from __future__ import annotations

import numpy as np

from fintech_toolkit.orders.language import NULL
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.slots import helper

EVENT = np.dtype(
    [
        ("time", "i8"),
        ("order", "i8"),
        ("size", "i8"),
        ("limit", "i8"),
        ("minimum", "i8"),
        ("single", "b1"),
        ("on_book", "b1"),
        ("arrives", "b1"),
    ]
)
"""A state of an order: the last at its time. Its size is what it matched and what is open together."""

ORDER = np.dtype(
    [
        ("participant", "i8"),
        ("most", "i8"),
        ("elsewhere", "i8"),
        ("used", "i8"),
        ("size", "i8"),
        ("limit", "i8"),
        ("minimum", "i8"),
        ("place", "i8"),
        ("ahead", "i8"),
        ("behind", "i8"),
        ("single", "b1"),
        ("buy", "b1"),
        ("simulated", "b1"),
        ("resting", "b1"),
    ]
)
"""An order in the pool: what it may trade and has traded, its terms, and its place in the queue of its limit."""

LEVEL = np.dtype([("limit", "i8"), ("first", "i8"), ("last", "i8")])
"""The queue of the orders of one limit."""

MID = np.dtype([("time", "i8"), ("mid", "i8")])
"""The bid and the offer together, that is the mid in half units; 0 where there is none."""

MATCH = np.dtype([("order", "i8"), ("contra", "i8"), ("time", "i8"), ("quantity", "i8"), ("mid", "i8")])
"""A match: the order that looked for contras, and the one that it found."""

LEGACY = np.dtype([("time", "i8"), ("last", "i8"), ("left", "i8"), ("mid", "i8"), ("buy", "b1"), ("simulated", "b1")])
"""An order as the older results have it, in the order of arrival."""


@helper
def _available(order):  # type: ignore[no-untyped-def]
    return min(order.size, order.most) - order.elsewhere - order.used


@helper
def _least(order, available):  # type: ignore[no-untyped-def]
    """Return the quantity that it must trade: none is asked of an order of which less is left."""
    return order.minimum if available >= order.minimum else 0


@helper
def _before(a, b):  # type: ignore[no-untyped-def]
    return a.limit < b.limit or (a.limit == b.limit and a.place < b.place)


@helper
def _book(simulated, buy):  # type: ignore[no-untyped-def]
    return 2 * int(simulated) + int(buy)


@helper
def _find(levels, count, limit):  # type: ignore[no-untyped-def]
    """Return where in a book a limit stands or belongs."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if levels[middle].limit < limit:
            low = middle + 1
        else:
            high = middle
    return low


@compile_cached
def _rest(orders, books, counts, order):  # type: ignore[no-untyped-def]
    """Put an order in the book, behind all of its limit: its place is the last that was given."""
    o = orders[order]
    b = _book(o.simulated, o.buy)
    levels = books[b]
    at = _find(levels, counts[b], o.limit)
    o.behind = -1
    o.resting = True
    if at < counts[b] and levels[at].limit == o.limit:
        o.ahead = levels[at].last
        orders[o.ahead].behind = order
        levels[at].last = order
        return
    for i in range(counts[b], at, -1):
        levels[i].limit, levels[i].first, levels[i].last = levels[i - 1].limit, levels[i - 1].first, levels[i - 1].last
    o.ahead = -1
    levels[at].limit, levels[at].first, levels[at].last = o.limit, order, order
    counts[b] += 1


@compile_cached
def _leave(orders, books, counts, order):  # type: ignore[no-untyped-def]
    o = orders[order]
    b = _book(o.simulated, o.buy)
    levels = books[b]
    at = _find(levels, counts[b], o.limit)
    o.resting = False
    if o.ahead >= 0:
        orders[o.ahead].behind = o.behind
    else:
        levels[at].first = o.behind
    if o.behind >= 0:
        orders[o.behind].ahead = o.ahead
    else:
        levels[at].last = o.ahead
    if levels[at].first >= 0:
        return
    counts[b] -= 1
    for i in range(at, counts[b]):
        levels[i].limit, levels[i].first, levels[i].last = levels[i + 1].limit, levels[i + 1].first, levels[i + 1].last


@helper
def _first(levels, count):  # type: ignore[no-untyped-def]
    return levels[0].first if count else -1


@helper
def _next(orders, levels, count, level, order):  # type: ignore[no-untyped-def]
    """Return the level and the order that come after an order of a level, or -1 as the order."""
    behind = orders[order].behind
    if behind >= 0:
        return level, behind
    level += 1
    return level, levels[level].first if level < count else -1


@helper
def _end(orders, books, counts, leaving, many):  # type: ignore[no-untyped-def]
    """Take those from the books that ended at a time which is over."""
    for i in range(many):
        if orders[leaving[i]].resting:
            _leave(orders, books, counts, leaving[i])
    return 0


@compile_cached
def _look(time, mid, order, own, orders, books, counts, found, quantities, matches, made):  # type: ignore[no-untyped-def]
    """Match an order with the contras that rest, the best first; return how many matches have been made in all."""
    o = orders[order]
    signed = mid if o.buy else -mid
    remaining = _available(o)
    if remaining <= 0 or o.limit > -signed:
        return made
    wanted, least = remaining, _least(o, remaining)
    simulated, others = _book(True, not o.buy), _book(False, not o.buy)
    # Two orders whose trades are what they were do not meet here.
    rest = counts[others] if o.simulated else 0
    i, j, n = 0, 0, 0
    a, b = _first(books[simulated], counts[simulated]), _first(books[others], rest)
    while remaining > 0 and (a >= 0 or b >= 0):
        if b < 0 or (a >= 0 and _before(orders[a], orders[b])):
            contra = a
            i, a = _next(orders, books[simulated], counts[simulated], i, a)
        else:
            contra = b
            j, b = _next(orders, books[others], rest, j, b)
        c = orders[contra]
        if c.limit > signed:
            break
        if not own and c.participant == o.participant and o.participant != NULL:
            continue
        left = _available(c)
        quantity = min(remaining, left)
        if quantity < _least(c, left) or (o.single and quantity < _least(o, remaining)):
            continue
        found[n], quantities[n] = contra, quantity
        n += 1
        remaining -= quantity
    if not o.single and wanted - remaining < least:
        return made
    for i in range(n):
        contra = found[i]
        matches[made].order = order
        matches[made].contra = contra
        matches[made].time = time
        matches[made].quantity = quantities[i]
        matches[made].mid = mid
        made += 1
        orders[contra].used += quantities[i]
        orders[order].used += quantities[i]
        if _available(orders[contra]) <= 0:
            _leave(orders, books, counts, contra)
    if orders[order].resting and _available(orders[order]) <= 0:
        _leave(orders, books, counts, order)
    return made


@compile_cached
def _look_all(time, mid, own, orders, books, counts, found, quantities, waiting, matches, made):  # type: ignore[no-untyped-def]
    """Let each simulated order that rests look for contras at a new mid: buys, then sells, the best first."""
    for buy in (True, False):
        signed = mid if buy else -mid
        anyone = False
        for simulated in (True, False):
            b = _book(simulated, not buy)
            anyone |= counts[b] > 0 and books[b, 0].limit <= signed
        if not anyone:
            continue
        b = _book(True, buy)
        many, level = 0, 0
        order = _first(books[b], counts[b])
        while order >= 0 and orders[order].limit <= -signed:
            waiting[many] = order
            many += 1
            level, order = _next(orders, books[b], counts[b], level, order)
        for i in range(many):
            made = _look(time, mid, waiting[i], own, orders, books, counts, found, quantities, matches, made)
    return made


@compile_cached
def last_states(order, time, event, last):  # type: ignore[no-untyped-def]
    """Write for each time of each order the row of its last state; return how many there are.

    Rows are in time order; `event` has -1 for each order.
    """
    many = 0
    for i in range(len(order)):
        known = event[order[i]]
        if known >= 0 and time[last[known]] == time[i]:
            last[known] = i
        else:
            event[order[i]] = many
            last[many] = i
            many += 1
    return many


@compile_cached
def run_exchange(events, mids, opens, closes, own, orders, books, counts, scratch, matches):  # type: ignore[no-untyped-def]
    """Run the pool over a day; return how many matches were made.

    `books` has a row of levels for each side, simulated orders and others, `scratch` four rows, of as many columns as
    there are orders; there is room for as many matches as there are orders and events.
    """
    found, quantities, waiting, leaving = scratch[0], scratch[1], scratch[2], scratch[3]
    made, k, mid, places, leave = 0, 0, 0, 0, 0
    now = np.int64(-(2**63) + 1)
    for n in range(len(events) + 1):
        time = events[n].time if n < len(events) else np.int64(2**63 - 1)
        while k < len(mids) and mids[k].time <= time:
            if mids[k].time > now:
                leave = _end(orders, books, counts, leaving, leave)
            now, mid = mids[k].time, mids[k].mid
            k += 1
            if mid > 0 and opens <= now < closes:
                made = _look_all(now, mid, own, orders, books, counts, found, quantities, waiting, matches, made)
        if n == len(events):
            break
        if time > now:
            leave = _end(orders, books, counts, leaving, leave)
        now = time
        event = events[n]
        o = orders[event.order]
        if not event.on_book:
            leaving[leave] = event.order
            leave += 1
            if not event.arrives:
                continue
        if o.resting:
            if (
                event.limit == o.limit
                and event.minimum == o.minimum
                and event.single == o.single
                and event.size <= o.size
            ):
                o.size = event.size
                if _available(o) <= 0:
                    _leave(orders, books, counts, event.order)
                continue
            _leave(orders, books, counts, event.order)
        o.size, o.limit, o.minimum, o.single = event.size, event.limit, event.minimum, event.single
        o.place = places
        places += 1
        if mid > 0 and opens <= now < closes:
            made = _look(now, mid, event.order, own, orders, books, counts, found, quantities, matches, made)
        if _available(o) > 0:
            _rest(orders, books, counts, event.order)
    return made


@compile_cached
def run_legacy(orders, matches):  # type: ignore[no-untyped-def]
    """Match as the older results were made; return how many matches were made."""
    made = 0
    for i in range(len(orders)):
        if not orders[i].simulated:
            continue
        # Orders are in the order of arrival: from the first at the same time on.
        first = i
        while first > 0 and orders[first - 1].time == orders[i].time:
            first -= 1
        for j in range(first, len(orders)):
            if orders[i].left <= 0 or orders[j].time > orders[i].last:
                break
            if orders[j].buy == orders[i].buy or orders[j].left <= 0 or orders[j].mid <= 0:
                continue
            quantity = min(orders[i].left, orders[j].left)
            orders[i].left -= quantity
            orders[j].left -= quantity
            matches[made].order = i
            matches[made].contra = j
            matches[made].time = orders[j].time
            matches[made].quantity = quantity
            matches[made].mid = orders[j].mid
            made += 1
    return made
