"""Pairs of symbols of any sort, on frames of any sort; what could mix two pairs up is refused."""

from __future__ import annotations

from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from tests.frames import same, ticks

PAIRS = [("S00", "S01"), ("S01", "S02"), ("S02", "S00")]


def trades() -> pd.DataFrame:
    return ticks(200, symbols=4).reset_index(drop=True)[["symbol", "ts", "price"]]


def by_hand(frame: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (row, f"{pair[0]}/{pair[1]}", leg)
        for row, symbol in enumerate(frame["symbol"])
        for pair in PAIRS
        for leg, name in enumerate(pair)
        if symbol == name
    ]
    taken = frame.iloc[[row for row, _, _ in rows]]
    keys = pd.array([key for _, key, _ in rows], dtype="str")
    return taken.assign(symbol=keys, leg=np.array([leg for _, _, leg in rows], np.int64))


@pytest.mark.parametrize("sort", ["pandas", "category", "table", "dictionary", "batch", "dict", "dask", "polars"])
def test_frames_of_any_sort_give_the_same_pairs(sort: str) -> None:
    frame = trades()
    expected = by_hand(frame)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    given: Any = {
        "pandas": frame,
        "category": frame.astype({"symbol": "category"}),
        "table": table,
        "dictionary": table.set_column(0, "symbol", table["symbol"].dictionary_encode()),
        "batch": table.to_batches()[0],
        "dict": {name: frame[name].to_numpy() for name in frame} | {"ts": frame["ts"].to_numpy("M8[ns]")},
        "dask": dd.from_pandas(frame, npartitions=3),
        "polars": pytest.importorskip("polars").from_pandas(frame) if sort == "polars" else None,
    }[sort]
    paired = ft.to_pairs(given, PAIRS)
    if sort == "dask":
        assert paired.dtypes.tolist() == expected.dtypes.tolist()
        paired = paired.compute(scheduler="sync")
    if sort in ("pandas", "dask", "category"):
        same(paired, expected)
    for name in ("symbol", "price", "leg"):
        assert_array_equal(np.asarray(paired[name]), expected[name].to_numpy())
    result = ft.Pipeline(ft.hayashi_yoshida_cov())(paired)
    assert_array_equal(np.asarray(result["hy_cov"]), ft.Pipeline(ft.hayashi_yoshida_cov())(expected)["hy_cov"])


@pytest.mark.parametrize("dtype", ["int64", "uint8", "Int64", "category"])
def test_pairs_of_integers(dtype: str) -> None:
    frame = trades()
    numbers = frame["symbol"].str[1:].astype("int64")
    paired = ft.to_pairs(frame.assign(symbol=numbers.astype(dtype)), [(0, np.int64(1)), (1, 2), (2, 0)])
    expected = by_hand(frame)
    names = {"S00/S01": "0/1", "S01/S02": "1/2", "S02/S00": "2/0"}
    assert paired["symbol"].tolist() == expected["symbol"].map(names).tolist()
    assert_array_equal(paired["leg"], expected["leg"])


def test_two_pairs_of_one_name_are_refused() -> None:
    with pytest.raises(ft.ParameterError, match=r"\('A', 'B/C'\) and \('A/B', 'C'\) would both be called 'A/B/C'"):
        ft.to_pairs(trades(), [("A", "B/C"), ("A/B", "C")])
    with pytest.raises(ft.ParameterError, match=r"\(1, 2\) and \('1', '2'\) would both be called '1/2'"):
        ft.to_pairs(trades(), [(1, 2), ("1", "2")])


@pytest.mark.parametrize("sort", ["pandas", "table", "dask"])
@pytest.mark.parametrize(
    ("change", "pairs", "error", "message"),
    [
        ({"leg": 0}, PAIRS, ft.ColumnError, "already has a column 'leg'"),
        ({"symbol": 7}, PAIRS, ft.DataError, "one is a string, one an integer"),
        ({}, [(1, 2)], ft.DataError, "one is a string, one an integer"),
        ({"symbol": 1.5}, PAIRS, ft.DataError, "Column 'symbol' holds double"),
        ({"symbol": trades()["symbol"].where(np.arange(200) != 1)}, PAIRS, ft.DataError, "no symbol at row 1"),
    ],
)
def test_what_cannot_be_paired_is_refused(
    sort: str, change: dict[str, Any], pairs: Any, error: type[Exception], message: str
) -> None:
    frame = trades().assign(**change)

    def paired() -> Any:
        if sort == "dask":
            return ft.to_pairs(dd.from_pandas(frame, npartitions=2), pairs).compute(scheduler="sync")
        return ft.to_pairs(pa.Table.from_pandas(frame) if sort == "table" else frame, pairs)

    with pytest.raises(error, match=message):
        paired()


@pytest.mark.parametrize("leg", [2, -1, 10**9])
def test_a_leg_that_is_none_is_refused(leg: int) -> None:
    frame = by_hand(trades())
    wrong = frame.assign(leg=np.where(np.arange(len(frame)) == 5, leg, frame["leg"]))
    message = f"holds {leg} at row 5; 'leg' must be 0 or 1: the symbol of its pair"
    with pytest.raises(ft.DataError, match=f"Column 'leg' {message}"):
        ft.Pipeline(ft.hayashi_yoshida_cov())(wrong)
    with pytest.raises(ft.DataError, match=f"Column 'side' {message}"):
        ft.Pipeline(ft.hayashi_yoshida_cov(leg="side"))(wrong.rename(columns={"leg": "side"}))
    with pytest.raises(ft.DataError, match=message):
        ft.hayashi_yoshida_cov(wrong["leg"].to_numpy(), wrong["price"].to_numpy(), ts=np.arange(len(wrong)))


def test_a_side_is_one_of_three_or_none() -> None:
    """Two stands for a sale in FIX; taken as a number it would be a purchase."""
    frame = trades().assign(size=1.0, side=[1, -1, 0, np.nan] * 50)
    vpin = ft.Pipeline(ft.vpin(bucket=10, window=2))
    vpin(frame)
    with pytest.raises(ft.DataError, match=r"Column 'side' holds 2\.0 at row 7; 'side' must be -1, 0 or 1"):
        vpin(frame.assign(side=np.where(np.arange(200) == 7, 2, frame["side"])))
    with pytest.raises(ft.DataError, match=r"holds 2\.0 at row 1"):
        ft.vpin(np.ones(3), np.array([1.0, 2.0, 1.0]), ts=np.arange(3), bucket=10)
