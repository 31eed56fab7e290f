"""Why the simulated dark pool did not fill an order, or not all of it."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from fintech_toolkit.orders.language import NULL, Side
from fintech_toolkit.orders.settings import Market, Simulation
from fintech_toolkit.orders.simulation_inputs import nanoseconds, session
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.scan.slots import helper
from fintech_toolkit.schema import Array

TERMS = np.dtype([("arrival", "i8"), ("last", "i8"), ("participant", "i8"), ("limit", "f8"), ("longest", "i8")])
"""An order: when it comes and goes, whose it is, what it pays at most (of a seller, the negative of what it takes), and
the longest that it or one before it is there.
"""
MIDS = np.dtype([("time", "i8"), ("mid", "f8")])


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
    terms, anyone = _terms(final), legacy or simulation.own_participant
    there, crossing, later = np.zeros((3, len(rows)), np.int64)
    for buy in (True, False):
        those = np.flatnonzero((asked[rows] > 0) & (buys[place[rows]] == buy))
        contras = _contras(terms[pool & (buys != buy)])
        mids = _mids(nbbo, 1.0 if buy else -1.0)
        found = _look(terms[place[rows[those]]], contras, mids, *hours, anyone, legacy)
        there[those], crossing[those], later[those] = found
    partly = (filled[rows] > 0) | (crossing > 0)
    reasons = np.select(
        [asked[rows] == 0, partly, there > 0, later > 0],
        [str(why) for why in (Why.INSTANTLY_FILLED, Why.TOO_LITTLE, Why.NO_CROSS, Why.ONLY_LATER)],
        default=str(Why.NO_CONTRA),
    )
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


def _terms(final: pd.DataFrame) -> Array:
    terms = np.zeros(len(final), TERMS)
    terms["arrival"], terms["last"] = nanoseconds(final["arrival"]), nanoseconds(final["last"])
    terms["participant"], terms["limit"] = final["participantid"], _limits(final)
    return terms


def _contras(terms: Array) -> Array:
    """Return orders in order of arrival; before the first that is still there none need be seen."""
    contras = terms[np.argsort(terms["arrival"], kind="stable")]
    contras["longest"] = np.maximum.accumulate(contras["last"])
    return contras


def _mids(nbbo: pd.DataFrame, sign: float) -> Array:
    """Return the mids over time, missing where best prices are crossed. For those who sell they have the other sign, as
    limits have, so that either side pays at most its limit.
    """
    mids = np.zeros(len(nbbo), MIDS)
    mids["time"] = nanoseconds(nbbo["timestamp"])
    mids["mid"] = sign * nbbo["mid"].where(~nbbo["crossed"]).to_numpy("float64")
    return mids


@helper
def _from(values, value):  # type: ignore[no-untyped-def]
    """Return the first place of ordered values that is not below a value."""
    low, high = 0, values.shape[0]
    while low < high:
        middle = (low + high) // 2
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compile_cached
def _look(orders, contras, mids, opens, closes, anyone, legacy):  # type: ignore[no-untyped-def]
    """Return for each order how many contras were there with it, with how many of them a mid was within both limits,
    and whether one came later.
    """
    arrival, longest, times = contras["arrival"], contras["longest"], mids["time"]
    there, crossing, later = np.zeros((3, orders.shape[0]), np.int64)
    for n in range(orders.shape[0]):
        order = orders[n]
        all_of_them = anyone or order.participant == NULL
        for k in range(_from(arrival, order.last + 1), contras.shape[0]):
            if all_of_them or contras[k].participant != order.participant:
                later[n] = 1
                break
        if legacy:
            there[n] = _from(arrival, order.last + 1) - _from(arrival, order.arrival)
            crossing[n] = there[n]
            continue
        begin, end = max(order.arrival, opens), min(order.last, closes)
        if begin > end:
            continue
        for k in range(_from(longest, begin), _from(arrival, end + 1)):
            contra = contras[k]
            if contra.last < begin or not (all_of_them or contra.participant != order.participant):
                continue
            there[n] += 1
            # From the mid that stood when both had come to the last before one of them left.
            first = max(_from(times, max(contra.arrival, begin) + 1) - 1, 0)
            for j in range(first, _from(times, min(contra.last, end) + 1)):
                if -contra.limit <= mids[j].mid <= order.limit:
                    crossing[n] += 1
                    break
    return there, crossing, later
