"""Wide trades: the trades of the market as reported, with parties, amounts, yields, publication and settlement."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.identifiers import ISSUERS, leis, numbered
from data_generators.market import DEALERS, TRADES_PER_DAY, VENUES, Market, trading_date
from data_generators.randomness import generator
from data_generators.wide.analytics import sensitivities, yields_of
from data_generators.wide.columns import TRADES
from data_generators.wide.instruments import Lookup, places

_ROWS = TRADES_PER_DAY
CLIENTS = 400
_CLIENT_TYPES = ("ASSET MANAGER", "HEDGE FUND", "INSURER", "PENSION FUND", "BANK", "DEALER", "RETAIL")
_DEALING_CLIENT = _CLIENT_TYPES.index("DEALER")
_COUNTRIES = ("US", "US", "US", "GB", "DE", "FR", "CA", "JP")
_CURRENCIES = ("USD", "CAD", "GBP", "EUR", "JPY")
# Dollars for a unit of each currency on the first day.
_DOLLARS = np.array([1.0, 0.75, 1.27, 1.09, 0.0069])
_VOICE = VENUES.index("VOICE")

DISTINCT = (*("dealer_report_id", "contra_report_id", "order_id", "parent_order_id", "rfq_id", "transaction_code"),)
"""Texts that hardly repeat."""

# Texts without a story of their own: what they may be, how often each, and the share of trades that have one.
_TEXTS: dict[str, tuple[tuple[str, ...], tuple[float, ...], float]] = {
    "desk": (("CREDIT", "RATES", "MUNI", "EM"), (0.5, 0.25, 0.15, 0.1), 1.0),
    "book": (tuple(f"BK{n:02d}" for n in range(20)), (0.05,) * 20, 1.0),
    "trader": (tuple(f"TR{n:03d}" for n in range(100)), (0.01,) * 100, 1.0),
    "sales": (tuple(f"SA{n:03d}" for n in range(100)), (0.01,) * 100, 0.7),
    "executing_broker": (tuple(f"EB{n}" for n in range(8)), (0.125,) * 8, 0.25),
    "clearing_broker": (tuple(f"CB{n}" for n in range(5)), (0.2,) * 5, 0.4),
    "custodian": (tuple(f"CUST{n}" for n in range(8)), (0.125,) * 8, 0.85),
    "prime_broker": (tuple(f"PB{n}" for n in range(6)), (0.2, 0.2, 0.2, 0.2, 0.1, 0.1), 0.15),
    "introducing_broker": (tuple(f"IB{n}" for n in range(5)), (0.2,) * 5, 0.03),
    "investment_decision": (("HUMAN", "ALGORITHM", "CLIENT"), (0.6, 0.15, 0.25), 0.8),
    "beneficial_owner": (("FUND", "SEGREGATED", "OMNIBUS"), (0.6, 0.3, 0.1), 0.3),
    "order_type": (("RFQ", "LIMIT", "MARKET"), (0.65, 0.25, 0.1), 1.0),
    "time_in_force": (("DAY", "IOC", "GTC"), (0.6, 0.35, 0.05), 0.9),
    "algorithm": (("TWAP", "AUTOQUOTE", "SWEEP"), (0.2, 0.6, 0.2), 0.25),
    "settlement_type": (("DVP", "FREE"), (0.98, 0.02), 1.0),
    "settlement_location": (("DTC", "EUROCLEAR", "CLEARSTREAM", "FED"), (0.6, 0.2, 0.1, 0.1), 0.97),
    "settlement_status": (("PENDING", "MATCHED", "SETTLED"), (0.1, 0.75, 0.15), 1.0),
    "clearing_house": (("FICC", "NSCC"), (0.4, 0.6), 0.35),
    "netting_group": (tuple(f"NET{n:02d}" for n in range(30)), (1 / 30,) * 30, 0.3),
    "waiver": (("SIZE", "ILQD"), (0.5, 0.5), 0.1),
    "deferral_flag": (("LRGS", "ILQD", "SIZE"), (0.5, 0.3, 0.2), 0.12),
    "short_sale": (("SESH", "SELL"), (0.2, 0.8), 0.45),
    "liquidity_class": (("LIQUID", "ILLIQUID"), (0.3, 0.7), 1.0),
    "jurisdiction": (("US", "UK", "EU"), (0.8, 0.12, 0.08), 1.0),
    "modifier_1": (("Z", "U", "T"), (0.6, 0.3, 0.1), 0.06),
    "modifier_2": (("A", "R"), (0.5, 0.5), 0.02),
    "modifier_3": (("W",), (1.0,), 0.005),
    "modifier_4": (("P",), (1.0,), 0.001),
}  # fmt: skip
_FLAGS = {
    "as_of_trade": 0.005, "special_price": 0.003, "weighted_average": 0.01, "portfolio_trade": 0.04,
    "cancelled": 0.004, "corrected": 0.006, "agency_cross": 0.01, "affiliate_trade": 0.02, "away_from_market": 0.003,
    "give_up": 0.01, "riskless_principal": 0.05, "agency_principal_swap": 0.002,
    "dealer_report_late": 0.006,
}  # fmt: skip


def day(market: Market, number: int) -> pa.Table:
    """Return the trades of one day with the columns of `TRADES`; its narrow columns are those of the narrow trades.

    Parameters
    ----------
    market : Market
        The market.
    number : int
        Number of the trading day, from 0.

    Returns
    -------
    pyarrow.Table
        `TRADES_PER_DAY` rows. About two thirds of all values are there: a trade without a second report, a
        foreign currency, an algorithm or a deferral has nulls for them.
    """
    narrow = market.day(number)[1]
    random = generator(market.seed, "wide trades", market.symbols, number)
    master = Lookup(market, places(market, narrow["symbol"]), number)
    trades = {name: narrow[name].combine_chunks() for name in narrow.column_names}
    found = dict(trades)
    found |= _instrument(master)
    found |= {name: _text(random, *spec) for name, spec in _TEXTS.items()}
    flags = {name: random.random(_ROWS) < share for name, share in _FLAGS.items()}
    found |= {name: pa.array(values) for name, values in flags.items()}
    parties, dealing = _parties(trades, random)
    found |= parties
    found |= _times(trades, master, number, random)
    found |= _reports(trades, found, dealing, random)
    found |= _money(trades, master, number, random)
    found |= _publication(trades, found, flags, random)
    found |= _order(trades, random)
    return pa.Table.from_arrays([found[name] for name in TRADES.names], schema=TRADES)


def _text(random: np.random.Generator, names: tuple[str, ...], shares: tuple[float, ...], filled: float) -> pa.Array:
    bounds = np.cumsum(shares)[:-1] / np.sum(shares)
    codes = np.searchsorted(bounds, random.random(_ROWS), side="right")
    return pa.array(names).take(pa.array(codes, mask=random.random(_ROWS) >= filled))


def _where(mask: Any, values: Any) -> pa.Array:
    if isinstance(values, pa.Array):
        return pc.if_else(pa.array(mask), values, None)
    return pa.array(values, mask=~mask)


def _stamp(nanoseconds: Any, mask: Any = None) -> pa.Array:
    chosen = None if mask is None else ~mask
    return pa.array(nanoseconds // 1000 * 1000, mask=chosen).cast(pa.timestamp("ns", tz="UTC"))


def _nanoseconds(trades: dict[str, pa.Array]) -> Any:
    return trades["ts"].cast(pa.int64()).to_numpy()


def _seconds(random: np.random.Generator, median: float, deviation: float = 0.8) -> Any:
    """Draw delays in whole nanoseconds, of at least a microsecond and at most a hundred times the median."""
    drawn = np.minimum(median * random.lognormal(0, deviation, _ROWS), 100 * median)
    return np.maximum(drawn * 1e9, 1000).astype(np.int64)


def _instrument(master: Lookup) -> dict[str, pa.Array]:
    names = ("isin", "cusip", "figi", "name", "segment", "issuer", "sector", "country", "currency", "rating")
    found = {name: master.array(name) for name in (*names, "coupon", "maturity", "benchmark")}
    return {**found, "issuer_lei": master.array("lei")}


def _parties(trades: dict[str, pa.Array], random: np.random.Generator) -> tuple[dict[str, pa.Array], Any]:
    """Return who traded with whom, and whether the client deals too."""
    dealer = pc.index_in(trades["dealer"], pa.array(DEALERS)).to_numpy()
    client = (random.random(_ROWS) ** 2 * CLIENTS).astype(np.int64)
    kind = client * 5 % len(_CLIENT_TYPES)
    buys = trades["side"].to_numpy() > 0
    client_names = numbered("C", 0, CLIENTS, 4).take(pa.array(client))
    # Numbers beyond those of the issuers: clients first, then dealers.
    every = leis(ISSUERS + np.arange(CLIENTS + len(DEALERS)))
    client_lei, dealer_lei = every.take(pa.array(client)), every.take(pa.array(CLIENTS + dealer))
    found = {
        "client": client_names,
        "client_lei": client_lei,
        "dealer_lei": dealer_lei,
        "client_type": pa.array(_CLIENT_TYPES).take(pa.array(kind)),
        "client_country": pa.array(_COUNTRIES).take(pa.array(client * 3 % len(_COUNTRIES))),
        "buyer": pc.if_else(pa.array(buys), client_names, trades["dealer"]),
        "seller": pc.if_else(pa.array(buys), trades["dealer"], client_names),
        "buyer_lei": pc.if_else(pa.array(buys), client_lei, dealer_lei),
        "seller_lei": pc.if_else(pa.array(buys), dealer_lei, client_lei),
        "reporting_entity": dealer_lei,
    }
    return found, kind == _DEALING_CLIENT


def _times(
    trades: dict[str, pa.Array], master: Lookup, number: int, random: np.random.Generator
) -> dict[str, pa.Array]:
    ts = _nanoseconds(trades)
    booked = ts + _seconds(random, 2.0)
    affirmed = booked + _seconds(random, 600.0)
    return {
        "trade_date": pa.array(np.full(_ROWS, trading_date(number))),
        "settlement_date": master.settlement(),
        "order_ts": _stamp(ts - _seconds(random, 8.0)),
        "booked_ts": _stamp(booked),
        "affirmed_ts": _stamp(affirmed, random.random(_ROWS) < 0.8),
        "cleared_ts": _stamp(affirmed + _seconds(random, 1200.0), random.random(_ROWS) < 0.35),
    }


def _reports(
    trades: dict[str, pa.Array], found: dict[str, pa.Array], dealing: Any, random: np.random.Generator
) -> dict[str, pa.Array]:
    """Return both reports of each trade: the dealer's, and that of a counterparty who deals too."""
    ts, price, size = _nanoseconds(trades), trades["price"].to_numpy(), trades["size"].to_numpy()
    first = int(trades["trade_id"][0].as_py())
    late = found["dealer_report_late"].to_numpy(zero_copy_only=False)
    # Within 15 minutes, if not late.
    reported = ts + np.where(late, 900_000_000_000, 0) + _seconds(random, 4.0)
    contra_late = dealing & (random.random(_ROWS) < 0.01)
    contra = ts + np.where(contra_late, 900_000_000_000, 0) + _seconds(random, 6.0)
    agrees = random.random(_ROWS) < 0.995
    method = (("API", "FIX", "MANUAL"), (0.3, 0.6, 0.1), 1.0)
    capacity = (("PRINCIPAL", "AGENT"), (0.95, 0.05), 1.0)
    status = (("ACCEPTED", "AMENDED"), (0.99, 0.01), 1.0)
    return {
        "dealer_report_id": numbered("R", first, _ROWS, 11),
        "dealer_report_status": _text(random, *status),
        "dealer_report_method": _text(random, *method),
        "dealer_report_capacity": _text(random, *capacity),
        "dealer_report_party": trades["dealer"],
        "dealer_report_contra": found["client"],
        "dealer_report_price": trades["price"],
        "dealer_report_size": trades["size"],
        "dealer_report_ts": _stamp(reported),
        "contra_report_id": _where(dealing, numbered("S", first, _ROWS, 11)),
        "contra_report_status": _where(dealing, _text(random, *status)),
        "contra_report_method": _where(dealing, _text(random, *method)),
        "contra_report_capacity": _where(dealing, _text(random, *capacity)),
        "contra_report_party": _where(dealing, found["client"]),
        "contra_report_contra": _where(dealing, trades["dealer"]),
        "contra_report_price": _where(dealing, np.where(agrees, price, np.round(price + 0.125, 3))),
        "contra_report_size": _where(dealing, size),
        "contra_report_ts": _stamp(contra, dealing),
        "contra_report_late": pa.array(contra_late),
        "reports_match": pa.array(dealing & agrees),
    }


