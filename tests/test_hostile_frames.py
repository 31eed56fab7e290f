"""Frames whose shape or sort is odd, whatever their columns hold; and what a frame has besides columns is kept."""

from __future__ import annotations

from collections import ChainMap, UserDict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

import fintech_toolkit as ft
from tests.frames import same, ticks

PIPELINE = ft.Pipeline(ft.midprice(), ft.ewma("mid", span=5), ft.rolling_mean("price", window="2s"))
BARS = ft.Pipeline(ft.time_bars(frequency="10s"))


def plain() -> pd.DataFrame:
    return ticks(60, symbols=3).reset_index(drop=True).drop(columns=["venue", "note"])


def arrays() -> dict[str, Any]:
    frame = plain()
    return {name: frame[name].to_numpy("M8[ns]" if name == "ts" else None) for name in frame}


def with_column(name: str, values: Any) -> dict[str, Any]:
    return arrays() | {name: values}


def two_of(name: str) -> pa.Table:
    table = pa.Table.from_pandas(plain(), preserve_index=False)
    return table.append_column(name, table[name])


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "two Arrow columns of one name": (lambda: two_of("price"), "two columns called 'price'"),
    "two columns of one name in a batch": (
        lambda: two_of("symbol").combine_chunks().to_batches()[0],
        "two columns called 'symbol'",
    ),
    "two pandas columns of one name": (
        lambda: pd.concat([plain(), plain()[["bid"]]], axis=1),
        "two columns called 'bid'",
    ),
    "two levels of columns": (
        lambda: pd.concat({"quotes": plain()}, axis=1),
        "no column 'bid'",
    ),
    "a matrix in a dict": (lambda: with_column("price", np.ones((60, 2))), "Column 'price' .* 2 dimensions"),
    "a column vector in a dict": (lambda: with_column("bid", np.ones((60, 1))), "Column 'bid' .* 2 dimensions"),
    "a number in a dict": (lambda: with_column("price", 5.0), "Column 'price' .* 0 dimensions"),
    "a NumPy number in a dict": (lambda: with_column("price", np.float64(5)), "Column 'price' .* 0 dimensions"),
    "None in a dict": (lambda: with_column("price", None), "Column 'price' .* 0 dimensions"),
    "a string in a dict": (lambda: with_column("symbol", "A"), "Column 'symbol' .* 0 dimensions"),
    "a set in a dict": (lambda: with_column("price", {1.0, 2.0}), "Column 'price' .* 0 dimensions"),
    "a ragged list in a dict": (lambda: with_column("price", [[1.0], [1.0, 2.0]]), "Column 'price' must be an array"),
    "a generator in a dict": (lambda: with_column("price", (x for x in [1.0])), "Column 'price' .* 0 dimensions"),
    "a frame in a dict": (lambda: with_column("price", plain()), "Column 'price'"),
    "a dict in a dict": (lambda: with_column("price", {"a": 1}), "Column 'price' .* 0 dimensions"),
    "a Dask column in a dict": (
        lambda: with_column("price", dd.from_pandas(plain(), npartitions=2)["price"]),
        "Column 'price' is lazy",
    ),
    "lengths that differ": (lambda: with_column("price", np.ones(59)), "columns differ in length: .*'price': 59"),
    "numbers among strings": (lambda: with_column("symbol", ["A", 1] * 30), "Column 'symbol' holds 1 at row 1"),
    "a series": (lambda: plain()["price"], "not Series|not a frame"),
    "an Arrow array": (lambda: pa.array([1.0]), "not DoubleArray|not a frame"),
    "an array": (lambda: np.ones((3, 3)), "not ndarray"),
    "a list of dicts": (lambda: [{"price": 1.0}], "not list"),
    "None": (lambda: None, "not NoneType"),
    "a path": (lambda: "ticks.parquet", "not str"),
    "nothing at all": (dict, "no column 'bid'"),
}


@pytest.mark.parametrize("call", ["pipeline", "run", "peek", "accept"])
@pytest.mark.parametrize("case", REFUSED)
def test_an_odd_frame_is_refused(case: str, call: str) -> None:
    make, message = REFUSED[case]
    run = PIPELINE.start()
    entrance = {"pipeline": PIPELINE, "run": run, "peek": run.peek, "accept": run.accept}[call]
    with pytest.raises(ft.FintechToolkitError, match=message):
        entrance(make())
    assert run.state.symbols == []


