"""Why the simulated dark pool did not fill an order, or not all of it."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from fintech_toolkit.orders.language import NULL, Side
from fintech_toolkit.orders.settings import Simulation


class Why(StrEnum):
    """What left an order, or a part of it, without a match; the first that is true."""

    INSTANTLY_FILLED = "instantly filled"
    TOO_LITTLE = "too little quantity"
    NO_CONTRA = "no contra"
    ONLY_LATER = "contra only later"
    NO_CROSS = "limits did not cross"


def unmatched(
    final: pd.DataFrame, sweeps: pd.DataFrame, nbbo: pd.DataFrame, simulation: Simulation | None = None
) -> pd.DataFrame:
    """Say of each order that the pool did not fill why it did not.

    Contras are orders of the opposite side that may trade in the pool, of another participant unless the simulation
    lets a participant trade with itself. One is there from its arrival to its last change, both included. Limits are
    those that last stood; they cross where at some time while both orders were there the mid was at or within both.

    - ``instantly filled``: on arrival nothing was left to fill.
    - ``too little quantity``: there were contras to trade with, but not enough of them, because they were small or had
      minimum quantities, or because others came first.
    - ``no contra``: none was there, nor came later.
    - ``contra only later``: none was there; one arrived after the order had ended.
    - ``limits did not cross``: contras were there, but at no time was the mid within both limits.

    Parameters
    ----------
    final : pandas.DataFrame
        Final states of all orders.
    sweeps : pandas.DataFrame
        ``order_id``, ``quantity_to_fill`` and ``filled_mid``, as `simulate` gives them.
    nbbo : pandas.DataFrame
        Best bid and offer over time.
    simulation : Simulation, optional
        Whether a participant may trade with itself.

    Returns
    -------
    pandas.DataFrame
        A row for each order of `sweeps` that is not wholly filled, or had nothing to fill: ``order_id``, ``to_fill``,
        ``filled``, ``missing``, ``reason``, ``contras`` (there at the same time) and ``crossing`` (of them, those whose
        limits crossed).

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit.orders.unmatched import unmatched
    >>> times = pd.to_datetime(["2024-09-05T01:00", "2024-09-05T01:10"], utc=True).as_unit("ns")
    >>> final = pd.DataFrame({"order_id": [1, 2], "side": [1, 2], "participantid": [5, 6], "order_type": "sweep",
    ...                       "limit_price": [3340, 3340], "arrival": times, "last": times})
    >>> sweeps = pd.DataFrame({"order_id": [1, 2], "quantity_to_fill": [100, 0], "filled_mid": [0, 0]})
    >>> quotes = pd.DataFrame({"timestamp": times, "mid": [3335.0, 3335.0]})
    >>> unmatched(final, sweeps, quotes)["reason"].tolist()
    ['contra only later', 'instantly filled']
    """
    own = (simulation or Simulation()).own_participant
    asked, filled = sweeps["quantity_to_fill"].to_numpy("int64"), sweeps["filled_mid"].to_numpy("int64")
    rows = np.flatnonzero((filled < asked) | (asked == 0))
    place = pd.Index(final["order_id"]).get_indexer(sweeps["order_id"])
    times = nbbo["timestamp"].to_numpy("datetime64[ns]").view("int64")
    mids = nbbo["mid"].to_numpy("float64")
    buys = final["side"].to_numpy() == Side.BUY
    pool = (final["order_type"] != "lit").to_numpy()
    contras = {True: _Contras(final[pool & ~buys], times), False: _Contras(final[pool & buys], times)}
    arrival, last = (final[name].to_numpy("datetime64[ns]").view("int64") for name in ("arrival", "last"))
    participant, limits = final["participantid"].to_numpy(), _limits(final)
    reasons, there, crossing = [], np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for number, row in enumerate(rows):
        order = place[row]
        others = contras[bool(buys[order])]
        allowed = others.other_than(NULL if own else participant[order])
        met = allowed & (others.arrival <= last[order]) & (others.last >= arrival[order])
        there[number] = met.sum()
        # A sell is a buy of mids and limits below 0.
        sign = 1.0 if buys[order] else -1.0
        crossing[number] = others.crossed(met, arrival[order], last[order], sign * mids, limits[order])
        if asked[row] == 0:
            reasons.append(Why.INSTANTLY_FILLED)
        elif filled[row] or crossing[number]:
            reasons.append(Why.TOO_LITTLE)
        elif there[number]:
            reasons.append(Why.NO_CROSS)
        else:
            reasons.append(Why.ONLY_LATER if (allowed & (others.arrival > last[order])).any() else Why.NO_CONTRA)
    return pd.DataFrame(
        {
            "order_id": sweeps["order_id"].to_numpy()[rows],
            "to_fill": asked[rows],
            "filled": filled[rows],
            "missing": (asked - filled)[rows],
            "reason": pd.Series([str(reason) for reason in reasons], dtype="str"),
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
    """Orders of one side that may trade in the pool."""

    def __init__(self, orders: pd.DataFrame, times: npt.NDArray[np.int64]) -> None:
        self.arrival, self.last = (
            orders[name].to_numpy("datetime64[ns]").view("int64") for name in ("arrival", "last")
        )
        self.participant = orders["participantid"].to_numpy()
        self.needs = -_limits(orders)
        self.times = times

    def other_than(self, participant: int) -> npt.NDArray[np.bool_]:
        return np.asarray((self.participant != participant) | (participant == NULL))

    def crossed(
        self, which: npt.NDArray[np.bool_], begin: int, end: int, mids: npt.NDArray[np.float64], limit: float
    ) -> int:
        """Count those that could have traded: the highest mid within the order's limit is within theirs."""
        if not which.any() or not len(mids):
            return 0
        within = np.append(np.where(mids <= limit, mids, -np.inf), -np.inf)
        start = np.searchsorted(self.times, np.maximum(self.arrival[which], begin), side="right") - 1
        stop = np.searchsorted(self.times, np.minimum(self.last[which], end), side="right")
        known = stop > 0
        bounds = np.column_stack([np.maximum(start, 0), np.maximum(stop, 1)]).ravel()
        highest = np.maximum.reduceat(within, bounds)[::2]
        return int((known & (highest > -np.inf) & (highest >= self.needs[which])).sum())
