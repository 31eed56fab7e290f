"""How far away a match may be: every way to say it, its very edge, and zero; pandas is the oracle."""

from __future__ import annotations

import datetime
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from tests.joins.feeds import Options, feeds
from tests.joins.layouts import by_time

EXACT = {
    "zero": 0,
    "text": "0s",
    "timedelta": datetime.timedelta(0),
    "Timedelta": pd.Timedelta(0),
    "timedelta64": np.timedelta64(0, "s"),
    "int64": np.int64(0),
}
FIVE_MS = {
    "nanoseconds": 5_000_000,
    "text": "5ms",
    "timedelta": datetime.timedelta(milliseconds=5),
    "Timedelta": pd.Timedelta("5ms"),
    "timedelta64": np.timedelta64(5, "ms"),
    "int64": np.int64(5_000_000),
    "uint64": np.uint64(5_000_000),
    "float": 5e6,
}


def sides(apart: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row, and one so many nanoseconds before it and one as far after it."""
    now = 1_704_189_598_123_456_789
    left = pd.DataFrame({"symbol": ["A"], "ts": pd.to_datetime([now], utc=True)})
    there = pd.to_datetime([now - apart, now + apart], utc=True)
    return left, pd.DataFrame({"symbol": ["A", "A"], "ts": there, "n": [0, 1]})


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("tolerance", FIVE_MS.values(), ids=FIVE_MS)
def test_the_edge_is_inside(tolerance: Any, direction: str) -> None:
    nth = 1 if direction == "forward" else 0
    for apart, matches in ((4_999_999, True), (5_000_000, True), (5_000_001, False)):
        left, right = sides(apart)
        found = ft.asof_join(left, right, tolerance=tolerance, direction=direction)["n"]
        assert found.tolist() == ([nth] if matches else [pd.NA])
        summary = ft.asof_summary(left, right, tolerance=tolerance, direction=direction)
        assert (summary.matched, summary.counts["beyond tolerance"]) == (int(matches), int(not matches))


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("tolerance", EXACT.values(), ids=EXACT)
def test_zero_is_the_very_instant(tolerance: Any, direction: str) -> None:
    for apart, exact, matches in ((0, True, True), (0, False, False), (1, True, False)):
        left, right = sides(apart)
        how: Options = {"tolerance": tolerance, "direction": direction, "allow_exact_matches": exact}
        peer = {**how, "tolerance": pd.Timedelta(0)}
        theirs = pd.merge_asof(left, right, on="ts", by="symbol", **peer)["n"].notna().tolist()
        assert ft.asof_join(left, right, **how)["n"].notna().tolist() == theirs == [matches]
        lazy = ft.asof_join(by_time(left, 1), by_time(right, 2), **how)
        assert lazy["n"].compute(scheduler="sync").notna().tolist() == [matches]
        assert ft.asof_summary(left, right, **how).matched == matches
        if direction == "backward":
            join = ft.AsofJoin(**how)
            join.right(right)
            answers = [answer for answer in (join.left(left), join.flush()) if answer is not None]
            assert pd.concat(answers)["n"].notna().tolist() == [matches]


HOW = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(["backward", "forward", "nearest"]),
        "tolerance": st.integers(0, 6),
        "allow_exact_matches": st.booleans(),
    }
)


@given(feeds(), HOW, st.sampled_from(["aware", "naive", "int"]))
@settings(deadline=None, max_examples=60)
def test_is_merge_asof(both: tuple[pd.DataFrame, pd.DataFrame], how: Options, kind: str) -> None:
    left, right = (frame.assign(row=np.arange(len(frame))) for frame in both)
    tolerance: Any = pd.Timedelta(how["tolerance"])
    if kind == "naive":
        left, right = (frame.assign(ts=frame["ts"].dt.tz_localize(None)) for frame in (left, right))
    if kind == "int":
        left, right = (frame.assign(ts=frame["ts"].astype("int64")) for frame in (left, right))
        tolerance = how["tolerance"]
    merged = pd.merge_asof(left, right, on="ts", by="symbol", **{**how, "tolerance": tolerance})["row_y"]
    expected = merged.to_numpy("f8")
    result = ft.asof_join(left, right, **how)
    assert_array_equal(result["row_right"].to_numpy("f8", na_value=np.nan), expected)
    with dask.config.set(scheduler="sync"):
        assert ft.asof_summary(left, right, **how).matched == np.count_nonzero(~np.isnan(expected))


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        (-1, "must not be negative"),
        ("-1ns", "must not be negative"),
        (datetime.timedelta(-1), "must not be negative"),
        (np.timedelta64("NaT"), "must not be negative"),
        (pd.NaT, "must not be negative"),
        ("soon", "is not a duration"),
        (0.5, "is not a duration"),
        (float("nan"), "is not a duration"),
        (float("inf"), "is not a duration"),
        (True, "is not a duration"),
        ([1], "is not a duration"),
        (10**30, "is not a duration"),
        (np.timedelta64(10**6, "D"), "is not a duration"),
    ],
)
def test_what_is_no_tolerance_is_refused(tolerance: Any, message: str) -> None:
    left, right = sides(1)
    for join in (ft.asof_join, ft.asof_summary):
        with pytest.raises(ft.ParameterError, match=f"tolerance=.*{message}"):
            join(left, right, tolerance=tolerance)
    with pytest.raises(ft.ParameterError, match=f"tolerance=.*{message}"):
        ft.AsofJoin(tolerance=tolerance)


def test_times_as_far_apart_as_they_can_be() -> None:
    first, last = -(2**63) + 1, 2**63 - 1
    left, right = (pd.DataFrame({"symbol": ["A"], "ts": [ts]}) for ts in (last, first))
    right["n"] = 7
    for direction, here, there in (("backward", left, right), ("forward", right[["symbol", "ts"]], left.assign(n=7))):
        for exact in (True, False):
            how: Options = {"direction": direction, "unit": "ns", "allow_exact_matches": exact}
            assert ft.asof_join(here, there, **how)["n"].tolist() == [7]
            assert ft.asof_join(here, there, direction="nearest", unit="ns")["n"].tolist() == [7]
            assert ft.asof_join(here, there, tolerance=2**63 - 1, **how)["n"].isna().all()
            summary = ft.asof_summary(here, there, **how)
            assert summary.ages["max"] == pd.Timedelta(np.timedelta64((2**64 - 2) // 1000, "us"))
            beyond = ft.asof_summary(here, there, tolerance=2**63 - 1, **how)
            assert beyond.counts["beyond tolerance"] == 1
    for exact in (True, False):  # at the edge of what there is, next to nothing
        edge = pd.DataFrame({"symbol": ["A"], "ts": [first]})
        for direction in ("backward", "forward", "nearest"):
            found = ft.asof_join(edge, right, direction=direction, unit="ns", allow_exact_matches=exact)["n"]
            assert found.notna().tolist() == [exact]
