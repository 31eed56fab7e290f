"""How active and how competitive dealers are."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fintech_toolkit.authoring import MISSING, Duration, earlier, elapsed, helper, slot_of, tick_kernel

SECOND = 1e9
NONE, AT_BID, AT_ASK = 0, 1, 2
"""Where a dealer is at the best; added up where at both."""


@helper
def _mark_best(s, slots):  # type: ignore[no-untyped-def]
    """Note at which sides each dealer is at the best, and return how many are at the bid and at the ask."""
    best_bid, best_ask = -np.inf, np.inf
    for j in range(s.count):
        best_bid = max(best_bid, slots[j].bid) if np.isfinite(slots[j].bid) else best_bid
        best_ask = min(best_ask, slots[j].ask) if np.isfinite(slots[j].ask) else best_ask
    bids = asks = 0
    for j in range(s.count):
        at_bid, at_ask = slots[j].bid == best_bid, slots[j].ask == best_ask
        at_bid &= np.isfinite(best_bid)
        at_ask &= np.isfinite(best_ask)
        slots[j].best = (AT_BID if at_bid else NONE) + (AT_ASK if at_ask else NONE)
        bids += at_bid
        asks += at_ask
    return bids, asks


@helper
def _moves(slots, j, bid, ask):  # type: ignore[no-untyped-def]
    """Whether a quote has another price than the one that stands, or one where there was none, or the reverse."""
    same_bid = slots[j].bid == bid or not (np.isfinite(slots[j].bid) or np.isfinite(bid))
    same_ask = slots[j].ask == ask or not (np.isfinite(slots[j].ask) or np.isfinite(ask))
    return not (same_bid and same_ask)


@helper
def _begin(slots, j, ts):  # type: ignore[no-untyped-def]
    """Have a dealer's figures begin at a time."""
    slots[j].since = ts
    slots[j].quotes = slots[j].best_quotes = slots[j].spreads = slots[j].responses = 0
    slots[j].spread = slots[j].at_best = slots[j].up = slots[j].response = 0.0


QUOTE = [("key", "i8"), ("bid", "f8"), ("ask", "f8")]
FIGURES = [("since", "i8"), ("quotes", "i8"), ("best_quotes", "i8"), ("spreads", "i8"), ("responses", "i8")]
FIGURES += [("spread", "f8"), ("at_best", "f8"), ("up", "f8"), ("response", "f8")]


_WINDOW = Duration(
    "window",
    "figures begin anew at each multiple of it since 1970 (UTC): '1h' at each full hour; None: never",
    default=None,
)


