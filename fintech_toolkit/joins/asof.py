"""As-of joins: beside each row of one feed, the latest row of another as of that time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from fintech_toolkit.engines.frames import Frame, is_dask, wrap
from fintech_toolkit.errors import PipelineError
from fintech_toolkit.joins.columns import attach
from fintech_toolkit.joins.options import AsOf
from fintech_toolkit.joins.search import search


def asof_join(
    left: Any,
    right: Any,
    by: str | None = "symbol",
    on: str = "ts",
    direction: str = "backward",
    tolerance: Any = None,
    allow_exact_matches: bool = True,
    suffixes: Sequence[str] = ("", "_right"),
) -> Any:
    """Join each row of `left` with the latest row of `right` of the same symbol as of its time.

    For trades and quotes: the quote that prevailed when the trade was made. No row of the right is used that is later
    than the row of the left that it is joined to, unless `direction` says so.

    Parameters
    ----------
    left, right : DataFrame, Table, RecordBatch, Dask DataFrame or streamz Stream
        Both of one sort; a Dask `left` may have a pandas `right`. Rows of a symbol are in time order; symbols may be
        interleaved, or one after the other. Streams carry frames; see `AsofJoin`. Nothing is changed in place.
    by : str or None
        The column of symbols, strings or integers; None if all rows are of one symbol.
    on : str
        The column of event times: datetimes (all aware, or all naive, of any resolution; compared as whole
        nanoseconds), or int64 nanoseconds.
    direction : {"backward", "forward", "nearest"}
        The last row at or before, the first at or after, or the nearer of the two; the earlier if both are equally
        near. Of several rows at one instant backward takes the last, forward the first.
    tolerance : str, timedelta or int nanoseconds, optional
        Match no further than this away, such as ``"5s"``; inclusive.
    allow_exact_matches : bool
        Whether a row at the very same instant counts.
    suffixes : (str, str)
        Appended to the names of columns that are in both, on the left and on the right.

    Returns
    -------
    same type as `left`
        Rows, order, index and dtypes of `left`, and the columns of `right` except `by` and `on` appended. Where no row
        matches they are NaN, NaT or null; integers and booleans of a pandas frame become its nullable types, whether or
        not every row matches, so that large integers stay exact and dtypes do not depend on data. Lazy for Dask
        frames, with `left`'s partitions.

    Raises
    ------
    ParameterError
        If an option is not what it must be.
    ColumnError
        If a column is missing, or two in the result would have one name.
    DataError
        If a symbol or a time is missing, times go backwards within a symbol, or naive, aware and integer times are
        mixed; the message names the side, the column, the row and the symbol. For Dask frames when computed.
    PipelineError
        If the frames are not of one sort.

    See Also
    --------
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
    As-of join, backward, tolerance 0 days 00:00:05: 2 of 4 rows matched (50.00 %).
                          rows  share
    matched                  2   0.50
    symbol never on right    1   0.25
    no row yet               0   0.00
    only an exact one        0   0.00
    beyond tolerance         1   0.25
    Age of matches: min 0 days 00:00:00, median 0 days 00:00:00, p95 0 days 00:00:04, max 0 days 00:00:04.
    """
    options = AsOf.checked(by, on, direction, tolerance, allow_exact_matches, suffixes)
    if is_dask(left) or is_dask(right):
        from fintech_toolkit.joins import distributed

        return distributed.join(left, right, options)
    if type(left).__module__.partition(".")[0] == "streamz":
        from fintech_toolkit.joins import live

        return live.join(left, right, options)
    return join_frames(*same_sort(left, right), options)


def same_sort(left: Any, right: Any) -> tuple[Frame, Frame]:
    """Return the views of two frames.

    Raises
    ------
    PipelineError
        If they are not both pandas, or both Arrow.
    """
    for sort in (pd.DataFrame, pa.Table | pa.RecordBatch):
        if isinstance(left, sort) and isinstance(right, sort):
            return wrap(left), wrap(right)
    raise PipelineError(
        "An as-of join takes two pandas DataFrames, two Arrow tables, two Dask DataFrames or two streams; not "
        f"{type(left).__name__} and {type(right).__name__}. Convert one, as with Table.from_pandas(…) or .to_pandas()."
    )


def join_frames(left: Frame, right: Frame, options: AsOf, right_first_row: int = 0) -> Any:
    """Join two frames in memory."""
    options.names(left.names, right.names)
    return attach(left, right, search(left, right, options, right_first_row), options)
