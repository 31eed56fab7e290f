"""Why the simulated dark pool did not fill an order, or not all of it."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from fintech_toolkit.orders.language import NULL, Side
from fintech_toolkit.orders.settings import Market, Simulation
from fintech_toolkit.orders.simulation_inputs import nanoseconds, session

Places = npt.NDArray[np.int64]


class Why(StrEnum):
    """What left an order, or a part of it, without a match; the first that is true."""

    INSTANTLY_FILLED = "instantly filled"
    TOO_LITTLE = "too little quantity"
    NO_CONTRA = "no contra"
    ONLY_LATER = "contra only later"
    NO_CROSS = "limits did not cross"


def unmatched(
    final: pd.DataFrame, sweeps: pd.DataFrame, nbbo: pd.DataFrame, simulation: Simulation, market: Market
) -> pd.DataFrame:
    """Say of each order that the pool did not fill why it did not.

    Contras are orders of the opposite side that may trade in the pool, of another participant unless the simulation
    lets a participant trade with itself. One is there from its arrival to its last change, both included, and only
    while trading is continuous. Limits are those that last stood; they cross where at some time while both orders were
    there the mid was at or within both. In the legacy mode contras are those that arrived within the order's life, of
    any participant, and all limits cross.

    - ``instantly filled``: on arrival nothing was left to fill.
    - ``too little quantity``: there were contras to trade with, but not enough of them, because they were small or had
      minimum quantities, or because others came first.
    - ``no contra``: none was there, nor came later.
    - ``contra only later``: none was there; one arrived after the order had ended.
    - ``limits did not cross``: contras were there, but at no time was the mid within both limits.

    Parameters
    ----------
    final : pandas.DataFrame
        Final states of all orders of a security and day.
    sweeps : pandas.DataFrame
        ``order_id``, ``quantity_to_fill`` and ``filled_mid``, as `simulate` gives them.
    nbbo : pandas.DataFrame
        Best bid and offer over time.
    simulation : Simulation
        Mode, and whether a participant may trade with itself.
    market : Market
        Zone and hours.

    Returns
    -------
    pandas.DataFrame
        A row for each order of `sweeps` that is not wholly filled, or had nothing to fill: ``order_id``, ``to_fill``,
        ``filled``, ``missing``, ``reason``, ``contras`` (there at the same time) and ``crossing`` (of them, those whose
        limits crossed); both are 0 where nothing was to fill.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> times = pd.to_datetime(["2024-09-05T01:00", "2024-09-05T01:10"], utc=True).as_unit("ns")
    >>> final = pd.DataFrame({"order_id": [1, 2], "side": [1, 2], "participantid": [5, 6], "order_type": "sweep",
    ...                       "limit_price": [3340, 3340], "arrival": times, "last": times, "day": "2024-09-05"})
    >>> sweeps = pd.DataFrame({"order_id": [1, 2], "quantity_to_fill": [100, 0], "filled_mid": [0, 0]})
    >>> quotes = pd.DataFrame({"timestamp": times, "mid": [3335.0, 3335.0], "crossed": False})
    >>> orders.unmatched(final, sweeps, quotes, orders.Simulation(), orders.Market())["reason"].tolist()
    ['contra only later', 'instantly filled']
    """
    asked, filled = sweeps["quantity_to_fill"].to_numpy("int64"), sweeps["filled_mid"].to_numpy("int64")
    rows = np.flatnonzero((filled < asked) | (asked == 0))
    place = pd.Index(final["order_id"]).get_indexer(sweeps["order_id"])
    buys = final["side"].to_numpy() == Side.BUY
    pool = (final["order_type"] != "lit").to_numpy()
    legacy = simulation.mode == "legacy"
    hours = (0, np.iinfo(np.int64).max) if legacy or not len(final) else session(final, market)
    terms = final[["arrival", "last", "participantid", "limit_price", "side"]]
    contras = {
        buys_: _Contras(terms[pool & (buys != buys_)], nbbo, 1.0 if buys_ else -1.0, hours) for buys_ in (True, False)
    }
    arrival, last = (nanoseconds(final[name]) for name in ("arrival", "last"))
    participant, limits = final["participantid"].to_numpy(), _limits(final)
    reasons = np.full(len(rows), str(Why.INSTANTLY_FILLED), dtype=object)
    there, crossing = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for number in np.flatnonzero(asked[rows] > 0):
        order = place[rows[number]]
        others = contras[bool(buys[order])]
        own = NULL if legacy or simulation.own_participant else participant[order]
        begin, end = arrival[order], last[order]
        met = others.arrived(begin, end) if legacy else others.met(begin, end, own)
        there[number] = len(met)
        crossing[number] = len(met) if legacy else others.crossed(met, begin, end, limits[order])
        if filled[rows[number]] or crossing[number]:
            reasons[number] = str(Why.TOO_LITTLE)
        elif there[number]:
            reasons[number] = str(Why.NO_CROSS)
        else:
            reasons[number] = str(Why.ONLY_LATER if others.later(end, own) else Why.NO_CONTRA)
    return pd.DataFrame(
        {
            "order_id": sweeps["order_id"].to_numpy()[rows],
            "to_fill": asked[rows],
            "filled": filled[rows],
            "missing": (asked - filled)[rows],
            "reason": pd.Series(reasons, dtype="str"),
            "contras": there,
            "crossing": crossing,
        }
    )


def _limits(final: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return what each order pays at most; of a seller, the negative of what it takes at least."""
    price = final["limit_price"].to_numpy()
    signed = np.where(final["side"] == Side.BUY, 1.0, -1.0) * price
    return np.where(price > 0, signed, np.inf)  # an order without a limit takes any price


