"""What is wrong with a row is said in the same words, whichever way the frame goes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.memory.wavefront import MORSEL
from tests.frames import same, ticks
from tests.stress import crossed

STEPS = ft.Pipeline(
    ft.midprice(),
    ft.log_returns("mid"),
    ft.ewma("log_return", span=20),
    ft.vwap(),
    ft.rolling_zscore("mid", window=10),
)
COLUMNS = ["symbol", "ts", "bid", "ask", "price", "size"]
FEW, MANY = 40, 2 * MORSEL + 100


@cache
def good(rows: int) -> pd.DataFrame:
    """Ticks with which nothing is wrong; what changes them takes a copy."""
    return ticks(rows, seed=rows)[COLUMNS].reset_index(drop=True)


def with_value(column: str, value: Any) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    def change(frame: pd.DataFrame, row: int) -> pd.DataFrame:
        frame = frame.copy()
        frame.loc[row, column] = value
        return frame

    return change


def backwards(frame: pd.DataFrame, row: int) -> pd.DataFrame:
    """The row comes an hour before the row of its symbol that is before it."""
    return with_value("ts", frame.loc[row, "ts"] - pd.Timedelta("1h"))(frame, row)


def retyped(column: str, change: Callable[[pd.Series[Any]], Any]) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    return lambda frame, row: frame.assign(**{column: change(frame[column])})


# What is done to the frame, and what is said, {row} being the row and {symbol} its symbol.
CASES: dict[str, tuple[Callable[[pd.DataFrame, int], Any], str]] = {
    "no symbol": (with_value("symbol", None), "Column 'symbol' has no symbol at row {row}"),
    "no time": (with_value("ts", pd.NaT), "Column 'ts' has no time at row {row}"),
    "time goes backwards": (backwards, "Column 'ts' goes backwards for symbol '{symbol}' at row {row}"),
    "no column": (lambda frame, row: frame.drop(columns="ask"), "There is no column 'ask'."),
    "no symbols": (lambda frame, row: frame.drop(columns="symbol"), "There is no column 'symbol' for symbols"),
    "no times": (lambda frame, row: frame.drop(columns="ts"), "There is no column 'ts' for event times"),
    "a column that clashes": (lambda frame, row: frame.assign(mid=1.0), "already has a column 'mid'; rename"),
    "texts for numbers": (retyped("bid", lambda bid: bid.astype("str")), "Column 'bid' must hold numbers"),
    "times for numbers": (lambda frame, row: frame.assign(bid=frame["ts"]), "Column 'bid' holds times"),
    "numbers for times": (retyped("ts", lambda ts: np.arange(len(ts)) / 2), "Column 'ts' must hold times"),
    "numbers for symbols": (retyped("symbol", lambda s: np.arange(len(s)) / 2), "Column 'symbol' holds double"),
}


def as_they_come(frame: pd.DataFrame) -> Any:
    return frame


def as_table(frame: pd.DataFrame) -> Any:
    return pa.Table.from_pandas(frame, preserve_index=False)


def as_arrays(frame: pd.DataFrame) -> Any:
    return {name: frame[name].array for name in frame}


def as_codes(frame: pd.DataFrame) -> Any:
    return frame.astype({"symbol": "category"}) if "symbol" in frame and frame["symbol"].dtype == "str" else frame


def whole(frame: Any) -> Any:
    return STEPS(frame)


def going_on(frame: Any) -> Any:
    """A run that has seen other frames, of the same columns: what it noted of those does not hide what is wrong."""
    run = STEPS.start()
    run(good(FEW).assign(ts=lambda rows: rows["ts"] - pd.Timedelta("1D")))
    before = run.state.copy()
    try:
        return run(frame)
    finally:
        same(run.state.frame(), before.frame())


WAYS = {"whole": whole, "going on": going_on}
SORTS = {"pandas": as_they_come, "Arrow": as_table, "arrays": as_arrays, "codes": as_codes}


@crossed(case=list(CASES), sort=list(SORTS), rows=[FEW, MANY], way=list(WAYS))
def test_of_a_frame(case: str, sort: str, rows: int, way: str) -> None:
    change, message = CASES[case]
    frame, row = good(rows), rows - 3
    expected = message.format(row=row, symbol=frame.loc[row, "symbol"])
    with pytest.raises(ft.FintechToolkitError) as error:
        WAYS[way](SORTS[sort](change(frame, row)))
    assert expected in str(error.value)


@pytest.mark.parametrize("case", CASES)
def test_of_rows_sorted_by_symbol(case: str) -> None:
    change, message = CASES[case]
    frame = good(MANY).sort_values("symbol", kind="stable", ignore_index=True)
    row = MANY - 3
    expected = message.format(row=row, symbol=frame.loc[row, "symbol"])
    with pytest.raises(ft.FintechToolkitError) as error:
        STEPS(change(frame, row))
    assert expected in str(error.value)


@pytest.mark.parametrize("case", CASES)
def test_of_a_stream(case: str) -> None:
    change, message = CASES[case]
    frame, row = good(FEW), FEW - 3
    source = Stream()
    STEPS.live(source).sink_to_list()
    source.emit(good(FEW).assign(ts=lambda rows: rows["ts"] - pd.Timedelta("1D")))
    with pytest.raises(ft.FintechToolkitError) as error:
        source.emit(change(frame, row))
    assert message.format(row=row, symbol=frame.loc[row, "symbol"]) in str(error.value)


@pytest.mark.parametrize("case", CASES)
def test_of_a_dask_frame(case: str) -> None:
    change, message = CASES[case]
    frame, row = good(FEW), FEW - 3
    with pytest.raises(ft.FintechToolkitError) as error:
        STEPS(dd.from_pandas(change(frame, row), npartitions=1), plan="chain").compute(scheduler="sync")
    assert message.format(row=row, symbol=frame.loc[row, "symbol"]) in str(error.value)


@pytest.mark.parametrize("rows", [FEW, MANY], ids=["few", "many"])
def test_of_arrays_with_symbols(rows: int) -> None:
    frame = good(rows)
    symbol, row = frame["symbol"].copy(), rows - 3
    symbol[row] = None
    with pytest.raises(ft.DataError, match=f"has no symbol at row {row}"):
        ft.ewma(frame["bid"], symbol=symbol, span=3)
    with pytest.raises(ft.DataError, match=f"goes backwards for symbol .* at row {row}"):
        ft.rolling_mean(frame["bid"], symbol=frame["symbol"], ts=backwards(frame, row)["ts"], window="1s")


def as_values(frame: pd.DataFrame, row: int) -> dict[str, Any]:
    return {name: frame[name].iloc[row] for name in frame}


@pytest.mark.parametrize(
    "case", [name for name in CASES if name not in ("no symbols", "no times", "a column that clashes")]
)
def test_of_a_tick(case: str) -> None:
    """It is a frame of one row, whose ticks before came one by one too."""
    change, message = CASES[case]
    frame, row = good(FEW), FEW - 3
    run = STEPS.start()
    for place in range(row):
        run.tick(**as_values(frame, place))
    before = run.state.copy()
    with pytest.raises(ft.FintechToolkitError) as error:
        run.tick(**as_values(change(frame, row), row))
    assert message.format(row=0, symbol=frame.loc[row, "symbol"]) in str(error.value)
    same(run.state.frame(), before.frame())
    run.tick(**as_values(frame, row))
