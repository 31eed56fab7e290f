"""The table of hostile columns, through every call on arrays and Series: the right numbers, or an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from tests import hostile
from tests.hostile import BAD_ROW, Column

ROWS = 7
GOOD = np.arange(ROWS, dtype=np.float64)
TS = hostile.DAY + np.arange(ROWS)

# How a column of numbers comes in; each gives back what it says, with a row for each of the input's.
ENTRANCES: dict[str, Callable[[Any], Any]] = {
    "array": lambda x: ft.lag(x, k=1),
    "keyword": lambda x: ft.lag(x=x, k=1),
    "second column": lambda x: ft.midprice(GOOD, x) * 2 - GOOD,
    "symbols": lambda x: ft.lag(x, k=1, symbol=["A"] * ROWS),
    "window of time": lambda x: ft.rolling_max(x, window="1ns", ts=TS),
    "events": lambda x: ft.time_bars(x, np.ones(ROWS), ts=TS, frequency="1ns").close,
}


def expected_of(entrance: str, values: Any) -> Any:
    if entrance in ("second column", "window of time"):
        return values
    return values[np.isfinite(values)] if entrance == "events" else np.concatenate([[np.nan], values[:-1]])


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a call gives, or our error; any other error is the test's failure."""
    try:
        return call()
    except ft.FintechToolkitError as error:
        return error


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("name", hostile.NUMBERS)
def test_numbers(name: str, entrance: str) -> None:
    column = hostile.NUMBERS[name]
    result = outcome(lambda: ENTRANCES[entrance](column.make(ROWS)))
    if isinstance(result, ft.FintechToolkitError):
        assert column.refused is not False, f"refused: {result}"
        assert isinstance(result, ft.DataError)
        named = {"second column": "ask", "events": "price"}.get(entrance, "x")
        assert named in str(result)
        assert column.row is None or f"row {column.row}" in str(result)
    else:
        assert column.values is not None, f"taken for {result!r}"
        values = np.asarray(column.values(ROWS), dtype=np.float64)
        assert_array_equal(np.asarray(result, dtype=np.float64), expected_of(entrance, values))


TIMED: dict[str, Callable[[Any], Any]] = {
    "window": lambda ts: ft.rolling_mean(GOOD, window="5s", ts=ts),
    "kernel of time": lambda ts: ft.sequence_pattern(GOOD > 1, GOOD > 2, within="5s", ts=ts),
    "events": lambda ts: ft.time_bars(GOOD, GOOD, frequency="5s", ts=ts),
    "no need": lambda ts: ft.ewma(GOOD, span=3, ts=ts),
    "symbols": lambda ts: ft.rolling_mean(GOOD, window="5s", ts=ts, symbol=["A"] * ROWS),
}


@pytest.mark.parametrize("entrance", TIMED)
@pytest.mark.parametrize("name", hostile.TIMES)
def test_times(name: str, entrance: str) -> None:
    refused(hostile.TIMES[name], TIMED[entrance], "ts")


@pytest.mark.parametrize("name", hostile.SYMBOLS)
def test_symbols(name: str) -> None:
    refused(hostile.SYMBOLS[name], lambda symbol: ft.ewma(GOOD, span=3, symbol=symbol), "symbol")
    refused(hostile.SYMBOLS[name], lambda symbol: ft.lag(pd.Series(GOOD), symbol=symbol, dtype="float64"), "symbol")


