"""The bond market: who quotes which instruments how wide, and what happens on each day."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from data_generators import securities
from data_generators.errors import GeneratorError
from data_generators.randomness import check_seed, generator
from data_generators.simulation import TICK, simulate_day

QUOTES_PER_DAY = 240_000
TRADES_PER_DAY = 200_000
MAX_SYMBOLS = 50_000
MAX_DAYS = 50_000
"""Beyond some 190 years of trading days, nanoseconds since 1970 leave an int64."""
ZIPF_EXPONENT = 1.0

DEALERS = tuple(f"DLR{number:02d}" for number in range(1, 25))
_MIN_DEALERS, _MAX_DEALERS = 3, 8
VENUES = ("TRADEWEB", "MKTAXESS", "BLOOMBERG", "TRUMID", "VOICE")
_VENUE_SHARE = (0.30, 0.28, 0.22, 0.08, 0.12)

OPEN = np.timedelta64(13 * 3600 + 1800, "s")
CLOSE = np.timedelta64(22 * 3600, "s")
_SESSION_US = int((CLOSE - OPEN) / np.timedelta64(1, "us"))

# Usual spread in basis points of the price: the best rating of the segment, and what each further notch adds.
_SPREAD_BP = {
    "GOVT": (5.5, 0.5),
    "HG": (7.0, 1.0),
    "IG": (10.0, 1.2),
    "MUNI": (13.0, 1.6),
    "EM": (20.0, 1.0),
    "HY": (18.0, 1.5),
}
_LEVEL_MEMORY = 0.85
_LEVEL_DAYS = 48

QUOTES_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("ts", pa.timestamp("ns", tz="UTC")),
        ("bid", pa.float64()),
        ("ask", pa.float64()),
        ("bid_size", pa.float64()),
        ("ask_size", pa.float64()),
        ("dealer", pa.string()),
    ]
)
TRADES_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("ts", pa.timestamp("ns", tz="UTC")),
        ("trade_id", pa.int64()),
        ("price", pa.float64()),
        ("size", pa.float64()),
        ("side", pa.int8()),
        ("dealer", pa.string()),
        ("venue", pa.string()),
    ]
)


@dataclass(frozen=True)
class Universe:
    """The quoted instruments, one entry each: ``row`` is theirs in the security master, which needs ``master_rows``."""

    symbol: pa.Array
    row: Any
    segment: Any
    rating: Any
    log_price: Any
    volatility: Any
    spread: Any
    denomination: Any
    activity: Any
    dealers: Any
    dealer_count: Any
    master_rows: int


@dataclass(frozen=True)
class Market:
    """A market: all that its data depend on.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.
    symbols : int
        How many instruments are quoted: the first of the security master that are active and do not mature
        within two years.
    """

    seed: int = 0
    symbols: int = 1_000

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if isinstance(self.symbols, bool) or not isinstance(self.symbols, int) or not 1 <= self.symbols <= MAX_SYMBOLS:
            raise GeneratorError(f"symbols must be a whole number from 1 to {MAX_SYMBOLS:,}, not {self.symbols!r}")

    @cached_property
    def universe(self) -> Universe:
        """The quoted instruments and their fixed properties."""
        return _universe(self.seed, self.symbols)

    def levels(self, day: int) -> Any:
        """Return the logarithm of each instrument's price at the open of a day, in ticks.

        An autoregressive process, cut off after `_LEVEL_DAYS` days: any day is drawn without those before it.
        """
        level = np.zeros(self.symbols)
        for back in range(_LEVEL_DAYS):
            # Day numbers are shifted so that the days before the first have addresses too.
            step = generator(self.seed, "levels", day - back + _LEVEL_DAYS).standard_normal(self.symbols)
            level += _LEVEL_MEMORY**back * step
        return self.universe.log_price + self.universe.volatility * level

    def day(self, day: int) -> tuple[pa.Table, pa.Table]:
        """Return the quotes and the trades of one day, each in time order.

        Parameters
        ----------
        day : int
            Number of the trading day, from 0; days are Mondays to Fridays from `securities.AS_OF` on.

        Returns
        -------
        (pyarrow.Table, pyarrow.Table)
            `QUOTES_PER_DAY` quotes and `TRADES_PER_DAY` trades. No two of their times are equal.
        """
        return _day(self, day)


def trading_date(day: int) -> np.datetime64:
    """Return the date of a trading day: weekdays from `securities.AS_OF` on, without holidays."""
    return securities.AS_OF + np.timedelta64(7 * (day // 5) + day % 5, "D")


@lru_cache(maxsize=8)
def _universe(seed: int, symbols: int) -> Universe:
    rows = []
    found, block = 0, 0
    drawn = []
    while found < symbols:
        terms = securities.terms(seed, block)
        good = (terms.status == securities.ACTIVE) & (terms.maturity > securities.AS_OF + np.timedelta64(730, "D"))
        chosen = np.flatnonzero(good)[: symbols - found]
        rows.append(chosen + block * securities.BLOCK_ROWS)
        columns = (terms.segment, terms.rating, terms.coupon, terms.maturity, terms.min_denomination)
        drawn.append([column[chosen] for column in columns])
        found += len(chosen)
        block += 1
    names = pa.concat_arrays(
        [securities.symbols(number * securities.BLOCK_ROWS, securities.BLOCK_ROWS) for number in range(block)]
    ).take(pa.array(np.concatenate(rows)))
    segment, rating, coupon, maturity, denomination = (np.concatenate(parts) for parts in zip(*drawn, strict=True))

    random = generator(seed, "universe")
    years = (maturity - securities.AS_OF).astype(float) / 365.25
    market_yield = np.maximum(securities.fair_yield(rating, years) + random.normal(0, 0.3, symbols), 0.5)
    price = np.clip(_clean_price(coupon, years, market_yield), 40, 160)
    base, notch = np.array([_SPREAD_BP[name] for name in securities.SEGMENTS])[segment].T
    best = np.array([low for low, _ in securities.RATING_RANGE])[segment]
    spread = (base + notch * (rating - best)) * random.uniform(0.9, 1.1, symbols) * (1 + np.minimum(years, 30) / 60)
    volatility = np.clip(3.5 * np.minimum(years, 14) + spread / 2, 6, 60)
    activity = 1.0 / (random.permutation(symbols) + 1.0) ** ZIPF_EXPONENT
    count = random.integers(_MIN_DEALERS, _MAX_DEALERS, symbols, endpoint=True)
    dealers = random.permuted(np.tile(np.arange(len(DEALERS)), (symbols, 1)), axis=1)[:, :_MAX_DEALERS]
    return Universe(
        names,
        np.concatenate(rows),
        segment,
        rating,
        np.log(price / TICK),
        volatility * 1e-4,
        spread * 1e-4,
        denomination.astype(float),
        np.cumsum(activity) / activity.sum(),
        dealers.astype(np.int64),
        count,
        int(rows[-1][-1]) + 1,
    )


def _clean_price(coupon: Any, years: Any, market_yield: Any) -> Any:
    """Return the price per 100 of a bond with annual coupons; coupon and yield in percent."""
    growth = (1 + market_yield / 100) ** -years
    return 100 * (coupon / market_yield * (1 - growth) + growth)


def _activity(share: Any) -> Any:
    """Return the share of a day's events by a share of the session: a U, four times as busy at its ends."""
    centred = 2 * share - 1
    return 0.5 * share + 0.25 * (centred * centred * centred + 1)


