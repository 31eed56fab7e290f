"""The security master: bonds with their identifiers and terms, drawn a block at a time."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.errors import GeneratorError
from data_generators.identifiers import ISSUERS, ISSUES_PER_ISSUER, cusips_and_isins, numbered
from data_generators.randomness import generator

BLOCK_ROWS = 16_384
ISSUERS_PER_BLOCK = 4_096
MAX_BLOCKS = ISSUERS // ISSUERS_PER_BLOCK
"""Beyond this many blocks the six-character issuer numbers run out."""

AS_OF = np.datetime64("2024-01-08", "D")
"""The Monday on which the market opens: statuses are those of this day."""

SEGMENTS = ("GOVT", "HG", "IG", "MUNI", "EM", "HY")
_SEGMENT_SHARE = (0.08, 0.14, 0.34, 0.20, 0.08, 0.16)
RATINGS = (
    *("AAA", "AA+", "AA", "AA-", "A+", "A", "A-", "BBB+", "BBB", "BBB-"),
    *("BB+", "BB", "BB-", "B+", "B", "B-", "CCC+", "CCC", "D"),
)
# The best and worst rating (positions in RATINGS) of each segment's issuers.
RATING_RANGE = ((0, 1), (0, 3), (4, 9), (0, 7), (7, 15), (10, 17))
COUNTRIES = ("US", "CA", "GB", "DE", "FR", "JP", "BR", "MX", "ZA", "TR", "ID", "CL", "CO", "PE")
_DEVELOPED, _EMERGING = slice(0, 6), slice(6, 14)
_DEVELOPED_SHARE = (0.80, 0.06, 0.05, 0.03, 0.03, 0.03)
CURRENCIES = ("USD", "CAD", "GBP", "EUR", "JPY")
_CURRENCY_OF_COUNTRY = np.array([0, 1, 2, 3, 3, 4] + [0] * 8)
EXCHANGES = ("XOFF", "XNYS", "XLON", "XLUX", "XFRA")
SECTORS = (
    *("Energy", "Financials", "Utilities", "Industrials", "Technology", "Health Care"),
    *("Materials", "Consumer", "Telecom", "Real Estate", "Government", "Municipal", "Sovereign"),
)
_CORPORATE_SECTORS, _GOVERNMENT, _MUNICIPAL, _SOVEREIGN = 10, 10, 11, 12
STATUSES = ("ACTIVE", "MATURED", "CALLED", "DEFAULTED")
ACTIVE, MATURED, CALLED, DEFAULTED = range(4)
_TENORS = np.array([2, 3, 5, 7, 10, 15, 20, 30])
_TENOR_SHARE = (0.08, 0.12, 0.24, 0.14, 0.22, 0.06, 0.06, 0.08)
# Denominations that each segment trades in: municipal bonds in 5,000, emerging markets mostly in 200,000.
_DENOMINATIONS = np.array([[100, 1000], [1000, 2000], [1000, 2000], [5000, 5000], [1000, 200_000], [1000, 2000]])
_COUPON_STEP = 0.125
_FIRST_MONTH = np.datetime64("2000-01", "M")
_MONTHS = 12 * 70

SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("name", pa.string()),
        ("cusip", pa.string()),
        ("isin", pa.string()),
        ("segment", pa.string()),
        ("issuer", pa.string()),
        ("sector", pa.string()),
        ("currency", pa.string()),
        ("coupon", pa.float64()),
        ("maturity", pa.date32()),
        ("issue_date", pa.date32()),
        ("rating", pa.string()),
        ("country", pa.string()),
        ("exchange", pa.string()),
        ("status", pa.string()),
        ("min_denomination", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Terms:
    """What a block of securities is made of: codes and numbers, one entry a security."""

    issuer: Any
    issue: Any
    segment: Any
    sector: Any
    rating: Any
    country: Any
    currency: Any
    exchange: Any
    status: Any
    coupon: Any
    issue_date: Any
    maturity: Any
    min_denomination: Any


def fair_yield(rating: Any, years: Any) -> Any:
    """Return the yield in percent asked for a rating (its position in RATINGS) and years to maturity."""
    return 3.6 + 0.35 * np.log1p(years) + 0.022 * np.asarray(rating, dtype=float) ** 1.75


def terms(seed: int, block: int) -> Terms:
    """Draw the terms of one block of `BLOCK_ROWS` securities.

    Parameters
    ----------
    seed : int
        Seed of the market.
    block : int
        Number of the block, from 0.

    Returns
    -------
    Terms
        Codes point into `SEGMENTS`, `RATINGS` and so on; dates are ``datetime64[D]``; coupons percent a year.

    Raises
    ------
    GeneratorError
        If the block lies beyond `MAX_BLOCKS`.
    """
    if block >= MAX_BLOCKS:
        raise GeneratorError(f"there are issuer numbers for {MAX_BLOCKS:,} blocks of securities only")
    random = generator(seed, "securities", block)

    # Issuers first: their bonds share name, sector, country and rating.
    segments = random.choice(len(SEGMENTS), ISSUERS_PER_BLOCK, p=_SEGMENT_SHARE)
    best, worst = np.array(RATING_RANGE).T
    ratings = random.integers(best[segments], worst[segments], endpoint=True)
    govt, muni, emerging = (segments == SEGMENTS.index(name) for name in ("GOVT", "MUNI", "EM"))
    countries = np.where(
        emerging,
        random.integers(_EMERGING.start, _EMERGING.stop, ISSUERS_PER_BLOCK),
        random.choice(_DEVELOPED.stop, ISSUERS_PER_BLOCK, p=_DEVELOPED_SHARE),
    )
    countries[muni] = 0
    sectors = random.integers(0, _CORPORATE_SECTORS, ISSUERS_PER_BLOCK)
    sectors[govt], sectors[muni] = _GOVERNMENT, _MUNICIPAL
    sectors[emerging & (random.random(ISSUERS_PER_BLOCK) < 0.5)] = _SOVEREIGN

    # The k-th largest issuer of the block has a share of bonds that falls like k ** -0.5.
    weight = np.cumsum(np.arange(1, ISSUERS_PER_BLOCK + 1) ** -0.5)
    owner = np.searchsorted(weight, random.random(BLOCK_ROWS) * weight[-1], side="right")
    issue = _rank_within(owner)
    if issue.max() >= ISSUES_PER_ISSUER:
        raise AssertionError("an issuer got more bonds than it has issue numbers")

    segment, rating, country = segments[owner], ratings[owner], countries[owner]
    tenor = _TENORS[random.choice(len(_TENORS), BLOCK_ROWS, p=_TENOR_SHARE)]
    as_of_month = int(AS_OF.astype("datetime64[M]").astype(int))
    issue_month = as_of_month - random.integers(1, 97, BLOCK_ROWS)
    half = random.integers(0, 2, BLOCK_ROWS) * 14
    issue_date = _day(issue_month, half)
    maturity = _day(issue_month + 12 * tenor, half)
    coupon = fair_yield(rating, tenor) - random.exponential(0.6, BLOCK_ROWS) + random.normal(0, 0.4, BLOCK_ROWS)
    coupon = np.clip(np.round(coupon / _COUPON_STEP), 0, 120) * _COUPON_STEP
    denomination = _DENOMINATIONS[segment, random.integers(0, 2, BLOCK_ROWS)]

    luck = random.random(BLOCK_ROWS)
    status = np.full(BLOCK_ROWS, ACTIVE)
    status[(luck < 0.03) & (segment != SEGMENTS.index("GOVT"))] = CALLED
    status[luck > 1 - 0.0004 * rating] = DEFAULTED
    status[maturity <= AS_OF] = MATURED
    rating = np.where(status == DEFAULTED, len(RATINGS) - 1, rating)
    currency = np.where(random.random(BLOCK_ROWS) < 0.3, _CURRENCY_OF_COUNTRY[country], 0)
    exchange = random.choice(len(EXCHANGES), BLOCK_ROWS, p=(0.55, 0.15, 0.10, 0.14, 0.06))
    # A multiplier prime to ISSUERS spreads neighbouring issuers over the numbers without collisions.
    shift = int(generator(seed, "issuer numbers").integers(ISSUERS))
    issuer = ((block * ISSUERS_PER_BLOCK + owner).astype(np.int64) * 15_485_863 + shift) % ISSUERS
    return Terms(
        issuer,
        issue,
        segment,
        sectors[owner],
        rating,
        country,
        currency,
        exchange,
        status,
        coupon,
        issue_date,
        maturity,
        denomination,
    )


def _rank_within(group: Any) -> Any:
    """Return how many earlier entries have the same group."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(starts, np.diff(np.r_[starts, len(group)]))
    return rank


