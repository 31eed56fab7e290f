"""As-of joins: beside each row of one feed, the latest row of another as of that time; and what they matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fintech_toolkit.engines.memory.asof import join_frames, same_sort
from fintech_toolkit.engines.memory.asof_summary import summarise
from fintech_toolkit.errors import ParameterError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.plan import AS_THEY_WERE, Plan, how_many
from fintech_toolkit.frames.views import is_dask, is_stream, require
from fintech_toolkit.schema import AHEAD


def asof_join(
    left: Any,
    right: Any,
    symbol: str | None = "symbol",
    time: str = "ts",
    left_on: str | None = None,
    right_on: str | None = None,
    direction: str = "backward",
    tolerance: Any = None,
    allow_exact_matches: bool = True,
    suffixes: Sequence[str] = ("", "_right"),
    unfinished: bool = False,
    unit: str | None = None,
    state: Any = None,
    idle: str | None = None,
    ahead: str | None = AHEAD,
    columns: Mapping[str, str] | None = None,
    *,
    by: Any = ...,
    on: Any = ...,
) -> Any:
    """Join each row of `left` with the latest row of `right` of the same symbol as of its time.

    For trades and quotes: the quote that prevailed when the trade was made. For trades and bars: the last bar that was
    finished by then. No row of the right is used that is later than the row of the left that it is joined to, unless
    `direction` says so.

    A frame with a column ``known_at``, which all rows have that event steps such as `time_bars` emit, is joined by that
    column instead of `time`: the time that such a row is about (the start of a bar) is earlier than the time at which
    it became known, and joined by it a trade would see the bar that it is itself a part of. Rows of the right that are
    not finished (``known_at`` missing, or ``complete`` False) are left out; one of the left keeps its place and matches
    nothing.

    Parameters
    ----------
    left, right : DataFrame, Table, RecordBatch, Dask DataFrame or streamz Stream
        Both of one sort; a Dask `left` may have a pandas `right`, and Polars frames count as Arrow tables. Rows of a
        symbol are in time order; symbols may be interleaved, or one after the other. Streams carry frames; see
        `AsofJoin`. Nothing is changed in place.
    symbol : str or None
        The column of symbols, strings or integers; None if all rows are of one symbol.
    time : str
        The column of event times, on a side that has no ``known_at``: datetimes (all aware, or all naive, of any
        resolution; compared as whole nanoseconds), or integers (see `unit`).
    left_on, right_on : str, optional
        The column of times of one side, whatever else it has. ``right_on="ts"`` joins bars by their start, and looks
        ahead; ``left_on="ts"`` asks what held when a bar began, not when it was known.
    direction : {"backward", "forward", "nearest"}
        The last row at or before, the first at or after, or the nearer of the two; the earlier if both are equally
        near. Of several rows at one instant backward takes the last, forward the first. What the last two find is known
        only when the match is.
    tolerance : str, timedelta or int nanoseconds, optional
        Match no further than this away, such as ``"5s"``; inclusive, so that 0 matches the very same instant only.
    allow_exact_matches : bool
        Whether a row at the very same instant counts: a quote at the time of the trade, a bar that this trade finished.
    suffixes : (str, str)
        Appended to the names of columns that are in both, on the left and on the right. A ``known_at`` of the right
        always gets its suffix, because it does not say when a row of the result was known.
    unfinished : bool
        Whether rows of the right take part that are not finished; they have no ``known_at``, so `right_on` must name
        another column.
    unit : {"s", "ms", "us", "ns"}, optional
        The unit of times that are integers, since 1970 in UTC, on both sides. Left out, they are nanoseconds, and an
        error if they look like another unit.

    state : LiveState or path, optional
        For streams: where to go on, as ``joined.state`` gave it and ``joined.state.save(path)`` wrote it.
    idle : str, optional
        For streams from Kafka: how long a partition of the right may bring nothing, and have nothing left to read,
        until rows of the left no longer wait for it, such as ``"5s"``; what it brings later of that time is late. By
        default they wait.
    ahead : str or None
        For streams from Kafka: how far a row's time may be ahead of when its record was written. A row beyond is put
        aside, because all that follows would be late.
    columns : mapping, optional
        What the columns of symbols and times are called, as for a pipeline: ``{"symbol": "ticker", "ts": "time"}``.
    by, on : str, optional
        `symbol` and `time` as pandas calls them; instead of these.

    Returns
    -------
    same type as `left` (an Arrow table for a Polars frame)
        Rows, order, index and dtypes of `left`, and the columns of `right` appended, except `symbol`, and its times
        where their column has the same name on the left. Where no row matches they are NaN, NaT or null; integers and
        booleans of a pandas frame become its nullable types, whether or not every row matches, so that large integers
        stay exact and dtypes do not depend on data. Lazy for Dask frames, with `left`'s partitions.

    Raises
    ------
    ParameterError
        If an option is not what it must be.
    ColumnError
        If a column is missing, or two in the result would have one name, or right's ``known_at`` no suffix.
    DataError
        If a symbol or a time is missing, times go backwards within a symbol, or naive, aware and integer times are
        mixed; the message names the side, the column, the row and the symbol. For Dask frames when computed.
    PipelineError
        If the frames are not of one sort.

    See Also
    --------
    asof_explain : how it would run, and why.
    asof_summary : how many rows matched, how old the matches were, and why others did not match.
    AsofJoin : the same on frames that come one after the other.

    References
    ----------
    The semantics are those of `pandas.merge_asof`.

    Examples
    --------
    The prevailing quote of each trade, and which side of it was hit:

    >>> import pandas as pd, fintech_toolkit as ft
    >>> quotes = pd.DataFrame({
    ...     "symbol": ["A", "B", "A", "A"],
    ...     "ts": pd.to_datetime([0, 1, 2, 7], unit="s", utc=True),
    ...     "bid": [10.0, 20.0, 10.2, 10.1],
    ...     "ask": [10.2, 20.4, 10.4, 10.3],
    ... })
    >>> trades = pd.DataFrame({
    ...     "symbol": ["A", "A", "B", "C"],
    ...     "ts": pd.to_datetime([2, 6, 9, 9], unit="s", utc=True),
    ...     "price": [10.4, 10.2, 20.0, 5.0],
    ... })
    >>> ft.asof_join(trades, quotes, tolerance="5s")[["symbol", "price", "bid", "ask"]]
      symbol  price   bid   ask
    0      A   10.4  10.2  10.4
    1      A   10.2  10.2  10.4
    2      B   20.0   NaN   NaN
    3      C    5.0   NaN   NaN
    >>> ft.asof_summary(trades, quotes, tolerance="5s")
    As-of join by 'ts', backward, tolerance 0 days 00:00:05: 2 of 4 rows matched (50.00 %).
                           rows  share
    matched                   2   0.50
    symbol never on right     1   0.25
    no row yet                0   0.00
    only an exact one         0   0.00
    beyond tolerance          1   0.25
    left row not finished     0   0.00
    Age of matches: min 0 days 00:00:00, median 0 days 00:00:00, p95 0 days 00:00:04, max 0 days 00:00:04.

    The last bar that was known when a trade was made, which its own is not:

    >>> trades = pd.DataFrame({
    ...     "symbol": "A", "ts": pd.to_datetime([0, 30, 61, 90, 130], unit="s", utc=True),
    ...     "price": [10.0, 10.2, 10.4, 10.3, 10.1], "size": 1.0,
    ... })
    >>> bars = ft.Pipeline(ft.time_bars(frequency="1min"))(trades)
    >>> joined = ft.asof_join(trades, bars[["symbol", "ts", "close", "known_at"]])
    >>> joined.assign(**{name: joined[name].dt.strftime("%H:%M:%S") for name in ("ts", "ts_right", "known_at_right")})
      symbol        ts  price  size  ts_right  close known_at_right
    0      A  00:00:00   10.0   1.0       NaN    NaN            NaN
    1      A  00:00:30   10.2   1.0       NaN    NaN            NaN
    2      A  00:01:01   10.4   1.0  00:00:00   10.2       00:01:01
    3      A  00:01:30   10.3   1.0  00:00:00   10.2       00:01:01
    4      A  00:02:10   10.1   1.0  00:01:00   10.3       00:02:10
    """
    options = AsOf.checked(
        symbol,
        time,
        left_on,
        right_on,
        direction,
        tolerance,
        allow_exact_matches,
        suffixes,
        unfinished,
        unit,
        columns,
        by,
        on,
    )
    if is_stream(left):
        import fintech_toolkit.live  # noqa: F401  # registers the sinks that may follow
        from fintech_toolkit.engines.live.asof import join

        return join(left, right, options, state, idle, ahead)
    if state is not None or idle is not None or ahead != AHEAD:
        raise ParameterError("state=, idle= and ahead= are for streams; a frame is joined from its beginning, whole.")
    if is_dask(left) or is_dask(right):
        from fintech_toolkit.engines.dask import asof

        return asof.join(left, right, options)
    return join_frames(*same_sort(left, right), options)


def asof_summary(
    left: Any,
    right: Any,
    symbol: str | None = "symbol",
    time: str = "ts",
    left_on: str | None = None,
    right_on: str | None = None,
    direction: str = "backward",
    tolerance: Any = None,
    allow_exact_matches: bool = True,
    unfinished: bool = False,
    unit: str | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    by: Any = ...,
    on: Any = ...,
) -> Any:
    """Return what `asof_join` with these arguments matches, and why other rows do not.

    Parameters
    ----------
    left, right, symbol, time, left_on, right_on, direction, tolerance, allow_exact_matches, unfinished, unit, columns
        As for `asof_join`; pandas, Arrow or Dask. Columns other than those of symbols and times are not looked at.
    by, on : str, optional
        As for `asof_join`.

    Returns
    -------
    AsofSummary
        For Dask frames lazy: ``.compute()`` gives it. All ages come together then, 8 bytes for each row that matched.

    Raises
    ------
    ParameterError, ColumnError, DataError, PipelineError
        As `asof_join` does.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> quotes = pd.DataFrame({"symbol": ["A", "A"], "ts": [10, 20], "bid": [10.0, 10.1]})
    >>> trades = pd.DataFrame({"symbol": ["A", "A", "B"], "ts": [0, 30, 0]})
    >>> summary = ft.asof_summary(trades, quotes)
    >>> summary.counts["matched"], summary.counts["symbol never on right"], summary.counts["no row yet"]
    (1, 1, 1)
    >>> summary.ages["max"]
    Timedelta('0 days 00:00:00.000000010')
    """
    options = AsOf.checked(
        symbol,
        time,
        left_on,
        right_on,
        direction,
        tolerance,
        allow_exact_matches,
        ("", "_right"),
        unfinished,
        unit,
        columns,
        by,
        on,
    )
    if is_dask(left) or is_dask(right):
        from fintech_toolkit.engines.dask import asof

        return asof.summary(left, right, options)
    return summarise(*same_sort(left, right), options)


def asof_explain(
    left: Any,
    right: Any,
    symbol: str | None = "symbol",
    time: str = "ts",
    left_on: str | None = None,
    right_on: str | None = None,
    direction: str = "backward",
    tolerance: Any = None,
    allow_exact_matches: bool = True,
    unfinished: bool = False,
    unit: str | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    by: Any = ...,
    on: Any = ...,
) -> Plan:
    """Return how `asof_join` with these arguments would run, and why so. Nothing is computed.

    Parameters
    ----------
    left, right, symbol, time, left_on, right_on, direction, tolerance, allow_exact_matches, unfinished, unit, columns
        As for `asof_join`.
    by, on : str, optional
        As for `asof_join`.

    Returns
    -------
    Plan
        It prints itself.

    Raises
    ------
    ParameterError, ColumnError, PipelineError
        As `asof_join` does.

    Examples
    --------
    >>> import dask.dataframe as dd, pandas as pd, fintech_toolkit as ft
    >>> ticks = pd.DataFrame({"symbol": ["A", "A"], "ts": pd.to_datetime([0, 1], utc=True)})
    >>> ft.asof_explain(dd.from_pandas(ticks, npartitions=2), ticks)
    Plan: whole right (left 2 partitions, right one frame)
    Why: right is in memory.
    How: every partition of left by itself, with all of right.
    Rows: as they were.
    """
    options = AsOf.checked(
        symbol,
        time,
        left_on,
        right_on,
        direction,
        tolerance,
        allow_exact_matches,
        ("", "_right"),
        unfinished,
        unit,
        columns,
        by,
        on,
    )
    if is_stream(left):
        return Plan(
            "live",
            "frames come one after the other",
            "in this process; a row of left waits until right has passed its time. Of two Kafka sources each partition "
            "is joined with the one of the same number",
            "frame by frame",
            "in the order in which they are answered",
        )
    if is_dask(left) or is_dask(right):
        from fintech_toolkit.engines.dask import asof

        return asof.explain(left, right, options)
    views = same_sort(left, right)
    options = options.resolved(*(view.names for view in views))
    for side, view in zip(("left", "right"), views, strict=True):
        for name in options.keys(side):
            require(view, name, f" on the {side}")
    rows = [how_many(view.rows, "row") for view in views]
    return Plan(
        "one scan",
        "both frames are in memory",
        "one scan in this process over both sides in order of time, its state the last row of each symbol of right; "
        "where the rows of each symbol of right lie together, each row of left is looked up among them instead",
        f"left {rows[0]}, right {rows[1]}",
        AS_THEY_WERE,
    )
