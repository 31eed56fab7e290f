"""Kernels called on arrays, Series and frames: what a first argument means, shapes, labels, symbols."""

from __future__ import annotations

import inspect
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal

import fintech_toolkit as ft
from fintech_toolkit import kernels
from tests.frames import same, ticks

X = np.round(np.cumsum(np.random.default_rng(5).normal(size=60)), 2)
WIDE = pd.DataFrame(
    X.reshape(20, 3), index=pd.date_range("2024-01-02", periods=20, freq="s"), columns=["EURUSD", "GBPUSD", "USDJPY"]
)


def test_a_number_of_numpy_is_the_parameter_that_it_is() -> None:
    assert_array_equal(ft.ewma(X, alpha=np.float64(0.25)), ft.ewma(X, alpha=0.25))
    assert_array_equal(ft.rolling_mean(X, window=np.int64(5)), ft.rolling_mean(X, window=5))
    with pytest.raises(ft.ParameterError, match="window"):
        ft.rolling_mean(X, window=np.True_)


# What the shapes of arrays and parameters make.


@pytest.mark.parametrize(
    ("shape", "axis", "alpha", "expected"),
    [
        ((60,), {}, 0.5, (60,)),
        ((60,), {}, [0.5, 0.1], (2, 60)),
        ((60,), {}, [[0.5], [0.1]], (2, 1, 60)),
        ((2, 30), {"axis": 1}, 0.5, (2, 30)),
        ((2, 30), {"axis": 1}, [0.5, 0.1], (2, 2, 30)),
        ((20, 3), {}, 0.5, (20, 3)),
        ((20, 3), {}, [0.5, 0.1], (2, 20, 3)),
        ((20, 3), {"axis": -2}, [0.5, 0.1], (2, 20, 3)),
        ((5, 3, 4), {"axis": 1}, [0.5, 0.1], (2, 5, 3, 4)),
        ((0,), {}, [0.5, 0.1], (2, 0)),
        ((0, 3), {}, 0.5, (0, 3)),
        ((3, 0), {}, 0.5, (3, 0)),
    ],
)
def test_a_result_has_the_shape_of_the_parameters_and_then_that_of_the_input(
    shape: tuple[int, ...], axis: dict[str, int], alpha: Any, expected: tuple[int, ...]
) -> None:
    values = X[: np.prod(shape)].reshape(shape)
    result = ft.ewma(values, alpha=alpha, **axis)
    assert result.shape == expected
    series = np.moveaxis(values, axis.get("axis", 0), -1)
    found = np.moveaxis(result, np.ndim(alpha) + axis.get("axis", 0) % len(shape), -1)
    for at in np.ndindex(np.shape(alpha)):
        for j in np.ndindex(series.shape[:-1]):
            assert_array_equal(found[at + j], ft.ewma(series[j].copy(), alpha=np.asarray(alpha)[at]))


def test_sweeps_of_several_parameters_broadcast() -> None:
    swept = ft.rolling_mean(X, window=[[5], [10]], min_periods=[1, 2, 3])
    assert swept.shape == (2, 3, 60)
    assert_array_equal(swept[1, 2], ft.rolling_mean(X, window=10, min_periods=3))
    ts = np.arange(60)
    by_time = ft.rolling_mean(X, window=["5ns", pd.Timedelta(10, "ns")], ts=ts)
    assert_array_equal(by_time, [ft.rolling_mean(X, window=w, ts=ts) for w in ("5ns", "10ns")])
    with pytest.raises(ft.ParameterError, match=r"sweeps do not fit together: window \(2,\), min_periods \(3,\)"):
        ft.rolling_mean(X, window=[5, 10], min_periods=[1, 2, 3])
    with pytest.raises(ft.ParameterError, match=r"fast \(2,\), slow \(3,\)"):
        ft.macd(X, fast=[2, 3], slow=[20, 30, 40])


