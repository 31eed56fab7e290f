"""Columns of names: the same key for the same name wherever a kernel runs, and errors for what is no name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.authoring import Name, tick_kernel
from fintech_toolkit.scan.names import as_keys, key_of
from fintech_toolkit.scan.values import MISSING


@tick_kernel(
    reads=["dealer", "size"],
    gives=["own", "key:i8"],
    parameters=[Name("whose", "the dealer whose sizes are added up", "A")],
    state=[("sum", "f8")],
    cases=[{}, {"whose": "a dealer"}],
)
def size_of(s: Any, dealer: int, size: float, whose: int) -> tuple[float, int]:
    """Sum of the sizes of one dealer; a size that is NaN or infinite, or without a dealer, counts nothing."""
    if dealer == whose and np.isfinite(size):
        s.sum += size
    return s.sum, dealer


@size_of.oracle
def _(dealer: Any, size: Any, whose: str = "A") -> Any:
    own = np.where([name == whose for name in dealer], np.where(np.isfinite(size), size, 0.0), 0.0)
    return np.cumsum(own), np.array([MISSING if name is None else key_of(name) for name in dealer])


NAMES = ["A", "B", None, "a dealer of more than eight bytes", "A", "Zürich", ""]

SORTS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "objects": lambda names: np.array(names, object),
    "pandas": pd.Series,
    "pandas objects": lambda names: pd.Series(names, dtype=object),
    "category": lambda names: pd.Series(names, dtype="category"),
    "pyarrow": lambda names: pd.Series(names, dtype="string[pyarrow]"),
    "Arrow": pa.array,
    "large": lambda names: pa.array(names, pa.large_string()),
    "view": lambda names: pa.array(names, pa.string_view()),
    "dictionary": lambda names: pa.array(names).dictionary_encode(),
    "slice": lambda names: pa.array(["x", *names, "y"])[1:-1],
    "chunks": lambda names: pa.chunked_array([names[:2], [], names[2:]], pa.string()),
    "dictionaries": lambda names: pa.chunked_array(
        [pa.array(part, pa.string()).dictionary_encode() for part in (names[:3], names[3:])]
    ),
    "Polars": pl.Series,
    "Polars categories": lambda names: pl.Series(names, dtype=pl.Categorical),
}


@pytest.mark.parametrize("sort", SORTS)
def test_a_name_has_one_key_in_columns_of_every_sort(sort: str) -> None:
    expected = [MISSING if name is None else key_of(name) for name in NAMES]
    assert len(set(expected)) == len(set(NAMES))
    assert_array_equal(as_keys(SORTS[sort](NAMES), "dealer"), expected)
    assert len(as_keys(SORTS[sort]([]), "dealer")) == 0


def test_texts_of_numpy_have_the_keys_of_others() -> None:
    texts = np.array([["A", "Zürich"], ["B", "A"]])
    assert_array_equal(as_keys(texts, "dealer"), [[key_of("A"), key_of("Zürich")], [key_of("B"), key_of("A")]])


def test_keys_are_what_they_were_ever_since_and_in_any_process() -> None:
    """States that were saved hold them."""
    keys = [key_of("A"), key_of("UPDATE"), key_of("a dealer of more than eight bytes")]
    assert keys == [-550661586163082992, -7915897727433552150, -2799717530418566926]
    script = "from fintech_toolkit.scan.names import key_of; print(key_of('A'), key_of('UPDATE'))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == [str(key) for key in keys[:2]]


@pytest.mark.parametrize(
    "numbers",
    [np.array([3, 2**62 + 1]), pd.Series([3, 2**62 + 1], dtype="Int64"), np.array([3, 2**62 + 1], object)],
    ids=["int64", "Int64", "objects"],
)
def test_integers_are_taken_as_they_are(numbers: Any) -> None:
    assert_array_equal(as_keys(numbers, "dealer"), [3, 2**62 + 1])
    assert_array_equal(as_keys(pd.Series([3, None], dtype="Int64"), "dealer"), [3, MISSING])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([1.5, 2.0], r"1\.5.*row 0"),
        ([np.nan, 2.5], r"2\.5.*row 1"),
        ([True, False], r"True.*row 0"),
        (["A", None, 7], r"7.*row 2"),
        ([["A"], ["B"]], r"\['A'\].*row 0"),
        (pd.to_datetime(["2024-01-02"]), r"2024.*row 0"),
    ],
    ids=["floats", "floats after none", "booleans", "mixed", "lists", "times"],
)
def test_what_is_no_name_is_an_error_that_says_where(wrong: Any, said: str) -> None:
    frame = pd.DataFrame({"dealer": wrong, "size": 1.0})
    with pytest.raises(ft.DataError, match=f"(?s)'dealer'.*{said}"):
        ft.Pipeline(size_of(), symbol=None, time=None)(frame)


def test_a_kernel_that_reads_names_keeps_the_contract() -> None:
    """Arrays, pandas, Arrow, all plans of Dask, live, tick by tick, saved and gone on with."""
    ft.check_kernel(size_of, raises=True)


def test_partitions_with_categories_of_their_own_agree() -> None:
    frame = pd.DataFrame({"symbol": "S", "dealer": NAMES * 3, "size": np.arange(21.0)})
    pipeline = ft.Pipeline(size_of(), time=None)
    whole = pipeline(frame)
    parts = [frame.iloc[at].astype({"dealer": "category"}) for at in (slice(0, 9), slice(9, 21))]
    run = pipeline.start()
    again = pd.concat([run(part) for part in parts])
    assert_array_equal(again["own"], whole["own"])
    lazy = pipeline(dd.from_pandas(frame.astype({"dealer": "category"}), npartitions=3), plan="chain").compute()
    assert_array_equal(lazy["own"], whole["own"])


def test_a_parameter_that_is_a_name_is_one_in_json_too() -> None:
    frame = pd.DataFrame({"dealer": ["B", "A", "B"], "size": [1.0, 2.0, 4.0]})
    pipeline = ft.Pipeline(size_of(whose="B"), symbol=None, time=None)
    again = ft.Pipeline.from_json(pipeline.to_json())
    assert again.steps[0].given == (("whose", "B"),)
    assert_array_equal(again(frame)["own"], [1.0, 1.0, 5.0])
    swept = size_of(frame["dealer"].to_numpy(), frame["size"].to_numpy(), whose=["A", "B"])
    assert_array_equal(swept.own, [[0.0, 2.0, 2.0], [1.0, 1.0, 5.0]])
    for wrong in (1.5, None, True):
        with pytest.raises(ft.ParameterError, match="whose"):
            size_of(whose=wrong)


def test_a_column_of_integers_that_a_step_gives_can_be_read_as_names() -> None:
    frame = pd.DataFrame({"dealer": ["B", "A", "B"], "size": [1.0, 2.0, 4.0]})
    steps = size_of().named("first", "id"), size_of("id", "size").named("second", "same")
    chained = ft.Pipeline(*steps, symbol=None, time=None)
    result = chained(frame)
    assert_array_equal(result["second"], result["first"])
    run = chained.start()
    ticks = [run.tick(**row) for row in frame.to_dict("records")]
    assert [tick["second"] for tick in ticks] == result["first"].tolist()