def refused(column: Column, call: Callable[[Any], Any], name: str) -> None:
    made = column.make(ROWS)
    with pytest.raises(ft.DataError) as caught:
        call(made)
    assert name in str(caught.value)
    assert column.row is None or f"row {column.row}" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (lambda: [1, 2.5, None], [1, 2.5, np.nan]),
        (lambda: (1, 2, 3), [1, 2, 3]),
        (lambda: range(3), [0, 1, 2]),
        (lambda: [True, False], [1, 0]),
        (lambda: [], []),
        (lambda: pd.Index([1, 2]), [1, 2]),
        (lambda: pd.array([1, None], "Int32"), [1, np.nan]),
        (lambda: pl.Series([1.0, None, 3.0]), [1, np.nan, 3]),
        (lambda: pl.Series([1, None, 3]), [1, np.nan, 3]),
        (lambda: np.matrix([[1.0], [2.0]]), [[1.0], [2.0]]),
        (lambda: memoryview(np.array([1.0, 2.0])), [1, 2]),
        (lambda: np.array([[1, 2], [3, 4]], dtype=object), [[1, 2], [3, 4]]),
    ],
)
def test_what_else_holds_numbers(make: Callable[[], Any], values: Any) -> None:
    column = make()
    if isinstance(column, pl.Series):
        assert_array_equal(ft.lag(column.cast(pl.Float64)), ft.lag(np.array(values, dtype=np.float64)))
    assert_array_equal(ft.ewma(column, alpha=1), ft.ewma(np.array(values, dtype=np.float64), alpha=1))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (None, "needs arrays, not single numbers: x is one"),
        ({1.0, 2.0}, "x must hold numbers"),
        (iter([1.0]), "x must hold numbers"),
        (object(), "x must hold numbers"),
        ([[1.0], [1.0, 2.0]], "x must hold numbers, one a row"),
        ([1, "2"], "x must hold numbers"),
        (10**400, "x holds 10"),
        (np.array([[1.0, 2], [3, "x"]], dtype=object), r"'x' at position \(1, 1\)"),
        (np.array([[1, 2], [3, 2**53 + 1]]), r"9007199254740993 at position \(1, 1\)"),
        (da.ones(3), "x is lazy"),
        (np.array("2024-01-01", "M8[ns]"), "x holds times"),
    ],
)
def test_what_holds_none(column: Any, message: str) -> None:
    with pytest.raises(ft.DataError, match=message):
        ft.ewma(column, span=3)


@pytest.mark.parametrize("name", [name for name in hostile.NUMBERS if name.startswith("big ")])
def test_whole_numbers_stay_exact_in_whatever_holds_them(name: str) -> None:
    made = hostile.NUMBERS[name].make(ROWS)
    result = outcome(lambda: ft.rolling_max(made, window=1, dtype="int64"))
    if name == "big uint64":
        assert "row 3" in str(result)
        assert isinstance(result, ft.DataError)
    elif name in ("big-endian", "big-endian integers"):
        assert name == "big-endian integers" or isinstance(result, ft.DataError)
    else:
        assert abs(int(np.asarray(result, dtype=object)[BAD_ROW])) == hostile.BIG


def test_values_outside_of_what_a_column_means_are_refused() -> None:
    good = np.array([0, 1, 0])
    for leg in ([0, 1, 2], [0, 1, -1], pd.Series([0, 1, 2])):
        with pytest.raises(ft.DataError, match=r"leg holds .* at row 2; 'leg' must be 0 or 1"):
            ft.hayashi_yoshida_cov(leg, GOOD[:3], ts=TS[:3])
    with pytest.raises(ft.DataError, match=r"leg holds 2 at position \(2, 1\)"):
        ft.hayashi_yoshida_cov(np.column_stack([good, [0, 1, 2]]), GOOD[:3], ts=TS[:3])
    with pytest.raises(ft.DataError, match="'b' holds 2 at row 2"):
        ft.hayashi_yoshida_cov(pd.DataFrame({"a": good, "b": [0, 1, 2]}), GOOD[:3], ts=TS[:3])
    with pytest.raises(ft.DataError, match=r"side holds 3.0 at row 1; 'side' must be -1, 0 or 1"):
        ft.vpin(GOOD[:3], np.array([np.nan, 3.0, 1.0]), ts=TS[:3], bucket=1)


def test_surrogates_in_names_and_columns_that_are_not_contiguous_are_nothing_special() -> None:
    wide = np.arange(12.0).reshape(6, 2)
    assert_array_equal(ft.ewma(wide[::2, 1], alpha=1), [1, 5, 9])
    assert_array_equal(ft.ewma(np.asfortranarray(wide), alpha=1), wide)
    frozen = wide.copy()
    frozen.flags.writeable = False
    assert_array_equal(ft.ewma(frozen, alpha=1), wide)
    with pytest.raises(ft.ColumnError, match="no column"):
        ft.ewma(pd.DataFrame({"symbol": ["A"], "ts": [1], "mid": [1.0]}), "\ud800", span=3)
