"""How many records a source has received, emitted and rejected."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

_RATE_SECONDS = 5.0


@dataclass(frozen=True)
class Counts:
    """Records of a source so far, of batches that all sinks have finished with.

    Attributes
    ----------
    received : int
        Records read from the topic (rows, where a message holds many): ``received == emitted + rejected``.
    emitted : int
        Records that went down the stream.
    rejected : int
        Records that could not be decoded, that a pipeline's checks refused or that a sink could not write. What a node
        made of several records (a bar, an answer of a join) and a sink could not write is a dead letter, and not
        counted here, because the records themselves went down the stream.
    """

    received: int = 0
    emitted: int = 0
    rejected: int = 0


class Counter:
    """The counts, kept from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, int]] = deque()
        self.counts = Counts()

    def add(self, received: int, rejected: int) -> None:
        """Add a batch to the counts."""
        with self._lock:
            now = self.counts
            self.counts = Counts(now.received + received, now.emitted + received - rejected, now.rejected + rejected)
            self._recent.append((time.monotonic(), received))
            while self._recent[0][0] < time.monotonic() - _RATE_SECONDS:
                self._recent.popleft()

    @property
    def rate(self) -> float:
        """Records received per second, over the last five seconds."""
        with self._lock:
            since = time.monotonic() - _RATE_SECONDS
            return sum(count for at, count in self._recent if at > since) / _RATE_SECONDS
