"""What fills cost: the same measures of real and of simulated ones, over equal quantities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fintech_toolkit.errors import DataError
from fintech_toolkit.orders.language import Side
from fintech_toolkit.orders.nbbo import mid_at
from fintech_toolkit.orders.settings import Market

MEASURES = (
    "fills",
    "fill_ratio",
    "vwap",
    "cost_bps",
    "weighted_cost_bps",
    "effective_spread_bps",
    "effective_to_quoted",
    "improvement_bps",
    "shortfall_bps",
    "first_fill_seconds",
    "duration_seconds",
    "weighted_seconds",
    "drift_bps",
    "spread_bps",
    "spread_deviation_bps",
)
"""Columns of what `measure` gives, besides the order, its quantities and what it met on arrival."""
ABOUT = (
    "security_code",
    "day",
    "participantid",
    "side",
    "arrival",
    "arrival_hour",
    "size",
    "volume_quartile",
)
"""Columns of a final state that go with its order's measures."""

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Fills:
    """Fills in order of (order, time), where each order's begin, and their columns as arrays."""

    order: Whole
    begin: Whole
    time: Whole
    quantity: Whole
    price: Floats
    mid: Floats
    wide: Floats

    def sums(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.add.reduceat(values, self.begin) if len(self.begin) else values[:0]

    @property
    def end(self) -> Whole:
        return np.append(self.begin[1:], len(self.quantity)) - 1 if len(self.begin) else self.begin

    @property
    def lengths(self) -> Whole:
        return np.diff(np.append(self.begin, len(self.quantity)))

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Give each fill what is its order's."""
        return np.repeat(values, self.lengths)


def _in_order(fills: pd.DataFrame) -> pd.DataFrame:
    by = [name for name in ("order_id", "timestamp", "sequence") if name in fills]
    wrong = fills.index[(fills["quantity"] <= 0).to_numpy()]
    if len(wrong):
        row = fills.loc[wrong[0]]
        raise DataError(
            f"Column 'quantity', row {wrong[0]}: a fill of order {row['order_id']} of {row['quantity']}; "
            "leave out what is no fill."
        )
    return fills.sort_values(by, kind="stable", ignore_index=True)


def _grouped(fills: pd.DataFrame) -> _Fills:
    ids = fills["order_id"].to_numpy()
    begin = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])) if len(ids) else np.empty(0, np.int64)
    return _Fills(
        ids[begin],
        begin,
        fills["timestamp"].to_numpy("datetime64[ns]").view("int64"),
        fills["quantity"].to_numpy("int64"),
        *(fills[name].to_numpy("float64") for name in ("price", "mid", "wide")),
    )


def part_of(fills: pd.DataFrame, first: pd.Series, many: pd.Series) -> pd.DataFrame:
    """Cut each order's fills, in order of time, to some of its units.

    A fill across a bound is divided at its own price.

    Parameters
    ----------
    fills : pandas.DataFrame
        ``order_id``, ``timestamp``, ``quantity``, ``price``, and ``sequence`` where times tie.
    first, many : pandas.Series of int64
        By order id: how many units are passed over, and how many are taken after that. An order without is left out.

    Returns
    -------
    pandas.DataFrame
        The same columns, sorted by order and time; fills of which nothing is left are not in it.
    """
    ordered = _in_order(fills[fills["order_id"].isin(many.index)])
    ids = ordered["order_id"]
    until = ordered.groupby("order_id", sort=False)["quantity"].cumsum().to_numpy()
    begin = first.reindex(ids, fill_value=0).to_numpy("int64")
    end = begin + many.reindex(ids).to_numpy("int64")
    left = np.minimum(until, end) - np.maximum(until - ordered["quantity"].to_numpy(), begin)
    found: pd.DataFrame = ordered.assign(quantity=left)[left > 0].reset_index(drop=True)
    return found


