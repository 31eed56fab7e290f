"""One side of a join of two feeds: the frames that have come and are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fintech_toolkit.engines.memory.wavefront import cut
from fintech_toolkit.errors import ColumnError, DataError
from fintech_toolkit.flow.asof import AsOf
from fintech_toolkit.frames.symbols import Symbol, check_same_kind, encode
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.frames.views import Joinable, joinable
from fintech_toolkit.schema import Array

NEVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Feed:
    """What is kept of one side as it came, frame by frame in time order.

    Attributes
    ----------
    frames : tuple of frame
        There is one from the first that comes on, if only without rows.
    first : tuple of int
        The earliest time in each: `NAT` if a row is not finished, `NEVER` without rows.
    watermark : int
        The time before which nothing more will come.
    time_kind : str
        The kind of its times.
    """

    frames: tuple[Any, ...] = ()
    first: tuple[int, ...] = ()
    watermark: int = int(NAT)
    time_kind: str = ""

    @property
    def rows(self) -> int:
        return sum(map(len, self.frames))

    def grown(self, view: Joinable, ts: Array, most: int, watermark: int, time_kind: str) -> Feed:
        """Return the feed with a frame more, of these times, in pieces of so many rows at most."""
        cuts = cut(view.rows, max(most, 1))
        whole = len(cuts) == 1
        frames = [view.frame if whole else view.take(np.arange(at.start, at.stop)) for at in cuts]
        first = [int(ts[at].min(initial=NEVER)) for at in cuts]
        return Feed((*self.frames, *frames), (*self.first, *first), watermark, time_kind)


def concat(frames: Sequence[Any]) -> Any:
    """Return frames of one sort as one frame."""
    return frames[0] if len(frames) == 1 else joinable(frames[0]).concat(frames[1:])


def check_same_columns(side: str, view: Joinable, before: Joinable) -> None:
    """Raise unless a frame has the columns of those before it: together they must make one frame."""
    if view.names != before.names:
        raise ColumnError(
            f"In the {side} frame: its columns are {view.names}, those of the frames before were {before.names}."
        )
    now = view.types()
    for name, then in before.types().items():
        if now[name] != then:
            raise DataError(
                f"In the {side} frame: column {name!r} is of type {now[name]}, in the frames before {then}."
            )


def check_symbols(options: AsOf, there: Joinable, symbol: Symbol) -> None:
    """Raise if the symbols of a frame are strings and this one is not, or the other way round."""
    if options.by is not None and there.rows:
        for known in encode(joinable(there.take(np.arange(1))).column(options.by), options.by).values[:1]:
            check_same_kind(symbol, known)
