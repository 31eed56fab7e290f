"""What a run is asked to do: ``signals.yaml``, and options that replace some of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd
from pydantic import Field, field_validator, model_validator

from fintech_toolkit.errors import did_you_mean
from fintech_toolkit.settings import Settings, load_settings
from fintech_toolkit.signals.settings import SignalSettings

PREFIX = "FINTECH_TOOLKIT_SIGNALS__"


class RunSettings(Settings):
    """What a run reads, computes and writes; a key that is none, or a value out of its range, is an error.

    Attributes
    ----------
    input, output : str
        Folders: paths, or URLs that fsspec knows, such as ``s3://bucket/folder``. Credentials and the endpoint of a
        store come from the environment: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT_URL`` ….
    contracts : int or list of str, optional
        How many, the first by name, or which; all, if left out.
    since, until, at : str, optional
        Stamps whose rows are written, both ends included, or the one stamp; without a zone they are UTC. All rows are
        computed nevertheless, as estimates go on from earlier ones: what is written is what a whole run writes.
    layout : {"compacted", "stamps"}
        One file a contract, or one a contract and stamp.
    attempts : int
        How often reading and writing are tried that fail for a reason that may pass.
    timeout : float
        Seconds after which a contract has failed.
    calendar : str, optional
        The exchange whose sessions prices should have, as exchange_calendars names it.
    signals : SignalSettings
        What signals are made with.
    """

    input: str = Field(min_length=1)
    output: str = Field("signals-output", min_length=1)
    contracts: int | list[str] | None = None
    since: str | None = None
    until: str | None = None
    at: str | None = None
    layout: Literal["compacted", "stamps"] = "compacted"
    attempts: int = Field(3, ge=1)
    timeout: float = Field(600.0, gt=0, allow_inf_nan=False)
    calendar: str | None = "XNYS"
    signals: SignalSettings = Field(default_factory=SignalSettings)

    @field_validator("contracts")
    @classmethod
    def _are_some(cls, value: int | list[str] | None) -> int | list[str] | None:
        if value is not None and (value < 1 if isinstance(value, int) else not value):
            raise ValueError("name at least one contract, or leave it out for all")
        return value

    @field_validator("since", "until", "at", mode="before")
    @classmethod
    def _is_a_stamp(cls, value: Any) -> str | None:
        return None if value is None else in_utc(value).isoformat()

    @field_validator("calendar")
    @classmethod
    def _is_a_calendar(cls, value: str | None) -> str | None:
        from exchange_calendars import get_calendar_names

        if value is not None and value not in (known := get_calendar_names()):
            raise ValueError(f"there is no calendar {value!r}. {did_you_mean(value, known)}")
        return value

    @model_validator(mode="after")
    def _is_one_scope(self) -> Self:
        if self.at is not None and (self.since is not None or self.until is not None):
            raise ValueError("at is one stamp: give it alone, or since and until")
        if self.since is not None and self.until is not None and in_utc(self.since) > in_utc(self.until):
            raise ValueError(f"since {self.since} lies after until {self.until}")
        return self

    @property
    def bounds(self) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
        """The first and the last stamp whose rows are written."""
        first, last = (self.at, self.at) if self.at is not None else (self.since, self.until)
        return None if first is None else in_utc(first), None if last is None else in_utc(last)


def in_utc(given: str | date) -> pd.Timestamp:
    """Return a stamp in UTC; without a zone it is UTC already."""
    stamp = pd.Timestamp(given)
    if pd.isna(stamp):
        raise ValueError("it is no time")
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


def run_settings(path: Path | None = None, **options: Any) -> RunSettings:
    """Return what a run is asked to do: the file's keys, over them what the environment says, and over these options.

    ``FINTECH_TOOLKIT_SIGNALS__OUTPUT=s3://bucket/folder`` stands over ``output``, and
    ``FINTECH_TOOLKIT_SIGNALS__SIGNALS__BASE=0.4`` over ``base`` below ``signals``.

    Raises
    ------
    ParameterError
        If the file cannot be read, or a key or value is wrong; the message names the key and the nearest right one.

    Examples
    --------
    >>> run_settings(input="prices", contracts=10).layout
    'compacted'
    """
    return load_settings(RunSettings, path, PREFIX, options)
