"""Frames of few rows among many symbols, whose keys are read on a way of their own: same bits, same refusals."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.checking.contract import given_by
from fintech_toolkit.checking.ticks import START, take, ticks
from fintech_toolkit.frames.few_columns import with_block
from fintech_toolkit.frames.views import ArrowFrame, PandasFrame

SYMBOLS = 60
NONE = np.iinfo(np.int64).min
PIPELINE = ft.Pipeline(ft.ewma("x", span=9), ft.rolling_mean("x", window="2s"))


def strided(values: Any) -> Any:
    wide = np.zeros((len(values), 2), values.dtype)
    wide[:, 0] = values
    return wide[:, 0]


def misplaced(values: Any) -> Any:
    raw = np.zeros(values.nbytes + 1, np.uint8)[1:].view(values.dtype)
    raw[:] = values
    return raw


FORMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "objects": lambda f: f,
    "texts of NumPy": lambda f: f | {"symbol": f["symbol"].astype("U")},
    "pandas": pd.DataFrame,
    "categories": lambda f: pd.DataFrame(f).astype({"symbol": "category"}),
    "Arrow": pa.table,
    "a batch": pa.RecordBatch.from_pydict,
    "Arrow in chunks": lambda f: pa.concat_tables([pa.table(take(f, slice(3))), pa.table(take(f, slice(3, None)))]),
    "Arrow's dictionary": lambda f: pa.table(f | {"symbol": pa.array(f["symbol"]).dictionary_encode()}),
    "strided": lambda f: f | {name: strided(f[name]) for name in ("ts", "x")},
    "misplaced": lambda f: f | {name: misplaced(f[name]) for name in ("ts", "x")},
    "read only": lambda f: pa.table(f).to_pandas(),
}


def market(rows: int = 600) -> dict[str, Any]:
    return ticks({"x": np.dtype("f8")}, rows, seed=8, symbols=SYMBOLS, missing=0.05)


@pytest.mark.parametrize(
    ("form", "numbers"),
    [(form, numbers) for form in FORMS for numbers in (False, True) if not (numbers and form == "texts of NumPy")],
)
def test_frames_of_few_rows_give_the_bits_of_the_whole(form: str, numbers: bool) -> None:
    frame = market()
    if numbers:
        frame["symbol"] = np.array([int(symbol[1:]) for symbol in frame["symbol"]])
    whole = PIPELINE(frame)
    run = PIPELINE.start()
    run(take(frame, slice(400)))
    assert len(run.state.table) > 7
    for first in range(400, 600, 7):
        rows = slice(first, first + 7)
        given = given_by(PIPELINE, run(FORMS[form](take(frame, rows))))
        for name in PIPELINE.gives:
            assert_array_equal(given[name], whole[name][rows], err_msg=name)
    one = PIPELINE.start()
    one(frame)
    pd.testing.assert_frame_equal(run.state.frame(), one.state.frame(), check_exact=True)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ts": [START + 10**12, START + 10**12 - 1, START + 10**12]}, "goes backwards for symbol 'S1' at row 1"),
        ({"ts": [START + 10**12, START + 10**12, 5 * 10**15]}, "goes backwards for symbol 'S2' at row 2"),
        ({"ts": pd.array([START + 10**12, None, START + 10**12], "Int64")}, "no time at row 1"),
        ({"symbol": ["S1", None, "S2"]}, "no symbol at row 1"),
        ({"symbol": ["S1", 7, "S2"]}, "holds 7 at row 1"),
        ({"symbol": ["S1", ["S1"], "S2"]}, "at row 1"),
        ({"x": ["a", "b", "c"]}, "must hold numbers"),
    ],
)
@pytest.mark.parametrize("sort", [dict, pd.DataFrame])
def test_a_refusal_leaves_the_last_times_as_they_were(sort: Any, wrong: dict[str, Any], words: str) -> None:
    run = PIPELINE.start()
    run(market())
    before = run.state.copy()
    good = {"symbol": ["S1", "S1", "S2"], "ts": [START + 10**12] * 3, "x": [1.0, 2.0, 3.0]}
    bad = good | wrong
    bad["symbol"] = np.array(bad["symbol"] + [0], object)[:-1]
    with pytest.raises(ft.DataError, match=words):
        run(sort(bad))
    assert_array_equal(run.state.last, before.last)
    assert run.state.symbols == before.symbols
    given, refused = run.accept(sort(bad)) if "x" not in wrong and "symbol" not in wrong else (None, None)
    if refused is not None:
        assert len(refused) == 1
        assert len(given["x"]) == 2


def test_among_integers_no_other_type_is_a_symbol() -> None:
    run = ft.Pipeline(ft.diff("x"), time=None).start()
    run({"symbol": np.arange(50), "x": np.ones(50)})
    for symbol in (True, 1.0):
        with pytest.raises(ft.DataError, match="symbols must be"):
            run({"symbol": np.array([symbol, symbol], object), "x": np.ones(2)})
    assert run({"symbol": np.array([1, 2], object), "x": np.ones(2)})["diff"].tolist() == [0.0, 0.0]
    with pytest.raises(ft.DataError, match="one is a string, one an integer"):
        run({"symbol": np.array(["1", "2"], object), "x": np.ones(2)})


def test_a_new_symbol_among_known_ones_is_learned() -> None:
    run = ft.Pipeline(ft.diff("x")).start()
    run({"symbol": [f"S{j}" for j in range(50)], "ts": np.full(50, START), "x": np.ones(50)})
    given = run({"symbol": ["S4", "new", "S4"], "ts": [START + 1] * 3, "x": [3.0, 5.0, 9.0]})
    assert_array_equal(given["diff"], [2.0, np.nan, 6.0])
    assert run.state.symbols[-1] == "new"
    assert run.state.last[[4, 5, 50]].tolist() == [START + 1, START, START + 1]


@pytest.mark.parametrize("sort", [dict, pd.DataFrame, pa.table])
def test_new_symbols_of_a_frame_that_is_refused_leave_no_trace(sort: Any) -> None:
    run = ft.Pipeline(ft.diff("x")).start()
    run(sort({"symbol": ["A", "B", "A"], "ts": [START] * 3, "x": np.ones(3)}))
    assert run.state.symbols == ["A", "B"]
    with pytest.raises(ft.DataError, match="goes backwards for symbol 'C' at row 2"):
        run(sort({"symbol": ["C", "A", "C"], "ts": [START + 1, START, START], "x": np.ones(3)}))
    given, refused = run.accept(
        sort({"symbol": ["C", "D"], "ts": [START + 1, START], "x": np.ones(2)}), np.array([START])
    )
    assert refused["row"].tolist() == [0]
    assert run.state.symbols == ["A", "B", "D"]
    assert np.isnan(np.asarray(given["diff"])).all()


@pytest.mark.parametrize(
    ("symbols", "words"),
    [
        (["S1", "\ud800"], "holds '\\\\ud800' at row 1; symbols must be all strings"),
        (["S1", b"S2"], "holds binary; symbols must be all strings"),
        (["S1", 1], "holds 1 at row 1; symbols must be all strings"),
        ([1, 2], "one is a string, one an integer"),
        (["S1", None], "no symbol at row 1"),
    ],
)
def test_what_is_no_text_is_not_learned(symbols: list[Any], words: str) -> None:
    run = ft.Pipeline(ft.diff("x"), time=None).start()
    run({"symbol": np.array(["S0"], object), "x": np.ones(1)})
    with pytest.raises(ft.DataError, match=words):
        run({"symbol": np.array(symbols, object), "x": np.ones(2)})
    assert run.state.symbols == ["S0"]


class WithoutColumnArrays(pd.DataFrame):
    """A frame of a pandas that has no such method."""

    _get_column_array = None

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame


COLUMNS: dict[str, Any] = {
    "float32": np.array([1.5, 2.5, np.nan, 4.5], np.float32),
    "int64": np.array([1, 2, 3, 4]),
    "large integers": np.array([1, 2, 2**53, 4]),
    "bool": np.array([True, False, True, True]),
    "Float64": pd.array([1.0, None, 3.0, 4.0], "Float64"),
    "Int64": pd.array([1, None, 3, 4], "Int64"),
    "Arrow's": pd.array([1.0, None, 3.0, 4.0], "double[pyarrow]"),
    "objects": np.array([1.0, None, 3, 4.0], object),
    "infinite": np.array([1.0, np.inf, -np.inf, 2.0]),
}
PIPELINES = [
    PIPELINE,
    ft.Pipeline(ft.diff("x"), session="Europe/Berlin"),
    ft.Pipeline(ft.diff("x"), time=None),
    ft.Pipeline(ft.throttle("ts", rate=1.0), ft.drawdown("x"), ft.diff("duration", dtype="int64")),
    ft.Pipeline(ft.throttle("ts", rate=1.0), ft.diff("allowed")),  # a truth is read as a number
    ft.Pipeline(ft.diff("x"), symbol=None),
]


@pytest.mark.parametrize("sort", [dict, pd.DataFrame, WithoutColumnArrays, pa.table])
@pytest.mark.parametrize("column", COLUMNS)
def test_whatever_a_column_holds_the_way_of_any_frame_gives_the_same(column: str, sort: Any) -> None:
    if sort is pa.table and column == "objects":
        return
    frame = sort({"symbol": ["S1", "S2", "S1", "S3"], "ts": np.arange(4) + START + 10**12, "x": COLUMNS[column]})
    for pipeline in PIPELINES:
        few, any_frame = pipeline.start(), pipeline.start()
        for run in (few, any_frame):
            run(market())
        given, expected = few(frame), any_frame.accept(frame)[0]
        assert type(given) is type(expected)
        for name in pipeline.gives:
            assert_array_equal(given_by(pipeline, given)[name], given_by(pipeline, expected)[name])
        pd.testing.assert_frame_equal(few.state.frame(), any_frame.state.frame(), check_exact=True)


def test_the_first_frames_of_a_run_without_symbols_and_times() -> None:
    run = ft.Pipeline(ft.diff("x"), symbol=None, time=None).start()
    assert_array_equal(run({"x": np.array([], float)})["diff"], [])
    given = [run({"x": np.array([x])})["diff"][0] for x in (1.0, 3.0, 2.0)]
    assert_array_equal(given, [np.nan, 2.0, -1.0])
    assert run.state.symbols == [""]


def test_ticks_and_frames_of_any_size_alternate() -> None:
    rows = 4_000
    columns = {name: np.dtype("f8") for name in ("x", "bid", "ask", "bid_size", "ask_size")}
    frame = ticks(columns, rows, seed=5, symbols=6, missing=0.03)
    random = np.random.default_rng(5)
    frame["id"], frame["dealer"] = random.integers(2**60, 2**61, rows), random.choice(["a", "b", "c"], rows)
    pipeline = ft.Pipeline(
        ft.rolling_median("x", window=40),
        ft.rolling_mean("x", window="100s"),
        ft.throttle("ts", rate=1.0),
        ft.diff("id", dtype="int64"),
        ft.best_bid_offer(),
    )
    whole = given_by(pipeline, pipeline(frame))
    run, first, found = pipeline.start(), 0, []
    while first < rows:
        size = int(random.choice([1, 1, 2, 50, 200, 1_200]))
        part = take(frame, slice(first, first + size))
        if size == 1:
            row = {name: values[0] for name, values in part.items()}
            given = {name: np.array([value]) for name, value in run.tick(**row).items()}
            given["diff"] = np.array([NONE if value is None else value for value in given["diff"]])
        else:
            given = given_by(pipeline, run(part))
        found.append(given)
        first += size
    for name in pipeline.gives:
        values = np.concatenate([given[name] for given in found])
        assert_array_equal(values.astype(whole[name].dtype), whole[name], err_msg=name)


class Own(pd.DataFrame):
    """A frame of a class of the user's own, with an attribute that pandas carries along."""

    _metadata = ("venue",)

    @property
    def _constructor(self) -> Any:
        return Own