class _Contras:
    """Orders of one side that may trade in the pool, in order of arrival, and the mids that they see.

    For those who buy mids and limits are as they are; for those who sell they have the other sign, so that either side
    pays at most its limit.
    """

    def __init__(self, orders: pd.DataFrame, nbbo: pd.DataFrame, sign: float, hours: tuple[int, int]) -> None:
        orders = orders.sort_values("arrival", kind="stable")
        self.arrival, self.last = (nanoseconds(orders[name]) for name in ("arrival", "last"))
        # Of those up to a place, the one that stays longest: before the first that is still there none need be seen.
        self.longest = np.maximum.accumulate(self.last)
        self.participant = orders["participantid"].to_numpy()
        self.needs = -_limits(orders)
        self.times = nanoseconds(nbbo["timestamp"])
        self.mids = sign * nbbo["mid"].where(~nbbo["crossed"]).to_numpy("float64")
        self.opens, self.closes = hours

    def arrived(self, begin: int, end: int) -> Places:
        """Return those that arrived within a time."""
        return np.arange(*np.searchsorted(self.arrival, [begin, end + 1]))

    def met(self, begin: int, end: int, own: int) -> Places:
        """Return those that were there at some time of continuous trading."""
        begin, end = max(begin, self.opens), min(end, self.closes)
        first, after = np.searchsorted(self.longest, begin), np.searchsorted(self.arrival, end, side="right")
        if begin > end or first >= after:
            return np.empty(0, np.int64)
        seen = slice(first, after)
        return first + np.flatnonzero((self.last[seen] >= begin) & self._others(seen, own))

    def later(self, end: int, own: int) -> bool:
        """Say whether one arrived after a time."""
        return bool(self._others(slice(np.searchsorted(self.arrival, end, side="right"), None), own).any())

    def _others(self, seen: slice, own: int) -> npt.NDArray[np.bool_]:
        return np.asarray((self.participant[seen] != own) | (own == NULL))

    def crossed(self, met: Places, begin: int, end: int, limit: float) -> int:
        """Count those that could have traded: the highest mid within the order's limit is within theirs."""
        begin, end = max(begin, self.opens), min(end, self.closes)
        low = max(int(np.searchsorted(self.times, begin, side="right")) - 1, 0)
        high = int(np.searchsorted(self.times, end, side="right"))
        if not len(met) or high <= low:
            return 0
        mids = self.mids[low:high]
        within = np.append(np.where(mids <= limit, mids, -np.inf), -np.inf)
        times = self.times[low:high]
        start = np.searchsorted(times, np.maximum(self.arrival[met], begin), side="right") - 1
        stop = np.searchsorted(times, np.minimum(self.last[met], end), side="right")
        bounds = np.column_stack([np.maximum(start, 0), np.maximum(stop, 1)]).ravel()
        highest = np.maximum.reduceat(within, bounds)[::2]
        return int(((stop > 0) & (highest > -np.inf) & (highest >= self.needs[met])).sum())
