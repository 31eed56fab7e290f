"""Joins of two feeds on Dask, each by its options."""

# Dask's expressions are not typed.
# mypy: disable-error-code="no-untyped-call,no-any-return,attr-defined"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dask.dataframe.dask_expr import new_collection

from fintech_toolkit.engines.dask import asof, horizon, near_rows
from fintech_toolkit.engines.memory.feed_joins import join_feeds
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions, Horizon
from fintech_toolkit.flow.plan import Plan
from fintech_toolkit.flow.window_joins import Interval, WindowOptions
from fintech_toolkit.frames.views import PandasFrame, is_dask


def join(left: Any, right: Any, options: FeedOptions) -> Any:
    """Return the lazy join of a Dask frame with a Dask or pandas frame.

    Raises
    ------
    PipelineError
        If they are something else.
    """
    if isinstance(options, AsOf):
        return asof.join(left, right, options)
    assert isinstance(options, Horizon | WindowOptions | Interval)
    asof.check_frames(left, right)
    sides = options.sides.resolved(list(left.columns), list(right.columns))
    options = replace(options, sides=sides)
    if not is_dask(right):
        return new_collection(asof.JoinFrame(left.expr, right, options))
    join_feeds(PandasFrame(left._meta), PandasFrame(right._meta), options)  # complains at once about what is wrong
    route = _route_of(options)(right, sides)
    if route.name == "whole right":
        return new_collection(asof.JoinFrame(left.expr, route.right, options))
    if isinstance(options, Horizon):
        return new_collection(horizon.HorizonJoin(left.expr, route.right, options, route.name == "by time"))
    return new_collection(near_rows.NearRows(left.expr, route.right, options))


def explain(left: Any, right: Any, options: FeedOptions) -> Plan:
    """Return by which route they would be joined; nothing is computed."""
    return asof.explain(left, right, options.sides, _route_of(options))


def _route_of(options: FeedOptions) -> Callable[[Any, AsOf], asof.Route]:
    return near_rows.route_of if isinstance(options, WindowOptions | Interval) else asof.route_of