INDEXES: dict[str, Any] = {
    "range": pd.RangeIndex(4),
    "times": pd.date_range("2024-01-02", periods=4, freq="s", tz="UTC", name="at"),
    "twice": pd.Index(["a", "a", "b", "b"]),
    "two levels": pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["u", "v"]),
}
LABELS: dict[str, Any] = {
    "texts": pd.Index(["s", "t", "x", "c", "o", "n", "y"], name="what"),
    "objects": pd.Index(["s", 7, "x", ("c", 1), "o", "n", "y"], dtype=object),
    "a missing one": pd.Index(["s", "t", "x", "c", "o", None, "y"], dtype="str"),
    "numbers": pd.RangeIndex(7),
    "categories": pd.CategoricalIndex(["s", "t", "x", "c", "o", "n", "y"]),
}


def odd_frame(index: str, labels: str, sort: Any = pd.DataFrame) -> Any:
    frame = sort(
        {
            "s": pd.array(["a", None, "b", "a"], dtype="str"),
            "t": pd.date_range("2024", periods=4, tz="Asia/Tokyo"),
            "x": [1.0, 2.0, 3.0, 4.0],
            "c": pd.Categorical(["u", "v", "u", None]),
            "o": pd.Series([1, "a", None, 2.0], dtype=object),
            "n": pd.array([1, None, 3, 4], "Int64"),
            "y": [5.0, 6.0, 7.0, 8.0],
        }
    )
    frame.index, frame.columns = INDEXES[index].copy(), LABELS[labels].copy()
    frame.attrs = {"source": ["a"]}
    frame.flags.allows_duplicate_labels = index == "twice"
    return frame


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("index", INDEXES)
def test_floats_are_added_to_few_rows_as_pandas_adds_them(index: str, labels: str) -> None:
    frame = odd_frame(index, labels)
    added = {"a": np.arange(4.0), "b": np.full(4, np.nan)}
    result = PandasFrame(frame).append(added)
    expected = pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)
    expected.columns.name = frame.columns.name
    pd.testing.assert_frame_equal(result, expected, check_freq=True, check_column_type="exact")
    assert result.attrs == frame.attrs
    assert result.attrs["source"] is not frame.attrs["source"]
    assert result.flags == frame.flags
    assert getattr(result.index, "freq", None) == getattr(frame.index, "freq", None)


