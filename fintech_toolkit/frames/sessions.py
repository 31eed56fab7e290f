"""Trading sessions: days in the zone of an exchange."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.schema import Array

SECOND = 1_000_000_000
DAY = 86_400  # seconds


def parse_session(session: str) -> tuple[str, int]:
    """Return the zone, and the local time of day (ns) at which a session begins.

    Examples
    --------
    >>> parse_session("America/Chicago 17:00")
    ('America/Chicago', 61200000000000)
    """
    match = re.fullmatch(r"(\S+?)(?: (\d\d):(\d\d))?", session) if isinstance(session, str) else None
    if match is None:
        raise ParameterError(
            f"session={session!r} must be a time zone, with a time if not midnight: 'America/Chicago 17:00'."
        )
    zone, hours, minutes = match.groups()
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ParameterError(f"session={session!r}: there is no time zone {zone!r}.") from None
    return zone, (int(hours or 0) * 60 + int(minutes or 0)) * 60_000_000_000


def session_ids(ts: Array, session: str) -> Array:
    """Return the number of the session that each time (UTC ns) belongs to."""
    zone, begins = parse_session(session)
    # In seconds, of which all clocks differ by whole ones: near the ends of int64 the local nanoseconds would not fit.
    seconds = pa.array(np.floor_divide(ts, SECOND)).cast(pa.timestamp("s", "UTC"))
    wall: Array = pc.local_timestamp(seconds.cast(pa.timestamp("s", zone))).cast(pa.int64()).to_numpy()
    ids: Array = np.floor_divide(wall - begins // SECOND, DAY)
    return ids
