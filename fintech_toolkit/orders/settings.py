"""What an exchange is like, and how its dark pool is simulated."""

from __future__ import annotations

from datetime import time
from typing import Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from fintech_toolkit.errors import did_you_mean
from fintech_toolkit.settings import Settings

SCENARIOS = {
    "mid": "all at the mid",
    "half": "half of the size at the mid",
    "impact": "half of the size, with an impact on the price",
}
"""What is told of a simulation, and what it is called."""


class Market(Settings):
    """Units, days and hours of an exchange.

    Attributes
    ----------
    units_per_currency : int
        How many price units make one of the currency: 1000 where 3340 is 3.340.
    tick : int
        Smallest step of a limit, in price units.
    currency : str
        Its name in reports.
    zone : str
        Time zone of the exchange: a day is its local day.
    pre_opens : time
        When orders for the opening auction are collected from, in local time.
    opens, closes : time
        Continuous trading, in local time; the opening auction ends when it begins.
    ends : time
        When the closing auction, which begins as continuous trading closes, is over.
    stale_seconds : float
        How old a best bid and offer may be.
    """

    units_per_currency: int = Field(default=1000, ge=1)
    tick: int = Field(default=10, ge=1)
    currency: str = "AUD"
    zone: str = "Australia/Sydney"
    pre_opens: time = time(7, 0)
    opens: time = time(10, 0)
    closes: time = time(16, 0)
    ends: time = time(16, 12)
    stale_seconds: float = Field(default=60.0, gt=0)

    @field_validator("pre_opens", "opens", "closes", "ends", mode="before")
    @classmethod
    def _no_number(cls, value: Any) -> Any:
        if isinstance(value, int):  # 10:00 is 600 in YAML, and 600 would be ten minutes past midnight
            raise ValueError(f'write times of day in quotes, such as "10:00"; YAML reads 10:00 as {10 * 60}')
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.pre_opens <= self.opens < self.closes <= self.ends:
            hours = {name: getattr(self, name) for name in ("pre_opens", "opens", "closes", "ends")}
            told = ", ".join(f"{name} {at:%H:%M}" for name, at in hours.items())
            raise ValueError(f"the hours of a day come one after the other, and not {told}")
        return self

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"there is no such time zone; {did_you_mean(value, available_timezones())}")
        return value


class Simulation(Settings):
    """How the dark pool is simulated.

    Attributes
    ----------
    mode : {"exchange", "legacy"}
        By the exchange's rules, or as published results were made.
    impact_ticks : float
        What the third scenario moves the price of half the size, in ticks against the trader.
    latency_ns : int
        Mean of what an order is late at the pool, exponentially distributed; 0: none is.
    seed : int
        Of the latency.
    own_participant : bool
        Whether a participant may trade with itself.
    """

    mode: Literal["exchange", "legacy"] = "exchange"
    impact_ticks: float = Field(default=0.5, ge=0)
    latency_ns: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
    own_participant: bool = False
