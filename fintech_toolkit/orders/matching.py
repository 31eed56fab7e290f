"""What each order traded: its trades by order id, and whether both files tell the same of it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from fintech_toolkit.errors import DataError
from fintech_toolkit.orders.classify import FILLED
from fintech_toolkit.orders.language import AUCTION_DEALS, DARK_DEALS, LIT_DEALS, OrderType, Reason

NAMED = 3
"""How many orders an error names."""


def match_trades(final: pd.DataFrame, trades: pd.DataFrame) -> pd.DataFrame:
    """Return the final states with what each order traded, after a check that orders and trades agree.

    Trades of orders that `final` does not have are left out: a file of dark orders comes with all trades of a security.

    Parameters
    ----------
    final : DataFrame
        As `final_states` gives it.
    trades : DataFrame
        Sides of trades of the same security and day, as `fintech_toolkit.orders.language.TRADES` has them.

    Returns
    -------
    DataFrame
        Rows and columns of `final`, and

        * ``traded``: quantity, int64; ``trades``: how many sides;
        * ``trade_vwap``: average price by quantity, float64 in price units, NaN without trades;
        * ``first_trade``, ``last_trade``: datetime64[ns, UTC], NaT without trades; ``duration_seconds``: from the
          first to the last, NaN without;
        * ``lit_share``, ``dark_share``: of the quantity, in the continuous lit market and in the dark pool; what is in
          neither came of auctions, blocks, crossings and reports; NaN without trades;
        * ``auction_quantity``: int64;
        * ``qualifies``: whether the dark pool is simulated for it: a sweep that was entered on this day, traded, at
          the end had nothing left, and has no fill of an auction.

    Raises
    ------
    DataError
        If an order that is lit by its type traded in the dark pool: the type has lost bits. If the matched quantity of
        an order is not the sum of its trades. Of an order that came from a day before only
        bounds are known, if its first record on this day may be a fill: between what it matched after that record,
        and all that it ever matched.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> common = {"order_id": 7, "timestamp": pd.Timestamp("2024-09-05T01:00:00Z"), "security_code": 110621, "side": 1,
    ...           "price": 3340, "quantity": 300}
    >>> states = orders.canonical(pd.DataFrame([
    ...     common | {"sequence": 1, "leavesquantity": 300, "totalmatchedquantity": 0, "orderstatus": 2,
    ...               "exchangeordertype": 2048},
    ...     common | {"sequence": 2, "leavesquantity": 0, "totalmatchedquantity": 300, "orderstatus": 2,
    ...               "exchangeordertype": 2048},
    ... ]), orders.ORDERS)
    >>> trades = orders.canonical(
    ...     pd.DataFrame([common | {"sequence": 1, "dealsource": 47, "matchgroupid": 1}]), orders.TRADES
    ... )
    >>> matched = orders.match_trades(orders.final_states(states, orders.Market()), trades)
    >>> matched[["order_id", "traded", "trade_vwap", "dark_share", "qualifies"]]
       order_id  traded  trade_vwap  dark_share  qualifies
    0         7     300      3340.0         1.0       True
    """
    place = pd.Index(final["order_id"])
    at = place.get_indexer(trades["order_id"])
    ours = at >= 0
    codes, count = at[ours], len(final)
    quantity, deals, price = (trades[name].to_numpy()[ours] for name in ("quantity", "dealsource", "price"))

    def total(values: np.ndarray) -> np.ndarray:
        sums = np.zeros(count, np.int64)
        np.add.at(sums, codes, values)
        return sums

    def of(sources: Collection[int]) -> np.ndarray:
        return total(np.where(np.isin(deals, [int(source) for source in sources]), quantity, 0))

    traded, how_many = total(quantity), total(np.ones_like(quantity))
    _check(final, traded)
    when = trades["timestamp"].to_numpy("datetime64[ns]").view("int64")[ours]
    first, last = np.full(count, np.iinfo("int64").max), np.full(count, np.iinfo("int64").min)
    np.minimum.at(first, codes, when)
    np.maximum.at(last, codes, when)
    some = how_many > 0
    with np.errstate(invalid="ignore"):
        vwap = total(quantity * price) / traded
        lit, dark = of(LIT_DEALS) / traded, of(DARK_DEALS) / traded
    _check_types(final, dark > 0)
    auction = of(AUCTION_DEALS)
    reasons = final["changereason"].to_numpy()
    qualifies = (
        (final["exchangeordertype"].to_numpy() & OrderType.SWEEP != 0)
        & (final["state"].to_numpy() == FILLED)
        & ((reasons == Reason.TRADED) | (reasons == 0))
        & final["new_today"].to_numpy()
        & some
        & (auction == 0)
    )
    return final.assign(
        traded=traded,
        trade_vwap=vwap,
        first_trade=_times(first, some),
        last_trade=_times(last, some),
        trades=how_many,
        duration_seconds=np.where(some, (last - first) / 1e9, np.nan),
        lit_share=lit,
        dark_share=dark,
        auction_quantity=auction,
        qualifies=qualifies,
    )


def _times(ns: np.ndarray, present: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(np.where(present, ns.astype("datetime64[ns]"), np.datetime64("NaT", "ns")), tz="UTC")


def _check_types(final: pd.DataFrame, dark: np.ndarray) -> None:
    lit = (final["exchangeordertype"].to_numpy() & ~int(OrderType.SHORT_SELL)) == OrderType.LIT
    rows = np.flatnonzero(lit & dark)
    if len(rows):
        raise DataError(
            f"exchangeordertype of order {final['order_id'].iloc[rows[0]]}, and of {len(rows) - 1:,} more of security "
            f"{final['security_code'].iloc[0]} on {final['day'].iloc[0]}, is that of a lit order, but it traded in the "
            "dark pool. The column may have been int8, in which sweeps (2048) and blocks (4096) become 0: make the "
            "file again from its source."
        )


def _check(final: pd.DataFrame, traded: np.ndarray) -> None:
    matched, before = final["matched"].to_numpy(), final["matched_before"].to_numpy()
    known = final["new_today"].to_numpy()
    wrong = np.where(known, traded != matched, (traded < matched - before) | (traded > matched))
    if wrong.any():
        rows = np.flatnonzero(wrong)
        named = "; ".join(
            f"order {final['order_id'].iloc[row]} matched {matched[row]:,} and its trades are {traded[row]:,}"
            for row in rows[:NAMED]
        )
        more = f"; and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
        raise DataError(
            f"Orders and trades of security {final['security_code'].iloc[0]} on {final['day'].iloc[0]} do not agree: "
            f"{named}{more}. One of the two files is cut or of another day: write it again, and ingest both."
        )