@tick_kernel(
    reads=["dealer", "bid", "ask"],
    gives=["quotes_per_second", "time_at_best", "quotes_at_best", "mean_spread", "uptime", "response_time"],
    parameters=[_WINDOW],
    state=[("indexed", "i4"), ("last", "i8"), ("begun", "i8")],
    slots=[*QUOTE, *FIGURES, ("heard", "i8"), ("waiting", "?"), ("best", "i1"), ("bucket", "i4")],
    warmup="time passes after the dealer's first quote",
    source="definition",
    cases=[{}, {"window": "5s"}],
)
def dealer_activity(s: Any, dealer: int, bid: float, ask: float, ts: int, window: int, slots: Any) -> Any:
    """What the dealer of each row has done so far: how often and how well it quotes, and how fast it responds.

    A dealer's last quote stands until the same dealer quotes again; a side stands if its price is finite (NaN or
    infinite withdraws it). A row is a quote if a side stands after it. The figures are those of the row's dealer,
    after the row, since its first row or, with a `window`, since the last multiple of it, if that is later:

    - ``quotes_per_second``: its quotes by the seconds that have passed since then;
    - ``time_at_best``: the share of that time in which its bid or its ask was at the best of all dealers;
    - ``quotes_at_best``: the share of its quotes that were at the best, on a side at least, when they came;
    - ``mean_spread``: the mean of ask - bid over its quotes of two sides, in the unit of the prices;
    - ``uptime``: the share of that time in which both its sides stood;
    - ``response_time``: the mean time in seconds from the last move of another dealer to its own next move. A move is a
      row that changes, brings or withdraws a price; a dealer's first row is one to which others respond.

    NaN where no time has passed, or nothing is there to take a mean of. A row without a dealer (missing) has no
    figures, and changes nothing. Of several rows at one instant the last stands. The time of a row grows with the
    number of a symbol's dealers.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> activity = ft.dealer_activity(
    ...     dealer=np.array(["A", "B", "A", "A"]), bid=np.array([99.0, 99.5, 99.5, 99.5]),
    ...     ask=np.array([101.0, 101.5, 100.5, 100.5]), ts=np.array([0, 2, 3, 4]), unit="s")
    >>> activity.quotes_per_second[-1], activity.quotes_at_best[-1], activity.response_time[-1]
    (np.float64(0.75), np.float64(1.0), np.float64(1.0))
    """
    if window > 0:
        begin = earlier(ts, ts % window)
        if s.count > 0 and begin > s.begun:
            for j in range(s.count):
                _begin(slots, j, begin)
            s.last = max(s.last, begin)
        s.begun = begin
    passed = elapsed(s.last, ts) if s.count > 0 and ts > s.last else 0
    s.last = ts
    for j in range(s.count if passed > 0 else 0):
        slots[j].at_best += passed if slots[j].best != NONE else 0
        slots[j].up += passed if np.isfinite(slots[j].bid) and np.isfinite(slots[j].ask) else 0
    if dealer == MISSING:
        return np.nan, np.nan, np.nan, np.nan, np.nan, np.nan
    known = s.count
    own = slot_of(s, slots, dealer)
    new = s.count > known
    if new:
        _begin(slots, own, ts)
        slots[own].waiting = False
    if new or _moves(slots, own, bid, ask):
        if slots[own].waiting:
            slots[own].response += elapsed(slots[own].heard, ts)
            slots[own].responses += 1
        for j in range(s.count):
            slots[j].heard = ts
            slots[j].waiting = j != own
    slots[own].bid, slots[own].ask = bid, ask
    _mark_best(s, slots)
    if np.isfinite(bid) or np.isfinite(ask):
        slots[own].quotes += 1
        slots[own].best_quotes += slots[own].best != NONE
    if np.isfinite(bid) and np.isfinite(ask):
        slots[own].spread += ask - bid
        slots[own].spreads += 1
    d = slots[own]
    time = float(elapsed(d.since, ts))
    return (
        d.quotes * SECOND / time if time > 0.0 else np.nan,
        d.at_best / time if time > 0.0 else np.nan,
        d.best_quotes / d.quotes if d.quotes > 0 else np.nan,
        d.spread / d.spreads if d.spreads > 0 else np.nan,
        d.up / time if time > 0.0 else np.nan,
        d.response / d.responses / SECOND if d.responses > 0 else np.nan,
    )