def _money(
    trades: dict[str, pa.Array], master: Lookup, number: int, random: np.random.Generator
) -> dict[str, pa.Array]:
    price, size, side = (trades[name].to_numpy() for name in ("price", "size", "side"))
    coupon, years, frequency = master.numbers("coupon"), master.years(), master.frequency()
    to_maturity = yields_of(price, coupon, years, frequency, np.full(_ROWS, 100.0))
    # What had accrued on the day of the master, and what has since; a coupon in between starts anew.
    period = 365.25 / frequency
    passed = master.numbers("accrued_days") + (trading_date(number) - trading_date(0)).astype(int)
    days = np.where(coupon > 0, np.floor(passed % period), 0).astype(np.int32)
    accrued = coupon * days / 365.25
    dirty = price + accrued
    duration, convexity, dv01 = sensitivities(coupon, years, to_maturity, frequency, dirty)
    principal, interest = price * size / 100, accrued * size / 100
    charged = random.random(_ROWS) < 0.3
    commission = np.where(charged, np.round(size * 2e-5, 2), 0.0)
    marked = random.random(_ROWS) < 0.6
    benchmark_yield = master.numbers("benchmark_yield")
    code = pc.index_in(master.array("currency"), pa.array(_CURRENCIES)).to_numpy()
    dollars = np.round(_DOLLARS[code] * np.exp(0.002 * random.standard_normal(len(_DOLLARS)))[code], 6)
    foreign, net = code > 0, np.round(principal + interest + side * commission, 2)
    converted = foreign & (random.random(_ROWS) < 0.4)
    pairs = pa.array([f"{name}USD" for name in _CURRENCIES])
    return {
        "accrued_interest": pa.array(accrued.round(6)),
        "dirty_price": pa.array(dirty.round(6)),
        "principal": pa.array(principal.round(2)),
        "accrued_amount": pa.array(interest.round(2)),
        "net_amount": pa.array(net),
        "commission": pa.array(commission),
        "markup": _where(marked, random.exponential(0.05, _ROWS).round(4)),
        "fee": _where(charged, np.round(size * 1e-6, 2)),
        "accrued_days": pa.array(days),
        "yield_to_maturity": pa.array(to_maturity.round(4)),
        "yield_to_worst": pa.array(np.minimum(to_maturity, _to_call(master, price, number)).round(4)),
        "current_yield": pa.array((coupon / price * 100).round(4)),
        "benchmark_yield": pa.array(benchmark_yield),
        "spread_to_benchmark": pa.array(((to_maturity - benchmark_yield) * 100).round(2)),
        "modified_duration": pa.array(duration.round(4)),
        "convexity": pa.array(convexity.round(3)),
        "dv01": pa.array(dv01.round(6)),
        "position_dv01": pa.array((dv01 * size / 100).round(4)),
        "settlement_currency": pc.if_else(pa.array(converted), "USD", master.array("currency")),
        "usd_amount": pa.array((net * dollars).round(2)),
        "fx_rate": _where(foreign, dollars),
        "fx_forward_points": _where(converted, random.normal(0, 1, _ROWS).round(2)),
        "fx_pair": _where(foreign, pairs.take(pa.array(code))),
        "fx_source": _where(foreign, _text(random, ("WMR", "ECB"), (0.8, 0.2), 1.0)),
        "fx_ts": _stamp(_nanoseconds(trades) - _seconds(random, 1.0), foreign),
        "settlement_amount": pa.array(np.where(converted, net * dollars, net).round(2)),
    }