def _event_times(random: np.random.Generator, market: Market, events: int) -> tuple[Any, Any]:
    """Draw instruments and times (µs since the open) of a day's events: bursts, more at both ends."""
    grid = np.linspace(0, 1, 8193)
    mean_burst = 8
    bursts = events // mean_burst + 8 * int(np.sqrt(events))
    start = np.interp(random.random(bursts), _activity(grid), grid) * _SESSION_US
    member = np.searchsorted(market.universe.activity, random.random(bursts), side="right")
    size = random.geometric(1 / mean_burst, bursts)
    if size.sum() < events:
        raise AssertionError("too few bursts were drawn for a day")
    burst = np.repeat(np.arange(bursts), size)[:events]
    first = np.r_[True, burst[1:] != burst[:-1]]
    delay = np.where(first, 0.0, random.lognormal(np.log(0.3e6), 1.8, events))
    time = start[burst] + delay
    time = np.where(time < _SESSION_US, time, 2 * _SESSION_US - time)
    time = np.clip(time, 0, _SESSION_US - 1)
    order = np.argsort(time, kind="stable")
    # A microsecond apart at least: no two records tie, so "the quote that stood" is never in doubt.
    step = np.arange(events)
    time = np.maximum.accumulate(time[order].astype(np.int64) - step) + step
    return np.minimum(member, market.symbols - 1)[burst[order]], time


