"""A reference by key: rows of it replace those with the same key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fintech_toolkit.engines.memory.lookup import match_keys
from fintech_toolkit.frames.views import Frame, joinable
from fintech_toolkit.schema import Array


class ReferenceTable:
    """Rows by key."""

    def __init__(self, frame: Any, on: Sequence[str]) -> None:
        self.frame, self.on = frame, on

    def copy(self) -> ReferenceTable:
        """Return a table that can be changed without touching this one."""
        return ReferenceTable(self.frame, self.on)

    def upsert(self, frame: Any) -> None:
        """Take rows in place of those with the same key."""
        old = joinable(self.frame)
        kept = match_keys(old, self.on, joinable(frame), self.on) < 0
        self.frame = joinable(old.take(np.flatnonzero(kept))).concat([frame])

    def rows_of(self, view: Frame, on: Sequence[str]) -> Array:
        """Return for each row of a frame the row of the table with the same key, -1 where there is none."""
        return match_keys(view, on, joinable(self.frame), self.on)

    def to_bytes(self) -> bytes:
        """Return it as bytes."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes) -> ReferenceTable:
        """Return what `to_bytes` wrote."""
        raise NotImplementedError
