"""What a signal is made with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator

from fintech_toolkit.schema import nanoseconds
from fintech_toolkit.settings import Settings

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SignalSettings(Settings):
    """Parameters of the signals; a value out of its range, or a name that is none, is an error of pydantic.

    Attributes
    ----------
    base : float
        Threshold at the reference level of the VIX, in percentage points.
    reference : float
        Level of the VIX at which the threshold is `base`, in points.
    beta : {"ew_beta", "rolling_beta", "ratio_beta"}
        The estimate of beta: a regression with weights that decay, one over a window, or the ratio of the two changes
        of a row (1 where there is none).
    halflife : float
        Rows after which a weight of ``ew_beta`` has halved; 240 are 30 trading days of eight stamps.
    window : int
        Rows of ``rolling_beta``.
    limit : float
        Greatest size of ``ratio_beta``.
    max_age : str
        How old the VIX and the S&P 500 may be beside a price: a duration.
    cost_bp : float
        Cost of a trade, in basis points of what is traded.
    periods_per_year : int
        Rows of a contract in a year, by which the Sharpe ratio is annualised; 2,016 are 252 days of eight.

    Examples
    --------
    >>> from fintech_toolkit.signals import SignalSettings
    >>> SignalSettings(base=0.4).base
    0.4
    """

    base: Positive = 0.5
    reference: Positive = 15.0
    beta: Literal["ew_beta", "rolling_beta", "ratio_beta"] = "ew_beta"
    halflife: Positive = 240.0
    window: Annotated[int, Field(ge=2)] = 240
    limit: Positive = 3.0
    max_age: str = "2h"
    cost_bp: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    periods_per_year: PositiveInt = 2016

    @field_validator("max_age")
    @classmethod
    def _is_a_duration(cls, value: str) -> str:
        nanoseconds(value, "max_age")
        return value
