"""An as-of join of two feeds that come frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fintech_toolkit.engines.memory.waiting_join import WaitingJoin
from fintech_toolkit.errors import ParameterError
from fintech_toolkit.flow.asof import AsOf


class AsofJoin(WaitingJoin):
    """`asof_join`, resumable: rows of the left wait until the right has passed their time, then they are answered.

    Both feeds must be in time order from frame to frame; within a frame, each symbol's rows. A row of the left is
    answered once the right's watermark, the latest time that it has reached, is past the row (or at it, if exact
    matches are not allowed), because only then no better match can come. Rows of the right are kept as long as they may
    be needed: each symbol's last one before the left's watermark, and all since. The answers together, in the left's
    order if that is in time order, are those of `asof_join` on the whole, to the last bit.

    As there, a side with a column ``known_at`` goes by that: its rows come when they are known.

    Parameters
    ----------
    symbol, time, left_on, right_on, tolerance, allow_exact_matches, suffixes, unfinished, unit, columns, by, on
        As for `asof_join`. All frames of a side have the same columns.
    direction : {"backward"}
        Matches forward are in the future of a live feed: join them when it has ended, with `asof_join`.

    Raises
    ------
    ParameterError
        If an option is not what it must be.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> def at(*seconds): return pd.to_datetime(seconds, unit="s", utc=True)
    >>> join = ft.AsofJoin()
    >>> join.right(pd.DataFrame({"symbol": ["A", "A"], "ts": at(0, 5), "bid": [10.0, 10.1]}))
    >>> join.left(pd.DataFrame({"symbol": ["A", "A"], "ts": at(3, 6), "price": [10.0, 10.2]}))[["price", "bid"]]
       price   bid
    0   10.0  10.0
    >>> join.pending
    1
    >>> join.right(pd.DataFrame({"symbol": ["A"], "ts": at(8), "bid": [10.3]}))[["price", "bid"]]
       price   bid
    1   10.2  10.1
    """

    joins: ClassVar[Mapping[str, Any]] = {"AsOf": AsOf}

    def __init__(
        self,
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
        columns: Mapping[str, str] | None = None,
        *,
        by: Any = ...,
        on: Any = ...,
    ) -> None:
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
        self._start(options)

    def _start(self, options: AsOf) -> None:
        if options.direction != "backward":
            raise ParameterError(
                f"direction={options.direction!r} looks into the future, which a live feed does not have; "
                "use asof_join when it has ended."
            )
        super()._start(options)
