"""Wide quotes: the market's quotes as one-sided rows, with indications between them, and withdrawals on request."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.market import CLOSE, DEALERS, OPEN, QUOTES_PER_DAY, VENUES, Market, trading_date
from data_generators.randomness import generator
from data_generators.wide.analytics import yields_of
from data_generators.wide.columns import QUOTES
from data_generators.wide.instruments import Lookup, places

INDICATIONS_PER_DAY = QUOTES_PER_DAY // 10
MESSAGES_PER_DAY = QUOTES_PER_DAY + INDICATIONS_PER_DAY
ROWS_PER_DAY = 2 * MESSAGES_PER_DAY
"""A bid and an ask for each message."""
WITHDRAWAL_ROWS = 2
"""As many for each withdrawal."""
UPDATE, DELETE = range(2)
ACTIONS = ("UPDATE", "DELETE")
"""A row replaces what the dealer shows on that side and level, or takes it away."""
SIDES = ("BID", "ASK")

_TYPES = ("STREAM", "RFQ", "RUN", "AXE")
_SCREENS = tuple(venue for venue in VENUES if venue != "VOICE")
_MICROSECOND, _MINUTE_US = 1_000, 60_000_000
# Median and spread (of the logarithm) of the microseconds that each stage takes, and the most it ever does.
_CONTRIBUTION, _PROCESSING, _NETWORK = (900.0, 0.8), (150.0, 0.5), (400.0, 0.6)
_LONGEST_US = 2_000_000


def day(market: Market, number: int, withdrawals: int) -> pa.Table:
    """Return the rows of one day, in order of receipt.

    Parameters
    ----------
    market : Market
        The market.
    number : int
        Number of the trading day, from 0.
    withdrawals : int
        How many of the day's quotes are withdrawn before their dealer quotes anew, or after the close.

    Returns
    -------
    pyarrow.Table
        `ROWS_PER_DAY` rows and two for each withdrawal, with the columns of `QUOTES`. A bid and an ask of one
        message follow each other and have one time; other rows of an instrument have times of their own, but
        that a withdrawal may come right before the quote that replaces it.
    """
    quotes, trades = market.day(number)
    random = generator(market.seed, "wide quotes", market.symbols, number)
    place = places(market, quotes["symbol"])
    dealer = pc.index_in(quotes["dealer"], pa.array(DEALERS)).to_numpy()
    ts, traded = (table["ts"].cast(pa.int64()).to_numpy() // _MICROSECOND for table in (quotes, trades))
    before = _last_event(place, ts, places(market, trades["symbol"]), traded, number)

    indicated = np.sort(random.permutation(QUOTES_PER_DAY)[:INDICATIONS_PER_DAY])
    level = 1 + (random.random(INDICATIONS_PER_DAY) < 0.5)
    indicated_at = _between(before[indicated], ts[indicated], random)
    withdrawn = np.sort(random.permutation(QUOTES_PER_DAY)[:withdrawals])
    withdrawn_at = _withdrawal_times(place * len(DEALERS) + dealer, ts, before, withdrawn, number, random)

    # Messages: withdrawals first, so that a tie leaves them before the quote that replaces theirs.
    counts = (withdrawals, INDICATIONS_PER_DAY, QUOTES_PER_DAY)
    time = np.concatenate([withdrawn_at, indicated_at, ts])
    order = np.argsort(time, kind="stable")
    kind = np.repeat(np.arange(3), counts)[order]
    quote = np.concatenate([withdrawn, indicated, np.arange(QUOTES_PER_DAY)])[order]
    levels = np.concatenate([np.ones(withdrawals), level, np.ones(QUOTES_PER_DAY)]).astype(np.int64)[order]
    first_id = number * MESSAGES_PER_DAY + 1
    ids = np.concatenate([withdrawn, QUOTES_PER_DAY + np.arange(INDICATIONS_PER_DAY), np.arange(QUOTES_PER_DAY)])
    messages = len(order)
    firm = kind != 1
    prices, sizes = _shown(quotes, quote, np.where(firm, 0, levels))
    screen = random.choice(len(_SCREENS), messages, p=(0.35, 0.3, 0.25, 0.1))
    kinds = 2 * ~firm + (random.random(messages) < 0.2)
    stages = [_delay(random, messages, *stage) for stage in (_NETWORK, _PROCESSING, _CONTRIBUTION)]
    times = time[order] - np.cumsum([np.zeros(messages, np.int64), *stages], axis=0)

    rows = Lookup(market, np.repeat(place[quote], 2), number)
    price = prices.reshape(-1)
    numbers = (rows.numbers("coupon"), rows.years(), rows.frequency())
    found = {
        "symbol": rows.array("symbol"),
        **dict(zip(("ts", "sent_ts", "processed_ts", "contributed_ts"), map(_times, times), strict=True)),
        "action": _twice(pa.array(ACTIONS), np.where(kind == 0, DELETE, UPDATE)),
        "firm": pa.array(np.repeat(firm, 2)),
        "level": pa.array(np.repeat(levels, 2).astype(np.int8)),
        "tier": pa.array(np.repeat(1 + (dealer[quote] * 7 + place[quote]) % 3, 2).astype(np.int8)),
        "quote_type": _twice(pa.array(_TYPES), kinds),
        "side": pa.array(SIDES).take(pa.array(np.tile([0, 1], messages))),
        "price": pa.array(price),
        "size": pa.array(sizes.reshape(-1)),
        "yield_to_maturity": pa.array(yields_of(price, *numbers, np.full(2 * messages, 100.0)).round(4)),
        "dealer": _twice(pa.array(DEALERS), dealer[quote]),
        "quote_id": pa.array(np.repeat(first_id + ids[order], 2)),
        "sequence": pa.array(number * 2 * messages + 1 + np.arange(2 * messages)),
        "isin": rows.array("isin"),
        "cusip": rows.array("cusip"),
        "venue": _twice(pa.array(_SCREENS), screen),
        "currency": rows.array("currency"),
        "settlement_date": rows.settlement(),
    }
    return pa.Table.from_arrays([found[name] for name in QUOTES.names], schema=QUOTES)


def _last_event(place: Any, ts: Any, traded_place: Any, traded: Any, number: int) -> Any:
    """Return the time (µs) of the instrument's last quote or trade before each quote; a minute before the first."""
    every, times = np.r_[place, traded_place], np.r_[ts, traded]
    order = np.lexsort((times, every))
    ordered = times[order]
    previous = np.r_[0, ordered[:-1]]
    first = np.r_[True, every[order][1:] != every[order][:-1]]
    opened = _microseconds(trading_date(number) + OPEN)
    previous[first] = np.maximum(ordered[first] - _MINUTE_US, opened - _MINUTE_US)
    found = np.empty(len(every), np.int64)
    found[order] = previous
    return found[: len(ts)]