def _day(month: Any, offset: Any) -> Any:
    return month.astype("datetime64[M]").astype("datetime64[D]") + offset


def block(seed: int, number: int) -> pa.Table:
    """Return one block of the security master as an Arrow table with the columns of `SCHEMA`."""
    drawn = terms(seed, number)
    issuer = _issuer_names(drawn.issuer, drawn.sector)
    month = drawn.maturity.astype("datetime64[M]").astype(int) - int(_FIRST_MONTH.astype(int))
    later_half = (drawn.maturity - drawn.maturity.astype("datetime64[M]").astype("datetime64[D]")).astype(int) > 0
    name = pc.binary_join_element_wise(
        issuer,
        _coupon_texts().take(pa.array((drawn.coupon / _COUPON_STEP).astype(np.int64))),
        _maturity_texts().take(pa.array(2 * month + later_half)),
        " ",
    )
    prefix = np.where(drawn.country == COUNTRIES.index("CA"), b"CA", b"US")
    cusip, isin = cusips_and_isins(drawn.issuer, drawn.issue, prefix)
    columns = [
        symbols(number * BLOCK_ROWS, BLOCK_ROWS),
        name,
        cusip,
        isin,
        decode(SEGMENTS, drawn.segment),
        issuer,
        decode(SECTORS, drawn.sector),
        decode(CURRENCIES, drawn.currency),
        pa.array(drawn.coupon),
        pa.array(drawn.maturity),
        pa.array(drawn.issue_date),
        decode(RATINGS, drawn.rating),
        decode(COUNTRIES, drawn.country),
        decode(EXCHANGES, drawn.exchange),
        decode(STATUSES, drawn.status),
        pa.array(drawn.min_denomination),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def symbols(start: int, rows: int) -> pa.Array:
    """Return the symbols (instrument ids) of securities ``start`` to ``start + rows - 1`` of the master."""
    return numbered("B", start, rows)


def decode(names: tuple[str, ...], codes: Any) -> pa.Array:
    """Return strings from their positions in a list of names."""
    return pa.array(names).take(pa.array(codes))


@cache
def _coupon_texts() -> pa.Array:
    return pa.array([f"{step * _COUPON_STEP:.3f}%" for step in range(121)])


@cache
def _maturity_texts() -> pa.Array:
    months = (_FIRST_MONTH + np.arange(_MONTHS)).astype("datetime64[D]")
    return pa.array(np.repeat(months, 2) + np.tile([0, 14], _MONTHS)).cast(pa.string())


@cache
def _name_parts() -> tuple[pa.Array, pa.Array]:
    """Return 6,400 words; two of them name an issuer, so that 41 million issuers have names of their own."""
    consonants, vowels, endings = "BCDFGKLMNPRSTVWZ", "aeiou", ("l", "n", "r", "s", "x", "nd", "rk", "m")
    open_syllables = [c + v for c in consonants for v in vowels]
    closed = [c.lower() + v + endings[i % 8] for i, (c, v) in enumerate((c, v) for c in consonants for v in vowels)]
    words = pa.array([first + last for first in open_syllables for last in closed])
    kinds = pa.array(
        ["Energy", "Financial", "Power", "Industries", "Technologies", "Health", "Materials", "Brands",
         "Telecom", "Properties", "Agency", "County", "Republic"]
    )  # fmt: skip
    return words, kinds


def _issuer_names(issuer: Any, sector: Any) -> pa.Array:
    words, kinds = _name_parts()
    first, second = np.divmod(issuer, len(words))
    return pc.binary_join_element_wise(
        words.take(pa.array(first)), words.take(pa.array(second)), kinds.take(pa.array(sector)), " "
    )
