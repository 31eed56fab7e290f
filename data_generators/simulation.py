"""One trading day of a dealer market, event by event: the loop that quotes and trades both come from."""

import math
from typing import Any

import numpy as np

from data_generators.compilation import compiled

TICK = 0.001
"""Prices are percent of par in steps of a thousandth; whole ticks inside keep them exact."""
MIN_SPREAD_BP, MAX_SPREAD_BP = 5.0, 50.0

BUY, SELL = 1, -1

# How strongly a price returns to its day's path, and volatility to its level, in units of a day.
_PRICE_REVERSION = 6.0
_VOLATILITY_MEMORY = 0.05
_VOLATILITY_OF_VOLATILITY = 0.6
# Madhavan, Richardson and Roomans (1997): prices follow the unexpected part of the order flow.
_IMPACT = 0.5
_EXPECTED_SIGN = 0.8
# Lillo, Mike and Farmer (2005): large orders, split into pieces, make the signs of trades remember for long.
_SHARE_OF_LARGE_ORDERS = 0.915
_LARGE_ORDER_TAIL = 1.35
_SMALLEST_ORDER = 9.0
_LARGEST_ORDER = 2_000.0
# How far dealers lean from the common price, as a share of their spread, and how long they remember it.
_LEAN = 0.4
_LEAN_MEMORY = 0.97
# Where trades happen against the best bid and offer.
_SHARE_INSIDE = 0.62
_SHARE_THROUGH = 0.06


@compiled
def _in_denominations(size: float, denomination: float) -> Any:
    return max(1.0, np.round(size / denomination)) * denomination