def _prevailing(times: pd.Series, nbbo: pd.DataFrame, market: Market) -> tuple[Floats, Floats]:
    """Return mid and spread that stood at times; NaN where none did, or bid and offer were crossed."""
    stood = mid_at(times, nbbo, market)
    mid = stood["mid"].where(~stood["crossed"]).to_numpy("float64")
    return mid, np.where(np.isnan(mid), np.nan, (stood["offer"] - stood["bid"]).to_numpy("float64"))


def beside_market(fills: pd.DataFrame, nbbo: pd.DataFrame, market: Market) -> pd.DataFrame:
    """Return fills with the ``mid`` and the spread (``wide``) that stood at each: what `measured` reads of them."""
    mid, wide = _prevailing(fills["timestamp"], nbbo, market)
    return fills.assign(mid=mid, wide=wide)


@dataclass(frozen=True)
class Met:
    """What orders wanted and which market they met: what `measured` reads of them, a value for each order."""

    order: pd.Index
    sign: Floats
    arrival: Whole
    mid: Floats
    width: Floats
    mid_at_end: Floats
    limit: Floats

    @classmethod
    def by(cls, final: pd.DataFrame, nbbo: pd.DataFrame, market: Market) -> Met:
        """Look it up for final states."""
        bid, offer = (final[name].to_numpy() for name in ("arrival_bid", "arrival_offer"))
        told = (bid > 0) & (offer >= bid)
        bid, offer = np.where(told, bid, 0), np.where(told, offer, 0)
        mid, width = _prevailing(final["arrival"], nbbo, market)
        limit = final["limit_price"].to_numpy()
        return cls(
            pd.Index(final["order_id"]),
            np.where(final["side"].to_numpy() == Side.BUY, 1.0, -1.0),
            final["arrival"].to_numpy("datetime64[ns]").view("int64"),
            np.where(told, (bid + offer) / 2, mid),
            np.where(told, offer - bid, width),
            _prevailing(final["last"], nbbo, market)[0],
            np.where(limit > 0, limit, np.nan),  # neither the absent price nor that of a market order
        )


def measure(
    final: pd.DataFrame, fills: pd.DataFrame, nbbo: pd.DataFrame, market: Market, ordered: pd.Series | None = None
) -> pd.DataFrame:
    """Measure what the fills of orders cost, against the market that they met.

    With s = 1 for buys and -1 for sells, m the mid on arrival (by the bid and offer of the order's first record; where
    it has none, by those that stood), fills of quantities q at prices p and times t, and the mid M and the spread S
    that stood at each (weighted: by quantity), the columns are

    ======================== =========================================================================================
    ``fills``                how many
    ``filled``               sum of q
    ``fill_ratio``           filled / ordered; an error where it would be above 1
    ``vwap``                 sum of p·q / filled, in price units
    ``arrival_mid``          m, in price units; NaN where there was no bid and offer
    ``arrival_spread_bps``   (offer - bid) / m·1e4
    ``cost_bps``             execution cost against arrival: s·(vwap - m) / m·1e4
    ``weighted_cost_bps``    weighted mean of s·(p - M) / M·1e4
    ``effective_spread_bps`` 2·abs(vwap - m) / m·1e4
    ``effective_to_quoted``  2·abs(vwap - m) / (offer - bid) on arrival; NaN where that is not above 0
    ``improvement_bps``      price improvement: s·(limit - vwap) / limit·1e4; NaN without a limit
    ``shortfall_bps``        implementation shortfall (Perold 1988) of all that was ordered: what was filled by its
                             cost, what was not by s·(mid at the order's last change - m) / m·1e4
    ``first_fill_seconds``   from arrival to the first fill
    ``duration_seconds``     from the first fill to the last
    ``weighted_seconds``     weighted mean of t - arrival
    ``drift_bps``            s·(M at the last fill - m) / m·1e4: how far the mid went against the order
    ``spread_bps``           weighted mean of S / M·1e4
    ``spread_deviation_bps`` weighted standard deviation of the same
    ======================== =========================================================================================

    A cost is above 0 where the order paid, on either side. What needs a mid that is not known is NaN.

    Parameters
    ----------
    final : pandas.DataFrame
        Final states, as `final_states` gives them.
    fills : pandas.DataFrame
        ``order_id``, ``timestamp``, ``quantity``, ``price``; real ones (trades) or simulated ones. Those of orders that
        are not in `final` are passed over.
    nbbo : pandas.DataFrame
        Best bid and offer over time, as `national_best` gives it; what stands at a fill's own time counts, unless bid
        and offer are crossed.
    market : Market
        For `mid_at`.
    ordered : pandas.Series of int64, optional
        By order id, what there was to fill; default: the order's quantity.

    Returns
    -------
    pandas.DataFrame
        A row for each order of `final`, in its order; without fills the measures are NaN and the fill ratio is 0.

    Raises
    ------
    DataError
        If a fill has no quantity, or fills of an order come to more than was ordered.
    """
    wanted = final.set_index("order_id")["quantity"] if ordered is None else ordered
    return measured(Met.by(final, nbbo, market), beside_market(fills, nbbo, market), wanted)


