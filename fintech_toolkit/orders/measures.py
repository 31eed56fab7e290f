"""What fills cost: the same measures of real and of simulated ones, over equal quantities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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
    "stale_share",
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
class Fills:
    """Fills in order of (order, time): for each the place of its order, and what the market was."""

    of: Whole
    time: Whole
    quantity: Whole
    price: Floats
    mid: Floats
    wide: Floats
    stale: Floats

    @classmethod
    def by(cls, rows: pd.Index, fills: pd.DataFrame, nbbo: pd.DataFrame, market: Market) -> Fills:
        """Look up the mid and the spread that stood at each of the fills that some orders have."""
        at = rows.get_indexer(pd.Index(fills["order_id"]))
        ours = np.flatnonzero(at >= 0)
        of, quantity = at[ours], fills["quantity"].to_numpy("int64")[ours]
        time, price = fills["timestamp"].to_numpy("datetime64[ns]")[ours], fills["price"].to_numpy("float64")[ours]
        wrong = np.flatnonzero(quantity <= 0)
        if len(wrong):
            row = ours[wrong[0]]
            raise DataError(
                f"Column 'quantity', row {fills.index[row]}: a fill of order {fills['order_id'].iloc[row]} of "
                f"{quantity[wrong[0]]}; leave out what is no fill."
            )
        sequence = (fills["sequence"].to_numpy()[ours],) if "sequence" in fills else ()
        order = np.lexsort((*sequence, time, of))
        stood = mid_at(pd.Series(time[order]), nbbo, market)
        stale = stood["stale"].to_numpy("float64")
        return cls(of[order], time[order].view("int64"), quantity[order], price[order], *_good(stood), stale)

    @cached_property
    def begin(self) -> Whole:
        """Where those of each order begin."""
        return np.flatnonzero(np.append(True, self.of[1:] != self.of[:-1])) if len(self.of) else self.of

    @cached_property
    def lengths(self) -> Whole:
        return np.diff(np.append(self.begin, len(self.of)))

    @property
    def end(self) -> Whole:
        return self.begin + self.lengths - 1

    def sums(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.add.reduceat(values, self.begin) if len(self.begin) else values[:0]

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Give each fill what is its order's."""
        return np.repeat(values, self.lengths)

    def filled(self, orders: int) -> Whole:
        """Return the quantity of each of so many orders."""
        filled = np.zeros(orders, np.int64)
        filled[self.of[self.begin]] = self.sums(self.quantity)
        return filled

    def part(self, first: Whole, many: Whole) -> Fills:
        """Cut each order's fills to some of its units: `many`, after those that are passed over.

        A fill across a bound is divided at its own price; fills of which nothing is left are not in it.
        """
        sums = np.cumsum(self.quantity)
        until = sums - self.spread((sums - self.quantity)[self.begin])
        begin = first[self.of]
        left = np.minimum(until, begin + many[self.of]) - np.maximum(until - self.quantity, begin)
        kept = left > 0
        others = (self.price, self.mid, self.wide, self.stale)
        return Fills(self.of[kept], self.time[kept], left[kept], *(each[kept] for each in others))


def _good(stood: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return mids and spreads; NaN where none stood, or bid and offer were crossed."""
    mid = stood["mid"].where(~stood["crossed"]).to_numpy("float64")
    return mid, np.where(np.isnan(mid), np.nan, (stood["offer"] - stood["bid"]).to_numpy("float64"))


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
        mid, width = _good(mid_at(final["arrival"], nbbo, market))
        limit = final["limit_price"].to_numpy()
        return cls(
            pd.Index(final["order_id"]),
            np.where(final["side"].to_numpy() == Side.BUY, 1.0, -1.0),
            final["arrival"].to_numpy("datetime64[ns]").view("int64"),
            np.where(told, (bid + offer) / 2, mid),
            np.where(told, offer - bid, width),
            _good(mid_at(final["last"], nbbo, market))[0],
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
    ``stale_share``          share of the quantity that met a bid and offer older than ``market.stale_seconds``
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

    Examples
    --------
    A buy of 100 at a mid of 3335, filled at the offer:

    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> start = pd.Timestamp("2024-09-05T01:00:00Z").as_unit("ns")
    >>> final = pd.DataFrame({"order_id": [7], "side": 1, "quantity": 100, "limit_price": 3340, "arrival": start,
    ...                       "last": start + pd.Timedelta("1s"), "arrival_bid": 3330, "arrival_offer": 3340})
    >>> fills = pd.DataFrame({"order_id": [7], "timestamp": start + pd.Timedelta("1s"), "quantity": 100, "price": 3340})
    >>> quotes = pd.DataFrame({"timestamp": [start], "security_code": 110621, "national_bid": 3330,
    ...                        "national_offer": 3340})
    >>> nbbo = orders.national_best(pd.DataFrame(), pd.DataFrame(), orders.canonical(quotes, orders.QUOTES))
    >>> found = orders.measure(final, fills, nbbo, orders.Market())
    >>> found[["fill_ratio", "vwap", "cost_bps", "effective_to_quoted", "first_fill_seconds"]].round(2)
       fill_ratio    vwap  cost_bps  effective_to_quoted  first_fill_seconds
    0         1.0  3340.0     14.99                  1.0                 1.0
    """
    met = Met.by(final, nbbo, market)
    wanted = final["quantity"] if ordered is None else ordered.reindex(met.order)
    return pd.DataFrame(measured(met, Fills.by(met.order, fills, nbbo, market), wanted.to_numpy("int64")))


def measured(met: Met, groups: Fills, wanted: Whole) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of `measure`."""
    rows, sign, mid = met.order, met.sign, met.mid
    of = groups.of[groups.begin]

    def per_order(values: npt.NDArray[Any], absent: float = np.nan) -> Floats:
        whole = np.full(len(rows), absent)
        whole[of] = values
        return whole

    filled = groups.filled(len(rows))
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
        return {
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
            "stale_share": per_order(weighted(groups.stale)),
        }