def test_frames_of_polars_are_taken_through_arrow() -> None:
    polars = pytest.importorskip("polars")
    expected = PIPELINE(plain())
    frame = polars.from_pandas(plain())
    run = PIPELINE.start()
    for result in (PIPELINE(frame), run.peek(frame), run(frame)):
        assert isinstance(result, pa.Table)
        for name in PIPELINE.gives:
            assert_array_equal(result[name].to_numpy(), expected[name])
    good, rejected = PIPELINE.start().accept(frame.with_columns(polars.lit("Z").alias("symbol")).head(3))
    assert (good.num_rows, len(rejected)) == (3, 0)
    missing = polars.when(polars.int_range(polars.len()) == 7).then(None).otherwise(polars.col("symbol"))
    good, rejected = PIPELINE.start().accept(frame.with_columns(missing.alias("symbol")))
    assert (good.num_rows, rejected["row"].tolist()) == (59, [7])
    coded = frame.with_columns(polars.col("symbol").cast(polars.Categorical))
    assert_array_equal(PIPELINE(coded)["ewma"].to_numpy(), expected["ewma"])
    assert_array_equal(PIPELINE(dict(frame.to_dict()))["ewma"], expected["ewma"])
    assert BARS(frame)["count"].to_pylist() == BARS(plain())["count"].tolist()
    with pytest.raises(ft.PipelineError, match="not LazyFrame"):
        PIPELINE(frame.lazy())


def test_a_stream_of_batches_is_read_once() -> None:
    table = pa.Table.from_pandas(plain(), preserve_index=False)
    expected = PIPELINE(plain())
    run = PIPELINE.start()
    for entrance in (PIPELINE, run.peek, lambda frame: run.accept(frame)[0]):
        assert_array_equal(entrance(table.to_reader(7))["ewma"].to_numpy(), expected["ewma"])
    bars = BARS(table.to_reader(7))
    assert bars["count"].to_pylist() == BARS(plain())["count"].tolist()


@pytest.mark.parametrize("mapping", [UserDict, ChainMap, MappingProxyType])
def test_any_mapping_is_a_dict(mapping: Any) -> None:
    assert_array_equal(PIPELINE(mapping(arrays()))["ewma"], PIPELINE(plain())["ewma"])


def test_a_dict_may_mix_arrays_of_all_sorts() -> None:
    frame = plain()
    mixed = {
        "symbol": pa.array(frame["symbol"]).dictionary_encode(),
        "ts": frame["ts"],
        "bid": frame["bid"].tolist(),
        "ask": pd.Index(frame["ask"]),
        "price": np.ma.masked_array(frame["price"].to_numpy()),
        "size": pd.array(frame["size"], dtype="Int64"),
    }
    result = PIPELINE(mixed)
    for name in PIPELINE.gives:
        assert_array_equal(result[name], PIPELINE(frame)[name])
    good, _ = PIPELINE.start().accept(mixed | {"ts": frame["ts"].where(frame.index != 7)})
    assert len(good["ewma"]) == len(good["symbol"]) == len(good["ask"]) == 59


@pytest.mark.parametrize("values", [[1, 2.5, 4], [1, 1e17, 4.0], [1, 2, 4]])
def test_a_list_of_numbers_in_a_dict_is_an_array_of_numbers(values: list[float]) -> None:
    result = ft.Pipeline(ft.diff("price"), time=None)({"symbol": ["A"] * 3, "price": values})
    assert result["price"].dtype == np.array(values).dtype
    assert_array_equal(result["price"], values)


def test_pandas_columns_of_arrow() -> None:
    frame = plain().convert_dtypes(dtype_backend="pyarrow")
    result = PIPELINE(frame)
    for name in PIPELINE.gives:
        assert_array_equal(result[name], PIPELINE(plain())[name])
    same(result[frame.columns.tolist()], frame)


def test_names_of_columns_need_not_be_strings() -> None:
    frame = plain()
    frame[0], frame[("a", 1)], frame[None] = 1, 2, 3
    result = PIPELINE(frame)
    same(result[frame.columns.tolist()], frame)
    assert_array_equal(result["ewma"], PIPELINE(plain())["ewma"])
    with pytest.raises(ft.ColumnError, match=r"no column 'ask'\. Did you mean"):
        PIPELINE(frame.rename(columns={"ask": "aks"}))