@compiled
def simulate_day(
    instrument: np.ndarray,
    activity_time: np.ndarray,
    is_trade: np.ndarray,
    shock: np.ndarray,
    volatility_shock: np.ndarray,
    uniform: np.ndarray,
    open_level: np.ndarray,
    close_level: np.ndarray,
    volatility: np.ndarray,
    spread: np.ndarray,
    denomination: np.ndarray,
    dealers: np.ndarray,
    dealer_count: np.ndarray,
    quote_event: np.ndarray,
    quote_dealer: np.ndarray,
    quote_ticks: np.ndarray,
    quote_size: np.ndarray,
    trade_event: np.ndarray,
    trade_dealer: np.ndarray,
    trade_side: np.ndarray,
    trade_ticks: np.ndarray,
    trade_size: np.ndarray,
) -> int:
    """Run the events of one day in time order and fill the arrays of its quotes and trades.

    Each instrument has one latent price, around which its dealers quote. A dealer never quotes through a
    standing quote of another: the dealer whose quote the price has passed is the one who moves. Trades take
    place against the best of the quotes that stand.

    Parameters
    ----------
    instrument, activity_time, is_trade, shock, volatility_shock : ndarray, shape (events,)
        Instrument of each event, the share of the day's activity that has passed, what the event is meant to
        be, and the normalised shocks to price and log volatility.
    uniform : ndarray, shape (events, 5)
        Uniform numbers for everything else.
    open_level, close_level : ndarray, shape (instruments,)
        Logarithms of the price in ticks, at the open and towards the close.
    volatility, spread : ndarray, shape (instruments,)
        Volatility of a day and usual spread, both as a fraction of the price.
    denomination : ndarray, shape (instruments,)
        Sizes are whole multiples of it.
    dealers, dealer_count : ndarray, shape (instruments, slots) and (instruments,)
        Who quotes the instrument.
    quote_event, quote_dealer, quote_ticks, quote_size : ndarray, shape (quotes,) or (quotes, 2)
        Output: the quotes' event numbers, dealers, and prices and sizes of bid and ask.
    trade_event, trade_dealer, trade_side, trade_ticks, trade_size : ndarray, shape (trades,)
        Output: the trades' event numbers, dealers, sides, prices and sizes.

    Returns
    -------
    int
        How many trades could not be placed because no quote stood: 0 unless the day is far too short for its
        instruments.
    """
    instruments, slots = dealers.shape
    bid = np.zeros((instruments, slots), np.int64)
    ask = np.zeros((instruments, slots), np.int64)
    bid_size = np.zeros((instruments, slots))
    ask_size = np.zeros((instruments, slots))
    quoted = np.zeros((instruments, slots), np.bool_)
    any_quote = np.zeros(instruments, np.bool_)
    lean = np.zeros((instruments, slots))
    last_time = np.zeros(instruments)
    deviation = np.zeros(instruments)
    log_volatility = np.zeros(instruments)
    last_sign = np.zeros(instruments)
    order_sign = np.ones(instruments)
    order_left = np.zeros(instruments, np.int64)
    quotes = 0
    trades = 0
    owed_trades = 0

    for event in range(len(instrument)):
        i = instrument[event]
        now = activity_time[event]
        passed = max(0.0, now - last_time[i])
        last_time[i] = now
        keep = math.exp(-passed / _VOLATILITY_MEMORY)
        log_volatility[i] = keep * log_volatility[i] + math.sqrt(1 - keep * keep) * volatility_shock[event]
        scale = volatility[i] * math.exp(_VOLATILITY_OF_VOLATILITY * log_volatility[i] - _VOLATILITY_OF_VOLATILITY**2)
        deviation[i] = deviation[i] * math.exp(-_PRICE_REVERSION * passed) + scale * math.sqrt(passed) * shock[event]
        price = math.exp(open_level[i] + (close_level[i] - open_level[i]) * now + deviation[i])

        # An instrument is quoted before it trades: its first event is a quote, a later quote pays for that.
        trade = is_trade[event]
        if trade and not any_quote[i]:
            trade = False
            owed_trades += 1
        elif not trade and owed_trades > 0 and any_quote[i]:
            trade = True
            owed_trades -= 1

        if not trade:
            slot = int(uniform[event, 0] * dealer_count[i])
            # Wider at the open, and each dealer wider or narrower by habit and by mood.
            habit = 0.85 + 0.3 * ((dealers[i, slot] * 7 + i) % 11) / 10
            width = spread[i] * habit * (0.95 + 0.1 * uniform[event, 1]) * (1 + 0.25 * math.exp(-now / 0.03))
            narrowest = math.ceil(MIN_SPREAD_BP * 1e-4 * (price + 1)) + 1
            widest = math.floor(MAX_SPREAD_BP * 1e-4 * (price - 1)) - 1
            ticks = int(min(max(np.round(width * price), narrowest), widest))
            # A dealer leans to one side for as long as the inventory does.
            push = (uniform[event, 2] - 0.5) * math.sqrt(1 - _LEAN_MEMORY**2)
            lean[i, slot] = _LEAN_MEMORY * lean[i, slot] + push
            centre = price + _LEAN * lean[i, slot] * ticks
            new_bid = int(np.round(centre - ticks / 2))
            new_ask = new_bid + ticks
            # Who stands in the way of this quote has the stalest price, and is the one who moves.
            for other in range(dealer_count[i]):
                if quoted[i, other] and other != slot and (ask[i, other] <= new_bid or bid[i, other] >= new_ask):
                    slot = other
                    break
            for other in range(dealer_count[i]):
                if quoted[i, other] and other != slot:
                    new_bid = min(new_bid, ask[i, other] - 1)
            new_ask = new_bid + ticks
            for other in range(dealer_count[i]):
                if quoted[i, other] and other != slot:
                    new_ask = max(new_ask, bid[i, other] + 1)
            new_bid = new_ask - ticks
            bid[i, slot], ask[i, slot] = new_bid, new_ask
            bid_size[i, slot] = _in_denominations(1e5 * math.exp(3.2 * uniform[event, 3]), denomination[i])
            ask_size[i, slot] = _in_denominations(1e5 * math.exp(3.2 * uniform[event, 4]), denomination[i])
            quoted[i, slot] = True
            any_quote[i] = True
            quote_event[quotes] = event
            quote_dealer[quotes] = dealers[i, slot]
            quote_ticks[quotes, 0], quote_ticks[quotes, 1] = new_bid, new_ask
            quote_size[quotes, 0], quote_size[quotes, 1] = bid_size[i, slot], ask_size[i, slot]
            quotes += 1
            continue

        best_bid, best_ask = -1, -1
        for slot in range(dealer_count[i]):
            if quoted[i, slot]:
                if best_bid < 0 or bid[i, slot] > bid[i, best_bid]:
                    best_bid = slot
                if best_ask < 0 or ask[i, slot] < ask[i, best_ask]:
                    best_ask = slot

        if order_left[i] > 0:
            order_left[i] -= 1
        else:
            order_sign[i] = BUY if uniform[event, 0] < 0.5 else SELL
            pieces = _SMALLEST_ORDER * uniform[event, 1] ** (-1 / _LARGE_ORDER_TAIL)
            order_left[i] = int(min(pieces, _LARGEST_ORDER)) - 1
        sign = order_sign[i]
        if uniform[event, 2] > _SHARE_OF_LARGE_ORDERS:
            sign = BUY if uniform[event, 2] > (1 + _SHARE_OF_LARGE_ORDERS) / 2 else SELL

        slot = best_ask if sign > 0 else best_bid
        touch = ask[i, slot] if sign > 0 else bid[i, slot]
        standing = 0.0
        for other in range(dealer_count[i]):
            if quoted[i, other]:
                if sign > 0 and ask[i, other] == touch:
                    standing += ask_size[i, other]
                elif sign < 0 and bid[i, other] == touch:
                    standing += bid_size[i, other]
        best_spread = ask[i, best_ask] - bid[i, best_bid]
        where = uniform[event, 3]
        if where < _SHARE_INSIDE:
            # An improvement stays on its side of the middle, so that its side can be told from its price.
            improvement = int((where / _SHARE_INSIDE) * (best_spread / 2))
            if 2 * improvement >= best_spread:
                improvement = 0
            level = touch - int(sign) * improvement
        elif where > 1 - _SHARE_THROUGH:
            level = touch + int(sign) * (1 + int((1 - where) / _SHARE_THROUGH * 0.5 * best_spread))
        else:
            level = touch
        # What is larger than all that stands at the best price goes through it; all else fits in.
        if where > 1 - _SHARE_THROUGH:
            amount = standing + _in_denominations(standing * uniform[event, 4], denomination[i])
        else:
            amount = min(_in_denominations(1e4 * math.exp(5 * uniform[event, 4] ** 1.5), denomination[i]), standing)
        trade_event[trades] = event
        trade_dealer[trades] = dealers[i, slot]
        trade_side[trades] = sign
        trade_ticks[trades] = level
        trade_size[trades] = amount
        trades += 1
        deviation[i] += _IMPACT * scale * math.sqrt(passed) * (sign - _EXPECTED_SIGN * last_sign[i])
        last_sign[i] = sign
    return owed_trades