def measured(met: Met, fills: pd.DataFrame, ordered: pd.Series) -> pd.DataFrame:
    """Measure fills whose market is known already: see `measure`."""
    rows, sign, mid = met.order, met.sign, met.mid
    groups = _grouped(_in_order(fills[fills["order_id"].isin(rows)]))
    of = rows.get_indexer(pd.Index(groups.order))
    wanted = ordered.reindex(rows).to_numpy("int64")

    def per_order(values: npt.NDArray[Any], absent: float = np.nan) -> Floats:
        whole = np.full(len(rows), absent)
        whole[of] = values
        return whole

    filled = np.zeros(len(rows), np.int64)
    filled[of] = groups.sums(groups.quantity)
    above = np.flatnonzero(filled > wanted)
    if len(above):
        row = above[0]
        raise DataError(
            f"Order {rows[row]}: its fills come to {filled[row]}, above the {wanted[row]} that were ordered; "
            "the quantity is the last one, after amendments."
        )
    weights = groups.quantity.astype("float64")
    total = groups.sums(weights)
    side, start, at_fill = groups.spread(sign[of]), groups.spread(met.arrival[of]), groups.mid
    relative = groups.wide / at_fill * 1e4

    def weighted(values: Floats) -> Floats:
        made: Floats = groups.sums(values * weights) / total
        return made

    mean_spread = weighted(relative)
    variance = weighted((relative - groups.spread(mean_spread)) ** 2)
    vwap = per_order(weighted(groups.price))
    cost = sign * (vwap - mid) / mid * 1e4
    missed = np.where(filled < wanted, (wanted - filled) * sign * (met.mid_at_end - mid) / mid * 1e4, 0.0)
    effective = 2 * np.abs(vwap - mid)
    first, last = groups.time[groups.begin], groups.time[groups.end]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "order_id": rows.to_numpy(),
            "ordered": wanted,
            "filled": filled,
            "arrival_mid": mid,
            "arrival_spread_bps": met.width / mid * 1e4,
            "fills": per_order(groups.lengths, 0).astype("int64"),
            "fill_ratio": filled / np.where(wanted > 0, wanted, np.nan),
            "vwap": vwap,
            "cost_bps": cost,
            "weighted_cost_bps": per_order(weighted(side * (groups.price - at_fill) / at_fill * 1e4)),
            "effective_spread_bps": effective / mid * 1e4,
            "effective_to_quoted": effective / np.where(met.width > 0, met.width, np.nan),
            "improvement_bps": sign * (met.limit - vwap) / met.limit * 1e4,
            "shortfall_bps": (np.where(filled > 0, filled * cost, 0.0) + missed) / np.where(wanted > 0, wanted, np.nan),
            "first_fill_seconds": per_order((first - met.arrival[of]) / 1e9),
            "duration_seconds": per_order((last - first) / 1e9),
            "weighted_seconds": per_order(weighted((groups.time - start) / 1e9)),
            "drift_bps": sign * (per_order(at_fill[groups.end]) - mid) / mid * 1e4,
            "spread_bps": per_order(mean_spread),
            "spread_deviation_bps": per_order(np.sqrt(variance)),
        }
    return pd.DataFrame(found)