@lru_cache(maxsize=4)
def _day(market: Market, day: int) -> tuple[pa.Table, pa.Table]:
    random = generator(market.seed, "day", market.symbols, day)
    universe = market.universe
    events = QUOTES_PER_DAY + TRADES_PER_DAY
    instrument, time = _event_times(random, market, events)
    is_trade = random.permutation(events) < TRADES_PER_DAY
    quote_event, quote_dealer = np.empty((2, QUOTES_PER_DAY), np.int64)
    quote_ticks, quote_size = np.empty((QUOTES_PER_DAY, 2), np.int64), np.empty((QUOTES_PER_DAY, 2))
    trade_event, trade_dealer, trade_ticks = np.empty((3, TRADES_PER_DAY), np.int64)
    trade_side, trade_size = np.empty(TRADES_PER_DAY, np.int8), np.empty(TRADES_PER_DAY)
    owed = simulate_day(
        instrument,
        _activity(time / _SESSION_US),
        is_trade,
        random.standard_t(3, events) / np.sqrt(3),
        random.standard_normal(events),
        random.random((events, 5)),
        market.levels(day),
        market.levels(day + 1),
        universe.volatility,
        universe.spread,
        universe.denomination,
        universe.dealers,
        universe.dealer_count,
        quote_event,
        quote_dealer,
        quote_ticks,
        quote_size,
        trade_event,
        trade_dealer,
        trade_side,
        trade_ticks,
        trade_size,
    )
    if owed:
        raise AssertionError(f"{owed} trades of day {day} found no quote")
    start = (trading_date(day) + OPEN).astype("datetime64[us]")
    ts = (start + time.astype("timedelta64[us]")).astype("datetime64[ns]")
    dealer_names = pa.array(DEALERS)
    quotes = [
        universe.symbol.take(pa.array(instrument[quote_event])),
        _utc(ts[quote_event]),
        *(pa.array(quote_ticks[:, side] / 1000.0) for side in (0, 1)),
        *(pa.array(np.ascontiguousarray(quote_size[:, side])) for side in (0, 1)),
        dealer_names.take(pa.array(quote_dealer)),
    ]
    trades = [
        universe.symbol.take(pa.array(instrument[trade_event])),
        _utc(ts[trade_event]),
        pa.array(np.arange(day * TRADES_PER_DAY + 1, (day + 1) * TRADES_PER_DAY + 1)),
        pa.array(trade_ticks / 1000.0),
        pa.array(trade_size),
        pa.array(trade_side),
        dealer_names.take(pa.array(trade_dealer)),
        pa.array(VENUES).take(pa.array(random.choice(len(VENUES), TRADES_PER_DAY, p=_VENUE_SHARE))),
    ]
    return pa.Table.from_arrays(quotes, schema=QUOTES_SCHEMA), pa.Table.from_arrays(trades, schema=TRADES_SCHEMA)


def _utc(ts: Any) -> pa.Array:
    return pa.array(ts).cast(pa.timestamp("ns", tz="UTC"))