@pytest.mark.parametrize("labels", ["texts", "objects", "a missing one"])
def test_neither_frame_changes_with_the_other(labels: str) -> None:
    frame, untouched = odd_frame("times", labels), odd_frame("times", labels)
    added = {"a": np.arange(4.0)}
    result = PandasFrame(frame).append(added)
    for j in range(len(frame.columns)):
        result.isetitem(j, result.iloc[:, j].iloc[::-1].array)
    result.iloc[0, 2] = result.iloc[0, -1] = -1.0
    result.index.name = result.columns.name = "changed"
    pd.testing.assert_frame_equal(frame, untouched)
    assert added["a"].tolist() == [0, 1, 2, 3]
    again = PandasFrame(frame).append(added)
    frame.iloc[0, 2] = 99.0
    frame.iloc[0, 4] = "changed"
    frame.columns.name = "changed"
    pd.testing.assert_frame_equal(again.iloc[:, :-1], untouched)
    assert again.columns.name == untouched.columns.name


def test_a_frame_of_a_class_of_its_own_stays_one() -> None:
    frame = odd_frame("range", "texts", Own)
    frame.venue = "X"
    result = PandasFrame(frame).append({"a": np.arange(4.0)})
    assert type(result) is Own
    assert result.venue == "X"


def test_a_frame_to_which_is_added_again_and_again_is_not_in_pieces() -> None:
    frame = odd_frame("range", "texts")
    for j in range(30):
        frame = PandasFrame(frame).append({f"a{j}{k}": np.arange(4.0) for k in range(5)})
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.PerformanceWarning)
        frame["more"] = 1.0
    assert frame["a293"].tolist() == [0, 1, 2, 3]