class Ticks(pd.DataFrame):
    """A frame of one's own."""

    _metadata = ["origin"]  # noqa: RUF012

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return Ticks


def test_what_a_pandas_frame_has_besides_columns_is_kept() -> None:
    frame = Ticks(plain())
    frame.origin = "here"
    frame.attrs = {"source": {"venue": "X"}}
    frame.columns.name = "columns"
    frame.index.name = "row"
    frame.flags.allows_duplicate_labels = False
    result = PIPELINE(frame)
    assert type(result) is Ticks
    assert result.origin == "here"
    assert result.attrs == {"source": {"venue": "X"}}
    assert result.attrs is not frame.attrs
    assert (result.columns.name, result.index.name) == ("columns", "row")
    assert not result.flags.allows_duplicate_labels
    assert_frame_equal(pd.DataFrame(result)[list(frame.columns)], pd.DataFrame(frame), check_flags=False)


INDEXES: dict[str, Callable[[int], pd.Index[Any]]] = {
    "times": lambda n: pd.date_range("2024", periods=n, tz="UTC", name="when"),
    "the same label": lambda n: pd.Index([0] * n),
    "strings": lambda n: pd.Index([f"r{j % 7}" for j in range(n)]),
    "several levels": lambda n: pd.MultiIndex.from_product([["a", "b"], range(n // 2)], names=["x", "y"]),
    "intervals": lambda n: pd.interval_range(0, n),
    "missing labels": lambda n: pd.Index([None, np.nan, *range(n - 2)], dtype=object),
    "a step": lambda n: pd.RangeIndex(10, 10 - n, -1, name="down"),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_an_index_of_any_kind_is_kept(kind: str) -> None:
    frame = plain().set_axis(INDEXES[kind](60), axis=0)
    for result in (PIPELINE(frame), PIPELINE.start().accept(frame)[0]):
        assert result.index.equals(frame.index)
        assert result.index.names == frame.index.names
        assert type(result.index) is type(frame.index)
        assert_array_equal(result["ewma"], PIPELINE(plain())["ewma"])


def test_what_an_arrow_table_has_besides_columns_is_kept() -> None:
    table = pa.Table.from_pandas(plain().set_index(pd.Index(range(60, 0, -1), name="down")))
    table = table.replace_schema_metadata(table.schema.metadata | {b"venue": b"X"})
    result = PIPELINE(table)
    assert result.schema.metadata == table.schema.metadata
    assert result.schema.names == [*table.schema.names, *PIPELINE.gives]
    expected = PIPELINE(plain()).set_axis(pd.Index(range(60, 0, -1), name="down"), axis=0)
    same(result.to_pandas(), expected)
    batch = table.combine_chunks().to_batches()[0]
    assert isinstance(PIPELINE(batch), pa.RecordBatch)
    assert PIPELINE(batch).schema.metadata == table.schema.metadata


def test_rows_that_are_left_out_leave_the_others_labels() -> None:
    frame = plain()
    table = pa.Table.from_pandas(frame.assign(symbol=frame["symbol"].where(frame.index != 7)))
    good, rejected = PIPELINE.start().accept(table)
    assert rejected["row"].tolist() == [7]
    expected = PIPELINE(frame.drop(index=7))
    same(good.to_pandas().reset_index(drop=True), expected.reset_index(drop=True))


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("sort", ["pandas", "table", "batch", "dict", "dask"])
def test_frames_of_no_row_and_of_one(sort: str, rows: int) -> None:
    frame, whole = plain().iloc[:rows], plain()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # An empty table has no batch.
    batch = (table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)])[0]
    given = {
        "pandas": frame,
        "table": table,
        "batch": batch,
        "dict": {name: values[:rows] for name, values in arrays().items()},
        "dask": dd.from_pandas(frame, npartitions=1),
    }[sort]
    for pipeline in (PIPELINE, BARS):
        result = pipeline(given)
        if sort == "dask":
            result = result.compute(scheduler="sync")
        wanted = pipeline(whole)
        names = list(result) if isinstance(result, pd.DataFrame | dict) else result.schema.names
        assert names == list(wanted.columns)
        assert {len(result[name]) for name in names} == {rows}
        if sort == "pandas":
            assert result.dtypes.tolist() == wanted.dtypes.tolist()
            run = pipeline.start()
            run(given)
            expected = pipeline.start()(whole).iloc[0 if pipeline.emits else rows :]
            same(run(whole.iloc[rows:]), expected)
