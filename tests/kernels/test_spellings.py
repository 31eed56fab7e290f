"""Parameters: one spelling of one thing, errors of ours, and the numbers that they stand for."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft

X = np.round(np.cumsum(np.random.default_rng(5).normal(size=60)), 2)


@pytest.mark.parametrize(
    ("keyword", "spellings"),
    [
        ("window", [5, 5.0, np.int64(5), np.uint8(5), np.float32(5), np.array(5)]),
        (
            "window",
            [
                "5s",
                "5000ms",
                "00:00:05",
                pd.Timedelta("5s"),
                datetime.timedelta(seconds=5),
                np.timedelta64(5, "s"),
                np.timedelta64(5_000_000_000, "ns"),
                np.array(5, "m8[s]"),
                np.str_("5s"),
                pd.offsets.Second(5),
            ],
        ),
        ("span", [9, 9.0, np.int32(9), np.float64(9)]),
        ("alpha", [0.5, np.float32(0.5), np.float16(0.5), np.array(0.5)]),
        ("adjust", [True, np.True_, np.array(True)]),
    ],
    ids=["rows", "duration", "span", "alpha", "flag"],
)
def test_two_spellings_of_one_thing_are_one_pipeline(keyword: str, spellings: list[Any]) -> None:
    rest = {"window": {}, "adjust": {"span": 9}}.get(keyword, {})
    kernel = ft.rolling_mean if keyword == "window" else ft.ewma
    made = [ft.Pipeline(kernel("mid", **{keyword: value}, **rest)) for value in spellings]
    assert {pipeline.to_json() for pipeline in made} == {made[0].to_json()}
    assert {repr(pipeline) for pipeline in made} == {repr(made[0])}
    assert len({pipeline.steps[0] for pipeline in made}) == 1
    for pipeline in made:
        assert ft.Pipeline.from_json(pipeline.to_json()) == pipeline


def test_rows_and_nanoseconds_are_not_the_same() -> None:
    assert ft.Pipeline(ft.lag("mid", k=5)) != ft.Pipeline(ft.lag("mid", k="5ns"))
    assert ft.Pipeline(ft.ewma("mid", span=9)) != ft.Pipeline(ft.ewma("mid", alpha=0.2))
    assert ft.Pipeline(ft.ewma("mid", span=9)) == ft.Pipeline(ft.ewma("mid", span=9, alpha=None))


@pytest.mark.parametrize(
    "wrong",
    [
        *(True, np.True_, "9", "", b"9", None, pd.NA, pd.NaT, np.nan, -np.inf, 1j, 10**400),
        *([], {}, object(), [[1], [2, 3]], [True, 2.0], pd.Timedelta("5s"), np.datetime64("2024")),
    ],
)
def test_what_is_no_number_is_no_parameter(wrong: Any) -> None:
    given: dict[str, Any] = {"span": wrong, "adjust": True}
    for call in (lambda: ft.ewma("mid", **given), lambda: ft.ewma(X, **given), lambda: ft.rsi(X, window=wrong)):
        with pytest.raises(ft.ParameterError):
            call()
    if not isinstance(wrong, pd.Timedelta):
        with pytest.raises(ft.ParameterError):
            ft.rolling_mean(X, window=wrong, ts=np.arange(60))
    if not isinstance(wrong, bool | np.bool_):
        with pytest.raises(ft.ParameterError):
            ft.ewma(X, span=9, adjust=wrong)
    with pytest.raises(ft.ParameterError):
        ft.trade_sign(X, X, X, method=wrong)


@pytest.mark.parametrize("wrong", [2**63, np.uint64(2**64 - 1), 1e300, 2.5, 0, -1])
def test_a_count_is_a_count(wrong: Any) -> None:
    with pytest.raises(ft.ParameterError, match="window="):
        ft.rolling_mean("mid", window=wrong)


@pytest.mark.parametrize("wrong", ["5 parsecs", "-5s", "0s", np.timedelta64("NaT"), ["5s", 5], [], "nan", "300Y"])
def test_a_duration_is_a_duration(wrong: Any) -> None:
    with pytest.raises(ft.ParameterError, match="window="):
        ft.rolling_mean(X, window=wrong, ts=np.arange(60))
    with pytest.raises(ft.ParameterError, match="frequency="):
        ft.time_bars(frequency=wrong)


def test_the_numbers_that_parameters_were_resolved_to_travel_with_a_pipeline() -> None:
    pipeline = ft.Pipeline(ft.ewma("mid", halflife=7))
    data = json.loads(pipeline.to_json())
    (step,) = data["steps"]
    assert step["parameters"] == {"halflife": 7}
    assert step["resolved"]["alpha"] == 1 - np.exp(-np.log(2) / 7)
    # A machine whose exp gives another last bit.
    step["resolved"]["alpha"] *= 1 + 5e-15
    other = ft.Pipeline.from_json(json.dumps(data))
    assert "halflife=7" in repr(other)
    assert other != pipeline
    frame = {"symbol": np.array(["A"] * 60), "ts": np.arange(60), "mid": X}
    assert not np.array_equal(other(frame)["ewma"], pipeline(frame)["ewma"])
    assert_array_equal(other(frame)["ewma"], ft.ewma(X, alpha=step["resolved"]["alpha"]))
    for wrong in ({"alpha": 0.5}, {}, {**step["resolved"], "alpha": 0.5}, {**step["resolved"], "alpha": "0.1"}, None):
        step["resolved"] = wrong
        with pytest.raises(ft.PipelineError):
            ft.Pipeline.from_json(json.dumps(data))