def _to_call(master: Lookup, price: Any, number: int) -> Any:
    """Return the yields to the next call, and infinity where there is none that the market reckons with.

    A price so far above that at the call says that nobody expects it.
    """
    dates = master.numbers("next_call_date").astype("datetime64[D]")
    years = (dates - trading_date(number)).astype("timedelta64[D]").astype(float) / 365.25
    coupon, call_price = master.numbers("coupon"), np.nan_to_num(master.numbers("next_call_price"), nan=100.0)
    can = ~np.isnat(dates) & (years > 0) & (price <= call_price + coupon * np.nan_to_num(years) / 2)
    found = yields_of(price, coupon, np.where(can, years, 1.0), master.frequency(), call_price)
    return np.where(can, found, np.inf)


def _publication(
    trades: dict[str, pa.Array], found: dict[str, pa.Array], flags: dict[str, Any], random: np.random.Generator
) -> dict[str, pa.Array]:
    size, grade = (
        trades["size"].to_numpy(),
        pc.is_in(found["rating"], pa.array(_INVESTMENT_GRADE)).to_numpy(zero_copy_only=False),
    )
    # Sizes above these are published as "5MM+" and "1MM+".
    cap = np.where(grade, 5e6, 1e6)
    block = size > cap
    deferred = block & (random.random(_ROWS) < 0.3)
    reported = found["dealer_report_ts"].cast(pa.int64()).to_numpy()
    published = ~flags["affiliate_trade"]
    until = reported + 86_400_000_000_000 * 2
    trade_id = trades["trade_id"].to_numpy()
    # A correction is of an earlier trade of the day.
    earlier = trade_id - np.minimum(random.integers(0, 1000, _ROWS), trade_id - trade_id[0])
    voice = pc.equal(trades["venue"], VENUES[_VOICE]).to_numpy(zero_copy_only=False)
    return {
        "published": pa.array(published),
        "deferred": pa.array(deferred),
        "capped": pa.array(block),
        "size_above_block": pa.array(block),
        "published_size": _where(published, np.minimum(size, cap)),
        "published_ts": _stamp(np.where(deferred, until, reported + _seconds(random, 0.5)), published),
        "publication_venue": _where(published, _text(random, ("TRACE", "APA1", "APA2"), (0.8, 0.1, 0.1), 1.0)),
        "deferral_type": _where(deferred, _text(random, ("TWO DAYS",), (1.0,), 1.0)),
        "deferred_until": _stamp(until, deferred),
        "original_trade_id": pa.array(np.where(flags["corrected"], earlier, trade_id)),
        "correction_reason": _where(
            flags["corrected"], _text(random, ("PRICE", "SIZE", "PARTY"), (0.4, 0.4, 0.2), 1.0)
        ),
        "protocol": _where(~voice, _text(random, ("RFQ", "STREAM", "ALL TO ALL"), (0.7, 0.2, 0.1), 1.0)),
        "transaction_code": numbered("X", int(trade_id[0]), _ROWS, 13),
    }


