"""How long a record was under way."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import tick_kernel


@tick_kernel(reads=["start:i8", "end:i8"], gives="latency", source="definition")
def latency(start: int, end: int) -> float:
    """Seconds from one time of a record to another, ``end - start``.

    Negative where the second is the earlier one, as of clocks that differ. The difference is taken in whole nanoseconds
    before it is rounded to a float. A missing time is an error.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> sent = np.array(["2024-01-08T14:30:00.000000", "2024-01-08T14:30:01.000000"], "M8[us]")
    >>> ft.latency(sent, sent + np.array([250, 1500], "m8[us]"))
    array([0.00025, 0.0015 ])
    """
    between = end - start
    if (between >= 0) != (end >= start):  # more than int64 can hold
        return np.float64(end) / 1e9 - np.float64(start) / 1e9
    return between / 1e9


@latency.oracle
def _(start: Any, end: Any) -> Any:
    return np.array([(int(until) - int(since)) / 10**9 for since, until in zip(start, end, strict=True)])