def _between(after: Any, until: Any, random: np.random.Generator) -> Any:
    """Draw times after the one and before the other; equal to the other where there is no room."""
    room = until - after - 1
    return after + 1 + (random.random(len(after)) * room).astype(np.int64)


def _withdrawal_times(pair: Any, ts: Any, before: Any, withdrawn: Any, number: int, random: np.random.Generator) -> Any:
    """Draw when quotes are withdrawn: once nothing more happens on them, so that no trade meets what is not there."""
    order = np.argsort(pair, kind="stable")
    follows = np.r_[pair[order][1:] == pair[order][:-1], False]
    following = np.full(len(pair), -1)
    following[order[follows]] = order[np.flatnonzero(follows) + 1]
    following = following[withdrawn]
    closed = max(_microseconds(trading_date(number) + CLOSE), int(ts[-1])) + 1_000_000
    last = following < 0
    after = np.where(last, closed, before[following])
    return _between(after, np.where(last, closed + _MINUTE_US, ts[following]), random)


def _shown(quotes: pa.Table, quote: Any, away: Any) -> tuple[Any, Any]:
    """Return prices and sizes of bid and ask: those of the quote, or further away and larger by a level."""
    ticks = np.column_stack([np.rint(quotes[name].to_numpy()[quote] * 1000) for name in ("bid", "ask")])
    sizes = np.column_stack([quotes[name].to_numpy()[quote] for name in ("bid_size", "ask_size")])
    step = np.maximum(np.rint((ticks[:, 1] - ticks[:, 0]) / 4), 1) * away
    ticks += np.column_stack([-step, step])
    return ticks / 1000.0, sizes * np.maximum(away, 1)[:, None]


def _delay(random: np.random.Generator, rows: int, median: float, deviation: float) -> Any:
    drawn = random.lognormal(np.log(median), deviation, rows)
    return np.clip(drawn, 1, _LONGEST_US).astype(np.int64)


def _microseconds(moment: np.datetime64) -> int:
    return int(moment.astype("datetime64[us]").astype(np.int64))


def _times(microseconds: Any) -> pa.Array:
    return pa.array(np.repeat(microseconds * _MICROSECOND, 2)).cast(pa.timestamp("ns", tz="UTC"))


def _twice(names: pa.Array, codes: Any) -> pa.Array:
    return names.take(pa.array(np.repeat(codes, 2)))
