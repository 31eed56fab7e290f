"""Joins of two feeds that look so long before and after each row: at horizons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fintech_toolkit.engines.memory.asof import same_sort
from fintech_toolkit.engines.memory.feed_joins import join_feeds
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions, Horizon
from fintech_toolkit.flow.window_joins import Interval, WindowOptions
from fintech_toolkit.frames.views import is_dask, is_stream


def horizon_join(
    left: Any,
    right: Any,
    offsets: Sequence[str],
    select: Sequence[str] | None = None,
    symbol: str | None = "symbol",
    time: str = "ts",
    left_on: str | None = None,
    right_on: str | None = None,
    tolerance: Any = None,
    allow_exact_matches: bool = True,
    unit: str | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    by: Any = ...,
    on: Any = ...,
) -> Any:
    """Append to each row of `left` what held on `right` so long before or after it: markouts, and what led there.

    For each offset the row of `right` of the same symbol is found that was the latest one at the row's time plus the
    offset, as `asof_join` does; its columns are appended, called by the offset: ``mid_1s``, ``mid_-1s``.

    What held after a row was not known at its time. So the result has a column ``known_at``: the row's time (or its
    ``known_at``) and the greatest offset that is not negative. Joins and pipelines that follow go by it.

    Parameters
    ----------
    left, right : DataFrame, Table, RecordBatch, Dask DataFrame or streamz Stream
        As for `asof_join`. A side with a column ``known_at`` is joined by that, unless `left_on` or `right_on` says
        otherwise.
    offsets : list of str
        Durations such as ``"1s"``, ``"5min"``, ``"0s"`` or ``"-1s"``. Columns are called by them as they are written.
    select : list of str, optional
        The columns of right that are appended, all but symbols and times if left out.
    symbol : str or None
        The column of symbols; None if all rows are of one symbol.
    time : str
        The column of event times.
    left_on, right_on : str, optional
        The column of times of one side, whatever else it has.
    tolerance : str, timedelta or int nanoseconds, optional
        How old a row of right may be at the instant that is asked for.
    allow_exact_matches : bool
        Whether a row at that very instant counts.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of times that are integers.
    columns : mapping, optional
        What the columns of symbols and times are called, as for a pipeline.
    by, on : str, optional
        `symbol` and `time` as pandas calls them; instead of these.

    Returns
    -------
    same type as `left`
        Rows, order, index and columns of left; for each offset the columns of right, missing where no row is found;
        and ``known_at``. Types are those of `asof_join`. Of streams, rows come when they are known.

    Raises
    ------
    ParameterError
        If an option is not what it must be: no offset, one that is there twice, one that is no duration.
    ColumnError
        If a column is missing, or two in the result would have one name.
    DataError, PipelineError
        As `asof_join` does.

    See Also
    --------
    asof_join : what held at the time of each row.

    Examples
    --------
    The mid price one second before each trade, at it, and a second after:

    >>> import pandas as pd, fintech_toolkit as ft
    >>> def at(*seconds): return pd.to_datetime(seconds, unit="s", utc=True)
    >>> quotes = pd.DataFrame({"symbol": "A", "ts": at(0, 2, 3), "mid": [10.0, 10.1, 10.3]})
    >>> trades = pd.DataFrame({"symbol": "A", "ts": at(2, 9), "price": [10.2, 10.3]})
    >>> marked = ft.horizon_join(trades, quotes, ["-1s", "0s", "1s"])
    >>> marked[["price", "mid_-1s", "mid_0s", "mid_1s"]]
       price  mid_-1s  mid_0s  mid_1s
    0   10.2     10.0    10.1    10.3
    1   10.3     10.3    10.3    10.3
    >>> marked["known_at"].dt.second.tolist()
    [3, 10]
    """
    names = (symbol, time, left_on, right_on)
    sides = AsOf.of(*names, unit, columns, by, on, tolerance=tolerance, exact=allow_exact_matches)
    return _joined(left, right, Horizon.checked(sides, offsets, select))


def window_join(
    left: Any,
    right: Any,
    before: Any,
    after: Any = "0s",
    *,
    agg: Mapping[str, Sequence[str]],
    symbol: str | None = "symbol",
    time: str = "ts",
    left_on: str | None = None,
    right_on: str | None = None,
    unit: str | None = None,
    columns: Mapping[str, str] | None = None,
    by: Any = ...,
    on: Any = ...,
) -> Any:
    """Append to each row of `left` what the rows of `right` come to within a window around its time.

    The window of a row at `t` holds the rows of right of the same symbol from ``t - before`` to ``t + after``, both
    included. What lies after a row was not known at its time, so the result has a column ``known_at``: the row's time
    (or its ``known_at``) and `after`.

    Parameters
    ----------
    left, right : DataFrame, Table, RecordBatch, Dask DataFrame or streamz Stream
        As for `asof_join`.
    before, after : str, timedelta or int nanoseconds
        How far the window goes back and on.
    agg : mapping
        For each column of the result one of right, and what it comes to: ``{"n": ("price", "count")}``. These are
        ``count``, ``sum``, ``mean``, ``min``, ``max``, ``first`` and ``last``; a mean may be weighted:
        ``{"vwap": ("price", "mean", "size")}``. Missing values (null and NaN) do not take part.
    symbol : str or None
        The column of symbols; None if all rows are of one symbol.
    time : str
        The column of event times.
    left_on, right_on : str, optional
        The column of times of one side, whatever else it has.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of times that are integers.
    columns : mapping, optional
        What the columns of symbols and times are called, as for a pipeline.
    by, on : str, optional
        `symbol` and `time` as pandas calls them; instead of these.

    Returns
    -------
    same type as `left`
        Rows, order, index and columns of left; what windows come to; and ``known_at``. Sums add rows in their order,
        whole numbers exactly. Of a window without values the count and the sum are 0, the mean is NaN, and the others
        are missing; these have the types that `asof_join` gives.

    Raises
    ------
    ParameterError
        If an option is not what it must be.
    ColumnError
        If a column is missing, or two in the result would have one name.
    DataError, PipelineError
        As `asof_join` does; also if what is to be added or compared is no number, or a sum is beyond int64.

    See Also
    --------
    horizon_join : what held at instants around each row.

    Examples
    --------
    Trades of the five seconds before each quote, and that of its instant:

    >>> import pandas as pd, fintech_toolkit as ft
    >>> def at(*seconds): return pd.to_datetime(seconds, unit="s", utc=True)
    >>> trades = pd.DataFrame({"symbol": "A", "ts": at(0, 2, 9), "price": [10.0, 10.4, 10.2], "size": [1, 3, 2]})
    >>> quotes = pd.DataFrame({"symbol": "A", "ts": at(3, 9, 20), "bid": [10.0, 10.1, 10.0]})
    >>> agg = {"n": ("price", "count"), "volume": ("size", "sum"), "vwap": ("price", "mean", "size")}
    >>> ft.window_join(quotes, trades, before="5s", agg=agg)[["bid", "n", "volume", "vwap"]]
        bid  n  volume  vwap
    0  10.0  2       4  10.3
    1  10.1  1       2  10.2
    2  10.0  0       0   NaN
    """
    sides = AsOf.of(symbol, time, left_on, right_on, unit, columns, by, on)
    return _joined(left, right, WindowOptions.checked(sides, before, after, agg))


def interval_join(
    left: Any,
    right: Any,
    within: Any,
    symbol: str | None = "symbol",
    time: str = "ts",
    left_on: str | None = None,
    right_on: str | None = None,
    suffixes: Sequence[str] = ("", "_right"),
    unit: str | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    by: Any = ...,
    on: Any = ...,
) -> Any:
    """Join each row of `left` with each row of `right` of the same symbol that is no further from it than so long.

    Parameters
    ----------
    left, right : DataFrame, Table, RecordBatch, Dask DataFrame or streamz Stream
        As for `asof_join`.
    within : str, timedelta or int nanoseconds
        How far two rows of a pair may be apart in time, both ways, included.
    symbol : str or None
        The column of symbols; None if all rows are of one symbol.
    time : str
        The column of event times.
    left_on, right_on : str, optional
        The column of times of one side, whatever else it has.
    suffixes : (str, str)
        Appended to the names of columns that are in both, on the left and on the right; times are kept of both.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of times that are integers.
    columns : mapping, optional
        What the columns of symbols and times are called, as for a pipeline.
    by, on : str, optional
        `symbol` and `time` as pandas calls them; instead of these.

    Returns
    -------
    same type as `left`
        A row for each pair, in the order of left's rows, then right's; the index is left's. Columns of left, those of
        right but the symbol, and ``known_at``, the time of the later of both.

    Raises
    ------
    ParameterError
        If an option is not what it must be.
    ColumnError
        If a column is missing, or two in the result would have one name.
    DataError, PipelineError
        As `asof_join` does.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> def at(*seconds): return pd.to_datetime(seconds, unit="s", utc=True)
    >>> orders = pd.DataFrame({"symbol": "A", "ts": at(3, 9), "order": [1, 2]})
    >>> trades = pd.DataFrame({"symbol": "A", "ts": at(1, 5, 6), "price": [10.0, 10.1, 10.2]})
    >>> ft.interval_join(orders, trades, within="2s")[["order", "price"]]
       order  price
    0      1   10.0
    0      1   10.1
    """
    sides = AsOf.of(symbol, time, left_on, right_on, unit, columns, by, on, suffixes=suffixes)
    return _joined(left, right, Interval.checked(sides, within))


def _joined(left: Any, right: Any, options: FeedOptions) -> Any:
    if is_stream(left):
        import fintech_toolkit.live  # noqa: F401  # registers the sinks that may follow
        from fintech_toolkit.engines.live.asof import join

        return join(left, right, options)
    if is_dask(left) or is_dask(right):
        from fintech_toolkit.engines.dask import feed_joins

        return feed_joins.join(left, right, options)
    return join_feeds(*same_sort(left, right), options)
