"""Joins of two feeds in memory, each by its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fintech_toolkit.engines.memory.asof import join_frames
from fintech_toolkit.engines.memory.horizon import horizon_frames
from fintech_toolkit.engines.memory.near_rows import interval_frames, windowed_frames
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.flow.feed_joins import FeedOptions, Horizon
from fintech_toolkit.flow.window_joins import Interval, WindowOptions
from fintech_toolkit.frames.views import Joinable

_JOINS: dict[type[FeedOptions], Callable[..., Any]] = {
    AsOf: join_frames,
    Horizon: horizon_frames,
    WindowOptions: windowed_frames,
    Interval: interval_frames,
}


def join_feeds(left: Joinable, right: Joinable, options: FeedOptions, right_first_row: int = 0) -> Any:
    """Join two frames that are all there is of two feeds, or all of them that bears on left's rows."""
    return _JOINS[type(options)](left, right, options, right_first_row)