def test_what_has_no_blocks_is_left_to_pandas() -> None:
    assert with_block(SimpleNamespace(columns=pd.Index(["x"])), ["x"], ("a",), np.zeros((1, 4))) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("sort", [pa.table, pa.RecordBatch.from_pydict])
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_floats_are_added_to_few_rows_of_arrow(sort: Any, rows: int) -> None:
    schema = pa.schema([pa.field("x", pa.int64(), nullable=False, metadata={"unit": "lots"})], {"source": "a"})
    frame = sort({"x": np.arange(rows)}, schema=schema)
    added = {"a": np.arange(rows) / 3, "b": np.full(rows, np.nan)}
    result = ArrowFrame(frame).append(added)
    assert type(result) is type(frame)
    assert result.schema.equals(
        schema.append(pa.field("a", pa.float64())).append(pa.field("b", pa.float64())), check_metadata=True
    )
    result.validate(full=True)
    for name, values in added.items():
        assert_array_equal(result[name].to_numpy(), values)
        assert result[name].null_count == 0


def test_columns_of_arrow_are_added_to_few_rows_of_arrow_as_they_are() -> None:
    """As joins add them: a null stays one."""
    added = {"a": pa.array([0.5, None, float("nan")]), "b": pa.chunked_array([[1, 2], [None]])}
    result = ArrowFrame(pa.table({"x": [1, 2, 3]})).append(added)
    assert [result[name].null_count for name in added] == [1, 1]
    assert result["b"].to_pylist() == [1, 2, None]
    assert result["a"].type == pa.float64()