@pytest.mark.parametrize("swap", [False, True])
def test_one_dimension_among_two_goes_with_each_series(swap: bool) -> None:
    wide, one = X.reshape(20, 3), X[:20]
    for axis, array in ((0, wide), (1, np.ascontiguousarray(wide.T))):
        pair = (one, array) if swap else (array, one)
        found = ft.rolling_corr(*pair, window=5, axis=axis)
        assert found.shape == array.shape
        for j in range(3):
            mine = (one, wide[:, j].copy()) if swap else (wide[:, j].copy(), one)
            assert_array_equal(found[:, j] if axis == 0 else found[j], ft.rolling_corr(*mine, window=5))
    assert_array_equal(ft.midprice(wide, one), (wide + one[:, None]) / 2)
    assert_array_equal(ft.midprice(X, 4.0), (X + 4.0) / 2)
    assert ft.midprice(1.0, 2.0) == 1.5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ft.ewma(X, span=3, axis=1), ft.ParameterError, "axis=1 is none of arrays with 1 dimensions"),
        (lambda: ft.ewma(WIDE.to_numpy(), span=3, axis=2), ft.ParameterError, "axis=2"),
        (lambda: ft.ewma(X, span=3, axis="rows"), ft.ParameterError, "axis='rows'"),
        (lambda: ft.ewma(X, span=3, axis=True), ft.ParameterError, "axis=True"),
        (lambda: ft.ewma(5.0, span=3), ft.DataError, "needs arrays, not single numbers: x is one"),
        (lambda: ft.midprice(X, X[1:]), ft.DataError, "differ in length: bid 60, ask 59"),
        (lambda: ft.rolling_corr(WIDE.to_numpy(), X, window=3), ft.DataError, r"x \(20, 3\), y \(60,\)"),
        (lambda: ft.midprice(np.ones((4, 3)), np.ones((4, 2))), ft.DataError, r"bid \(4, 3\), ask \(4, 2\)"),
        (lambda: ft.midprice(np.ones((4, 3)), np.ones((4, 3, 2))), ft.DataError, "do not fit together"),
        (lambda: ft.rolling_mean(X, window="1s", ts=np.arange(59)), ft.DataError, "x 60, ts 59"),
        (lambda: ft.rolling_mean(X, window="1s"), ft.DataError, "needs event times here: pass ts="),
        (lambda: ft.rolling_mean(X, window="1s", ts=5), ft.DataError, "not single numbers: ts is one"),
        (lambda: ft.ewma(X, span=3, time="ts"), ft.ParameterError, "time= goes with frames; arrays take ts="),
        (lambda: ft.ewma("mid", span=3, symbol="s"), ft.ParameterError, "symbol= goes with arrays and frames"),
        (lambda: ft.ewma("mid", span=3, axis=0), ft.ParameterError, "axis= goes with arrays"),
        (lambda: ft.ewma(X, span=3, unit="h"), ft.ParameterError, "unit='h'"),
        (lambda: ft.midprice(X, "ask"), ft.DataError, "ask must hold numbers"),
        (lambda: ft.vpin(np.ones((3, 2)), np.ones((3, 2)), ts=[1, 2, 3], bucket=1), ft.PipelineError, "one-dim"),
    ],
)
def test_what_does_not_fit_says_so(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# Series and frames keep their labels, and rows meet by label or not at all.


def test_columns_may_be_given_by_their_names_alone() -> None:
    """Arrays are computed, names of a frame's columns are a step."""
    assert_array_equal(ft.midprice(bid=X, ask=X + 1), ft.midprice(X, X + 1))
    assert_array_equal(ft.ewma(x=X, alpha=0.5), ft.ewma(X, alpha=0.5))
    assert ft.midprice(bid="b", ask="a") == ft.midprice("b", "a")


def test_a_frame_of_numbers_is_a_series_a_column_as_in_pandas() -> None:
    result = ft.ewma(WIDE, alpha=0.3)
    assert_frame_equal(result, WIDE.ewm(alpha=0.3).mean(), rtol=1e-12)
    assert_array_equal(result["GBPUSD"], ft.ewma(WIDE["GBPUSD"].to_numpy(), alpha=0.3))
    assert_frame_equal(ft.rolling_mean(WIDE, window="5s"), WIDE.rolling("5s").mean(), rtol=1e-9)
    assert_frame_equal(ft.log_returns(np.exp(WIDE)), WIDE.diff(), rtol=1e-9)
    both = ft.macd(WIDE)
    assert list(both.macd.columns) == list(WIDE.columns)
    same(ft.midprice(WIDE, WIDE + 2), (WIDE + (WIDE + 2)) / 2)
    odd = WIDE.set_axis(["a", "a", 7], axis=1).astype({7: "Float64"})
    assert_array_equal(ft.ewma(odd, alpha=0.3), result)
    assert list(ft.ewma(odd, alpha=0.3).columns) == ["a", "a", 7]
    assert ft.ewma(WIDE, alpha=[0.1, 0.2]).shape == (2, 20, 3)
    with pytest.raises(ft.DataError, match=r"Column 'note' must hold numbers, not .* 'x'.*to use one column, name it"):
        ft.ewma(WIDE.assign(note="x"), alpha=0.3)


def test_series_keep_index_and_get_the_name_of_what_they_are() -> None:
    series = WIDE["EURUSD"]
    result = ft.ewma(series, alpha=0.3)
    assert_series_equal(result, series.ewm(alpha=0.3).mean().rename("ewma"), rtol=1e-12)
    assert_series_equal(ft.rolling_mean(series, window="5s"), ft.rolling_mean(series, window="5s", ts=series.index))
    assert isinstance(ft.ewma(series, alpha=[0.1, 0.2]), np.ndarray)
    times = pd.Series(series.index)
    assert isinstance(ft.rolling_mean(series.to_numpy(), window="5s", ts=times), np.ndarray)
    assert isinstance(ft.ewma(series.to_numpy(), symbol=pd.Series(["A"] * 20), span=3), np.ndarray)
    with pytest.raises(ft.DataError, match="ts and x have different indexes"):
        ft.rolling_mean(series, window="5s", ts=times)


@pytest.mark.parametrize(
    "other",
    [X[:20], pd.Series(X[:20]), WIDE["EURUSD"][::-1], WIDE["EURUSD"].iloc[1:], WIDE["EURUSD"].shift(freq="1s")],
    ids=["array", "numbered", "reversed", "shorter", "shifted"],
)
def test_series_of_different_indexes_are_refused(other: Any) -> None:
    series = WIDE["GBPUSD"]
    if isinstance(other, np.ndarray):
        assert_array_equal(
            ft.rolling_corr(series, other, window=5), ft.rolling_corr(series.to_numpy(), other, window=5)
        )
        return
    for call in (
        lambda: ft.rolling_corr(series, other, window=5),
        lambda: ft.rolling_mean(series, window="5s", ts=other),
        lambda: ft.rolling_corr(WIDE, other, window=5),
        lambda: ft.ewma(series, symbol=other, span=3),
    ):
        with pytest.raises(ft.DataError, match="different indexes; align them first"):
            call()
    with pytest.raises(ft.DataError, match="different columns"):
        ft.rolling_corr(WIDE, WIDE[["USDJPY", "EURUSD", "GBPUSD"]], window=5)


# A frame with symbols is a pipeline of one step.


CALLS: dict[str, tuple[Any, Any]] = {
    "a name": (lambda f: ft.ewma(f, "mid", span=20), ft.ewma("mid", span=20)),
    "a keyword": (lambda f: ft.ewma(f, x="mid", span=20), ft.ewma("mid", span=20)),
    "names by default": (ft.quoted_spread, ft.quoted_spread()),
    "a window of time": (lambda f: ft.rolling_zscore(f, "mid", window="5s"), ft.rolling_zscore("mid", window="5s")),
    "two names": (lambda f: ft.rolling_corr(f, "bid", "ask", window=9), ft.rolling_corr("bid", "ask", window=9)),
    "events": (lambda f: ft.time_bars(f, frequency="10s"), ft.time_bars(frequency="10s")),
    "whole numbers": (lambda f: ft.diff(f, "id", dtype="int64"), ft.diff("id", dtype="int64")),
}


def market() -> pd.DataFrame:
    frame = ticks(300).drop(columns=["venue", "note"]).reset_index(drop=True)
    return frame.assign(mid=(frame["bid"] + frame["ask"]) / 2, id=2**60 + np.arange(300) ** 2)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", ["pandas", "arrow", "dict", "dask"])
def test_a_call_on_a_frame_is_a_pipeline_of_one_step(kind: str, name: str) -> None:
    call, step = CALLS[name]
    frame = market()
    expected = ft.Pipeline(step)(frame)
    if kind == "pandas":
        same(call(frame), expected)
    elif kind == "arrow":
        table = pa.Table.from_pandas(frame, preserve_index=False)
        found = call(table)
        assert isinstance(found, pa.Table)
        same(found.to_pandas(), ft.Pipeline(step)(table).to_pandas())
    elif kind == "dict":
        columns = {column: frame[column] for column in frame}
        assert_array_equal(call(columns)[step.outputs[-1]], ft.Pipeline(step)(columns)[step.outputs[-1]])
    else:
        lazy = dd.from_pandas(frame, npartitions=3)
        found = call(lazy)
        assert isinstance(found, dd.DataFrame)
        same(found.compute(), ft.Pipeline(step)(lazy).compute())


def test_symbol_and_time_of_a_frame_are_named_as_in_a_pipeline() -> None:
    frame = market().rename(columns={"symbol": "ticker", "ts": "when"})
    result = ft.rolling_mean(frame, "mid", window="5s", symbol="ticker", time="when")
    assert_array_equal(result["rolling_mean"], ft.rolling_mean(market(), "mid", window="5s")["rolling_mean"])
    alone = ft.ewma(frame, "mid", span=5, symbol=None, time=None)
    assert_array_equal(alone["ewma"], ft.ewma(frame["mid"].to_numpy(), span=5))
    ms = frame.assign(when=frame["when"].astype("int64") // 10**6)
    bars = ft.time_bars(ms, frequency="10s", symbol="ticker", time="when", unit="ms")
    assert bars["ts"].iloc[0] % 10_000 == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: ft.ewma(f, span=9), ft.ColumnError, r"needs a column for 'x': .*ewma\(frame, 'mid'\)"),
        (lambda f: ft.ewma(f, "mid", "bid", span=9), ft.PipelineError, "reads x; got 2 columns"),
        (lambda f: ft.ewma(f, "mud", span=9), ft.ColumnError, "no column 'mud'. Did you mean 'mid'"),
        (lambda f: ft.ewma(f.drop(columns="symbol"), "mid", span=9), ft.ColumnError, "say symbol=None"),
        (lambda f: ft.rolling_corr(f, "mid", window=9), ft.ColumnError, "needs a column for 'y'"),
        (lambda f: ft.ewma(f[["mid"]], span=9, time="ts"), ft.ColumnError, "needs a column for 'x'"),
        (lambda f: ft.ewma(f, f["mid"], span=9), ft.PipelineError, "reads x; got 2 columns"),
        (lambda f: ft.ewma(dict(f[["mid"]]), span=9), ft.ColumnError, "Only a pandas frame of numbers"),
        (lambda f: ft.ewma(pa.Table.from_pandas(f), f["mid"], span=9), ft.ColumnError, "give the names"),
        (lambda f: ft.ewma(f, "mid", span=9, ts=f["ts"]), ft.ParameterError, "time= names the column of times"),
        (lambda f: ft.ewma(f, "mid", span=9, axis=1), ft.ParameterError, "axis= goes with arrays"),
        (lambda f: ft.ewma(f, "mid", span=[[5], [9]]), ft.ParameterError, "one value in a pipeline"),
        (lambda f: ft.ewma(dd.from_pandas(f, npartitions=2)["mid"], span=9), ft.DataError, "x is lazy"),
    ],
)
def test_a_frame_that_leaves_a_question_is_asked_it(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(market())


# Arrays of several symbols.


@pytest.mark.parametrize("kind", ["names", "codes", "category", "arrow", "series", "list"])
def test_interleaved_symbols_in_one_call_give_the_bits_of_a_pipeline(kind: str) -> None:
    frame = market()
    names = frame["symbol"]
    codes = names.astype("category").cat.codes.to_numpy()
    symbol = {
        "names": names.to_numpy(),
        "codes": codes,
        "category": names.astype("category"),
        "arrow": pa.array(names),
        "series": names,
        "list": names.tolist(),
    }[kind]
    mid = frame["mid"].to_numpy()
    expected = ft.Pipeline(ft.ewma("mid", span=9), ft.rolling_mean("mid", window="9s"), ft.macd("mid"))(frame)
    assert_array_equal(ft.ewma(mid, symbol=symbol, span=9), expected["ewma"])
    assert_array_equal(ft.rolling_mean(mid, window="9s", ts=frame["ts"], symbol=symbol), expected["rolling_mean"])
    assert_array_equal(ft.macd(frame["mid"], symbol=symbol).signal, expected["signal"])
    swept = ft.ewma(mid, symbol=symbol, span=[[9, 5]], adjust=True)
    assert swept.shape == (1, 2, 300)
    assert_array_equal(swept[0, 0], expected["ewma"])
    assert not np.array_equal(ft.ewma(mid, span=9), expected["ewma"])


def test_symbols_of_series_keep_the_index_and_of_none_are_one() -> None:
    frame = market().set_index("ts")
    result = ft.rolling_mean(frame["mid"], window="9s", symbol=frame["symbol"])
    assert_series_equal(result, ft.rolling_mean(market(), "mid", window="9s").set_index("ts")["rolling_mean"])
    assert_array_equal(ft.ewma(X, symbol=None, span=5), ft.ewma(X, span=5))


def test_rows_of_events_carry_their_symbol() -> None:
    frame = market()
    price, size, symbol = (frame[name].to_numpy() for name in ("price", "size", "symbol"))
    rows = ft.time_bars(price, size, ts=frame["ts"], symbol=symbol, frequency="10s")
    expected = ft.Pipeline(ft.time_bars(frequency="10s"))(frame)
    assert rows._fields == tuple(expected.columns)
    for name in ("symbol", "close", "count", "complete"):
        assert_array_equal(getattr(rows, name), expected[name])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: ft.ewma(X, symbol="A", span=3), ft.DataError, "symbol is the name 'A'"),
        (lambda s: ft.ewma(X, symbol=5, span=3), ft.DataError, "symbol is int"),
        (lambda s: ft.ewma(X, symbol=s[1:], span=3), ft.DataError, "differ in length"),
        (lambda s: ft.ewma(X.reshape(20, 3), symbol=s[:20], span=3), ft.DataError, "x is ndarray"),
        (lambda s: ft.ewma(X, symbol=s, span=3, axis=1), ft.ParameterError, "whose only axis is 0"),
        (lambda s: ft.rolling_mean(X, symbol=s, window="3s"), ft.DataError, "needs event times"),
        (lambda s: ft.midprice(X, "ask", symbol=s), ft.DataError, "ask is the name 'ask'"),
        (lambda s: ft.rolling_corr(X, symbol=s, window=3), ft.ColumnError, "needs a column for 'y'"),
        (
            lambda s: ft.vpin(X, np.sign(X), symbol=s, ts=np.arange(60), bucket=[1, 2]),
            ft.ParameterError,
            "one value of each",
        ),
    ],
)
def test_symbols_that_do_not_fit_say_so(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(np.array(["A", "B"] * 30))


# Time goes forward.


@pytest.mark.parametrize("kernel", ["rolling_mean", "sequence_pattern", "time_bars", "ewma"])
def test_times_that_go_backwards_name_the_row(kernel: str) -> None:
    ts = np.arange(60)
    ts[17] = 3
    call = {
        "rolling_mean": lambda **k: ft.rolling_mean(X, window="5ns", **k),
        "sequence_pattern": lambda **k: ft.sequence_pattern(X > 0, X < 0, within="5ns", **k),
        "time_bars": lambda **k: ft.time_bars(X, X, frequency="5ns", **k),
        "ewma": lambda **k: ft.ewma(X, span=3, **k),
    }[kernel]
    with pytest.raises(ft.DataError, match="ts goes backwards at row 17; sort"):
        call(ts=ts)
    with pytest.raises(ft.DataError, match="'ts' goes backwards for symbol 'A' at row 17"):
        call(ts=ts, symbol=np.array(["A"] * 60))
    alone = np.where(np.arange(60) == 17, "B", "A")
    call(ts=ts, symbol=alone)
    call(ts=np.sort(ts))


def test_each_series_has_times_of_its_own_or_those_of_all() -> None:
    wide, ts = X.reshape(20, 3), np.arange(20)
    own = np.column_stack([ts, ts * 2, ts * 3])
    found = ft.rolling_mean(wide, window="5ns", ts=own)
    for j in range(3):
        assert_array_equal(found[:, j], ft.rolling_mean(wide[:, j], window="5ns", ts=own[:, j]))
    own[7, 1] = 0
    with pytest.raises(ft.DataError, match="ts goes backwards at row 7"):
        ft.rolling_mean(wide, window="5ns", ts=own)


def test_integer_times_have_a_unit() -> None:
    seconds = 1_704_189_598 + np.arange(60)
    expected = ft.rolling_mean(X, window="5s", ts=seconds * 10**9)
    assert_array_equal(ft.rolling_mean(X, window="5s", ts=seconds, unit="s"), expected)
    assert_array_equal(ft.rolling_mean(X, window="5s", ts=seconds, unit="s", symbol=["A"] * 60), expected)
    with pytest.raises(ft.DataError, match=r"ts looks like seconds: .*unit='s'"):
        ft.rolling_mean(X, window="5s", ts=seconds)


# What is said about it.


@pytest.mark.parametrize("name", [n for n, k in kernels.registry().items() if k.tickwise])
def test_axis_times_and_symbols_are_in_signature_and_documentation(name: str) -> None:
    kernel = kernels.get(name)
    shown = inspect.signature(kernel).parameters
    document = (inspect.getdoc(kernel) or "").split("Other Parameters\n")[1].split("\nNotes\n")[0]
    assert ("axis" in shown) == (not kernel.stateless and not kernel.emits)
    for keyword in ("axis", "ts", "unit", "symbol", "time"):
        assert (keyword in shown) == (f"{keyword} : " in document) or keyword in kernel.reads
    if "axis" in shown:
        assert shown["axis"].default == 0
    needs = "needed for windows of time" if kernel.by_time({"window": "5s", "k": "5s"}) else "not needed"
    if "ts" not in kernel.reads:
        assert ("; needed." if kernel.asks_for_time else needs) in " ".join(document.split())
