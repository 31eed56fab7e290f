"""The wide security master: the same securities as the narrow one, with all that a master says of them."""

from typing import Any

import numpy as np
import pyarrow as pa

from data_generators import securities
from data_generators.identifiers import figis_and_sedols, fixed_width_strings, leis
from data_generators.randomness import generator
from data_generators.securities import ACTIVE, AS_OF, BLOCK_ROWS, CALLED, RATINGS, SEGMENTS, decode
from data_generators.wide.analytics import prices, sensitivities, yields_of
from data_generators.wide.columns import SECURITIES

_GOVT, _HG, _IG, _MUNI, _EM, _HY = range(len(SEGMENTS))
_MOODYS = (
    *("Aaa", "Aa1", "Aa2", "Aa3", "A1", "A2", "A3", "Baa1", "Baa2", "Baa3"),
    *("Ba1", "Ba2", "Ba3", "B1", "B2", "B3", "Caa1", "Caa2", "C"),
)
_LAST_GRADE, _WORST_NOTCH = RATINGS.index("BBB-"), len(RATINGS) - 2
_ISSUER_TYPES = ("GOVERNMENT", "CORPORATE", "CORPORATE", "MUNICIPAL", "EMERGING MARKET", "CORPORATE")
_REGIONS = ("NORTH AMERICA", "EUROPE", "ASIA", "LATIN AMERICA", "AFRICA")
_REGION_OF_COUNTRY = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 1, 2, 3, 3, 3])
_STATES = (
    *("CA", "TX", "NY", "FL", "IL", "PA", "OH", "NJ", "WA", "MA", "VA", "GA", "MI", "NC", "AZ"),
    *("MD", "CO", "MN", "WI", "OR", "CT", "SC", "MO", "TN", "IN"),
)
_GROUPS = ("Integrated", "Services", "Equipment", "Specialty")
_BANKS = tuple(f"BANK{number:02d}" for number in range(1, 16))
_TRUSTEES = tuple(f"TRUST{number}" for number in range(1, 7))
_OUTLOOKS = ("STABLE", "POSITIVE", "NEGATIVE", "DEVELOPING")
_DAY_COUNTS = ("30/360", "ACT/ACT", "ACT/365")
_CALENDARS = ("US", "CA", "GB", "TARGET", "JP")
_BENCHMARKS = ("UST", "CAN", "GILT", "BUND", "JGB")
_BENCHMARK_YEARS = np.array([2, 3, 5, 7, 10, 20, 30])
_SENIORITIES = ("SENIOR UNSECURED", "SENIOR SECURED", "SUBORDINATED", "GENERAL OBLIGATION", "REVENUE")
# By segment: the share of bonds that may be called, or are paid back by a sinking fund.
_CALLABLE = np.array([0.0, 0.15, 0.30, 0.60, 0.10, 0.65])
_SINKABLE = np.array([0.0, 0.01, 0.02, 0.25, 0.08, 0.03])
_SECURED = np.array([0.0, 0.05, 0.08, 0.0, 0.05, 0.30])
# Logarithm of the usual amount issued.
_AMOUNT = np.log([2e10, 1.2e9, 8e8, 3e7, 7e8, 5e8])


def _issuer_share(issuer: Any, salt: int) -> Any:
    """Return a number from 0 to 1 that all bonds of an issuer have in common."""
    mixed = (issuer * 2_654_435_761 + salt * 40_503_071) % 2**32
    mixed = (mixed ^ (mixed >> 15)) * 739_893 % 2**32
    return (mixed ^ (mixed >> 13)) / 2**32


def _where(mask: Any, values: Any) -> pa.Array:
    """Return an array that holds values where the mask says so, and none elsewhere."""
    return pa.array(values, mask=~mask)


def _texts(names: tuple[str, ...], codes: Any, mask: Any = None) -> pa.Array:
    return pa.array(names).take(pa.array(codes, mask=None if mask is None else ~mask))


def _date(month: Any, half: Any) -> Any:
    return month.astype("datetime64[M]").astype("datetime64[D]") + half


def _drawn(random: np.random.Generator, share: Any) -> Any:
    return random.random(BLOCK_ROWS) < share


