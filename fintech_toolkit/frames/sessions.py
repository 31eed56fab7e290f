"""Trading sessions: days in the zone of an exchange."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.schema import Array, parse_session

SECOND = 1_000_000_000
DAY = 86_400  # seconds


def session_ids(ts: Array, session: str) -> Array:
    """Return the number of the session that each time (UTC ns) belongs to."""
    zone, begins = parse_session(session)
    # In seconds, of which all clocks differ by whole ones: near the ends of int64 the local nanoseconds would not fit.
    seconds = pa.array(np.floor_divide(ts, SECOND)).cast(pa.timestamp("s", "UTC"))
    wall: Array = pc.local_timestamp(seconds.cast(pa.timestamp("s", zone))).cast(pa.int64()).to_numpy()
    ids: Array = np.floor_divide(wall - begins // SECOND, DAY)
    return ids
