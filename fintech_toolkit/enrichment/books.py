"""What stood at a time: the levels of an instrument's book, and its best quotes beside its last trade."""

from __future__ import annotations

from collections.abc import Sequence

import fintech_toolkit as ft
from fintech_toolkit.enrichment.windowed import END_OF_WINDOW, windows

LAST_TRADE = ("trade_id", "price", "size")
"""What of the last trade stands beside the best quotes, besides its time."""


def book(
    over: ft.Flow | None = None, *, levels: int = 5, max_age: str | None = None, session: str | None = "UTC"
) -> ft.Flow:
    """Return the flow of the levels of an instrument's book after every quote.

    ``times.asof_join(book())`` gives them at given times: rows with ``symbol`` and ``ts``.

    Parameters
    ----------
    over : Flow, optional
        Two-sided quotes of dealers; the source ``quotes``, if left out.
    levels : int
        How many levels a side.
    max_age, session : str, optional
        As for `quotes`.

    Returns
    -------
    Flow
        ``symbol``, ``ts`` and the columns of `fintech_toolkit.book_depth`.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> books = enrichment.book()(quotes=data_generators.sample("quotes", rows=500))
    >>> bool((books["bid_2"] < books["bid_1"]).any()), bool((books["ask_1"] < books["ask_2"]).any())
    (True, True)
    """
    step = ft.book_depth(levels=levels, max_age=max_age)
    return (
        (ft.source("quotes") if over is None else over)
        .pipe(step, session=session)
        .select("symbol", "ts", *step.outputs)
    )


def depth(
    every: str = "5min",
    over: ft.Flow | None = None,
    *,
    levels: int = 5,
    max_age: str | None = None,
    session: str | None = "UTC",
) -> ft.Flow:
    """Return the flow of the levels of each instrument's book at the end of windows of time.

    Parameters
    ----------
    every : str
        How long a window is.
    over, levels, max_age, session
        As for `book`.

    Returns
    -------
    Flow
        For each window of an instrument the columns of `fintech_toolkit.book_depth` after its last quote.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> ends = enrichment.depth("1min")(quotes=data_generators.sample("quotes", rows=500))
    >>> int(ends["quotes"].sum()), bool((ends["bid_size_1"] > 0).all())
    (500, True)
    """
    over = ft.source("quotes") if over is None else over
    ends = over.window(every).agg(quotes=("symbol", "count"))
    return ends.asof_join(book(over, levels=levels, max_age=max_age, session=session), **END_OF_WINDOW)


def last_trades(
    over: ft.Flow | None = None, done: ft.Flow | None = None, *, select: Sequence[str] = LAST_TRADE
) -> ft.Flow:
    """Return the flow of each instrument's best bid and offer at the end of windows of time, beside its last trade.

    Parameters
    ----------
    over : Flow, optional
        The windows of quotes; `windows`, if left out.
    done : Flow, optional
        The trades; the source ``trades``, if left out.
    select : list of str
        Columns of the trade, which are called ``last_…``.

    Returns
    -------
    Flow
        For each window ``best_bid``, ``best_ask`` and ``best_mid`` at its end, ``last_ts``, the time of the last trade
        before it, and of that trade what was selected.

    Examples
    --------
    >>> import data_generators
    >>> from fintech_toolkit import enrichment
    >>> market = {name: data_generators.sample(name, rows=500) for name in ("quotes", "securities", "trades")}
    >>> market = enrichment.last_trades(enrichment.windows("1min"))(**market)
    >>> bool((market["last_ts"].dropna() < market["window_end"]).all())
    True
    """
    trade = (ft.source("trades") if done is None else done).select("symbol", "ts", *select)
    named = trade.rename({name: f"last_{name}" for name in ("ts", *select)})
    ends = (windows() if over is None else over).select(
        "symbol", "ts", "window_end", "best_bid", "best_ask", "best_mid"
    )
    return ends.asof_join(named, **END_OF_WINDOW | {"right_on": "last_ts"})
