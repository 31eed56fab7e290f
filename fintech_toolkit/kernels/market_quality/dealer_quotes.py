"""The quotes that dealers have standing, a slot each: what kernels that compare dealers share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fintech_toolkit.authoring import FIRST, Duration, earlier, helper, slot_of

Quote = tuple[float, float, float, float]

STATE = [("indexed", "i4")]
SLOTS = [("key", "i8"), ("ts", "i8"), ("bid", "f8"), ("ask", "f8"), ("bid_size", "f8"), ("ask_size", "f8")]
SLOTS += [("bucket", "i4")]

MAX_AGE = Duration(
    "max_age", "how old a quote may be and still stand; None: until it is replaced or withdrawn", default=None
)


@helper
def valid_size(price, size):  # type: ignore[no-untyped-def]
    """Return the size of a side of a quote, 0 if there is none."""
    return size if np.isfinite(price) and np.isfinite(size) and size > 0.0 else 0.0


@helper
def replace_quote(s, slots, dealer, bid, ask, bid_size, ask_size, ts):  # type: ignore[no-untyped-def]
    """Let a dealer's quote stand instead of the last one, and return where it is."""
    j = slot_of(s, slots, dealer)
    slots[j].ts = ts
    slots[j].bid, slots[j].bid_size = bid, valid_size(bid, bid_size)
    slots[j].ask, slots[j].ask_size = ask, valid_size(ask, ask_size)
    return j


@helper
def oldest_standing(ts, max_age):  # type: ignore[no-untyped-def]
    """Return the time before which a quote is too old."""
    return earlier(ts, max_age) if max_age > 0 else FIRST


def standing(dealer: Any, quotes: tuple[Any, ...], ts: Any, max_age: Any) -> Iterator[dict[str, Quote]]:
    """Yield for each row, for oracles, the quotes that stand after it: ``{dealer: (bid, ask, bid_size, ask_size)}``,
    NaN for a side without one.
    """
    import pandas as pd

    age = None if max_age is None else pd.Timedelta(max_age).value
    known: dict[str, tuple[float, ...]] = {}
    for name, now, *quote in zip(dealer, ts.tolist(), *quotes, strict=True):
        if name is not None:
            known[name] = (now, *quote)
        found = {}
        for each, (at, bid, ask, bid_size, ask_size) in known.items():
            if age is None or now - at <= age:
                has_bid = np.isfinite(bid) and np.isfinite(bid_size) and bid_size > 0
                has_ask = np.isfinite(ask) and np.isfinite(ask_size) and ask_size > 0
                found[each] = (bid if has_bid else np.nan, ask if has_ask else np.nan, bid_size, ask_size)
        yield found
