"""Sessions: days in the zone of an exchange, against pandas' own clocks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.frames.sessions import session_ids
from fintech_toolkit.schema import parse_session

ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Europe/London"]
BEGINS = ["", " 00:00", " 17:00", " 09:15", " 23:59"]


def by_pandas(ts: np.ndarray, zone: str, begins: str) -> np.ndarray:
    """Return days since 1970 of the local clock, set back by the time at which the day begins."""
    local = pd.DatetimeIndex(ts, tz="UTC").tz_convert(zone).tz_localize(None)
    return (local - pd.Timedelta(f"{begins.strip() or '00:00'}:00")).normalize().asi8 // 86_400_000_000_000


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("begins", BEGINS)
def test_sessions_are_the_days_of_local_clocks(zone: str, begins: str) -> None:
    hours = pd.date_range("1969-12-28", "1970-01-04", freq="h").append(
        [pd.date_range(day, periods=24 * 6, freq="30min") for day in ("2024-03-08", "2024-04-05", "2024-11-02")]
    )
    ts = np.sort(np.concatenate([hours.as_unit("ns").asi8 + offset for offset in (-1, 0, 1)]))
    assert_array_equal(session_ids(ts, zone + begins), by_pandas(ts, zone, begins))
    assert session_ids(ts[:0], zone + begins).shape == (0,)


def test_a_session_begins_at_its_nanosecond() -> None:
    begins = pd.Timestamp("2024-07-03 17:30", tz="America/Chicago").as_unit("ns").value
    before, at = session_ids(np.array([begins - 1, begins]), "America/Chicago 17:30")
    assert at == before + 1


@pytest.mark.parametrize(
    ("session", "parsed"),
    [
        ("UTC", ("UTC", 0)),
        ("Asia/Tokyo 00:00", ("Asia/Tokyo", 0)),
        ("Asia/Tokyo 01:02", ("Asia/Tokyo", 62 * 60_000_000_000)),
        ("America/Chicago 17:00", ("America/Chicago", 17 * 3_600_000_000_000)),
    ],
)
def test_zone_and_time_are_read(session: str, parsed: tuple[str, int]) -> None:
    assert parse_session(session) == parsed


@pytest.mark.parametrize(
    ("session", "message"),
    [
        ("", "must be a time zone"),
        ("UTC 9:00", "must be a time zone"),
        ("UTC 09:00 ", "must be a time zone"),
        ("UTC 0900", "must be a time zone"),
        (("UTC", "09:00"), "must be a time zone"),
        (b"UTC", "must be a time zone"),
        ("Nowhere", "no time zone 'Nowhere'"),
        ("../UTC", "no time zone '../UTC'"),
    ],
)
def test_what_is_no_session_is_refused(session: object, message: str) -> None:
    with pytest.raises(ft.ParameterError, match=message):
        parse_session(session)  # type: ignore[arg-type]


def test_sessions_need_times() -> None:
    with pytest.raises(ft.PipelineError, match="Sessions need a time column"):
        ft.Pipeline(ft.midprice(), time=None, session="UTC")


@pytest.mark.parametrize("kind", ["naive", "integers"])
def test_naive_times_and_integers_are_utc(kind: str) -> None:
    times = pd.date_range("2024-03-09 00:00", periods=72, freq="h", tz="UTC")
    frame = pd.DataFrame({"symbol": "A", "ts": times, "price": np.arange(72.0)})
    daily = ft.Pipeline(ft.welford("price"), session="America/New_York 09:30")
    other = times.tz_localize(None) if kind == "naive" else times.as_unit("ns").asi8
    assert_array_equal(daily(frame.assign(ts=other))["mean"], daily(frame)["mean"])


def test_sessions_at_the_ends_of_time_do_not_wrap() -> None:
    ends = np.array([np.iinfo(np.int64).min + 1, np.iinfo(np.int64).max])
    assert session_ids(ends, "Pacific/Kiritimati").tolist() == [-106_753, 106_752]
    assert session_ids(ends, "Pacific/Pago_Pago").tolist() == [-106_752, 106_751]
