"""What windows keep exact, which forms they give back, how they combine, and what they say of bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.flow.rules import RULES
from tests.flows.windows import ALL, market
from tests.frames import same

TICKS = ft.source("ticks")


def frame(**columns: Any) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    ts = pd.to_datetime(np.arange(rows), unit="s", utc=True)
    return pd.DataFrame({"symbol": ["A"] * rows, "ts": ts} | columns)


def one(data: pd.DataFrame, *how: str, size: str = "1h") -> Any:
    """What one window of all rows comes to, as pandas and as Arrow have it."""
    flow = TICKS.window(size).agg(x=how)
    (value,) = flow(ticks=data)["x"].tolist()
    (arrow,) = flow(ticks=pa.Table.from_pandas(data, preserve_index=False))["x"].to_pylist()
    assert value == arrow or (pd.isna(value) and pd.isna(arrow))
    return value


def test_whole_numbers_beyond_float64_are_exact() -> None:
    large = [2**60 + 1, 2**60 + 3, -5]
    data = frame(x=large)
    for how, value in {"sum": sum(large), "min": -5, "max": 2**60 + 3, "first": 2**60 + 1, "last": -5}.items():
        assert one(data, "x", how) == value
    missing = frame(x=pd.array([None, 2**60 + 1, None], dtype="Int64"))
    for how in ("sum", "min", "max", "first", "last"):
        assert one(missing, "x", how) == 2**60 + 1
    assert one(missing, "x", "count") == one(missing, "x", "nunique") == 1


def test_a_sum_that_int64_cannot_hold_is_an_error() -> None:
    for x in ([2**62, 2**62 - 1, 1], [-(2**62), -(2**62), -1]):
        with pytest.raises(
            ft.DataError, match=r"'x': the sum of a window leaves int64 at row 2; .*astype\('float64'\)"
        ):
            one(frame(x=x), "x", "sum")
    assert one(frame(x=[2**62, 2**62 - 1]), "x", "sum") == 2**63 - 1
    with pytest.raises(ft.DataError, match=r"'x' holds 9223372036854775808 at row 1, more than int64"):
        one(frame(x=np.array([0, 2**63], np.uint64)), "x", "max")


def test_the_row_of_an_error_is_that_of_the_frame() -> None:
    data = frame(x=[2**62, 1, 2**62])
    with pytest.raises(ft.DataError, match="int64 at row 0;"):  # in order of time it is the last
        TICKS.window("1h").agg(x=("x", "sum"))(ticks=data[::-1])
    with pytest.raises(ft.DataError, match="int64 at row 0;"):
        TICKS.session_window("1h").agg(x=("x", "sum"))(ticks=data[::-1])


def test_sums_keep_digits_and_infinity() -> None:
    assert one(frame(x=[1e100, 1.0, -1e100]), "x", "sum") == 1.0
    assert one(frame(x=[1.0, np.inf]), "x", "mean") == np.inf
    assert np.isnan(one(frame(x=[1.0, np.inf]), "x", "std"))
    assert one(frame(x=[1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]), "x", "var") == 30.0
    assert one(frame(x=[np.nan, np.nan]), "x", "sum") == 0.0
    assert np.isnan(one(frame(x=[np.nan, np.nan]), "x", "max"))


def test_values_of_any_type_keep_it() -> None:
    data = frame(x=[1, 2])
    data["kind"] = pd.Categorical(["b", "a"], categories=["b", "a", "c"])
    data["day"] = pd.to_datetime(["2024-01-01", None]).astype("M8[s]")
    data["flag"] = [True, False]
    data["whole"] = np.array([3, 4], np.int16)
    columns = ("kind", "day", "flag", "whole")
    for how in ("first", "last"):
        got = TICKS.window("1h").agg(**{name: (name, how) for name in columns})(ticks=data)
        for name in columns:
            assert got[name].dtype == data[name].dtype
            assert got[name].tolist() == data[name].dropna().tolist()[:: -1 if how == "last" else 1][:1]
    assert one(data, "flag", "sum") == 1
    assert one(frame(x=[0.0, -0.0, np.nan, 1.0]), "x", "nunique") == 2
    symbols = TICKS.window("1h", symbol="kind").agg(n=("x", "count"))(ticks=data)
    assert symbols["kind"].dtype == data["kind"].dtype
    assert symbols["kind"].tolist() == ["b", "a"]


def test_times_come_in_the_form_in_which_they_came() -> None:
    data = market(300)
    wanted = TICKS.window("7s").agg(**ALL)(ticks=data)
    naive = TICKS.window("7s").agg(**ALL)(ticks=data.assign(ts=data["ts"].dt.tz_localize(None)))
    for name in ("ts", "window_end", "known_at"):
        assert naive[name].dtype == "M8[ns]"
        assert_array_equal(naive[name].to_numpy(), wanted[name].dt.tz_localize(None).to_numpy())
    elsewhere = TICKS.window("7s").agg(**ALL)(ticks=data.assign(ts=data["ts"].dt.tz_convert("Asia/Tokyo")))
    same(elsewhere, wanted)
    ms = data.assign(ts=data["ts"].astype("M8[ms, UTC]").astype("int64"))
    numbers = TICKS.window("7s", unit="ms").agg(**ALL)(ticks=ms)
    assert_array_equal(numbers["ts"], wanted["ts"].astype("M8[ms, UTC]").astype("int64"))
    assert numbers["window_end"].dtype == np.int64
    with pytest.raises(ft.DataError, match=r"looks like milliseconds.*unit='ms'"):
        TICKS.window("7s").agg(**ALL)(ticks=ms)


def test_before_1970_windows_start_at_whole_multiples_too() -> None:
    data = frame(x=[1, 2, 3]).assign(ts=pd.to_datetime([-61, -60, -1], unit="s", utc=True))
    got = TICKS.window("1min").agg(n=("x", "count"))(ticks=data)
    assert [stamp.value // 10**9 for stamp in got["ts"]] == [-120, -60]
    assert got["n"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "step", [ft.ewma("price", span=5), ft.rolling_max("price", window=3), ft.lag("size", k=2), ft.ofi()]
)
def test_a_step_begins_afresh_in_each_window(step: ft.Step) -> None:
    data = market(400)
    got = TICKS.window("20s", every="5s").agg(x=step)(ticks=data)
    for _, window in got.iterrows():
        own = data[
            (data["symbol"] == window["symbol"]) & (data["ts"] >= window["ts"]) & (data["ts"] < window["window_end"])
        ]
        wanted = ft.Pipeline(step)(own)[step.outputs[0]].iloc[-1]
        assert window["x"] == wanted or (pd.isna(window["x"]) and pd.isna(wanted))


def test_columns_have_other_names() -> None:
    data = market(200)
    wanted = TICKS.window("5s").agg(high=("price", "max"), vwap=ft.vwap("price", "size"))(ticks=data)
    names = {"symbol": "ticker", "ts": "time", "price": "px"}
    flow = TICKS.window("5s", columns=names).agg(high=("price", "max"), vwap=ft.vwap("price", "size"))
    got = flow(ticks=data.rename(columns=names))
    same(got.rename(columns={"ticker": "symbol", "time": "ts"}), wanted)


# With other nodes


def test_written_down_and_made_again() -> None:
    for flow in (
        TICKS.window("6s", every="2s", lateness="1s").agg(**ALL),
        TICKS.session_window("3s", symbol=None).agg(**ALL),
    ):
        assert ft.Flow.from_json(flow.to_json()) == flow
        assert ft.Flow.from_yaml(flow.to_yaml()) == flow
    wrong = flow.to_json().replace('"how": "median"', '"how": "middle"')
    with pytest.raises(ft.PipelineError, match=r"'middle'"):
        ft.Flow.from_json(wrong)


def test_rules_change_nothing_and_read_only_what_is_aggregated() -> None:
    data = market(300)
    flow = TICKS.window("6s", every="2s").agg(**ALL).filter([("symbol", "in", ["S01", "S02"]), ("count", ">", 0)])
    flow = flow.select("symbol", "window_end", "max")
    same(flow(ticks=data), flow(ticks=data, without=RULES).reset_index(drop=True))
    plan = flow.explain(ticks=data)
    assert "source 'ticks', reads symbol, ts, price, where symbol in ['S01', 'S02']" in repr(plan)
    assert "filter count > 0" in repr(plan).partition("Runs:")[2]
    assert "replaces rows, needs all of a time" in plan._repr_html_()


def test_an_as_of_join_sees_windows_when_they_are_known() -> None:
    data = market(300)
    bars = ft.source("trades").window("1s", lateness="2s").agg(high=("price", "max"))
    flow = ft.source("quotes").select("symbol", "ts", "bid").asof_join(bars)
    got = flow(quotes=data, trades=data)
    seen = got.dropna(subset="high")
    assert len(seen)
    assert (seen["window_end"] + pd.Timedelta("2s") <= seen["ts"]).all()
    after = bars.pipe(ft.ewma("high", span=3))(trades=data)
    for _, own in after.groupby("symbol"):
        assert_array_equal(own["ewma"], ft.ewma(own["high"].to_numpy(), span=3))


def test_a_window_is_not_known_before_its_rows_are() -> None:
    data = frame(x=[1, 2, 3, 4, 5])
    late = data["ts"] + pd.Timedelta("10s")
    flow = TICKS.window("2s").agg(n=("x", "count"))
    got = flow(ticks=data.assign(known_at=late))
    assert [stamp.value // 10**9 for stamp in got["known_at"]] == [11, 13, 14]
    unfinished = flow(ticks=data.assign(known_at=late.where(data["x"] != 3)))
    assert unfinished["known_at"].isna().tolist() == [False, True, False]
    assert [s.value // 10**9 for s in flow(ticks=data.assign(known_at=data["ts"]))["known_at"]] == [2, 4, 6]
    assert flow.select("n", "known_at").explain(ticks=data.assign(known_at=late, y=1)).reads[0].columns == 4


# What cannot be used


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size=0 must be longer than zero"),
        ({"size": None}, "size=None must be a duration"),
        ({"size": "5"}, "size='5' is a number without a unit"),
        ({"size": "1min", "every": "2min"}, "every='2min' is longer than size='1min'.*would be in none"),
        ({"size": "1min", "every": "-1s"}, "every='-1s' must be longer than zero"),
        ({"size": "1min", "lateness": "-1s"}, "lateness='-1s' must not be negative"),
        ({"size": "1500ms", "unit": "s"}, "size='1500ms' is no whole number of unit='s'"),
        ({"size": "1min", "time": None}, "time=None must name one column of symbols .* and one of times"),
        ({"size": "1min", "symbol": "ts"}, "symbol='ts' and time='ts' must name"),
        ({"size": "1min", "unit": "h"}, "unit='h' must be one of"),
        ({"size": "1min", "columns": "price"}, "columns='price' must say"),
    ],
)
def test_a_window_that_is_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ft.ParameterError, match=message):
        TICKS.window(**options)


def test_a_session_without_a_gap() -> None:
    for gap, message in ((None, "gap=None must be a duration"), ("0s", "gap='0s' must be longer than zero")):
        with pytest.raises(ft.ParameterError, match=message):
            TICKS.session_window(gap)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"agg\(\) needs what is computed"),
        ({"x": ("price", "maximum")}, r"there is no aggregation 'maximum'\. Did you mean 'max'\?"),
        ({"x": ("price", ["max", "min"])}, r"there is no aggregation \['max', 'min'\]\. Known: "),
        ({"x": ("price", np.max)}, "there is no aggregation"),
        ({"x": "max"}, r"x='max' is no aggregation: give a column and how"),
        ({"x": ft.vwap}, "is no aggregation: .* or a step"),
        ({"x": ft.macd("price")}, "gives columns macd, signal, hist; of a window a step must give one column"),
        ({"x": ft.time_bars("price", "size", frequency="1s")}, "gives rows of its own"),
        ({"symbol": ("price", "max")}, "two columns called 'symbol'"),
        ({"known_at": ("price", "max")}, "two columns called 'known_at'"),
    ],
)
def test_an_aggregation_that_is_none(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ft.ParameterError, match=message):
        TICKS.window("1min").agg(**given)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"price": None}, ft.ColumnError, "In node 2, .*here is no column 'price'"),
        ({"ts": None}, ft.ColumnError, "here is no column 'ts'"),
        ({"price": ["a", "b"]}, ft.DataError, "'price' must hold numbers, not .*'a'"),
        ({"ts": [1.0, 2.0]}, ft.DataError, "'ts' must hold times"),
        ({"ts": pd.to_datetime(["2024-01-01", None], utc=True)}, ft.DataError, "'ts' has no time at row 1"),
        ({"symbol": ["A", None]}, ft.DataError, "'symbol' has no symbol at row 1"),
        ({"ts": [0, 2**63 - 5]}, ft.DataError, "'ts' at row 1 is too far off"),
        ({"tag": [[1], [2]]}, ft.DataError, "'tag' holds values that cannot be told apart"),
    ],
)
def test_rows_that_cannot_be_used(change: dict[str, Any], error: type[Exception], message: str) -> None:
    columns = {"price": [1.0, 2.0], "tag": ["x", "y"]}
    data = frame(**columns)
    for name, values in change.items():
        data = data.drop(columns=name) if values is None else data.assign(**{name: values})
    flow = TICKS.window("1min").agg(high=("price", "max"), tags=("tag", "nunique"))
    with pytest.raises(error, match=message):
        flow(ticks=data)
    if "tag" not in change:  # which is looked at when the window is over
        with pytest.raises(error, match=message):
            flow.start()(ticks=data)


def test_frames_that_do_not_go_together() -> None:
    data = frame(price=[1.0, 2.0])
    flow = TICKS.window("1min").agg(high=("price", "max"))
    run = flow.start()
    run(ticks=data)
    with pytest.raises(ft.ColumnError, match="In the next frame: its columns are"):
        run(ticks=data.assign(other=1))
    run = flow.start()
    run(ticks=data)
    with pytest.raises(ft.DataError, match="'ts' has naive times, the frames before had aware ones"):
        run(ticks=data.assign(ts=data["ts"].dt.tz_localize(None)))
    assert run.flush()["high"].tolist() == [2.0]


def test_without_rows_columns_have_their_types() -> None:
    data = market(50)
    for flow in (TICKS.window("6s", every="2s").agg(**ALL), TICKS.session_window("5s").agg(**ALL)):
        same(flow(ticks=data[:0]), flow(ticks=data)[:0])