def _tickers(issuer: Any) -> pa.Array:
    powers = 26 ** np.arange(5, -1, -1)
    return fixed_width_strings((65 + issuer[:, None] // powers % 26).astype(np.uint8))


def block(seed: int, number: int) -> pa.Table:
    """Return one block of the master with the columns of `SECURITIES`; its narrow columns are those of the narrow one.

    Parameters
    ----------
    seed : int
        Seed of the market.
    number : int
        Number of the block, from 0.

    Returns
    -------
    pyarrow.Table
        `securities.BLOCK_ROWS` rows. What a bond does not have, such as the call date of one that cannot be
        called, is null.
    """
    bonds = securities.terms(seed, number)
    random = generator(seed, "wide securities", number)
    found = _narrow(seed, number)
    found |= _identity(bonds, number)
    found |= _ratings(bonds, random)
    schedule = _Schedule(bonds)
    found |= schedule.columns(random)
    rights, call = _rights(bonds, schedule, random)
    found |= rights
    found |= _amounts(bonds, schedule, rights, random)
    found |= _evaluation(bonds, schedule, call, found, random)
    return pa.Table.from_arrays([found[name] for name in SECURITIES.names], schema=SECURITIES)


def _narrow(seed: int, number: int) -> dict[str, pa.Array]:
    table = securities.block(seed, number)
    return {name: table[name].combine_chunks() for name in table.column_names}


def _identity(bonds: securities.Terms, number: int) -> dict[str, pa.Array]:
    issuer, municipal = bonds.issuer, bonds.segment == _MUNI
    figi, sedol = figis_and_sedols(number * BLOCK_ROWS, BLOCK_ROWS)
    # Every fifth issuer belongs to another.
    parent = np.where(issuer % 5 == 0, issuer // 5, issuer)
    group = bonds.sector * len(_GROUPS) + (_issuer_share(issuer, 1) * len(_GROUPS)).astype(np.int64)
    groups = tuple(f"{sector} {kind}" for sector in securities.SECTORS for kind in _GROUPS)
    return {
        "figi": figi,
        "sedol": sedol,
        "lei": leis(issuer),
        "ticker": _tickers(issuer),
        "issuer_type": decode(_ISSUER_TYPES, bonds.segment),
        "industry_group": decode(groups, group),
        "region": decode(_REGIONS, _REGION_OF_COUNTRY[bonds.country]),
        "state": _texts(_STATES, (_issuer_share(issuer, 2) ** 2 * len(_STATES)).astype(np.int64), municipal),
        "parent_lei": leis(parent),
        "lead_manager": decode(_BANKS, (_issuer_share(issuer, 3) * len(_BANKS)).astype(np.int64)),
        "trustee": decode(_TRUSTEES, (_issuer_share(issuer, 4) * len(_TRUSTEES)).astype(np.int64)),
    }


def _ratings(bonds: securities.Terms, random: np.random.Generator) -> dict[str, pa.Array]:
    issuer, rating, found = bonds.issuer, bonds.rating, {}
    worst = len(RATINGS) - 1
    for salt, (agency, names, rated) in enumerate(
        (("sp", RATINGS, 1.0), ("moodys", _MOODYS, 0.93), ("fitch", RATINGS, 0.8))
    ):
        # Agencies differ by a notch now and then; which default they all know.
        share = _issuer_share(issuer, 5 + salt)
        notch = np.where(share < 0.2, -1, np.where(share > 0.8, 1, 0)) if salt else 0
        own = np.where(rating == worst, worst, np.clip(rating + notch, 0, _WORST_NOTCH))
        mask = _issuer_share(issuer, 8 + salt) < rated
        found[f"rating_{agency}"] = _texts(names, own, mask)
        days = (1 + _issuer_share(issuer, 11 + salt) * 900).astype(np.int64)
        found[f"rating_{agency}_date"] = _where(mask, AS_OF - days)
    outlook = np.searchsorted([0.75, 0.86, 0.98], _issuer_share(issuer, 14), side="right")
    return {
        **found,
        "rating_outlook": _texts(_OUTLOOKS, outlook, rating != worst),
        "rating_notch": pa.array((rating + 1).astype(np.int8)),
        "rating_watch": pa.array(_drawn(random, 0.03)),
        "investment_grade": pa.array(rating <= _LAST_GRADE),
    }


class _Schedule:
    """When a block's bonds pay, as of the day of the master."""

    def __init__(self, bonds: securities.Terms) -> None:
        self.bonds = bonds
        self.alive = bonds.maturity > AS_OF
        self.zero = bonds.coupon == 0
        self.frequency = np.where((bonds.currency == securities.CURRENCIES.index("EUR")) & ~self.zero, 1, 2)
        self.step = 12 // self.frequency
        months = [dates.astype("datetime64[M]").astype(int) for dates in (bonds.issue_date, bonds.maturity)]
        self.issue_month, self.end_month = months
        self.half = (bonds.maturity - bonds.maturity.astype("datetime64[M]").astype("datetime64[D]")).astype(int)
        self.tenor = (self.end_month - self.issue_month) // 12
        # The first month from which a coupon is still to come.
        as_of_month = AS_OF.astype("datetime64[M]")
        earliest = as_of_month.astype(int) + (as_of_month.astype("datetime64[D]") + self.half <= AS_OF)
        self.next_month = self.end_month - (self.end_month - earliest) // self.step * self.step
        self.next_coupon = _date(self.next_month, self.half)
        self.previous_coupon = _date(self.next_month - self.step, self.half)
        self.paying = self.alive & ~self.zero
        self.day_count = np.select(
            [bonds.currency == 4, (bonds.segment == _GOVT) | (bonds.currency == 3)], [2, 1], default=0
        )
        actual = (AS_OF - self.previous_coupon).astype(int)
        day, month = AS_OF.astype(object).day, as_of_month.astype(int)
        thirty = (month - self.next_month + self.step) * 30 + day - 1 - self.half
        self.accrued_days = np.where(self.paying, np.where(self.day_count == 0, thirty, actual), 0)
        period = (self.next_coupon - self.previous_coupon).astype(int)
        share = np.select(
            [self.day_count == 0, self.day_count == 2],
            [self.accrued_days / 360, self.accrued_days / 365],
            default=self.accrued_days / period / self.frequency,
        )
        self.accrued = np.abs(bonds.coupon * share)  # no zero with a sign
        self.years = (bonds.maturity - AS_OF).astype(float) / 365.25

    def columns(self, random: np.random.Generator) -> dict[str, pa.Array]:
        bonds = self.bonds
        first = _date(self.issue_month + self.step, self.half)
        return {
            "coupon_type": decode(("FIXED", "ZERO"), self.zero.astype(np.int64)),
            "coupon_frequency": pa.array(np.where(self.zero, 0, self.frequency).astype(np.int8)),
            "day_count": decode(_DAY_COUNTS, self.day_count),
            "business_day_convention": decode(("FOLLOWING", "MODIFIED FOLLOWING"), (bonds.currency > 0).astype(int)),
            "calendar": decode(_CALENDARS, bonds.currency),
            "announcement_date": pa.array(bonds.issue_date - random.integers(3, 21, BLOCK_ROWS)),
            "dated_date": pa.array(bonds.issue_date),
            "first_coupon_date": _where(~self.zero, first),
            "previous_coupon_date": _where(self.paying, self.previous_coupon),
            "next_coupon_date": _where(self.paying, self.next_coupon),
            "accrued_days": pa.array(self.accrued_days.astype(np.int32)),
            "settlement_days": pa.array(np.where(bonds.segment == _GOVT, 1, 2).astype(np.int32)),
        }


def _rights(
    bonds: securities.Terms, schedule: _Schedule, random: np.random.Generator
) -> tuple[dict[str, pa.Array], Any]:
    """Return flags, calls, puts and sinking funds; and what the next calls are: whether, when, at what price."""
    segment, corporate = bonds.segment, np.isin(bonds.segment, (_HG, _IG, _HY))
    called = bonds.status == CALLED
    callable_ = _drawn(random, _CALLABLE[segment]) & (schedule.tenor >= 3) | called
    make_whole = corporate & _drawn(random, 0.6)
    sinkable = _drawn(random, _SINKABLE[segment]) & ~callable_
    puttable = ~callable_ & ~sinkable & corporate & _drawn(random, 0.02)
    secured = _drawn(random, _SECURED[segment])
    private = np.isin(segment, (_EM, _HY)) & (_issuer_share(bonds.issuer, 15) < 0.6)
    seniority = np.where(
        segment == _MUNI,
        3 + (_issuer_share(bonds.issuer, 16) < 0.6),
        np.where(secured, 1, np.where(corporate & _drawn(random, 0.05), 2, 0)),
    )
    # Called from some 40 % of the life on, at half a coupon above par that melts away.
    first_month = schedule.issue_month + 12 * np.maximum(1, np.round(0.4 * schedule.tenor).astype(int))
    next_month = np.maximum(first_month, schedule.next_month)
    has_next = callable_ & schedule.alive & ~called & (next_month < schedule.end_month)
    left = (schedule.end_month - next_month) / np.maximum(schedule.end_month - first_month, 1)
    price = np.where(segment == _HY, 100 + np.round(bonds.coupon / 2 * np.clip(left, 0, 1), 3), 100.0)
    next_call = _date(next_month, schedule.half)
    put_month = schedule.next_month + 12 * random.integers(1, 6, BLOCK_ROWS)
    has_put = puttable & schedule.alive & (put_month < schedule.end_month)
    flags = {
        "callable": callable_,
        "make_whole": make_whole,
        "puttable": puttable,
        "sinkable": sinkable,
        "convertible": corporate & _drawn(random, 0.01),
        "rule_144a": private,
        "regulation_s": private & _drawn(random, 0.8),
        "secured": secured,
        "green": _drawn(random, 0.06),
        "bank_qualified": (segment == _MUNI) & _drawn(random, 0.15),
        "federally_taxable": (segment != _MUNI) | _drawn(random, 0.2),
        "in_index": (bonds.status == ACTIVE) & (schedule.years > 1) & _drawn(random, 0.5),
        "eligible_as_collateral": (bonds.rating <= _LAST_GRADE) & _drawn(random, 0.7),
    }
    found = {name: pa.array(values) for name, values in flags.items()}
    kind = np.select([callable_, sinkable, puttable], [1, 2, 3], default=0)
    found |= {
        "seniority": decode(_SENIORITIES, seniority),
        "maturity_type": decode(("BULLET", "CALLABLE", "SINKABLE", "PUTTABLE"), kind),
        "governing_law": decode(
            ("NEW YORK", "ENGLISH", "LOCAL"), np.select([bonds.country == 0, bonds.currency == 0], [0, 1], default=2)
        ),
        "form": decode(("REGISTERED", "BEARER"), _drawn(random, 0.04).astype(int)),
        "call_type": _texts(("AMERICAN", "EUROPEAN", "BERMUDAN"), random.integers(0, 3, BLOCK_ROWS), callable_),
        "first_call_date": _where(callable_, _date(first_month, schedule.half)),
        "next_call_date": _where(has_next, next_call),
        "next_call_price": _where(has_next, price),
        "make_whole_spread": _where(make_whole, 5.0 * random.integers(2, 11, BLOCK_ROWS)),
        "call_notice_days": pa.array(np.where(callable_, random.choice([15, 30, 60], BLOCK_ROWS), 0).astype(np.int32)),
        "put_date": _where(has_put, _date(put_month, schedule.half)),
        "put_price": _where(has_put, np.full(BLOCK_ROWS, 100.0)),
    }
    return found, (has_next, next_call, price)


def _amounts(
    bonds: securities.Terms, schedule: _Schedule, rights: dict[str, pa.Array], random: np.random.Generator
) -> dict[str, pa.Array]:
    unit = np.where(bonds.segment == _MUNI, 5e3, 1e6)
    issued = np.round(np.exp(_AMOUNT[bonds.segment] + random.normal(0, 0.6, BLOCK_ROWS)) / unit) * unit
    sinking = rights["sinkable"].to_numpy(zero_copy_only=False)
    payments = np.maximum(np.ceil(schedule.years), 1)
    # A sinking fund has paid back a part for each year that has passed.
    left = np.where(sinking, np.minimum(payments / schedule.tenor, 1), 1.0)
    outstanding = np.where(
        np.isin(bonds.status, (securities.MATURED, CALLED)), 0.0, np.round(issued * left / unit) * unit
    )
    sinks = sinking & (outstanding > 0)
    discount = random.exponential(0.4, BLOCK_ROWS)
    frequency, full = schedule.frequency, np.full(BLOCK_ROWS, 100.0)
    issue_price = np.where(
        schedule.zero,
        prices(bonds.coupon, schedule.tenor, securities.fair_yield(bonds.rating, schedule.tenor), frequency),
        100 - discount,
    ).round(3)
    return {
        "sink_type": _texts(("PRO RATA", "LOTTERY"), random.integers(0, 2, BLOCK_ROWS), sinking),
        "next_sink_date": _where(sinks, schedule.next_coupon),
        "next_sink_amount": _where(sinks, np.round(outstanding / payments, 2)),
        "sink_payments_left": pa.array(np.where(sinks, payments, 0).astype(np.int32)),
        "amount_issued": pa.array(issued),
        "amount_outstanding": pa.array(outstanding),
        "min_increment": pa.array(np.minimum(bonds.min_denomination, 1000).astype(float)),
        "par_value": pa.array(np.where(bonds.segment == _GOVT, 100.0, 1000.0)),
        "issue_price": pa.array(issue_price),
        "issue_yield": pa.array(yields_of(issue_price, bonds.coupon, schedule.tenor, frequency, full).round(4)),
        "redemption_price": pa.array(full),
    }


def _evaluation(
    bonds: securities.Terms, schedule: _Schedule, call: Any, found: dict[str, pa.Array], random: np.random.Generator
) -> dict[str, pa.Array]:
    alive = schedule.alive
    years = np.where(alive, schedule.years, 1.0)
    frequency = schedule.frequency
    benchmark_yield = securities.fair_yield(0, years).round(4)
    offered = np.maximum(securities.fair_yield(bonds.rating, years) + random.normal(0, 0.1, BLOCK_ROWS), 0.25).round(4)
    clean = prices(bonds.coupon, years, offered, frequency)
    # Nobody pays much for coupons that a call will end.
    has_call, call_date, call_price = call
    call_years = np.where(has_call, (call_date - AS_OF).astype(float) / 365.25, 1.0)
    most = call_price + bonds.coupon * call_years / 2
    clean = np.where(has_call, np.minimum(clean, most), clean).round(6)
    to_call = yields_of(clean, bonds.coupon, call_years, frequency, call_price).round(4)
    to_maturity = yields_of(clean, bonds.coupon, years, frequency, np.full(BLOCK_ROWS, 100.0)).round(4)
    dirty = clean + schedule.accrued
    duration, convexity, dv01 = sensitivities(bonds.coupon, years, to_maturity, frequency, dirty)
    nearest = np.abs(years[:, None] - _BENCHMARK_YEARS).argmin(axis=1)
    benchmarks = tuple(f"{name} {term}Y" for name in _BENCHMARKS for term in _BENCHMARK_YEARS)
    amount = found["amount_outstanding"].to_numpy()
    liquidity = np.clip(np.round(np.log10(np.maximum(amount, 1e6)) * 2.5 - 14), 1, 10)
    return {
        "benchmark": _texts(benchmarks, bonds.currency * len(_BENCHMARK_YEARS) + nearest, alive),
        "years_to_maturity": _where(alive, years.round(4)),
        "clean_price": _where(alive, clean),
        "accrued_interest": _where(alive, schedule.accrued),
        "dirty_price": _where(alive, dirty),
        "yield_to_maturity": _where(alive, to_maturity),
        "yield_to_worst": _where(alive, np.where(has_call, np.minimum(to_maturity, to_call), to_maturity)),
        "current_yield": _where(alive, (bonds.coupon / clean * 100).round(4)),
        "benchmark_yield": _where(alive, benchmark_yield),
        "spread_to_benchmark": _where(alive, ((to_maturity - benchmark_yield) * 100).round(2)),
        "modified_duration": _where(alive, duration.round(4)),
        "convexity": _where(alive, convexity.round(3)),
        "dv01": _where(alive, dv01.round(6)),
        "liquidity_score": pa.array(liquidity.astype(np.int8)),
    }
