"""How a source sends frames down its stream: two at a time, in order, and none after one that failed."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any

import numpy as np
import pandas as pd
from streamz import Source
from streamz.core import RefCounter

from fintech_toolkit.engines.live.batch import Batch
from fintech_toolkit.engines.live.states import pass_on, states_of
from fintech_toolkit.errors import LiveError


class Delivery:
    """Sends the frames of a source down its stream.

    Parameters
    ----------
    source : Source
        Where frames are emitted.
    time : str or None
        The column of event times.

    Attributes
    ----------
    broken : bool
        Whether a batch has failed, so that none after it may begin.
    watermarks : dict of int to int
        For each partition, the latest time that was sent, in nanoseconds.
    """

    def __init__(self, source: Source, time: str | None) -> None:
        self.broken = False
        self.watermarks: dict[int, int] = {}
        self._source = source
        self._time = time
        self._turn = asyncio.Lock()

    def send(self, frame: pd.DataFrame, batch: Batch) -> concurrent.futures.Future[None]:
        """Send a frame down the stream, and return the future of all sinks having finished with it."""
        if self._time is not None and len(frame):
            times = frame[self._time].to_numpy("M8[ns]").view(np.int64)
            starts = np.flatnonzero(np.diff(batch.partition, prepend=-1))  # records come by partition
            latest = np.maximum.reduceat(times, starts).tolist()
            for number, time in zip(batch.partition[starts].tolist(), latest, strict=True):
                self.watermarks[number] = max(self.watermarks.get(number, 0), time)
        return asyncio.run_coroutine_threadsafe(self._emit(frame, batch), self._source.loop.asyncio_loop)

    async def _emit(self, frame: pd.DataFrame, batch: Batch) -> None:
        # A reference of our own: a sink's future may still be at work when all nodes have let go.
        reference = RefCounter(initial=1, cb=batch.progress.done.set, loop=self._source.loop)
        coming: list[Any] = []
        try:
            self._refuse_after_failure(batch)
            coming = pass_on(self._source, frame, [{"ref": reference, "batch": batch}], batch)
            # Our own sinks are at work already. What a coroutine of the user's does begins in the order of the batches.
            async with self._turn:
                self._refuse_after_failure(batch)
                await asyncio.gather(*coming)
            self._source.through |= {number: end for number, (_, end) in batch.offsets.items()}
            for node in states_of(self._source):
                node.note(batch)
        except BaseException:
            self.broken = True
            for one in coming:
                if asyncio.iscoroutine(one):
                    one.close()
            raise
        reference.release()

    def _refuse_after_failure(self, batch: Batch) -> None:
        if self.broken:
            raise LiveError(f"topic {batch.topic!r}: batch {batch.id} is not begun, because one before it failed")
