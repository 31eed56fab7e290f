"""Whatever is wrong with the input: a documented result, or an error that names column, row and remedy."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from tests.frames import same, ticks

MID = ft.Pipeline(ft.ewma("price", span=5), ft.rolling_mean("price", window=4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ft.microprize, "no kernel 'microprize'. Did you mean 'microprice'"),
        (lambda: ft.ewma("mid", spam=3), "no parameter 'spam'. Did you mean 'span'"),
        (lambda: ft.ewma("mid"), "exactly one of alpha, span, halflife and com; got none"),
        (lambda: ft.ewma("mid", span=3, alpha=0.1), "exactly one of alpha, span, halflife and com; got alpha and span"),
        (lambda: ft.ewma("mid", alpha=0), "alpha=0 must be greater than 0"),
        (lambda: ft.ewma("mid", alpha=1.5), "alpha=1.5 must be at most 1"),
        (lambda: ft.ewma("mid", span=float("nan")), "span=nan must be finite"),
        (lambda: ft.ewma("mid", span="9"), "span='9' must be a number"),
        (lambda: ft.ewma("mid", span=9, adjust=1), "adjust=1 must be True or False"),
        (lambda: ft.ewma("mid", alpha=[[0.1], [0.2]]), "must be one value in a pipeline"),
        (lambda: ft.ewma(span=9), "needs a column for 'x'"),
        (lambda: ft.rolling_mean("mid"), "window is required"),
        (lambda: ft.rolling_mean("mid", window=0), "window=0 must be at least 1"),
        (lambda: ft.rolling_mean("mid", window=-5), "window=-5 must be at least 1"),
        (lambda: ft.rolling_mean("mid", window=2.5), "window=2.5 must be a whole number"),
        (lambda: ft.rolling_mean("mid", window="5 parsecs"), "window='5 parsecs' is not a duration"),
        (lambda: ft.rolling_mean("mid", window="-5s"), "window='-5s' must be longer than zero"),
        (lambda: ft.rolling_mean("mid", window=3, min_periods=4), "min_periods=4 must be at most window=3"),
        (lambda: ft.midprice("a", "b", "c"), "reads bid, ask; got 3 columns"),
        (lambda: ft.Pipeline(ft.ewma("a", span=2), ft.ewma("b", span=2)), "both give 'ewma'; rename one with .named"),
        (lambda: ft.Pipeline(ft.ewma), "not a step"),
        (lambda: ft.Pipeline(ft.midprice(), session="Mars/Olympus"), "no time zone 'Mars/Olympus'"),
        (lambda: ft.Pipeline(ft.midprice(), session="UTC 5pm"), "must be a time zone"),
        (lambda: ft.ewma("a", span=2).named("x", "y"), "gives 1 columns; got names"),
    ],
)
def test_a_wrong_call_says_what_is_right(make, message: str) -> None:
    with pytest.raises((ft.FintechToolkitError, AttributeError)) as caught:
        make()
    assert message in str(caught.value)


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(ft.ColumnError, match=r"no column 'price'\. Did you mean 'prices'"):
        MID(ticks().rename(columns={"price": "prices"}))
    with pytest.raises(ft.ColumnError, match="no column 'symbol' for symbols; without one, say symbol=None"):
        MID(ticks().drop(columns="symbol"))
    with pytest.raises(ft.ColumnError, match="no column 'ts' for event times; without one, say time=None"):
        MID(ticks().drop(columns="ts"))


def test_an_output_does_not_replace_an_input() -> None:
    with pytest.raises(ft.ColumnError, match="already has a column 'ewma'; rename"):
        MID(ticks().assign(ewma=1.0))


def test_two_columns_of_one_name_are_refused() -> None:
    frame = ticks()
    with pytest.raises(ft.ColumnError, match="two columns called 'price'"):
        MID(pd.concat([frame, frame[["price"]]], axis=1))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("price", "text", "Column 'price' must hold numbers, not .*; its first value is 'text'"),
        ("price", pd.Timestamp("2024-01-01"), "Column 'price' holds times; it must hold numbers"),
        ("ts", 1.5, "Column 'ts' must hold times"),
        ("ts", "2024-01-01", "Column 'ts' must hold times, not .*to_datetime"),
        ("symbol", 1.5, "Column 'symbol' holds double; symbols must be all strings or all integers"),
    ],
)
def test_a_wrong_type_names_the_column(column: str, values: object, message: str) -> None:
    with pytest.raises(ft.DataError, match=message):
        MID(ticks().assign(**{column: values}))


def test_symbols_of_mixed_types_are_refused() -> None:
    frame = ticks(4).assign(symbol=np.array(["A", 1, "B", 2], dtype=object))
    with pytest.raises(ft.DataError, match="Column 'symbol' holds 1 at row 1; symbols must be all strings"):
        MID(frame)


def test_a_row_without_symbol_or_time_is_named() -> None:
    frame = ticks().reset_index(drop=True)
    with pytest.raises(ft.DataError, match="Column 'symbol' has no symbol at row 17"):
        MID(frame.assign(symbol=frame["symbol"].where(frame.index != 17)))
    with pytest.raises(ft.DataError, match="Column 'ts' has no time at row 23"):
        MID(frame.assign(ts=frame["ts"].where(frame.index != 23)))


def test_time_going_backwards_within_a_symbol_names_symbol_and_row() -> None:
    frame = ticks(6, symbols=1)
    swapped = frame.iloc[[0, 1, 2, 4, 3, 5]]
    with pytest.raises(ft.DataError, match="Column 'ts' goes backwards for symbol 'S00' at row 4"):
        MID(swapped)


def test_time_may_go_backwards_across_symbols() -> None:
    frame = ticks()
    by_symbol = frame.sort_values("symbol", kind="stable")
    same(MID(by_symbol).sort_index(ascending=False), MID(frame))


def test_a_frame_that_is_refused_leaves_the_state_as_it_was() -> None:
    frame = ticks()
    run, untouched = MID.start(), MID.start()
    run(frame.iloc[:200])
    untouched(frame.iloc[:200])
    bad = frame.iloc[200:300].assign(symbol=[*["NEW"] * 50, *[None] * 50])
    with pytest.raises(ft.DataError):
        run(bad)
    same(run.state.frame(), untouched.state.frame())
    same(run(frame.iloc[200:]), untouched(frame.iloc[200:]))


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "pandas, times of Arrow": lambda frame: frame.assign(
        ts=pd.Series(pd.arrays.ArrowExtensionArray(pa.array(frame["ts"])), frame.index)
    ),
    "Arrow": pa.Table.from_pandas,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("first", "other"), [("aware", "naive"), ("naive", "aware")])
def test_naive_and_aware_times_do_not_mix(form: str, first: str, other: str) -> None:
    frame = ticks()
    frames = {"aware": frame, "naive": frame.assign(ts=frame["ts"].dt.tz_localize(None))}
    run = MID.start()
    run(frames[first].iloc[:200])
    with pytest.raises(ft.DataError, match=f"Column 'ts' has {other} times, the frames before had {first} ones"):
        run(FORMS[form](frames[other].iloc[200:]))
    run(FORMS[form](frames[first].iloc[200:]))


def test_symbols_do_not_turn_from_strings_into_integers() -> None:
    run = MID.start()
    run(ticks(50))
    with pytest.raises(ft.DataError, match="one is a string, one an integer"):
        run(ticks(50).assign(symbol=7, ts=ticks(50)["ts"] + pd.Timedelta("1D")))


@pytest.mark.parametrize(
    "times",
    [
        pd.Series(pd.to_datetime(["3000-01-01"] * 4).as_unit("s")),
        np.array(["3000-01-01"] * 4, "M8[s]"),
        pa.array(np.array(["3000-01-01"] * 4, "M8[s]")),
        np.full(4, 2**63, np.uint64),
    ],
)
def test_times_beyond_int64_nanoseconds_are_refused(times: object) -> None:
    with pytest.raises(ft.DataError, match="Column 'ts' holds times that int64 nanoseconds cannot"):
        MID({"symbol": np.array(["A"] * 4), "ts": times, "price": np.ones(4)})


def test_python_objects_as_times_are_refused() -> None:
    mixed = pd.Series([pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02", tz="UTC")], dtype=object)
    with pytest.raises(ft.DataError, match="Column 'ts' must hold times, not object; convert it with pandas"):
        MID(pd.DataFrame({"symbol": "A", "ts": mixed, "price": 1.0}))


def test_times_of_any_resolution_and_zone_are_the_same_instants() -> None:
    frame = ticks()
    frame["ts"] = frame["ts"].dt.floor("s")
    windowed = ft.Pipeline(ft.rolling_mean("price", window="2s"))
    expected = windowed(frame)["rolling_mean"]
    for other in (frame["ts"].dt.as_unit("s"), frame["ts"].dt.tz_convert("Asia/Tokyo")):
        assert_array_equal(windowed(frame.assign(ts=other))["rolling_mean"], expected)


def test_rejected_rows_are_listed_and_the_others_used() -> None:
    frame = ticks().reset_index(drop=True)
    broken = frame.copy()
    broken.loc[[10, 20], "symbol"] = None
    broken.loc[30, "ts"] = pd.NaT
    late = int(np.flatnonzero(frame["symbol"] == frame["symbol"].iloc[-1])[-1])
    broken.loc[late, "ts"] = frame["ts"].iloc[0] - pd.Timedelta("1s")
    run = MID.start()
    good, rejected = run.accept(broken)
    assert rejected["row"].tolist() == [10, 20, 30, late]
    assert [reason.split()[2] for reason in rejected["reason"]] == ["has", "has", "has", "goes"]
    assert len(good) + len(rejected) == len(frame)
    same(good, MID(frame.drop(index=[10, 20, 30, late])))


def test_a_value_out_of_its_domain_costs_its_row_and_makes_none_late() -> None:
    frame = ticks().reset_index(drop=True).assign(leg=np.arange(len(ticks())) % 2)
    broken = frame.copy()
    broken.loc[17, "leg"] = 2
    broken.loc[17, "ts"] = frame["ts"].iloc[-1] + pd.Timedelta("1h")
    pairs = ft.Pipeline(ft.hayashi_yoshida_cov())
    good, rejected = pairs.start().accept(broken)
    assert rejected["row"].tolist() == [17]
    assert "holds 2" in rejected["reason"].iloc[0]
    assert "at row 17" in rejected["reason"].iloc[0]
    same(good, pairs(frame.drop(index=17)))


def test_a_time_beyond_the_latest_costs_its_row_and_makes_none_late() -> None:
    frame = ticks().reset_index(drop=True)
    latest = frame["ts"].dt.as_unit("ns").astype("int64").to_numpy() + 10
    broken = frame.copy()
    broken.loc[17, "ts"] = frame["ts"].iloc[17] + pd.Timedelta(11, "ns")
    broken.loc[18, "ts"] = frame["ts"].iloc[18] + pd.Timedelta(10, "ns")
    good, rejected = MID.start().accept(broken, latest)
    assert rejected["row"].tolist() == [17]
    assert "at row 17" in rejected["reason"].iloc[0]
    assert "ahead=" in rejected["reason"].iloc[0]
    same(good, MID(broken.drop(index=17)))


def test_a_symbol_of_rejected_rows_only_leaves_no_trace() -> None:
    frame = ticks(50).reset_index(drop=True)
    broken = frame.assign(symbol=frame["symbol"].where(frame.index != 7, "NEW"), ts=frame["ts"].where(frame.index != 7))
    run = MID.start()
    _, rejected = run.accept(broken)
    assert rejected["row"].tolist() == [7]
    assert "NEW" not in run.state.frame().index
    before = run.state.frame()
    with pytest.raises(ft.DataError, match="one is a string, one an integer"):
        run.accept(frame.assign(symbol=7))
    with pytest.raises(ft.DataError, match="Column 'price' must hold numbers"):
        run.accept(frame.assign(symbol="LATER", price="text", ts=frame["ts"] + pd.Timedelta("1D")))
    same(run.state.frame(), before)


def test_nan_and_infinity_do_not_poison_what_follows() -> None:
    frame = ticks(60, symbols=1)
    dirty = frame.copy()
    dirty.iloc[[5, 6, 20], dirty.columns.get_loc("price")] = [np.nan, np.inf, -np.inf]
    result = MID(dirty)
    assert np.isfinite(result["ewma"].iloc[1:]).all()
    assert np.isfinite(result["rolling_mean"].iloc[30:]).all()
    clean = MID(frame)["rolling_mean"]
    assert_allclose(result["rolling_mean"].iloc[30:], clean.iloc[30:], rtol=1e-14)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_short_frames_give_the_same_columns(rows: int) -> None:
    result = MID(ticks(10).iloc[:rows])
    assert list(result.columns[-2:]) == ["ewma", "rolling_mean"]
    assert result.dtypes.iloc[-2:].tolist() == [np.dtype("f8")] * 2
    assert result["rolling_mean"].isna().all()
    bars = ft.Pipeline(ft.time_bars(frequency="1s"))
    assert (bars(ticks(10).iloc[:rows]).dtypes == bars(ticks(10)).dtypes).all()


def test_a_duplicated_index_is_kept() -> None:
    frame = ticks().set_axis(np.zeros(500, int), axis=0)
    same(MID(frame)[frame.columns.tolist()], frame)


@pytest.mark.parametrize("dtype", ["Float64", "Int64", "double[pyarrow]", "int32", "float32", "decimal"])
def test_numbers_of_any_kind_are_the_floats_they_stand_for(dtype: str) -> None:
    frame = ticks().assign(price=np.arange(500) // 3)
    if dtype == "decimal":
        other = frame["price"].map(decimal.Decimal).astype(pd.ArrowDtype(pa.decimal128(12, 2)))
    else:
        other = frame["price"].astype(dtype)
    result = MID(frame.assign(price=other))
    assert_array_equal(result["ewma"], MID(frame)["ewma"])
    assert result["price"].dtype == other.dtype


def test_a_missing_nullable_value_is_nan() -> None:
    frame = ticks()
    values = frame["price"].where(np.arange(500) % 7 != 0)
    assert_array_equal(
        MID(frame.assign(price=values.astype("Float64")))["ewma"], MID(frame.assign(price=values))["ewma"]
    )


def test_python_decimals_are_read_as_floats() -> None:
    frame = ticks()
    decimals = frame["price"].round(2).map(lambda value: decimal.Decimal(str(value)))
    assert_array_equal(
        MID(frame.assign(price=decimals))["ewma"], MID(frame.assign(price=frame["price"].round(2)))["ewma"]
    )


def test_nothing_is_changed_in_place() -> None:
    frame = ticks()
    before = frame.copy(deep=True)
    MID(frame)
    same(frame, before)


def test_arrays_of_the_wrong_sort_are_refused() -> None:
    with pytest.raises(ft.DataError, match="x must hold numbers, not <U1"):
        ft.ewma(np.array(["a", "b"]), span=3)
    with pytest.raises(ft.DataError, match="columns differ in length"):
        ft.midprice(np.ones(3), np.ones(4))
    with pytest.raises(ft.DataError, match="needs event times here: pass ts="):
        ft.rolling_mean(np.ones(3), window="1s")
    with pytest.raises(ft.DataError, match="float64 cannot keep nanoseconds"):
        ft.rolling_mean(np.ones(3), window="1s", ts=np.array([1.0, 2.0, 3.0]))
    with pytest.raises(ft.PipelineError, match="not list"):
        MID([1, 2, 3])
