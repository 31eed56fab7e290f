"""How a source is doing."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Health:
    """How a source is doing; it prints as one line.

    Attributes
    ----------
    status : str
        What it is about: not started, waiting for Kafka or its topic, running, stopped; or that it died, and why.
    rate : float
        Records per second, over the last five seconds.
    lag : dict of int to int
        For each partition, how far the last batch was from its end, in offsets.
    watermark : Timestamp or None
        The latest time of the partition that is furthest behind, by the first column of times.
    restarts : int
        How often it has joined its group again, because the group had given it up.
    held : dict of int to str
        The partitions that are not read on for the time being, and why.
    """

    status: str
    rate: float = 0.0
    lag: dict[int, int] = field(default_factory=dict)
    watermark: pd.Timestamp | None = None
    restarts: int = 0
    held: dict[int, str] = field(default_factory=dict)

    @property
    def died(self) -> bool:
        """Whether an error has stopped it."""
        return self.status.startswith("died")

    def __str__(self) -> str:
        parts = [self.status]
        if self.status == "running":
            parts += [f"{self.rate:,.0f} records/s", f"{sum(self.lag.values()):,} behind"]
            if self.watermark is not None:
                parts.append(f"at {self.watermark:%Y-%m-%d %H:%M:%S}")
            parts += [f"partition {number} {why}" for number, why in sorted(self.held.items())]
        if self.restarts:
            parts.append(f"joined again {self.restarts} times")
        return ", ".join(parts)