@dealer_activity.oracle
def _(dealer: Any, bid: Any, ask: Any, ts: Any, window: Any = None) -> Any:
    """From the whole history, anew for each row."""
    import pandas as pd

    length = None if window is None else pd.Timedelta(window).value
    quoted = [np.where(np.isfinite(price), price, np.nan) for price in (bid, ask)]
    names = pd.Series(dealer, dtype=object)
    own_row = {name: np.flatnonzero(names == name) for name in names.dropna().unique()}
    stands: list[Any] = []
    for values in quoted:
        found = {}
        for name in own_row:
            last = pd.Series(np.where(names == name, np.arange(len(ts)), np.nan)).ffill()
            found[name] = np.append(values, np.nan)[last.fillna(-1).to_numpy(np.int64)]
        stands.append(pd.DataFrame(found, index=range(len(ts))))
    bids, asks = stands
    at_best = bids.eq(bids.max(axis=1), axis=0) | asks.eq(asks.min(axis=1), axis=0)
    up = bids.notna() & asks.notna()
    moves = []
    for i, name in enumerate(dealer):
        if name is not None:
            before = own_row[name][own_row[name] < i]
            changed = not len(before) or any(
                not (v[before[-1]] == v[i] or (np.isnan(v[before[-1]]) and np.isnan(v[i]))) for v in quoted
            )
            moves += [(i, name)] if changed else []
    rows = np.full((len(ts), 6), np.nan)
    for i, name in enumerate(dealer):
        if name is None:
            continue
        since = ts[own_row[name][0]]
        if length is not None:
            since = max(since, ts[i] // length * length)
        within = [k for k in own_row[name] if k <= i and (ts[k] >= since)]
        quotes = [k for k in within if not (np.isnan(quoted[0][k]) and np.isnan(quoted[1][k]))]
        begins = np.maximum(ts[: i + 1], since)
        stood = np.maximum(np.append(ts[1 : i + 1], ts[i]) - begins, 0)
        time = ts[i] - since
        spreads = [quoted[1][k] - quoted[0][k] for k in quotes if up[name][k]]
        responses = []
        own_moves = [k for k, who in moves if who == name]
        for previous, k in pairwise(own_moves):
            others = [m for m, who in moves if previous < m < k and who != name]
            if others and k in within:
                responses.append((ts[k] - ts[others[-1]]) / SECOND)
        if time > 0:
            rows[i, 0] = len(quotes) / (time / SECOND)
            rows[i, 1] = stood[at_best[name].to_numpy()[: i + 1]].sum() / time
            rows[i, 4] = stood[up[name].to_numpy()[: i + 1]].sum() / time
        rows[i, 2] = np.mean([at_best[name][k] for k in quotes]) if quotes else np.nan
        rows[i, 3] = np.mean(spreads) if spreads else np.nan
        rows[i, 5] = np.mean(responses) if responses else np.nan
    return tuple(rows.T)


@tick_kernel(
    reads=["dealer", "bid", "ask"],
    gives="best_herfindahl",
    parameters=[_WINDOW],
    state=[("indexed", "i4"), ("bids", "i8"), ("asks", "i8"), ("last", "i8")],
    slots=[*QUOTE, ("at_best", "f8"), ("best", "i1"), ("bucket", "i4")],
    warmup="time passes after the first quote",
    source="Herfindahl (1950), Concentration in the Steel Industry; Hirschman (1964), American Economic Review 54",
    cases=[{}, {"window": "5s"}],
)
def best_herfindahl(s: Any, dealer: int, bid: float, ask: float, ts: int, window: int, slots: Any) -> float:
    """Concentration of the time at the best over dealers, so far: 1 if one dealer alone was at the best, 1/n if n
    dealers were for as long each.

    ``Σ_d (t_d / Σ t)²``, where t_d is the time for which dealer d had the best bid, plus that of the best ask; where
    several dealers are at a best price, they share its time equally. A dealer's last quote stands until the same dealer
    quotes again; a side whose price is NaN or infinite does not stand. A row without a dealer (missing) changes
    nothing. Of several rows at one instant the last stands. With a `window` the time is that since the last multiple of
    it; what stood then stands on. NaN until time has passed with a price standing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.best_herfindahl(
    ...     dealer=np.array(["A", "B", "B"]), bid=np.array([99.0, 99.5, 99.5]), ask=np.array([101.0, 100.5, 100.5]),
    ...     ts=np.array([0, 2, 4]), unit="s")
    array([nan, 1. , 0.5])
    """
    if window > 0:
        begin = earlier(ts, ts % window)
        if s.count > 0 and begin > s.last:
            for j in range(s.count):
                slots[j].at_best = 0.0
            s.last = begin
    passed = elapsed(s.last, ts) if s.count > 0 and ts > s.last else 0
    s.last = ts
    if passed > 0:
        for j in range(s.count):
            slots[j].at_best += passed / s.bids if slots[j].best & AT_BID else 0.0
            slots[j].at_best += passed / s.asks if slots[j].best & AT_ASK else 0.0
    if dealer != MISSING:
        known = s.count
        own = slot_of(s, slots, dealer)
        if s.count > known:
            slots[own].at_best = 0.0
        slots[own].bid, slots[own].ask = bid, ask
        s.bids, s.asks = _mark_best(s, slots)
    total = squares = 0.0
    for j in range(s.count):
        total += slots[j].at_best
        squares += slots[j].at_best * slots[j].at_best
    return squares / (total * total) if total > 0.0 else np.nan


@best_herfindahl.oracle
def _(dealer: Any, bid: Any, ask: Any, ts: Any, window: Any = None) -> Any:
    from collections import Counter
    from fractions import Fraction

    import pandas as pd

    begins = ts if window is None else ts // pd.Timedelta(window).value * pd.Timedelta(window).value
    quotes: dict[str, tuple[float, float]] = {}
    times: Counter[str] = Counter()
    result = np.full(len(ts), np.nan)
    for i, name in enumerate(dealer):
        since = ts[i - 1]
        if window is not None and begins[i] > since:
            times, since = Counter(), begins[i]
        if i and ts[i] > since:
            for side, best_of in ((0, max), (1, min)):
                known = {each: quote[side] for each, quote in quotes.items() if np.isfinite(quote[side])}
                best = [each for each, price in known.items() if price == best_of(known.values())]
                for each in best:
                    times[each] += Fraction(int(ts[i] - since), len(best))  # type: ignore[assignment]
        if name is not None:
            quotes[name] = (bid[i], ask[i])
        total = sum(times.values())
        if total:
            result[i] = float(sum(Fraction(t, 1) ** 2 for t in times.values()) / Fraction(total) ** 2)
    return result
