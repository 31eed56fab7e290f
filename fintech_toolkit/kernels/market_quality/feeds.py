"""From quotes as a feed sends them, a side a row, to quotes of two sides."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import MISSING, Count, Name, Number, slot_of, tick_kernel
from fintech_toolkit.kernels.market_quality.dealer_quotes import valid_size


@tick_kernel(
    reads=["action", "side:O", "price", "size", "dealer", "level"],
    gives=["bid", "ask", "bid_size", "ask_size"],
    parameters=[
        Name("withdraw", "what `action` says of a row that withdraws; any other, or none, updates", default="DELETE"),
        Name("bid_side", "what `side` says of a bid", default="BID"),
        Name("ask_side", "what `side` says of an ask", default="ASK"),
        Count("only_level", "the level whose rows are taken, 1 the best; others change nothing", default=1),
        Number("above", "prices of at most that are none: sentinels such as 0 and 1", default=1.0),
        Number("below", "prices of at least that are none: sentinels such as 1000 to 1005", default=1000.0),
    ],
    state=[("indexed", "i4")],
    slots=[("key", "i8"), ("bid", "f8"), ("ask", "f8"), ("bid_size", "f8"), ("ask_size", "f8"), ("bucket", "i4")],
    source="definition",
    cases=[
        {},
        {"withdraw": "UPDATE", "bid_side": "ASK", "ask_side": "BID", "only_level": 2, "above": 99.5, "below": 100.5},
    ],
)
def two_sided_quotes(
    s: Any,
    action: int,
    side: int,
    price: float,
    size: float,
    dealer: int,
    level: float,
    withdraw: int,
    bid_side: int,
    ask_side: int,
    only_level: int,
    above: float,
    below: float,
    slots: Any,
) -> tuple[float, float, float, float]:
    """Quote of two sides that a row's dealer has standing after it, made of rows of one side each.

    A row replaces its dealer's price and size on its side, or withdraws that side: if its action is `withdraw`, its
    price is a sentinel (not between `above` and `below`, both excluded), or price or size is NaN, infinite or no more
    than 0. A side that does not stand has a price and a size that are NaN, which is how `best_bid_offer` and
    `book_depth` take it. A row of another level, or of neither side (missing), changes nothing; one without a dealer
    (missing) has no quote. Rows that are only indicative are to be filtered out before. Where both sides of a message
    are rows of their own, the row of the first shows the new price beside the old one.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> quotes = ft.two_sided_quotes(
    ...     action=np.array(["UPDATE", "UPDATE", "DELETE"]), side=np.array(["BID", "ASK", "BID"]),
    ...     price=np.array([99.0, 101.0, 0.0]), size=np.array([5.0, 2.0, 0.0]), dealer=np.array(["A", "A", "A"]),
    ...     level=np.array([1, 1, 1]))
    >>> quotes.bid, quotes.ask
    (array([99., 99., nan]), array([ nan, 101., 101.]))
    """
    if dealer == MISSING:
        return np.nan, np.nan, np.nan, np.nan
    known = s.count
    j = slot_of(s, slots, dealer)
    if s.count > known:
        slots[j].bid = slots[j].ask = slots[j].bid_size = slots[j].ask_size = np.nan
    if level == only_level:
        stands = action != withdraw and above < price < below and valid_size(price, size) > 0.0
        if side == bid_side:
            slots[j].bid, slots[j].bid_size = price if stands else np.nan, size if stands else np.nan
        elif side == ask_side:
            slots[j].ask, slots[j].ask_size = price if stands else np.nan, size if stands else np.nan
    return slots[j].bid, slots[j].ask, slots[j].bid_size, slots[j].ask_size


@two_sided_quotes.oracle
def _(
    action: Any,
    side: Any,
    price: Any,
    size: Any,
    dealer: Any,
    level: Any,
    withdraw: str = "DELETE",
    bid_side: str = "BID",
    ask_side: str = "ASK",
    only_level: int = 1,
    above: float = 1.0,
    below: float = 1000.0,
) -> Any:
    import pandas as pd

    rows = pd.DataFrame({"dealer": dealer, "side": side, "price": price, "size": size})
    good = (np.asarray(action, object) != withdraw) & (price > above) & (price < below) & (size > 0) & np.isfinite(size)
    rows.loc[~good, ["price", "size"]] = np.nan
    own = rows["dealer"].notna()
    result = []
    for name in ("price", "size"):
        for which in (bid_side, ask_side):
            told = own & (rows["side"] == which) & (np.asarray(level) == only_level)
            # The row that last told of this side, for each row of its dealer.
            last = pd.Series(np.where(told, np.arange(len(rows)), np.nan)).groupby(rows["dealer"]).ffill()
            values = np.append(rows[name].to_numpy(), np.nan)
            result.append(values[last.fillna(-1).to_numpy(np.int64)])
    bid, ask, bid_size, ask_size = result
    return bid, ask, bid_size, ask_size
