"""Every hostile column through every way into a pipeline: right, or an error of ours that names column and row."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from streamz import Stream

import fintech_toolkit as ft
from tests.frames import same
from tests.hostile import BAD_ROW, DAY, HOSTILE, SECOND, CannotHold, Column, as_arrow, as_pandas

ROWS = 6
PIPELINE = ft.Pipeline(ft.ewma("price", span=3), ft.rolling_mean("price", window="2s"))
NAMES = {"number": "price", "time": "ts", "symbol": "symbol"}


def clean() -> dict[str, Any]:
    return {
        "symbol": np.array(list("AABABA"), dtype=object),
        "ts": DAY + SECOND * np.arange(ROWS),
        "price": np.arange(ROWS, dtype=np.float64),
    }


def as_batch(columns: dict[str, Any]) -> pa.RecordBatch:
    try:
        return as_arrow(columns).combine_chunks().to_batches()[0]
    except pa.ArrowException as error:
        raise CannotHold from error


def by_dask(columns: dict[str, Any]) -> Any:
    with dask.config.set({"dataframe.convert-string": False}):
        try:
            lazy = dd.from_pandas(as_pandas(columns), npartitions=1)
        except (ValueError, TypeError, NotImplementedError, pa.ArrowException) as error:
            raise CannotHold from error
        return PIPELINE(lazy, plan="chain").compute(scheduler="sync")


def started() -> Any:
    """A run that has seen a day of these symbols, all of one kind of time."""
    run = PIPELINE.start()
    yesterday = clean() | {"ts": clean()["ts"] - 86_400 * SECOND}
    run(pd.DataFrame(yesterday))
    return run


def by_second_frame(columns: dict[str, Any]) -> Any:
    frame, run, untouched = as_pandas(columns), started(), started()
    try:
        return run(frame)
    except ft.FintechToolkitError:
        same(run(pd.DataFrame(clean())), untouched(pd.DataFrame(clean())))
        raise


def by_peek(columns: dict[str, Any]) -> Any:
    return PIPELINE.start().peek(as_pandas(columns))


def by_live(columns: dict[str, Any]) -> Any:
    frame, stream = as_pandas(columns), Stream()
    received = PIPELINE.live(stream).sink_to_list()
    stream.emit(frame)
    return received[0]


Entrance = Callable[[dict[str, Any]], Any]

ENTRANCES: dict[str, Entrance] = {
    "pandas": lambda columns: PIPELINE(as_pandas(columns)),
    "table": lambda columns: PIPELINE(as_arrow(columns)),
    "batch": lambda columns: PIPELINE(as_batch(columns)),
    "dict": PIPELINE,
    "dask": by_dask,
    "second frame": by_second_frame,
    "peek": by_peek,
    "live": by_live,
}


def check(entrance: str, name: str, column: Column, expected: dict[str, Any]) -> None:
    """Hold an entrance to what must come of a column."""
    wanted = None if column.refused else PIPELINE(pd.DataFrame(expected))
    if wanted is not None and entrance == "second frame":
        wanted = started()(pd.DataFrame(expected))
    result, said = None, ""
    try:
        result = ENTRANCES[entrance](clean() | {name: column.make(ROWS)})
    except CannotHold:
        pytest.skip("no such frame")
    except ft.FintechToolkitError as error:
        said = str(error)
    if result is None:
        assert column.refused is not False, said
        assert repr(name) in said
        # A lazy frame without rows, and a frame of other times than those before, are refused as a whole.
        whole = "the category" in said or "the frames before had" in said
        assert column.row is None or f"row {column.row}" in said or whole
        return
    assert column.refused is not True, "taken"
    assert wanted is not None
    for output in PIPELINE.gives:
        assert_array_equal(np.asarray(result[output], "f8"), wanted[output], err_msg=output)


CASES = [(role, case) for role, cases in HOSTILE.items() for case in cases]


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize(("role", "case"), CASES, ids=[f"{role}: {case}" for role, case in CASES])
def test_a_hostile_column_is_right_or_named(role: str, case: str, entrance: str) -> None:
    column = HOSTILE[role][case]
    expected = clean() | ({"price": column.values(ROWS)} if column.values else {})
    check(entrance, NAMES[role], column, expected)


LETTERS = list("AABABA")
CODES = [0, 0, 1, 0, 1, 0]


def dictionary(index: Any, codes: list[int | None] = CODES, values: Any = ("A", "B")) -> Any:  # type: ignore[assignment]
    return pa.DictionaryArray.from_arrays(pa.array(codes, index), pa.array(values))


def refused(make: Callable[[int], Any], row: int | None = None) -> Column:
    return Column(make, row=row, refused=True)


def taken(make: Callable[[int], Any]) -> Column:
    return Column(make, refused=False)


SYMBOLS: dict[str, Column] = {
    **{
        f"a dictionary of {index}": taken(lambda n, index=index: dictionary(index))
        for index in map(pa.type_for_alias, ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"))
    },
    **{
        f"a dictionary of {index} with a null": refused(
            lambda n, index=index: dictionary(index, [0, 0, 1, None, 1, 0]), BAD_ROW
        )
        for index in map(pa.type_for_alias, ("int8", "uint8", "uint16", "uint32", "int64", "uint64"))
    },
    "a null among a dictionary's values": refused(
        lambda n: dictionary(pa.uint8(), [1, 1, 2, 0, 2, 1], [None, "A", "B"]), BAD_ROW
    ),
    "a null among a dictionary's values, of no row": taken(
        lambda n: dictionary(pa.uint8(), [1, 1, 2, 1, 2, 1], [None, "A", "B"])
    ),
    "one value twice in a dictionary": taken(lambda n: dictionary(pa.int8(), [0, 2, 1, 2, 1, 0], ["A", "B", "A"])),
    "dictionaries that differ from chunk to chunk": taken(
        lambda n: pa.chunked_array(
            [
                dictionary(pa.uint8(), [0, 0, 1]),
                dictionary(pa.uint8(), [1, 0, 1], ["B", "A"]),
                dictionary(pa.uint8(), []),
            ]
        )
    ),
    "dictionaries too large together": taken(
        lambda n: pa.chunked_array(
            [
                dictionary(pa.uint8(), [0, 0, 1], ["A", "B", *map(str, range(200))]),
                dictionary(pa.uint8(), [200, 201, 200], [*map(str, range(200, 400)), "A", "B"]),
            ]
        )
    ),
    "chunks": taken(lambda n: pa.chunked_array([LETTERS[:2], [], LETTERS[2:]], pa.string())),
    "large strings": taken(lambda n: pa.array(LETTERS, pa.large_string())),
    "string views": taken(lambda n: pa.array(LETTERS, pa.string_view())),
    "runs": taken(lambda n: pa.compute.run_end_encode(pa.array(LETTERS))),
    "categories": taken(lambda n: pd.Series(pd.Categorical(LETTERS, categories=["unused", "B", "A"]))),
    "NumPy strings": taken(lambda n: np.array(LETTERS)),
    "NumPy variable strings": taken(lambda n: np.array(LETTERS, np.dtypes.StringDType())),
    "an object array of NumPy strings": taken(lambda n: np.array(list(map(np.str_, LETTERS)), object)),
    "a pandas arrow dictionary": taken(
        lambda n: pd.Series(pd.array(LETTERS, pd.ArrowDtype(pa.dictionary(pa.uint8(), pa.string()))))
    ),
    "decimals": refused(lambda n: pa.array([1] * n, pa.decimal128(5))),
    "structs": refused(lambda n: pa.array([{"a": "A"}] * n)),
    "arrow lists": refused(lambda n: pa.array([["A"]] * n)),
    "dates": refused(lambda n: pa.array([datetime.date(2024, 1, 1)] * n)),
    "sparse": refused(lambda n: pd.Series(pd.arrays.SparseArray([1.0] * n))),
    "periods": refused(lambda n: pd.Series(pd.period_range("2024", periods=n, freq="D"))),
    "intervals": refused(lambda n: pd.Series(pd.interval_range(0, n))),
    "durations": refused(lambda n: np.arange(n).astype("m8[ns]")),
    "nullable booleans": refused(lambda n: pd.Series([True] * n, dtype="boolean")),
    "objects of booleans": refused(lambda n: np.array([True] * n, object)),
    "categories of floats": refused(lambda n: pd.Series(pd.Categorical([1.5] * n))),
    "categories of mixed": refused(lambda n: pd.Series(pd.Categorical(["A", "A", "A", 1, "A", "A"])), BAD_ROW),
    "categories with a surrogate": refused(
        lambda n: pd.Series(pd.Categorical.from_codes([0, 0, 0, 1, 0, 0], pd.Index(["A", "\ud800"], dtype=object))),
        BAD_ROW,
    ),
    "a string among integers": refused(lambda n: np.array([1, 1, 1, "A", 1, 1], object), BAD_ROW),
    "an integer among strings": refused(lambda n: np.array(["A", "A", None, 1, "A", "A"], object), BAD_ROW),
    "an integer beyond int64 among others": refused(lambda n: np.array([1, 1, 1, 2**63, 1, 1], np.uint64), BAD_ROW),
    "a Python integer beyond int64": refused(lambda n: np.array([1, 1, 1, 2**63, 1, 1], object), BAD_ROW),
    "a dictionary of floats": refused(lambda n: dictionary(pa.int8(), CODES, [1.0, 2.0])),
    "a dictionary of lists": refused(lambda n: dictionary(pa.int8(), CODES, [["A"], ["B"]])),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("case", SYMBOLS)
def test_symbols_of_any_sort_are_read_or_named(case: str, entrance: str) -> None:
    check(entrance, "symbol", SYMBOLS[case], clean() | {"symbol": np.array(LETTERS, object)})


INTEGERS = ["int8", "uint8", "int32", "uint32", "int64", "uint64", "Int64", "UInt8", "int64[pyarrow]", "category"]


@pytest.mark.parametrize("entrance", ["pandas", "table", "dict", "dask"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_symbols_of_any_width(dtype: str, entrance: str) -> None:
    column = taken(lambda n: pd.Series([7, 7, 9, 7, 9, 7]).astype(dtype))
    check(entrance, "symbol", column, clean() | {"symbol": np.array(LETTERS, object)})


def test_an_empty_string_is_a_symbol_like_any_other() -> None:
    columns = clean() | {"symbol": np.array(["", "", "B", "", "B", ""], object)}
    assert_array_equal(PIPELINE(columns)["ewma"], PIPELINE(clean())["ewma"])


TIMES: dict[str, Column] = {
    "dates": refused(lambda n: pa.array([datetime.date(2024, 1, 1)] * n)),
    "times of day": refused(lambda n: pa.array([1] * n, pa.time64("ns"))),
    "strings": refused(lambda n: pa.array(["2024-01-01T00:00:00Z"] * n)),
    "decimals": refused(lambda n: pa.array([1] * n, pa.decimal128(5))),
    "nothing": refused(pa.nulls),
    "a dictionary of times": refused(lambda n: pa.array([1] * n, pa.timestamp("ns")).dictionary_encode()),
    "sparse": refused(lambda n: pd.Series(pd.arrays.SparseArray([1] * n))),
    "categories": refused(lambda n: pd.Series(pd.Categorical([1] * n))),
    "intervals": refused(lambda n: pd.Series(pd.interval_range(0, n))),
    "Python objects": refused(lambda n: pd.Series([pd.Timestamp("2024", tz="UTC")] * n, dtype=object)),
    "years beyond nanoseconds, with a zone": refused(
        lambda n: pa.array([0, 1, 2, 2**40, 2**40, 2**40], pa.timestamp("s", "UTC")), BAD_ROW
    ),
    "years before nanoseconds": refused(lambda n: np.array([-(2**40)] * n).view("M8[s]"), 0),
    "months": refused(lambda n: np.array([10**6] * n).view("M8[M]")),
    "masked integers": refused(lambda n: np.ma.masked_array(clean()["ts"], np.arange(n) == BAD_ROW)),
    "uint64 beyond int64 at a row": refused(
        lambda n: np.array([*clean()["ts"][:BAD_ROW], *[2**63] * (n - BAD_ROW)], np.uint64), BAD_ROW
    ),
    "seconds at a row": refused(
        lambda n: pd.Series([*clean()["ts"][:BAD_ROW], *[DAY // SECOND] * (n - BAD_ROW)]), BAD_ROW
    ),
    **{
        f"{unit} with a zone": taken(
            lambda n, unit=unit: (
                pa.array(clean()["ts"]).cast(pa.timestamp("ns", "Asia/Tokyo")).cast(pa.timestamp(unit, "Asia/Tokyo"))
            )
        )
        for unit in ("s", "ms", "us", "ns")
    },
    "naive": taken(lambda n: clean()["ts"].view("M8[ns]")),
    "days": Column(lambda n: np.array(["2024-01-02"] * n, "M8[D]"), refused=None),
    "UInt64": taken(lambda n: pd.Series(clean()["ts"], dtype="UInt64")),
}


@pytest.mark.parametrize("entrance", [name for name in ENTRANCES if name != "second frame"])
@pytest.mark.parametrize("case", TIMES)
def test_times_of_any_sort_are_read_or_named(case: str, entrance: str) -> None:
    expected = clean() | ({"ts": clean()["ts"] // SECOND * 0 + DAY} if case == "days" else {})
    check(entrance, "ts", TIMES[case], expected)
