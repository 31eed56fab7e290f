"""Joins of two feeds on Dask, each by its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fintech_toolkit.engines.dask import asof, horizon, near_rows
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions, Horizon
from fintech_toolkit.flow.plan import Plan
from fintech_toolkit.flow.window_joins import Interval, WindowOptions

_JOINS: dict[type[FeedOptions], Callable[..., Any]] = {
    AsOf: asof.join,
    Horizon: horizon.join,
    WindowOptions: near_rows.join,
    Interval: near_rows.join,
}


def join(left: Any, right: Any, options: FeedOptions) -> Any:
    """Return the lazy join of a Dask frame with a Dask or pandas frame.

    Raises
    ------
    PipelineError
        If they are something else.
    """
    return _JOINS[type(options)](left, right, options)


def explain(left: Any, right: Any, options: FeedOptions) -> Plan:
    """Return by which route they would be joined; nothing is computed."""
    near = isinstance(options, WindowOptions | Interval)
    return asof.explain(left, right, options.sides, near_rows.route_of if near else asof.route_of)
