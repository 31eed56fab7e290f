"""Joins of two feeds on Dask, each by its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fintech_toolkit.engines.dask import asof, horizon
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions, Horizon

_JOINS: dict[type[FeedOptions], Callable[..., Any]] = {AsOf: asof.join, Horizon: horizon.join}


def join(left: Any, right: Any, options: FeedOptions) -> Any:
    """Return the lazy join of a Dask frame with a Dask or pandas frame.

    Raises
    ------
    PipelineError
        If they are something else.
    """
    return _JOINS[type(options)](left, right, options)