_INVESTMENT_GRADE = ("AAA", "AA+", "AA", "AA-", "A+", "A", "A-", "BBB+", "BBB", "BBB-")


def _order(trades: dict[str, pa.Array], random: np.random.Generator) -> dict[str, pa.Array]:
    price, size, side = (trades[name].to_numpy() for name in ("price", "size", "side"))
    first = int(trades["trade_id"][0].as_py())
    orders = numbered("O", first, _ROWS, 11)
    asked = random.integers(1, 7, _ROWS).astype(np.int32)
    answered = 1 + (random.random(_ROWS) * asked).astype(np.int32)
    covered, limited, child = answered > 1, random.random(_ROWS) < 0.3, random.random(_ROWS) < 0.4
    cover = np.round(price + side * random.exponential(0.04, _ROWS), 3)
    return {
        "order_id": orders,
        "parent_order_id": _where(child, numbered("P", first, _ROWS, 11)),
        "rfq_id": _where(asked > 1, numbered("Q", first, _ROWS, 11)),
        "order_size": pa.array(size * np.where(child, random.integers(2, 6, _ROWS), 1)),
        "limit_price": _where(limited, np.round(price + side * random.exponential(0.05, _ROWS), 3)),
        "cover_price": _where(covered, cover),
        "cover_dealer": _where(covered, pa.array(DEALERS).take(pa.array(random.integers(0, len(DEALERS), _ROWS)))),
        "dealers_asked": pa.array(asked),
        "dealers_answered": pa.array(answered),
        "response_seconds": _where(asked > 1, random.lognormal(1.5, 0.7, _ROWS).round(3)),
        "allocations": pa.array(np.where(child, random.integers(1, 6, _ROWS), 1).astype(np.int32)),
    }
